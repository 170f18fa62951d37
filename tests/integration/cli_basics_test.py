"""Help, version, exit codes, and what goes to stdout and what to stderr."""

import os
import subprocess
import unittest

import tiny_model
from cli_support import CliTest

COMMANDS = ["run", "chat", "info", "tokenize", "detokenize", "perplexity", "logits", "convert"]


class Basics(CliTest):
    def test_alone_it_prints_the_help_that_lists_every_command(self):
        outcome = self.ok()
        self.assertEqual(outcome.stderr, "")
        for command in COMMANDS:
            self.assertRegex(outcome.text, rf"(?m)^  {command} ")
        self.assertEqual(outcome.text, self.ok("--help").text)

    def test_the_version_is_one_line(self):
        self.assertRegex(self.ok("--version").text, r"\Atern \d+\.\d+\.\d+\n\Z")

    def test_every_command_has_help_with_an_example_of_itself(self):
        for command in COMMANDS:
            outcome = self.ok(command, "--help")
            self.assertEqual(outcome.stderr, "")
            self.assertIn("Examples:", outcome.text)
            self.assertRegex(outcome.text, rf"(?m)^  tern {command}")
            for line in outcome.text.splitlines():
                self.assertLessEqual(len(line), 140, line)

    def test_an_unknown_command_is_wrong_usage(self):
        self.fails("frobnicate", code=2, names=["frobnicate", "--help"])

    def test_an_unknown_option_is_wrong_usage(self):
        for command in COMMANDS:
            self.fails(command, "--frobnicate", code=2, names=["--frobnicate"])
        self.fails("--frobnicate", code=2, names=["--frobnicate"])

    def test_a_value_of_the_wrong_kind_is_wrong_usage(self):
        self.fails("run", "-n", "many", code=2, names=["many"])
        self.fails("run", "-t", "0", code=2, names=["0"])
        self.fails("run", "--i2s-layout", "sparc", code=2, names=["sparc", "x86"])
        self.fails("run", "--activations", "int4", code=2, names=["int4", "int8"])
        self.fails("run", "--temp", "-1", code=2, names=["temp", "-1"])
        self.fails("run", "--top-p", "2", code=2, names=["top", "2"])

    def test_options_that_contradict_each_other_are_wrong_usage(self):
        self.fails("run", "-p", "a", "-f", "b", code=2)
        self.fails("run", "-p", "a", "-", code=2)
        self.fails("tokenize", "-p", "a", "--jsonl", "b", code=2)

    def test_what_is_required_is_asked_for(self):
        self.fails("perplexity", code=2, names=["--file"])
        self.fails("logits", "--ids", "1", code=2, names=["--output"])
        self.fails("logits", "-o", "x", code=2, names=["--ids"])
        self.fails("convert", "in", code=2, names=["OUT"])
        self.fails("tokenize", code=2, names=["-p"])
        self.fails("detokenize", code=2, names=["ids"])
        self.fails("run", "-m", "some.gguf", code=2, names=["-p"])

    def test_an_unknown_backend_is_named_with_the_known_ones(self):
        tiny_model.make_gguf().write("tiny.gguf")
        self.fails("run", "-m", "tiny.gguf", "-p", "a", "--backend", "abacus", names=["abacus", "reference"])

    def test_a_full_disk_is_a_failure(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full")
        tiny_model.make_gguf().write("tiny.gguf")
        with open("/dev/full", "wb") as full:
            process = subprocess.run([os.environ["TERN"], "tokenize", "-m", "tiny.gguf", "-p", "a"], stdout=full,
                                     stderr=subprocess.PIPE, check=False)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"standard output", process.stderr)

    def test_the_missing_built_in_model_is_reported_with_the_places_looked_at(self):
        # A copy of the program elsewhere still finds the model of the source tree, when that exists.
        if os.path.exists(os.path.join(os.environ["TERN_SOURCE_DIR"], "models", "tern-stories.gguf")):
            self.assertIn("tern-stories", self.ok("info").text)
        else:
            self.fails("run", names=["built-in model", "tern-stories.gguf", "-m"])


if __name__ == "__main__":
    unittest.main()
