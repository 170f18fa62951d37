"""Starting the program in tests. Every test starts in an empty folder of its own ($TERN_TMP)."""

import os
import subprocess
import sys
import unittest

TERN = os.environ["TERN"]


class Outcome:
    """How a run ended: exit code, stdout as bytes, stderr as text."""

    def __init__(self, process):
        self.code, self.stdout, self.stderr = process.returncode, process.stdout, process.stderr.decode()

    @property
    def text(self):
        return self.stdout.decode()

    def __str__(self):
        return f"exit code {self.code}\nstdout: {self.stdout[:2000]}\nstderr: {self.stderr[:2000]}"


def tern(*arguments, stdin=b"", env=None, timeout=60):
    """Runs the program; it must end by itself, not by a signal."""
    process = subprocess.run([TERN, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout,
                             env={**os.environ, **(env or {})}, check=False)
    assert process.returncode >= 0, f"tern {arguments} died of signal {-process.returncode}: {process.stderr!r}"
    return Outcome(process)


class CliTest(unittest.TestCase):
    def ok(self, *arguments, **options):
        """A run that must succeed."""
        outcome = tern(*arguments, **options)
        self.assertEqual(outcome.code, 0, f"{arguments}: {outcome}")
        return outcome

    def fails(self, *arguments, code=1, names=(), **options):
        """A run that must end with this exit code, nothing on stdout and one line on stderr that has all the names."""
        outcome = tern(*arguments, **options)
        self.assertEqual(outcome.code, code, f"{arguments}: {outcome}")
        self.assertEqual(outcome.stdout, b"", f"{arguments}: {outcome}")
        lines = outcome.stderr.splitlines()
        self.assertEqual(len(lines), 1, f"{arguments}: {outcome}")
        self.assertTrue(lines[0].startswith("tern: error: "), f"{arguments}: {outcome}")
        for name in names:
            self.assertIn(name, lines[0], f"{arguments}")
        return outcome


def skip_all(reason):
    """For scripts that have nothing to do here."""
    print(f"skipped: {reason}")
    sys.exit(77)
