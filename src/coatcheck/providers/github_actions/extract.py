"""From GitHub's answers about runs to our words. Pure: answers in, values out; nothing here asks the network.

Invariants:

- Every answer gives a value or `UnreadableResponseError` with the JSON path of what is wrong.
- Only a run that is completed has a conclusion, and then its word is the state's.
- A state's native word is kept; a word that the tables lack is UNKNOWN, which never ends a task.

Sections are those of docs/reference/protocols/services.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from ...provider import (
    Environment,
    Notice,
    Outcome,
    Page,
    PatchState,
    Response,
    Task,
    TaskState,
    errors,
    instant,
    read_json,
    text,
    whole,
)
from .._github.http import limit_of, next_page, pause_asked
from .._github.repository_requests import stats_of
from . import job_progress, wire
from .result_artifact import Result
from .workflow_settings import Run, Service, Workflow

# Every word of services.md 1.3, read as section 9 has it.
STATUSES: Mapping[str, TaskState] = {
    "requested": TaskState.QUEUED,
    "queued": TaskState.QUEUED,
    "pending": TaskState.QUEUED,
    "waiting": TaskState.INPUT_REQUIRED,
    "in_progress": TaskState.RUNNING,
    "completed": TaskState.UNKNOWN,  # without a conclusion, which is not documented
}
CONCLUSIONS: Mapping[str, TaskState] = {
    "success": TaskState.SUCCEEDED,
    "neutral": TaskState.SUCCEEDED,
    "skipped": TaskState.SUCCEEDED,
    "failure": TaskState.FAILED,
    "startup_failure": TaskState.FAILED,
    "stale": TaskState.FAILED,
    "cancelled": TaskState.CANCELLED,
    "timed_out": TaskState.EXPIRED,
    "action_required": TaskState.INPUT_REQUIRED,
}
COMPLETED = "completed"
# A task's key stands in the run's name like this (services.md 1.2).
_KEY = re.compile(r"\s*\[([^\[\]]+)\]\s*$")


def run(answer: Response) -> wire.Run:
    """Return the run that *answer* holds."""
    return read_json(answer.body, wire.Run, response=answer)


def word_of(found: wire.Run) -> str | None:
    """Return the word that says how a run is."""
    return found.conclusion if found.status == COMPLETED and found.conclusion else found.status


def state_of(found: wire.Run) -> TaskState:
    """Return the state of a run."""
    known = CONCLUSIONS if found.status == COMPLETED and found.conclusion else STATUSES
    return known.get(word_of(found) or "", TaskState.UNKNOWN)


def attempt_of(found: wire.Run) -> int:
    """Return which time this is that the run runs, from 1."""
    return max(1, whole(found.run_attempt) or 1)


def key_of(found: wire.Run) -> str | None:
    """Return the task's key in the run's name, None for a run that coatcheck did not start."""
    title = _KEY.search(text(found.display_title) or "")
    return title[1] if title else None


def task(found: wire.Run, service: Service, *, made: Result | None = None, raw: bytes = b"") -> Task:
    """Return the task that a run is; *made* is its result, None where it was not requested.

    Raises `UnreadableResponseError` for a run of no repository.
    """
    where, state = _where(found, service), state_of(found)
    outcome = None if made is None else _outcome(made)
    return Task(
        ref=service.ref(where.repository, where.id),
        state=state,
        raw_state=word_of(found),
        url=text(found.html_url) or service.url_of(where),
        title=_KEY.sub("", text(found.display_title) or "") or text(found.name),
        prompt=made.prompt if made else None,
        mode="code",
        environment=_environment(found, where),
        repository=where.repository,
        branch=text(found.head_branch),
        created_at=instant(found.created_at),
        updated_at=instant(found.updated_at),
        started_at=instant(found.run_started_at),
        model=made.model if made else None,
        stats=outcome.stats if outcome else None,
        outcome=outcome,
        error=outcome.error if outcome else None,
        notices=(*_revived(found), *(_notices(made, state) if made else ())),
        pull_requests=(outcome.pull_request,) if outcome and outcome.pull_request else (),
        raw=raw,
    )


def looked(task: Task, answer: Response) -> Task:
    """Return *task* with what its answer says about limits."""
    return msgspec.structs.replace(task, rate_limit=limit_of(answer), retry_after=pause_asked(answer))


def task_from(answer: Response, service: Service, *, jobs: Response | None = None) -> Task:
    """Return the task of a saved or live answer; *jobs* is the saved page of its jobs, where that was saved too."""
    found = run(answer)
    told = () if jobs is None else read_json(jobs.body, wire.JobPage, response=jobs).jobs
    made = with_failure(Result(), found, told) if jobs is not None and state_of(found).is_terminal else None
    return task(found, service, made=made, raw=answer.body)


def with_failure(result: Result, found: wire.Run, jobs: Sequence[wire.Job]) -> Result:
    """Return a result with why the run failed, where it did and does not say so itself."""
    if state_of(found) is TaskState.SUCCEEDED or result.error is not None:
        return result
    return msgspec.structs.replace(result, error=job_progress.failure(jobs, found.conclusion))


def page(answer: Response, service: Service) -> Page:
    """Return a page of runs. Its tasks have no `raw` of their own; the page has."""
    run_page = read_json(answer.body, wire.RunPage, response=answer)
    tasks = tuple(task(each, service) for each in run_page.workflow_runs)
    return Page(items=tasks, cursor=next_page(answer), raw=answer.body)


def environment(workflow: wire.Workflow, repository: str, *, default_branch: str | None = None) -> Environment | None:
    """Return a workflow as an environment, None for one that cannot run."""
    file = (workflow.path or "").rpartition("/")[2] or str(workflow.id)
    if text(workflow.state) not in (None, "active"):
        return None
    label = f"{repository}: {text(workflow.name) or file}"
    where = str(Workflow(repository, file))
    return Environment(id=where, label=label, repositories=(repository,), default_branch=default_branch)


def artifact(artifacts: Sequence[wire.Artifact]) -> wire.Artifact | None:
    """Return the newest artifact: each attempt of a run leaves one."""
    return max(artifacts, key=lambda each: (text(each.created_at) or "", each.id), default=None)


# -- parts of a task ---------------------------------------------------------------------------------------------------

_OF_REPOSITORY = re.compile(r"://[^/]+/(?:api/v3/)?(?:repos/)?([\w.-]+/[\w.-]+)/actions/runs/")


def _where(found: wire.Run, service: Service) -> Run:
    """Return where a run is: what it says itself, or one of its addresses."""
    named = found.repository.full_name if found.repository else None
    address = next(
        filter(None, (_OF_REPOSITORY.search(text(each) or "") for each in (found.url, found.html_url))), None
    )
    repository = named if named and named.count("/") == 1 else address[1] if address else service.repository
    if repository is None:
        reason = "the service's answer is not what it documents at $.repository.full_name: no repository"
        raise errors.UnreadableResponseError(reason, path="$.repository.full_name")
    return Run(repository, str(found.id))


def _environment(found: wire.Run, where: Run) -> str | None:
    """Return the workflow's name as `TaskSpec.environment` has it; the path may end in ``@REF``."""
    file = (text(found.path) or "").partition("@")[0].rpartition("/")[2]
    return str(Workflow(where.repository, file)) if file else None


def _revived(found: wire.Run) -> tuple[Notice, ...]:
    """Return the notice of a run that was started again: it has the same id, and had ended (services.md 1.1)."""
    number = attempt_of(found)
    if number == 1:
        return ()
    began: datetime | None = instant(found.run_started_at)
    when = f", since {began:%Y-%m-%d %H:%M} UTC" if began else ""
    return (Notice(kind="revived", text=f"it was started again after its end: this is attempt {number}{when}"),)


def _notices(result: Result, state: TaskState) -> tuple[Notice, ...]:
    is_nothing = state is TaskState.SUCCEEDED and not result.notices and _outcome(result).is_empty
    nothing = Notice(kind="nothing_made", text="it completed and made nothing: no message, no patch, no pull request")
    return (*result.notices, nothing) if is_nothing else result.notices


def _outcome(result: Result) -> Outcome:
    return Outcome(
        messages=result.messages,
        patch=result.patch,
        patch_state=PatchState.PRESENT if result.patch else PatchState.NONE,
        base_commit=result.base_commit,
        stats=stats_of(result.patch),
        pull_request=result.pull_request,
        error=result.error,
    )
