"""Convert Cursor's responses to coatcheck's values. Pure: no I/O.

Invariants:

- Every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong.
- The state of a task is that of its latest run: an agent has none (docs/reference/protocols/cursor.md, "4 States").
- A state's native word is kept; a word that `STATES` lacks is UNKNOWN, which never ends a task.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ...provider import (
    Environment,
    Failure,
    FileSnapshot,
    Message,
    Model,
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
    fields,
    instant,
    items,
    number,
    read_json,
    repository_named,
    text,
    whole,
)
from . import wire
from .endpoints import Service

if TYPE_CHECKING:
    from ...provider import TaskSpec

# Every state of docs/reference/protocols/cursor.md, "4 States".
STATES: Mapping[str, TaskState] = {
    "CREATING": TaskState.QUEUED,
    "RUNNING": TaskState.RUNNING,
    "FINISHED": TaskState.SUCCEEDED,
    "ERROR": TaskState.FAILED,
    "CANCELLED": TaskState.CANCELLED,
    "EXPIRED": TaskState.EXPIRED,
}
ARCHIVED = "ARCHIVED"
NO_RUN = wire.Run()
FIRST_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What was requested of an ended task beside its run: its diff, files, usage.

    *has_read_diff* is False where the diff stays on the code host: it was not requested, or the host refuses it.
    """

    patch: Patch | None = None
    has_read_diff: bool = False
    files: tuple[FileSnapshot, ...] = ()
    notices: tuple[Notice, ...] = ()


NO_RESULT = Result()


def state_of(run: wire.Run | None) -> TaskState:
    """Return the state of a run."""
    return STATES.get((run or NO_RUN).status or "", TaskState.UNKNOWN)


def document(agent: bytes, run: bytes | None) -> bytes:
    """Return an agent and its run as one document, in the form of the response to a create."""
    parts = (body.removeprefix(BOM_UTF8) for body in (agent, b"null" if run is None else run))
    return b'{"agent":%b,"run":%b}' % tuple(parts)


def read_document(body: bytes, response: Response | None = None) -> wire.Document:
    """Return the agent and the run in *body*."""
    return read_json(body, wire.Document, response=response)


def task(
    agent: wire.Agent | None,
    run: wire.Run | None,
    service: Service,
    *,
    id: str = "",
    result: Result = NO_RESULT,
    raw: bytes = b"",
) -> Task:
    """Return the task that an agent and its latest run are; *agent* is None, and *id* its id, where only runs were requested."""
    id, shown = id or _id(agent), agent or wire.Agent()
    known, state = run or NO_RUN, state_of(run)
    repository = _repository(shown)
    outcome = _outcome(shown, known, result)
    return Task(
        ref=service.ref(id),
        state=state,
        raw_state=known.status or shown.status,
        url=text(shown.url) or service.url_of(id),
        title=text(shown.name),
        mode="code",
        environment=repository.url if repository else None,
        repository=repository_named(repository.url) if repository and repository.url else None,
        branch=repository.starting_ref if repository else None,
        created_at=instant(shown.created_at) or instant(known.created_at),
        started_at=instant(known.created_at),
        updated_at=instant(known.updated_at) or instant(shown.updated_at),
        stats=outcome.stats,
        outcome=outcome if state.ends_wait or not outcome.is_empty else None,
        error=outcome.error,
        notices=result.notices,
        pull_requests=tuple(pull_request(each, shown) for each in _pulls(known)),
        is_archived=None if agent is None else agent.status == ARCHIVED,
        raw=raw,
    )


def submitted(created: Task, spec: TaskSpec) -> Task:
    """Return a task that was just created, with what the service does not return."""
    return msgspec.structs.replace(
        created,
        prompt=spec.prompt,
        title=created.title or spec.title,
        environment=created.environment or spec.environment,
        repository=created.repository or spec.repository,
        branch=created.branch or spec.branch,
        model=spec.model,
    )


def page(answer: Response, service: Service) -> Page:
    """Return a page of the list: agents, whose runs the service does not show there."""
    agents = read_json(answer.body, wire.AgentPage, response=answer)
    tasks = tuple(task(agent, None, service) for agent in agents.items or ())
    return Page(items=tasks, cursor=agents.next_cursor or None, raw=answer.body)


def models(answer: Response) -> tuple[Model, ...]:
    """Return the models of a response; one without an id is left out."""
    listed = read_json(answer.body, wire.ModelPage, response=answer).items or ()
    return tuple(_model(each.id, each) for each in listed if each.id)


