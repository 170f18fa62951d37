"""tern logits."""

import json
import os
import struct
import unittest

import tiny_model
from cli_support import CliTest
from tiny_model import CONTEXT, VOCAB

PROMPT = [(7 * i * i + 3 * i) % VOCAB for i in range(150)]  # longer than a chunk of the program


class Logits(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write("tiny.gguf")

    def rows(self, *arguments, model="tiny.gguf"):
        outcome = self.ok("logits", "-m", model, *arguments, "-o", "out.f32")
        self.assertEqual(outcome.stdout, b"")
        with open("out.f32", "rb") as file:
            return self.unpack(file.read())

    def unpack(self, data):
        self.assertEqual(len(data) % (4 * VOCAB), 0)
        values = struct.unpack(f"<{len(data) // 4}f", data)
        return [values[i:i + VOCAB] for i in range(0, len(values), VOCAB)]

    def test_there_is_a_row_for_each_position(self):
        rows = self.rows("--ids", "1,2,3")
        self.assertEqual(len(rows), 3)
        self.assertGreater(max(rows[2]) - min(rows[2]), 0.1)

    def test_a_row_depends_on_no_later_token_and_on_no_chunk_border(self):
        whole = self.rows("--ids", ",".join(map(str, PROMPT)))
        self.assertEqual(len(whole), len(PROMPT))
        for length in (1, 63, 64, 65, 128, 149):
            self.assertEqual(self.rows("--ids", ",".join(map(str, PROMPT[:length]))), whole[:length], length)

    def test_prompts_of_a_file_start_afresh_each(self):
        prompts = [PROMPT[:5], PROMPT[3:80], [0]]
        expected = [row for p in prompts for row in self.rows("--ids", ",".join(map(str, p)))]
        for name, content in (("arrays.json", prompts), ("object.json", {"prompts": prompts, "other": 1})):
            with open(name, "w", encoding="utf-8") as file:
                json.dump(content, file)
            self.assertEqual(self.rows("--ids-file", name), expected)
        with open("one.json", "w", encoding="utf-8") as file:
            json.dump(prompts[1], file)
        self.assertEqual(self.rows("--ids-file", "one.json"), expected[5:82])

    def test_threads_change_no_bit(self):
        ids = ",".join(map(str, PROMPT))
        one = self.rows("--ids", ids, "-t", "1")
        for threads in (2, 3, 5):
            self.assertEqual(self.rows("--ids", ids, "-t", threads), one)

    def test_float_and_int8_activations_are_near_each_other_and_not_the_same(self):
        int8, real = self.rows("--ids", "5,6,7", "--activations", "int8"), self.rows("--ids", "5,6,7", "--activations", "float")
        self.assertNotEqual(int8, real)
        self.assertEqual(self.rows("--ids", "5,6,7"), int8)  # what the architecture was trained with
        for a, b in zip(int8, real):
            error = sum((x - y) ** 2 for x, y in zip(a, b)) ** 0.5
            self.assertLess(error, 0.3 * sum(y * y for y in b) ** 0.5)

    def test_standard_output_takes_the_rows_too(self):
        outcome = self.ok("logits", "-m", "tiny.gguf", "--ids", "1,2,3", "-o", "-")
        self.assertEqual(self.unpack(outcome.stdout), self.rows("--ids", "1,2,3"))

    def test_a_model_without_a_tokenizer_will_do(self):
        gguf = tiny_model.make_gguf()
        for key in [k for k in gguf.values if k.startswith("tokenizer.")]:
            del gguf.values[key]
        gguf.write("bare.gguf")
        self.assertEqual(self.rows("--ids", "1,2,3", model="bare.gguf"), self.rows("--ids", "1,2,3"))
        self.fails("run", "-m", "bare.gguf", "-p", "a", names=["bare.gguf", "tokenizer"])

    def test_ids_outside_the_vocabulary_are_refused(self):
        self.fails("logits", "-m", "tiny.gguf", "--ids", f"1,{VOCAB}", "-o", "never.f32",
                   names=[str(VOCAB), f"0 to {VOCAB - 1}", "position 1"])
        self.fails("logits", "-m", "tiny.gguf", "--ids", "1,x", "-o", "never.f32", names=["'x'"])
        self.fails("logits", "-m", "tiny.gguf", "--ids", "-1", "-o", "never.f32", names=["'-1'"])
        self.fails("logits", "-m", "tiny.gguf", "--ids", ",", "-o", "never.f32", names=["at least one"])
        self.assertFalse(os.path.exists("never.f32"))

    def test_more_ids_than_the_context_holds_are_refused(self):
        ids = ",".join(["1"] * (CONTEXT + 1))
        self.fails("logits", "-m", "tiny.gguf", "--ids", ids, "-o", "never.f32", names=[str(CONTEXT + 1), str(CONTEXT)])

    def test_files_of_ids_that_are_none_are_refused(self):
        for content in ("", "{}", "[[1], 2]", "[1, -2]", "[1.5]", '["a"]', '{"prompts": 3}', "[[1], []]", "[" * 5000, "5",
                        "[1e99]", "[99999999999999999999]"):
            with open("bad.json", "w", encoding="utf-8") as file:
                file.write(content)
            names = [] if content == "[[1], []]" else ["bad.json"]
            self.fails("logits", "-m", "tiny.gguf", "--ids-file", "bad.json", "-o", "never.f32", names=names)

    def test_an_output_that_cannot_be_written_is_refused(self):
        self.fails("logits", "-m", "tiny.gguf", "--ids", "1", "-o", "no/such/folder.f32", names=["no/such/folder.f32"])


if __name__ == "__main__":
    unittest.main()
