"""tern serve: endpoints, streams, errors, limits, clients that go away, the end."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

from cli_support import TERN, CliTest

MODEL = ("-m", os.path.join(os.environ["TERN_SOURCE_DIR"], "models", "tern-stories.gguf"))
PROMPT = "Once upon a time"
CONTEXT = 20000  # would take minutes to fill
PATIENCE = 30


class Server:
    """The program, listening on a port of its own; its stderr is collected."""

    def __init__(self, *arguments):
        command = [TERN, "serve", *MODEL, "--port", "0", "--ctx", CONTEXT, *arguments]
        self.process = subprocess.Popen(list(map(str, command)),
                                        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.lines = []
        for line in self.process.stderr:
            found = re.fullmatch(r"tern: listening on http://127\.0\.0\.1:(\d+)\n", line)
            if found:
                self.port = int(found.group(1))
                break
        else:
            raise AssertionError(f"exit code {self.process.wait()}")
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def stop(self, number=signal.SIGTERM):
        """The exit code after a signal."""
        self.process.send_signal(number)
        try:
            code = self.process.wait(timeout=PATIENCE)
        finally:
            self.process.kill()
        self.reader.join()
        self.process.stderr.close()
        return code

    def connect(self):
        return contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE))

    def raw(self, data):
        """A socket that has sent these bytes."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        client.sendall(data)
        return client

    def request(self, method, path, body=None):
        """Status, headers, body as JSON."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        with self.connect() as connection:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.headers, json.loads(response.read())

    def log_has(self, text):
        """Whether a line of the log has this text, now or soon."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if any(text in line for line in self.lines):
                return True
            time.sleep(0.02)
        return False


def endless(**fields):
    """The body of a request whose answer takes longer than any test: noise up to the end of the context."""
    return {"prompt": PROMPT, "max_tokens": 1000000, "temperature": 100, "top_k": 0, "top_p": 1, "min_p": 0,
            "seed": 1, **fields}


def raw_post(body, path="/v1/completions"):
    data = json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(data), data)


