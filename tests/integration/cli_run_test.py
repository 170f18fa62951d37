"""tern run: texts, seeds, stop strings, prompts, Ctrl-C."""

import json
import os
import re
import signal
import struct
import subprocess
import time
import unittest

import tiny_model
from cli_support import TERN, CliTest
from tiny_model import CONTEXT

MODEL = ("-m", "tiny.gguf")


class Run(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write("tiny.gguf")

    def text(self, *arguments, **options):
        """What the model wrote, without the newline that ends the output."""
        outcome = self.ok("run", *MODEL, "--no-echo", *arguments, **options)
        self.assertTrue(outcome.text.endswith("\n"))
        return outcome.text[:-1]

    def test_the_prompt_and_its_continuation_go_to_stdout_and_the_speed_to_stderr(self):
        outcome = self.ok("run", *MODEL, "-p", "the end", "-n", 10, "--temp", 0)
        self.assertEqual(outcome.text, "the end" + self.text("-p", "the end", "-n", 10, "--temp", 0) + "\n")
        self.assertRegex(outcome.stderr, r"prefill \d+ tokens, [\d.]+ tokens/s; decode 10 tokens, [\d.]+ tokens/s")
        self.assertRegex(outcome.stderr, r"--seed \d+")

    def test_greedy_text_is_the_likeliest_token_of_every_step(self):
        prompt = "the end"
        ids = [int(i) for i in self.ok("tokenize", *MODEL, "--bos", "-p", prompt).text.split()]
        count = len(ids)
        for _ in range(8):
            data = self.ok("logits", *MODEL, "--ids", ",".join(map(str, ids)), "-o", "-").stdout
            row = struct.unpack(f"<{tiny_model.VOCAB}f", data[-4 * tiny_model.VOCAB:])
            ids.append(row.index(max(row)))
        expected = self.ok("detokenize", *MODEL, *ids[count:]).text[:-1]
        self.assertEqual(self.text("-p", prompt, "-n", 8, "--temp", 0), expected)

    def test_the_same_seed_gives_the_same_text_with_any_number_of_threads(self):
        expected = self.text("-p", "a", "-n", 30, "--seed", 5)
        for threads in (1, 2, 3):
            self.assertEqual(self.text("-p", "a", "-n", 30, "--seed", 5, "-t", threads), expected)
        self.assertNotEqual(self.text("-p", "a", "-n", 30, "--seed", 6), expected)

    def test_a_random_seed_is_printed_and_repeats_the_text(self):
        first = self.ok("run", *MODEL, "-p", "a", "-n", 20)
        seed = re.search(r"--seed (\d+)", first.stderr).group(1)
        self.assertEqual(self.ok("run", *MODEL, "-p", "a", "-n", 20, "--seed", seed).stdout, first.stdout)
        self.assertNotEqual(self.ok("run", *MODEL, "-p", "a", "-n", 20).stdout, first.stdout)

    def test_the_answer_is_held_to_a_grammar_or_a_schema(self):
        for name, text in (("g.gbnf", 'root ::= ("ab" | "e") "."'), ("bad.gbnf", "root ::= ["),
                           ("s.json", '{"enum": ["b", 1]}')):
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        for seed in range(4):
            self.assertIn(self.text("-p", "a", "--grammar", "g.gbnf", "--seed", seed), ("ab.", "e."))
            self.assertIn(self.text("-p", "a", "--json-schema", "s.json", "--seed", seed), ('"b"', "1"))
        self.fails("run", *MODEL, "-p", "a", "--grammar", "bad.gbnf", names=["bad.gbnf", "line 1, column 11"])
        self.fails("run", *MODEL, "-p", "a", "--json-schema", "none", names=["none", "opened"])
        self.fails("run", *MODEL, "-p", "a", "--json", "--grammar", "g.gbnf", code=2, names=["--json", "--grammar"])

    def test_top_k_of_one_is_greedy(self):
        self.assertEqual(self.text("-p", "a", "-n", 20, "--top-k", 1, "--seed", 1),
                         self.text("-p", "a", "-n", 20, "--temp", 0))

    def test_penalties_change_the_text(self):
        greedy = self.text("-p", "a", "-n", 60, "--temp", 0)
        for option, value in (("--repeat-penalty", 100), ("--presence-penalty", 50), ("--frequency-penalty", 50)):
            self.assertNotEqual(self.text("-p", "a", "-n", 60, "--temp", 0, option, value), greedy, option)
        self.assertEqual(self.text("-p", "a", "-n", 60, "--temp", 0, "--presence-penalty", 50, "--repeat-last-n", 0), greedy)

    def test_the_text_ends_before_a_stop_string_wherever_its_tokens_end(self):
        whole = self.text("-p", "a", "-n", 40, "--temp", 0)
        self.assertGreater(len(whole), 20)
        for begin, end in ((8, 9), (8, 11), (10, 15), (3, 20)):
            stop = whole[begin:end]
            expected = whole[:whole.index(stop)]
            self.assertEqual(self.text("-p", "a", "-n", 40, "--temp", 0, "--stop", stop), expected, stop)
            self.assertEqual(self.text("-p", "a", "-n", 40, "--temp", 0, "--stop", "\x01", "--stop", stop), expected, stop)
        # A stop string that begins but does not end holds nothing back for good.
        self.assertEqual(self.text("-p", "a", "-n", 40, "--temp", 0, "--stop", whole[-3:] + "\x01"), whole)

    def test_prompts_come_from_files_and_standard_input_without_their_final_newline(self):
        expected = self.text("-p", "the end", "-n", 10, "--temp", 0)
        for newline in ("", "\n", "\r\n"):
            with open("prompt.txt", "w", encoding="utf-8", newline="") as file:
                file.write("the end" + newline)
            self.assertEqual(self.text("-f", "prompt.txt", "-n", 10, "--temp", 0), expected)
            self.assertEqual(self.text("-", "-n", 10, "--temp", 0, stdin=("the end" + newline).encode()), expected)

    def test_special_tokens_of_the_prompt_are_text_unless_asked_for(self):
        plain, special = self.ok("run", *MODEL, "-p", "<|end|>", "-n", 1), self.ok("run", *MODEL, "--special", "-p", "<|end|>", "-n", 1)
        tokens = [int(re.search(r"prefill (\d+)", o.stderr).group(1)) for o in (plain, special)]
        self.assertEqual(tokens[1], 2)
        self.assertGreater(tokens[0], 2)

    def test_the_end_of_text_token_ends_the_text_unless_ignored(self):
        # The first token of a greedy text, declared the end of text.
        first = int(self.ok("tokenize", *MODEL, "-p", self.text("-p", "a", "-n", 1, "--temp", 0)).text.split()[0])
        gguf = tiny_model.make_gguf()
        gguf.set("tokenizer.ggml.eos_token_id", tiny_model.U32, first)
        gguf.write("early.gguf")
        outcome = self.ok("run", "-m", "early.gguf", "--no-echo", "-p", "a", "-n", 9, "--temp", 0)
        self.assertEqual(outcome.text, "\n")
        outcome = self.ok("run", "-m", "early.gguf", "--no-echo", "-p", "a", "-n", 9, "--temp", 0, "--ignore-eos")
        self.assertIn("decode 9 tokens", outcome.stderr)

    def test_a_full_context_ends_the_text(self):
        outcome = self.ok("run", *MODEL, "-p", "a", "-n", 100, "--ctx", 20, "--temp", 0)
        self.assertIn("context", outcome.stderr.splitlines()[-1])
        self.assertLess(len(outcome.text), 100)

    def test_live_statistics_go_to_stderr(self):
        plain = self.ok("run", *MODEL, "-p", "a", "-n", 20, "--seed", 3)
        live = self.ok("run", *MODEL, "-p", "a", "-n", 20, "--seed", 3, "--stream-stats")
        self.assertEqual(live.stdout, plain.stdout)
        self.assertIn("tokens/s", live.stderr.splitlines()[0])

    def test_prompts_that_cannot_be_continued_are_refused(self):
        open("empty.txt", "w", encoding="utf-8").close()
        self.fails("run", *MODEL, "-p", "", names=["prompt", "empty"])
        self.fails("run", *MODEL, "-f", "empty.txt", names=["empty.txt", "empty"])
        self.fails("run", *MODEL, "-", names=["standard input", "empty"])
        self.fails("run", *MODEL, "-f", "no-such-file.txt", names=["no-such-file.txt"])
        self.fails("run", *MODEL, "-f", ".", names=["."])
        with open("binary.txt", "wb") as file:
            file.write(b"ab\xff")
        self.fails("run", *MODEL, "-f", "binary.txt", names=["binary.txt", "byte 2", "UTF-8"])

    def test_a_prompt_longer_than_the_context_is_refused(self):
        outcome = self.fails("run", *MODEL, "--no-echo", "-p", "a " * CONTEXT, names=["prompt", str(CONTEXT)])
        self.assertRegex(outcome.stderr, r"\b5\d\d\b")  # what was found
        self.fails("run", *MODEL, "--no-echo", "-p", "a b c d e", "--ctx", 4, names=["prompt", "4"])

    def test_text_is_streamed_and_ctrl_c_ends_it_cleanly(self):
        # A context that would take minutes to fill.
        command = [TERN, "run", *MODEL, "--no-echo", "-p", "a", "-n", "1000000", "--ctx", "200000", "--ignore-eos"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            first = os.read(process.stdout.fileno(), 1)
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, errors)
        self.assertTrue((first + rest).endswith(b"\n"))
        self.assertIn(b"tokens/s", errors)

    def test_a_reader_that_goes_away_ends_the_program(self):
        command = [TERN, "run", *MODEL, "-p", "a", "-n", "1000000", "--ctx", "200000", "--ignore-eos"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            os.read(process.stdout.fileno(), 1)
            process.stdout.close()
            process.wait(timeout=30)


class FromFolder(CliTest):
    def test_a_folder_gives_the_text_of_the_same_model_as_gguf(self):
        tiny_model.make_gguf().write("tiny.gguf")
        tiny_model.write_hf_folder("folder")
        arguments = ("--no-echo", "-p", "the end", "-n", 20, "--temp", 0)
        self.assertEqual(self.ok("run", "-m", "folder", *arguments).stdout, self.ok("run", *MODEL, *arguments).stdout)
        self.assertTrue(json.loads(self.ok("info", "folder", "--json").text)["runs"])


if __name__ == "__main__":
    unittest.main()
