#!/usr/bin/env python3
"""Holds every #include of the sources to the arrows of tools/layers.toml.

usage: check_layers.py [--root FOLDER]

Prints one line for each offence and exits with 1 when there is any. Checked:
  * an include from one module of src/ into another has an arrow in the table, and the table itself has no cycle;
  * a quoted include names a file of ours: in the folder of the includer, in src/, or in the includer's program folder;
  * one of our headers is never included in angle brackets;
  * a third-party header that the table names is included only where the table says.
"""

import argparse
import pathlib
import re
import sys
import tomllib

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SUFFIXES = {".h", ".cc", ".cu", ".cuh"}


class Table:
    """The arrows: `modules` below src/, `programs` beside it, and who may see which third-party header."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = tomllib.load(file)
        self.modules = data["modules"]
        self.programs = data["programs"]
        self.third_party = data.get("third_party", {})

    def errors(self):
        """Names without a row, and cycles."""
        found = []
        for name, targets in (self.modules | self.programs).items():
            for target in targets:
                if target != "*" and target not in self.modules:
                    found.append(f"layers.toml: {name} may include {target}, which is no module")
        if not found:
            found += [f"layers.toml: the arrows of {name} lead back to it" for name in self.modules
                      if name in self._reachable(name)]
        return found

    def _reachable(self, start):
        seen, todo = set(), list(self.modules[start])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += self.modules[name]
        return seen

    def owner(self, path):
        """The module or program that a path relative to the root belongs to; None when the table has no row."""
        names, inside = (self.modules, path.parts[1:]) if path.parts[0] == "src" else (self.programs, path.parts)
        for length in range(len(inside) - 1, 0, -1):
            name = "/".join(inside[:length])
            if name in names:
                return name
        return None

    def allows(self, owner, target):
        targets = self.modules.get(owner, self.programs.get(owner, []))
        return owner == target or "*" in targets or target in targets


def resolve(root, includer, name):
    """The file of ours that `name` means in `includer`, relative to the root; None when there is none."""
    for base in (includer.parent, pathlib.Path("src"), pathlib.Path(includer.parts[0])):
        candidate = base / name
        if (root / candidate).is_file():
            return pathlib.Path((root / candidate).resolve().relative_to(root))
    return None


def check_include(root, table, path, bracket, name):
    """What is wrong with one include of `path`, or None."""
    owner = table.owner(path)
    target = resolve(root, path, name)
    if bracket == "<":
        if target is not None and (root / "src" / name).is_file():
            return f'<{name}> is ours: include it as "{name}"'
        for prefix, allowed in table.third_party.items():
            if name.startswith(prefix) and owner not in allowed:
                return f"{owner} may not include <{name}>: only {', '.join(allowed)} may"
        return None
    if target is None:
        return f'"{name}" is no file of ours (in its folder, src/ or {path.parts[0]}/)'
    goal = table.owner(target)
    if goal is None:
        return f'"{name}" lies in a folder without a row in layers.toml'
    if not table.allows(owner, goal):
        return f'{owner} may not include "{name}": there is no arrow from {owner} to {goal}'
    return None


def check_file(root, table, path):
    if table.owner(path) is None:
        return [f"{path}: no row in layers.toml for this folder"]
    offences = []
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        problem = match and check_include(root, table, path, *match.groups())
        if problem:
            offences.append(f"{path}:{number}: {problem}")
    return offences


def sources(root, table):
    for top in ["src", *table.programs]:
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                yield path.relative_to(root)


def check(root, table):
    offences = table.errors()
    if not offences:
        for path in sources(root, table):
            offences += check_file(root, table, path)
    return offences


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent,
                        help="the folder that holds src/ and tools/layers.toml")
    root = parser.parse_args().root.resolve()
    offences = check(root, Table(root / "tools" / "layers.toml"))
    print("\n".join(offences), end="\n" if offences else "", file=sys.stderr)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
