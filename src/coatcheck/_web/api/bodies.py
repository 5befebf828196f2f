"""What programs send: bodies of requests, and their queries."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Text: TypeAlias = Annotated[str, Meta(max_length=1_000_000)]
Short: TypeAlias = Annotated[str, Meta(min_length=1, max_length=500)]
Attempt: TypeAlias = Annotated[int, Meta(ge=1, le=1000)]
Reason: TypeAlias = Annotated[str, Meta(max_length=2000)]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=200)]
# A cursor that is a number: what comes after it is returned.
NumberCursor: TypeAlias = Annotated[str, Meta(pattern="^[0-9]{1,18}$")]
StateName: TypeAlias = Literal[
    "queued", "running", "input_required", "paused", "succeeded", "failed", "cancelled", "expired", "unknown"
]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a request; a field that is not known is an error."""


class NewTask(Body, frozen=True, kw_only=True):
    """A task to submit: a prompt, or a template with its arguments. With `is_held` it waits for a decision first.

    Requests with the same `key` in a day submit one task: send one, and repeat a request whose answer was lost.
    """

    prompt: Text = ""
    template: Short | None = None
    arguments: dict[str, Text] = {}
    provider: Short | None = None
    environment: Short | None = None
    repository: Short | None = None
    branch: Short | None = None
    attempts: Attempt | None = None
    mode: Literal["code", "ask"] = "code"
    model: Short | None = None
    title: Short | None = None
    starting_diff: Text | None = None
    requires_approval: bool | None = None
    open_pull_request: bool | None = None
    is_held: bool = False
    key: Short | None = None


class NewMessage(Body, frozen=True, kw_only=True):
    """A follow-up to a task; with the mode "ask" it makes no change."""

    text: Text
    mode: Literal["code", "ask"] = "code"


class CandidateApplication(Body, frozen=True, kw_only=True):
    """How to apply a patch to the checkout of the server.

    With `check` nothing is changed. `digest` is that of an earlier answer: another patch is then not applied.
    """

    check: bool = False
    index: bool = False
    commit: bool = False
    markers: bool = False
    branch: Short | None = None
    include: tuple[Short, ...] = ()
    exclude: tuple[Short, ...] = ()
    digest: Short | None = None


class NewApplication(CandidateApplication, frozen=True, kw_only=True):
    """How to apply the patch of an attempt of a task; without `attempt` the first that has one."""

    attempt: Attempt | None = None


class NewChecks(Body, frozen=True, kw_only=True):
    """Commands that each candidate must pass; without any, the required checks that a review was begun with."""

    commands: Annotated[tuple[Short, ...], Meta(max_length=100)] = ()


class NewDecision(Body, frozen=True, kw_only=True):
    """A decision about a gate: an option of it, and for a question the answer.

    With `digest` it is decided only if the gate is still about what has that digest.
    """

    option: Short
    why: Reason | None = None
    answer: Text | None = None
    digest: Short | None = None


class TaskQuery(Body, frozen=True, kw_only=True):
    """Which tasks are listed; `cursor` is that of the page before."""

    q: str | None = None
    state: StateName | None = None
    provider: str | None = None
    cursor: str | None = None
    limit: Limit = 50


class AttemptQuery(Body, frozen=True, kw_only=True):
    """Which attempt; without one the first that has a diff."""

    attempt: Attempt | None = None


class PairQuery(Body, frozen=True, kw_only=True):
    """Two attempts or candidates: the one that the difference leads from, and the one that it leads to."""

    left: Attempt
    right: Attempt


class LogQuery(Body, frozen=True, kw_only=True):
    """A check of a candidate: the number of the candidate, and the name of the check."""

    candidate: Attempt
    check: Short


class EventQuery(Body, frozen=True, kw_only=True):
    """The events after a number; without one the last."""

    after: Annotated[int, Meta(ge=0, le=10**18)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class GateQuery(Body, frozen=True, kw_only=True):
    """Which gates: in a state ("all" for any), about a subject."""

    state: Literal["open", "approved", "rejected", "expired", "withdrawn", "all"] = "open"
    subject: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
