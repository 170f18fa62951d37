"""tern top: over made-up metrics, over a server that comes and goes, and over tern serve."""

import http.server
import os
import pty
import re
import select
import signal
import subprocess
import threading
import time
import unittest

from cli_support import TERN, CliTest
from serve_support import PROMPT, Server

FIRST = """
# HELP tern_ready x
tern_ready 1
tern_tokens_generated_total 1000
tern_prompt_tokens_total 400
tern_prompt_tokens_cached_total 100
tern_requests_total{result="finished"} 12
tern_requests_running 3
tern_kv_blocks 200
tern_kv_blocks_used 50
tern_ttft_recent_seconds{percentile="50"} 0.125
tern_ttft_recent_seconds{percentile="99.9"} 1.5
tern_inter_token_recent_seconds{percentile="50"} 0.00025
tern_trend_per_hour{series="ttft"} 0.034
tern_slowdown_ratio{operation="decode"} 1.234
tern_slowdown_alert{operation="decode"} 1
tern_slowdown_alert{operation="prefill"} 0
tern_slowdown_tolerance_ratio 0.05
tern_gpu_memory_used_bytes{gpu="0"} 7e10
tern_gpu_utilization_ratio{gpu="0"} 0.5
tern_power_watts{domain="package-0\\n\x1b[31mred"} 34.5
"""


