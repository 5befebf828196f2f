"""Measure the verification of a delivery of 1 MB, and what reading the names of its tasks adds.

The figure is CPU time beside that of the bare HMAC-SHA256 of the same bytes in the same run. The body is what a sender
with full payloads sends: small fields, and a long list of commits that names no task.
"""

from __future__ import annotations

import hashlib
import hmac
import statistics
import time
from collections.abc import Callable
from functools import partial

import msgspec

from coatcheck._protocol import standard_webhooks as standard
from coatcheck._webhooks.senders import all_senders, verify_delivery

SENDERS = all_senders()
SIZE = 1024 * 1024
ROUNDS = 300
GOAL = 1.3
NOW = 1_790_000_000.0
SECRET = standard.new_secret()


def body_of(size: int) -> bytes:
    """Return a body of *size* bytes at most."""
    commit = {
        "id": "0" * 40,
        "message": "Add dark mode\n\nIt é stays on.",
        "added": ["a.txt"],
        "url": "https://x.example/",
    }
    document = {
        "type": "batch.completed",
        "action": "completed",
        "data": {"id": "batch_1"},
        "workflow_run": {"id": 17},
        "repository": {"full_name": "owner/repo"},
    }
    count = (size - len(msgspec.json.encode({**document, "commits": []}))) // (len(msgspec.json.encode(commit)) + 1)
    return msgspec.json.encode({**document, "commits": [commit] * count})


def ratio(verify: Callable[[], object], key: bytes, body: bytes) -> float:
    """Return the CPU time of *verify* in multiples of the bare HMAC's; measured in turns."""
    calls: tuple[Callable[[], object], ...] = (verify, lambda: hmac.digest(key, body, hashlib.sha256))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, measured in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            measured.append(time.process_time() - start)
    return statistics.median(times[0]) / statistics.median(times[1])


def main() -> None:
    """Print the ratio of each way to sign."""
    body = body_of(SIZE)
    key = standard.read_secret(SECRET)
    json = ("content-type", "application/json")
    signed = dict(standard.signed_headers([key], id="msg_1", seconds=NOW, body=body))
    text = b"secret"
    github = {
        "x-hub-signature-256": f"sha256={hmac.digest(text, body, hashlib.sha256).hex()}",
        "x-github-delivery": "d1",
        "x-github-event": "workflow_run",
    }
    cases = (("openai", signed, SECRET, key), ("github", github, text.decode(), text))
    for name, headers, secret, used in cases:
        sender, sent = SENDERS[name], [json, *headers.items()]
        verified = ratio(partial(sender.signature.verify, headers, body, [used], NOW), used, body)
        read = ratio(partial(verify_delivery, sender, sent, body, [secret], now=NOW), used, body)
        print(
            f"{name}: {len(body):,} bytes verified in {verified:.2f} times the bare HMAC (goal {GOAL}), "
            f"verified and read as JSON in {read:.2f}"
        )


if __name__ == "__main__":
    main()
