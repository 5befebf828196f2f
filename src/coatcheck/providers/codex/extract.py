"""Convert WHAM's responses to coatcheck's values. Pure: no I/O.

Invariants:

- Every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong.
- A missing fact is None; only the numbers of attempts that have nothing but ids are inferred.
- A state's native word is kept; a word that `STATES` lacks is UNKNOWN, which never ends a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Literal

import msgspec

from ...provider import (
    Attempt,
    DiffStats,
    Environment,
    Outcome,
    Page,
    PullRequest,
    Response,
    Task,
    TaskRef,
    TaskState,
    errors,
    fields,
    flag,
    instant,
    items,
    read_json,
    text,
    whole,
)
from . import wire
from .endpoints import Service
from .turn_outcome import outcome, prompt, pull_request, stats

# Both vocabularies: turn statuses and the older `state` (docs/reference/protocols/codex-wham.md, "3 Status model").
STATES: Mapping[str, TaskState] = {
    "pending": TaskState.QUEUED,
    "in_progress": TaskState.RUNNING,
    "completed": TaskState.SUCCEEDED,
    "ready": TaskState.SUCCEEDED,
    "applied": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
    "error": TaskState.FAILED,
    "cancelled": TaskState.CANCELLED,
}

# The modes of a task: `qa` makes no diff (docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks").
MODES: Mapping[str, Literal["code", "ask"]] = {"pr": "code", "qa": "ask"}

NO_RECORD, NO_DISPLAY, NO_LATEST, NO_TURN = wire.Record(), wire.StatusDisplay(), wire.TurnDisplay(), wire.Turn()


def task_from_details(
    answer: Response, service: Service, *, ref: TaskRef | None = None, siblings: Response | None = None
) -> Task:
    """Return the task that *answer* describes; *siblings* (docs/reference/protocols/codex-wham.md, "2.4 GET /wham/tasks/{task_id}/turns/{turn_id}/sibling_turns") adds the other attempts' outcomes.

    *ref* is the requested task; without it the response must contain an id.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}".
    """
    details = read_json(answer.body, wire.Details, response=answer)
    turn, record = details.current_assistant_turn or NO_TURN, details.task or NO_RECORD
    shown = record.task_status_display if details.task_status_display is msgspec.UNSET else details.task_status_display
    task = _task(
        ref or service.ref(_required_id(record.id)),
        record,
        shown or NO_DISPLAY,
        turn,
        service,
        user_turn=details.current_user_turn,
        turn_outcome=_outcome_of(details, record, answer),
        raw=answer.body,
    )
    if siblings is None:
        return task
    everyone = attempts(task.attempts, siblings, current=turn.id)
    return msgspec.structs.replace(task, attempts=everyone, attempt_total=max(len(everyone), task.attempt_total or 0))


def task_from_created(answer: Response, service: Service) -> Task:
    """Return the task that was just created or continued.

    A response that is unexpected in any other way still yields a task, since the task exists.

    See docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks".
    """
    from .rate_limits import task_rate_limit  # for submissions

    try:
        created = read_json(answer.body, wire.Created, response=answer)
        record, turn = created.task or NO_RECORD, created.turn or NO_TURN
        ref, display = service.ref(_required_id(record.id)), record.task_status_display or NO_DISPLAY
    except errors.UnreadableResponseError:
        return _bare_task(answer, service)
    task = _task(ref, record, display, turn, service, user_turn=created.user_turn, turn_outcome=None, raw=answer.body)
    return msgspec.structs.replace(task, rate_limit=task_rate_limit(created.rate_limit))


def page(answer: Response, service: Service) -> Page:
    """Return a page of the list. Its tasks have no `raw`; the page has.

    See docs/reference/protocols/codex-wham.md, "2.1 GET /wham/tasks/list".
    """
    listed = read_json(answer.body, wire.Page, response=answer)
    tasks = [_listed(record, service, number) for number, record in enumerate(listed.items or ())]
    return Page(items=tuple(tasks), cursor=listed.cursor or None, raw=answer.body)


def attempts(known: Iterable[Attempt], siblings: Response, *, current: str | None) -> tuple[Attempt, ...]:
    """Return every attempt by placement: the *current* turn's of *known*, and the siblings with their outcomes.

    The service may list the current turn among its siblings; it is counted once.

    See docs/reference/protocols/codex-wham.md, "2.4 GET /wham/tasks/{task_id}/turns/{turn_id}/sibling_turns".
    """
    own = [attempt for attempt in known if attempt.id == current or (current is None and attempt.outcome)]
    answered = read_json(siblings.body, wire.Siblings, response=siblings).sibling_turns or ()
    turns = [turn for turn in answered if turn.id and (turn.id != current or not own)]
    taken = {attempt.placement for attempt in own} | {turn.attempt_placement for turn in turns}
    free = (number for number in count() if number not in taken)
    placed = ((turn, next(free) if turn.attempt_placement is None else turn.attempt_placement) for turn in turns)
    others = (
        _attempt(turn, outcome(turn), placement=placement, raw_state=turn.turn_status) for turn, placement in placed
    )
    return tuple(sorted((*own, *others), key=lambda attempt: attempt.placement))


def current_turn(body: bytes) -> str | None:
    """Return the id of the turn that a task's details call the current one, None where *body* has none."""
    try:
        turn = read_json(body, wire.CurrentTurn).current_assistant_turn
    except errors.UnreadableResponseError:
        return None
    return text(turn.id) if turn else None


