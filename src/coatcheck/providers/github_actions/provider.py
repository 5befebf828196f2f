"""The GitHub Actions provider: one exchange per verb (docs/reference/protocols/services.md, "1 GitHub Actions").

Invariants:

- `create_task` is one POST. Where the server does not return the run, it is found by the task's key in
  its name, and never guessed to be the newest (docs/reference/protocols/services.md, "1.2 The id of a dispatched run").
- `get_task` is one GET, answered for nothing while nothing changes (docs/reference/protocols/services.md, "1.4 Rate
  limits, conditional polling"); where the run has ended, what it left is
  fetched as well.
- Downloads are redirected to another host, which gets no credentials
  (docs/reference/protocols/services.md, "1.1 Endpoints").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec

from ...provider import (
    Emit,
    Exchange,
    Page,
    Pairs,
    ProviderSetting,
    Request,
    Response,
    StatusPage,
    Task,
    TaskEvent,
    TaskLog,
    TaskPage,
    TaskSnapshot,
    TaskState,
    check,
    collect_pages,
    encoded,
    errors,
    flag,
    format_time,
    instant,
    read_json,
    text,
    whole,
)
from .._github import http
from .._github.github_provider import GithubProvider
from .._github.location import repository_path
from .._github.repository_requests import default_branch, diff_of_pull, pull_of_branch
from . import extract, job_progress, result_artifact, wire
from .capabilities import CAPABILITIES
from .workflow_settings import NAME, SETTINGS, Run, Service, Workflow

if TYPE_CHECKING:
    from ...provider import (
        Capabilities,
        Environment,
        Events,
        Intent,
        TaskFilter,
        TaskRef,
        TaskSpec,
        Usage,
        Webhooks,
    )

T = TypeVar("T")

DISPATCH = "workflow_dispatch"
# The number is the description's (docs/reference/protocols/services.md, "1.1 Endpoints"); the size is of all inputs
# together, in characters (docs.github.com, "Events that trigger workflows", workflow_dispatch).
MAX_INPUTS, MAX_INPUT_SIZE = 25, 65_535
# How much older than the submission a run may seem, since clocks differ (docs/reference/protocols/services.md, "1.2 The
# id of a dispatched run").
CLOCK_SKEW = 120.0
# Pages that are searched for a key, of a hundred runs each: more runs than a person dispatches in two minutes.
SEARCH_PAGES = 10

_COMMIT = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_EXPIRED = "its result has expired: start the run again, or have it kept longer with retention-days in the workflow"

INIT = "`coatcheck workflow init` writes one that will do"
REMEDIES: Mapping[int, str] = {
    403: "the token needs the permission actions=write",
    404: f"check the repository, that the workflow is on its default branch, and that the token may see it; {INIT}",
}
# Messages of a refused dispatch, in lower case, and their remedies.
WORDS: Mapping[str, str] = {
    "workflow_dispatch": f"add `workflow_dispatch` to `on:` of the workflow on the default branch; {INIT}",
    "unexpected inputs": f"declare them under on.workflow_dispatch.inputs of the workflow; {INIT}",
    "required input": f"give it in the setting {NAME}.inputs, or do not require it in the workflow",
    "no ref found": "name a branch or tag that is on GitHub",
    "disabled": "enable the workflow on its page on GitHub",
}
CANCELLING: Mapping[int, str] = {
    403: "the token needs the permission actions=write",
    409: "it has ended already, and cannot be cancelled",
}


class ActionsProvider(GithubProvider, frozen=True):
    """The workflows of one GitHub."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    settings: ClassVar[tuple[ProviderSetting, ...]] = SETTINGS
    task_pages: ClassVar[tuple[TaskPage, ...]] = (
        TaskPage("https://github.com", r"/([^/]+)/([^/]+)/actions/runs/(\d+)(?:/.*)?"),
    )

    service: Service

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks of the service."""
        from .webhooks import WEBHOOKS  # only what receives them needs it

        return WEBHOOKS

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* with the workflow as its environment, and a branch or tag.

        Raises `ConfigurationError` for what cannot be dispatched: a commit, too many inputs or too much in them.
        """
        workflow = self.service.find_workflow(spec.environment or spec.repository)
        branch = (spec.branch or "").strip().removeprefix("refs/heads/").removeprefix("refs/tags/")
        if _COMMIT.fullmatch(branch):
            raise errors.ConfigurationError(
                f"{branch[:12]}… is a commit, and workflows start from a branch or tag", remedy="name the branch"
            )
        _check_inputs(_inputs(spec, self.service))
        if not branch:
            branch = yield from default_branch(workflow.repository, version=self.service.api_version)
        return msgspec.structs.replace(spec, environment=str(workflow), branch=branch, repository=workflow.repository)

    def create_task(self, spec: TaskSpec) -> Exchange[Task | None]:
        """Dispatch the workflow: exactly one POST. None where the server does not return the run.

        See docs/reference/protocols/services.md, "1.2 The id of a dispatched run".
        """
        workflow = self.service.find_workflow(spec.environment)
        body = {"ref": spec.branch, "inputs": _inputs(spec, self.service)}
        response = yield self._post(_workflow(workflow, "/dispatches"), body)
        http.explained(response, REMEDIES, words=WORDS)
        if response.status == 204:
            return None
        dispatched = read_json(response.body, wire.Dispatched, response=response)
        where = Run(workflow.repository, str(dispatched.workflow_run_id))
        task = Task(
            ref=self.service.ref(where.repository, where.id),
            state=TaskState.QUEUED,
            url=text(dispatched.html_url) or self.service.url_of(where),
            title=spec.title,
            prompt=spec.prompt,
            mode="code",
            environment=spec.environment,
            repository=where.repository,
            branch=spec.branch,
            raw=response.body,
        )
        return extract.with_rate_limits(task, response)

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the run whose name ends in the task's key, among those of its workflow and branch since then.

        See docs/reference/protocols/services.md, "1.2 The id of a dispatched run".
        """
        workflow = self.service.find_workflow(intent.environment)
        since = format_time(int(intent.at - CLOCK_SKEW))
        query = {"event": DISPATCH, "branch": intent.branch, "created": f">={since}"}
        cursor: str | None = None
        for _ in range(SEARCH_PAGES):
            response = yield self._page(_workflow(workflow, "/runs"), cursor, **query)
            http.explained(response, REMEDIES)
            for candidate in read_json(response.body, wire.RunPage, response=response).workflow_runs:
                if extract.key_of(candidate) == intent.id:
                    return extract.task(candidate, self.service)
            cursor = http.next_page(response)
            if cursor is None:
                break
        return None

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a run: one GET while it is running, and its artifacts as well once it has ended."""
        where = self.service.run(ref)
        response = yield from self._fetch_task(where)
        return (yield from self._task_from_run(where, response))

    def get_snapshot(
        self,
        ref: TaskRef,
        *,
        memory: str = "",
        is_watched: bool,
        now: float,  # noqa: ARG002 - a run has no age that matters
        shown: Task | None = None,
    ) -> Exchange[TaskSnapshot]:
        """Return a snapshot of a run; its jobs are requested only if its events are watched."""
        task = shown or (yield from self.get_task(ref))
        events, known = list[TaskEvent](), job_progress.Memory.read(memory)
        if is_watched:
            events, known = job_progress.new_events(ref, (yield from self._jobs(self.service.run(ref))), known)
        messages, known = job_progress.new_messages(task, known)
        return TaskSnapshot(task=task, events=(*events, *messages) if is_watched else (), memory=known.to_text())

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the body of the response for a run, unchanged."""
        response = yield from self._fetch_task(self.service.run(ref))
        return response.body

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page of dispatched runs, newest first: of a workflow, or of all of a repository (*environment*)."""
        if filter == "archived":
            raise errors.UnsupportedError(f"{NAME} has no archive", remedy="list without it")
        path = self._list_path(environment)
        size = str(min(limit or http.PAGE_SIZE, http.PAGE_SIZE))
        response = yield self._page(path, cursor, per_page=size, event=DISPATCH)
        http.explained(response, REMEDIES)
        return extract.page(response, self.service)

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:
        """Return the state of up to a hundred runs of a repository; one repository after the other."""
        repositories = sorted({self.service.run(ref).repository for ref in refs})
        repository, _, page = (cursor or f"{repositories[0]} ").partition(" ")
        response = yield self._page(repository_path(repository, "/actions/runs"), page or None, event=DISPATCH)
        http.explained(response, REMEDIES)
        status_page = extract.page(response, self.service)
        others = [f"{other} " for other in repositories if other > repository]
        following = f"{repository} {status_page.cursor}" if status_page.cursor else next(iter(others), None)
        return StatusPage(tasks=status_page.items, cursor=following)

    def stream_events(self, ref: TaskRef) -> Events:
        """Emit every step of a run, from the first to now, and the log of each job that has ended."""
        where = self.service.run(ref)
        yield from self._fetch_task(where)  # an unknown run is an error, and one without jobs is not
        for job in (yield from self._jobs(where)):
            events, _ = job_progress.new_events(ref, [job], job_progress.Memory())
            for event in events:
                yield Emit(event)
            if job.status == extract.COMPLETED and (log := (yield from self._log(where, job))) is not None:
                at = instant(job.completed_at)
                yield Emit(TaskLog(ref=ref, text=log, source=text(job.name), at=at))

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:
        """Read a saved or live run; *siblings* is the list of its jobs, where that was saved too."""
        jobs = None if siblings is None else Response(200, body=siblings)
        return extract.task_from(Response(200, body=response), self.service, jobs=jobs)

    def get_usage(self) -> Exchange[Usage]:
        """Return what is used of each limit, by all programs with this user's tokens; the request does not count."""
        response = yield self._get("/rate_limit")
        return http.usage_of(response)

    def list_environments(self, *, repository: str | None = None) -> Exchange[tuple[Environment, ...]]:
        """Return the workflows of a repository that can run."""
        where = self.service.find_workflow(repository).repository
        branch = yield from default_branch(where, version=self.service.api_version)
        known_workflows: list[wire.Workflow] = yield from self._all(
            repository_path(where, "/actions/workflows"), wire.WorkflowPage, lambda page: page.workflows
        )
        known = (extract.environment(each, where, default_branch=branch) for each in known_workflows)
        return tuple(each for each in known if each)

    # -- acting on a run ---------------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Cancel a run; steps with ``always()`` still run, unless the setting ``force_cancel`` is true.

        See docs/reference/protocols/services.md, "1.1 Endpoints".
        """
        how = "/force-cancel" if self.service.force_cancel else "/cancel"
        response = yield self._post(self.service.run(ref).path(how))
        http.explained(response, CANCELLING)

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete a run that has ended, with its logs."""
        path = self.service.run(ref).path()
        response = yield Request("DELETE", path, headers=http.headers(self.service.api_version))
        http.explained(response, {403: "the token needs the permission actions=write"})

    # -- what a run leaves -------------------------------------------------------------------------------------------

    def _task_from_run(self, where: Run, response: Response) -> Exchange[Task]:
        """Return the task of a run, with what it left if it has ended."""
        workflow_run = extract.run(response)
        fetched = (
            (yield from self._fetch_result(where, workflow_run)) if extract.state_of(workflow_run).is_terminal else None
        )
        return extract.with_rate_limits(
            extract.task(workflow_run, self.service, fetched=fetched, raw=response.body), response
        )

    def _fetch_result(self, where: Run, run: wire.Run) -> Exchange[result_artifact.Result]:
        fetched, version = (yield from self._result(where)), self.service.api_version
        if fetched.branch and (fetched.pull_request is None or fetched.pull_request.number is None):
            pull = yield from pull_of_branch(where.repository, fetched.branch, version=version)
            fetched = msgspec.structs.replace(fetched, pull_request=pull or fetched.pull_request)
        if fetched.patch is None and fetched.pull_request and fetched.pull_request.number:
            patch = yield from diff_of_pull(where.repository, fetched.pull_request.number, version=version)
            fetched = msgspec.structs.replace(fetched, patch=patch)
        if extract.state_of(run) is TaskState.SUCCEEDED or fetched.error:
            return fetched
        return extract.with_failure(fetched, run, (yield from self._jobs(where)))

    def _result(self, where: Run) -> Exchange[result_artifact.Result]:
        """Return the content of the newest result artifact."""
        query = (("name", self.service.artifact), ("per_page", str(http.PAGE_SIZE)))
        response = yield self._get(where.path("/artifacts"), query=query, conditional=True)
        http.explained(response, REMEDIES)
        result_file = extract.artifact(read_json(response.body, wire.ArtifactPage, response=response).artifacts)
        if result_file is None:
            return result_artifact.Result()
        if flag(result_file.expired):
            return result_artifact.no_result(_EXPIRED)
        if (whole(result_file.size_in_bytes) or 0) > result_artifact.MAX_ARCHIVE:
            return result_artifact.no_result(
                f"its result is larger than {result_artifact.MAX_ARCHIVE >> 20} MiB and was not fetched"
            )
        archive = yield self._get(repository_path(where.repository, f"/actions/artifacts/{result_file.id}/zip"))
        if archive.status == 410:
            return result_artifact.no_result(_EXPIRED)
        http.explained(archive, REMEDIES)
        return result_artifact.read(archive.body)

    def _log(self, where: Run, job: wire.Job) -> Exchange[str | None]:
        """Return a job's log, None for one that is kept no longer."""
        response: Response = yield self._get(repository_path(where.repository, f"/actions/jobs/{job.id}/logs"))
        if response.status in (404, 410):
            return None
        check(response)
        return response.body.decode("utf-8-sig", "replace")

    # -- requests ----------------------------------------------------------------------------------------------------

    def _fetch_task(self, where: Run) -> Exchange[Response]:
        query = (("exclude_pull_requests", "true"),)
        response: Response = yield self._get(where.path(), query=query, conditional=True)
        http.explained(response, {404: "there is no such run, or the token may not see it"})
        return response

    def _jobs(self, where: Run) -> Exchange[list[wire.Job]]:
        return (yield from self._all(where.path("/jobs"), wire.JobPage, lambda page: page.jobs))

    def _list_path(self, environment: str | None) -> str:
        workflow = self.service.find_workflow(environment)
        is_whole = environment is None or not self.service.names_workflow(environment)
        return repository_path(workflow.repository, "/actions/runs") if is_whole else _workflow(workflow, "/runs")

    def _all(self, path: str, shape: type[T], items: Callable[[T], list[wire.W]]) -> Exchange[list[wire.W]]:
        """Return the items of all pages."""

        def ask(cursor: str | None) -> Exchange[tuple[list[wire.W], str | None]]:
            response = yield self._page(path, cursor)
            http.explained(response, REMEDIES)
            return items(read_json(response.body, shape, response=response)), http.next_page(response)

        return (yield from collect_pages(ask))

    def _page(self, path: str, cursor: str | None, **filters: str | None) -> Request:
        query = http.query_of(cursor, {"per_page": str(http.PAGE_SIZE), **filters})
        return self._get(path, query=query, conditional=True)

    def _get(self, path: str, *, query: Pairs = (), conditional: bool = False) -> Request:
        return http.get(path, version=self.service.api_version, query=query, conditional=conditional)

    def _post(self, path: str, body: Mapping[str, object] | None = None) -> Request:
        headers = (*http.headers(self.service.api_version), ("content-type", "application/json"))
        return Request("POST", path, headers=headers, body=msgspec.json.encode(body) if body else b"")


