"""tern perf: measured programs are scripts with known samples, so that every verdict can be foretold."""

import json
import os
import shutil
import subprocess
import sys
import unittest

from cli_support import CliTest, tern

# Prints a row like `tern bench -o json`; the k-th start has the k-th sample, times a factor that the program's own name
# gives. The tail of the name says what: slow5 is 5% slower.
PROGRAM = """#!{python}
import json, os, sys
factor = {factor} * float(os.environ.get("FACTOR", 1))
if sys.argv[1:2] == ["perf"]: print(json.dumps({{"version": "9", "compiler": "none", "flags": "-O9"}})); sys.exit(0)
if "--fail" in sys.argv: print("it broke", file=sys.stderr); sys.exit(1)
count = int(open("count").read() or 0) if os.path.exists("count") else 0
open("count", "w").write(str(count + 1))
machine = 1 + (count // 2 * 37 % 11) / 100  # what disturbs a round disturbs both of its halves
own = 1 + (count * 53 % 7) / 10000
cost = factor * machine * own
with open("calls.log", "a") as log: log.write(os.path.basename(sys.argv[0]) + " " + " ".join(sys.argv[1:]) + "\\n")
print(json.dumps([{{"test": "pp8", "samples_ts": [100 / cost, 101 / cost, 99 / cost], "p50_ms": cost}},
                  {{"test": "tg4", "samples_ts": [10 / machine / own], "p50_ms": machine}}]))
"""


def program(name, factor=1.0):
    with open(name, "w", encoding="utf-8") as file:
        file.write(PROGRAM.format(python=sys.executable, factor=factor))
    os.chmod(name, 0o755)
    return "./" + name


