"""Corpus, tokenizer, training windows and the bits-per-byte metric."""

import json
import lzma
import math
import os
import re

import numpy as np
import torch

SEPARATOR = "<|endoftext|>"  # a line of its own between documents; token 0, which serves as BOS and EOS
SETS = ("tinystories_train", "gutenberg_train", "tinystories_valid", "gutenberg_valid")
# The pre-tokenizer expression of Llama 3, with the case-insensitive group written out.
EXPRESSION = (r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
              r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def read_documents(folder, name):
    path = os.path.join(folder, name + ".txt")
    opener = open if os.path.exists(path) else lzma.open
    with opener(path if opener is open else path + ".xz", "rt", encoding="utf-8", newline="") as f:
        parts = re.split(r"^<\|endoftext\|>\r?$", f.read(), flags=re.MULTILINE)
    return [p for p in (part.strip() for part in parts) if p]


def train_tokenizer(texts, vocab, folder):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(EXPRESSION), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=[SEPARATOR], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))  # all 256 bytes: any text can be written
    assert tokenizer.token_to_id(SEPARATOR) == 0
    tokenizer.post_processor = processors.TemplateProcessing(
        single=SEPARATOR + " $A", pair=f"{SEPARATOR} $A {SEPARATOR} $B", special_tokens=[(SEPARATOR, 0)])
    spec = json.loads(tokenizer.to_str())
    spec["model"]["ignore_merges"] = True  # Llama 3's rule: a piece that is a token needs no merging
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(spec, f, ensure_ascii=False, indent=1)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SEPARATOR, "eos_token": SEPARATOR,
                   "add_bos_token": True, "add_eos_token": False, "model_max_length": 512,
                   "clean_up_tokenization_spaces": False}, f, indent=1)


def prepare(corpus, work, vocab, smoke=False):
    """Trains the tokenizer and writes every set as tokens + document offsets + byte count."""
    from tokenizers import Tokenizer

    documents = {name: read_documents(corpus, name)[:300 if smoke else None] for name in SETS}
    # Two thirds of the books are left out here, so that both kinds of text weigh about the same in the merges.
    train_tokenizer(documents["tinystories_train"] + documents["gutenberg_train"][::3], vocab, work)
    tokenizer = Tokenizer.from_file(os.path.join(work, "tokenizer.json"))
    for name, texts in documents.items():
        pieces = [[0] + e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
        offsets = np.cumsum([0] + [len(p) for p in pieces])
        n_bytes = sum(len(t.encode()) for t in texts)
        tokens = np.concatenate([np.asarray(p, dtype=np.uint16) for p in pieces])
        np.savez(os.path.join(work, name + ".npz"), tokens=tokens, offsets=offsets, n_bytes=n_bytes)
        print(f"{name}: {len(texts)} documents, {n_bytes} bytes, {len(tokens)} tokens "
              f"({n_bytes / (len(tokens) - len(texts)):.3f} bytes a token)", flush=True)
    print("vocabulary:", tokenizer.get_vocab_size())


class Documents:
    """Endless windows of `length` tokens: each epoch shuffles the documents, joins them and cuts the stream.
    Neighbouring windows share one token: the last target of one is the first input of the next."""

    def __init__(self, work, name, length, rng):
        with np.load(os.path.join(work, name + ".npz")) as f:
            self.tokens, self.offsets = f["tokens"], f["offsets"]
        self.length, self.rng, self.taken = length, rng, 0
        self.stream, self.at = np.zeros(0, dtype=np.uint16), 0

    def take(self, count):
        rows = np.empty((count, self.length), dtype=np.int64)
        for row in rows:
            if self.at + self.length > len(self.stream):
                order = self.rng.permutation(len(self.offsets) - 1)
                shuffled = [self.tokens[self.offsets[i]:self.offsets[i + 1]] for i in order]
                self.stream, self.at = np.concatenate([self.stream[self.at:]] + shuffled), 0
            row[:] = self.stream[self.at:self.at + self.length]
            self.at += self.length - 1
        self.taken += count * (self.length - 1)
        return rows

    @property
    def epochs(self):
        return self.taken / len(self.tokens)


class Windows:
    """Endless windows from arrays of ready-made ones (text written by the teachers)."""

    def __init__(self, paths, rng):
        self.rows = np.concatenate([np.load(p) for p in paths])
        self.rng, self.taken, self.order = rng, 0, np.zeros(0, dtype=np.int64)

    def take(self, count):
        while len(self.order) < count:
            self.order = np.concatenate([self.order, self.rng.permutation(len(self.rows))])
        chosen, self.order = self.order[:count], self.order[count:]
        self.taken += count
        return self.rows[chosen].astype(np.int64)

    @property
    def epochs(self):
        return self.taken / len(self.rows)


def evaluation_stream(work, name):
    """0 doc 0 doc ... 0, and the number of UTF-8 bytes of the documents."""
    with np.load(os.path.join(work, name + ".npz")) as f:
        return torch.from_numpy(np.append(f["tokens"], 0).astype(np.int64)), int(f["n_bytes"])


@torch.no_grad()
def bits_per_byte(logits_of, stream, n_bytes, context, stride, device, batch=64):
    """Every token but the first is predicted once, in windows of `context` inputs that start `stride` apart: a window
    scores its last `stride` targets (the first window: all). stride == context: windows that do not overlap."""
    targets = len(stream) - 1
    starts = [0]
    while starts[-1] + context < targets:
        starts.append(starts[-1] + stride)
    nats = 0.0
    full = [s for s in starts if s + context <= targets]
    groups = [full[i:i + batch] for i in range(0, len(full), batch)] + [[s] for s in starts if s + context > targets]
    for group in groups:
        end = min(group[0] + context, targets) - group[0]
        rows = torch.stack([stream[s:s + end + 1] for s in group]).to(device)
        logp = logits_of(rows[:, :-1]).float().log_softmax(-1)
        loss = -logp.gather(-1, rows[:, 1:, None])[..., 0].double()
        for s, row in zip(group, loss):
            nats += row[0 if s == 0 else context - stride:].sum().item()
    return nats / math.log(2) / n_bytes
