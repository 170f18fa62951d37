#!/usr/bin/env python3
"""A stand-in for `tern serve` under the tests of its page: the same endpoints without a model.

usage: web_fake_server.py [--port N] [--api-key KEY] [--delay MILLISECONDS]

Says "tern: listening on http://127.0.0.1:PORT" on stderr, as tern does. The answer to a request depends on its messages
and its seed alone. --delay is the time between two words.
"""

import argparse
import hashlib
import http.server
import json
import pathlib
import random
import re
import sys
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent / "src" / "server"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
SENTENCES = [
    "The little bird sat on the edge of the cliff and looked at the sea.",
    "Every morning the wind came by and asked whether today was the day.",
    "\"Not yet,\" said the bird, and counted the waves instead.",
    "Then a grey feather fell past her, slowly, and did not seem to mind.",
    "She opened her wings to see how far they went.",
    "They went further than she had thought.",
    "When she looked down again, the cliff was far away.",
]
MARKDOWN = """A weight is **ternary** when it has one of three values. Three things follow:

1. It needs no multiplication, only `+`, `-` and nothing.
2. Four of them fit into a byte:
   - two bits each,
   - or five in a byte in base 3.
3. Sums of products are exact in integers.

A dot product is then no more than this:

```python
def dot(weights, values):
    plus = sum(v for w, v in zip(weights, values) if w == 1)
    minus = sum(v for w, v in zip(weights, values) if w == -1)
    return plus - minus
```

One scale for the whole matrix turns the sum into a number again."""


def security_policy():
    """The header's value, from the source that serves it."""
    text = (SOURCE / "web_files.h").read_text()
    return "".join(re.findall(r'"([^"]*)"', text.split("kWebSecurityPolicy =")[1].split(";\n")[0]))


def answer_words(body):
    """The words of the answer, each with the space before it."""
    question = body["messages"][-1]["content"]
    if "ternary" in question:
        return re.findall(r"\s*\S+", MARKDOWN)
    generator = random.Random(f"{question} {body.get('seed')}")
    count = 10000 if "never" in question else generator.randint(3, 6)
    text = " ".join(generator.choice(SENTENCES) for _ in range(count))
    return re.findall(r"\s*\S+", text)[:body.get("max_tokens", 512)]


class State:
    """What /metrics tells; some of it made up."""

    def __init__(self):
        self.lock = threading.Lock()
        self.generated = self.prompt = self.running = 0
        self.results = {"ok": 0, "cancelled": 0}

    def text(self):
        with self.lock:
            rows = [f"tern_tokens_generated_total {self.generated}", f"tern_prompt_tokens_total {self.prompt}",
                    f"tern_requests_running {self.running}", "tern_requests_waiting 0",
                    f"tern_batch_rows {self.running}", "tern_kv_blocks 512",
                    f"tern_kv_blocks_used {12 * self.running}", "tern_kv_blocks_cached 40"]
            done = self.results["ok"] > 0
            for name, median in (("tern_ttft_recent_seconds", 0.08), ("tern_inter_token_recent_seconds", 0.02)):
                rows += [f'{name}{{percentile="{p}"}} {median * factor if done else "NaN"}'
                         for p, factor in ((50, 1), (95, 1.6), (99, 2.5))]
            rows += [f'tern_requests_total{{result="{name}"}} {count}' for name, count in self.results.items()]
        return "# TYPE tern_tokens_generated_total counter\n" + "\n".join(rows) + "\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, content_type, data, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def reply_json(self, status, value):
        self.reply(status, "application/json", json.dumps(value).encode())

    def refuse(self, status, message):
        self.reply_json(status, {"error": {"message": message, "type": "invalid_request_error", "code": None,
                                           "param": None}})

    def allowed(self):
        key = self.server.arguments.api_key
        if key is None or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        self.refuse(401, "Incorrect API key provided.")
        return False

    def do_GET(self):
        path = self.path.split("?")[0]
        name = "index.html" if path == "/" else path.removeprefix("/web/")
        file = SOURCE / "web" / name
        if (path == "/" or path.startswith("/web/")) and "/" not in name and file.is_file():
            self.send_file(file)
        elif path == "/health":
            self.reply_json(200, {"status": "ok"})
        elif not self.allowed():
            return
        elif path == "/v1/models":
            self.reply_json(200, {"object": "list", "data": [{"id": "tern-stories", "object": "model"}]})
        elif path == "/metrics":
            self.reply(200, "text/plain; version=0.0.4", self.server.state.text().encode())
        else:
            self.refuse(404, f"There is no {path}.")

    def send_file(self, file):
        data = file.read_bytes()
        tag = '"' + hashlib.sha256(data).hexdigest()[:32] + '"'
        headers = [("ETag", tag), ("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff"),
                   ("Referrer-Policy", "no-referrer"), ("Content-Security-Policy", security_policy())]
        if self.headers.get("If-None-Match") == tag:
            self.send_response(304)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
        else:
            self.reply(200, TYPES[file.suffix], data, headers)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.allowed():
            return
        if self.path != "/v1/chat/completions":
            self.refuse(404, f"There is no {self.path}.")
            return
        self.stream(json.loads(body))

    def stream(self, body):
        state = self.server.state
        words = answer_words(body)
        prompt = sum(len(message["content"].split()) for message in body["messages"])
        with state.lock:
            state.running += 1
            state.prompt += prompt
        result = "cancelled"
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.event({"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]})
            for word in words:
                time.sleep(self.server.arguments.delay / 1000)
                self.event({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
                with state.lock:
                    state.generated += 1
            end = "length" if len(words) == body.get("max_tokens") else "stop"
            self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": end}]})
            self.event({"choices": [], "usage": {
                "prompt_tokens": prompt, "completion_tokens": len(words), "total_tokens": prompt + len(words),
                "prompt_tokens_details": {"cached_tokens": 0}}})
            self.wfile.write(b"data: [DONE]\n\n")
            result = "ok"
        except OSError:
            pass  # the client is gone
        finally:
            self.close_connection = True
            with state.lock:
                state.running -= 1
                state.results[result] += 1

    def event(self, value):
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api-key")
    parser.add_argument("--delay", type=float, default=4)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.arguments = parser.parse_args()
    server.state = State()
    server.server_address = ("127.0.0.1", server.arguments.port)
    server.server_bind()
    server.server_activate()
    print(f"tern: listening on http://127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
