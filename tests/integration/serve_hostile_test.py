"""tern serve against clients that mean no good: it answers or closes, never dies, and others are not disturbed.

TERN_MUTATIONS: how many random mutations of valid requests are sent (default 2000).
"""

import json
import os
import random
import socket
import unittest

from cli_support import CliTest
from serve_support import PROMPT, Server, endless, raw_post, receive

MUTATIONS = int(os.environ.get("TERN_MUTATIONS", "2000"))
CHAT = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 3, "temperature": 0.5, "top_p": 0.9, "seed": 5,
        "stop": ["\n"], "stream": True, "stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 2,
        "logit_bias": {"5": -1}, "response_format": {"type": "json_object"}, "tools": [], "n": 2}
VALID = [
    raw_post(CHAT, "/v1/chat/completions"),
    raw_post({"prompt": [PROMPT, "a"], "max_tokens": 2, "logprobs": 1, "echo": False, "cache_prompt": True}),
    raw_post({"prompt": "a", "max_tokens": 2, "grammar": 'root ::= ("a" | [b-d]+) "e"?'}),
    raw_post({"prompt": "a", "max_tokens": 2, "json_schema": {"type": "object", "properties": {"a": {"enum": [1, "x"]}}}}),
    raw_post({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}], "max_output_tokens": 2},
             "/v1/responses"),
    raw_post({"input": ["a", "b c"], "encoding_format": "base64"}, "/v1/embeddings"),
    raw_post({"content": "a b", "with_pieces": True}, "/tokenize"),
    raw_post({"tokens": [1, 2, 3]}, "/detokenize"),
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"prompt\": \"a\", \"max_tokens\": 1}\r\n0\r\n\r\n",
]
SPICE = [b"\x00", b"\xff", b"\r\n\r\n", b"\r\n", b"{", b"[", b"]", b"}", b'"', b":", b"-1", b"1e999", b"null", b"\\u0000",
         b"\\ud800", b"99999999999999999999", b"Content-Length: 5\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.0", b"%00"]


class Undisturbed(CliTest):
    """Before and after each test a client gets the same answer, and afterwards nothing is left in the server."""

    CONTEXT = 8000

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--timeout", 2, context=cls.CONTEXT)

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.lines[-20:]

    def setUp(self):
        self.expected = self.ask()

    def tearDown(self):
        self.assertEqual(self.ask(), self.expected)
        self.assertTrue(self.server.idle())

    def ask(self):
        status, _, answer = self.server.request("POST", "/v1/completions",
                                                {"prompt": PROMPT, "max_tokens": 8, "temperature": 0})
        self.assertEqual(status, 200, answer)
        return answer["choices"]


class Hostile(Undisturbed):
    def test_slow_requests_and_half_open_connections_hold_nobody_up(self):
        slow = [self.server.raw(b"POST /v1/completions HTTP/1.1\r\nX: ") for _ in range(100)]
        half = [self.server.raw(raw_post(endless(stream=True))) for _ in range(20)]
        for client in half:
            client.shutdown(socket.SHUT_WR)
        for client in slow:
            client.sendall(b"a")
        self.assertEqual(self.ask(), self.expected)
        for client in slow:
            self.assertTrue(receive(client).startswith(b"HTTP/1.1 408 "))
        for client in slow + half:
            client.close()

    def test_readers_that_stop_reading_are_cut_off(self):
        clients = []
        for _ in range(4):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", self.server.port))
            client.sendall(raw_post(endless(stream=True, logprobs=20)))
            clients.append(client)
        self.assertEqual(self.ask(), self.expected)
        self.assertTrue(self.server.idle())  # though nobody has closed
        for client in clients:
            client.close()

    def test_huge_bodies(self):
        big = b'{"prompt": "' + b"a" * (10 << 20) + b'"}'
        with self.server.raw() as client:
            try:
                client.sendall(raw_post(big))
            except ConnectionError:
                pass
            self.assertIn(receive(client)[:13], (b"HTTP/1.1 413 ", b""))
        with self.server.raw(b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n") as client:
            self.assertTrue(receive(client).startswith(b"HTTP/1.1 4"))

    def test_text_that_is_no_utf8_and_json_that_is_no_json(self):
        for body in (b'{"prompt": "\xff\xfe"}', b'{"prompt": "\xed\xa0\x80"}', b'{"prompt": "\\ud800"}', b"\x00" * 100, b"",
                     b"[" * 100000, b'{"a":' * 100000, b'{"prompt":' + b"[" * 60 + b"]" * 60 + b"}",
                     b'{"prompt": "a", "n": 1e400}', b'{"prompt": "a", "max_tokens": 1' + b"0" * 5000 + b"}",
                     b"{" + b",".join(b'"%d":1' % i for i in range(100000)) + b"}", b"\xef\xbb\xbf{"):
            for path in ("/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/tokenize"):
                status, _, answer = self.server.request("POST", path, body)
                self.assertEqual((status, "error" in answer), (400, True), (path, body[:40]))

    def test_requests_that_hide_in_others(self):
        smuggled = (b"POST /tokenize HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                    b"GET /health HTTP/1.1\r\n\r\n")
        with self.server.raw(smuggled) as client:
            self.assertTrue(receive(client).startswith(b"HTTP/1.1 400 "))
        with self.server.raw(b"GET /health HTTP/1.1\r\n\r\n" * 500) as client:
            client.shutdown(socket.SHUT_WR)
            self.assertLessEqual(receive(client).count(b"HTTP/1.1 200 "), 500)


class Mutations(Undisturbed):
    CONTEXT = 256  # no answer is long

    def test_random_mutations_of_valid_requests(self):
        for number in range(MUTATIONS):
            request = mutate(random.Random(number))
            with self.server.raw() as client:
                try:
                    client.sendall(request)
                    client.shutdown(socket.SHUT_WR)
                except ConnectionError:
                    pass
                answer = receive(client)
            self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1."), (number, answer[:100]))
            self.assertIsNone(self.server.process.poll(), f"mutation {number}: {request!r}")

    def test_mutated_fields_of_valid_json(self):
        values = [None, True, -1, 0, 1.5, 1e300, 2**63, -2**63, "", "a", "\u0000", [], {}, [[]], [None], {"a": None}, ["a"] * 20]
        bodies = [(path, json.loads(body)) for path, body in
                  [(r.split()[1].decode(), r.partition(b"\r\n\r\n")[2]) for r in VALID[:8]]]
        for path, body in bodies:
            for field in body:
                for value in values:
                    status, _, _ = self.server.request("POST", path, {**body, field: value})
                    self.assertIn(status, (200, 400), (path, field, value))


def mutate(source):
    """A valid request, and a few bytes of it changed."""
    data = bytearray(source.choice(VALID))
    for _ in range(source.choice((1, 1, 2, 3, 8))):
        at = source.randrange(len(data) + 1)
        kind = source.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = source.randrange(256)
        elif kind == 1:
            data[at:at] = source.choice(SPICE)
        elif kind == 2:
            del data[at:at + source.randrange(1, 10)]
        elif kind == 3:
            end = min(len(data), at + source.randrange(1, 30))
            data[at:at] = data[at:end]
        else:
            del data[at:]
            data += source.choice(VALID)[source.randrange(40):]
    return bytes(data)


if __name__ == "__main__":
    unittest.main()
