"""A tiny random bitnet-b1.58 model, as a GGUF file or a Hugging Face folder, made of nothing but the standard library.

The GGUF file is kept as a description (class Gguf) until it is written, so that a test can bend any part of it first.
The vocabulary holds the 256 bytes in GPT-2's alphabet, some merges, and special tokens at the end; only printable ASCII
tokens have rows in the output head, so that whatever the model writes is text.
"""

import functools
import json
import os
import random
import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
SCALARS = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B", U64: "<Q", I64: "<q",
           F64: "<d"}
TYPE_F32, TYPE_F16, TYPE_I2_S = 0, 1, 36
ALIGNMENT = 32

DIM, FFN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, CONTEXT = 128, 256, 2, 2, 1, 64, 256
MERGES = ["t h", "th e", "Ġ the", "a n", "an d"]
SPECIALS = ["<|begin|>", "<|end|>"]


def byte_alphabet():
    """Bytes 0..255 as GPT-2 writes them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(spare)) for b in range(256)]


TOKENS = byte_alphabet() + [m.replace(" ", "") for m in MERGES] + SPECIALS
BOS, EOS = TOKENS.index("<|begin|>"), TOKENS.index("<|end|>")
VOCAB = len(TOKENS)


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def value_bytes(kind, value):
    if kind == STRING:
        return string(value)
    if kind == ARRAY:
        of, items = value
        return struct.pack("<IQ", of, len(items)) + b"".join(value_bytes(of, item) for item in items)
    return struct.pack(SCALARS[kind], value)


class Tensor:
    """shape: outermost first; data: the bytes in the file; dims, when set, go to the header instead of the shape."""

    def __init__(self, name, shape, kind, data):
        self.name, self.shape, self.kind, self.data = name, list(shape), kind, data
        self.dims = None
        self.offset = None  # in the header instead of the true one


class Gguf:
    def __init__(self):
        self.version = 3
        self.values = {}  # key -> (kind, value)
        self.tensors = []
        self.n_tensors = self.n_values = None  # in the header instead of the true counts
        self.borders = []  # of the last bytes(): end of the header, and begin and end of every tensor

    def set(self, key, kind, value):
        self.values[key] = (kind, value)

    def tensor(self, name):
        return next(t for t in self.tensors if t.name == name)

    def remove(self, name):
        self.tensors.remove(self.tensor(name))

    def bytes(self):
        n_tensors = len(self.tensors) if self.n_tensors is None else self.n_tensors
        n_values = len(self.values) if self.n_values is None else self.n_values
        head = b"GGUF" + struct.pack("<IQQ", self.version, n_tensors, n_values)
        for key, (kind, value) in self.values.items():
            head += string(key) + struct.pack("<I", kind) + value_bytes(kind, value)
        data, places = b"", []
        for t in self.tensors:
            data += b"\0" * (-len(data) % ALIGNMENT)
            places.append((len(data), len(data) + len(t.data)))
            dims = t.dims if t.dims is not None else t.shape[::-1]
            offset = places[-1][0] if t.offset is None else t.offset
            head += string(t.name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
            head += struct.pack("<IQ", t.kind, offset)
            data += t.data
        self.borders = [len(head)]
        head += b"\0" * (-len(head) % ALIGNMENT)
        for begin, end in places:
            self.borders += [len(head) + begin, len(head) + end]
        return head + data

    def write(self, path):
        with open(path, "wb") as file:
            file.write(self.bytes())
        return path


def pack_i2_s(values, scale):
    """values: -1, 0, +1, flat, a multiple of 128. Blocks of 128 in 32 bytes, then the scale (docs/formats.md)."""
    assert len(values) % 128 == 0
    out = bytearray()
    for block in range(0, len(values), 128):
        for j in range(32):
            a, b, c, d = (values[block + j + 32 * k] + 1 for k in range(4))
            out.append(a << 6 | b << 4 | c << 2 | d)
    return bytes(out) + struct.pack("<f", scale) + bytes(28)


def halves(values):
    return struct.pack(f"<{len(values)}e", *values)


def floats(values):
    return struct.pack(f"<{len(values)}f", *values)


def head_rows(rng):
    """Rows of the output head: zero for all tokens but printable ASCII."""
    rows = []
    for token in TOKENS:
        printable = token in SPECIALS[1:] or all(33 <= ord(c) < 127 or c == "Ġ" for c in token)
        rows.append([rng.gauss(0, 1) if printable and token not in SPECIALS else 0.0 for _ in range(DIM)])
    return rows


@functools.lru_cache(maxsize=None)
def packed_tensors(seed):
    """(name, shape, type, bytes) of every tensor of the file."""
    w = Weights(seed)
    found = [("token_embd.weight", (VOCAB, DIM), TYPE_F16, halves([x for row in w.embedding for x in row]))]
    for i, layer in enumerate(w.layers):
        for name, part in layer.items():
            if isinstance(part, tuple):
                rows, cols, values, scale = part
                found.append((f"blk.{i}.{name}.weight", (rows, cols), TYPE_I2_S, pack_i2_s(values, scale)))
            else:
                found.append((f"blk.{i}.{name}.weight", (len(part),), TYPE_F32, floats(part)))
    found.append(("output_norm.weight", (DIM,), TYPE_F32, floats(w.output_norm)))
    found.append(("output.weight", (VOCAB, DIM), TYPE_F16, halves([x for row in w.head for x in row])))
    return found


class Weights:
    """Random weights: matrices as lists of -1, 0, +1 with a scale, vectors and tables as floats."""

    def __init__(self, seed=1):
        rng = random.Random(seed)
        self.embedding = [[rng.gauss(0, 1) for _ in range(DIM)] for _ in TOKENS]
        self.head = head_rows(rng)
        self.output_norm = [1.0] * DIM
        self.layers = []
        q, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
        for _ in range(LAYERS):
            layer = {name: [rng.uniform(0.5, 1.5) for _ in range(size)]
                     for name, size in (("attn_norm", DIM), ("attn_sub_norm", q), ("ffn_norm", DIM), ("ffn_sub_norm", FFN))}
            for name, rows, cols in (("attn_q", q, DIM), ("attn_k", kv, DIM), ("attn_v", kv, DIM), ("attn_output", DIM, q),
                                     ("ffn_gate", FFN, DIM), ("ffn_up", FFN, DIM), ("ffn_down", DIM, FFN)):
                values = rng.choices((-1, 0, 1), k=rows * cols)
                layer[name] = (rows, cols, values, 2.0 ** -rng.randint(2, 4))
            self.layers.append(layer)


def add_vocabulary(gguf):
    gguf.set("tokenizer.ggml.model", STRING, "gpt2")
    gguf.set("tokenizer.ggml.pre", STRING, "llama-bpe")
    gguf.set("tokenizer.ggml.tokens", ARRAY, (STRING, list(TOKENS)))
    gguf.set("tokenizer.ggml.token_type", ARRAY, (I32, [3 if t in SPECIALS else 1 for t in TOKENS]))
    gguf.set("tokenizer.ggml.merges", ARRAY, (STRING, list(MERGES)))
    gguf.set("tokenizer.ggml.bos_token_id", U32, BOS)
    gguf.set("tokenizer.ggml.eos_token_id", U32, EOS)
    gguf.set("tokenizer.ggml.add_bos_token", BOOL, 1)


def make_gguf(seed=1):
    """The whole model as a Gguf, to be bent and written."""
    gguf = Gguf()
    arch = "bitnet-b1.58"
    gguf.set("general.architecture", STRING, arch)
    gguf.set("general.name", STRING, "tiny")
    for key, value in (("context_length", CONTEXT), ("embedding_length", DIM), ("block_count", LAYERS),
                       ("feed_forward_length", FFN), ("attention.head_count", HEADS),
                       ("attention.head_count_kv", KV_HEADS), ("rope.dimension_count", HEAD_DIM)):
        gguf.set(f"{arch}.{key}", U32, value)
    gguf.set(f"{arch}.attention.layer_norm_rms_epsilon", F32, 1e-5)
    gguf.set(f"{arch}.rope.freq_base", F32, 10000.0)
    add_vocabulary(gguf)
    gguf.tensors = [Tensor(*tensor) for tensor in packed_tensors(seed)]
    return gguf


def make_vocabulary_gguf():
    """A file of vocabulary only, as llama.cpp ships them for tests."""
    gguf = Gguf()
    gguf.set("general.architecture", STRING, "llama")
    add_vocabulary(gguf)
    return gguf


# --- Hugging Face folder --------------------------------------------------------------------------------------------

HF_NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
            "attn_sub_norm": "self_attn.attn_sub_norm", "ffn_sub_norm": "mlp.ffn_sub_norm", "attn_q": "self_attn.q_proj",
            "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
            "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def pack_hf(rows, cols, values):
    """uint8 (rows / 4, cols): bits 2i+1:2i of packed row r are row r + i * rows / 4."""
    stripe = rows // 4
    return bytes(sum((values[(r + i * stripe) * cols + c] + 1) << 2 * i for i in range(4))
                 for r in range(stripe) for c in range(cols))


def write_hf_folder(folder, seed=1):
    """The same model, packed as Microsoft does it (the scale multiplies), with tokenizer.json."""
    os.makedirs(folder, exist_ok=True)
    w = Weights(seed)
    entries = {"model.embed_tokens.weight": ("F16", [VOCAB, DIM], halves([x for r in w.embedding for x in r])),
               "lm_head.weight": ("F16", [VOCAB, DIM], halves([x for r in w.head for x in r])),
               "model.norm.weight": ("F32", [DIM], floats(w.output_norm))}
    for i, layer in enumerate(w.layers):
        for name, part in layer.items():
            base = f"model.layers.{i}.{HF_NAMES[name]}"
            if isinstance(part, tuple):
                rows, cols, values, scale = part
                entries[f"{base}.weight"] = ("U8", [rows // 4, cols], pack_hf(rows, cols, values))
                entries[f"{base}.weight_scale"] = ("F32", [1], floats([scale]))
            else:
                entries[f"{base}.weight"] = ("F32", [len(part)], floats(part))
    header, data = {}, b""
    for name, (kind, shape, content) in entries.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    write_json(folder, "config.json", {
        "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "hidden_size": DIM, "intermediate_size": FFN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "hidden_act": "relu2",
        "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": VOCAB,
        "tie_word_embeddings": False, "bos_token_id": BOS, "eos_token_id": EOS,
        "quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}})
    write_json(folder, "tokenizer.json", tokenizer_json())
    write_json(folder, "tokenizer_config.json", {"bos_token": SPECIALS[0], "eos_token": SPECIALS[1], "add_bos_token": True})
    return folder


def tokenizer_json():
    # The pre-tokenizer expression of Llama 3.
    expression = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
                  r"\s*[\r\n]+|\s+(?!\S)|\s+")
    return {
        "version": "1.0",
        "added_tokens": [{"id": TOKENS.index(t), "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for t in SPECIALS],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": SPECIALS[0], "type_id": 0}},
                                      {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [], "special_tokens": {SPECIALS[0]: {"id": SPECIALS[0], "ids": [BOS],
                                                                        "tokens": [SPECIALS[0]]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
                  "vocab": {t: i for i, t in enumerate(TOKENS) if t not in SPECIALS}, "merges": list(MERGES)}}


def write_json(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False)