class Serve(CliTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.lines

    def post(self, path, body, status=200):
        found, _, answer = self.server.request("POST", path, body)
        self.assertEqual(found, status, answer)
        return answer

    def events(self, path, body):
        """The objects of a stream, without [DONE]."""
        with self.server.connect() as connection:
            connection.request("POST", path, json.dumps({**body, "stream": True}))
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            self.assertEqual(response.getheader("Content-Type"), "text/event-stream")
            blocks = response.read().decode().split("\n\n")
        self.assertEqual(blocks[-2:], ["data: [DONE]", ""])
        self.assertTrue(all(block.startswith("data: ") for block in blocks[:-1]))
        return [json.loads(block[len("data: "):]) for block in blocks[:-2]]

    def refused(self, body, param, path="/v1/completions", status=400):
        error = self.post(path, body, status)["error"]
        self.assertEqual(error["type"], "invalid_request_error", error)
        self.assertEqual(error["param"], param, error)
        return error

    def test_health_and_models(self):
        status, headers, answer = self.server.request("GET", "/health?x=1")
        self.assertEqual((status, answer), (200, {"status": "ok"}))
        self.assertEqual(headers["Content-Type"], "application/json")
        status, _, answer = self.server.request("GET", "/v1/models")
        self.assertEqual((status, answer["object"], len(answer["data"])), (200, "list", 1))
        self.assertEqual(answer["data"][0]["object"], "model")

    def test_a_greedy_completion_is_the_text_of_tern_run(self):
        expected = self.ok("run", *MODEL, "--no-echo", "-p", PROMPT, "-n", 24, "--temp", 0).text[:-1]
        answer = self.post("/v1/completions", {"model": "x", "prompt": PROMPT, "max_tokens": 24, "temperature": 0})
        self.assertEqual(answer["choices"], [{"index": 0, "text": expected, "finish_reason": "length"}])
        self.assertEqual(answer["object"], "text_completion")
        usage = answer["usage"]
        self.assertEqual(usage["completion_tokens"], 24)
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + 24)
        self.assertGreater(answer["timings"]["predicted_per_second"], 0)

    def test_a_stream_joined_is_the_whole_answer(self):
        body = {"prompt": PROMPT, "max_tokens": 30, "seed": 5}
        whole = self.post("/v1/completions", body)
        events = self.events("/v1/completions", {**body, "stream_options": {"include_usage": True}})
        self.assertEqual("".join(e["choices"][0]["text"] for e in events[:-1]), whole["choices"][0]["text"])
        self.assertEqual([e["choices"][0]["finish_reason"] for e in events[:-1]], [None] * (len(events) - 2) + ["length"])
        self.assertGreater(len(events), 10)
        self.assertEqual((events[-1]["choices"], events[-1]["usage"]), ([], whole["usage"]))
        self.assertEqual(len({e["id"] for e in events}), 1)
        self.assertNotEqual(events[0]["id"], whole["id"])

    def test_chat_whole_and_as_a_stream(self):
        body = {"messages": [{"role": "system", "content": "Once upon"},
                             {"role": "user", "content": [{"type": "text", "text": "a time"}]}],
                "max_completion_tokens": 20, "temperature": 0}
        whole = self.post("/v1/chat/completions", body)
        message = whole["choices"][0]["message"]
        self.assertEqual((whole["object"], message["role"]), ("chat.completion", "assistant"))
        self.assertTrue(message["content"])
        events = self.events("/v1/chat/completions", body)
        deltas = [e["choices"][0]["delta"] for e in events]
        self.assertEqual(deltas[0], {"role": "assistant", "content": ""})
        self.assertEqual("".join(d.get("content", "") for d in deltas), message["content"])
        self.assertEqual(events[-1]["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"])
        self.assertEqual(events[0]["object"], "chat.completion.chunk")

    def test_a_stop_string_ends_the_answer_and_is_not_in_it(self):
        body = {"prompt": PROMPT, "max_tokens": 40, "temperature": 0}
        whole = self.post("/v1/completions", body)["choices"][0]["text"]
        stop = whole[10:15]
        for form in (stop, ["\x01", stop]):
            choice = self.post("/v1/completions", {**body, "stop": form})["choices"][0]
            self.assertEqual((choice["text"], choice["finish_reason"]), (whole[:whole.index(stop)], "stop"))

    def test_one_connection_serves_many_requests(self):
        with self.server.connect() as connection:
            for stream in (False, True, False):
                connection.request("POST", "/v1/completions",
                                   json.dumps({"prompt": "a", "max_tokens": 2, "stream": stream}))
                first = connection.sock
                response = connection.getresponse()
                self.assertEqual(response.status, 200)
                response.read()
                self.assertIs(connection.sock, first)
            connection.request("POST", "/v1/completions", "{")
            self.assertEqual(connection.getresponse().status, 400)

    def test_clients_at_the_same_time_all_get_their_own_answer(self):
        bodies = [{"prompt": PROMPT, "max_tokens": 12, "seed": seed} for seed in range(6)]
        expected = [self.post("/v1/completions", body)["choices"] for body in bodies]
        found = [None] * len(bodies)

        def ask(i):
            found[i] = self.post("/v1/completions", bodies[i])["choices"]

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, expected)
        self.assertGreater(len({str(choice) for choice in found}), 1)

    def test_wrong_requests_are_refused_with_the_field_at_fault(self):
        self.refused({"prompt": "a", "temperature": "hot"}, "temperature")
        self.refused({"prompt": "a", "n": 2}, "n")
        self.refused({}, "prompt")
        self.refused({}, "messages", path="/v1/chat/completions")
        self.refused({"messages": [{"role": "nobody", "content": "a"}]}, "messages", path="/v1/chat/completions")
        self.refused("{", None)
        self.refused(b'{"prompt": "\xff"}', None)
        self.refused("[" * 500000, None)

    def test_a_prompt_longer_than_the_context_is_refused(self):
        text = "the dog and the cat " * (CONTEXT // 4)
        error = self.refused({"prompt": text}, "prompt")
        self.assertEqual(error["code"], "context_length_exceeded")
        chat = {"messages": [{"role": "user", "content": text}], "stream": True}
        self.refused(chat, "messages", path="/v1/chat/completions")

    def test_unknown_paths_and_wrong_methods(self):
        self.assertEqual(self.server.request("GET", "/v2/nothing")[0], 404)
        status, headers, _ = self.server.request("GET", "/v1/completions")
        self.assertEqual((status, headers["Allow"]), (405, "POST"))
        status, headers, _ = self.server.request("POST", "/health", "")
        self.assertEqual((status, headers["Allow"]), (405, "GET"))

    def test_bodies_and_headers_are_bounded(self):
        answer = self.post("/v1/completions", {"prompt": "a" * (1 << 20)}, status=413)
        self.assertIn("error", answer)
        with self.server.raw(b"GET /health HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n") as client:
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 431 "))
        with self.server.raw(b"no http at all\r\n\r\n") as client:
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 400 "))
        self.assertEqual(self.server.request("GET", "/health")[0], 200)

    def test_a_client_may_wait_for_the_word_to_send_its_body(self):
        body = b'{"prompt": "a", "max_tokens": 1}'
        head = b"POST /v1/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        with self.server.raw(head) as client:
            self.assertEqual(client.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            client.sendall(body)
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200 "))

    def test_old_clients_get_streams_that_end_with_the_connection(self):
        body = b'{"prompt": "a", "max_tokens": 3, "stream": true}'
        with self.server.raw(b"POST /v1/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as client:
            data = b"".join(iter(lambda: client.recv(4096), b""))
        head, _, events = data.partition(b"\r\n\r\n")
        self.assertNotIn(b"chunked", head)
        self.assertTrue(events.startswith(b"data: {") and events.endswith(b"data: [DONE]\n\n"), events)

    def test_a_client_that_goes_away_makes_room_for_the_next(self):
        for stream in (True, False):
            before = len(self.server.lines)
            with self.server.raw(raw_post(endless(stream=stream))) as client:
                if stream:
                    client.recv(1)  # it has begun
                else:
                    time.sleep(0.3)
            self.assertEqual(len(self.post("/v1/completions", {"prompt": "a", "max_tokens": 1})["choices"]), 1)
            self.assertTrue(self.server.log_has("499"))
            self.assertTrue(any(" 499 " in line for line in self.server.lines[before:]), self.server.lines)

    def test_the_log_has_a_line_a_request_and_no_text_of_it(self):
        self.post("/v1/completions", {"prompt": "Xylophone", "max_tokens": 2})
        self.refused({"prompt": "a", "temperature": "Xylophone"}, "temperature")
        self.assertTrue(self.server.log_has("POST /v1/completions 400 temperature, "))
        self.assertTrue(self.server.log_has("answer 2 tokens"))
        self.assertFalse(any("Xylophone" in line for line in self.server.lines))


class Limits(CliTest):
    def test_a_full_queue_says_try_again_later(self):
        server = Server("--queue", 0)
        with server.raw(raw_post(endless(stream=True))) as busy:
            busy.recv(1)
            status, headers, answer = server.request("POST", "/v1/completions", {"prompt": "a"})
            self.assertEqual((status, headers["Retry-After"]), (429, "1"), answer)
            self.assertEqual(answer["error"]["type"], "rate_limit_error")
            self.assertEqual(server.request("GET", "/health")[0], 200)
            self.assertEqual(server.stop(), 0)  # while it still writes

    def test_too_many_connections_are_turned_away(self):
        server = Server("--connections", 1)
        with server.raw(b"") as first:
            first.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            self.assertTrue(first.recv(4096).startswith(b"HTTP/1.1 200 "))
            with server.raw(b"") as second:
                self.assertTrue(second.recv(4096).startswith(b"HTTP/1.1 503 "))
        self.assertEqual(server.stop(signal.SIGINT), 0)

    def test_slow_clients_are_disconnected(self):
        server = Server("--timeout", 1)
        with server.raw(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{") as client:
            self.assertEqual(client.recv(1), b"")
        self.assertEqual(server.stop(), 0)

    def test_stopping_answers_who_waits(self):
        server = Server()
        with server.raw(raw_post(endless(stream=True))) as busy, server.raw(raw_post({"prompt": "a"})) as waiting:
            busy.recv(1)
            self.assertEqual(server.stop(), 0)
            self.assertTrue(waiting.recv(4096).startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 200 ")))
            rest = b"".join(iter(lambda: busy.recv(65536), b""))
            self.assertIn(b"the server is stopping", rest)

    def test_a_port_in_use_and_a_wrong_address_are_told(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.fails("serve", *MODEL, "--port", port, names=[f"127.0.0.1:{port}", "in use"])
        self.fails("serve", *MODEL, "--host", "256.1.1.1.invalid", "--port", 0, names=["256.1.1.1.invalid"])
        self.fails("serve", *MODEL, "--port", 70000, code=2, names=["port"])


if __name__ == "__main__":
    unittest.main()
