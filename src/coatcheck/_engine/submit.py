"""Submit a task exactly once over an unreliable network.

Invariants:
- The intent is durable before the POST, the ref after it.
- The POST is sent again only when it certainly was not taken (`retry.py`, or 401 after a renewal).
- When the outcome is unknown, the service's list is requested, and a task is adopted only if exactly one fits: same prompt
  bytes, same environment and branch where the service reports them, created since, recorded by no other intent,
  and fitting no other open intent. A service that stores the submission's key is searched by that instead.
- Otherwise `SubmissionUncertainError`. It is never sent again.
- An error of any class that is raised after the service accepted the POST leaves the outcome unknown.
- A POST that is about to be sent long after its intent is not sent: another process may have taken the intent over while
  this one was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

import msgspec

from .. import errors
from .._model.tasks import Page, Task, TaskRef, TaskSpec
from .._protocol.effects import Call, Clock, Exchange, Request, Script, Send, Sleep
from .._protocol.intents import Intent, Journal, digest, intent_of
from .._protocol.provider import Capabilities, ProviderMethods, Verb
from .._protocol.urls import UNPERFORMED_REDIRECTS
from .._values.value import JsonFields, Value
from .deadline import Deadline
from .optional_methods import prepare_spec
from .pipeline import ExchangeRunner

T = TypeVar("T")

# How long the task of a lost answer is searched, and the pause between two searches (seconds).
SEARCH_SECONDS = 30.0
SEARCH_PAUSE = 3.0
# How far the service's clock may be behind ours (seconds). Too small a value leaves the decision to the user.
CLOCK_SKEW = 30.0
# How old an intent may be when its POST is sent (seconds): half of the time for which other processes leave it alone.
FRESH_SECONDS = 150.0
# The same for a search whose result decides whether a program sends again: clocks are set by an hour now and then, and a
# task with the same prompt that no submission has recorded is rather adopted than sent a second time (seconds).
WIDE_SKEW = 7200.0
# Pages of such a search at most.
WIDE_PAGES = 100
# Pages of a list that are searched at most: 20 tasks each, all younger than the intent.
SEARCH_PAGES = 10

# After these the task may exist, and after a 3xx answer (`may_be_performed`). After 4xx answers, and where no connection
# was established, it does not.
UNCERTAIN = (errors.TransportError, errors.ProviderUnavailableError, errors.UnreadableResponseError)
SPEC_OPTIONS = (
    "starting_diff",
    "model",
    "title",
    "instructions",
    "requires_approval",
    "open_pull_request",
    "working_branch",
    "key",
    "requests",
)

TEXTS = (
    "prompt",
    "environment",
    "repository",
    "branch",
    "model",
    "title",
    "instructions",
    "starting_diff",
    "working_branch",
)


class LateSubmissionError(errors.TransportTimeoutError):
    """A POST was to be sent long after its intent, and was not sent."""


def checked(spec: TaskSpec, capabilities: Capabilities, provider: str) -> TaskSpec:
    """Return *spec*, or raise the error of the first thing in it that this provider cannot take."""
    if not spec.prompt.strip():
        raise errors.ConfigurationError("the prompt is blank", remedy="describe what the agent should do")
    if not 1 <= spec.attempts <= capabilities.max_attempts:
        several = f"submit several tasks, whose results compete: coatcheck run --on {provider}:{spec.attempts}"
        raise errors.ConfigurationError(
            f"{spec.attempts} attempts are out of range: {provider} takes 1 to {capabilities.max_attempts}",
            remedy=several if spec.attempts > 1 else None,
        )
    if spec.mode not in capabilities.modes:
        raise errors.UnsupportedError(f"{provider} has no {spec.mode} mode: {', '.join(sorted(capabilities.modes))}")
    for option in SPEC_OPTIONS:
        if getattr(spec, option) is not None and option not in capabilities.options:
            remedy = f"leave it out; {provider} supports {', '.join(sorted(capabilities.options)) or 'no option'}"
            raise errors.UnsupportedError(f"{provider} does not support {option}", remedy=remedy)
    check_texts({name.replace("_", " "): getattr(spec, name) for name in TEXTS} | dict(spec.requests or {}))
    return spec


def check_texts(texts: Mapping[str, str | None]) -> None:
    """Raise `ConfigurationError` for a text that UTF-8 cannot hold, such as half of a surrogate pair; by what it is."""
    for name, text in texts.items():
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            raise errors.ConfigurationError(
                f"the {name} is not valid Unicode text", remedy="give it in UTF-8"
            ) from None


def submitting(
    spec: TaskSpec,
    *,
    provider: ProviderMethods,
    run: ExchangeRunner,
    journal: Journal,
    clock: Clock,
    id: str,
    pid: int,
    on_warning: Callable[[str], None],
    traceparent: Callable[[], str | None] = lambda: None,
) -> Script[Task]:
    """Create the task that *spec* describes, exactly once.

    *traceparent* returns the trace context, which is kept with the intent. A task that was created is returned even if the journal cannot record it: *on_warning* gets a message, and its
    intent stays open.
    """
    prepared = yield from run(prepare_spec(provider, checked(spec, provider.capabilities, provider.name)))
    key = prepared.key or id
    prepared = msgspec.structs.replace(prepared, key=key)
    intent = intent_of(prepared, id=key, provider=provider.name, at=clock.time(), pid=pid, traceparent=traceparent())
    fresh = _Freshness(clock)
    yield Call(lambda: journal.begin(intent))
    lost: Exception | None = None
    tracker = AcceptanceTracker()
    try:
        exchange = run(tracker.track(provider.create_task(prepared)))
        task: Task | None = yield from _while_fresh(exchange, fresh)
    except errors.SubmissionUncertainError:  # the provider knows that there is no task to search
        raise
    except Exception as error:  # an accepted submission is not lost by an error about its response
        if not tracker.leaves_unknown(error):
            if isinstance(error, errors.CoatcheckError):
                yield Call(lambda: journal.abandon(intent))
            raise
        task, lost = None, error
    if task is None:
        task = yield from _find_task(prepared, intent, lost, provider=provider, run=run, journal=journal, clock=clock)
    try:
        yield Call(lambda: journal.settle(intent, task.ref))
    except errors.StoreError as error:
        on_warning(f"{task.ref} was created and could not be recorded: {error}")
    return task


class _Freshness:
    """Whether an intent is young enough for its POST, counted from before the intent was written.

    The clock counts the time for which the process or the machine was suspended, also while the intent was written.
    """

    def __init__(self, clock: Clock) -> None:
        self._elapsed: Callable[[], float] = getattr(clock, "boottime", clock.monotonic)
        self._begun = self._elapsed()

    @property
    def is_over(self) -> bool:
        """Whether too much time has passed."""
        return self._elapsed() - self._begun > FRESH_SECONDS


def _while_fresh(script: Script[T], fresh: _Freshness) -> Script[T]:
    """Run *script*; raise before a request that changes something late."""
    try:
        effect = next(script)
        while True:
            if is_change(effect) and fresh.is_over:
                message = f"it was not sent: it was to be sent more than {FRESH_SECONDS:g} seconds ago"
                raise LateSubmissionError(message, request_sent=False, remedy="submit it again")
            try:
                answer = yield effect
            except Exception as error:  # noqa: BLE001 - the script may handle any error
                effect = script.throw(error)
            else:
                effect = script.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        script.close()


def is_change(effect: object) -> bool:
    """Whether *effect* may create or change something at the service."""
    if isinstance(effect, Send):
        return effect.is_change
    return isinstance(effect, Request) and effect.method not in ("GET", "HEAD") and not effect.is_preparation


class AcceptanceTracker:
    """Whether the service may have performed what an exchange last sent to change something, by its answer's status.

    An error that is raised afterwards is about the answer, not about the submission. The answer to a message over a
    channel has no status: the exchange raises the service's refusal itself, and so does one over JSON-RPC, whose status
    is 200 (`ProviderError.is_refusal`). What is sent before the message that changes something (a handshake, a GET
    request) leaves nothing unknown.
    """

    def __init__(self) -> None:
        self.may_be_accepted = self.has_sent_request = self.has_sent_message = False

    def leaves_unknown(self, error: Exception) -> bool:
        """Whether the task may exist although the exchange raised *error*."""
        if self.may_be_accepted:
            return not getattr(error, "is_refusal", False)
        if self.has_sent_message and not isinstance(error, errors.CoatcheckError):
            return True
        return (self.has_sent_request or self.has_sent_message) and is_uncertain(error)

    def track(self, exchange: Exchange[T]) -> Exchange[T]:
        """Run *exchange* unchanged, and remember the answer to its last request that was no GET."""
        try:
            request = next(exchange)
            while True:
                is_request = isinstance(request, Request) and is_change(request)
                if is_request:
                    self.may_be_accepted = False
                self.has_sent_request |= is_request
                self.has_sent_message |= isinstance(request, Send) and is_change(request)
                try:
                    answer = yield request
                except errors.CoatcheckError as error:
                    request = exchange.throw(error)
                else:
                    if is_request:
                        self.may_be_accepted = may_be_performed(answer.status)
                    request = exchange.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            exchange.close()


def may_be_performed(status: int) -> bool:
    """Whether a request may have been performed that was answered so: 2xx, and 3xx less 307 and 308."""
    return 200 <= status < 400 and status not in UNPERFORMED_REDIRECTS


def is_uncertain(error: Exception) -> bool:
    """Whether the task may exist although submitting it raised *error*."""
    return isinstance(error, UNCERTAIN) and getattr(error, "request_sent", True)


def _find_task(
    spec: TaskSpec,
    intent: Intent,
    error: Exception | None,
    *,
    provider: ProviderMethods,
    run: ExchangeRunner,
    journal: Journal,
    clock: Clock,
) -> Script[Task]:
    """Return the task of *intent*, found by its key or in the list; raises `SubmissionUncertainError`.

    *error* is how the response was lost, None for a response without the task's id.
    """
    because = _reason(error)
    if not {Verb.FIND_TASK, Verb.LIST_TASKS} & set(provider.capabilities.verbs):
        raise errors.SubmissionUncertainError(
            f"{because} and {provider.name} has no list to look in; it was not sent again",
            spec=spec,
            remedy="look where the service shows its tasks before you submit again",
        ) from error
    search = Search(provider=provider, run=run, journal=journal)
    deadline = Deadline(SEARCH_SECONDS, clock=clock)
    candidates: tuple[Task, ...] = ()
    while not deadline.is_past:
        try:
            candidates = yield from search.candidates(intent)
        except errors.CoatcheckError:
            candidates = ()  # the list fails as the submission did: search again until the deadline
        if len(candidates) == 1 and (yield from search.adopt(intent, candidates[0])):
            return candidates[0]
        if len(candidates) > 1:
            break
        try:
            yield Sleep(min(SEARCH_PAUSE, max(0.0, deadline.remaining)))
        except errors.CoatcheckError:  # the client was closed meanwhile
            break
    raise errors.SubmissionUncertainError(
        f"{because} and {_number(candidates)} it; it was not sent again",
        spec=spec,
        candidates=[task.ref for task in candidates],
        remedy=f"look with: coatcheck list --provider {provider.name}; then: coatcheck submit --resume --provider {provider.name}",
    ) from error


def _reason(error: Exception | None) -> str:
    if error is None:
        return "the service did not say which task it is"
    if isinstance(error, errors.TransportError | errors.ProviderUnavailableError):
        return f"the answer to the submission was lost ({error})"
    return f"the answer to the submission does not name the task ({error})"


def _number(candidates: tuple[Task, ...]) -> str:
    return f"{len(candidates)} tasks could be" if candidates else "no task in the list is"


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Search for the task of an intent: by its key where the service stores one, else in the list."""

    provider: ProviderMethods
    run: ExchangeRunner
    journal: Journal
    skew: float = CLOCK_SKEW
    pages: int = SEARCH_PAGES

    @property
    def is_keyed(self) -> bool:
        """Whether the service can search by the submission's key."""
        return Verb.FIND_TASK in self.provider.capabilities.verbs

    def candidates(self, intent: Intent) -> Script[tuple[Task, ...]]:
        """Return the tasks that could be those of *intent*, recorded by no intent.

        A task whose service does not report the prompt is always a candidate.
        """
        if self.is_keyed:
            keyed: Task | None = yield from self.run(self.provider.find_task(intent))
            return () if keyed is None else (keyed,)
        recent = yield from self._recent(intent)
        claimed = yield Call(lambda: self.journal.claimed(recent))
        found = []
        for ref in recent:
            if ref not in claimed:
                task: Task = yield from self.run(self.provider.get_task(ref))
                if task.prompt is None or _fits(task, intent):
                    found.append(task)
        return tuple(found)

    def adopt(self, intent: Intent, task: Task) -> Script[bool]:
        """Record *task* for *intent*, unless another intent, or another person, could have created it as well."""
        if not self.is_keyed and (task.prompt is None or (yield from self._has_rivals(intent, task))):
            return False
        return bool((yield Call(lambda: self.journal.settle(intent, task.ref))))

    def _has_rivals(self, intent: Intent, task: Task) -> Script[bool]:
        """Whether *task* could be that of another open intent too: of one for another environment, if it names none."""
        intents = yield Call(lambda: self.journal.open_intents(intent.provider))
        return any(other.id != intent.id and self._is_young(task, other) and _fits(task, other) for other in intents)

    def _recent(self, intent: Intent) -> Script[list[TaskRef]]:
        """List, newest first, until the time of the intent is passed. A list item carries no prompt."""
        refs, cursor = [], None
        for _ in range(self.pages):
            page = yield from self.run(self._page(cursor))
            young = [task.ref for task in page.items if self._is_young(task, intent)]
            refs += young
            cursor = page.cursor
            if cursor is None or len(young) < len(page.items):
                break
        return refs

    def _is_young(self, task: Task, intent: Intent) -> bool:
        return task.created_at is None or task.created_at.timestamp() >= intent.at - self.skew

    def _page(self, cursor: str | None) -> Exchange[Page]:
        return self.provider.list_tasks(filter="current", environment=None, limit=None, cursor=cursor)


