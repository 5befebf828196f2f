"""Whether the process that wrote an intent, or claimed a gate, may still be at work."""

from __future__ import annotations

import os

import msgspec

from .._files.processes import boot_id, host_id, is_running, start_time
from .._protocol.intents import Intent

# Nothing is known of a process on another host, so its intent counts as being submitted for this long (seconds): longer
# than a request takes with its retries before it is sent, and than a clock differs.
QUIET_SECONDS = 300.0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Which process carries out a decision, since when (seconds since the epoch)."""

    host: str
    boot: str | None
    pid: int
    started: str | None
    at: float


def new_claim(now: float) -> str:
    """Return the claim of this process as JSON."""
    pid = os.getpid()
    claim = Claim(host=host_id(), boot=boot_id(), pid=pid, started=start_time(pid), at=now)
    return msgspec.json.encode(claim).decode()


def is_held(text: str, *, now: float) -> bool:
    """Whether the process of a claim may still be at work at the time *now*."""
    claim = msgspec.json.decode(text, type=Claim)
    if claim.host != host_id():
        return abs(now - claim.at) < QUIET_SECONDS
    return claim.boot in (None, boot_id()) and is_running(claim.pid, started=claim.started)


def is_submitting(intent: Intent, *, now: float) -> bool:
    """Whether another process may still be submitting *intent* at the time *now* (seconds since the epoch)."""
    if intent.host is not None and intent.host != host_id():
        return now - intent.at < QUIET_SECONDS
    if intent.boot is not None and intent.boot != boot_id():
        return False
    # An open intent of this process itself is what an earlier call left: a call that is under way does not check.
    return intent.pid != os.getpid() and is_running(intent.pid, started=intent.started)
