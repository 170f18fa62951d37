"""tern chat, driven through pipes and through a terminal of its own."""

import json
import os
import pty
import re
import select
import subprocess
import time
import unittest

import tiny_model
from cli_support import TERN, CliTest

MODEL = ("-m", "chat.gguf", "--seed", "1")
DEADLINE = 60


CHATML = """{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""


def chat_model(path, context=256, chat_template=CHATML):
    """The tiny model with a chat template."""
    gguf = tiny_model.make_gguf()
    gguf.set("tokenizer.chat_template", tiny_model.STRING, chat_template)
    gguf.set("bitnet-b1.58.context_length", tiny_model.U32, context)
    return gguf.write(path)


class Plain(CliTest):
    """Standard input is no terminal: a line is a message, stdout holds the answers and nothing else."""

    @classmethod
    def setUpClass(cls):
        chat_model("chat.gguf", 2048)

    def chat(self, *lines, options=()):
        text = "".join(line + "\n" for line in lines)
        return self.ok("chat", *MODEL, "-n", 12, *options, stdin=text.encode())

    def saved(self, *lines, options=()):
        """The outcome, and the messages that a final /save wrote."""
        outcome = self.chat(*lines, "/save out.json", options=options)
        with open("out.json", encoding="utf-8") as file:
            return outcome, json.load(file)

    def test_answers_go_to_stdout_line_by_line(self):
        outcome, messages = self.saved("hello", "and?")
        self.assertEqual([m["role"] for m in messages], ["user", "assistant"] * 2)
        self.assertEqual([m["content"] for m in messages[::2]], ["hello", "and?"])
        self.assertEqual(outcome.text, "".join(m["content"] + "\n" for m in messages[1::2]))
        self.assertEqual(outcome.stderr, "")

    def test_the_same_seed_gives_the_same_conversation(self):
        first = self.chat("hello", "and?", options=("-t", 1))
        self.assertEqual(self.chat("hello", "and?", options=("-t", 2)).stdout, first.stdout)

    def test_the_answer_is_what_the_model_says_to_the_rendered_conversation(self):
        _, messages = self.saved("hello", "and?", options=("--system", "Be brief.", "--temp", 0))
        self.assertEqual(messages[0], {"role": "system", "content": "Be brief."})
        text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages[:4])
        # The tiny vocabulary lacks ChatML's tokens, so they are plain text to the model.
        outcome = self.ok("run", "-m", "chat.gguf", "--no-echo", "-n", 12, "--temp", 0, "-p",
                          text + "<|im_start|>assistant\n")
        self.assertEqual(outcome.text[:-1], messages[4]["content"])

    def test_earlier_turns_stay_in_the_cache(self):
        outcome = self.chat("hello", "and?", "/stats")
        cached = int(re.search(r"(\d+) more were cached", outcome.stderr).group(1))
        self.assertGreater(cached, 20)
        self.assertIn("context:", outcome.stderr)

    def test_clear_forgets_all_but_the_system_message(self):
        _, messages = self.saved("hello", "/clear", options=("--system", "Be brief."))
        self.assertEqual(messages, [{"role": "system", "content": "Be brief."}])

    def test_a_saved_conversation_goes_on(self):
        whole, messages = self.saved("hello", "and?", options=("--temp", 0))
        with open("half.json", "w", encoding="utf-8") as file:
            json.dump(messages[:2], file)
        resumed, again = self.saved("/load half.json", "and?", options=("--temp", 0))
        self.assertEqual(again, messages)
        self.assertEqual(resumed.text.splitlines(), whole.text.splitlines()[-1:])

    def test_what_goes_wrong_does_not_end_the_chat(self):
        with open("bad.json", "w", encoding="utf-8") as file:
            file.write('[{"role": "user"}]')
        with open("roles.json", "w", encoding="utf-8") as file:
            file.write('[{"role": "assistant", "content": "hi"}]')
        outcome, messages = self.saved("/load missing.json", "/load bad.json", "/load roles.json", "/save no/such/folder/x",
                                       "/save", "/frobnicate", "a" * 5000, "hello")
        errors = outcome.stderr.splitlines()
        self.assertEqual(len(errors), 7, outcome)
        for line, name in zip(errors, ("missing.json", "content", "assistant", "no/such/folder/x", "/save", "/frobnicate",
                                       "too long")):
            self.assertTrue(line.startswith("tern: error: "), line)
            self.assertIn(name, line)
        self.assertEqual([m["content"] for m in messages][:1], ["hello"])

    def test_a_line_that_is_not_utf8_is_refused(self):
        outcome = self.ok("chat", *MODEL, "-n", 2, stdin=b"a\xff\nhello\n")
        self.assertIn("byte 1", outcome.stderr)
        self.assertEqual(outcome.text.count("\n"), 1)

    def test_help_quit_and_escaped_slashes(self):
        outcome, messages = self.saved("/help", "//help me", "", "   ")
        for command in ("/help", "/clear", "/save", "/load", "/stats", "/quit"):
            self.assertIn(command, outcome.stderr)
        self.assertEqual(messages[0]["content"], "/help me")
        self.assertEqual(self.chat("/quit", "hello").stdout, b"")

    def test_a_full_context_forgets_the_oldest_exchanges(self):
        chat_model("small.gguf", 256)
        lines = [f"message number {i}" for i in range(8)] + ["/save out.json"]
        text = "".join(line + "\n" for line in lines)
        outcome = self.ok("chat", "-m", "small.gguf", "--seed", 1, "-n", 12, "--system", "Be brief.", stdin=text.encode())
        self.assertIn("forgot the oldest", outcome.stderr)
        self.assertEqual(len(outcome.text.splitlines()), 8)
        with open("out.json", encoding="utf-8") as file:
            messages = json.load(file)
        self.assertEqual(messages[0]["role"], "system")
        self.assertEqual(messages[-2]["content"], "message number 7")
        self.assertNotIn("message number 0", [m["content"] for m in messages])

    def test_a_model_without_a_chat_format_says_so(self):
        tiny_model.make_gguf().write("tiny.gguf")
        outcome = self.ok("chat", "-m", "tiny.gguf", "-n", 3, stdin=b"hello\n")
        self.assertIn("no chat format", outcome.stderr)
        self.fails("chat", "-m", "tiny.gguf", "--chat-template", "mime", names=["mime", "chatml"])

    def test_a_template_may_come_from_a_file(self):
        with open("own.jinja", "w", encoding="utf-8") as file:
            file.write("{% for m in messages %}{{ m.role }}>{{ m.content }}\n{% endfor %}")
        outcome = self.chat("hello", options=("--temp", 0, "--chat-template", "own.jinja"))
        same = self.ok("run", "-m", "chat.gguf", "--no-echo", "-n", 12, "--temp", 0, "-p", "user>hello\n")
        self.assertEqual(outcome.text, same.text)
        by_name = self.chat("hello", options=("--temp", 0, "--chat-template", "chatml"))
        self.assertEqual(by_name.stdout, self.chat("hello", options=("--temp", 0)).stdout)
        with open("bad.jinja", "w", encoding="utf-8") as file:
            file.write("\n{% include 'x' %}")
        self.fails("chat", *MODEL, "--chat-template", "bad.jinja", names=["bad.jinja", "line 2", "include"])

    def test_a_template_that_cannot_be_used_gives_way_and_says_so(self):
        chat_model("include.gguf", 2048, "<|im_start|>{% include 'x' %}")
        outcome = self.ok("chat", "-m", "include.gguf", "--temp", 0, "-n", 12, stdin=b"hello\n")
        self.assertIn("include", outcome.stderr)
        self.assertIn("chatml format takes its place", outcome.stderr)
        self.assertEqual(outcome.stdout, self.chat("hello", options=("--temp", 0)).stdout)


class Terminal:
    """The program in a terminal of its own."""

    def __init__(self, *arguments):
        self.master, slave = pty.openpty()
        env = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": os.getcwd()}
        self.process = subprocess.Popen([TERN, *arguments], stdin=slave, stdout=slave, stderr=slave, env=env,
                                        start_new_session=True, preexec_fn=self.take_terminal)
        os.close(slave)
        self.seen = ""

    @staticmethod
    def take_terminal():
        import fcntl
        import termios
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, pattern):
        """Reads until the pattern stands in what came since the last call; returns that."""
        end = time.monotonic() + DEADLINE
        while not re.search(pattern, self.seen):
            if time.monotonic() > end:
                raise AssertionError(f"{pattern!r} did not come, only {self.seen!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 4096).decode(errors="replace")
                except OSError:  # the program ended
                    if not re.search(pattern, self.seen):
                        raise AssertionError(f"the program ended with {self.seen!r}") from None
        seen, self.seen = self.seen, ""
        return seen

    def end(self):
        code = self.process.wait(timeout=DEADLINE)
        os.close(self.master)
        return code


class OnATerminal(CliTest):
    @classmethod
    def setUpClass(cls):
        chat_model("chat.gguf", 100000)

    def open(self, *options):
        terminal = Terminal("chat", *MODEL, "--ignore-eos", *options)
        self.addCleanup(terminal.process.wait)
        self.addCleanup(terminal.process.kill)
        terminal.wait_for(r"/help.*\n(.*\n)*.*> ")
        return terminal

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        terminal = self.open("-n", "90000", "--ctx", "100000")
        for _ in range(2):
            terminal.type("go on\r")
            terminal.wait_for(r"go on(.|\n)*[!-~]{5}")
            terminal.type("\x03")
            terminal.wait_for("\n(.*\n)*.*> ")
        terminal.type("/stats\r")
        terminal.wait_for("ended by cancelled(.|\n)*> ")
        terminal.type("/quit\r")
        self.assertEqual(terminal.end(), 0)

    def test_ctrl_c_at_the_prompt_voids_the_line(self):
        terminal = self.open("-n", "3")
        terminal.type("never sent\x03")
        terminal.wait_for("Ctrl-D ends(.|\n)*> ")
        terminal.type("/save out.json\r")
        terminal.wait_for("out.json(.|\n)*> ")
        with open("out.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file), [])
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)

    def test_lines_are_edited_and_recalled(self):
        terminal = self.open("-n", "2")
        # Left once, a character of two bytes, then the line again from the history.
        terminal.type("ac\x1b[D\u00e9\r")
        terminal.wait_for("\n(.*\n)*.*> ")
        terminal.type("\x1b[A\x7fd\r")
        terminal.wait_for("\n(.*\n)*.*> ")
        terminal.type("/save out.json\r")
        terminal.wait_for("out.json(.|\n)*> ")
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)
        with open("out.json", encoding="utf-8") as file:
            self.assertEqual([m["content"] for m in json.load(file)][::2], ["a\u00e9c", "a\u00e9d"])


if __name__ == "__main__":
    unittest.main()
