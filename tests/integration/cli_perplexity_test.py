"""tern perplexity, against the same sum made from the logits that tern logits writes."""

import json
import math
import struct
import unittest

import tiny_model
from cli_support import CliTest
from tiny_model import BOS, EOS, VOCAB

MODEL = ("-m", "tiny.gguf")
TEXT = "The end of the story and the beginning of another one, thé end.\n" * 4


class Perplexity(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write("tiny.gguf")

    def measure(self, text, *arguments):
        with open("text.txt", "w", encoding="utf-8") as file:
            file.write(text)
        return json.loads(self.ok("perplexity", *MODEL, "-f", "text.txt", "--json", *arguments).text)

    def nats(self, ids, window):
        """Sum of -ln p(target) over windows of inputs, each run on its own."""
        total = 0.0
        windows = [ids[i:i + window + 1] for i in range(0, len(ids) - 1, window)]
        with open("windows.json", "w", encoding="utf-8") as file:
            json.dump([w[:-1] for w in windows], file)
        data = self.ok("logits", *MODEL, "--ids-file", "windows.json", "-o", "-").stdout
        rows = struct.iter_unpack(f"<{VOCAB}f", data)
        for target, row in zip([t for w in windows for t in w[1:]], rows):
            top = max(row)
            total += math.log(sum(math.exp(x - top) for x in row)) + top - row[target]
        return total

    def ids(self, text):
        return [int(i) for i in self.ok("tokenize", *MODEL, "-", stdin=text.encode()).text.split()]

    def test_it_is_the_exponential_of_the_mean_surprise(self):
        ids = [BOS] + self.ids(TEXT)
        for window in (16, 100, 256):
            result = self.measure(TEXT, "--ctx", window)
            nats = self.nats(ids, window)
            self.assertEqual(result["tokens"], len(ids) - 1)
            self.assertEqual(result["bytes"], len(TEXT.encode()))
            self.assertAlmostEqual(result["perplexity"] / math.exp(nats / (len(ids) - 1)), 1, places=9)
            self.assertAlmostEqual(result["bits_per_byte"] * len(TEXT.encode()) * math.log(2) / nats, 1, places=9)

    def test_documents_are_joined_by_the_end_of_text(self):
        result = self.measure(" One.\n<|end|>\nTwo and\nthree\n<|end|>\n")
        ids = [BOS] + self.ids("One.") + [EOS] + self.ids("Two and\nthree") + [EOS]
        self.assertEqual(result["tokens"], len(ids) - 1)
        self.assertEqual(result["bytes"], len("One.") + len("Two and\nthree"))
        self.assertAlmostEqual(math.log(result["perplexity"]) * (len(ids) - 1) / self.nats(ids, 256), 1, places=9)

    def test_the_text_output_says_the_same_and_threads_change_nothing(self):
        result = self.measure(TEXT)
        for threads in (1, 3):
            self.assertEqual(self.measure(TEXT, "-t", threads), result)
        outcome = self.ok("perplexity", *MODEL, "-f", "text.txt")
        self.assertRegex(outcome.text, rf"perplexity +{result['perplexity']:.4f}\n")
        self.assertRegex(outcome.text, rf"bits per byte +{result['bits_per_byte']:.4f}\n")
        self.assertEqual(self.ok("perplexity", *MODEL, "-f", "-", stdin=TEXT.encode()).text, outcome.text)

    def test_a_base_is_compared_with(self):
        alone = self.measure(TEXT)
        same = self.measure(TEXT, "--kl-base", "native")
        self.assertEqual((same["kl"], same["same_top"]), (0, 1))
        self.assertEqual(same["base_perplexity"], alone["perplexity"])
        int8 = self.measure(TEXT, "--head", "q8", "--kl-base", "native")
        self.assertEqual(int8["base_perplexity"], alone["perplexity"])
        self.assertEqual(int8["perplexity"], self.measure(TEXT, "--head", "q8")["perplexity"])
        self.assertGreater(int8["kl"], 0)
        self.assertLess(int8["kl"], 1e-2)
        self.assertEqual(self.measure(TEXT, "--head", "q8", "--kl-base", "tiny.gguf")["kl"], int8["kl"])
        outcome = self.ok("perplexity", *MODEL, "-f", "text.txt", "--head", "q8", "--kl-base", "native")
        self.assertRegex(outcome.text, r"KL divergence +[0-9.e-]+ nats, at most [0-9.e-]+\nsame top token [0-9.]+%\n")
        self.fails("perplexity", *MODEL, "-f", "text.txt", "--kl-base", "missing.gguf", names=["missing.gguf"])

    def test_texts_that_cannot_be_measured_are_refused(self):
        open("empty.txt", "w", encoding="utf-8").close()
        self.fails("perplexity", *MODEL, "-f", "empty.txt", names=["empty.txt"])
        self.fails("perplexity", *MODEL, "-f", "missing.txt", names=["missing.txt"])
        with open("binary.txt", "wb") as file:
            file.write(b"abc\xff")
        self.fails("perplexity", *MODEL, "-f", "binary.txt", names=["binary.txt", "byte 3"])


if __name__ == "__main__":
    unittest.main()
