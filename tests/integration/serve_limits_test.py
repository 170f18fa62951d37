"""tern serve: keys, CORS, limits, and how it stops."""

import contextlib
import json
import os
import signal
import socket
import threading
import unittest

from cli_support import CliTest, tern
from serve_support import MODEL, Server, endless, parse_events, raw_post, receive, wait_until

SHORT = {"prompt": "a", "max_tokens": 1}


class Measuring(CliTest):
    def test_operations_are_timed_when_asked_and_the_text_is_the_same(self):
        request = {"prompt": "Once upon a time", "max_tokens": 12, "seed": 3, "ignore_eos": True}
        texts = []
        for arguments in ((), ("--measure-operations",)):
            server = Server(*arguments)
            texts.append(server.request("POST", "/v1/completions", request)[2]["choices"][0]["text"])
            self.assertTrue(server.idle())
            counts = {name: value for name, value in server.metrics().items()
                      if name.startswith(("tern_operation_seconds_count", "tern_layer_seconds_total"))}
            self.assertEqual(server.stop(), 0)
            if not arguments:
                self.assertEqual(counts, {})
        self.assertEqual(texts[0], texts[1])
        passes = counts['tern_operation_seconds_count{operation="Logits"}']
        self.assertGreaterEqual(passes, 12)
        layers = sum(name.startswith("tern_layer") for name in counts)
        self.assertEqual(counts['tern_operation_seconds_count{operation="Attention"}'], layers * passes)

    def test_no_operation_is_timed_without_a_monitor(self):
        outcome = tern("serve", *MODEL, "--no-monitor", "--measure-operations")
        self.assertEqual(outcome.code, 2)


class Keys(CliTest):
    def test_without_a_key_only_health_and_the_page_are_there(self):
        server = Server("--api-key", "secret1")
        self.assertEqual([server.request("GET", path)[0] for path in ("/health", "/ready", "/")], [200] * 3)
        for method, path, body in (("GET", "/v1/models", None), ("GET", "/metrics", None), ("GET", "/props", None),
                                   ("POST", "/v1/completions", SHORT), ("POST", "/tokenize", {"content": "a"})):
            for headers in ({}, {"Authorization": "Bearer secret"}, {"Authorization": "Bearer secret12"}):
                status, found, answer = server.request(method, path, body, headers)
                self.assertEqual((status, found["WWW-Authenticate"]), (401, "Bearer"), path)
                self.assertEqual(answer["error"]["code"], "invalid_api_key")
            for headers in ({"Authorization": "Bearer secret1"}, {"X-Api-Key": "secret1"}):
                self.assertEqual(server.request(method, path, body, headers)[0], 200, path)
        self.assertEqual(server.stop(), 0)
        self.assertFalse(any("secret" in line for line in server.lines))

    def test_a_hangup_reads_the_file_again(self):
        def allowed(key):
            return server.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})[0] == 200

        path = os.path.join(os.environ["TERN_TMP"], "keys.txt")
        write(path, "old\n")
        server = Server("--api-key-file", path)
        self.assertTrue(allowed("old"))
        write(path, "# the new ones\nnew\nother\n")
        server.send_signal(signal.SIGHUP)
        self.assertTrue(wait_until(lambda: allowed("new")))
        self.assertFalse(allowed("old"))
        write(path, "\n")
        server.send_signal(signal.SIGHUP)
        self.assertTrue(server.log_has("stay as they were"))
        self.assertTrue(allowed("other"))
        self.assertEqual(server.stop(), 0)

    def test_a_wrong_file_of_keys_is_told(self):
        self.fails("serve", *MODEL, "--api-key-file", "/nowhere/keys", "--port", 0, names=["/nowhere/keys"])


class Cors(CliTest):
    def test_is_off_by_default(self):
        server = Server()
        _, headers, _ = server.request("GET", "/health", headers={"Origin": "http://elsewhere"})
        self.assertFalse([name for name in headers if name.lower().startswith("access-control")])
        self.assertEqual(server.request("OPTIONS", "/v1/models", headers={"Origin": "http://elsewhere"})[0], 405)
        self.assertEqual(server.stop(), 0)

    def test_answers_the_origin_that_it_was_told(self):
        server = Server("--cors-origin", "http://page")
        status, headers, _ = server.request("OPTIONS", "/v1/chat/completions", headers={
            "Origin": "http://page", "Access-Control-Request-Method": "POST"})
        self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (204, "http://page"))
        self.assertIn("Authorization", headers["Access-Control-Allow-Headers"])
        for path in ("/health", "/nothing"):
            _, headers, _ = server.request("GET", path, headers={"Origin": "http://page"})
            self.assertEqual(headers["Access-Control-Allow-Origin"], "http://page")
        _, headers, _ = server.request("GET", "/health", headers={"Origin": "http://elsewhere"})
        self.assertIsNone(headers["Access-Control-Allow-Origin"])
        self.assertEqual(server.stop(), 0)


