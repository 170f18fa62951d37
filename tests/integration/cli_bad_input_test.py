"""Model files with a fault: each ends in one clear line that names the file and the culprit, and exit code 1."""

import math
import os
import struct
import unittest

import tiny_model
from cli_support import CliTest
from tiny_model import ARRAY, DIM, F32, FFN, I32, STRING, TYPE_F32, U32, U64, VOCAB, Tensor

MATRIX = "blk.1.ffn_up.weight"
NORM = "blk.0.attn_norm.weight"
ARCH = "bitnet-b1.58"


class BadInput(CliTest):
    @classmethod
    def setUpClass(cls):
        cls.good = tiny_model.make_gguf().bytes()

    def refused(self, content, *names):
        """Every command that opens the file refuses it with the same line."""
        if isinstance(content, tiny_model.Gguf):
            content = content.bytes()
        with open("bad.gguf", "wb") as file:
            file.write(content)
        run = self.fails("run", "-m", "bad.gguf", "-p", "a", "-n", 1, names=["bad.gguf", *names])
        logits = self.fails("logits", "-m", "bad.gguf", "--ids", 1, "-o", "never.f32", names=["bad.gguf"])
        return run, logits

    def bent(self, bend):
        gguf = tiny_model.make_gguf()
        bend(gguf)
        return gguf

    # --- The file as such ---------------------------------------------------------------------------------------

    def test_a_file_that_is_not_there(self):
        for command in (("run", "-p", "a"), ("tokenize", "-p", "a"), ("logits", "--ids", 1, "-o", "x"), ("chat",)):
            self.fails(*command, "-m", "missing.gguf", names=["missing.gguf"])

    def test_a_folder_without_a_model(self):
        os.makedirs("empty_folder", exist_ok=True)
        self.fails("run", "-m", "empty_folder", "-p", "a", names=["empty_folder", "config.json"])

    def test_an_empty_file_and_files_of_another_kind(self):
        self.refused(b"")
        self.refused(b"GGUF")
        self.refused(b"hello, world\n" * 100)
        self.refused(bytes(4096))

    def test_a_file_name_cannot_break_the_line(self):
        self.fails("run", "-m", "a\nb.gguf", "-p", "a", names=["a\\nb.gguf"])

    # --- Truncation ---------------------------------------------------------------------------------------------

    def test_a_cut_at_every_border_and_beside_it(self):
        gguf = tiny_model.make_gguf()
        content = gguf.bytes()
        last_end = gguf.borders[-1]
        for border in sorted(set(gguf.borders)):
            for cut in (border - 1, border, border + 1):
                if cut < last_end:
                    self.cut(content, cut)

    def test_a_cut_in_the_header(self):
        gguf = tiny_model.make_gguf()
        content = gguf.bytes()
        header = gguf.borders[0]
        for cut in [*range(0, 64), *range(64, header, max(1, header // 60)), header - 1]:
            self.cut(content, cut)

    def cut(self, content, size):
        with open("cut.gguf", "wb") as file:
            file.write(content[:size])
        self.fails("logits", "-m", "cut.gguf", "--ids", 1, "-o", "never.f32", names=["cut.gguf"])

    # --- The header ---------------------------------------------------------------------------------------------

    def test_versions_that_are_none(self):
        for version in (0, 1, 4, 0x03000000):
            self.refused(self.bent(lambda g, v=version: setattr(g, "version", v)), "version")

    def test_counts_that_overflow_or_exceed_the_file(self):
        for count in (1 << 20, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
            self.refused(self.bent(lambda g, c=count: setattr(g, "n_tensors", c)), str(count))
            self.refused(self.bent(lambda g, c=count: setattr(g, "n_values", c)), str(count))

    def test_an_array_and_a_string_longer_than_the_file(self):
        at = self.good.index(b"tokenizer.ggml.tokens") + len("tokenizer.ggml.tokens") + 8  # the array's count
        for count in (1 << 32, 1 << 60, (1 << 64) - 1):
            content = bytearray(self.good)
            content[at:at + 8] = struct.pack("<Q", count)
            self.refused(bytes(content), "tokenizer.ggml.tokens")

    def test_duplicate_names(self):
        self.refused(self.bent(lambda g: setattr(g.tensor(NORM), "name", MATRIX)), MATRIX)

    def test_dimensions_that_overflow(self):
        for dims in ((1 << 40, 1 << 40), (1 << 63, 2), (DIM, 1 << 62), (0, DIM)):
            self.refused(self.bent(lambda g, d=dims: setattr(g.tensor(MATRIX), "dims", d)), MATRIX)
        self.refused(self.bent(lambda g: setattr(g.tensor(MATRIX), "dims", (2,) * 5)), MATRIX)

    def test_offsets_outside_the_file_and_off_the_alignment(self):
        for offset in (1 << 30, (1 << 64) - 32, 17):
            self.refused(self.bent(lambda g, o=offset: setattr(g.tensor(MATRIX), "offset", o)), MATRIX)

    def test_alignments_that_are_none(self):
        for kind, value in ((U32, 24), (U32, 0), (U64, 32), (STRING, "32")):
            self.refused(self.bent(lambda g, k=kind, v=value: g.set("general.alignment", k, v)), "general.alignment")

    def test_unknown_types(self):
        self.refused(self.bent(lambda g: setattr(g.tensor(MATRIX), "kind", 999)), MATRIX, "999")
        self.refused(self.bent(unknown_value), "general.extra")

    # --- The model ----------------------------------------------------------------------------------------------

    def test_keys_that_are_missing_of_another_kind_or_out_of_range(self):
        for key in ("embedding_length", "block_count", "feed_forward_length", "attention.head_count"):
            name = f"{ARCH}.{key}"
            self.refused(self.bent(lambda g, n=name: g.values.pop(n)), name)
            self.refused(self.bent(lambda g, n=name: g.set(n, STRING, "many")), name)
            for value in (0, 0xffffffff):
                self.refused(self.bent(lambda g, n=name, v=value: g.set(n, U32, v)), name, str(value))
        self.refused(self.bent(lambda g: g.values.pop("general.architecture")), "general.architecture")
        self.refused(self.bent(lambda g: g.set("general.architecture", STRING, "mamba")), "mamba")
        self.refused(self.bent(lambda g: g.set(f"{ARCH}.attention.head_count_kv", U32, 3)), "head_count_kv", "3")
        self.refused(self.bent(lambda g: g.set(f"{ARCH}.rope.freq_base", F32, math.nan)), "rope.freq_base", "nan")
        self.refused(self.bent(lambda g: g.set(f"{ARCH}.attention.layer_norm_rms_epsilon", F32, -1.0)), "epsilon", "-1")

    def test_missing_and_misshapen_tensors(self):
        for name in ("token_embd.weight", "output_norm.weight", NORM, MATRIX, "blk.1.attn_sub_norm.weight"):
            self.refused(self.bent(lambda g, n=name: g.remove(n)), name, "missing")
        self.refused(self.bent(lambda g: setattr(g.tensor(MATRIX), "dims", (FFN, DIM))), MATRIX, str(FFN), str(DIM))
        self.refused(self.bent(lambda g: g.set(f"{ARCH}.block_count", U32, 3)), "blk.2.", "missing")

        def shorter(gguf):
            gguf.tensor(NORM).shape = [DIM - 1]
            gguf.tensor(NORM).data = bytes(4 * (DIM - 1))
        self.refused(self.bent(shorter), NORM, str(DIM - 1), str(DIM))

    def test_a_dense_matrix_where_a_ternary_one_belongs(self):
        def dense(gguf):
            gguf.tensors[gguf.tensors.index(gguf.tensor(MATRIX))] = Tensor(MATRIX, (FFN, DIM), TYPE_F32, bytes(4 * FFN * DIM))
        self.refused(self.bent(dense), MATRIX, "F32", "ternary")

    def test_illegal_codes(self):
        def code_three(gguf):
            data = bytearray(gguf.tensor(MATRIX).data)
            data[100] |= 0x03
            gguf.tensor(MATRIX).data = bytes(data)
        self.refused(self.bent(code_three), MATRIX)

    def test_scales_and_norms_that_are_not_finite(self):
        for value in (math.nan, math.inf, -math.inf):
            def scale(gguf, v=value):
                tensor = gguf.tensor(MATRIX)
                tensor.data = tensor.data[:-32] + struct.pack("<f", v) + bytes(28)
            self.refused(self.bent(scale), MATRIX, str(value).lstrip("-"))

            def norm(gguf, v=value):
                tensor = gguf.tensor(NORM)
                tensor.data = struct.pack("<f", v) + tensor.data[4:]
            self.refused(self.bent(norm), NORM, str(value).lstrip("-"))

    # --- The vocabulary -----------------------------------------------------------------------------------------

    def text_refused(self, bend, *names):
        """The logits are none of the tokenizer's business."""
        self.bent(bend).write("bad.gguf")
        self.fails("run", "-m", "bad.gguf", "-p", "a", "-n", 1, names=["bad.gguf", *names])
        self.ok("logits", "-m", "bad.gguf", "--ids", 1, "-o", "x.f32")

    def test_a_vocabulary_smaller_or_larger_than_the_embedding(self):
        def smaller(gguf):
            tokens = gguf.values["tokenizer.ggml.tokens"][1][1][:200]
            gguf.set("tokenizer.ggml.tokens", ARRAY, (STRING, tokens))
            gguf.set("tokenizer.ggml.token_type", ARRAY, (I32, [1] * 200))
            gguf.set("tokenizer.ggml.merges", ARRAY, (STRING, []))
            gguf.set("tokenizer.ggml.bos_token_id", U32, 0)
            gguf.set("tokenizer.ggml.eos_token_id", U32, 1)
        self.text_refused(smaller, "200", str(VOCAB))

        def larger(gguf):
            tokens = gguf.values["tokenizer.ggml.tokens"][1][1] + ["more"]
            gguf.set("tokenizer.ggml.tokens", ARRAY, (STRING, tokens))
            gguf.set("tokenizer.ggml.token_type", ARRAY, (I32, [1] * len(tokens)))
        self.text_refused(larger, str(VOCAB + 1), str(VOCAB))

    def test_a_vocabulary_that_contradicts_itself(self):
        self.text_refused(lambda g: g.values.pop("tokenizer.ggml.model"), "tokenizer")
        self.text_refused(lambda g: g.values.pop("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens")
        self.text_refused(lambda g: g.set("tokenizer.ggml.model", STRING, "wordpiece"), "wordpiece")
        self.text_refused(lambda g: g.set("tokenizer.ggml.token_type", ARRAY, (I32, [1])), "token_type")
        self.text_refused(lambda g: g.set("tokenizer.ggml.eos_token_id", U32, VOCAB), "eos_token_id", str(VOCAB))
        self.text_refused(lambda g: g.values.pop("tokenizer.ggml.merges"), "tokenizer.ggml.merges")
        self.text_refused(lambda g: g.set("tokenizer.ggml.pre", STRING, "unheard-of"), "unheard-of")


class BadFolder(CliTest):
    def setUp(self):
        tiny_model.write_hf_folder("folder")

    def refused(self, *names):
        self.fails("run", "-m", "folder", "-p", "a", "-n", 1, names=["folder", *names])

    def test_a_cut_in_the_weights(self):
        with open("folder/model.safetensors", "rb") as file:
            content = file.read()
        header = 8 + struct.unpack("<Q", content[:8])[0]
        for cut in (0, 7, 8, 9, header - 1, header, header + 1, len(content) - 1):
            with open("folder/model.safetensors", "wb") as file:
                file.write(content[:cut])
            self.refused("model.safetensors")

    def test_a_header_longer_than_the_file(self):
        with open("folder/model.safetensors", "r+b") as file:
            file.write(struct.pack("<Q", (1 << 64) - 1))
        self.refused("model.safetensors")

    def test_configurations_that_are_none(self):
        for content in ("", "{", "[]", "{}", '{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}', "[" * 100000):
            with open("folder/config.json", "w", encoding="utf-8") as file:
                file.write(content)
            self.refused("config.json")

    def test_tokenizers_that_are_none(self):
        for content in ("", "{", "[]", "{}", '{"model": {"type": "Unigram"}}', "[" * 100000):
            with open("folder/tokenizer.json", "w", encoding="utf-8") as file:
                file.write(content)
            self.refused("tokenizer.json")

    def test_files_that_are_missing(self):
        os.remove("folder/model.safetensors")
        self.refused("safetensors")
        os.remove("folder/config.json")
        self.refused("config.json")


def unknown_value(gguf):
    """A value of a type that the format does not have."""
    tiny_model.SCALARS[99] = "<I"
    gguf.set("general.extra", 99, 0)


class Good(CliTest):
    def test_the_model_that_the_faults_are_planted_in_runs(self):
        tiny_model.make_gguf().write("good.gguf")
        self.ok("run", "-m", "good.gguf", "-p", "a", "-n", 1)


if __name__ == "__main__":
    unittest.main()
