"""tern info: readable files are explained, whether tern can run them or not."""

import json
import os
import unittest

import tiny_model
from cli_support import CliTest
from tiny_model import DIM, FFN, HEAD_DIM, HEADS, KV_HEADS, LAYERS, VOCAB

TYPE_TL1 = 38
TYPE_Q4_0 = 2


class Info(CliTest):
    def report(self, path, *arguments):
        return json.loads(self.ok("info", *arguments, path, "--json").text)

    def refused(self, gguf, *names):
        """Readable, explained, not runnable: the reason has all the names and stands in the text, too."""
        path = gguf.write("refused.gguf")
        report = self.report(path)
        self.assertFalse(report["runs"])
        for name in names:
            self.assertIn(name, report["obstacle"])
        self.assertIn(report["obstacle"], self.ok("info", path).text)
        return report

    def test_a_model_is_described(self):
        path = tiny_model.make_gguf().write("tiny.gguf")
        report = self.report(path)
        self.assertTrue(report["runs"])
        self.assertIsNone(report["obstacle"])
        self.assertEqual(report["format"], "GGUF v3")
        self.assertEqual(report["architecture"], "bitnet-b1.58")
        self.assertEqual(report["name"], "tiny")
        self.assertEqual(report["file_bytes"], os.path.getsize(path))
        config = report["config"]
        self.assertEqual([config[k] for k in ("layers", "dim", "ffn", "vocab", "heads", "kv_heads", "head_dim")],
                         [LAYERS, DIM, FFN, VOCAB, HEADS, KV_HEADS, HEAD_DIM])
        types = {t["type"]: t for t in report["types"]}
        self.assertEqual(set(types), {"I2_S", "F16", "F32"})
        ternary = LAYERS * (2 * DIM * DIM + 2 * KV_HEADS * HEAD_DIM * DIM + 3 * DIM * FFN)
        self.assertEqual(types["I2_S"]["values"], ternary)
        self.assertEqual(types["I2_S"]["tensors"], 7 * LAYERS)
        self.assertEqual(types["I2_S"]["bytes"], ternary // 4 + 32 * 7 * LAYERS)
        self.assertEqual(types["I2_S"]["scales"], "one per tensor")
        self.assertEqual(types["F16"]["values"], 2 * VOCAB * DIM)
        tokenizer = report["tokenizer"]
        self.assertEqual((tokenizer["tokens"], tokenizer["pre"], tokenizer["bos"], tokenizer["eos"]),
                         (VOCAB, "llama-bpe", tiny_model.BOS, tiny_model.EOS))
        self.assertEqual(report["memory"]["kv_cache"], 2 * LAYERS * 256 * KV_HEADS * HEAD_DIM * 2)
        self.assertEqual(self.report(path, "--ctx", 128)["memory"]["kv_cache"], 2 * LAYERS * 128 * KV_HEADS * HEAD_DIM * 2)
        self.assertEqual(self.report(path), self.report(path, "-m"))

    def test_every_kernel_runs_or_says_why_not(self):
        report = json.loads(self.ok("info", "--kernels", "--json", env={"TERN_FORCE_ISA": ""}).text)
        self.assertEqual(report["kernels"][-1]["isa"], "scalar")
        self.assertEqual(report["forced"], "")
        for kernel in report["kernels"]:
            self.assertEqual(bool(kernel["rows"]), not kernel["rejected"], kernel)
        self.assertTrue(any(kernel["rows"].startswith("1") for kernel in report["kernels"]), report)
        text = self.ok("info", "--kernels").text
        for kernel in report["kernels"]:
            self.assertIn(kernel["name"], text)

    def test_a_forced_instruction_set_shows(self):
        report = json.loads(self.ok("info", "--kernels", "--json", env={"TERN_FORCE_ISA": "scalar"}).text)
        rows = {kernel["isa"]: kernel["rows"] for kernel in report["kernels"]}
        self.assertEqual(rows.pop("scalar"), "1+")
        self.assertEqual(set(rows.values()) - {""}, set())
        for kernel in report["kernels"][:-1]:
            self.assertRegex(kernel["rejected"], "TERN_FORCE_ISA is scalar|this CPU lacks")
        self.fails("info", "--kernels", env={"TERN_FORCE_ISA": "mmx"}, names=["TERN_FORCE_ISA", "mmx"])

    def test_the_plan_of_each_level(self):
        path = tiny_model.make_gguf().write("tiny.gguf")
        plans = {level: json.loads(self.ok("info", path, "--plan", "--json", "--opt", level).text)
                 for level in ("none", "basic", "aggressive")}
        for level, plan in plans.items():
            self.assertEqual(plan["optimisation"], level)
        qkv = (HEADS + 2 * KV_HEADS) * HEAD_DIM
        self.assertEqual(plans["aggressive"]["query, key, value"], f"one matrix of {qkv} x {DIM}")
        self.assertTrue(plans["basic"]["query, key, value"].startswith("3 matrices: "))
        self.assertIn("scalar", plans["none"]["kernel, any rows"])
        self.assertEqual(plans["aggressive"]["norm, quantise"], "one operation")
        text = self.ok("info", path, "--plan", "--for", "memory", "--cache", "kept", "-t", 3).text
        for part in ("in 3 parts", "kept in kept", "256 positions", "32 rows a pass"):
            self.assertIn(part, text)
        self.assertIn("copied from kept", self.ok("info", path, "--plan", "--for", "speed", "--cache", "kept").text)

    def test_levels_change_nothing_in_the_text(self):
        path = tiny_model.make_gguf().write("tiny.gguf")
        texts = {self.ok("run", "-m", path, "-p", "the", "-n", 12, "--temp", 0, "--opt", level).stdout
                 for level in ("none", "basic", "aggressive")}
        self.assertEqual(len(texts), 1)

    def test_the_text_says_the_same(self):
        path = tiny_model.make_gguf().write("tiny.gguf")
        text = self.ok("info", path).text
        for part in (path, "GGUF v3", "bitnet-b1.58", "I2_S", "one per tensor", "byte-level BPE", "llama-bpe", "tern runs it  yes"):
            self.assertIn(part, text)

    def test_tensors_are_listed_on_demand(self):
        path = tiny_model.make_gguf().write("tiny.gguf")
        self.assertNotIn("tensors", self.report(path))
        tensors = {t["name"]: t for t in self.report(path, "--tensors")["tensors"]}
        self.assertEqual(tensors["blk.1.ffn_down.weight"]["shape"], [DIM, FFN])
        self.assertEqual(tensors["blk.1.ffn_down.weight"]["bytes"], DIM * FFN // 4 + 32)
        self.assertIn("blk.1.ffn_down.weight", self.ok("info", path, "--tensors").text)

    def test_a_folder_is_described(self):
        report = self.report(tiny_model.write_hf_folder("folder"))
        self.assertTrue(report["runs"])
        self.assertIn("Hugging Face", report["format"])
        self.assertEqual(report["architecture"], "bitnet-b1.58")
        self.assertEqual(report["file_bytes"], os.path.getsize("folder/model.safetensors"))

    def test_a_vocabulary_is_described(self):
        report = self.refused(tiny_model.make_vocabulary_gguf(), "no weights", "tokenize")
        self.assertEqual(report["tokenizer"]["tokens"], VOCAB)

    def test_a_tokenizer_file_is_described(self):
        tiny_model.write_hf_folder("folder")
        report = self.report("folder/tokenizer.json")
        self.assertFalse(report["runs"])
        self.assertEqual(report["tokenizer"]["tokens"], VOCAB)

    def test_tl1_is_refused_with_the_reason(self):
        gguf = tiny_model.make_gguf()
        for tensor in gguf.tensors:
            if tensor.kind == tiny_model.TYPE_I2_S:
                tensor.kind = TYPE_TL1
        report = self.refused(gguf, "TL1", "blk.0.attn_q.weight", "tile", "convert")
        self.assertEqual(report["types"][0]["type"], "TL1")
        self.fails("run", "-m", "refused.gguf", "-p", "a", names=["refused.gguf", "TL1", "tile", "convert"])

    def test_rotated_weights_are_refused_with_the_reason(self):
        gguf = tiny_model.make_gguf()
        gguf.set("prism.hadamard.version", tiny_model.U32, 1)
        report = self.refused(gguf, "prism.hadamard.version", "rotat")
        self.assertEqual(report["architecture"], "bitnet-b1.58")
        self.fails("run", "-m", "refused.gguf", "-p", "a", names=["refused.gguf", "prism.hadamard.version"])

    def test_an_unknown_architecture_is_refused_with_the_known_ones(self):
        gguf = tiny_model.make_gguf()
        gguf.set("general.architecture", tiny_model.STRING, "mamba")
        self.refused(gguf, "mamba", "bitnet-b1.58", "llama", "qwen3")

    def test_dense_weights_are_refused_as_no_ternary_model(self):
        gguf = tiny_model.make_gguf()
        tensor = gguf.tensor("blk.0.ffn_up.weight")
        tensor.kind, tensor.data = TYPE_Q4_0, bytes(FFN * DIM // 32 * 18)
        self.refused(gguf, "blk.0.ffn_up.weight", "Q4_0", "ternary")

    def test_a_missing_tensor_is_named(self):
        gguf = tiny_model.make_gguf()
        gguf.remove("blk.1.attn_k.weight")
        self.refused(gguf, "blk.1.attn_k.weight", "missing")

    def test_what_cannot_be_read_at_all_is_a_failure(self):
        self.fails("info", "no-such-file.gguf", names=["no-such-file.gguf"])
        with open("text.gguf", "w", encoding="utf-8") as file:
            file.write("hello\n")
        self.fails("info", "text.gguf", names=["text.gguf"])


if __name__ == "__main__":
    unittest.main()