class Perf(CliTest):
    @classmethod
    def setUpClass(cls):
        program("same")
        program("old")
        program("slow5", 1.05)
        program("fast", 0.8)

    def setUp(self):
        for name in ("perf.sqlite", "perf.sqlite-wal", "perf.sqlite-shm", "count", "calls.log"):
            if os.path.exists(name):
                os.remove(name)
        shutil.rmtree("perf.sqlite.programs", ignore_errors=True)

    def perf(self, *arguments, **options):
        return tern("perf", *arguments, env={"TERN_PERF_DB": "perf.sqlite"}, **{"timeout": 250, **options})

    def good(self, *arguments, code=0):
        outcome = self.perf(*arguments)
        if code is not None:
            self.assertEqual(outcome.code, code, f"{arguments}: {outcome}")
        return outcome

    def record(self, name="main", what="./old", *more, arguments=("bench", "-p", "8")):
        return self.good("record", "--name", name, "--program", what, "--no-limits", "--rounds", "12", *more, "--",
                         *arguments)

    def test_a_b_in_turn_finds_what_is_there(self):
        for b, code, word in (("./slow5", 3, "slower"), ("./same", 0, "same"), ("./fast", 0, "faster")):
            outcome = self.good("ab", "--a", "./old", "--b", b, "--tolerance", "3%", "--rounds", "12", "-o", "json", "--",
                                "bench", "-p", "8", code=code)
            report = json.loads(outcome.text)
            rows = {row["benchmark"]: row for row in report["comparisons"]}
            self.assertEqual(rows["pp8"]["verdict"], word, outcome.text)
            self.assertEqual(rows["tg4"]["verdict"], "same")
            self.assertEqual(len(rows["pp8"]["samples_a"]), 12)
            self.assertIn(f"verdict: {word}", outcome.stderr)
        with open("calls.log", encoding="utf-8") as log:
            lines = log.read().splitlines()[:4]
        # A B, then B A, so that who goes first changes; what tern bench needs is added.
        self.assertEqual([line.split()[0] for line in lines], ["old", "slow5", "slow5", "old"])
        self.assertEqual(lines[0], "old bench -p 8 -o json --no-limits")

    def test_a_b_of_environments_and_options(self):
        self.good("ab", "--a", "./old", "--b", "./old", "--b-env", "FACTOR=1.2", "--rounds", "8", "--", "bench", code=3)
        self.good("ab", "--a", "./old", "--b", "./old", "--env", "FACTOR=1.2", "--rounds", "8", "--", "bench")
        self.good("ab", "--a", "./old", "--b", "./old", "--b-arg=--x", "--rounds", "8", "--", "bench")
        with open("calls.log", encoding="utf-8") as log:
            calls = log.read().splitlines()
        self.assertIn("old bench --x -o json --no-limits", calls)

    def test_few_rounds_cannot_tell_and_say_how_many_would(self):
        outcome = self.good("ab", "--a", "./old", "--b", "./same", "--rounds", "3", "--", "bench", code=4)
        self.assertIn("about 3 more rounds would", outcome.text)

    def test_no_round_begins_when_the_time_is_up(self):
        outcome = self.good("ab", "--a", "./old", "--b", "./same", "--seconds", "0.000001", "--rounds", "9", "-o", "json", "--",
                            "bench", code=4)
        self.assertEqual([len(row["samples_a"]) for row in json.loads(outcome.text)["comparisons"]], [1, 1])

    def test_metrics_rows_and_processes_can_be_chosen(self):
        def rows(*arguments, code=0):
            text = self.good("ab", "--a", "./old", "--b", "./slow5", "--rounds", "8", "-o", "json", *arguments, "--", "bench",
                             code=code).text
            return {(row["benchmark"], row["metric"]): row["verdict"] for row in json.loads(text)["comparisons"]}
        self.assertEqual(rows("--metric", "p50_ms", "--tolerance", "3%", code=3),
                         {("pp8", "p50_ms"): "slower", ("tg4", "p50_ms"): "same"})
        self.assertEqual(rows("--metric", "p50_ms:more", "--only", "pp", "--tolerance", "3%"), {("pp8", "p50_ms"): "faster"})
        text = self.perf("ab", "--a", "./old", "--b", "./old", "--rounds", "8", "--process", "-o", "json", "--", "x").text
        self.assertEqual([row["metric"] for row in json.loads(text)["comparisons"]], ["wall_s", "cpu_s", "peak_mb"])
        missing = self.perf("ab", "--a", "./old", "--b", "./old", "--only", "nothing", "--", "bench")
        self.assertEqual(missing.code, 1)
        self.assertIn("no row with 'nothing'", missing.stderr)

    def test_every_form_of_a_report(self):
        def report(form):
            return self.good("ab", "--a", "./old", "--b", "./slow5", "--tolerance", "3%", "--rounds", "8", "-o", form, "--",
                             "bench", code=3).text
        self.assertRegex(report("table"), r"pp8 +samples_ts .* slower")
        self.assertIn("| benchmark | metric | A | B |", report("md"))
        page = report("html")
        self.assertIn("<!doctype html>", page)
        self.assertEqual(page.count("<svg"), 3)  # the intervals, and the samples of two benchmarks
        self.assertNotIn("http://", page.replace("http://www.w3.org/2000/svg", ""))

    def test_a_baseline_keeps_its_program_and_is_measured_in_turn(self):
        self.record()
        for what, code in (("./slow5", 3), ("./same", 0)):
            outcome = self.good("check", "--baseline", "main", "--program", what, "--tolerance", "3%", "--rounds", "12",
                                code=code)
            self.assertIn("pp8", outcome.text)
        # The old program is gone, its copy in the store is not.
        program("old", 3.0)
        try:
            self.good("check", "--baseline", "main", "--program", "./same", "--rounds", "12")
        finally:
            program("old")

    def test_stored_samples_stand_in_when_the_program_is_gone(self):
        self.record("main", "./old", "--no-keep")
        outcome = self.good("check", "--baseline", "main", "--program", "./slow5", "--tolerance", "3%", "--rounds", "12",
                            code=4)
        self.assertIn("recorded once", outcome.text)
        slow = program("slow40", 1.4)
        self.good("check", "--baseline", "main", "--program", slow, "--rounds", "12", code=3)
        self.good("check", "--baseline", "main", "--program", "./same", "--stored", "--rounds", "12", "--tolerance", "20%")

    def test_list_show_compare_export_and_import(self):
        self.assertIn("no baseline yet", self.good("list").stderr)
        self.record("main")
        self.record("main")
        self.record("slow", program("slow40", 1.4))
        self.assertIn("| main | 2 |", self.good("list").text)
        shown = self.good("show", "main").text
        self.assertIn("pp8: samples_ts", shown)
        self.assertIn("9 none -O9", shown)
        self.assertIn("slower", self.good("compare", "main", "slow", code=3).text)
        self.assertEqual(self.good("compare", "main", "main").code, 0)
        exported = self.good("export").text
        with open("runs.json", "w", encoding="utf-8") as file:
            file.write(exported)
        self.assertIn("0 of 3", self.good("import", "runs.json").text)
        self.good("import", "runs.json", "--db", "other.sqlite")
        self.assertEqual(self.good("export", "--db", "other.sqlite").text, exported)
        missing = self.perf("show", "nobody")
        self.assertEqual(missing.code, 1)
        self.assertIn("there is no baseline 'nobody'", missing.stderr)

    def test_limits_machine_and_build_are_recorded(self):
        self.good("record", "--name", "x", "--program", "./old", "--rounds", "1", "--commit", "abc", "--", "bench")
        run = json.loads(self.good("export", "x").text)["runs"][0]
        self.assertEqual((run["commit"], run["compiler"], run["flags"]), ("abc", "none", "-O9"))
        self.assertIn("dram read", [limit["name"] for limit in run["limits"]])
        self.assertEqual(run["machine"]["cpus"], len(os.sched_getaffinity(0)))
        machine = json.loads(self.good("machine", "-o", "json").text)
        self.assertEqual(machine["cpu"], run["machine"]["cpu"])
        self.assertTrue(machine["compiler"])
        self.assertIn("not known", self.good("machine").text)

    def test_two_recordings_at_once_are_both_kept(self):
        command = [os.environ["TERN"], "perf", "record", "--db", "perf.sqlite", "--program", "./old", "--no-limits",
                   "--rounds", "2", "--name"]
        writers = [subprocess.Popen([*command, f"w{i}", "--", "bench"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for i in range(4)]
        for writer in writers:
            _, err = writer.communicate(timeout=60)
            self.assertEqual(writer.returncode, 0, err)
        listed = self.good("list").text
        for i in range(4):
            self.assertIn(f"| w{i} | 1 |", listed)

    def test_damaged_and_foreign_files_are_named(self):
        with open("text.sqlite", "w", encoding="utf-8") as file:
            file.write("no database at all, but long enough to be mistaken for the head of one " * 3)
        with open("text.sqlite", "rb") as file:
            before = file.read()
        for part in (("list",), ("show", "x"), ("record", "--name", "x", "--program", "./old", "--", "bench")):
            outcome = tern("perf", *part[:1], "--db", "text.sqlite", *part[1:])
            self.assertEqual(outcome.code, 1)
            self.assertIn("text.sqlite: is not an SQLite database", outcome.stderr)
        with open("text.sqlite", "rb") as file:
            self.assertEqual(file.read(), before)

    def test_history_names_the_commit(self):
        program("slow40", 1.4)
        for commit in range(16):
            what = "./old" if commit < 8 else "./slow40"
            self.good("record", "--name", "main", "--program", what, "--no-limits", "--no-keep", "--rounds", "1",
                      "--commit", f"c{commit:02}", "--", "bench")
        text = self.good("history", "main", "--only", "pp8", "--tolerance", "15%").text
        self.assertIn("slower from commit c08 on", text)
        self.assertEqual(text.count("from commit"), 1)
        found = json.loads(self.good("history", "main", "--tolerance", "15%", "-o", "json").text)
        self.assertEqual([len(row["changes"]) for row in found], [1, 0])
        self.assertEqual(found[0]["changes"][0]["index"], 8)
        self.assertEqual(self.good("history", "main", "-o", "html").text.count("<svg"), 2)

    def budgets(self, *rows):
        with open("budgets.json", "w", encoding="utf-8") as file:
            json.dump({"budgets": list(rows)}, file)

    def check_budgets(self, *more, code=0):
        return self.good("check", "--budgets", "budgets.json", "--program", "./old", *more, code=code)

    def test_budgets_of_time_memory_size_and_what_is_absent(self):
        def row(name, kind, accepted, **more):
            return {"name": name, "kind": kind, "accepted": accepted, "margin": 0.1, **more}
        time = {"run": ["bench"], "row": "pp8", "field": "p50_ms"}
        size = os.path.getsize("old")
        self.budgets(row("t", "time", 2, **time), row("s", "size", size, file="{program}"),
                     row("m", "memory", 1000, run=["bench"], row="process", field="peak_mb"),
                     row("e", "energy", 1, run=["bench"], row="pp8", field="energy_j"),
                     row("k", "registers", 32, file="missing.log", function="gemv"))
        text = self.check_budgets().text
        self.assertEqual(text.count("within"), 3)
        self.assertEqual(text.count("absent: "), 2)
        self.budgets(row("t", "time", 0.5, **time))
        self.assertIn("OVER", self.check_budgets(code=3).text)
        self.budgets(row("s", "size", size // 2, file="{program}"))
        self.check_budgets(code=3)
        self.check_budgets("--accept")
        self.check_budgets()
        with open("budgets.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file)["budgets"][0]["accepted"], size)
        rows = json.loads(self.check_budgets("-o", "json").text)
        self.assertEqual(rows[0]["outcome"], "within")
        self.budgets({"name": "x", "kind": "size"})
        self.assertIn("budgets[0]: field 'accepted' is missing", self.check_budgets(code=1).stderr)

    @unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
    def test_instructions_and_allocations_are_the_same_every_time(self):
        row = {"name": "i", "kind": "instructions", "run": ["tokenize", "-p", "Once upon a time"], "accepted": 1, "margin": 0}
        self.budgets(row, {**row, "name": "a", "kind": "allocations"})
        ours = os.environ["TERN"]
        self.good("check", "--budgets", "budgets.json", "--program", ours, code=3)
        self.good("check", "--budgets", "budgets.json", "--program", ours, "--accept")
        with open("budgets.json", encoding="utf-8") as file:
            accepted = [row["accepted"] for row in json.load(file)["budgets"]]
        self.assertGreater(accepted[0], 1000000)
        self.assertGreater(accepted[1], 100)
        counts = json.loads(self.good("check", "--budgets", "budgets.json", "--program", ours, "-o", "json", code=None).text)
        self.assertLess(abs(counts[0]["values"][0] / accepted[0] - 1), 0.001)
        self.assertEqual(counts[1]["values"], [accepted[1]])

    def test_wrong_usage_is_said_in_one_line(self):
        for arguments, word in ((("perf",), "subcommand"), (("perf", "check"), "--baseline or --budgets"),
                                (("perf", "record", "--name", "x"), "after --"),
                                (("perf", "ab", "--tolerance", "x", "--", "bench"), "share"),
                                (("perf", "ab", "--a", "./missing", "--", "bench"), "./missing")):
            outcome = tern(*arguments)
            self.assertIn(outcome.code, (1, 2), outcome)
            self.assertIn(word, outcome.stderr)
        failed = self.perf("ab", "--a", "./old", "--b", "./old", "--", "bench", "--fail")
        self.assertEqual(failed.code, 1)
        self.assertIn("it broke", failed.stderr)

    def test_every_help_has_examples(self):
        for part in ((), ("record",), ("list",), ("show",), ("compare",), ("check",), ("ab",), ("history",), ("export",),
                     ("import",), ("machine",)):
            text = self.ok("perf", *part, "--help").text
            self.assertIn("Examples:\n  tern perf", text)


if __name__ == "__main__":
    unittest.main()
