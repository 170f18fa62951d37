#!/usr/bin/env python3
"""Trains the small story model: a ternary BitNet b1.58 decoder distilled from an ensemble of dense teachers.

  prepare  train the tokenizer and encode the corpus
  train    train one network: ternary (the default) or --dense (a teacher, which can also write text with --write)
  export   write the Hugging Face folder, reload it with transformers and measure it

recipe.sh runs the whole thing; README.md says why it looks as it does.
"""

import argparse
import copy
import json
import os
import time
from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F

import data
from model import Config, Transformer


def autocast(device):
    # No cache of cast weights: it would outlive the change of weights inside Ensemble.
    return torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=False) if device == "cuda" else nullcontext()


def load(path, device):
    saved = torch.load(path, map_location=device)
    model = Transformer(Config(**saved["config"])).to(device).eval()
    model.load_state_dict(saved["state"])
    return model, saved


class Ensemble:
    """Dense teachers of one shape. One compiled network serves them all: before use, the weights of the teacher wanted
    are copied into it (tens of microseconds), which spares a compilation per teacher."""

    def __init__(self, paths, device, compiled):
        loaded = [load(p, device) for p in paths]
        assert len({str(saved["config"]) for _, saved in loaded}) == 1, "teachers must have one shape"
        self.weights = [[p.detach() for p in model.parameters()] for model, _ in loaded]
        self.network, self.device = copy.deepcopy(loaded[0][0]), device
        self.forward = torch.compile(self.network) if compiled else self.network

    @torch.no_grad()
    def logits(self, which, tokens, forward=None):
        for p, w in zip(self.network.parameters(), self.weights[which]):
            p.copy_(w)
        with autocast(self.device):
            return (forward or self.forward)(tokens)

    def log_mean_probability(self, tokens):
        """The whole ensemble's prediction, for evaluation."""
        total = sum(self.logits(i, tokens, self.network).float().softmax(-1) for i in range(len(self.weights)))
        return (total / len(self.weights)).log()


def loss_function(model, device, hard_weight):
    """Cross-entropy with the text, or (with teachers) with what they predict, or a mixture of both."""

    def loss(rows, teacher_logits):
        inputs, targets = rows[:, :-1], rows[:, 1:]
        with autocast(device):
            logits = model(inputs)
        logits = logits.float()
        hard = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        if not teacher_logits:
            return hard
        wanted = sum(t.float().softmax(-1) for t in teacher_logits) / len(teacher_logits)
        soft = -(wanted * logits.log_softmax(-1)).sum(-1).mean()
        return hard_weight * hard + (1 - hard_weight) * soft

    return loss


class Batches:
    """Mixes stories, books and (if given) text written by the teachers. Fewer books in the second half."""

    def __init__(self, args, length, rng, device):
        self.args, self.device = args, device
        self.stories = data.Documents(args.work, "tinystories_train", length, rng)
        self.books = data.Documents(args.work, "gutenberg_train", length, rng)
        self.written = data.Windows(args.written, rng) if args.written else None

    def next(self, progress):
        share = self.args.story_share[0 if progress < 0.5 else 1]
        written = round(self.args.batch * self.args.written_share) if self.written else 0
        stories = round((self.args.batch - written) * share)
        rows = [self.stories.take(stories), self.books.take(self.args.batch - written - stories)]
        if written:
            rows.append(self.written.take(written))
        return torch.from_numpy(np.concatenate(rows)).to(self.device, non_blocking=True)

    def epochs(self):
        sources = {"stories": self.stories, "books": self.books, "written": self.written}
        return {name: round(s.epochs, 2) for name, s in sources.items() if s}


def learning_rate(args, step, progress):
    """Linear warm-up, then linearly to zero."""
    return args.lr * min((step + 1) / args.warmup, 1) * (1 - progress)


