"""A cloud whose tasks follow a timeline that a test wrote; it uses the same router as the local cloud.

Invariants:
- a task advances only when it is polled, or by the clock that was passed in;
- faults are used in the order in which they were given, so a test is repeatable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from .._protocol.effects import Clock, Request, Response
from .._runtime.fake_clock import FakeClock
from .._values.value import Value
from .faults import Fault, take
from .issued_tokens import Account, TokenBook, TokenSet
from .models import (
    CANCELLED,
    COMPLETED,
    ENDED,
    FAILED,
    CloudAttempt,
    CloudEnvironment,
    CloudFailure,
    CloudLog,
    CloudResult,
    CloudTask,
    TaskOrder,
    TaskPage,
    TaskQuery,
    count_changes,
)
from .oauth_server import OAuthServer
from .requests import FollowUp
from .router import Router, find_route
from .transitions import find_environment, plan_follow_up, plan_task
from .turn_stream import EventSource

# A word for each poll, or (seconds after creation, word) by the clock.
Step: TypeAlias = str | tuple[float, str]

DEFAULT_TIMELINE: Sequence[Step] = ("pending", "in_progress", "completed")

DIFF = """\
diff --git a/hello.txt b/hello.txt
index ce01362..94954ab 100644
--- a/hello.txt
+++ b/hello.txt
@@ -1 +1,2 @@
 hello
+world
"""
DEFAULT_RESULT = CloudResult(
    messages=("Done in `hello.txt`.",), diff=DIFF, title="Say hello to the world", body="Adds the world."
)
DEFAULT_ENVIRONMENT = CloudEnvironment(
    id="e0000000000000000000000000000001", label="owner/repo", repository="owner/repo"
)
DEFAULT_FAILURE = CloudFailure(code="internal_error", message="container exited")

# The answers of docs/reference/protocols/codex-wham.md, 7.1 and 2.2, with everything at ease.
DEFAULT_USAGE: Mapping[str, object] = {
    "plan_type": "plus",
    "rate_limit": {
        "allowed": True,
        "limit_reached": False,
        "primary_window": {
            "used_percent": 42,
            "limit_window_seconds": 18_000,
            "reset_after_seconds": 600,
            "reset_at": 1_790_000_600,
        },
        "secondary_window": {
            "used_percent": 85,
            "limit_window_seconds": 604_800,
            "reset_after_seconds": 60_000,
            "reset_at": 1_790_060_000,
        },
    },
    "credits": {"has_credits": True, "unlimited": False, "balance": "9.99"},
    "additional_rate_limits": None,
    "rate_limit_reached_type": None,
}
DEFAULT_RATE_LIMIT: Mapping[str, object] = {
    "allowed": True,
    "limit_reached": False,
    "limit": 1283.0,
    "remaining": 1282.0,
    "resets_after": 591_600.0,
    "resets_after_text": "in 7 days",
    "user_plan_type": "plus",
    "windows": [{"limit": 1283.0, "limit_window_mins": 10_080, "remaining": 1282.0, "resets_after_secs": 591_600.0}],
}

# Only these requests count as polls; others show the state of the last poll.
POLLS = frozenset({"get_task", "list_tasks", "search_tasks"})


class AttemptScript(Value, frozen=True, kw_only=True):
    """The states of one attempt over time, then its result or its failure."""

    timeline: Sequence[Step] = DEFAULT_TIMELINE
    result: CloudResult = DEFAULT_RESULT
    error: CloudFailure = DEFAULT_FAILURE

    def word(self, *, polls: int, elapsed: float) -> str:
        """Return the attempt's word at a poll or a time; the last one stays."""
        words = [step for step in self.timeline if isinstance(step, str)]
        timed = [step for step in self.timeline if not isinstance(step, str)]
        if words:
            return words[min(polls, len(words) - 1)]
        return max((step for step in timed if step[0] <= elapsed), default=timed[0])[1]


