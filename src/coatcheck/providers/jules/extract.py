"""Convert Jules' responses to coatcheck's values. Pure: no I/O.

Invariants:

- Every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong.
- A session's own state is half of the truth; where it has stopped, the activities are the other half
  (docs/reference/protocols/jules.md, "3.1 Decision table for a client").
- A state's native word is kept; a word that `STATES` lacks is UNKNOWN, which never ends a task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...provider import (
    Environment,
    Failure,
    FileSnapshot,
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
    errors,
    flag,
    instant,
    read_json,
    text,
)
from . import wire
from .activities import read_page
from .endpoints import Service
from .session_summary import NOTHING, SessionSummary, summarize

if TYPE_CHECKING:
    from ...provider import FileChange

# Every state of docs/reference/protocols/jules.md, "2.3 SessionState"; PLANNING is called deprecated and still occurs.
STATES: Mapping[str, TaskState] = {
    "STATE_UNSPECIFIED": TaskState.UNKNOWN,
    "QUEUED": TaskState.QUEUED,
    "PLANNING": TaskState.RUNNING,
    "AWAITING_PLAN_APPROVAL": TaskState.INPUT_REQUIRED,
    "AWAITING_USER_FEEDBACK": TaskState.INPUT_REQUIRED,
    "IN_PROGRESS": TaskState.RUNNING,
    "PAUSED": TaskState.PAUSED,
    "FAILED": TaskState.FAILED,
    "COMPLETED": TaskState.SUCCEEDED,
}

NO_OUTCOME = Notice(kind="nothing_made", text="it completed and made nothing: no output, no change, no end of its own")
NO_CONTEXT = wire.SourceContext()


def session(answer: Response) -> wire.Session:
    """Return the session that *answer* holds."""
    return read_json(answer.body, wire.Session, response=answer)


def needs_activities(wire_session: wire.Session) -> bool:
    """Whether the state alone does not determine the result of *wire_session*.

    See docs/reference/protocols/jules.md, "3.1 Decision table for a client".
    """
    return STATES.get(wire_session.state or "", TaskState.UNKNOWN).ends_wait


def task(
    wire_session: wire.Session, service: Service, *, summary: SessionSummary | None = None, raw: bytes = b""
) -> Task:
    """Return the task that a session is; *summary* is the summary of its activities, None where they were not requested.

    Raises `UnreadableResponseError` for a session without an id.
    """
    ref, context = service.ref(_id(wire_session)), wire_session.source_context or NO_CONTEXT
    known, result = summary or NOTHING, _outcome(wire_session, summary or NOTHING)
    state = _state(wire_session, known)
    return Task(
        ref=ref,
        state=state,
        raw_state=wire_session.state,
        url=text(wire_session.url) or service.url_of(ref.id),
        title=text(wire_session.title),
        prompt=wire_session.prompt,
        mode="code",
        environment=context.source,
        branch=context.github_repo_context.starting_branch if context.github_repo_context else None,
        created_at=instant(wire_session.create_time),
        updated_at=instant(wire_session.update_time),
        progress=known.progress,
        stats=result.stats,
        outcome=result if state.ends_wait or not result.is_empty else None,
        error=result.error,
        plan=known.plan,
        notices=_notices(wire_session, state, known, result) if summary else (),
        pull_requests=(result.pull_request,) if result.pull_request else (),
        is_archived=bool(flag(wire_session.archived)),
        raw=raw,
    )


def task_from(answer: Response, service: Service, *, activities: Response | None = None) -> Task:
    """Return the task of a saved or live answer; *activities* is the saved list of what happened."""
    summary = None if activities is None else summarize(read_page(activities)[0])
    return task(session(answer), service, summary=summary, raw=answer.body)


def page(answer: Response, service: Service) -> Page:
    """Return a page of the list. Its tasks have no `raw`; the page has."""
    session_page = read_json(answer.body, wire.SessionPage, response=answer)
    tasks = tuple(task(each, service) for each in session_page.sessions or ())
    return Page(items=tasks, cursor=session_page.next_page_token or None, raw=answer.body)


def sources(answer: Response) -> tuple[tuple[Environment, ...], str | None]:
    """Return a page of sources as environments, and the token of the next page."""
    source_page = read_json(answer.body, wire.SourcePage, response=answer)
    return tuple(map(environment, source_page.sources or ())), source_page.next_page_token or None


def environment(source: wire.Source) -> Environment:
    """Return a source as an environment. Raises `UnreadableResponseError` for one without a name."""
    if not source.name:
        raise errors.UnreadableResponseError("the service's answer is a source without a name", path="$.name")
    repo = source.github_repo
    repository = f"{repo.owner}/{repo.repo}" if repo and repo.owner and repo.repo else None
    branch = text(repo.default_branch.display_name) if repo and repo.default_branch else None
    return Environment(
        id=source.name,
        label=repository or text(source.id),
        repositories=(repository,) if repository else (),
        default_branch=branch,
    )


# -- parts of a task ---------------------------------------------------------------------------------------------------


def _id(wire_session: wire.Session) -> str:
    id = wire_session.id or (wire_session.name or "").rpartition("/")[2]
    if not id:
        raise errors.UnreadableResponseError(
            "the service's answer is not what it documents at $.id: no id", path="$.id"
        )
    return id


def _state(wire_session: wire.Session, summary: SessionSummary) -> TaskState:
    """Return the state; a session that completed with nothing but a plan still waits for its approval.

    See docs/reference/protocols/jules.md, "2.3 SessionState".
    """
    state = STATES.get(wire_session.state or "", TaskState.UNKNOWN)
    if state is TaskState.SUCCEEDED and summary.has_open_plan and not _artifacts_of(wire_session):
        return TaskState.INPUT_REQUIRED
    return state


def _artifacts_of(wire_session: wire.Session) -> list[wire.Output]:
    return [output for output in wire_session.outputs or () if output.change_set or output.pull_request]


def _notices(
    wire_session: wire.Session, state: TaskState, summary: SessionSummary, outcome: Outcome
) -> tuple[Notice, ...]:
    notices = []
    if summary.revived_at is not None:
        notices.append(_revived(summary))
    if state is TaskState.SUCCEEDED and not (_artifacts_of(wire_session) or outcome.patch or summary.has_completed):
        notices.append(NO_OUTCOME)
    return tuple(notices)


def _revived(summary: SessionSummary) -> Notice:
    when = f"{summary.revived_at:%Y-%m-%d %H:%M} UTC"
    text = f"it went on after its end ({when}); it then re-applies its change over whatever was merged since"
    return Notice(kind="revived", text=text)


# -- outcomes ----------------------------------------------------------------------------------------------------------


def _outcome(wire_session: wire.Session, summary: SessionSummary) -> Outcome:
    change = _change(wire_session, summary)
    diff = change.unidiff_patch if change else None
    patch = Patch(diff.encode()) if diff else None
    commit_message = text(change.suggested_commit_message) if change else None
    return Outcome(
        messages=summary.messages,
        patch=patch,
        patch_state=PatchState.PRESENT if patch else PatchState.NONE,
        base_commit=text(change.base_commit_id) if change else None,
        stats=count_diff(patch),
        pull_request=_pull_request(wire_session, commit_message),
        files=new_files(patch) if patch else (),
        error=_failure(wire_session, summary),
    )


def _change(wire_session: wire.Session, summary: SessionSummary) -> wire.GitPatch | None:
    """Return the output's change, else the last that an activity showed: outputs are frequently empty.

    See docs/reference/protocols/jules.md, "2.5 outputs".
    """
    patches = [output.change_set.git_patch for output in _artifacts_of(wire_session) if output.change_set]
    with_diff = [patch for patch in patches if patch and patch.unidiff_patch]
    return with_diff[-1] if with_diff else summary.change


def _pull_request(wire_session: wire.Session, commit_message: str | None) -> PullRequest | None:
    """Return the pull request; the service reports its number only in its URL.

    See docs/reference/protocols/jules.md, "2.5 outputs".
    """
    opened = next((output.pull_request for output in _artifacts_of(wire_session) if output.pull_request), None)
    if opened is None:
        return None
    number = re.search(r"/pull/(\d+)", opened.url or "")
    return PullRequest(
        title=text(opened.title),
        body=text(opened.description),
        branch=text(opened.head_ref),
        base=text(opened.base_ref),
        number=int(number[1]) if number else None,
        url=opened.url,
        commit_message=commit_message,
    )


def _failure(wire_session: wire.Session, summary: SessionSummary) -> Failure | None:
    """Return why it failed: the agent's last message, since the reason is nearly always the same text.

    See docs/reference/protocols/jules.md, "2.4 Activity".
    """
    if STATES.get(wire_session.state or "") is not TaskState.FAILED:
        return None
    last = summary.messages[-1].text if summary.messages else None
    return Failure(message=": ".join(filter(None, (summary.reason, last))) or None)


def new_files(patch: Patch) -> tuple[FileSnapshot, ...]:
    """Return the files that *patch* makes, whole: there is no file endpoint, and only new files are in a diff.

    A diff that cannot be read has none; `Patch.verify` raises its error.

    See docs/reference/protocols/jules.md, "2.5 outputs".
    """
    try:
        result = [change for change in patch.files if change.status.value == "added" and not change.is_binary]
        return tuple(map(_new_file, result))
    except errors.PatchError:
        return ()


def _new_file(change: FileChange) -> FileSnapshot:
    from ...provider import language_of  # a table of 700 languages, for answers with files only

    content = _added(change)
    language = language_of(change.path, content)
    return FileSnapshot(path=change.path, content=content, is_whole=True, language=language.name if language else None)


def _added(change: FileChange) -> str:
    lines = (line.content for hunk in change.hunks for line in hunk.lines if line.sign == "+")
    return b"".join(lines).decode("utf-8", "replace")