def train(args):
    started = time.time()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cfg = Config(hidden=args.hidden, ffn=args.ffn, layers=args.layers, heads=args.heads, kv_heads=args.kv_heads,
                 theta=args.theta, ternary=not args.dense)
    model = Transformer(cfg, args.dropout).to(device)
    print(f"{'dense' if args.dense else 'ternary'} {cfg}, {sum(p.numel() for p in model.parameters())} parameters",
          flush=True)
    # Norms and the embedding are not decayed: the embedding is also the head, and rare tokens would fade.
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": args.weight_decay},
                                   {"params": others, "weight_decay": 0.0}], lr=args.lr, betas=(0.9, 0.95),
                                  **({"fused": True} if device == "cuda" else {}))
    compiled = device == "cuda" and not args.no_compile
    teachers = Ensemble(args.teachers, device, compiled) if args.teachers else None
    loss_of = loss_function(model, device, args.hard_weight)
    if compiled:
        loss_of = torch.compile(loss_of)
    batches = Batches(args, cfg.context + 1, rng, device)
    validation = {name: data.evaluation_stream(args.work, name + "_valid") for name in ("tinystories", "gutenberg")}

    def measure(logits_of, names=("tinystories", "gutenberg")):
        with autocast(device):
            return {name: data.bits_per_byte(logits_of, *validation[name], cfg.context, cfg.context, device)
                    for name in names}

    log = {"arguments": {k: v for k, v in vars(args).items() if k != "run"}, "curve": []}
    if teachers:
        log["ensemble"] = measure(teachers.log_mean_probability)
        print("teachers together, bits per byte:", log["ensemble"], flush=True)

    def save():
        torch.save({"config": cfg.as_dict(), "state": model.state_dict(), "log": log}, args.out)
        with open(args.out + ".json", "w") as f:
            json.dump({"config": cfg.as_dict(), **log}, f, indent=1)

    step, running, first, progress = 0, [], None, 0.0
    while True:
        # Progress follows the steps, or the clock if --max-seconds would cut the run short: either way the learning
        # rate reaches zero. The clock starts after the tenth step, when everything is compiled.
        if step == 10:
            first = time.time()
        progress = step / args.steps
        if args.max_seconds and first:
            progress = max(progress, (time.time() - first) / max(started + args.max_seconds - first, 1e-3))
        if step % args.evaluate_every == 0 or progress >= 1:
            model.eval()
            bpb = measure(model, ("tinystories", "gutenberg") if progress >= 1 else ("tinystories",))
            model.train()
            loss = torch.stack(running).mean().item() if running else float("nan")
            log["curve"].append({"step": step, "loss": loss, "seconds": round(time.time() - started, 1), "bpb": bpb})
            print(f"step {step} loss {loss:.4f} bits/byte {bpb} {time.time() - started:.0f} s "
                  f"epochs {batches.epochs()}", flush=True)
            running = []
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(args, step, progress)
        if progress >= args.decay_until:
            optimizer.param_groups[0]["weight_decay"] = 0.0
        rows = batches.next(progress)
        # A few teachers drawn anew at each step: their mean probability is an unbiased estimate of the whole
        # ensemble's, and the cross-entropy is linear in it, so the gradient expected is the whole ensemble's too.
        drawn = rng.choice(len(args.teachers), args.teachers_per_step, replace=False) if teachers else ()
        loss = loss_of(rows, [teachers.logits(i, rows[:, :-1]) for i in drawn])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        running.append(loss.detach())
        step += 1
    log.update(steps=step, epochs=batches.epochs(), seconds=round(time.time() - started, 1),
               device=torch.cuda.get_device_name() if device == "cuda" else device)
    save()
    if args.write:
        write(args, model, device)


def write(args, model, device):
    """The teacher writes windows of text: fresh material on which its pupils cannot learn the corpus by heart."""
    cos, sin = model.cos, model.sin
    model = copy.deepcopy(model).to(torch.bfloat16 if device == "cuda" else torch.float32).eval()
    model.cos, model.sin = cos, sin  # bfloat16 is too coarse for these
    started, rows = time.time(), []
    while sum(len(r) for r in rows) < args.write:
        with autocast(device):
            rows.append(model.sample(min(args.write, 8192), model.cfg.context, 0).cpu().numpy().astype(np.uint16))
    rows = np.concatenate(rows)[:args.write]
    np.save(os.path.splitext(args.out)[0] + ".npy", rows)
    print(f"wrote {rows.shape} tokens in {time.time() - started:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    p = commands.add_parser("prepare", help="train the tokenizer and encode the corpus")
    p.add_argument("--corpus", required=True, help="folder of {tinystories,gutenberg}_{train,valid}.txt[.xz]")
    p.add_argument("--work", required=True, help="folder to write to")
    p.add_argument("--vocab", type=int, default=4096)
    p.add_argument("--smoke", action="store_true", help="only 300 documents of each file")
    p.set_defaults(run=lambda a: data.prepare(a.corpus, a.work, a.vocab, a.smoke))

    p = commands.add_parser("train", help="train one network", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--work", required=True, help="the folder that prepare wrote")
    p.add_argument("--out", required=True, help="checkpoint to write (and a .json with the log beside it)")
    p.add_argument("--dense", action="store_true", help="no quantisation: a teacher")
    for name, value in {"hidden": 384, "ffn": 1024, "layers": 8, "heads": 6, "kv-heads": 3}.items():
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--theta", type=float, default=10000.0, help="base of the rotary embedding")
    p.add_argument("--steps", type=int, default=6200)
    p.add_argument("--batch", type=int, default=64, help="windows of 512 tokens in a step")
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--warmup", type=int, default=200)
    p.add_argument("--weight-decay", type=float, default=0.1)
    p.add_argument("--decay-until", type=float, default=0.5, help="part of the run after which weight decay is off")
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--story-share", type=float, nargs=2, default=[0.55, 0.85], help="in each half; the rest: books")
    p.add_argument("--teachers", nargs="+", default=[], help="checkpoints of dense networks to learn from")
    p.add_argument("--teachers-per-step", type=int, default=2)
    p.add_argument("--hard-weight", type=float, default=0.0, help="weight of the text itself beside the teachers")
    p.add_argument("--written", nargs="+", default=[], help=".npy files that teachers wrote")
    p.add_argument("--written-share", type=float, default=0.5, help="their share of a batch")
    p.add_argument("--write", type=int, default=0, help="windows of text to write once trained")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--evaluate-every", type=int, default=1000)
    p.add_argument("--max-seconds", type=float, default=0, help="end in good order by then, compilation included")
    p.add_argument("--no-compile", action="store_true")
    p.set_defaults(run=train)

    p = commands.add_parser("export", help="write and check the Hugging Face folder")
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--work", required=True, help="the folder that prepare wrote")
    p.add_argument("--out", required=True, help="folder to write; golden.json and measures.json go beside it")
    p.set_defaults(run=run_export)

    args = parser.parse_args()
    args.run(args)


def run_export(args):
    import export

    model, saved = load(args.checkpoint, "cpu")
    export.write_folder(model, args.work, args.out)
    export.check(args.out, args.work, os.path.dirname(os.path.abspath(args.out)), saved)


if __name__ == "__main__":
    main()
