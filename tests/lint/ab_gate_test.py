"""The timing gate, with planted repositories and planted measurements. usage: ab_gate_test.py TOOLS"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))

import ab_gate  # noqa: E402

class Programs:
    """Stands for starting both programs. `bench` gives one row for each name in rows[program][suite]; `perf ab` gives the
    next planted answer for its suite, verdicts by benchmark, or fails where that is None."""

    def __init__(self, rows, answers):
        self.rows = rows
        self.answers = {suite: list(planted) for suite, planted in answers.items()}

    def __call__(self, program, *arguments):
        suite = "layer" if "--bitlinear" in arguments else "kernels" if "--kernels" in arguments else "model"
        names = [f"{suite} a", f"{suite} b"]
        if arguments[0] == "bench":
            rows = self.rows.get(program, {}).get(suite, names)
            return outcome(1 if rows is None else 0, [{"test": name, ab_gate.METRICS[suite]: 1} for name in rows or []])
        assert arguments[:6] == ("perf", "ab", "--a", "old", "--b", "new"), arguments
        planted = self.answers.get(suite)
        answer = planted.pop(0) if planted else {}
        if answer is None:
            return outcome(1, [])
        verdicts = {**dict.fromkeys(names, "same"), **answer}
        code = 3 if "slower" in verdicts.values() else 4 if "can't tell" in verdicts.values() else 0
        return outcome(code, {"comparisons": [{"benchmark": name, "verdict": verdict, "cost_ratio": 1.1, "cost_low": 1.05,
                                               "cost_high": 1.2, "samples_a": [1]} for name, verdict in verdicts.items()]})


def outcome(code, document):
    return subprocess.CompletedProcess([], code, json.dumps(document), "")


class Judge(unittest.TestCase):
    def judge(self, answers=None, old_rows=None, new_rows=None, messages=()):
        """(exit code, what was said)"""
        programs = Programs({"old": old_rows or {}, "new": new_rows or {}}, answers or {})
        arguments = ["judge", "--old", "old", "--new", "new"]
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.object(ab_gate, "start", programs):
            if messages:
                repository = Repository(folder + "/repository")
                base = repository.commit("base")
                for message in messages:
                    repository.commit(message)
                arguments = ["--root", repository.root, *arguments, "--base", base]
            return run(arguments)

    def test_the_same_passes(self):
        code, said = self.judge()
        self.assertEqual(code, 0)
        for suite in ab_gate.SUITES:
            self.assertIn(f"{suite} a: same", said)

    def test_slower_twice_fails(self):
        code, said = self.judge({"model": [{"model b": "slower"}, {"model b": "slower"}]})
        self.assertEqual(code, 3)
        self.assertRegex(said, "model b: slower.*SLOWER\n")
        self.assertIn("slower: model b. HACKING.md", said)

    def test_slower_once_does_not(self):
        for again in ("same", "can't tell", "faster"):
            code, said = self.judge({"layer": [{"layer a": "slower"}, {"layer a": again}]})
            self.assertEqual(code, 0, said)
            self.assertIn("not confirmed", said)
        # Another benchmark of the second measurement is no confirmation.
        self.assertEqual(self.judge({"layer": [{"layer a": "slower"}, {"layer b": "slower"}]})[0], 0)

    def test_what_cannot_be_told_passes(self):
        code, said = self.judge({"kernels": [{"kernels a": "can't tell", "kernels b": "faster"}]})
        self.assertEqual(code, 0)
        self.assertIn("kernels a: can't tell", said)

    def test_slower_may_be_accepted_by_name(self):
        slower = {"model": [{"model b": "slower"}] * 2}
        code, said = self.judge(slower, messages=["x\n\nAccept-Slower: model b, exact rounding costs that\n"])
        self.assertEqual(code, 0)
        self.assertIn("accepted by 'Accept-Slower: model b'", said)
        self.assertEqual(self.judge(slower, messages=["x\n\nAccept-Slower: layer, why\n"])[0], 3)
        self.assertEqual(self.judge(slower, messages=["x\n\nnot a trailer Accept-Slower: model b\n"])[0], 3)

    def test_what_the_old_program_cannot_run_is_skipped(self):
        code, said = self.judge(old_rows={"layer": None})
        self.assertEqual(code, 0)
        self.assertIn("layer: skipped", said)
        self.assertIn("skipped", self.judge(old_rows={"layer": ["another name"]})[1])

    def test_a_new_program_that_cannot_run_fails(self):
        code, said = self.judge(new_rows={"layer": None})
        self.assertEqual(code, 1)
        self.assertIn("layer: FAILED", said)
        self.assertEqual(self.judge({"model": [None]})[0], 1)
        self.assertEqual(self.judge({"model": [{"model a": "slower"}, None]})[0], 1)


class Repository:
    def __init__(self, root, *arguments):
        self.root = root
        os.makedirs(root + "/src")
        self.git("init", "-q", "-b", "main", *arguments)

    def git(self, *arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(["git", "-C", self.root, *identity, *arguments], check=True, capture_output=True,
                              text=True).stdout.strip()

    def commit(self, message, file="src/a.cc"):
        with open(f"{self.root}/{file}", "a", encoding="utf-8") as out:
            out.write(message)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")


class Base(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.repository = Repository(self.folder.name + "/repository")

    def base(self, root=None):
        return ab_gate.choose_base(root or self.repository.root)

    def test_on_main_it_is_the_commit_before(self):
        first = self.repository.commit("one")
        self.repository.commit("two")
        self.assertEqual(self.base(), (first, ""))

    def test_on_a_branch_it_is_where_the_branch_began(self):
        first = self.repository.commit("one")
        self.repository.git("checkout", "-q", "-b", "branch")
        self.repository.commit("two")
        self.repository.commit("three")
        self.assertEqual(self.base(), (first, ""))

    def test_what_is_not_committed_is_compared_with_the_last_commit(self):
        self.repository.commit("one")
        second = self.repository.commit("two")
        with open(self.repository.root + "/src/a.cc", "a", encoding="utf-8") as file:
            file.write("more")
        self.assertEqual(self.base(), (second, ""))

    def test_without_main_it_is_the_commit_before(self):
        first = self.repository.commit("one")
        self.repository.commit("two")
        self.repository.git("checkout", "-q", "--detach")
        self.repository.git("branch", "-D", "main")
        self.assertEqual(self.base(), (first, ""))

    def test_a_first_commit_and_a_shallow_clone_have_none(self):
        self.repository.commit("one")
        self.assertEqual(self.base(), (None, "the commit before this one is not here (a shallow clone?)"))
        self.repository.commit("two")
        shallow = self.folder.name + "/shallow"
        subprocess.run(["git", "clone", "-q", "--depth", "1", "file://" + self.repository.root, shallow], check=True,
                       capture_output=True)
        self.assertEqual(self.base(shallow)[0], None)
        self.assertIn("shallow", self.base(shallow)[1])

    def test_changes_of_other_files_need_no_measurement(self):
        first = self.repository.commit("one")
        self.repository.commit("two", "README.md")
        base, why = self.base()
        self.assertIsNone(base)
        self.assertIn("nothing that is compiled changed since " + first[:12], why)

    def test_no_repository_and_no_commit_have_none(self):
        self.assertIn("no git checkout", self.base()[1])
        with tempfile.TemporaryDirectory() as empty:
            self.assertIn("no git checkout", self.base(empty)[1])

    def test_the_command_prints_it_or_skips(self):
        first = self.repository.commit("one")
        self.assertEqual(run(["--root", self.repository.root, "base"]), (ab_gate.SKIPPED, ""))
        self.repository.commit("two")
        self.assertEqual(run(["--root", self.repository.root, "base"]), (0, first + "\n"))


def run(arguments):
    """(exit code, standard output) of the program."""
    said = io.StringIO()
    before, sys.argv = sys.argv, ["ab_gate.py", *arguments]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            code = ab_gate.main()
    finally:
        sys.argv = before
    return code, said.getvalue()


if __name__ == "__main__":
    unittest.main()
