"""The Cursor provider: one exchange for each verb (docs/reference/protocols/cursor.md, "2 Endpoints").

Invariants:

- a task is an agent, and its state that of the agent's latest run;
- the id of the agent is made from the submission's key, so a repeated create is refused with 409 and the agent is read:
  no second one is created (docs/reference/protocols/cursor.md, "7 Idempotency");
- a poll of a running task is one GET, of its newest run, so a run that a message has started is seen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from ...provider import (
    Capabilities,
    Emit,
    EventStreamReader,
    Exchange,
    ProviderSetting,
    Read,
    Request,
    TaskFilter,
    TaskPage,
    TaskSnapshot,
    Webhooks,
    errors,
    filter_page,
    read_json,
    repository_named,
)
from . import extract, responses, wire
from .artifacts import read_files
from .capabilities import CAPABILITIES
from .endpoints import BASE_URL, GITHUB_URL, LOGIN, NAME, Service, agent_id
from .events import Position, RunReader
from .forge import read_diff
from .requests import AGENTS, agent_path, get, new_agent, post, run_path, stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...provider import Environment, Events, Intent, Login, Model, Notice, Page, Secret, Task, TaskRef, TaskSpec

# The largest page of the list that is requested; the service documents none.
PAGE_SIZE = 100
# The longest name of an agent (docs/reference/protocols/cursor.md, "3 Shapes").
MAX_NAME = 100
# A repository of another host than GitHub; user information may be a password.
REPOSITORY_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::\d{1,5})?/[^\s@?#]+")


class CursorProvider(msgspec.Struct, frozen=True):
    """Cursor's cloud agents, or any service with their protocol, at `service`."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    login: ClassVar[Login] = LOGIN
    settings: ClassVar[tuple[ProviderSetting, ...]] = (BASE_URL, GITHUB_URL)
    task_pages: ClassVar[tuple[TaskPage, ...]] = (
        TaskPage("https://cursor.com", "/agents", query="id"),
        TaskPage("https://cursor.com", "/agents/([^/]+)"),
    )

    service: Service

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL, and that of GitHub's API, which is never sent the key."""
        return {"api": self.service.base_url, "github": self.service.github_url}

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks of the service."""
        from .webhooks import WEBHOOKS  # only what receives them needs it

        return WEBHOOKS

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a key is timeless
        """Return *request* with the key on it."""
        return request.with_headers(("authorization", f"Bearer {secret.token}"))

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* where the service can take it. Raises `ConfigurationError` for a title that is too long."""
        yield from ()
        if len(spec.title or "") > MAX_NAME:
            raise errors.ConfigurationError(
                f"the title has {len(spec.title or '')} characters", remedy=f"give at most {MAX_NAME}: --title TITLE"
            )
        return spec

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Create the agent, which starts its first run: one POST, and a GET where it exists already."""
        id = agent_id(spec.key or "")
        response = yield post(AGENTS, new_agent(spec, id), key=id.removeprefix("bc-"))
        if response.status == 409 and responses.code_of(response) == responses.CONFLICT:
            return extract.submitted((yield from self.get_task(self.service.ref(id))), spec)
        document = responses.read(response, wire.Document)
        created = extract.task(document.agent, document.run, self.service, raw=response.body)
        return extract.submitted(created, spec)

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the task of a submission by the id that its key makes, None where there is none."""
        try:
            return (yield from self.get_task(self.service.ref(agent_id(intent.id))))
        except errors.NotFoundError:
            return None

    def resolve_environment(self, name: str | None, *, repository: str | None = None) -> Exchange[Environment]:
        """Return the repository that *name*, else *repository*, refers to, without a request.

        The service's list of repositories may be requested once a minute
        (docs/reference/protocols/cursor.md, "2 Endpoints"): a repository that is unknown is refused by the create.
        """
        yield from ()
        wanted = (name or repository or "").strip()
        if (known := repository_named(wanted)) is not None:
            return extract.environment(f"https://github.com/{known}")
        if REPOSITORY_URL.fullmatch(wanted):
            return extract.environment(wanted.removesuffix("/").removesuffix(".git"))
        raise errors.ConfigurationError(
            f"{wanted!r} is not a repository" if _is_plain(wanted) else "the repository is not usable",
            remedy="pass --repo OWNER/REPO, or https://HOST/PATH without user information",
        )

    def list_environments(self, *, repository: str | None = None) -> Exchange[tuple[Environment, ...]]:
        """Return the repositories that the account may use; the service answers this once a minute."""
        response = yield get("/v1/repositories")
        listed = extract.environments(responses.checked(response))
        wanted = (repository_named(repository) or repository).lower() if repository else None
        return tuple(each for each in listed if wanted in (None, (each.label or "").lower(), each.id.lower()))

    def list_models(self) -> Exchange[tuple[Model, ...]]:
        """Return the models of the account."""
        response = yield get("/v1/models")
        return extract.models(responses.checked(response))

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return an agent with its latest run: two GETs, and requests for the result of a run that has ended."""
        body = yield from self.get_task_response(ref)
        return (yield from self._with_result(ref, body))

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the responses about an agent and its latest run, as one document."""
        response = yield get(agent_path(ref.id))
        agent = responses.read(response, wire.Agent, ref=ref)
        if not agent.latest_run_id:
            return extract.document(response.body, None)
        run = yield get(run_path(ref, agent.latest_run_id))
        responses.read(run, wire.Run, ref=ref)
        return extract.document(response.body, run.body)

    def get_snapshot(
        self, ref: TaskRef, *, memory: str = "", is_watched: bool, now: float, shown: Task | None = None
    ) -> Exchange[TaskSnapshot]:
        """Return a snapshot: one GET of the newest run while it is running, and all of the task once it has ended.

        *memory* is the position in the stream of events, which a poll does not change.
        """
        del is_watched, now, shown
        response = yield get(f"{agent_path(ref.id)}/runs", query=(("limit", "1"),))
        runs = responses.read(response, wire.RunPage, ref=ref).items
        if not runs:
            return TaskSnapshot(task=(yield from self.get_task(ref)), memory=memory)
        run = read_json(runs[0], wire.Run, response=response, at="$.items[0]")
        if not extract.state_of(run).is_terminal:
            task = extract.task(None, run, self.service, id=ref.id, raw=response.body)
            return TaskSnapshot(task=task, memory=memory)
        agent = responses.checked((yield get(agent_path(ref.id))), ref=ref)
        task = yield from self._with_result(ref, extract.document(agent.body, bytes(runs[0])))
        return TaskSnapshot(task=task, memory=memory)

    def _with_result(self, ref: TaskRef, body: bytes) -> Exchange[Task]:
        """Return the task in a document of an agent and its run; requests the result of a run that has ended."""
        document = extract.read_document(body)
        agent, run = document.agent or wire.Agent(), document.run
        result = extract.NO_RESULT
        if run is not None and extract.state_of(run).is_terminal:
            result = yield from self._result(ref, agent, run)
        return extract.task(agent, run, self.service, result=result, raw=body)

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first. The service shows no run in its list, so no state of a task."""
        if filter != "archived" and environment is None:
            return (yield from self._agents(cursor, has_archived=filter == "all", size=limit))

        def is_included(task: Task) -> bool:
            is_wanted = filter == "all" or bool(task.is_archived) is (filter == "archived")
            return is_wanted and environment in (None, task.environment)

        return (
            yield from filter_page(
                lambda position: self._agents(position, has_archived=filter != "current"),
                is_included,
                limit=limit,
                cursor=cursor,
            )
        )

    def stream_events(self, ref: TaskRef, *, after: str = "") -> Events:
        """Emit the events of the latest run as they happen; those after an event of the same run."""
        position = Position.read(after)
        if after and not position.run:
            raise errors.ConfigurationError(f"{after!r} is not the id of an event", remedy="pass the `id` of an event")
        agent = responses.read((yield get(agent_path(ref.id))), wire.Agent, ref=ref)
        if not agent.latest_run_id:
            return
        if position.run != agent.latest_run_id:
            position = Position(agent.latest_run_id)
        response = yield stream(run_path(ref, position.run), position.event)
        responses.checked(response, ref=ref)
        reader, parser = RunReader(ref, position), EventStreamReader()
        while response.stream is not None and (chunk := (yield Read(response.stream))):
            for each in parser.feed(chunk):
                for event in reader.take(each):
                    yield Emit(event)
        for event in reader.finish():
            yield Emit(event)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:  # noqa: ARG002 - a task is one document
        """Read a saved document of an agent and its run."""
        document = extract.read_document(response)
        return extract.task(document.agent, document.run, self.service, raw=response)

    # -- acting on an agent ------------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Stop the latest run for good. Raises `ConflictError` where it has ended."""
        agent = responses.read((yield get(agent_path(ref.id))), wire.Agent, ref=ref)
        if not agent.latest_run_id:
            raise errors.ConflictError(f"{ref} has no run", status=409)
        response = yield post(f"{run_path(ref, agent.latest_run_id)}/cancel", {})
        responses.checked(response, ref=ref)

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Start another run with *text*. Raises `ConflictError` while one is active, and for an archived agent."""
        if mode != "code":
            raise errors.UnsupportedError(f"{NAME} has no {mode} mode")
        body: dict[str, object] = {"prompt": {"text": text}}
        if model is not None:
            body["model"] = {"id": model}
        response = yield post(f"{agent_path(ref.id)}/runs", body)
        responses.checked(response, ref=ref)
        return (yield from self.get_task(ref))

    def archive_task(self, ref: TaskRef) -> Exchange[None]:
        """Archive an agent; it takes no messages then."""
        responses.checked((yield post(f"{agent_path(ref.id)}/archive", {})), ref=ref)

    def unarchive_task(self, ref: TaskRef) -> Exchange[None]:
        """Unarchive an agent."""
        responses.checked((yield post(f"{agent_path(ref.id)}/unarchive", {})), ref=ref)

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete an agent for good."""
        request = msgspec.structs.replace(get(agent_path(ref.id)), method="DELETE")
        responses.checked((yield request), ref=ref)

    # -- requests ----------------------------------------------------------------------------------------------------

    def _agents(self, cursor: str | None, *, has_archived: bool, size: int | None = None) -> Exchange[Page]:
        query = {
            "limit": str(min(size or PAGE_SIZE, PAGE_SIZE)),
            "cursor": cursor,
            "includeArchived": "true" if has_archived else "false",
        }
        response = yield get(AGENTS, query=tuple((name, value) for name, value in query.items() if value))
        return extract.page(responses.checked(response), self.service)

    def _result(self, ref: TaskRef, agent: wire.Agent, run: wire.Run) -> Exchange[extract.Result]:
        """Request what belongs to a run that has ended: its diff, its files, what the agent has used."""
        diff = yield from read_diff(agent, run)
        files = yield from read_files(agent_path(ref.id), self.service.base_url)
        usage = yield from self._usage(ref)
        notices = (*diff.notices, *((usage,) if usage else ()))
        return extract.Result(patch=diff.patch, has_read_diff=diff.is_read, files=files, notices=notices)

    def _usage(self, ref: TaskRef) -> Exchange[Notice | None]:
        """Return what an agent has used, None where the account does not get that: the task is complete without it."""
        try:
            return extract.usage_notice(responses.checked((yield get(f"{agent_path(ref.id)}/usage"))))
        except errors.ProviderError:
            return None


def _is_plain(text: str) -> bool:
    """Whether a text can be repeated: an address may hold a password."""
    return "@" not in text and "://" not in text