class Limits(CliTest):
    def test_a_full_queue_says_try_again_later(self):
        server = Server("--parallel", 1, "--queue", 1)
        with server.raw(raw_post(endless(stream=True))) as busy, server.raw() as waiting:
            busy.recv(1)
            waiting.sendall(raw_post(SHORT))
            self.assertTrue(wait_until(lambda: server.metrics()["tern_requests_waiting"] == 1))
            status, headers, answer = server.request("POST", "/v1/completions", SHORT)
            self.assertEqual((status, headers["Retry-After"]), (429, "1"), answer)
            self.assertEqual(answer["error"]["type"], "rate_limit_error")
            self.assertEqual(server.request("GET", "/health")[0], 200)
            self.assertEqual(server.request("GET", "/slots?fail_on_no_slot=1")[0], 503)
            busy.close()
            self.assertTrue(waiting.recv(4096).startswith(b"HTTP/1.1 200 "))
        self.assertEqual(server.stop(), 0)

    def test_too_many_connections_are_turned_away(self):
        server = Server("--connections", 1)
        with server.raw(b"GET /health HTTP/1.1\r\n\r\n") as first:
            self.assertTrue(first.recv(4096).startswith(b"HTTP/1.1 200 "))
            with server.raw() as second:
                self.assertTrue(second.recv(4096).startswith(b"HTTP/1.1 503 "))
        self.assertEqual(server.stop(signal.SIGINT), 0)

    def test_bodies_headers_and_urls_are_bounded(self):
        server = Server("--body-limit", 64)
        status, _, answer = server.request("POST", "/v1/completions", {"prompt": "a" * (64 << 10)})
        self.assertEqual(status, 413)
        self.assertIn("error", answer)
        for data, status in ((b"GET /health HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n", b"431"),
                             (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", b"414"),
                             (b"no http at all\r\n\r\n", b"400")):
            with server.raw(data) as client:
                self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 " + status + b" "))
        self.assertEqual(server.request("GET", "/health")[0], 200)
        self.assertEqual(server.stop(), 0)

    def test_slow_senders_are_told_and_cut_off(self):
        server = Server("--timeout", 1)
        with server.raw(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{") as client:
            self.assertTrue(receive(client).startswith(b"HTTP/1.1 408 "))
        self.assertEqual(server.stop(), 0)

    def test_an_answer_is_cut_at_its_time_limit(self):
        server = Server("--time-limit", 1)
        status, _, answer = server.request("POST", "/v1/completions", endless())
        self.assertEqual((status, answer["choices"][0]["finish_reason"]), (200, "length"))
        self.assertTrue(server.idle())
        self.assertEqual(server.stop(), 0)

    def test_a_port_in_use_and_a_wrong_address_are_told(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.fails("serve", *MODEL, "--port", port, names=[f"127.0.0.1:{port}", "in use"])
        self.fails("serve", *MODEL, "--host", "256.1.1.1.invalid", "--port", 0, names=["256.1.1.1.invalid"])
        self.fails("serve", *MODEL, "--port", 70000, code=2, names=["port"])


class Stopping(CliTest):
    def test_running_answers_are_finished_and_new_requests_refused(self):
        server = Server("--drain-timeout", 250)  # however slow the machine is
        body = {"prompt": "a", "max_tokens": 3000, "ignore_eos": True, "stream": True, "seed": 1}
        answers = []

        def ask():
            with server.connect() as connection:
                connection.request("POST", "/v1/completions", json.dumps(body))
                response = connection.getresponse()
                begun.release()
                answers.append(parse_events(response.read().decode()))

        begun = threading.Semaphore(0)
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in threads:
            begun.acquire()
        server.send_signal(signal.SIGTERM)
        self.assertTrue(server.log_has("stopping"))
        with contextlib.suppress(ConnectionError):  # unless all is over already
            status, headers, answer = server.request("POST", "/v1/completions", SHORT)
            self.assertEqual((status, headers["Connection"]), (503, "close"))
            self.assertIn("stopping", answer["error"]["message"])
        for thread in threads:
            thread.join()
        self.assertEqual([events[-1]["choices"][0]["finish_reason"] for events in answers], ["length"] * 3)
        self.assertEqual(server.process.wait(), 0)
        server.stop()

    def test_what_takes_longer_than_the_drain_timeout_is_broken_off_and_told(self):
        server = Server("--drain-timeout", 0)
        with server.raw(raw_post(endless(stream=True))) as busy:
            busy.recv(1)
            self.assertEqual(server.stop(), 0)
            self.assertIn(b"the server is stopping", receive(busy))


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    unittest.main()
