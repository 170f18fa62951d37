"""tern bench --report: one page that loads nothing, with every plot, and a history that grows."""

import html.parser
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess
import unittest
import xml.etree.ElementTree

import tiny_model
from cli_support import CliTest

# A name that would end an attribute or an element if it weren't escaped.
MODEL = "a<b>&\"'.gguf"
QUICK = ("bench", "-m", MODEL, "-p", "4", "-n", "6", "-r", "1", "--no-limits")
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(html.parser.HTMLParser):
    """Elements with their attributes, and whether every one is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


class BenchReport(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write(MODEL)

    def setUp(self):
        shutil.rmtree("report", ignore_errors=True)

    def report(self, *arguments, limits=False):
        command = QUICK[:-1] if limits else QUICK
        self.ok(*command, "--report", "report", *arguments)
        return pathlib.Path("report/index.html").read_text(encoding="utf-8")

    def test_the_page_is_whole_and_loads_nothing(self):
        text = self.report("-t", "1,2", "-npl", "1,2", "-d", "0,3")
        page = Page(text)
        self.assertEqual(page.open, [])
        for tag, attributes in page.elements:
            self.assertNotIn(tag, ("img", "iframe", "object", "embed", "video", "audio", "use", "image"))
            for name in ("src", "href", "data", "action", "srcset"):
                self.assertTrue(attributes.get(name, "data:,").startswith("data:"), (tag, attributes))
            if tag == "script":
                self.assertEqual(attributes.get("type"), "application/json")
        self.assertEqual(re.findall(r"@import|url\(", text), [])
        addresses = set(re.findall(r"https?://[^\"'<\s]+", text))
        self.assertLessEqual(addresses, {"http://www.w3.org/2000/svg"})  # a name, not a load

    def test_it_has_the_plots_the_rows_and_how_to_measure_again(self):
        text = self.report("-t", "1,2", "-npl", "1,2", "-d", "0,3")
        for name in ("Throughput against batch", "Throughput against context", "Scaling over threads",
                     "Latency of a forward pass", "Roofline: "):
            self.assertIn(name, text)
        for part in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
            xml.etree.ElementTree.fromstring(part)
        for part in ("a&lt;b&gt;&amp;&quot;&#39;.gguf", "--no-limits", "tg6 x2 @ d3", "compiler", "instruction sets"):
            self.assertIn(part, text)
        self.assertIn("Distance to the limit: not here", text)
        data = re.search(r'id="rows">\n(.*?)</script>', text, re.DOTALL).group(1)
        rows = json.loads(data)
        self.assertEqual(rows, json.loads(pathlib.Path("report/bench.json").read_text(encoding="utf-8"))["rows"])
        self.assertEqual(rows[0]["model_filename"], MODEL)

    def test_what_is_left_open_is_measured_for_the_plots(self):
        text = self.report("-t", "1")
        for part in ("tg6 x8", "tg6 @ d1024"):
            self.assertIn(part, text)

    def test_a_history_grows_and_takes_other_files(self):
        self.assertIn("History: not here", self.report("-t", "1", "-npl", "1", "-d", "0"))
        again = self.report("-t", "1", "-npl", "1", "-d", "0")
        self.assertNotIn("History: not here", again)
        lines = pathlib.Path("report/history.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(lines), 4)
        shutil.move("report", "earlier")
        self.assertNotIn("History: not here", self.report("-t", "1", "-npl", "1", "-d", "0", "--history",
                                                          "earlier/bench.json"))
        pathlib.Path("bad.json").write_text("[1, 2", encoding="utf-8")
        self.fails(*QUICK, "--report", "report", "--history", "bad.json", names=["bad.json", "expected"])

    def test_a_history_takes_baselines_of_tern_perf(self):
        tiny_model.make_gguf().write("plain.gguf")
        measure = ("bench", "-m", "plain.gguf", "-p", "4", "-n", "6", "-r", "1", "-t", "1", "--no-limits")
        pathlib.Path("perf.sqlite").unlink(missing_ok=True)
        for commit in ("aaa111", "bbb222"):
            self.ok("perf", "record", "--name", "main", "--db", "perf.sqlite", "--commit", commit, "--rounds", "2", "--no-keep",
                    "--no-limits", "--", *measure)
        self.ok(*measure, "--report", "report", "--history", "perf.sqlite")
        text = pathlib.Path("report/index.html").read_text(encoding="utf-8")
        self.assertNotIn("History: not here", text)
        for commit in ("aaa111", "bbb222"):
            self.assertIn(commit, text)
        # Its points are earlier ones of the page's own two rows, not lines of their own.
        plot = text[text.index("History"):]
        self.assertEqual(set(re.findall(r"plain, \d+ threads, [a-z0-9]+", plot)),
                         {"plain, 1 threads, pp4", "plain, 1 threads, tg6"})
        database = sqlite3.connect("perf.sqlite")
        with database:
            database.execute("UPDATE result SET parameters = 'none'")
        database.close()
        self.fails(*measure, "--report", "report", "--history", "perf.sqlite", names=["perf.sqlite", "parameters"])

    def test_what_makes_no_sense_is_refused(self):
        self.fails("bench", "--history", "x.json", code=2, names=["--report"])
        self.fails("bench", "--kernels", "--report", "report", code=2, names=["--report"])

    def test_a_browser_shows_it_without_complaints(self):
        chromium = shutil.which("chromium")
        if not chromium:
            self.skipTest("chromium isn't installed")
        self.report("-t", "1", "-npl", "1,2", "-d", "0")
        outcome = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
             "--virtual-time-budget=2000", pathlib.Path("report/index.html").absolute().as_uri()],
            capture_output=True, check=False, timeout=120)
        self.assertEqual(outcome.returncode, 0)
        self.assertIn(b"Measure it again", outcome.stdout)
        self.assertEqual([line for line in outcome.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line], [])


if __name__ == "__main__":
    unittest.main()