class ScriptedCloud:
    """A whole cloud in memory. Give `handle` to a transport of `coatcheck.testing` or to `coatcheck.cloud.http_server.serving`.

    New tasks follow *timeline* and end with *result*, or with what *result_of* returns for the prompt of their last
    round; *attempts* scripts each attempt of best-of-N.
    `requests` is every request that was received, faults included. `tokens` are accepted; so is everything that a refresh
    or a login gives out. With ``is_open=True`` any bearer is. Time advances only by *clock*; the default is a `FakeClock`.
    """

    def __init__(
        self,
        timeline: Sequence[Step] = DEFAULT_TIMELINE,
        *,
        result: CloudResult = DEFAULT_RESULT,
        error: CloudFailure = DEFAULT_FAILURE,
        attempts: Sequence[AttemptScript] = (),
        result_of: Callable[[str], CloudResult] | None = None,
        environments: Iterable[CloudEnvironment] = (DEFAULT_ENVIRONMENT,),
        usage: Mapping[str, object] = DEFAULT_USAGE,
        rate_limit: Mapping[str, object] | None = DEFAULT_RATE_LIMIT,
        faults: Iterable[Fault] = (),
        clock: Clock | None = None,
        account: Account | None = None,
        approval_key: str | None = None,
        device_interval: int = 5,
        is_open: bool = False,
    ) -> None:
        self.environments = tuple(environments)
        self.usage, self.rate_limit = usage, rate_limit
        self.requests: list[Request] = []
        self.faults: list[Fault] = list(faults)
        self.clock: Clock = clock or FakeClock()
        self.account = account or Account(plan="plus", email="p@example.com")
        self.book = (
            _AcceptAllTokens(self.account, self.clock)
            if is_open
            else TokenBook(account=self.account, time=self.clock.time)
        )
        self.tokens: TokenSet = self.book.issue()
        self._scripts = tuple(attempts) or (AttemptScript(timeline=timeline, result=result, error=error),)
        self.result_of = result_of
        self._oauth = OAuthServer(self.book, time=self.clock.time, key=approval_key, interval=device_interval)
        self._backend = _Backend(self)
        self._router = Router(self._backend, book=self.book, oauth=self._oauth)
        self._lock = threading.RLock()

    def handle(self, request: Request) -> Response:
        """Answer *request*, or raise the `TransportError` that its fault stands for."""
        with self._lock:
            self.requests.append(request)
            fault = self._next_fault(request)
        if fault is None:
            return self._answer(request)
        return fault.act(request, lambda: self._answer(request), self.clock)

    def approve(self, user_code: str) -> Response:
        """Approve a device login, as a person would."""
        return self._oauth.approve(user_code)

    def seen(self, name: str) -> list[Request]:
        """Return the requests that came in on the route of this name."""
        return [request for request in self.requests if (route := find_route(request)[0]) and route.name == name]

    @property
    def tasks(self) -> tuple[CloudTask, ...]:
        """Every task as it is now, oldest first; reading them here advances nothing."""
        return self._backend.peek()

    def add_task(self, order: TaskOrder, *, id: str | None = None) -> CloudTask:
        """Create a task as a client would."""
        with self._lock:
            return self._backend.add(order, id=id)

    def script_of(self, attempt: CloudAttempt) -> AttemptScript:
        """Return the script of an attempt."""
        return self._scripts[min(attempt.placement, len(self._scripts) - 1)]

    def _next_fault(self, request: Request) -> Fault | None:
        route, _ = find_route(request)
        name, is_wham = (route.name, route.is_guarded) if route else ("", True)
        return take(self.faults, name, *([""] if is_wham else []))

    def _answer(self, request: Request) -> Response:
        route, _ = find_route(request)
        with self._lock, self._backend.count_polls(counts=route is not None and route.name in POLLS):
            return self._router.handle(request)


class _AcceptAllTokens(TokenBook):
    def __init__(self, account: Account, clock: Clock) -> None:
        super().__init__(account=account, time=clock.time)

    def accepts(self, access_token: str) -> bool:
        return bool(access_token)


