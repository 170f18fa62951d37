"""tern bench: what it prints can be read back, and targets become a verdict. Nothing here looks at how fast it was."""

import csv
import io
import json
import os
import sqlite3
import sys
import unittest

import tiny_model
from cli_support import CliTest, tern

QUICK = ("-p", "8", "-n", "4", "-r", "2", "-t", "1", "--no-limits")
TESTS = ["pp8", "tg4"]

# Another engine's llama-bench, as far as --versus asks: it writes down its arguments.
PEER = """#!{python}
import json, sys
if "bad" in sys.argv[2]: print("no such model", file=sys.stderr); sys.exit(1)
with open("peer.log", "a") as log: log.write(json.dumps(sys.argv[1:]) + "\\n")
print(json.dumps([{{"n_prompt": 8, "avg_ts": 2.5}}]))
"""


class Bench(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write("tiny.gguf")

    def bench(self, *arguments, **options):
        return self.ok("bench", "-m", "tiny.gguf", *QUICK, *arguments, **options)

    def rows(self, *arguments):
        return json.loads(self.bench(*arguments, "-o", "json").text)

    def test_the_table_has_a_line_for_each_test(self):
        lines = self.bench().text.splitlines()
        self.assertIn("| model | size | params | backend | threads | test | t/s |", lines[0])
        self.assertEqual([line.split(" | ")[5] for line in lines[2:]], TESTS)

    def test_every_form_for_programs_holds_the_same_rows(self):
        rows = self.rows()
        self.assertEqual([row["test"] for row in rows], TESTS)
        self.assertEqual((rows[0]["n_prompt"], rows[0]["n_gen"], rows[1]["n_gen"]), (8, 0, 4))
        self.assertEqual(len(rows[0]["samples_ts"]), 2)
        self.assertGreater(rows[1]["weight_bytes"], 0)
        self.assertGreater(rows[1]["gb_s"], 0)
        self.assertIsNone(rows[0]["gb_s"])
        self.assertIsNone(rows[1]["limit_gb_s"])
        lines = [json.loads(line) for line in self.bench("-o", "jsonl").text.splitlines()]
        table = list(csv.DictReader(io.StringIO(self.bench("-o", "csv").text)))
        database = sqlite3.connect(":memory:")
        database.row_factory = sqlite3.Row
        script = self.bench("-o", "sql").text
        database.executescript(script + script)  # the table may exist already
        stored = database.execute("SELECT * FROM tern_bench").fetchall()
        self.assertEqual(len(stored), 2 * len(rows))
        for form in (lines, table, stored[:2]):
            self.assertEqual([row["test"] for row in form], TESTS)
            self.assertEqual(list(form[0].keys()), list(rows[0]))
            for row in form:
                self.assertGreater(float(row["avg_ts"]), 0)

    def test_lists_give_a_row_for_each_combination(self):
        def rows(*arguments):
            return json.loads(self.ok("bench", "-r", "1", "--no-limits", "-o", "json", *arguments).text)
        found = rows("-m", "tiny.gguf", "-p", "8,3", "-n", "2", "-d", "0,5", "--npl", "1,3", "-t", "1,2")
        names = ["pp8", "pp3", "tg2", "tg2 x3", "pp8 @ d5", "pp3 @ d5", "tg2 @ d5", "tg2 x3 @ d5"]
        self.assertEqual([row["test"] for row in found], 2 * names)
        self.assertEqual([row["n_threads"] for row in found], 8 * [1] + 8 * [2])
        batches = rows("-m", "tiny.gguf", "-p", "0", "-n", "4", "-npl", "2,4")
        self.assertEqual([row["test"] for row in batches], ["tg4 x2", "tg4 x4"])
        models = rows("-m", "tiny.gguf", "-m", "tiny.gguf", "-p", "3", "-n", "0")
        self.assertEqual([row["model"] for row in models], ["tiny", "tiny"])

    def test_targets_are_a_verdict(self):
        def outcome(*arguments):
            process = tern("bench", "-m", "tiny.gguf", *QUICK, *arguments)
            return process.code, process.stderr
        self.assertEqual(outcome("--target-rate", "0.001", "--target-p99-ms", "1e6")[0], 0)
        code, text = outcome("--target-rate", "1e12")
        self.assertEqual(code, 3)
        self.assertIn("missed: pp8: rate is", text)
        for bounds, expected in (({"tg4": {"min_rate": 0.001, "max_n_gen": 4}}, 0),
                                 ({"tg4": {"max_n_gen": 3}}, 3), ({"tg5": {"min_rate": 0}}, 3)):
            with open("targets.json", "w", encoding="utf-8") as file:
                json.dump(bounds, file)
            self.assertEqual(outcome("--targets", "targets.json")[0], expected, bounds)
        self.fails("bench", *QUICK, "--targets", "missing.json", names=["missing.json"])
        with open("targets.json", "w", encoding="utf-8") as file:
            file.write('{"tg4": 3}')
        self.fails("bench", *QUICK, "--targets", "targets.json", names=["targets.json", "tg4"])

    def test_the_gpus_figures_come_from_its_library_and_are_judged(self):
        library = os.path.join(os.environ["TERN_NVML_FOLDER"], "libbusy_nvml.so")
        rows = json.loads(self.bench("--nvml", library, "-o", "json").text)
        for row in rows:
            self.assertAlmostEqual(row["gpu_utilization_percent"], 80)
            self.assertAlmostEqual(row["gpu_power_w"], 123.456)
            self.assertAlmostEqual(row["gpu_clock_mhz"], 1980)
            self.assertEqual(row["gpu_temperature_c"], 45)
            self.assertGreater(row["gpu_j_per_token"], 0)
        figures = r"80% busy, 123 W, 1980 MHz, 45 °C, 0 MB, [^ ]+ J a token\n"
        self.assertRegex(self.bench("--nvml", library).text, rf"\n\nGPU, pp8: {figures}\nGPU, tg4: {figures}$")
        for bound, code in (("79", 0), ("81", 3)):
            outcome = tern("bench", "-m", "tiny.gguf", *QUICK, "--nvml", library, "--target-gpu-utilization", bound)
            self.assertEqual(outcome.code, code, outcome)
        layer = json.loads(self.ok("bench", "--bitlinear", "--batch", "1", "-r", "1", "--nvml", library, "-o", "json").text)
        self.assertAlmostEqual(layer[0]["gpu_utilization_percent"], 80)
        self.assertGreater(layer[0]["gpu_j_per_row"], 0)
        for row in json.loads(self.bench("-o", "json").text):  # the CPU alone
            self.assertIsNone(row["gpu_utilization_percent"])
            self.assertIsNone(row["gpu_j_per_token"])
        self.fails("bench", "-m", "tiny.gguf", *QUICK, "-o", "json", "--nvml", "./none.so", names=["none.so"])

    def test_the_products_own_targets_are_measured_and_judged(self):
        outcome = tern("bench", "--targets", "product", "-r", "1", "-o", "json")
        self.assertIn(outcome.code, (0, 3), outcome)  # how fast this machine is, nobody knows
        rows = {(row["test"], row["field"]): row for row in json.loads(outcome.text)}
        self.assertEqual(len(rows), 7)
        self.assertEqual(rows["gpu", "utilisation_percent"]["state"], "absent")
        self.assertIsNone(rows["gpu", "utilisation_percent"]["found"])
        self.assertGreater(rows["bitlinear [1,768]x768", "rate"]["found"], 0)
        self.assertEqual(rows["bitlinear [1,768]x768", "memory_mb"]["bound"], 50)
        self.assertIn("overhead_percent", rows["public API", "overhead_percent"]["field"])
        missed = any(row["state"] == "missed" for row in rows.values())
        self.assertEqual(outcome.code, 3 if missed else 0)

    def test_kernels_are_verified_and_compared_with_the_scalar_one(self):
        rows = json.loads(self.ok("bench", "--kernels", "--shape", "1x32x64,3x40x128", "-r", "1", "--no-limits", "-o",
                                  "json").text)
        scalar = [row for row in rows if row["isa"] == "scalar"]
        self.assertEqual([(row["m"], row["n"], row["k"], row["speedup"]) for row in scalar],
                         [(1, 32, 64, 1.0), (3, 40, 128, 1.0)])
        self.assertTrue(all(row["verified"] for row in rows))
        self.assertIn("in cache", self.ok("bench", "--kernels", "--shape", "1x16x64", "-r", "1", "--no-limits").text)
        rows = json.loads(self.ok("bench", "--kernels", "--isa", "scalar", "--shape", "1x16x64", "-r", "1", "--no-limits",
                                  "-o", "json").text)
        self.assertEqual([row["isa"] for row in rows], ["scalar"])
        self.assertTrue(0 < rows[0]["best_us"] and 0 < rows[0]["p50_us"])
        self.fails("bench", "--kernels", "--isa", "mmx", "--shape", "1x16x64", code=2, names=["--isa", "mmx"])
        for shape in ("1x2", "0x1x1", "1x2x3x4", "axbxc", "1x2x99999999999999999999"):
            self.fails("bench", "--kernels", "--shape", shape, code=2, names=[shape])

    def test_bitlinear_layers_are_rows_with_latency_and_memory(self):
        rows = json.loads(self.ok("bench", "--bitlinear", "--batch", "1,5", "-r", "1", "-o", "json",
                                  "--target-ops", "1").text)
        self.assertEqual([row["test"] for row in rows], ["bitlinear [1,768]x768", "bitlinear [5,768]x768"])
        for row in rows:
            self.assertLessEqual(row["p50_ms"], row["p99_ms"])
            self.assertGreater(row["memory_mb"], row["layer_mb"])
            self.assertEqual(row["queued_calls"], 64)
            self.assertGreater(row["ops_per_s_alone"], 0)
        missed = tern("bench", "--bitlinear", "--batch", "1", "-r", "1", "--target-memory-mb", "0.01")
        self.assertEqual(missed.code, 3)
        self.assertIn("memory_mb", missed.stderr)

    def test_versus_runs_both_in_turn_and_prints_the_ratio(self):
        with open("peer", "w", encoding="utf-8") as file:
            file.write(PEER.format(python=sys.executable))
        os.chmod("peer", 0o755)
        self.ok("bench", "--versus", "./peer", "-m", "tiny.gguf", *QUICK, "--versus-model", "theirs.gguf")
        with open("peer.log", encoding="utf-8") as file:
            calls = [json.loads(line) for line in file]
        self.assertEqual(calls[0], ["-m", "theirs.gguf", "-p", "8", "-n", "0", "-t", "1", "-r", "1", "-o", "json"])
        self.assertEqual([call[3] for call in calls], ["8", "0", "8", "0"])
        rows = json.loads(self.bench("--versus", "./peer", "-o", "json").text)
        self.assertEqual([row["test"] for row in rows], TESTS)
        for row in rows:
            self.assertEqual(row["theirs_ts"], 2.5)
            self.assertLessEqual(row["ratio_min"], row["ratio"])
            self.assertEqual(len(row["ours_samples_ts"]), 2)

    def test_a_peer_that_fails_is_named_with_its_last_words(self):
        with open("peer", "w", encoding="utf-8") as file:
            file.write(PEER.format(python=sys.executable))
        os.chmod("peer", 0o755)
        for arguments, words in ((("--versus", "./peer", "--versus-model", "bad"), ["./peer", "no such model"]),
                                 (("--versus", "./missing"), ["./missing", "can't be started"]),
                                 (("--versus", "true"), ["true", "its output"])):
            outcome = tern("bench", "-m", "tiny.gguf", *QUICK, *arguments)
            self.assertEqual(outcome.code, 1)
            for word in words:
                self.assertIn(word, outcome.stderr.splitlines()[-1])

    def test_wrong_usage_is_said_in_one_line(self):
        self.fails("bench", "-p", "0", "-n", "0", code=2, names=["nothing to measure"])
        self.fails("bench", "-p", "-1", code=2, names=["--n-prompt"])
        self.fails("bench", "-o", "xml", code=2, names=["xml"])
        self.fails("bench", "--shape", "1x1x1", code=2, names=["--kernels"])
        self.fails("bench", "--limits", "--kernels", code=2, names=["--limits", "--kernels"])
        self.fails("bench", "--versus", "p", "-d", "1,2", code=2, names=["--versus"])

    def test_help_has_examples(self):
        self.assertIn("tern bench --limits", self.ok("bench", "--help").text)


if __name__ == "__main__":
    unittest.main()
