"""tern batch: formats, order, bad lines, what is gone on with and what is refused."""

import csv
import json
import os
import signal
import subprocess
import time
import unittest

import tiny_model
from cli_support import TERN, CliTest, tern

MODEL = ("-m", "tiny.gguf")
OPTIONS = (*MODEL, "-n", 12)


def write(path, text):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


class Batch(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write("tiny.gguf")

    def setUp(self):
        for name in os.listdir():
            if name != "tiny.gguf":
                os.remove(name)

    def batch(self, prompts, results, *arguments, code=0, tokens=12):
        """The records of the results, and how the run ended."""
        outcome = tern("batch", *MODEL, "-n", tokens, "--input", prompts, "--output", results, *arguments)
        self.assertEqual(outcome.code, code, outcome)
        self.assertEqual(outcome.stdout, b"")
        if results.endswith(".csv"):
            with open(results, encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file, strict=True)), outcome
        return [json.loads(line) for line in read(results).splitlines()], outcome

    def run_text(self, prompt, seed, *arguments):
        return self.ok("run", *OPTIONS, "--no-echo", "-p", prompt, "--seed", seed, *arguments).text[:-1]

    def test_answers_are_those_of_run_in_the_order_of_the_prompts(self):
        write("p.txt", "the end\n\nab\r\na b c")
        found, outcome = self.batch("p.txt", "r.jsonl", "--seed", 7)
        self.assertEqual([r["line"] for r in found], [1, 3, 4])
        for i, prompt in enumerate(("the end", "ab", "a b c")):
            self.assertEqual(found[i]["text"], self.run_text(prompt, 7 + i))
            self.assertEqual(found[i]["generated_tokens"], 12)
        self.assertIn("3 of 3 lines", outcome.stderr)

    def test_a_line_or_an_option_holds_answers_to_a_grammar(self):
        write("g.gbnf", 'root ::= "ab" | "e"')
        write("p.jsonl", '{"prompt": "a"}\n{"prompt": "a", "grammar": "root ::= \\"be\\""}\n'
                         '{"prompt": "a", "json_schema": {"const": "d"}}\n{"prompt": "a", "grammar": "x"}')
        found, _ = self.batch("p.jsonl", "r.jsonl", "--grammar", "g.gbnf", code=1)
        self.assertIn(found[0]["text"], ("ab", "e"))
        self.assertEqual([r["text"] for r in found[1:3]], ["be", '"d"'])
        self.assertIn("p.jsonl: line 4: grammar: ", found[3]["error"]["message"])
        write("g.gbnf", 'root ::= "ab" | "c"')
        _, outcome = self.batch("p.jsonl", "r.jsonl", "--grammar", "g.gbnf", code=1)
        self.assertIn("other options", outcome.stderr)

    def test_modes_workers_threads_and_formats_change_no_answer(self):
        write("p.txt", "".join(f"text {i}\n" for i in range(20)))
        expected, _ = self.batch("p.txt", "r.jsonl")
        for i, arguments in enumerate((("--mode", "parallel"), ("--mode", "timed", "--workers", 3),
                                       ("--workers", 1), ("--workers", 20, "-t", 3))):
            found, _ = self.batch("p.txt", f"r{i}.jsonl", *arguments)
            self.assertEqual(sorted(found, key=lambda r: r["line"]), expected, arguments)
        table, _ = self.batch("p.txt", "r.csv")
        self.assertEqual([r["text"] for r in table], [r["text"] for r in expected])

    def test_lines_say_their_own_options(self):
        lines = [{"prompt": "ab", "id": "x", "seed": 3, "max_tokens": 5}, {"prompt": "ab", "temperature": 0, "id": 17},
                 {"messages": [{"role": "user", "content": "ab"}], "seed": 3}]
        write("p.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        found, _ = self.batch("p.jsonl", "r.jsonl")
        self.assertEqual([r.get("id") for r in found], ["x", "17", None])
        self.assertEqual(found[0]["text"], self.ok("run", *MODEL, "--no-echo", "-p", "ab", "--seed", 3, "-n", 5).text[:-1])
        self.assertEqual(found[1]["text"], self.run_text("ab", 0, "--temp", 0))
        write("q.txt", "ab\n")
        chat, _ = self.batch("q.txt", "c.jsonl", "--chat", "--seed", 3)
        self.assertEqual(chat[0]["text"], found[2]["text"])

    def test_a_bad_line_is_an_error_in_the_results(self):
        write("p.jsonl", '{"prompt": "a"}\n{"prompt": 1}\nnonsense\n' + json.dumps({"prompt": "a " * 600}) + '\n{"prompt": "b"}\n')
        for results in ("r.jsonl", "r.csv"):
            found, outcome = self.batch("p.jsonl", results, code=1)
            self.assertEqual(len(found), 5)
            self.assertIn("3 of 5 lines have an error", outcome.stderr)
            for i, words in ((1, ["line 2", "prompt"]), (2, ["line 3"]), (3, ["p.jsonl: line 4", "256"])):
                message = found[i]["error"] if results.endswith("csv") else found[i]["error"]["message"]
                for word in words:
                    self.assertIn(word, message)
            self.assertTrue(found[0]["text"] and found[4]["text"])

    def test_what_is_done_is_not_done_again(self):
        write("p.txt", "a\nb\n")
        self.batch("p.txt", "r.jsonl")
        first = read("r.jsonl")
        _, outcome = self.batch("p.txt", "r.jsonl")
        self.assertIn("2 of them from before; 0 tokens", outcome.stderr)
        write("p.txt", "a\nb\nc\n")
        self.batch("p.txt", "r.jsonl")
        self.assertTrue(read("r.jsonl").startswith(first))
        self.assertEqual(len(read("r.jsonl").splitlines()), 3)
        write("r.jsonl", read("r.jsonl")[:-20])
        _, outcome = self.batch("p.txt", "r.jsonl")
        self.assertRegex(outcome.stderr, r"cut \d+ bytes")
        self.assertEqual(len(read("r.jsonl").splitlines()), 3)

    def test_results_of_something_else_are_refused_and_kept(self):
        write("p.txt", "a\nb\n")
        self.batch("p.txt", "r.jsonl")
        first = read("r.jsonl")
        write("q.txt", "a\nx\n")
        write("short.txt", "a\n")
        write("notes.jsonl", "my notes")
        refuse = lambda *a, names: self.fails("batch", *OPTIONS, *a, names=names)
        refuse("--input", "q.txt", "--output", "r.jsonl", names=["r.jsonl", "line 2", "q.txt", "another input"])
        refuse("--input", "short.txt", "--output", "r.jsonl", names=["another input"])
        refuse("--input", "p.txt", "--output", "r.jsonl", "--temp", 0, names=["other options"])
        refuse("--input", "p.txt", "--output", "notes.jsonl", names=["notes.jsonl", "another file"])
        refuse("--input", "p.txt", "--output", "r.txt", names=["r.txt", ".csv or .jsonl"])
        refuse("--input", "p.doc", "--output", "r.csv", names=["p.doc", ".txt, .csv or .jsonl"])
        refuse("--input", "none.txt", "--output", "r.csv", names=["none.txt"])
        refuse("--input", "p.txt", "--output", "no/r.csv", names=["no/r.csv"])
        self.assertEqual(read("r.jsonl"), first)
        self.assertEqual(read("notes.jsonl"), "my notes")

    def test_ctrl_c_stops_and_the_same_command_goes_on(self):
        write("p.txt", "".join(f"text {i}\n" for i in range(40)))
        expected, _ = self.batch("p.txt", "whole.jsonl", tokens=200)
        command = [TERN, "batch", *MODEL, "-n", "200", "--input", "p.txt", "--output", "r.jsonl", "--workers", "2"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            while process.poll() is None and (not os.path.exists("r.jsonl") or not os.path.getsize("r.jsonl")):
                time.sleep(0.001)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        if process.returncode == 130:  # it may have been quicker
            self.assertIn(b"goes on from here", errors)
            self.assertLess(len(read("r.jsonl").splitlines()), 40)
        found, _ = self.batch("p.txt", "r.jsonl", tokens=200)
        self.assertEqual(found, expected)


if __name__ == "__main__":
    unittest.main()
