"""/metrics, deploy/ and docs/monitoring.md beside a real Prometheus.

Skipped without promtool and prometheus: `./dev setup monitoring` unpacks Debian's package into the build folder, without
installing it (an installed one would start a service).
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import unittest
import urllib.parse
import urllib.request

from cli_support import CliTest, skip_all
from serve_support import PROMPT, Server, wait_until

SOURCE = pathlib.Path(os.environ["TERN_SOURCE_DIR"])
DEPLOY = SOURCE / "deploy"
TMP = pathlib.Path(os.environ["TERN_TMP"])
UNPACKED = SOURCE / "build" / "monitoring" / "usr" / "bin"


def program(name):
    return shutil.which(name) or shutil.which(name, path=UNPACKED)


PROMETHEUS, PROMTOOL = program("prometheus"), program("promtool")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def names_in(text):
    """Metrics that an expression or a text mentions, without the suffixes of a histogram."""
    found = re.findall(r"\b(?:tern|process)_[a-z_0-9]+", text)
    return {re.sub("_(bucket|sum|count)$", "", name) for name in found} - {"tern_slowdown"}


def documented():
    """Names in the first column of the tables of docs/monitoring.md."""
    rows = re.findall(r"^\| (`[^|]*) \|", (SOURCE / "docs" / "monitoring.md").read_text(), re.M)
    return set().union(*(names_in(row) for row in rows))


class Prometheus(CliTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.request("POST", "/v1/completions", {"prompt": PROMPT, "max_tokens": 20, "ignore_eos": True})

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.lines

    def promtool(self, *arguments, text=None):
        done = subprocess.run([PROMTOOL, *map(str, arguments)], input=text, text=True, capture_output=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def scrape(self):
        return self.server.request("GET", "/metrics")[2].decode()

    def test_promtool_finds_no_fault_with_the_metrics(self):
        self.assertEqual(self.promtool("check", "metrics", text=self.scrape()), "")

    def test_promtool_finds_no_fault_with_what_is_deployed(self):
        self.assertIn("SUCCESS: 8 rules found", self.promtool("check", "rules", DEPLOY / "alerts.yml"))
        self.assertIn("SUCCESS", self.promtool("check", "config", DEPLOY / "prometheus.yml"))

    def test_the_rules_fire_when_they_should(self):
        for rules in ("alerts.yml",):
            shutil.copy(DEPLOY / rules, TMP)
        test = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [{
            "interval": "1m",
            "input_series": [
                {"series": 'tern_slowdown_alert{instance="a",operation="decode"}', "values": "0 0 1 1 1"},
                {"series": 'tern_slowdown_ratio{instance="a",operation="decode"}', "values": "1 1 1.25 1.25 1.25"},
                {"series": 'tern_requests_total{instance="a",result="failed"}', "values": "0 0 0 2 2"},
                {"series": 'up{job="tern",instance="a"}', "values": "1 1 1 1 1"}],
            "alert_rule_test": [
                {"eval_time": "1m", "alertname": "TernSlow", "exp_alerts": []},
                {"eval_time": "3m", "alertname": "TernSlow", "exp_alerts": [{
                    "exp_labels": {"severity": "warning", "instance": "a", "operation": "decode"},
                    "exp_annotations": {
                        "summary": "decode at a is slower than usual",
                        "description": "It takes 1.25 times its usual time for the same work."}}]},
                {"eval_time": "2m", "alertname": "TernFailing", "exp_alerts": []},
                {"eval_time": "3m", "alertname": "TernFailing", "exp_alerts": [{
                    "exp_labels": {"severity": "critical", "instance": "a", "result": "failed"},
                    "exp_annotations": {"summary": "Requests at a fail"}}]},
                {"eval_time": "3m", "alertname": "TernDown", "exp_alerts": []}]}]}
        (TMP / "test.yml").write_text(json.dumps(test))  # YAML knows JSON
        self.promtool("test", "rules", TMP / "test.yml")

    def test_names_are_documented_and_those_that_are_used_exist(self):
        known = documented()
        scraped = {re.sub("_(bucket|sum|count)$", "", re.split("[{ ]", line)[0])
                   for line in self.scrape().splitlines() if not line.startswith("#")}
        self.assertEqual(scraped - known, set(), "not in docs/monitoring.md")
        for name in ("alerts.yml", "grafana-dashboard.json"):
            self.assertEqual(names_in((DEPLOY / name).read_text()) - known, set(), name)

    def test_a_real_prometheus_scrapes_and_evaluates(self):
        port = free_port()
        text = (DEPLOY / "prometheus.yml").read_text()
        self.assertIn('"127.0.0.1:8080"', text)
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.server.port}").replace("alerts.yml", str(DEPLOY / "alerts.yml"))
        (TMP / "prometheus.yml").write_text(re.sub(r"_interval: \d+s", "_interval: 1s", text))
        log = open(TMP / "prometheus.log", "wb")
        process = subprocess.Popen([PROMETHEUS, f"--config.file={TMP}/prometheus.yml", f"--storage.tsdb.path={TMP}/data",
                                    f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)

        def api(path):
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=10) as answer:
                    return json.load(answer)["data"]
            return None

        def value(query):
            data = api("query?query=" + urllib.parse.quote(query))
            return float(data["result"][0]["value"][1]) if data and data["result"] else None

        def rules():
            groups = (api("rules") or {"groups": []})["groups"]
            return [rule for group in groups for rule in group["rules"]]

        try:
            self.assertTrue(wait_until(lambda: value('up{job="tern"}') == 1), "never scraped")
            generated = self.server.metrics()["tern_tokens_generated_total"]
            self.assertTrue(wait_until(lambda: value("tern_tokens_generated_total") == generated))
            self.assertGreater(value("histogram_quantile(0.99, tern_inter_token_seconds_bucket)"), 0)
            self.assertTrue(wait_until(lambda: rules() and all(rule["health"] == "ok" for rule in rules())), rules())
            self.assertEqual([rule["name"] for rule in rules() if rule["state"] == "firing"], [])
        finally:
            process.terminate()
            process.wait(timeout=60)
            log.close()


if __name__ == "__main__":
    if not PROMETHEUS or not PROMTOOL:
        skip_all("prometheus and promtool are not there (./dev setup monitoring)")
    unittest.main()
