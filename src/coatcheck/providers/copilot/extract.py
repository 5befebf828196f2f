"""Convert GitHub's responses about the agent's tasks to coatcheck's values. Pure: no I/O.

Invariants:

- Every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong.
- A state's native word is kept; a word that `STATES` lacks is UNKNOWN, which never ends a task.
- The prompt is the first session's, everything else the newest one's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from ...provider import (
    Failure,
    Notice,
    Outcome,
    Page,
    Patch,
    PatchState,
    PullRequest,
    Response,
    Task,
    TaskState,
    count_diff,
    fields,
    instant,
    number,
    read_json,
    text,
    whole,
)
from .._github.http import next_page
from . import wire
from .capabilities import Service

# Every state of docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent"; `idle` and `waiting_for_user`
# need a person on the task's page.
STATES: Mapping[str, TaskState] = {
    "queued": TaskState.QUEUED,
    "in_progress": TaskState.RUNNING,
    "idle": TaskState.INPUT_REQUIRED,
    "waiting_for_user": TaskState.INPUT_REQUIRED,
    "completed": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
    "timed_out": TaskState.EXPIRED,
    "cancelled": TaskState.CANCELLED,
}
# "Divide by 1,000,000,000 and round to one decimal place" (the description of `usage.amount`).
NANO = 1_000_000_000
_REPOSITORY = re.compile(r"://[^/]+/(?:agents/repos/)?([\w.-]+/[\w.-]+)/(?:copilot/)?tasks/")
NO_SESSION = wire.Session()
WAITS = Notice(kind="waits_on_page", text="it waits for a reply on its page: the API takes none")


class Artifacts(msgspec.Struct, frozen=True, kw_only=True):
    """The artifacts of a task: a pull request by its node, a branch and its base."""

    node: str | None = None
    has_pull: bool = False
    branch: str | None = None
    base: str | None = None


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What was fetched of it."""

    pull: PullRequest | None = None
    patch: Patch | None = None


NOTHING = Fetched()


def task_in(answer: Response) -> wire.Task:
    """Return the task that *answer* holds."""
    return read_json(answer.body, wire.Task, response=answer)


def state_of(agent_task: wire.Task) -> TaskState:
    """Return the state of a task."""
    return STATES.get(agent_task.state or "", TaskState.UNKNOWN)


def repository_of(agent_task: wire.Task) -> str | None:
    """Return ``owner/repo`` from a task's addresses: it names its repository by number alone.

    See docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent".
    """
    for address in (agent_task.url, agent_task.html_url):
        if place := _REPOSITORY.search(text(address) or ""):
            return place[1]
    return None


def artifacts_of(agent_task: wire.Task) -> Artifacts:
    """Return the artifacts of a task; without one, a session's own branch."""
    data: dict[str, Mapping[str, object]] = {each.type or "": fields(each.data) for each in agent_task.artifacts or ()}
    pull, branch, newest = data.get("pull", {}), data.get("branch", {}), _newest(agent_task)
    return Artifacts(
        node=text(pull.get("global_id")),
        has_pull="pull" in data,
        branch=text(branch.get("head_ref")) or text(newest.head_ref),
        base=text(branch.get("base_ref")) or text(newest.base_ref),
    )


def task(agent_task: wire.Task, service: Service, *, fetched: Fetched | None = None, raw: bytes = b"") -> Task:
    """Return the task; *fetched* is its result, None where it was not requested."""
    state, newest, repository = state_of(agent_task), _newest(agent_task), repository_of(agent_task)
    error = _failure(agent_task, newest)
    outcome = None if fetched is None else _outcome(fetched, error)
    sessions = agent_task.sessions or ()
    return Task(
        ref=service.ref(agent_task.id),
        state=state,
        raw_state=agent_task.state,
        url=text(agent_task.html_url),
        title=text(agent_task.name),
        prompt=sessions[0].prompt if sessions else None,
        mode="code",
        environment=repository,
        repository=repository,
        branch=text(newest.base_ref),
        created_at=instant(agent_task.created_at),
        updated_at=instant(agent_task.updated_at),
        started_at=instant(newest.created_at),
        model=text(newest.model),
        stats=outcome.stats if outcome else None,
        outcome=outcome,
        error=error,
        notices=_notices(agent_task, state, fetched),
        pull_requests=(fetched.pull,) if fetched and fetched.pull else (),
        is_archived=text(agent_task.archived_at) is not None,
        follow_ups=max(0, (whole(agent_task.session_count) or 1) - 1),
        raw=raw,
    )


def page(answer: Response, service: Service) -> Page:
    """Return a page of tasks. They have no `raw`; the page has."""
    task_page = read_json(answer.body, wire.TaskPage, response=answer)
    return Page(items=tuple(task(each, service) for each in task_page.tasks), cursor=next_page(answer), raw=answer.body)


# -- parts of a task ---------------------------------------------------------------------------------------------------


def _newest(agent_task: wire.Task) -> wire.Session:
    return agent_task.sessions[-1] if agent_task.sessions else NO_SESSION


def _failure(agent_task: wire.Task, newest: wire.Session) -> Failure | None:
    error_fields = text(fields(newest.error).get("message"))
    is_bad = state_of(agent_task) in (TaskState.FAILED, TaskState.EXPIRED, TaskState.CANCELLED)
    return Failure(code=agent_task.state, message=error_fields) if is_bad else None


def _outcome(fetched: Fetched, error: Failure | None) -> Outcome:
    return Outcome(
        patch=fetched.patch,
        patch_state=PatchState.PRESENT if fetched.patch else PatchState.NONE,
        stats=count_diff(fetched.patch),
        pull_request=fetched.pull,
        error=error,
    )


def _notices(agent_task: wire.Task, state: TaskState, fetched: Fetched | None) -> tuple[Notice, ...]:
    notices = [WAITS] if state is TaskState.INPUT_REQUIRED else []
    if used := _used(agent_task):
        notices.append(Notice(kind="usage", text=f"it used {used}"))
    if fetched is not None and state is TaskState.SUCCEEDED and fetched.pull is None and fetched.patch is None:
        notices.append(Notice(kind="nothing_made", text="it completed and made nothing: no pull request, no change"))
    return tuple(notices)


def _used(agent_task: wire.Task) -> str | None:
    """Return what all sessions used, summed before it is rounded; None where the service did not report it."""
    used: dict[str, float] = {}
    for session in agent_task.sessions or ():
        document = fields(session.usage)
        unit, amount = text(document.get("type")), number(document.get("amount"))
        if unit is not None and amount is not None:
            used[unit] = used.get(unit, 0.0) + amount
    parts = (
        f"{amount / NANO:.1f} AI credits" if unit == "ai_credits" else f"{amount:g} {unit.replace('_', ' ')}"
        for unit, amount in used.items()
    )
    return ", ".join(parts) or None
