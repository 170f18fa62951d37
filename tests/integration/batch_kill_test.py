"""tern batch killed at random moments, 50 times ($TERN_KILLS): after the last resume the result file is complete,
without doubles, and says what an undisturbed run says."""

import csv
import json
import os
import random
import subprocess
import time
import unittest

from cli_support import TERN, CliTest

KILLS = int(os.environ.get("TERN_KILLS", "50"))
LINES = 60


def records(path):
    """Every record of a result file as a dictionary; fails on anything that is not whole."""
    with open(path, encoding="utf-8", newline="") as file:
        if path.endswith(".csv"):
            return list(csv.DictReader(file, strict=True))
        return [json.loads(line) for line in file]


def by_line(found):
    return sorted(found, key=lambda record: int(record["line"]))


class Killed(CliTest):
    def setUp(self):
        random.seed(int(os.environ.get("TERN_KILL_SEED", "1")))
        with open("prompts.csv", "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["id", "prompt"])
            for i in range(LINES):
                table.writerow([f"n{i}", f'Once there were {i} "birds",\nand' if i % 3 else f"The cat {i}"])

    def run_killed_at(self, seconds, command):
        """True when the process was killed before it was done."""
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                _, errors = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return True
        self.assertEqual(process.returncode, 0, errors)
        return False

    def test_killed_runs_end_in_the_results_of_an_undisturbed_one(self):
        kills = cut = 0
        expected = {}
        start = time.monotonic()
        while kills < KILLS:
            for name, mode, workers in (("r.jsonl", "sequential", 4), ("r.csv", "sequential", 8),
                                        ("r.csv", "parallel", 4), ("r.jsonl", "timed", 8)):
                command = [TERN, "batch", "--input", "prompts.csv", "-n", "16", "--mode", mode,
                           "--workers", str(workers), "--output"]
                kind = name.split(".")[1]
                if kind not in expected:
                    subprocess.run([*command, "whole." + kind], check=True, stderr=subprocess.DEVNULL)
                    expected[kind] = by_line(records("whole." + kind))
                    self.assertEqual(len(expected[kind]), LINES)
                if os.path.exists(name):
                    os.remove(name)
                while self.run_killed_at(random.uniform(0.02, 0.3), [*command, name]):
                    kills += 1
                    # A power cut takes bytes too.
                    if os.path.exists(name) and random.random() < 0.4:
                        size = os.path.getsize(name)
                        os.truncate(name, max(0, size - random.randrange(200)))
                        cut += 1
                found = records(name)
                self.assertEqual(by_line(found), expected[kind])
                if mode == "sequential":
                    self.assertEqual(found, expected[kind])
        print(f"{kills} kills, {cut} cuts, {time.monotonic() - start:.1f} s")
        self.assertGreater(cut, 0)


if __name__ == "__main__":
    unittest.main()