def environments(answer: Response) -> tuple[Environment, ...]:
    """Return the repositories of a response as environments."""
    listed = read_json(answer.body, wire.RepositoryPage, response=answer).items or ()
    return tuple(environment(each.url) for each in listed if each.url)


def environment(url: str) -> Environment:
    """Return a repository as an environment."""
    repository = repository_named(url)
    return Environment(id=url, label=repository, repositories=(repository,) if repository else ())


def usage_notice(answer: Response) -> Notice | None:
    """Return what an agent has used, None where the response does not contain it."""
    used = read_json(answer.body, wire.AgentUsage, response=answer)
    tokens = whole(used.total_usage.total_tokens) if used.total_usage else None
    cents = number(used.cost.charged_cents) if used.cost else None
    if tokens is None and cents is None:
        return None
    words = [f"{tokens:,} tokens" if tokens is not None else "", f"{cents / 100:.2f} USD" if cents is not None else ""]
    return Notice(
        kind="usage",
        text=f"it used {', '.join(filter(None, words))}",
        cost=None if cents is None else cents / 100,
    )


# -- parts of a task ---------------------------------------------------------------------------------------------------


def _id(agent: wire.Agent | None) -> str:
    if agent is None or not agent.id:
        path = "$.agent.id"
        raise errors.UnreadableResponseError(
            f"the service's response does not have the documented shape at {path}: no id", path=path
        )
    return agent.id


def _model(id: str, listed: wire.Model) -> Model:
    aliases = ", ".join(filter(None, map(text, items(listed.aliases))))
    name = text(listed.display_name)
    notes = "; ".join(filter(None, (name, aliases and f"also {aliases}")))
    return Model(id=id, notes=notes or None, source="GET /v1/models")


def _repository(agent: wire.Agent) -> wire.Repository | None:
    return agent.repos[0] if agent.repos else None


def _outcome(agent: wire.Agent, run: wire.Run, result: Result) -> Outcome:
    branch, repository = branch_of(run), _repository(agent)
    start = repository.starting_ref if repository else None
    is_elsewhere = branch is not None and not result.has_read_diff
    place = f"the branch {branch.branch or branch.pr_url} of {branch.repo_url}" if branch and is_elsewhere else None
    return Outcome(
        messages=(Message(text=run.result),) if run.result else (),
        patch=result.patch,
        patch_state=_patch_state(result.patch, is_elsewhere=is_elsewhere),
        external_file_id=place,
        base_commit=start if start and FIRST_COMMIT.fullmatch(start) else None,
        stats=count_diff(result.patch),
        pull_request=pull_request(branch, agent) if branch else None,
        files=result.files,
        error=_failure(run),
    )


def _patch_state(patch: Patch | None, *, is_elsewhere: bool) -> PatchState:
    if is_elsewhere:
        return PatchState.OFFLOADED
    return PatchState.PRESENT if patch else PatchState.NONE


def branch_of(run: wire.Run) -> wire.Branch | None:
    """Return the first branch that was pushed: that of the first repository of the agent."""
    pushed = [each for each in (run.git.branches if run.git else None) or () if each.branch or each.pr_url]
    return pushed[0] if pushed else None


def _pulls(run: wire.Run) -> list[wire.Branch]:
    return [each for each in (run.git.branches if run.git else None) or () if each.pr_url]


def pull_number(branch: wire.Branch) -> int | None:
    """Return the number of the pull request of a branch, which is in its URL only."""
    found = re.search(r"/(?:pull|merge_requests)/(\d{1,9})(?:[/?#]|$)", branch.pr_url or "")
    return int(found[1]) if found else None


def pull_request(branch: wire.Branch, agent: wire.Agent) -> PullRequest:
    """Return a branch with its pull request; its title is the name of the agent, as the service returns no other."""
    return PullRequest(title=text(agent.name), branch=branch.branch, url=branch.pr_url, number=pull_number(branch))


def _failure(run: wire.Run) -> Failure | None:
    """Return why a run failed: the error is in the types of the SDK only, and its form is not documented."""
    if state_of(run) not in (TaskState.FAILED, TaskState.EXPIRED):
        return None
    error = fields(run.error)
    message = text(error.get("message")) or text(run.error) or run.result
    return Failure(code=text(error.get("code")) or run.status, message=message)