def environments(known: Iterable[wire.Environment]) -> tuple[Environment, ...]:
    """Return environments (docs/reference/protocols/codex-wham.md, "2.5 Environments")."""
    return tuple(map(_environment, known))


# -- parts of a task ---------------------------------------------------------------------------------------------------


def _task(
    ref: TaskRef,
    record: wire.Record,
    display: wire.StatusDisplay,
    turn: wire.Turn,
    service: Service,
    *,
    user_turn: wire.Turn | None,
    turn_outcome: Outcome | None,
    raw: bytes,
) -> Task:
    """Return the task of details: what its record has, and what its turn adds."""
    task = _recorded(ref, record, display, service, is_review=flag(record.is_review))
    raw_state = task.raw_state or turn.turn_status
    attempt = _attempt(
        turn, turn_outcome, placement=turn.attempt_placement or 0, raw_state=turn.turn_status or raw_state
    )
    known = () if turn is NO_TURN else _with_siblings(attempt, turn)
    latest_event = fields(turn.latest_event)
    return msgspec.structs.replace(
        task,
        state=STATES.get(raw_state or "", TaskState.UNKNOWN),
        raw_state=raw_state,
        prompt=prompt(user_turn),
        environment=text(turn.environment_id) or task.environment,
        repository=_repository(turn.environment) if turn.environment else None,
        branch=text(turn.branch) or task.branch,
        started_at=attempt.created_at,
        # Details have no time of the last change; the last event has one.
        updated_at=task.updated_at or instant(latest_event.get("created")),
        model=attempt.model or (text(user_turn.user_model_slug) if user_turn else None),
        progress=text(latest_event.get("text")),
        stats=task.stats or (turn_outcome.stats if turn_outcome else None),
        attempts=known,
        attempt_total=max(task.attempt_total or 0, len(known)) or None,
        outcome=turn_outcome,
        error=turn_outcome.error if turn_outcome else None,
        raw=raw,
    )


def _recorded(
    ref: TaskRef, record: wire.Record, display: wire.StatusDisplay, service: Service, *, is_review: bool | None
) -> Task:
    """Return the task as its record in lists and details describes it. Lists have many: nothing is done in vain."""
    shown = display.latest_turn_status_display
    latest = shown if isinstance(shown, wire.TurnDisplay) else NO_LATEST
    # The turn's state, else the task's (docs/reference/protocols/codex-wham.md, "3 Status model").
    raw_state = latest.turn_status if isinstance(latest.turn_status, str) else text(display.state)
    intent = text(latest.intent) or text(display.initial_intent)
    task = Task(
        ref=ref,
        state=STATES.get(raw_state or "", TaskState.UNKNOWN),
        raw_state=raw_state,
        url=service.url_of(ref.id),
        title=text(record.title),
        mode=MODES.get(intent) if intent else None,
        environment=text(record.environment_id),
        environment_label=text(display.environment_label),
        branch=text(display.branch_name),
        created_at=instant(record.created_at),
        updated_at=instant(record.updated_at),
        attempt_total=len(siblings) + 1 if isinstance(siblings := latest.sibling_turn_ids, list) else None,
        is_archived=flag(record.archived),
        is_unread=flag(record.has_unread_turn),
        is_review=is_review,
    )
    has_more = (
        latest.diff_stats or record.denormalized_metadata or record.external_pull_requests or record.pull_requests
    )
    return _with_results(task, record, latest) if has_more else task


def _with_results(task: Task, record: wire.Record, latest: wire.TurnDisplay) -> Task:
    """Return *task* with what few records have."""
    return msgspec.structs.replace(
        task,
        stats=_stats(latest.diff_stats),
        pull_requests=_pull_requests(record),
        follow_ups=whole(fields(record.denormalized_metadata).get("num_follow_ups")),
    )


