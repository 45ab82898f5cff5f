"""A server on loopback that speaks the OpenAI protocol and fails on purpose; it keeps the books of what it billed."""

import asyncio
import hashlib
import json
import random
import re
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field

MODEL = "gpt-4o-2024-08-06"
KEY = "sk-canary-5d1f0c7e"
LABELS = ("highly_relevant", "moderately_relevant", "somewhat_relevant", "irrelevant")
TURN = re.compile(r"turn-\d+-\d+")


def digest(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def label_of(turn):
    """The label that the server gives ``turn``."""
    return LABELS[digest(turn) % 4]


def tokens_of(turn, ask):
    """Tokens (in, cached, out) that the server bills for its answer number ``ask`` on ``turn``."""
    drawn = digest(f"{turn}/{ask}")
    return 600 + drawn % 200, (drawn >> 8) % 400 if drawn % 3 == 0 else 0, 40 + (drawn >> 16) % 40


def never(turn, ask):
    """No faults."""


@dataclass
class Faults:
    """Faults by share of the asks; what an ask gets is drawn from its turn and its number alone."""

    shares: dict
    stubborn: dict = field(default_factory=dict)  # turn -> the fault that it gets however often it is asked

    def __call__(self, turn, ask):
        if turn in self.stubborn:
            return self.stubborn[turn]
        drawn = digest(f"fault/{turn}/{ask}") % 10_000 / 10_000
        for fault, share in self.shares.items():
            if drawn < share:
                return fault
            drawn -= share
        return None


class Loopback:
    """The server; a context manager whose ``url`` goes to ``base_url``.

    Attributes:
        asks: (turn, what was answered) of every call, in order of arrival.
        billed: tokens (in, cached, out) of every call that was answered with status 200.
        contents: how often each question was asked.
        at_once: calls in work at the same time, at most.
    """

    def __init__(self, faults=never, latency=0.0, slots=None, retry_after="0.02", hang=1.0, key=KEY):
        self.faults, self.latency, self.slots, self.retry_after, self.hang = faults, latency, slots, retry_after, hang
        self.key = key
        self.asks, self.billed, self.arrived = [], [], []
        self.number, self.contents = Counter(), Counter()
        self.running = self.at_once = 0
        self.files, self.batches = {}, {}
        self.batch_polls, self.batch_loses, self.batch_refusal = 2, 0.0, None
        self.loop = asyncio.new_event_loop()

    def __enter__(self):
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 26))
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1"
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop)
        self.thread.join()
        self.loop.close()

    def stop(self):
        self.server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.call_later(0.05, self.loop.stop)

    async def serve(self, reader, writer):
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = request.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self.answer(*first.split()[:2], headers, body, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def answer(self, method, path, headers, body, writer):
        if headers.get("authorization") != f"bearer {self.key}":
            message = f"Incorrect API key provided: {headers.get('authorization')}"
            return reply(writer, 401, {"error": {"message": message, "code": "invalid_api_key"}})
        if path == "/v1/chat/completions":
            return await self.chat(json.loads(body), writer)
        return self.batch_api(method, path.removeprefix("/v1"), body, writer)

    async def chat(self, body, writer):
        turn, ask = self.numbered(body)
        fault = self.faults(turn, ask)
        if self.slots is not None and self.running >= self.slots:
            fault = "429"
        self.asks.append((turn, fault or "ok"))
        self.arrived.append((self.loop.time(), turn))
        self.running += 1
        self.at_once = max(self.at_once, self.running)
        try:
            await asyncio.sleep(self.hang if fault == "hang" else self.latency)
        finally:
            self.running -= 1
        if fault == "hang":
            return False
        if fault == "cut":
            writer.write(
                b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"id": "half'
            )
            await writer.drain()
            return False
        if fault in ("429", "500", "503", "400"):
            error = {"error": {"message": f"injected {fault} for {self.key}", "code": None}}
            return reply(writer, int(fault), error, self.retry_after if fault in ("429", "503") else None)
        self.billed.append(tokens_of(turn, ask))
        return reply(writer, 200, completion(body | {"authorization": self.key}, turn, ask, fault))

    def numbered(self, body):
        """The turn that a request is about, and how often that was asked about before."""
        content = body["messages"][1]["content"]
        turn = TURN.search(content).group()
        self.contents[content] += 1
        self.number[turn] += 1
        return turn, self.number[turn] - 1

    def batch_api(self, method, path, body, writer):
        if (method, path) == ("POST", "/files"):
            name = f"file-{len(self.files)}"
            self.files[name] = max(body.split(b"\r\n"), key=len)  # the longest part of the form
            return reply(writer, 200, {"id": name, "object": "file", "purpose": "batch"})
        if path.startswith("/files/") and path.endswith("/content"):
            return reply_bytes(writer, 200, self.files[path.split("/")[2]])
        if (method, path) == ("POST", "/batches"):
            asked = json.loads(body)
            name = f"batch_{len(self.batches)}"
            lines = self.files[asked["input_file_id"]].splitlines()
            self.batches[name] = {
                "id": name,
                "object": "batch",
                "endpoint": asked["endpoint"],
                "completion_window": "24h",
                "created_at": 0,
                "status": "validating",
                "input_file_id": asked["input_file_id"],
                "metadata": asked.get("metadata"),
                "polls": 0,
                "lines": len(lines),
            }
            return reply(writer, 200, self.batches[name])
        if path.startswith("/batches/"):
            return reply(writer, 200, self.advance(self.batches[path.split("/")[2]]))
        if path.startswith("/batches"):
            return reply(writer, 200, {"object": "list", "data": list(self.batches.values()), "has_more": False})
        return reply(writer, 404, {"error": {"message": f"no {path}"}})

    def advance(self, batch):
        batch["polls"] += 1
        if batch["status"] == "validating" and self.batch_refusal is not None:
            batch["status"] = "failed"
            batch["errors"] = {"object": "list", "data": [{"code": "limit", "message": self.batch_refusal}]}
        elif batch["status"] == "validating":
            batch["status"] = "in_progress"
        elif batch["status"] == "in_progress" and batch["polls"] >= self.batch_polls:
            self.complete(batch)
        return batch

    def complete(self, batch):
        """Answer most requests of ``batch``, in any order; some never, some with an error."""
        done, failed = [], []
        for line in self.files[batch["input_file_id"]].splitlines():
            request = json.loads(line)
            turn, ask = self.numbered(request["body"])
            fault = self.faults(turn, ask)
            if digest(f"lost/{turn}") % 1000 < 1000 * self.batch_loses:
                fault = "lost"
            self.asks.append((turn, f"batch {fault or 'ok'}"))
            if fault == "lost":
                continue
            if fault in ("429", "500", "503", "400", "hang", "cut"):
                failed.append({"custom_id": request["custom_id"], "response": {"status_code": 500, "body": {}}})
                continue
            self.billed.append(tokens_of(turn, ask))
            answer = {"status_code": 200, "body": completion(request["body"], turn, ask, fault)}
            done.append({"id": "x", "custom_id": request["custom_id"], "response": answer, "error": None})
        random.Random(0).shuffle(done)
        batch["status"] = "expired" if len(done) + len(failed) < batch["lines"] else "completed"
        for kind, lines in (("output_file_id", done), ("error_file_id", failed)):
            if lines:
                batch[kind] = f"file-{len(self.files)}"
                self.files[batch[kind]] = b"\n".join(json.dumps(line).encode() for line in lines)


def completion(body, turn, ask, fault):
    """A chat completion; ``fault`` spoils it."""
    data, _ = json.JSONDecoder().raw_decode(body["messages"][1]["content"])
    reference = next(value for name, value in data.items() if name.startswith("reference"))
    verdict = {"evidence": [reference[:40]], "flags": [], "label": label_of(turn)}
    if fault == "off_menu":
        verdict["label"] = "perfect"
    if fault == "echo_key":  # what follows the verdict spoils it, too
        verdict["note"] = body["authorization"]
    if fault == "made_up_evidence":
        verdict["evidence"] = ["never said so at all"]
    content = json.dumps(verdict)
    if fault == "bad_json":
        content = content[: len(content) // 2]
    tokens, cached, out = tokens_of(turn, ask)
    return {
        "id": f"chatcmpl-{turn}-{ask}",
        "object": "chat.completion",
        "created": 0,
        "model": "gpt-4o-2024-05-13" if fault == "wrong_model" else body["model"],
        "choices": [
            {
                "index": 0,
                "finish_reason": "length" if fault == "too_long" else "stop",
                "message": {
                    "role": "assistant",
                    "content": None if fault == "refusal" else content,
                    "refusal": "I cannot help with that." if fault == "refusal" else None,
                },
            }
        ],
        "usage": {
            "prompt_tokens": tokens,
            "completion_tokens": out,
            "total_tokens": tokens + out,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }


def reply(writer, status, body, retry_after=None):
    return reply_bytes(writer, status, json.dumps(body).encode(), retry_after)


def reply_bytes(writer, status, data, retry_after=None):
    wait = "" if retry_after is None else f"retry-after: {retry_after}\r\n"
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{wait}content-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    return True


def main():
    """Serve until standard input ends: ``python loopback.py KEY LATENCY SLOTS``; the address is printed."""
    _, key, latency, slots = sys.argv
    with Loopback(key=key, latency=float(latency), slots=int(slots)) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
