"""tern convert: the written file is the same model."""

import json
import os
import unittest

import tiny_model
from cli_support import CliTest

IDS = "5,80,66,7,7,200"


class Convert(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write("tiny.gguf")
        tiny_model.write_hf_folder("folder")

    def logits(self, model):
        return self.ok("logits", "-m", model, "--ids", IDS, "-o", "-").stdout

    def test_a_folder_becomes_a_file_with_the_same_logits_tokens_and_text(self):
        outcome = self.ok("convert", "folder", "out.gguf")
        self.assertIn("I2_S", outcome.text)
        self.assertIn("exact", outcome.text)
        self.assertEqual(self.logits("out.gguf"), self.logits("folder"))
        self.assertEqual(self.logits("out.gguf"), self.logits("tiny.gguf"))
        text = "The end, thé 1234 <|end|>"
        for arguments in ((), ("--special",), ("--bos",)):
            self.assertEqual(self.ok("tokenize", "-m", "out.gguf", "-p", text, *arguments).stdout,
                             self.ok("tokenize", "-m", "folder", "-p", text, *arguments).stdout)
        self.assertTrue(json.loads(self.ok("info", "out.gguf", "--json").text)["runs"])

    def test_every_ternary_type_that_fits_keeps_the_logits(self):
        # The tiny model's scales are powers of two, which binary16 keeps exactly. Rows of 128 suit no group of 256.
        self.ok("convert", "tiny.gguf", "q2_0.gguf", "--type", "q2_0")
        self.assertEqual(self.logits("q2_0.gguf"), self.logits("tiny.gguf"))
        types = {t["type"] for t in json.loads(self.ok("info", "q2_0.gguf", "--json").text)["types"]}
        self.assertIn("Q2_0", types)
        for kind in ("tq1_0", "tq2_0"):
            self.fails("convert", "tiny.gguf", "never.gguf", "--type", kind, names=["tiny.gguf", "attn_q", "256"])
        self.assertFalse(os.path.exists("never.gguf"))

    def test_the_embedding_type_can_be_chosen(self):
        for kind in ("f32", "f16", "bf16", "q8_0"):
            self.ok("convert", "tiny.gguf", f"{kind}.gguf", "--embedding", kind)
            types = {t["type"] for t in json.loads(self.ok("info", f"{kind}.gguf", "--json").text)["types"]}
            self.assertIn(kind.upper(), types)
        self.assertEqual(self.logits("f32.gguf"), self.logits("tiny.gguf"))
        self.fails("convert", "tiny.gguf", "never.gguf", "--embedding", "q4_k", code=2, names=["q4_k"])

    def test_a_file_is_replaced_only_on_demand(self):
        with open("precious.gguf", "w", encoding="utf-8") as file:
            file.write("precious")
        self.fails("convert", "folder", "precious.gguf", names=["precious.gguf", "--force"])
        with open("precious.gguf", encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")
        self.ok("convert", "folder", "precious.gguf", "--force")
        self.assertEqual(self.logits("precious.gguf"), self.logits("folder"))

    def test_a_failed_conversion_leaves_nothing_behind(self):
        before = set(os.listdir("."))
        gguf = tiny_model.make_gguf()
        gguf.remove("blk.1.ffn_up.weight")
        gguf.write("broken.gguf")
        self.fails("convert", "broken.gguf", "out2.gguf", names=["broken.gguf", "blk.1.ffn_up.weight"])
        self.fails("convert", "missing.gguf", "out2.gguf", names=["missing.gguf"])
        self.fails("convert", "tiny.gguf", "no/such/folder.gguf", names=["no/such/folder.gguf"])
        self.assertEqual(set(os.listdir(".")), before | {"broken.gguf"})

    def test_a_model_without_a_tokenizer_is_converted_with_a_note(self):
        tiny_model.write_hf_folder("bare")
        os.remove("bare/tokenizer.json")
        os.remove("bare/tokenizer_config.json")
        outcome = self.ok("convert", "bare", "bare.gguf")
        self.assertIn("tokenizer", outcome.stderr)
        self.assertEqual(self.logits("bare.gguf"), self.logits("folder"))


if __name__ == "__main__":
    unittest.main()
