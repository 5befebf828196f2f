"""From GitHub's answers about the agent's tasks to our words. Pure: answers in, values out.

Invariants:

- Every answer gives a value or `UnreadableResponseError` with the JSON path of what is wrong.
- A state's native word is kept; a word that `STATES` lacks is UNKNOWN, which never ends a task.
- The prompt is the first session's, everything else the newest one's.

Sections are those of docs/reference/protocols/services.md.
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
    fields,
    instant,
    number,
    read_json,
    text,
    whole,
)
from .._github.http import next_page
from .._github.repository_requests import stats_of
from . import wire
from .capabilities import Service

# Every word of services.md 2; `idle` and `waiting_for_user` need a person on the task's page.
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
    """What a task says that it made: a pull request by its node, a branch and where that came from."""

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


def state_of(found: wire.Task) -> TaskState:
    """Return the state of a task."""
    return STATES.get(found.state or "", TaskState.UNKNOWN)


def repository_of(found: wire.Task) -> str | None:
    """Return ``owner/repo`` from a task's addresses: it names its repository by number alone (services.md 2)."""
    for address in (found.url, found.html_url):
        if place := _REPOSITORY.search(text(address) or ""):
            return place[1]
    return None


def makings_of(found: wire.Task) -> Artifacts:
    """Return what a task made; a session's own branch stands in for an artifact."""
    data: dict[str, Mapping[str, object]] = {each.type or "": fields(each.data) for each in found.artifacts or ()}
    pull, branch, newest = data.get("pull", {}), data.get("branch", {}), _newest(found)
    return Artifacts(
        node=text(pull.get("global_id")),
        has_pull="pull" in data,
        branch=text(branch.get("head_ref")) or text(newest.head_ref),
        base=text(branch.get("base_ref")) or text(newest.base_ref),
    )


def task(found: wire.Task, service: Service, *, made: Fetched | None = None, raw: bytes = b"") -> Task:
    """Return the task; *made* is its result, None where it was not requested."""
    state, newest, repository = state_of(found), _newest(found), repository_of(found)
    error = _failure(found, newest)
    outcome = None if made is None else _outcome(made, error)
    sessions = found.sessions or ()
    return Task(
        ref=service.ref(found.id),
        state=state,
        raw_state=found.state,
        url=text(found.html_url),
        title=text(found.name),
        prompt=sessions[0].prompt if sessions else None,
        mode="code",
        environment=repository,
        repository=repository,
        branch=text(newest.base_ref),
        created_at=instant(found.created_at),
        updated_at=instant(found.updated_at),
        started_at=instant(newest.created_at),
        model=text(newest.model),
        stats=outcome.stats if outcome else None,
        outcome=outcome,
        error=error,
        notices=_notices(found, state, made),
        pull_requests=(made.pull,) if made and made.pull else (),
        is_archived=text(found.archived_at) is not None,
        follow_ups=max(0, (whole(found.session_count) or 1) - 1),
        raw=raw,
    )


def page(answer: Response, service: Service) -> Page:
    """Return a page of tasks. They have no `raw` of their own; the page has."""
    task_page = read_json(answer.body, wire.TaskPage, response=answer)
    return Page(items=tuple(task(each, service) for each in task_page.tasks), cursor=next_page(answer), raw=answer.body)


# -- parts of a task ---------------------------------------------------------------------------------------------------


def _newest(found: wire.Task) -> wire.Session:
    return found.sessions[-1] if found.sessions else NO_SESSION


def _failure(found: wire.Task, newest: wire.Session) -> Failure | None:
    said = text(fields(newest.error).get("message"))
    is_bad = state_of(found) in (TaskState.FAILED, TaskState.EXPIRED, TaskState.CANCELLED)
    return Failure(code=found.state, message=said) if is_bad else None


def _outcome(fetched: Fetched, error: Failure | None) -> Outcome:
    return Outcome(
        patch=fetched.patch,
        patch_state=PatchState.PRESENT if fetched.patch else PatchState.NONE,
        stats=stats_of(fetched.patch),
        pull_request=fetched.pull,
        error=error,
    )


def _notices(found: wire.Task, state: TaskState, fetched: Fetched | None) -> tuple[Notice, ...]:
    notices = [WAITS] if state is TaskState.INPUT_REQUIRED else []
    if used := _used(found):
        notices.append(Notice(kind="usage", text=f"it used {used}"))
    if fetched is not None and state is TaskState.SUCCEEDED and fetched.pull is None and fetched.patch is None:
        notices.append(Notice(kind="nothing_made", text="it completed and made nothing: no pull request, no change"))
    return tuple(notices)


def _used(found: wire.Task) -> str | None:
    """Return what all sessions used, summed before it is rounded; None where the service did not say."""
    used: dict[str, float] = {}
    for session in found.sessions or ():
        document = fields(session.usage)
        unit, amount = text(document.get("type")), number(document.get("amount"))
        if unit is not None and amount is not None:
            used[unit] = used.get(unit, 0.0) + amount
    parts = (
        f"{amount / NANO:.1f} AI credits" if unit == "ai_credits" else f"{amount:g} {unit.replace('_', ' ')}"
        for unit, amount in used.items()
    )
    return ", ".join(parts) or None
