#!/usr/bin/env python3
"""How often `tern perf check` finds a planted slowdown, and how often it cries wolf.

  tools/detection_power.py plant --share 0.05 --tree build/planted     a copy of the sources with a slower kernel, built
  tools/detection_power.py trials --old build/release/tern --new build/planted/build/release/tern [--trials 20]
  tools/detection_power.py counts --old build/release/tern --new ...   the same for instruction counts

`plant` makes the AVX2 kernel compute that share of its tiles twice, into a scratch buffer: nothing of it is in the
product. `trials` records the old program as a baseline, then checks it against itself (A/A) and against the new one,
each so many times, and prints the table of docs/performance-engineering.md as it grows. The last column judges the same
figures with another tolerance: what `tern perf check` would have said.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNEL = "src/backend/cpu/targets/avx2.cc"
BODY = "{ TernaryGemm<Avx2>(args); }"
PLANTED = """{
  TernaryGemm<Avx2>(args);
  static thread_local float* const scratch = new float[1 << 21];  // too large for a thread's stack
  static thread_local double due = 0;
  due += %s * static_cast<double>(args.tile_end - args.tile_begin);
  const int64_t tiles = static_cast<int64_t>(due);
  if (tiles < 1) return;
  due -= static_cast<double>(tiles);
  GemmArgs again = args;
  again.y = scratch;
  again.tile_end = again.tile_begin + tiles;
  TernaryGemm<Avx2>(again);
}"""
# The kernel's own benchmark, a fifth of a second. 40 tiles a call: 5% of them are 2, in every call.
KERNEL_ROW = ["bench", "--kernels", "--isa", "avx2", "--shape", "16x640x1280", "-t", "1", "-r", "5"]
VERDICTS = {0: "same or faster", 3: "slower", 4: "can't tell"}


def plant(args):
    tree = pathlib.Path(args.tree)
    tree.mkdir(parents=True, exist_ok=True)
    files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout
    packed = subprocess.run(["tar", "-C", ROOT, "--null", "-T", "-", "-c"], input=files, capture_output=True, check=True)
    subprocess.run(["tar", "-C", tree, "-x"], input=packed.stdout, check=True)
    kernel = tree / KERNEL
    text = kernel.read_text(encoding="utf-8")
    if BODY not in text:
        sys.exit(f"{KERNEL}: the kernel's body is not where it was")
    kernel.write_text(text.replace(BODY, PLANTED % args.share), encoding="utf-8")
    for command in (["cmake", "--preset", "release", "-DTERN_TESTS=OFF", "-DTERN_CUDA=OFF"], ["ninja", "-C", "build/release", "tern"]):
        subprocess.run(command, cwd=tree, check=True)


def perf(program, *arguments):
    return subprocess.run([program, "perf", *arguments], capture_output=True, text=True,
                          env={**os.environ, "TERN_PIN": "0"}, check=False)


def verdict(row, tolerance):
    """The exit code for these figures with another tolerance, as src/perf/compare.h has it."""
    if row["cost_low"] > 1 / (1 + tolerance) and row["cost_high"] < 1 + tolerance:
        return 0
    differs = row["p_adjusted"] < 0.05
    return 3 if differs and row["cost_low"] > 1 else 0 if differs and row["cost_high"] < 1 else 4


def trials(args):
    with tempfile.TemporaryDirectory() as folder:
        store = ["--db", os.path.join(folder, "perf.sqlite")]
        recorded = perf(args.old, "record", "--name", "old", *store, "--no-limits", "--rounds", "4", "--",
                        *KERNEL_ROW)
        if recorded.returncode != 0:
            sys.exit(recorded.stderr)
        other = float(args.also.rstrip("%")) / 100
        print(f"| trial | load | A/A | | planted | | at {args.also} |\n| ---: | ---: | --- | --- | --- | --- | --- |", flush=True)
        found = {f"{kind}, tolerance {tolerance}": []
                 for tolerance in (args.tolerance, args.also) for kind in ("A/A", "planted")}
        for trial in range(1, args.trials + 1):
            cells, also = [str(trial), f"{os.getloadavg()[0]:.1f}"], []
            for kind, program in (("A/A", args.old), ("planted", args.new)):
                outcome = perf(args.old, "check", "--baseline", "old", *store, "--program", program, "--tolerance",
                               args.tolerance, "--rounds", str(args.rounds), "--seed", str(trial), "-o", "json")
                if outcome.returncode not in VERDICTS:
                    sys.exit(outcome.stderr)
                row = json.loads(outcome.stdout)["comparisons"][0]
                found[f"{kind}, tolerance {args.tolerance}"].append(outcome.returncode)
                also.append(verdict(row, other))
                found[f"{kind}, tolerance {args.also}"].append(also[-1])
                cells += [VERDICTS[outcome.returncode],
                          f"{100 * (row['cost_ratio'] - 1):+.1f}% ({100 * (row['cost_low'] - 1):+.1f} .. "
                          f"{100 * (row['cost_high'] - 1):+.1f})"]
            cells.append(", ".join(VERDICTS[code] for code in also))
            print("| " + " | ".join(cells) + " |", flush=True)
        print()
        for kind, codes in found.items():
            print(f"{kind}: " + ", ".join(f"{codes.count(code)} {name}" for code, name in VERDICTS.items()))


def counts(args):
    with tempfile.TemporaryDirectory() as folder:
        budgets = os.path.join(folder, "budgets.json")
        with open(ROOT / "bench/budgets.json", encoding="utf-8") as file:
            rows = [row for row in json.load(file)["budgets"] if row["kind"] == "instructions" and "AVX2" in row["name"]]
        with open(budgets, "w", encoding="utf-8") as file:
            json.dump({"budgets": rows}, file)
        accepted = perf(args.old, "check", "--budgets", budgets, "--accept")
        if accepted.returncode != 0:
            sys.exit(accepted.stderr)
        start = time.monotonic()
        for kind, program in (("A/A", args.old), ("planted", args.new)):
            over, figures = 0, set()
            for _ in range(args.trials):
                outcome = perf(args.old, "check", "--budgets", budgets, "--program", program, "-o", "json")
                if outcome.returncode not in (0, 3):
                    sys.exit(outcome.stderr)
                over += outcome.returncode == 3
                figures |= {tuple(f"{row['name']}: {100 * (row['values'][0] / row['accepted'] - 1):+.3f}%"
                                  for row in json.loads(outcome.stdout))}
            print(f"{kind}: {over} of {args.trials} over; {sorted(figures)}", flush=True)
        print(f"{time.monotonic() - start:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("plant")
    command.add_argument("--share", type=float, default=0.05)
    command.add_argument("--tree", required=True)
    command.set_defaults(action=plant)
    for name, action in (("trials", trials), ("counts", counts)):
        command = commands.add_parser(name)
        command.add_argument("--old", required=True)
        command.add_argument("--new", required=True)
        command.add_argument("--trials", type=int, default=20)
        command.add_argument("--rounds", type=int, default=15)
        command.add_argument("--tolerance", default="3%")
        command.add_argument("--also", default="5%", help="another tolerance for the same figures")
        command.set_defaults(action=action)
    args = parser.parse_args()
    args.action(args)


if __name__ == "__main__":
    main()