class FakeServer:
    """Answers with the texts in turn, the last for ever; None is status 500."""

    def __init__(self, *texts, key=None):
        fake = self
        self.texts, self.key, self.asked = list(texts), key, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = fake.texts[min(fake.asked, len(fake.texts) - 1)]
                status = 401 if fake.key and self.headers["Authorization"] != f"Bearer {fake.key}" else 200
                status = 404 if self.path != "/metrics" else status if text is not None else 500
                fake.asked += status == 200
                self.send_response(status)
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Top(CliTest):
    def once(self, *texts, **options):
        with FakeServer(*texts) as fake:
            return self.ok("top", "--url", fake.url, "--once", "--interval", 0.1, **options).text

    def line(self, text, name):
        found = re.search(rf"^{name}\b.*$", text, re.M)
        self.assertIsNotNone(found, text)
        return found.group()

    def test_values_are_those_of_the_text(self):
        text = self.once(FIRST)
        self.assertNotIn("\x1b", text)
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)
        self.assertIn("SLOWER     decode takes 1.23 times its usual time (5% more is allowed)", text)
        self.assertNotIn("prefill takes", text)
        self.assertRegex(self.line(text, "requests"), r"^requests +3 running +- waiting +- paused$")
        self.assertRegex(self.line(text, "ended"), r"^ended +12 finished +- cancelled")
        self.assertRegex(self.line(text, "KV cache"), r"^KV cache +25% \[\|{6} {18}\]  50 of 200 blocks")
        self.assertRegex(self.line(text, "prefix"), r"^prefix +25% ")
        self.assertRegex(self.line(text, "first token"), r"^first token +125 ms +- +- +- +1\.50 s +- +\+3\.4%$")
        self.assertRegex(self.line(text, "tokens"), r"^tokens/s +0\.0 written +0\.0 read from prompts")
        self.assertRegex(text, r"(?m)^tokens +250 us")
        self.assertRegex(self.line(text, "GPU 0"), r"^GPU 0 +50% \[\|{12} {12}\]  70\.0 GB of -")
        # A label can't colour the terminal.
        self.assertRegex(self.line(text, "power"), r"^power +34\.5 W  package-0\\n\\x1b\[31mred$")

    def test_rates_are_those_between_two_looks(self):
        later = FIRST.replace("generated_total 1000", "generated_total 1e9")
        rate = float(re.search(r"tokens/s +(\d+) written", self.once(FIRST, later)).group(1))
        self.assertGreater(rate, 1e9 / 10)   # a look after 0.1 s, or later
        self.assertLess(rate, 1e9 / 0.1 * 1.1)
        # Another process counts anew: no rate, and none below zero.
        fewer = FIRST.replace("generated_total 1000", "generated_total 1")
        self.assertRegex(self.once(FIRST, fewer), r"tokens/s +- written")

    def test_hostile_text_does_no_harm(self):
        for text in ("tern_ready 1\n" + "x" * 100000, "tern_ready NaN\ntern_kv_blocks 0\ntern_kv_blocks_used 1e308\n",
                     'tern_slowdown_alert{operation="' + "y" * 5000 + '"} 1\ntern_step_recent_seconds{percentile="50"} -1e300\n'):
            lines = self.once(text).splitlines()
            self.assertTrue(all(len(line) <= 80 for line in lines))

    def test_faults_are_one_line(self):
        with FakeServer(FIRST, key="k") as fake:
            self.fails("top", "--url", fake.url, names=("--api-key",))
            self.ok("top", "--url", fake.url, "--once", "--api-key", "k", "--interval", 0.1)
            self.ok("top", "--url", fake.url, "--once", "--interval", 0.1, env={"TERN_API_KEY": "k"})
            self.fails("top", "--url", fake.url + "/elsewhere", "--api-key", "k", names=("404",))
            url = fake.url
        self.fails("top", "--url", url, names=(url,))
        with FakeServer(None) as fake:
            self.fails("top", "--url", fake.url, names=("500",))
        with FakeServer("<html>") as fake:
            self.fails("top", "--url", fake.url, names=("no metric",))
        self.fails("top", "--url", "https://x", names=("https",))
        self.fails("top", "--url", "x", names=("'x'",))
        self.fails("top", "--interval", 0, code=2)

    def test_without_a_terminal_it_prints_blocks_until_it_is_interrupted(self):
        with FakeServer(FIRST) as fake:
            process = subprocess.Popen([TERN, "top", "--url", fake.url, "--interval", "0.1"], stdout=subprocess.PIPE)
            blocks = b""
            while blocks.count(b"tern top") < 3:
                blocks += os.read(process.stdout.fileno(), 65536)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=60), 0)
            process.stdout.close()
        self.assertNotIn(b"\x1b", blocks)
        self.assertIn(b"\n\ntern top", blocks)

    def test_on_a_terminal_it_redraws_and_leaves_it_as_it_was(self):
        with FakeServer(FIRST, FIRST, None, FIRST) as fake:
            main, side = pty.openpty()
            process = subprocess.Popen([TERN, "top", "--url", fake.url, "--interval", "0.1"], stdout=side)
            os.close(side)
            seen = b""

            def read_until(text):
                nonlocal seen
                end = time.monotonic() + 60
                while text not in seen and time.monotonic() < end:
                    if select.select([main], [], [], 1)[0]:
                        seen += os.read(main, 65536)
                self.assertIn(text, seen)

            read_until(b"status 500")  # it goes on
            fake.texts = [FIRST]
            seen = seen[:seen.index(b"status 500")] + b"status 500"
            seen, start = b"", seen
            read_until(b"first token")
            process.send_signal(signal.SIGINT)
            read_until(b"\x1b[?1049l")
            self.assertEqual(process.wait(timeout=60), 0)
            os.close(main)
        self.assertTrue(start.startswith(b"\x1b[?1049h\x1b[?25l\x1b[H"), start[:80])
        self.assertIn(b"\x1b[1;31mSLOWER", start)
        self.assertIn(b"\x1b[?25h\x1b[?1049l", seen)

    def test_over_a_real_server(self):
        server = Server()
        try:
            body = {"prompt": PROMPT, "max_tokens": 40, "ignore_eos": True}
            server.request("POST", "/v1/completions", body)
            url = f"http://127.0.0.1:{server.port}"
            text = self.ok("top", "--url", url, "--once", "--interval", 0.2).text
            self.assertRegex(self.line(text, "ended"), "^ended +1 finished +0 cancelled +0 refused +0 failed$")
            self.assertRegex(self.line(text, "first token"), r"^first token( +[0-9.]+ [mu]?s){6} +-$")
            self.assertRegex(text, r"(?m)^tokens( +[0-9.]+ [mu]?s){6} +-$")
            self.assertRegex(self.line(text, "memory"), r"^memory +[0-9.]+ MB resident  [0-9.]+ MB weights")
            self.assertNotIn("power", text if not os.path.exists("/sys/class/powercap/intel-rapl:0") else "")
        finally:
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