def _listed(record: wire.Record, service: Service, number: int) -> Task:
    if not record.id:
        raise _no_id(f"$.items[{number}].id")  # the path is composed only for the error
    # The list has no `is_review`: a task with pull requests is one (docs/reference/protocols/codex-wham.md, "3 Status
    # model").
    is_review = isinstance(record.pull_requests, list) and bool(record.pull_requests)
    display = record.task_status_display or NO_DISPLAY
    return _recorded(service.ref(record.id), record, display, service, is_review=is_review)


def _bare_task(answer: Response, service: Service) -> Task:
    answer_fields = read_json(answer.body, dict[str, object], response=answer)
    id = _required_id(text(fields(answer_fields.get("task")).get("id")) or text(answer_fields.get("id")))
    return Task(ref=service.ref(id), state=TaskState.UNKNOWN, url=service.url_of(id), raw=answer.body)


def _required_id(id: str | None, *, at: str = "$.task.id") -> str:
    if not id:
        raise _no_id(at)
    return id


def _no_id(at: str) -> errors.UnreadableResponseError:
    return errors.UnreadableResponseError(f"the service's answer is not what it documents at {at}: no id", path=at)


def _stats(shown: object) -> DiffStats | None:
    counts = fields(shown)
    return stats(counts.get("files_modified"), counts.get("lines_added"), counts.get("lines_removed"))


def _repository(place: wire.Place | None) -> str | None:
    names = [text(repository.repository_full_name) for repository in ((place and place.repo_map) or {}).values()]
    return names[0] if len(names) == 1 else None


def _pull_requests(record: wire.Record) -> tuple[PullRequest, ...]:
    values = (*items(record.external_pull_requests), *items(record.pull_requests))
    return tuple(filter(None, map(pull_request, values)))


# -- attempts and outcomes ---------------------------------------------------------------------------------------------


def _with_siblings(own: Attempt, turn: wire.Turn) -> tuple[Attempt, ...]:
    """Return the attempts that a turn names: its own, and its siblings numbered in the order given.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}".
    """
    if not turn.sibling_turn_ids:
        return (own,)
    free = (number for number in count() if number != own.placement)
    siblings = dict.fromkeys(id for id in turn.sibling_turn_ids if id != turn.id)
    others = (Attempt(id=id, placement=next(free), state=TaskState.UNKNOWN) for id in siblings)
    return tuple(sorted((own, *others), key=lambda attempt: attempt.placement))


def _attempt(turn: wire.Turn, outcome_of_turn: Outcome | None, *, placement: int, raw_state: str | None) -> Attempt:
    return Attempt(
        id=turn.id or "",
        placement=placement,
        state=STATES.get(raw_state or "", TaskState.UNKNOWN),
        raw_state=raw_state,
        outcome=outcome_of_turn,
        created_at=instant(turn.created_at),
        model=text(turn.model_version),
    )


def _outcome_of(details: wire.Details, record: wire.Record, answer: Response) -> Outcome | None:
    turn, shown = details.current_assistant_turn, details.current_diff_task_turn
    existing = _existing_pull_request(record, turn)
    if turn is not None and _repeats(shown, turn):
        turn_outcome = outcome(turn, pull_request=existing)
        if turn_outcome.patch is not None or shown is None:
            return turn_outcome
    diff_turn = None
    if shown is not None:
        diff_turn = read_json(answer.body, wire.DiffTurn, response=answer).current_diff_task_turn
    if turn is None and diff_turn is None:
        return None
    return outcome(turn or NO_TURN, diff_turn=diff_turn, pull_request=existing)


def _repeats(shown: wire.Identified | wire.NoObject, turn: wire.Turn) -> bool:
    """Whether the diff turn is the assistant's once more, or none: two megabytes that need not be read twice.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}".
    """
    if shown is None:
        return True
    return isinstance(shown, wire.Identified) and turn.id is not None and shown.id == turn.id


def _existing_pull_request(record: wire.Record, turn: wire.Turn | None) -> PullRequest | None:
    """Return the pull request of *turn*; each names the assistant's turn.

    See docs/reference/protocols/codex-wham.md, "2.1 GET /wham/tasks/list".
    """
    if not record.external_pull_requests:
        return None
    wanted = (None, turn.id if turn else None)
    external = map(fields, items(record.external_pull_requests))
    pull_requests = (pull_request(existing) for existing in external if existing.get("assistant_turn_id") in wanted)
    return next(filter(None, pull_requests), None)


def _environment(environment: wire.Environment) -> Environment:
    repositories = list((environment.repo_map or {}).values())
    branches = {branch for repository in repositories if (branch := text(repository.default_branch))}
    return Environment(
        id=environment.id,
        label=environment.label or None,
        repositories=tuple(filter(None, (text(repository.repository_full_name) for repository in repositories))),
        default_branch=branches.pop() if len(branches) == 1 else None,
        is_pinned=bool(environment.is_pinned),
        task_count=None if environment.task_count is None else int(environment.task_count),
    )
