#!/usr/bin/env python3
"""Looks through the tracked files for what should not be published.

usage: check_hygiene.py [--root FOLDER]

Prints one line for each offence and exits with 1 when there is any. Checked:
  * no path of a developer's or build machine, and no merge conflict marker, in any text file;
  * no mark of unfinished work and no white space at the end of a line in source code;
  * no link of a Markdown file to a file that isn't there;
  * no source file past 700 lines (it has two jobs: split it) and no file past 10 MiB.
"""

import argparse
import pathlib
import re
import subprocess
import sys

SOURCE_SUFFIXES = {".cc", ".h", ".cu", ".cuh", ".py", ".sh", ".cmake"}
MAX_LINES = 700
MAX_BYTES = 10 << 20

# Absolute paths below folders that belong to a person or a machine; relative paths are no offence.
MACHINE_PATH = re.compile(r"(?<![\w.~$}/*-])/(?:home|root|Users|work|workspace|mnt|scratch)/[\w.]")
CONFLICT = re.compile(r"^(?:<{7}|>{7}) ")
MARKDOWN_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)[^)]*\)")
UNDONE = re.compile(r"\b(?:" + "|".join(["TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK"]) + r")\b")


def text_of(path):
    """The text of a file, or None when it is binary."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def line_problems(line, is_source):
    if match := MACHINE_PATH.search(line):
        yield f"a path of some machine: {match.group()}..."
    if CONFLICT.match(line):
        yield "a merge conflict marker"
    if is_source:
        if match := UNDONE.search(line):
            yield f"{match.group()}: finish it, or open an issue and take the mark out"
        if line != line.rstrip():
            yield "white space at the end of the line"


def broken_links(path, line):
    """The relative links of a Markdown line that lead nowhere."""
    for match in MARKDOWN_LINK.finditer(line):
        if not (path.parent / match.group(1)).exists():
            yield f"the link to {match.group(1)} leads nowhere"


def check_file(root, name):
    path = root / name
    offences = []
    if path.stat().st_size > MAX_BYTES:
        offences.append(f"{name}: {path.stat().st_size} bytes, the limit is {MAX_BYTES}")
    text = text_of(path)
    if text is None:
        return offences
    is_source = path.suffix in SOURCE_SUFFIXES or path.name == "dev"
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        problems = [*line_problems(line, is_source)]
        if path.suffix == ".md":
            problems += broken_links(path, line)
        offences += [f"{name}:{number}: {problem}" for problem in problems]
    if is_source and len(lines) > MAX_LINES:
        offences.append(f"{name}: {len(lines)} lines, the limit is {MAX_LINES}: it has two jobs, split it")
    return offences


def tracked_files(root):
    """What git tracks; outside a checkout, every file that is not below build/."""
    try:
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=True)
        names = listed.stdout.decode("utf-8", "surrogateescape").split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(root)) for path in sorted(root.rglob("*"))]
    skipped = ("build/", ".git/")
    return [name for name in names if name and not name.startswith(skipped) and (root / name).is_file()]


def check(root):
    return [offence for name in tracked_files(root) for offence in check_file(root, name)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent,
                        help="the checkout to look through")
    offences = check(parser.parse_args().root.resolve())
    print("\n".join(offences), end="\n" if offences else "", file=sys.stderr)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
