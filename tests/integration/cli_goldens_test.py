"""Small checkpoints with logits by transformers: tern logits must agree, from the folder and after tern convert."""

import json
import math
import os
import statistics
import struct
import unittest

from cli_support import CliTest, skip_all

ROOT = os.path.join(os.environ["TERN_SHARED_DATA"], "hf-goldens")
CHECKPOINTS = ("a-bitnet-master", "a-bitnet-packed", "a-llama-packed", "a-qwen3-g128")
TRAINED_WITH_INT8 = CHECKPOINTS[:3]


def read_rows(data, vocab):
    return [row for row in struct.iter_unpack(f"<{vocab}f", data)]


def relative_errors(rows, expected):
    return [math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y)) / sum(b * b for b in y)) for x, y in zip(rows, expected)]


class Goldens(CliTest):
    def logits(self, model, checkpoint, activations):
        folder = os.path.join(ROOT, checkpoint)
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            vocab = json.load(file)["vocab_size"]
        options = ("--activations", activations) if activations else ()
        data = self.ok("logits", "-m", model, "--ids-file", os.path.join(folder, "golden.json"), *options, "-o", "-").stdout
        name = "logits_float.f32" if activations == "float" else "logits.f32"
        with open(os.path.join(folder, name), "rb") as file:
            expected = read_rows(file.read(), vocab)
        rows = read_rows(data, vocab)
        self.assertEqual(len(rows), len(expected))
        return rows, expected

    def check_float(self, model, checkpoint):
        rows, expected = self.logits(model, checkpoint, "float")
        errors = relative_errors(rows, expected)
        print(f"{checkpoint} {os.path.basename(model)} float: median {statistics.median(errors):.2e}, worst {max(errors):.2e}")
        self.assertLessEqual(statistics.median(errors), 1e-5)
        self.assertLessEqual(max(errors), 5e-5)
        for x, y in zip(rows, expected):
            self.assertEqual(x.index(max(x)), y.index(max(y)))

    def check_int8(self, model, checkpoint):
        rows, expected = self.logits(model, checkpoint, None)  # what the model was trained with
        errors = relative_errors(rows, expected)
        print(f"{checkpoint} {os.path.basename(model)} int8: median {statistics.median(errors):.2e}, worst {max(errors):.2e}")
        self.assertLessEqual(statistics.median(errors), 3e-2)
        self.assertLessEqual(max(errors), 5e-2)

    def test_folders_agree_in_float(self):
        for checkpoint in CHECKPOINTS:
            with self.subTest(checkpoint):
                self.check_float(os.path.join(ROOT, checkpoint), checkpoint)

    def test_folders_agree_in_int8(self):
        for checkpoint in TRAINED_WITH_INT8:
            with self.subTest(checkpoint):
                self.check_int8(os.path.join(ROOT, checkpoint), checkpoint)

    def test_converted_files_agree(self):
        for checkpoint in CHECKPOINTS:
            with self.subTest(checkpoint):
                path = f"{checkpoint}.gguf"
                self.ok("convert", os.path.join(ROOT, checkpoint), path)
                self.check_float(path, checkpoint)
                if checkpoint in TRAINED_WITH_INT8:
                    self.check_int8(path, checkpoint)


if __name__ == "__main__":
    if not os.path.isdir(ROOT):
        skip_all(f"the checkpoints are not there: {ROOT} (set TERN_SHARED_DATA)")
    unittest.main()
