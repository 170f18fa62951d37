"""tern synth: a published shape with random weights runs."""

import json
import os
import unittest

from cli_support import CliTest


class Synth(CliTest):
    def test_a_preset_becomes_a_file_that_runs(self):
        outcome = self.ok("synth", "--preset", "125m", "-o", "m.gguf", "--type", "tq2_0", "--embedding", "q8_0")
        self.assertIn("m.gguf", outcome.text)
        info = json.loads(self.ok("info", "m.gguf", "--json").text)
        self.assertTrue(info["runs"])
        self.assertEqual({t["type"] for t in info["types"]}, {"F32", "Q8_0", "TQ2_0"})
        self.assertEqual(len(self.ok("logits", "-m", "m.gguf", "--ids", "1,2", "-o", "-").stdout), 2 * 32000 * 4)
        self.ok("run", "-m", "m.gguf", "-p", "Any text.", "-n", "2")
        self.fails("synth", "--preset", "125m", "-o", "m.gguf", names=["m.gguf", "--force"])

    def test_wrong_usage_is_said_in_one_line(self):
        self.fails("synth", "--preset", "1t", "-o", "m.gguf", code=2, names=["1t"])
        self.fails("synth", "--preset", "125m", code=2, names=["--output"])
        self.fails("synth", "--preset", "3b", "--type", "tq1_0", "-o", "never.gguf", names=["attn_q", "3200", "256"])
        self.fails("synth", "--preset", "125m", "-o", "no/such/m.gguf", names=["no/such/m.gguf"])
        self.assertFalse(os.path.exists("never.gguf"))

    def test_help_has_an_example(self):
        self.assertIn("tern synth --preset 2b4t", self.ok("synth", "--help").text)


if __name__ == "__main__":
    unittest.main()
