#!/usr/bin/env python3
"""The timing gate: is this tree's program slower than that of the commit before? Used by `./dev ab --gate`.

  tools/ab_gate.py base                            the commit to compare with; 77 and a reason when there is none
  tools/ab_gate.py judge --old PROGRAM --new PROGRAM --base COMMIT      runs both in turn; 3 when slower, else 0

What can't be measured here is skipped, and said so; what can't be told is no failure. A benchmark fails the gate when
two measurements, one after the other, both say "slower" with confidence, unless a commit since the base accepts it:

  Accept-Slower: TEXT, why      a trailer of the commit message; TEXT is part of the benchmark's name, e.g. tg32
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = 77
SLOWER = 3
# What the program is made of.
SOURCES = ["src", "include", "apps", "cmake", "CMakeLists.txt", "CMakePresets.json"]
# One thread: with as many as there are CPUs, a neighbour on one of them is a change of the whole.
SUITES = {
    "model": ["bench", "-p", "64", "-n", "32", "-r", "3", "-t", "1"],
    "layer": ["bench", "--bitlinear", "--batch", "1,16", "-r", "1", "-t", "1"],
    "kernels": ["bench", "--kernels", "--shape", "16x640x1280", "-r", "1", "-t", "1"],
}
METRICS = {"model": "samples_ts", "layer": "p50_ms", "kernels": "p50_us"}
ENVIRONMENT = {"TERN_PIN": "0"}  # the system finds a free CPU


def say(text):
    print(f"ab: {text}", flush=True)


def git(*arguments, root=None):
    """What git prints; None when it fails."""
    try:
        outcome = subprocess.run(["git", "-C", root or ROOT, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return outcome.stdout.strip() if outcome.returncode == 0 else None


def choose_base(root):
    """(commit, "") or (None, why not). The merge base with main; on main itself the commit before, or HEAD when there is
    something uncommitted to compare with it."""
    head = git("rev-parse", "--verify", "-q", "HEAD^{commit}", root=root)
    if head is None:
        return None, "this is no git checkout with a commit"
    base = None
    for main in ("origin/main", "main"):
        if git("rev-parse", "--verify", "-q", main, root=root):
            base = git("merge-base", "HEAD", main, root=root)
            break
    if base is None or base == head:
        dirty = git("status", "--porcelain", "--", *SOURCES, root=root)
        base = head if dirty else git("rev-parse", "--verify", "-q", "HEAD~1^{commit}", root=root)
    if base is None:
        return None, "the commit before this one is not here (a shallow clone?)"
    if git("diff", "--quiet", base, "--", *SOURCES, root=root) is not None:
        return None, f"nothing that is compiled changed since {base[:12]}"
    return base, ""


def accepted_slower(root, base):
    """The texts of Accept-Slower since the base."""
    trailers = git("log", "--format=%(trailers:key=Accept-Slower,valueonly)", f"{base}..HEAD", root=root) or ""
    return [line.split(",")[0].strip() for line in trailers.splitlines() if line.strip()]


def start(program, *arguments):
    """Runs it to its end."""
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, **ENVIRONMENT})


def rows_of(program, suite):
    """The names of a suite's rows that have its metric; None when the program can't run it."""
    outcome = start(program, *SUITES[suite], "-o", "json", "--no-limits")
    if outcome.returncode != 0:
        return None
    try:
        return {row["test"] for row in json.loads(outcome.stdout) if METRICS[suite] in row}
    except (ValueError, KeyError, TypeError):
        return None


def measure(args, suite, seed):
    """{benchmark: row} of one comparison; None when it failed."""
    outcome = start(args.new, "perf", "ab", "--a", args.old, "--b", args.new, "--metric", METRICS[suite], "--rounds", "40",
                    "--seconds", str(args.seconds), "--tolerance", args.tolerance, "--seed", str(seed), "-o", "json", "--",
                    *SUITES[suite])
    if outcome.returncode not in (0, SLOWER, 4):
        say(f"{suite}: {outcome.stderr.strip()}")
        return None
    return {row["benchmark"]: row for row in json.loads(outcome.stdout)["comparisons"]}


def line(row):
    low, middle, high = (100 * (row[key] - 1) for key in ("cost_low", "cost_ratio", "cost_high"))
    return f"{row['verdict']}, cost {middle:+.1f}% ({low:+.1f} .. {high:+.1f}), {len(row['samples_a'])} rounds"


def judge_suite(args, suite, accepted):
    """The benchmarks that fail the gate; None when the new program is broken."""
    old, new = rows_of(args.old, suite), rows_of(args.new, suite)
    if new is None:
        say(f"{suite}: FAILED: {args.new} {' '.join(SUITES[suite])} gives no rows")
        return None
    if not old or not old & new:
        say(f"{suite}: skipped: the old program can't run it, or has no row of the same name")
        return []
    first = measure(args, suite, 1)
    if first is None:
        return None
    slower = [name for name, row in first.items() if row["verdict"] == "slower"]
    second = measure(args, suite, 2) if slower else {}
    if second is None:
        return None
    failed = []
    for name, row in first.items():
        text = f"{name}: {line(row)}"
        if name in slower:
            again = second.get(name)
            sure = again is not None and again["verdict"] == "slower"
            text += f"; again: {line(again) if again else 'no row'}"
            reasons = [part for part in accepted if part in name]
            if sure and reasons:
                text += f"; accepted by 'Accept-Slower: {reasons[0]}'"
            elif sure:
                failed.append(name)
                text += ": SLOWER"
            else:
                text += ": not confirmed"
        say(text)
    return failed


def judge(args):
    begin = time.monotonic()
    accepted = accepted_slower(args.root, args.base) if args.base else []
    failed, broken = [], False
    for suite in SUITES:
        found = judge_suite(args, suite, accepted)
        broken |= found is None
        failed += found or []
    if failed:
        say(f"slower: {', '.join(failed)}. HACKING.md says how to accept that.")
    say(f"{time.monotonic() - begin:.0f} s")
    if broken:
        return 1
    return SLOWER if failed else 0


def base_command(args):
    base, why = choose_base(args.root)
    if base is None:
        print(f"ab: skipped: {why}", file=sys.stderr)
        return SKIPPED
    print(base)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=ROOT, help="the checkout (default: this one)")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("base").set_defaults(action=base_command)
    command = commands.add_parser("judge")
    command.add_argument("--old", required=True)
    command.add_argument("--new", required=True)
    command.add_argument("--base", help="whose later commits may accept what is slower")
    command.add_argument("--tolerance", default="5%")
    command.add_argument("--seconds", type=float, default=20, help="for one measurement of one of the three suites")
    command.set_defaults(action=judge)
    args = parser.parse_args()
    return args.action(args)


if __name__ == "__main__":
    sys.exit(main())
