"""Convert GitHub's responses about runs to coatcheck's values. Pure: no I/O.

Invariants:

- Every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong.
- Only a run that is completed has a conclusion, and then its word is the state's.
- A state's native word is kept; a word that the tables lack is UNKNOWN, which never ends a task.
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
    count_diff,
    errors,
    instant,
    read_json,
    text,
    whole,
)
from .._github.http import limit_of, next_page, requested_pause
from . import job_progress, wire
from .result_artifact import Result
from .workflow_settings import Run, Service, Workflow

# Every state of docs/reference/protocols/services.md, "1.3 States", read as section 9 has it.
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
# A task's key stands in the run's name like this (docs/reference/protocols/services.md, "1.2 The id of a dispatched
# run").
_KEY = re.compile(r"\s*\[([^\[\]]+)\]\s*$")


def run(answer: Response) -> wire.Run:
    """Return the run that *answer* holds."""
    return read_json(answer.body, wire.Run, response=answer)


def word_of(workflow_run: wire.Run) -> str | None:
    """Return the native state of a run."""
    return (
        workflow_run.conclusion if workflow_run.status == COMPLETED and workflow_run.conclusion else workflow_run.status
    )


def state_of(workflow_run: wire.Run) -> TaskState:
    """Return the state of a run."""
    known = CONCLUSIONS if workflow_run.status == COMPLETED and workflow_run.conclusion else STATUSES
    return known.get(word_of(workflow_run) or "", TaskState.UNKNOWN)


def attempt_of(workflow_run: wire.Run) -> int:
    """Return which time this is that the run runs, from 1."""
    return max(1, whole(workflow_run.run_attempt) or 1)


def key_of(workflow_run: wire.Run) -> str | None:
    """Return the task's key in the run's name, None for a run that coatcheck did not start."""
    title = _KEY.search(text(workflow_run.display_title) or "")
    return title[1] if title else None


def task(workflow_run: wire.Run, service: Service, *, fetched: Result | None = None, raw: bytes = b"") -> Task:
    """Return the task that a run is; *fetched* is its result, None where it was not requested.

    Raises `UnreadableResponseError` for a run of no repository.
    """
    where, state = _where(workflow_run, service), state_of(workflow_run)
    outcome = None if fetched is None else _outcome(fetched)
    return Task(
        ref=service.ref(where.repository, where.id),
        state=state,
        raw_state=word_of(workflow_run),
        url=text(workflow_run.html_url) or service.url_of(where),
        title=_KEY.sub("", text(workflow_run.display_title) or "") or text(workflow_run.name),
        prompt=fetched.prompt if fetched else None,
        mode="code",
        environment=_environment(workflow_run, where),
        repository=where.repository,
        branch=text(workflow_run.head_branch),
        created_at=instant(workflow_run.created_at),
        updated_at=instant(workflow_run.updated_at),
        started_at=instant(workflow_run.run_started_at),
        model=fetched.model if fetched else None,
        stats=outcome.stats if outcome else None,
        outcome=outcome,
        error=outcome.error if outcome else None,
        notices=(*_revived(workflow_run), *(_notices(fetched, state) if fetched else ())),
        pull_requests=(outcome.pull_request,) if outcome and outcome.pull_request else (),
        raw=raw,
    )


def with_rate_limits(task: Task, answer: Response) -> Task:
    """Return *task* with the rate limits of its response."""
    return msgspec.structs.replace(task, rate_limit=limit_of(answer), retry_after=requested_pause(answer))


def task_from(answer: Response, service: Service, *, jobs: Response | None = None) -> Task:
    """Return the task of a saved or live answer; *jobs* is the saved page of its jobs, where that was saved too."""
    workflow_run = run(answer)
    job_list = () if jobs is None else read_json(jobs.body, wire.JobPage, response=jobs).jobs
    fetched = (
        with_failure(Result(), workflow_run, job_list)
        if jobs is not None and state_of(workflow_run).is_terminal
        else None
    )
    return task(workflow_run, service, fetched=fetched, raw=answer.body)


def with_failure(result: Result, workflow_run: wire.Run, jobs: Sequence[wire.Job]) -> Result:
    """Return a result with the reason of a failed run where the result has none."""
    if state_of(workflow_run) is TaskState.SUCCEEDED or result.error is not None:
        return result
    return msgspec.structs.replace(result, error=job_progress.failure(jobs, workflow_run.conclusion))


def page(answer: Response, service: Service) -> Page:
    """Return a page of runs. Its tasks have no `raw`; the page has."""
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


def _where(workflow_run: wire.Run, service: Service) -> Run:
    """Return the repository of a run: from its document, else from one of its URLs."""
    named = workflow_run.repository.full_name if workflow_run.repository else None
    address = next(
        filter(None, (_OF_REPOSITORY.search(text(each) or "") for each in (workflow_run.url, workflow_run.html_url))),
        None,
    )
    repository = named if named and named.count("/") == 1 else address[1] if address else service.repository
    if repository is None:
        reason = "the service's answer is not what it documents at $.repository.full_name: no repository"
        raise errors.UnreadableResponseError(reason, path="$.repository.full_name")
    return Run(repository, str(workflow_run.id))


def _environment(workflow_run: wire.Run, where: Run) -> str | None:
    """Return the workflow's name as `TaskSpec.environment` has it; the path may end in ``@REF``."""
    file = (text(workflow_run.path) or "").partition("@")[0].rpartition("/")[2]
    return str(Workflow(where.repository, file)) if file else None


def _revived(workflow_run: wire.Run) -> tuple[Notice, ...]:
    """Return the notice of a run that was started again: it has the same id, and had ended.

    See docs/reference/protocols/services.md, "1.1 Endpoints".
    """
    number = attempt_of(workflow_run)
    if number == 1:
        return ()
    began: datetime | None = instant(workflow_run.run_started_at)
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
        stats=count_diff(result.patch),
        pull_request=result.pull_request,
        error=result.error,
    )
