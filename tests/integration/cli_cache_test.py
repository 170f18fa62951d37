"""The cache of packed weights, from outside."""

import os
import resource
import signal
import subprocess
import unittest

import tiny_model
from cli_support import TERN, CliTest

RUN = ["run", "-m", "tiny.gguf", "-p", "the", "-n", "8", "--temp", "0"]


class Cache(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write("tiny.gguf")

    def setUp(self):
        self.plain = self.ok(*RUN, "--no-cache").stdout

    def run_cached(self, *options, **rest):
        outcome = self.ok(*RUN, *options, **rest)
        self.assertEqual(outcome.stdout, self.plain)
        return outcome

    def files(self, folder):
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def test_is_written_once_and_read_after(self):
        self.run_cached("--cache", "kept")
        (name,) = self.files("kept")
        self.assertTrue(name.startswith("tiny.gguf-"), name)
        before = os.stat(os.path.join("kept", name))
        self.run_cached("--cache", "kept", "--check")
        after = os.stat(os.path.join("kept", name))
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))

    def test_small_models_need_none(self):
        self.run_cached(env={"TERN_CACHE": os.path.abspath("unused")})
        self.assertEqual(self.files("unused"), [])

    def test_a_damaged_file_is_mended_with_one_note(self):
        self.run_cached("--cache", "broken")
        (name,) = self.files("broken")
        path = os.path.join("broken", name)
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) - 1)
        notes = [line for line in self.run_cached("--cache", "broken").stderr.splitlines() if "cache" in line]
        self.assertEqual(len(notes), 1, notes)
        self.assertIn(path, notes[0])
        self.assertNotIn("cache", self.run_cached("--cache", "broken").stderr)

    def test_a_full_disk_only_loses_the_cache(self):
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

        process = subprocess.run(
            [TERN, *RUN, "--cache", "full"], capture_output=True, check=True, timeout=60, preexec_fn=small_files)
        self.assertEqual(process.stdout, self.plain)
        notes = [line for line in process.stderr.decode().splitlines() if "not kept" in line]
        self.assertEqual(len(notes), 1, process.stderr)
        self.assertEqual(self.files("full"), [])

    def test_two_at_once_do_not_disturb_each_other(self):
        racers = [subprocess.Popen([TERN, *RUN, "--cache", "race"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                  for _ in range(4)]
        for racer in racers:
            out, err = racer.communicate(timeout=60)
            self.assertEqual((racer.returncode, out), (0, self.plain), err)
        self.assertEqual(len(self.files("race")), 1)
        self.run_cached("--cache", "race", "--check")

    def test_the_options_exclude_each_other(self):
        self.fails(*RUN, "--cache", "x", "--no-cache", code=2)


if __name__ == "__main__":
    unittest.main()
