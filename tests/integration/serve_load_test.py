"""tern serve under load: many streams at once, clients that hang up at random, nothing left behind."""

import json
import os
import random
import subprocess
import sys
import threading
import unittest

from cli_support import CliTest
from serve_support import PROMPT, Server, endless, parse_events, raw_post

CANCELS = int(os.environ.get("TERN_CANCELS", "1000"))
LOAD = os.path.join(os.environ["TERN_SOURCE_DIR"], "bench", "serve_load.py")


class Load(CliTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(context=2000)

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.lines[-20:]

    def tearDown(self):
        self.assertTrue(self.server.idle())

    def test_64_streams_at_once_are_what_each_is_alone(self):
        bodies = [{"prompt": PROMPT + " a" * (i % 40), "max_tokens": 24, "seed": i, "ignore_eos": True} for i in range(64)]
        alone = [self.server.request("POST", "/v1/completions", body)[2]["choices"][0]["text"] for body in bodies]
        found = [None] * len(bodies)

        def ask(i):
            with self.server.connect() as connection:
                connection.request("POST", "/v1/completions", json.dumps({**bodies[i], "stream": True}))
                events = parse_events(connection.getresponse().read().decode())
                found[i] = "".join(e["choices"][0]["text"] for e in events)

        run_all(ask, len(bodies))
        self.assertEqual(found, alone)

    def test_clients_that_hang_up_at_random_leave_nothing(self):
        before = self.server.metrics()

        def hang_up(worker):
            source = random.Random(worker)
            for _ in range(CANCELS // 20):
                body = endless(stream=source.random() < 0.7, n=source.choice((1, 1, 3)), seed=source.randrange(1000),
                               prompt=PROMPT * source.randrange(1, 40))
                with self.server.raw(raw_post(body)) as client:
                    for _ in range(source.choice((0, 0, 1, 3)) if body["stream"] else 0):
                        client.recv(200)

        run_all(hang_up, 20)
        self.assertTrue(self.server.idle())
        after = self.server.metrics()
        names = [f'tern_requests_total{{result="{result}"}}' for result in ("cancelled", "finished", "failed")]
        cancelled, finished, failed = (after[name] - before[name] for name in names)
        self.assertEqual((finished, failed), (0, 0))
        self.assertGreater(cancelled, 0)  # who left before it was read was never a request

    def test_the_load_tool_sees_no_failure(self):
        done = subprocess.run([sys.executable, LOAD, "--url", f"http://127.0.0.1:{self.server.port}", "--clients", "24",
                               "--seconds", "2", "--tokens", "16", "--pid", str(self.server.process.pid), "--json"],
                              capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual((report["failures"], report["clients"]), (0, 24))
        self.assertGreater(report["requests"], 0)
        self.assertGreater(report["inter_token_ms"]["99"], 0)


def run_all(work, count):
    """work(0) to work(count - 1), each in its thread; the first exception is raised here."""
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    unittest.main()
