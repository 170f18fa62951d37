"""A running tern serve, and clients for it."""

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

from cli_support import TERN

MODEL = ("-m", os.path.join(os.environ["TERN_SOURCE_DIR"], "models", "tern-stories.gguf"))
PROMPT = "Once upon a time"
CONTEXT = 8000  # takes longer to fill than any test has patience
PATIENCE = 60


class Server:
    """The program with the built-in model, listening on a port of its own; its stderr is collected."""

    def __init__(self, *arguments, context=CONTEXT, ready=True):
        command = [TERN, "serve", *MODEL, "--port", "0", "--ctx", context, "--no-cache", *arguments]
        self.process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, text=True)
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
        if ready and not self.log_has("ready: "):
            raise AssertionError(f"never ready: {self.lines}")

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """The exit code after a signal."""
        self.send_signal(number)
        try:
            code = self.process.wait(timeout=PATIENCE)
        finally:
            self.process.kill()
        self.reader.join()
        self.process.stderr.close()
        return code

    def connect(self):
        return contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE))

    def raw(self, data=b""):
        """A socket that has sent these bytes."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        client.sendall(data)
        return client

    def request(self, method, path, body=None, headers=()):
        """Status, headers, body: as JSON where it is that."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        with self.connect() as connection:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            data = response.read()
            if response.headers.get_content_type() == "application/json" and data:
                data = json.loads(data)
            return response.status, response.headers, data

    def metrics(self):
        """name or name{labels} -> value."""
        text = self.request("GET", "/metrics")[2].decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def log_has(self, text):
        """Whether a line of the log has this text, now or soon."""
        return wait_until(lambda: any(text in line for line in list(self.lines)))

    def idle(self):
        """Whether nothing runs or waits any more, and all of the cache is free, now or soon."""
        names = ("tern_requests_running", "tern_requests_waiting", "tern_requests_paused", "tern_kv_blocks_used")
        return wait_until(lambda: not any(self.metrics()[name] for name in names)) and \
            not any(slot["is_processing"] for slot in self.request("GET", "/slots")[2])


def wait_until(condition):
    """False: it did not come true in time."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def endless(**fields):
    """The body of a request whose answer takes longer than any test: noise up to the end of the context."""
    return {"prompt": PROMPT, "max_tokens": -1, "ignore_eos": True, "temperature": 100, "top_k": 0, "top_p": 1,
            "min_p": 0, "seed": 1, **fields}


def raw_post(body, path="/v1/completions"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(data), data)


def receive(client):
    """Everything up to the end of the connection, however it ends."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while part := client.recv(65536):
            data += part
    return data


def parse_events(text, end=("data: [DONE]",)):
    """The objects of a stream, which must end with [DONE], but for llama-server's own form."""
    blocks = text.split("\n\n")
    count = len(blocks) - len(end) - 1
    assert blocks[count:] == [*end, ""], blocks[-3:]
    assert all(block.startswith("data: ") for block in blocks[:count]), text
    return [json.loads(block[len("data: "):]) for block in blocks[:count]]