class _Backend:
    """The `coatcheck.cloud.router.Backend` of a scripted cloud."""

    def __init__(self, cloud: ScriptedCloud) -> None:
        self._cloud = cloud
        self._tasks: dict[str, CloudTask] = {}
        self._polls: dict[str, int] = {}
        self._count = _PollCount(self._polls)

    def count_polls(self, *, counts: bool) -> _PollCount:
        self._count = _PollCount(self._polls, counts=counts)
        return self._count

    def peek(self) -> tuple[CloudTask, ...]:
        return tuple(self._as_seen(task, self._polls[task.id]) for task in self._tasks.values())

    def add(self, order: TaskOrder, *, id: str | None = None) -> CloudTask:
        environment = find_environment(self._cloud.environments, order.environment_id)
        id = id or f"task_e_{len(self._tasks) + 1:032x}"
        now = (
            self._cloud.clock.time() + len(self._tasks) / 1000
        )  # so that the newest is first even while the clock does not advance
        self._tasks[id] = plan_task(order, environment, id=id, now=now)
        self._polls[id] = 0
        return self._as_seen(self._tasks[id], 0)

    def _as_seen(self, task: CloudTask, polls: int) -> CloudTask:
        *before, last = task.rounds
        attempts = tuple(self._attempt_as_seen(attempt, polls, last.prompt) for attempt in last.attempts)
        return msgspec.structs.replace(task, rounds=(*before, msgspec.structs.replace(last, attempts=attempts)))

    def _attempt_as_seen(self, attempt: CloudAttempt, polls: int, prompt: str) -> CloudAttempt:
        if attempt.is_over:
            return attempt
        now = self._cloud.clock.time()
        script = self._cloud.script_of(attempt)
        word = script.word(polls=polls, elapsed=now - attempt.created_at)
        result = None
        if word == COMPLETED:
            result = self._cloud.result_of(prompt) if self._cloud.result_of else script.result
        return msgspec.structs.replace(
            attempt,
            state=word,
            ended_at=now if word in ENDED else None,
            error=script.error if word == FAILED else None,
            result=result,
            stats=count_changes(result.diff) if result else None,
        )

    def list_environments(self) -> Sequence[CloudEnvironment]:
        return self._cloud.environments

    def list_tasks(self, query: TaskQuery) -> TaskPage:
        found = sorted(
            (task for task in self._tasks.values() if query.matches(task)), key=lambda task: task.key, reverse=True
        )
        shown = [self._as_seen(task, self._count.at(task.id)) for task in found[: query.limit]]
        return TaskPage(tasks=tuple(shown), has_more=len(found) > query.limit)

    def get_task(self, id: str) -> CloudTask | None:
        task = self._tasks.get(id)
        return task and self._as_seen(task, self._count.at(id))

    def create_task(self, order: TaskOrder) -> CloudTask:
        return self.add(order)

    def follow_up(self, follow_up: FollowUp) -> CloudTask | None:
        if follow_up.task_id not in self._tasks:
            return None
        seen = self._as_seen(self._tasks[follow_up.task_id], self._polls[follow_up.task_id])
        task = plan_follow_up(seen, follow_up.order, turn_id=follow_up.turn_id, now=self._cloud.clock.time())
        self._tasks[task.id], self._polls[task.id] = task, 0
        return self._as_seen(task, 0)

    def cancel_task(self, id: str) -> bool:
        if id not in self._tasks:
            return False
        task, now = self._as_seen(self._tasks[id], self._polls[id]), self._cloud.clock.time()
        attempts = tuple(
            attempt
            if attempt.is_over
            else msgspec.structs.replace(attempt, state=CANCELLED, cancellation_requested_at=now, ended_at=now)
            for attempt in task.last.attempts
        )
        rounds = (*task.rounds[:-1], msgspec.structs.replace(task.last, attempts=attempts))
        self._tasks[id] = msgspec.structs.replace(task, rounds=rounds, updated_at=now)
        return True

    def mark_task(self, id: str, *, is_archived: bool | None = None, is_unread: bool | None = None) -> bool:
        if id not in self._tasks:
            return False
        marks = {"is_archived": is_archived, "is_unread": is_unread}
        self._tasks[id] = msgspec.structs.replace(
            self._tasks[id], **{name: mark for name, mark in marks.items() if mark is not None}
        )
        return True

    def delete_task(self, id: str) -> bool:
        return self._tasks.pop(id, None) is not None

    def create_pull_request(self, id: str, turn_id: str, *, draft: bool) -> None:  # noqa: ARG002 - a draft is the same here
        task = self._as_seen(self._tasks[id], self._count.at(id))
        *before, last = task.rounds
        attempts = tuple(
            msgspec.structs.replace(attempt, pull_request_status="created") if attempt.id == turn_id else attempt
            for attempt in last.attempts
        )
        self._tasks[id] = msgspec.structs.replace(
            task, rounds=(*before, msgspec.structs.replace(last, attempts=attempts))
        )

    def get_logs(self, id: str, turn_id: str) -> Sequence[CloudLog]:
        task = self.get_task(id)
        found = task and task.find_turn(turn_id)
        result = found and found[1].result
        return result.logs if result else ()

    def follow(self, id: str, turn_id: str) -> EventSource | None:  # noqa: ARG002 - a script has no live events
        return None

    def get_usage(self) -> Mapping[str, object]:
        return self._cloud.usage

    def get_rate_limit(self) -> Mapping[str, object] | None:
        return self._cloud.rate_limit


class _PollCount:
    """The number of the poll of each task that a request makes; a poll is counted when the request is over."""

    def __init__(self, polls: dict[str, int], *, counts: bool = False) -> None:
        self._polls = polls
        self._counts = counts
        self._seen: set[str] = set()

    def at(self, id: str) -> int:
        self._seen.add(id)
        return self._polls[id] if self._counts else max(self._polls[id] - 1, 0)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        for id in self._seen if self._counts else ():
            self._polls[id] += 1
