"""tern tokenize and tern detokenize."""

import json
import os
import unittest

import tiny_model
from cli_support import CliTest, tern
from tiny_model import BOS, EOS, TOKENS

A = TOKENS.index("a")
TEXT = "Once upon a time, thé end\n\n  of 1234 🙂 \"tales\"\t."


class Tokenize(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write("tiny.gguf")
        tiny_model.make_vocabulary_gguf().write("vocabulary.gguf")
        tiny_model.write_hf_folder("folder")

    def ids(self, *arguments, **options):
        return [int(i) for i in self.ok("tokenize", *arguments, **options).text.split()]

    def test_the_ids_are_one_line_and_come_back_as_the_text(self):
        outcome = self.ok("tokenize", "-m", "tiny.gguf", "-p", TEXT)
        self.assertEqual(outcome.stderr, "")
        self.assertEqual(outcome.text.count("\n"), 1)
        ids = outcome.text.split()
        self.assertLess(len(ids), len(TEXT.encode()))  # some merge was used
        self.assertEqual(self.ok("detokenize", "-m", "tiny.gguf", *ids).text, TEXT + "\n")
        self.assertEqual(self.ok("detokenize", "-m", "tiny.gguf", "--ids", ",".join(ids)).text, TEXT + "\n")
        self.assertEqual(self.ok("detokenize", "-m", "tiny.gguf", "-", stdin=outcome.stdout).text, TEXT + "\n")

    def test_every_kind_of_source_gives_the_same_ids(self):
        expected = self.ids("-m", "tiny.gguf", "-p", TEXT)
        for source in ("vocabulary.gguf", "folder", "folder/tokenizer.json"):
            self.assertEqual(self.ids("-m", source, "-p", TEXT), expected, source)

    def test_files_and_standard_input_are_taken_byte_by_byte(self):
        expected = self.ids("-m", "tiny.gguf", "-p", TEXT + "\n")
        with open("text.txt", "w", encoding="utf-8") as file:
            file.write(TEXT + "\n")
        self.assertEqual(self.ids("-m", "tiny.gguf", "-f", "text.txt"), expected)
        self.assertEqual(self.ids("-m", "tiny.gguf", "-f", "-", stdin=(TEXT + "\n").encode()), expected)
        self.assertEqual(self.ids("-m", "tiny.gguf", "-", stdin=(TEXT + "\n").encode()), expected)

    def test_special_tokens_are_text_unless_asked_for(self):
        self.assertNotIn(EOS, self.ids("-m", "tiny.gguf", "-p", "<|end|>"))
        self.assertEqual(self.ids("-m", "tiny.gguf", "--special", "-p", "<|end|>"), [EOS])
        self.assertEqual(self.ids("-m", "tiny.gguf", "--bos", "-p", ""), [BOS])
        self.assertEqual(self.ids("-m", "tiny.gguf", "-p", ""), [])

    def test_pieces_are_shown_one_a_line(self):
        lines = self.ok("tokenize", "-m", "tiny.gguf", "--pieces", "-p", "the\né\"").text.splitlines()
        found = [line.split(maxsplit=1) for line in lines]
        self.assertEqual([int(i) for i, _ in found], self.ids("-m", "tiny.gguf", "-p", "the\né\""))
        self.assertEqual([piece for _, piece in found], ['"the"', '"\\n"', '"\\xc3"', '"\\xa9"', '"""'])

    def test_jsonl_gives_a_line_for_a_line_and_comes_back(self):
        texts = [TEXT, "", "<|end|>", "line\nline", "the and"] * 200
        with open("texts.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": t}) + "\n" for t in texts)
        outcome = self.ok("tokenize", "-m", "tiny.gguf", "--jsonl", "texts.jsonl")
        rows = [json.loads(line) for line in outcome.text.splitlines()]
        self.assertEqual(rows[0]["ids"], self.ids("-m", "tiny.gguf", "-p", TEXT))
        self.assertEqual(rows[1], {"ids": []})
        self.assertNotIn(EOS, rows[2]["ids"])
        back = self.ok("detokenize", "-m", "tiny.gguf", "--jsonl", "-", stdin=outcome.stdout)
        self.assertEqual([json.loads(line)["text"] for line in back.text.splitlines()], texts)

    def test_a_bad_line_is_named_by_its_number(self):
        good = b'{"text": "a"}\n'
        for bad, names in ((b"{\n", []), (b"[1]\n", ["array"]), (b'{"txt": "a"}\n', ["text"]),
                           (b'{"text": 5}\n', ["text", "number"]), (b'{"text": "\\ud83e"}\n', []),
                           (b'{"text": "\xff"}\n', []), (b"[" * 100000 + b"\n", [])):
            with open("bad.jsonl", "wb") as file:
                file.write(good + bad + good)
            outcome = self.run_bad("bad.jsonl")
            for name in ["bad.jsonl", "line 2", *names]:
                self.assertIn(name, outcome.stderr, bad[:40])

    def run_bad(self, path):
        outcome = tern("tokenize", "-m", "tiny.gguf", "--jsonl", path)
        self.assertEqual(outcome.code, 1, outcome)
        self.assertEqual(len(outcome.stderr.splitlines()), 1, outcome)
        self.assertEqual(outcome.text.count("\n"), 1)  # the good line before it
        return outcome

    def test_text_that_is_not_utf8_is_named_by_its_byte(self):
        with open("latin1.txt", "wb") as file:
            file.write("déjà".encode("latin-1"))
        self.fails("tokenize", "-m", "tiny.gguf", "-f", "latin1.txt", names=["latin1.txt", "byte 1", "0xe9"])
        self.fails("tokenize", "-m", "tiny.gguf", "-", stdin=b"ab\xc3", names=["standard input", "byte 2"])
        self.fails("tokenize", "-m", "tiny.gguf", "-p", os.fsdecode(b"a\xff"), names=["byte 1"])

    def test_ids_that_are_none_are_refused(self):
        self.fails("detokenize", "-m", "tiny.gguf", len(TOKENS), names=[str(len(TOKENS)), str(len(TOKENS) - 1)])
        self.fails("detokenize", "-m", "tiny.gguf", "one", code=2, names=["one"])
        self.fails("detokenize", "-m", "tiny.gguf", "--ids", "1,99999999999999", code=2, names=["99999999999999"])

    def test_special_tokens_are_left_out_of_the_text_unless_asked_for(self):
        self.assertEqual(self.ok("detokenize", "-m", "tiny.gguf", BOS, A).text, "a\n")
        self.assertEqual(self.ok("detokenize", "-m", "tiny.gguf", "--special", BOS, A).text, "<|begin|>a\n")

    def test_the_pre_tokenizer_can_be_chosen(self):
        def digits(*arguments):
            return self.ok("tokenize", "-m", "tiny.gguf", "-p", "a", *arguments).code
        self.assertEqual(digits("--pre", "qwen2"), 0)
        self.fails("tokenize", "-m", "tiny.gguf", "-p", "a", "--pre", "nonsense", names=["nonsense"])


if __name__ == "__main__":
    unittest.main()
