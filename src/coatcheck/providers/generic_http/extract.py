"""What a described service's answers mean. Pure.

Invariants:

- The state is the first of these that is present: a state, an error, a `done`, the status of the response.
- A state that the description does not name is UNKNOWN; an answer that a redirect led to, and that says no known word,
  is the result itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...provider import (
    STATUSES,
    Failure,
    Message,
    Outcome,
    Page,
    Patch,
    PatchState,
    PullRequest,
    Task,
    TaskState,
    detail_of,
    errors,
    instant,
    items,
    read_json,
    retry_after,
)
from .json_selectors import Answer
from .task_urls import Addresses

if TYPE_CHECKING:
    from ...provider import Response
    from .description import Description

# What a service without any id answered at once has this in place of one.
NO_ID = "-"
# These mean that our request failed, not the task; any other 4xx for the result is the task's failure.
OUR_FAULT = frozenset(STATUSES) - {400, 409, 422} | {408, 410, 425}

State = tuple[TaskState, str | None]


def read(response: Response, *, requested: str = "", is_lenient: bool = False) -> Answer:
    """Return a decoded response of any status; *requested* is the URL of the request.

    Raises `UnreadableResponseError` for what claims to be JSON and is none, and for web pages; with *is_lenient* such
    an answer is only its headers.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = bool(response.body) and (not kind or "json" in kind or "html" in kind)
    document: object = None
    if is_json:
        try:
            document = read_json(response.body, object, response=response)
        except errors.UnreadableResponseError:
            if not is_lenient:
                raise
    return Answer(
        status=response.status,
        headers=response.headers,
        document=document,
        text=response.body.decode("utf-8-sig", "replace"),
        is_elsewhere=is_elsewhere(response, requested),
    )


def is_elsewhere(response: Response, requested: str) -> bool:
    """Whether a redirect led from the URL that was *requested* to this answer."""
    return bool(requested and response.url) and response.url.partition("?")[0] != requested.partition("?")[0]


# -- states ------------------------------------------------------------------------------------------------------------


def state_of(answer: Answer, described: Description) -> State:
    """Return the state in *answer*, with the service's own word."""
    for reader in READERS:
        if (state := reader(answer, described)) is not None:
            return state
    return TaskState.UNKNOWN, None


def _by_word(answer: Answer, described: Description) -> State | None:
    word = described.state_places.word(answer)
    if word is None:
        return None
    state = described.state_of(word)
    is_result = answer.is_elsewhere and state is TaskState.UNKNOWN
    return (TaskState.SUCCEEDED, None) if is_result else (state, word)


def _by_error(answer: Answer, described: Description) -> State | None:
    if described.task.done and described.task.done.find(answer) is not True:
        return None
    code = described.task.error_code.word(answer)
    if code is None and described.task.error.text(answer) is None:
        return None
    known = described.state_of(code) if code else TaskState.UNKNOWN
    return (known if known.is_terminal else TaskState.FAILED), code


def _by_done(answer: Answer, described: Description) -> State | None:
    if not described.task.done:
        return None
    is_done = described.task.done.find(answer) is True
    return (TaskState.SUCCEEDED if is_done else TaskState.RUNNING), None


def _by_status(answer: Answer, described: Description) -> State | None:
    if answer.status in (202, 303):  # 303 means that what was made is elsewhere (RFC 9110, section 15.4.4)
        return TaskState.RUNNING, None
    is_result = described.answers_with_result or answer.is_elsewhere
    return (TaskState.SUCCEEDED, None) if is_result else None


READERS = (_by_word, _by_error, _by_done, _by_status)


# -- tasks -------------------------------------------------------------------------------------------------------------


def task(answer: Answer, described: Description, addresses: Addresses, *, native: str, raw: bytes = b"") -> Task:
    """Return the task *native* from *answer*, without its outcome."""
    state, word = state_of(answer, described)
    at = described.task
    return Task(
        ref=addresses.ref(native),
        state=state,
        raw_state=word,
        url=at.url.text(answer),
        title=at.title.text(answer),
        prompt=at.prompt.text(answer),
        environment=at.environment.text(answer),
        repository=at.repository.text(answer),
        branch=at.branch.text(answer),
        model=at.model.text(answer),
        progress=at.progress.text(answer),
        created_at=instant(at.created_at.find(answer)),
        updated_at=instant(at.updated_at.find(answer)),
        error=failure(answer, described) if state in _WITHOUT_SUCCESS else None,
        retry_after=None if state.is_terminal else retry_after(answer.headers),
        raw=raw,
    )


_WITHOUT_SUCCESS = frozenset({TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED})


def failure(answer: Answer, described: Description) -> Failure:
    """Return the service's error message."""
    return Failure(code=described.task.error_code.word(answer), message=described.task.error.text(answer))


def refused_result(response: Response, ended: Task) -> Task:
    """Return the task whose result is a refusal: failures are kept where the result would be.

    See docs/reference/protocols/services.md, "6 Standards".
    """
    why = Failure(code=str(response.status), message=detail_of(response))
    return msgspec.structs.replace(ended, state=TaskState.FAILED, error=why, outcome=Outcome(error=why))


def with_outcome(parsed: Task, answer: Answer, described: Description) -> Task:
    """Return an ended task with the outcome in *answer*; any other unchanged."""
    if not parsed.state.is_terminal:
        return parsed
    return msgspec.structs.replace(parsed, outcome=outcome(answer, described, error=parsed.error))


def outcome(answer: Answer, described: Description, *, error: Failure | None = None) -> Outcome:
    """Return the outcome."""
    at = described.result
    message, diff = at.message.text(answer), at.patch.text(answer)
    return Outcome(
        messages=(Message(text=message),) if message else (),
        patch=Patch(diff.encode()) if diff else None,
        patch_state=PatchState.PRESENT if diff else PatchState.NONE,
        base_commit=at.base_commit.text(answer),
        pull_request=_pull_request(answer, described),
        error=error,
    )


def _pull_request(answer: Answer, described: Description) -> PullRequest | None:
    at = described.result
    url, title, body = (place.text(answer) for place in (at.pull_request, at.pull_request_title, at.pull_request_body))
    return PullRequest(url=url, title=title, body=body) if url or title or body else None


def native_id(answer: Answer, described: Description, *, is_new: bool = False) -> str | None:
    """Return the id that an answer names; the answer to a submission (*is_new*) may have another place for it."""
    own, usual = described.submit.id.word(answer), described.task.id.word(answer)
    return (own or usual) if is_new else (usual or own)


def page(answer: Answer, described: Description, addresses: Addresses) -> Page:
    """Return one page of the list; items without an id are left out. Raises `UnreadableResponseError` for no list."""
    listing = described.list
    parsed = listing.items.find(answer) if listing else None
    if parsed is not None and not isinstance(parsed, list):
        raise errors.UnreadableResponseError("the service's list is none", path="$", status=answer.status)
    tasks = []
    for each in items(parsed):
        part = answer.inside(each)
        if (native := native_id(part, described)) is not None:
            tasks.append(task(part, described, addresses, native=native))
    return Page(items=tuple(tasks), cursor=listing.cursor.word(answer) if listing else None)
