"""The record of a submission, written before it is sent, so that a crash loses nothing and sends nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from .._model.tasks import TaskRef, TaskSpec

# Enough of the prompt for a person to recognise it; the prompt itself is not kept.
SUMMARY_LENGTH = 80


class Intent(Value, frozen=True, kw_only=True):
    """One submission that was about to happen.

    `digest` stands for prompt bytes, environment and branch; `at` is in seconds since the epoch; `pid` is the process
    that submits, so that an intent whose process runs is left alone. `host`, `boot` and `started` (when that process
    started) say which process it is; the journal adds them.
    """

    id: str
    provider: str
    digest: str
    at: float
    summary: str
    environment: str | None = None
    branch: str | None = None
    pid: int = 0
    host: str | None = None
    boot: str | None = None
    started: str | None = None
    template: str | None = None
    template_digest: str | None = None
    traceparent: str | None = None

    _json: ClassVar[JsonFields] = {
        "id": "its id in the journal",
        "provider": "the provider's name",
        "digest": "a digest of prompt, environment and branch",
        "at": "when it was written, in seconds since the epoch",
        "summary": "the beginning of the prompt",
        "environment": "the environment that it is for",
        "branch": "the branch that it is for",
        "pid": "the process that submits it",
        "host": "an identifier of the host of that process",
        "boot": "an identifier of the boot of that host",
        "started": "when that process started, in the system's own form",
        "template": "the name of its prompt template",
        "template_digest": "the SHA-256 of the template",
        "traceparent": "the trace context of the submission, as W3C Trace Context writes it",
    }


class Journal(Protocol):
    """A durable store of intents. Methods block and are called through the `Call` effect; they are durable on return."""

    def begin(self, intent: Intent) -> None:
        """Record that a submission is about to be sent."""
        ...

    def settle(self, intent: Intent, ref: TaskRef) -> bool:
        """Record the task of a submission; False if another intent already has that task."""
        ...

    def abandon(self, intent: Intent) -> None:
        """Record that a submission certainly created no task."""
        ...

    def open_intents(self, provider: str) -> Sequence[Intent]:
        """Return the submissions whose outcome is unknown, oldest first."""
        ...

    def claimed(self, refs: Sequence[TaskRef]) -> set[TaskRef]:
        """Return those of *refs* that an intent has recorded."""
        ...

    def count_since(self, provider: str, since: float) -> int:
        """Return how many submissions since then may have made a task (seconds since the epoch)."""
        ...


def digest(prompt: str | None, environment: str | None, branch: str | None) -> str:
    """Return a digest that is equal for two submissions of the same work."""
    import hashlib  # with json 5 ms, and only submissions need them
    import json

    text = json.dumps([prompt, environment, branch], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def intent_of(spec: TaskSpec, *, id: str, provider: str, at: float, pid: int, traceparent: str | None = None) -> Intent:
    """Return the intent to submit *spec*, which has been prepared."""
    return Intent(
        id=id,
        provider=provider,
        digest=digest(spec.prompt, spec.environment, spec.branch),
        at=at,
        summary=" ".join(spec.prompt.split())[:SUMMARY_LENGTH],
        environment=spec.environment,
        branch=spec.branch,
        pid=pid,
        traceparent=traceparent,
    )
