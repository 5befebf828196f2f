"""The Copilot provider: one exchange per verb (docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent").

Invariants:

- `create_task` is one POST. It carries no key, so a task whose response was lost is searched in the list, by prompt and repository.
- `get_task` is one GET while the agent works; where it has stopped, what it made is fetched: the pull request by
  its node, else by its branch, and the diff.
- What the API cannot do is declared, and not tried some other way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from ...provider import Exchange, ProviderSetting, Request, Response, StatusPage, TaskPage, encoded, read_json
from .._github import http
from .._github.github_provider import GithubProvider
from .._github.repository_requests import default_branch, diff_between, diff_of_pull, pull_of_branch, pull_of_node
from . import extract, wire
from .capabilities import CAPABILITIES, NAME, SETTINGS, WHO, Service, models

if TYPE_CHECKING:
    from ...provider import (
        Capabilities,
        Model,
        Page,
        PullRequest,
        Task,
        TaskFilter,
        TaskRef,
        TaskSpec,
        Usage,
        Webhooks,
    )

REMEDIES: Mapping[int, str] = {
    401: f"the agent takes {WHO}",
    403: f"the agent takes {WHO}, with the permission agent_tasks=write",
    404: "check the repository, and that the agent is enabled for it and for you",
}
UNKNOWN_TASK: Mapping[int, str] = {**REMEDIES, 404: "there is no such task, or the token may not see it"}


class CopilotProvider(GithubProvider, frozen=True):
    """The coding agent of one GitHub."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    settings: ClassVar[tuple[ProviderSetting, ...]] = SETTINGS
    task_pages: ClassVar[tuple[TaskPage, ...]] = (
        TaskPage("https://github.com", "/[^/]+/[^/]+/(?:copilot|agents)/(?:tasks|sessions)/([^/]+)"),
    )

    service: Service

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks of the service."""
        from .webhooks import WEBHOOKS  # only what receives them needs it

        return WEBHOOKS

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* with its repository as the environment, and a branch to start from."""
        repository = self.service.find_repository(spec.environment or spec.repository)
        branch = (spec.branch or "").strip()
        if not branch:
            branch = yield from default_branch(repository, version=self.service.api_version)
        return msgspec.structs.replace(spec, environment=repository, repository=repository, branch=branch)

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Create the task: exactly one POST. *spec* has been prepared."""
        repository = self.service.find_repository(spec.environment)
        body = {
            "prompt": spec.prompt,
            "base_ref": spec.branch,
            "model": spec.model,
            "head_ref": spec.working_branch,
            "create_pull_request": spec.open_pull_request,
            "custom_agent": self.service.custom_agent,
        }
        options = {name: value for name, value in body.items() if value is not None}
        headers = (*http.headers(self.service.api_version), ("content-type", "application/json"))
        response = yield Request("POST", _tasks(repository), headers=headers, body=msgspec.json.encode(options))
        http.explained(response, REMEDIES)
        task = read_json(response.body, wire.Task, response=response)
        created = extract.task(task, self.service, raw=response.body)
        return msgspec.structs.replace(
            created,  # what a reply leaves out is what was sent
            prompt=created.prompt or spec.prompt,
            environment=created.environment or repository,
            repository=created.repository or repository,
            branch=created.branch or spec.branch,
            rate_limit=http.limit_of(response),
        )

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a task: one GET while it is running, and requests for its result once it has stopped."""
        response = yield from self._fetch_task(ref)
        agent_task = extract.task_in(response)
        fetched = (yield from self._fetch_result(agent_task)) if extract.state_of(agent_task).ends_wait else None
        task = extract.task(agent_task, self.service, fetched=fetched, raw=response.body)
        return msgspec.structs.replace(
            task, rate_limit=http.limit_of(response), retry_after=http.requested_pause(response)
        )

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the body of the response for a task, unchanged."""
        response = yield from self._fetch_task(ref)
        return response.body

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first: of a repository (*environment*), or of everything that the token may see.

        The service lists what is archived or what is not; for "all" the archived ones follow.
        """
        size = str(min(limit or http.PAGE_SIZE, http.PAGE_SIZE))
        first = {"per_page": size, "sort": "created_at", "direction": "desc"}
        archived = {**first, "is_archived": "true"}
        path = "/agents/tasks" if environment is None else _tasks(self.service.find_repository(environment))
        query = http.query_of(cursor, archived if filter == "archived" else first)
        response = yield http.get(path, query=query, version=self.service.api_version, conditional=True)
        http.explained(response, REMEDIES)
        listed = extract.page(response, self.service)
        if filter == "all" and listed.cursor is None and ("is_archived", "true") not in query:
            return msgspec.structs.replace(listed, cursor=http.cursor_of(tuple(archived.items())))
        return listed

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:  # noqa: ARG002 - the list cannot be filtered by refs
        """Return the state of up to a hundred tasks; those that have stopped need a further request."""
        listed = yield from self.list_tasks(cursor=cursor)
        return StatusPage(tasks=listed.items, cursor=listed.cursor)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:  # noqa: ARG002 - a task is one answer
        """Read a saved or live task."""
        answer = Response(200, body=response)
        agent_task = extract.task_in(answer)
        fetched = extract.Fetched() if extract.state_of(agent_task).is_terminal else None
        return extract.task(agent_task, self.service, fetched=fetched, raw=response)

    def list_models(self) -> tuple[Model, ...]:
        """Return the models that the description of the API names."""
        return models()

    def get_usage(self) -> Exchange[Usage]:
        """Return what is used of the API's limits; the agent's own quota is not reported."""
        response = yield http.get("/rate_limit", version=self.service.api_version)
        return http.usage_of(response)

    # -- the result of a task --------------------------------------------------------------------------------------------

    def _fetch_result(self, task: wire.Task) -> Exchange[extract.Fetched]:
        repository, artifacts = extract.repository_of(task), extract.artifacts_of(task)
        pull = yield from self._pull(repository, artifacts)
        if repository is None:
            return extract.Fetched(pull=pull)
        version = self.service.api_version
        if pull is not None and pull.number is not None:
            patch = yield from diff_of_pull(repository, pull.number, version=version)
        elif artifacts.branch and artifacts.base:
            patch = yield from diff_between(repository, artifacts.base, artifacts.branch, version=version)
        else:
            patch = None
        return extract.Fetched(pull=pull, patch=patch)

    def _pull(self, repository: str | None, artifacts: extract.Artifacts) -> Exchange[PullRequest | None]:
        """Return the pull request with its number, which the task does not contain: by its node, else by its branch.

        See docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent".
        """
        version = self.service.api_version
        if (
            artifacts.node is not None
            and (pull := (yield from pull_of_node(artifacts.node, version=version))) is not None
        ):
            return pull
        if repository is None or artifacts.branch is None or not artifacts.has_pull:
            return None
        return (yield from pull_of_branch(repository, artifacts.branch, version=version))

    def _fetch_task(self, ref: TaskRef) -> Exchange[Response]:
        path = f"/agents/tasks/{encoded(ref.id)}"
        response: Response = yield http.get(path, version=self.service.api_version, conditional=True)
        http.explained(response, UNKNOWN_TASK)
        return response


def _tasks(repository: str) -> str:
    return "/agents/repos/" + "/".join(map(encoded, repository.split("/"))) + "/tasks"