def _fits(task: Task, intent: Intent) -> bool:
    """Whether *task* is of the work that *intent* is for; an environment or a branch that is not reported fits any."""
    environment, branch = task.environment or intent.environment, task.branch or intent.branch
    return digest(task.prompt, environment, branch) == intent.digest


class ResumedSubmission(Value, frozen=True, kw_only=True):
    """What became of an intent that a crash left open: its task, several that could be, or nothing."""

    intent: Intent
    task: Task | None = None
    candidates: tuple[TaskRef, ...] = ()
    is_busy: bool = False

    _json: ClassVar[JsonFields] = {
        "intent": "what was written before the submission: intent object",
        "task": "its task, where one was found: task object",
        "candidates": "refs of tasks that it could be",
        "is_busy": "whether another process is still submitting it",
    }


def resuming(
    intent: Intent,
    *,
    provider: ProviderMethods,
    run: ExchangeRunner,
    journal: Journal,
    clock: Clock,
    is_submitting: bool,
    is_old: bool = False,
) -> Script[ResumedSubmission]:
    """Search for the task of *intent*; one without a task is closed, a very young one is left open.

    With *is_old* the caller has waited, and sends again where no task is found: the clock is not trusted then.
    """
    if is_submitting:
        return ResumedSubmission(intent=intent, is_busy=True)
    skew, pages = (WIDE_SKEW, WIDE_PAGES) if is_old else (CLOCK_SKEW, SEARCH_PAGES)
    search = Search(provider=provider, run=run, journal=journal, skew=skew, pages=pages)
    candidates = yield from search.candidates(intent)
    if len(candidates) == 1 and (yield from search.adopt(intent, candidates[0])):
        return ResumedSubmission(intent=intent, task=candidates[0])
    if not candidates and (is_old or clock.time() - intent.at > SEARCH_SECONDS):
        yield Call(lambda: journal.abandon(intent))
    return ResumedSubmission(intent=intent, candidates=tuple(task.ref for task in candidates))
