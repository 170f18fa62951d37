#!/usr/bin/env python3
"""Looks at the symbols of objects that are compiled with the flags of one instruction set.

usage: check_kernel_symbols.py NM OBJECT...

An inline function or template that two objects share is kept once by the linker: if that copy was compiled for
AVX-512, baseline code calls it on machines without AVX-512. So an object whose path holds "targets/" may define no weak
symbol, and no global one outside the namespace tern::cpu. Prints one line for each offence; exits with 1 when there is
any, or when no such object was given.
"""

import re
import subprocess
import sys

# nm prints "address type name"; capitals are global, W, V and u are weak or unique.
LINE = re.compile(r"^[0-9a-fA-F]* ?(?P<type>\w) (?P<name>.+)$")


def offences(listing):
    """What is wrong in the output of `nm --defined-only -C` for one object."""
    for line in listing.splitlines():
        match = LINE.match(line)
        if not match or match["name"].startswith("DW.ref."):
            continue
        if match["type"] in "WwVvu":
            yield f"weak symbol {match['name']}: put it into an anonymous namespace, or keep its header out"
        elif match["type"].isupper() and not match["name"].startswith("tern::cpu::"):
            yield f"global symbol {match['name']}: only tern::cpu may be visible"


def main(nm, objects):
    targets = [path for path in objects if "targets/" in path]
    found = []
    for path in targets:
        listing = subprocess.run([nm, "--defined-only", "-C", path], capture_output=True, check=True, text=True).stdout
        found += [f"{path}: {offence}" for offence in offences(listing)]
    if not targets:
        found.append("no object below targets/ was given: there is nothing to check")
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
