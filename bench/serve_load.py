#!/usr/bin/env python3
"""Load for a running tern serve: clients that stream completions for some seconds, and what they saw.

  bench/serve_load.py --url http://127.0.0.1:8080 --clients 256 --seconds 60 --pid $(pgrep -x tern)

Reports failures, requests and tokens per second, time to the first token and between tokens (P50, P99), and with --pid
the server's resident memory over time. --json: as one object. Standard library only.
"""

import argparse
import asyncio
import json
import random
import sys
import time
import urllib.parse


def percentile(values, p):
    """Nearest rank; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * p // 100) - 1)] if ordered else 0.0


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


class Seen:
    def __init__(self):
        self.first, self.between, self.tokens, self.requests, self.failures = [], [], 0, 0, []


async def read_answer(reader):
    """Yields the server-sent events' data of one answer, which must be a chunked 200."""
    status = (await reader.readline()).split()
    while (await reader.readline()).strip():
        pass
    if len(status) < 2 or status[1] != b"200":
        raise ValueError(f"status {status[1:2]}")
    pending = b""
    while size := int((await reader.readline()).strip(), 16):
        pending += await reader.readexactly(size)
        await reader.readexactly(2)
        *events, pending = pending.split(b"\n\n")
        for event in events:
            yield event.removeprefix(b"data: ")
    await reader.readexactly(2)


async def ask(reader, writer, options, source, seen):
    body = json.dumps({"prompt": " ".join(source.choice(("the", "dog", "cat", "ran", "red", "sun")) for _ in range(source.randrange(1, 20))),
                       "max_tokens": options.tokens, "seed": source.randrange(1 << 30), "ignore_eos": True,
                       "stream": True, "stream_options": {"include_usage": True}}).encode()
    key = f"Authorization: Bearer {options.key}\r\n" if options.key else ""
    start = last = time.perf_counter()
    writer.write(f"POST /v1/completions HTTP/1.1\r\nHost: x\r\n{key}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    texts, generated, done = 0, 0, False
    async for data in read_answer(reader):
        now = time.perf_counter()
        if data == b"[DONE]":
            done = True
            continue
        # Looked at as bytes: parsing thousands of objects a second would measure this script.
        if b'"choices":[]' in data:
            generated = json.loads(data)["usage"]["completion_tokens"]
        elif b'"text":""' not in data:
            (seen.between if texts else seen.first).append(now - last)
            texts, last = texts + 1, now
    if not done or generated != options.tokens:
        raise ValueError(f"{generated} tokens, expected {options.tokens}; done: {done}, {now - start:.1f} s")
    seen.requests += 1
    seen.tokens += generated


async def client(number, end, options, seen):
    url = urllib.parse.urlsplit(options.url)
    source, writer = random.Random(number), None
    while time.perf_counter() < end:
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=1 << 20)
            await ask(reader, writer, options, source, seen)
        except (OSError, ValueError, KeyError, asyncio.IncompleteReadError) as error:
            seen.failures.append(f"{type(error).__name__}: {error}")
            if writer is not None:
                writer.close()
            writer = None
    if writer is not None:
        writer.close()


async def watch(pid, end, memory):
    while time.perf_counter() < end:
        memory.append(resident_kib(pid))
        await asyncio.sleep(1)


async def run(options):
    seen, memory = Seen(), []
    start = time.perf_counter()
    end = start + options.seconds
    watchers = [watch(options.pid, end, memory)] if options.pid else []
    await asyncio.gather(*(client(i, end, options, seen) for i in range(options.clients)), *watchers)
    seconds = time.perf_counter() - start
    return {"clients": options.clients, "seconds": seconds, "requests": seen.requests, "failures": len(seen.failures),
            "failure": seen.failures[0] if seen.failures else None, "requests_per_second": seen.requests / seconds,
            "tokens_per_second": seen.tokens / seconds,
            "ttft_ms": {p: 1e3 * percentile(seen.first, p) for p in (50, 99)},
            "inter_token_ms": {p: 1e3 * percentile(seen.between, p) for p in (50, 99)},
            "resident_kib": memory[:: max(1, len(memory) // 20)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--clients", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--key", help="API key")
    parser.add_argument("--pid", type=int, help="of the server, to watch its memory")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = asyncio.run(run(options))
    if options.json:
        print(json.dumps(report))
    else:
        print(f"{report['clients']} clients, {report['seconds']:.1f} s: {report['requests']} requests, {report['failures']} failures\n"
              f"{report['requests_per_second']:.1f} requests/s, {report['tokens_per_second']:.0f} tokens/s\n"
              f"first token   P50 {report['ttft_ms'][50]:.1f} ms, P99 {report['ttft_ms'][99]:.1f} ms\n"
              f"between texts P50 {report['inter_token_ms'][50]:.1f} ms, P99 {report['inter_token_ms'][99]:.1f} ms")
        if report["failure"]:
            print("first failure:", report["failure"])
        if report["resident_kib"]:
            print("resident MiB:", " ".join(f"{kib / 1024:.1f}" for kib in report["resident_kib"]))
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