def _workflow(workflow: Workflow, rest: str) -> str:
    return repository_path(workflow.repository, f"/actions/workflows/{encoded(workflow.file)}{rest}")


def _inputs(spec: TaskSpec, service: Service) -> dict[str, str]:
    """Return the inputs of the workflow: the prompt, the task's key and the options of the spec."""
    values = {
        service.prompt_input: spec.prompt,
        service.key_input: spec.key,
        "title": spec.title,
        "model": spec.model,
        "instructions": spec.instructions,
        "starting_diff": spec.starting_diff,
        "working_branch": spec.working_branch,
        "open_pull_request": None if spec.open_pull_request is None else str(spec.open_pull_request).lower(),
    }
    return {**dict(service.inputs), **{name: value for name, value in values.items() if value is not None}}


def _check_inputs(inputs: Mapping[str, str]) -> None:
    """Raise `ConfigurationError` for what the service would refuse; the key is not among them yet."""
    if len(inputs) + 1 > MAX_INPUTS:
        raise errors.ConfigurationError(
            f"{len(inputs) + 1} inputs are more than the {MAX_INPUTS} that a workflow takes",
            remedy=f"take some out of the setting {NAME}.inputs",
        )
    size = sum(map(len, inputs.values()))
    if size > MAX_INPUT_SIZE:
        raise errors.ConfigurationError(
            f"{size} characters are more than the {MAX_INPUT_SIZE} that a workflow takes as its inputs",
            remedy="shorten the prompt, or have the agent read it from the repository",
        )
