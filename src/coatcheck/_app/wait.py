"""Wait for tasks and follow their events; decide about plans while a task is waited for.

Outages are reported through the client's ``on_outage``, progress through *on_change*; an interruption is an exception
that passes through. A task continues at its service whatever happens to the wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from .. import errors
from .._model.states import TaskState
from .._protocol.provider import Verb
from .._values.value import Value
from .field_errors import FieldError

if TYPE_CHECKING:
    from .._model.events import TaskEvent
    from .._model.gates import PlanDecision
    from .._model.tasks import Task, TaskRef
    from .._runtime.client import Client

PlanApproval: TypeAlias = Literal["ask", "auto", "never"]
RequiredAction: TypeAlias = Literal["approve", "answer", "resume", "permit"]


class WaitOptions(Value, frozen=True, kw_only=True):
    """How long to wait and how often to poll, in seconds; `first` ends the wait with the first attempt that ends."""

    timeout: float | None = None
    interval: float | None = None
    first: bool = False


def wait_for_task(
    client: Client,
    ref: TaskRef | Task,
    options: WaitOptions,
    *,
    approve: Callable[[Task], PlanDecision] | None = None,
    on_change: Callable[[Task], None] | None = None,
) -> Task:
    """Wait until a task ends or needs input, and return it. Raises `WaitTimeoutError` at the timeout.

    A task that is given instead of its ref, and that has ended with its outcome, is not polled.
    """
    return client.poll_task(
        ref,
        timeout=options.timeout,
        interval=options.interval,
        first=options.first,
        approve=approve,
        on_change=on_change,
    )


def watch_tasks(
    client: Client,
    refs: Sequence[TaskRef],
    options: WaitOptions,
    *,
    after: str | None = None,
    is_streamed: bool = False,
) -> Iterable[TaskEvent]:
    """Return the events of one task or of several tasks of one provider, until each ends."""
    if len(refs) > 1 and (after or is_streamed):
        field = "after" if after else "is_streamed"
        raise FieldError(f"{{{field}}} is for one task, not {len(refs)}", fields=(field,), remedy="name one task")
    if len(refs) > 1:
        return client.watch_tasks(refs, timeout=options.timeout, interval=options.interval)
    if is_streamed and after and not client.capabilities.has_resumable_stream:
        raise FieldError(
            "{is_streamed} of {provider} begins at the first event and cannot be continued",
            provider=refs[0].provider,
            fields=("is_streamed",),
            remedy="leave out {is_streamed}",
        )
    if is_streamed:
        return client.stream_task(refs[0], timeout=options.timeout, after=after)
    return client.watch_task(refs[0], timeout=options.timeout, interval=options.interval, after=after)


def unique_refs(refs: Sequence[TaskRef]) -> list[TaskRef]:
    """Return *refs* without duplicates. Raises `ConfigurationError` where they belong to several providers."""
    providers = sorted({ref.provider for ref in refs})
    if len(providers) > 1:
        message = f"these tasks belong to {' and '.join(providers)}"
        raise errors.ConfigurationError(message, remedy="watch the tasks of one provider at a time")
    return list(dict.fromkeys(refs))


def plan_decision(
    client: Client, provider: str, approval: PlanApproval | None, ask: Callable[[Task], PlanDecision]
) -> Callable[[Task], PlanDecision] | None:
    """Return the function that decides about a task's plan, None where plans are not decided during the wait.

    Raises `UnsupportedError` where an *approval* is chosen and the provider has no plans.
    """
    if approval is None:
        return None
    client.capabilities.require(Verb.APPROVE_PLAN, provider)
    return {"ask": ask, "auto": lambda _: True, "never": None}[approval]


def required_action(task: Task) -> RequiredAction | None:
    """Return what a task needs from a person to continue, None where it needs nothing."""
    if task.state is TaskState.PAUSED:
        return "resume"
    if task.state is not TaskState.INPUT_REQUIRED:
        return None
    if task.permission_requests:
        return "permit"
    return "approve" if task.plan is not None and not task.plan.is_approved else "answer"
