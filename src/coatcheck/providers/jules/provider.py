"""The Jules provider: one exchange per verb (docs/reference/protocols/jules.md, "2 Resources and methods").

Invariants:

- `create_task` is one POST, and `prepare` never creates anything.
- `get_task` is one GET while the agent works; where the session has stopped, its state is half of the truth and
  its activities are requested as well (docs/reference/protocols/jules.md, "3.1 Decision table for a client").
- Errors are classified by status, never by text: the message for a revoked key is wrong
  (docs/reference/protocols/jules.md, "1.2 Error envelope").
- What activities carry can be megabytes: what is only counted is requested with a mask, and without one when the
  service does not take it (docs/reference/protocols/jules.md, "1.1 Base, auth, versions").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

import msgspec

from ...provider import (
    USER_AGENT,
    Capabilities,
    Emit,
    Exchange,
    Pairs,
    ProviderSetting,
    Request,
    Response,
    StatusPage,
    Support,
    TaskFilter,
    TaskPage,
    TaskSnapshot,
    Verb,
    check,
    collect_pages,
    decode,
    encoded,
    errors,
    filter_page,
)
from . import activities, extract, repository_sources, session_summary, wire
from .activities import Happening
from .endpoints import BASE_URL, DAY, ENVIRONMENT_VARIABLES, LOGIN, NAME, PLAN, QUOTAS, Service
from .snapshots import Memory, follow

if TYPE_CHECKING:
    from ...provider import Environment, Events, Login, Page, Secret, Task, TaskRef, TaskSpec, Usage

T = TypeVar("T")

# Every list's largest page; more is taken for this (docs/reference/protocols/jules.md, "1.5 Pagination, filters,
# order").
PAGE_SIZE = 100
HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "application/json"))
POST_HEADERS: Pairs = (*HEADERS, ("content-type", "application/json"))

# A source contains every branch of its repository: three quarters of half a megabyte
# (docs/reference/protocols/jules.md, "1.5 Pagination, filters, order").
SOURCE_FIELDS = "name,id,githubRepo(owner,repo,isPrivate,defaultBranch)"
# The fields of activities for a summary: no images, no command output, no diffs.
SUMMARY_FIELDS = (
    "name,id,createTime,originator,planGenerated,planApproved,userMessaged,agentMessaged,"
    "progressUpdated,sessionCompleted,sessionFailed"
)

FILTERS: Mapping[TaskFilter, str | None] = {
    "current": None,
    "archived": "archived = true",
    "all": "archived = true OR archived = false",
}

VERBS: Mapping[Verb, Support] = {
    Verb.CREATE_TASK: Support.DOCUMENTED,
    Verb.GET_TASK: Support.DOCUMENTED,
    Verb.GET_SNAPSHOT: Support.DOCUMENTED,
    Verb.LIST_TASKS: Support.DOCUMENTED,
    Verb.GET_STATUS_PAGE: Support.DOCUMENTED,
    Verb.LIST_ENVIRONMENTS: Support.DOCUMENTED,
    Verb.RESOLVE_ENVIRONMENT: Support.DOCUMENTED,
    Verb.GET_USAGE: Support.DOCUMENTED,
    Verb.APPROVE_PLAN: Support.DOCUMENTED,
    Verb.SEND_MESSAGE: Support.DOCUMENTED,
    Verb.ARCHIVE_TASK: Support.DOCUMENTED,
    Verb.UNARCHIVE_TASK: Support.DOCUMENTED,
    Verb.DELETE_TASK: Support.DOCUMENTED,
    Verb.STREAM_EVENTS: Support.DOCUMENTED,
}

CAPABILITIES = Capabilities(
    vendor="gcp.gen_ai",
    result="the change set of the session",
    cost="not reported; submissions of this machine: `usage`",
    verbs=VERBS,
    reasons={
        Verb.CANCEL_TASK: "Jules cannot stop a session; archive_task pauses it and can be taken back",
        Verb.CREATE_PULL_REQUEST: "Jules opens one itself when the task was created with open_pull_request",
        Verb.LIST_ATTEMPTS: "a session is one attempt",
        Verb.LIST_MODELS: "Jules chooses the model and does not report which",
    },
    options=frozenset({"title", "requires_approval", "open_pull_request", "working_branch"}),
    # 5 to 60 minutes are reported (docs/reference/protocols/jules.md, "3.2 Intervals"); this is their geometric mean.
    typical_seconds=1000.0,
    needs_environment=False,
    notes=(
        "A session without a repository is possible; its diff has no base commit.",
        "A session that completed may continue later, and may refuse messages.",
        "get_usage counts the submissions of this machine: the service reports no usage.",
    ),
)


class JulesProvider(msgspec.Struct, frozen=True):
    """Jules, or any service with its protocol, at `service`."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    login: ClassVar[Login] = LOGIN
    settings: ClassVar[tuple[ProviderSetting, ...]] = (BASE_URL, PLAN, ENVIRONMENT_VARIABLES)
    task_pages: ClassVar[tuple[TaskPage, ...]] = (TaskPage("https://jules.google.com"),)

    service: Service

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL."""
        return {"api": self.service.base_url}

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a key is timeless
        """Return *request* with the key on it; a bearer is refused.

        See docs/reference/protocols/jules.md, "1.1 Base, auth, versions".
        """
        return request.with_headers(("x-goog-api-key", secret.token))

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* where it is complete; one without a repository needs no branch.

        Raises `ConfigurationError` for a source without a known branch.

        See docs/reference/protocols/jules.md, "2.5 outputs".
        """
        yield from ()
        if spec.environment and not spec.branch:
            raise errors.ConfigurationError(
                f"the default branch of {repository_sources.label_of(spec.environment)} is not known",
                remedy="name the branch to start from: --branch BRANCH",
            )
        return spec

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Create the session: exactly one POST. *spec* has been prepared."""
        response = yield self._post("/sessions", _new_session(spec, self.service))
        session = decode(response, wire.Session)
        created = extract.task(session, self.service, raw=response.body)
        return msgspec.structs.replace(
            created,  # what a reply leaves out is what was sent (docs/reference/protocols/jules.md, "2.2 Session")
            prompt=created.prompt or spec.prompt,
            environment=created.environment or spec.environment,
            branch=created.branch or spec.branch,
            repository=spec.repository,
        )

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Send a message to the agent: one POST, whose response is empty, and a GET of the session."""
        if mode != "code" or model is not None:
            raise errors.UnsupportedError("jules takes a message's text and nothing else")
        response = yield self._post(_session(ref, ":sendMessage"), {"prompt": text})
        _explained(response, {404: "a session that has ended may take no more messages; submit another task"})
        return (yield from self.get_task(ref))

    def approve_plan(self, ref: TaskRef) -> Exchange[None]:
        """Approve the plan that waits; later plans of the session run without approval.

        See docs/reference/protocols/jules.md, "2.3 SessionState".
        """
        response = yield self._post(_session(ref, ":approvePlan"), {})
        _explained(response, {400: f"no plan is waiting for approval; see: coatcheck show {ref}"})

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a session: one GET while it is running, and its activities as well once it has stopped."""
        response = yield from self._fetch_task(ref)
        session = extract.session(response)
        known = (yield from self._summary(ref, session)) if extract.needs_activities(session) else None
        return extract.task(session, self.service, summary=known, raw=response.body)

    def get_snapshot(
        self, ref: TaskRef, *, memory: str = "", is_watched: bool, now: float, shown: Task | None = None
    ) -> Exchange[TaskSnapshot]:
        """Return a snapshot of a session; see `follow`. If a page shows the session, only its activities are requested."""
        remembered = Memory.read(memory)
        if shown is not None:
            fresh = yield from self._fresh(ref, shown, remembered, is_watched=is_watched, now=now)
            return follow(shown, remembered, fresh, is_watched=is_watched, now=now)
        response = yield from self._fetch_task(ref)
        session = extract.session(response)
        task = extract.task(session, self.service, raw=response.body)
        fresh = yield from self._fresh(ref, task, remembered, is_watched=is_watched, now=now)
        if extract.needs_activities(session):
            has_all = is_watched and remembered.is_blank
            known = session_summary.summarize(fresh) if has_all else (yield from self._summary(ref, session))
            task = extract.task(session, self.service, summary=known, raw=response.body)
        return follow(task, remembered, fresh, is_watched=is_watched, now=now)

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the body of the response for a session, unchanged."""
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
        """Return one page, newest first, of at most 100; *environment* is a source's name.

        The service cannot filter by source: it is done here, so a page may hold few tasks and not be the last.
        """
        if environment is None:
            return (yield from self._sessions(cursor, filter=filter, size=limit))
        return (
            yield from filter_page(
                lambda cursor: self._sessions(cursor, filter=filter),
                lambda task: task.environment == environment,
                limit=limit,
                cursor=cursor,
            )
        )

    def _sessions(self, cursor: str | None, *, filter: TaskFilter, size: int | None = None) -> Exchange[Page]:
        response = yield self._page("/sessions", cursor, filter=FILTERS[filter], size=size)
        check(response)
        return extract.page(response, self.service)

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:  # noqa: ARG002 - the list cannot be filtered by refs
        """Return the state of up to a hundred sessions; those that have stopped need a further request."""
        page = yield from self.list_tasks(cursor=cursor)
        return StatusPage(tasks=page.items, cursor=page.cursor)

    def stream_events(self, ref: TaskRef) -> Events:
        """Emit everything that has happened in a session, from the first activity to now, images and all."""
        check((yield self._get(_session(ref))))  # an unknown session is an error, and one without activities is not
        memory = Memory()
        for happening in (yield from self._happened(ref)):
            memory = memory.after(happening)
            yield Emit(activities.event_of(happening, ref, cursor=memory.to_text()))

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:
        """Read a saved or live session; *siblings* is the list of its activities, where that was saved too."""
        activities_page = None if siblings is None else Response(200, body=siblings)
        return extract.task_from(Response(200, body=response), self.service, activities=activities_page)

    def get_usage(self) -> Exchange[Usage]:
        """Return what the plan allows; how much of it this machine has used is counted by the caller."""
        from ...provider import RateLimit, RateWindow, Usage

        yield from ()
        quota = QUOTAS.get(self.service.plan or "")
        window = RateWindow(
            name="own submissions", seconds=DAY, limit=quota.per_day if quota else None, is_counted_here=True
        )
        return Usage(plan=self.service.plan, rate_limit=RateLimit(plan=self.service.plan, windows=(window,)))

    # -- sources -----------------------------------------------------------------------------------------------------

    def list_environments(self, *, repository: str | None = None) -> Exchange[tuple[Environment, ...]]:
        """Return every connected source, or the one of a repository (``owner/repo`` or a remote's URL)."""
        if repository is None:
            return (yield from self._all_sources())
        try:
            return ((yield from self.resolve_environment(repository)),)
        except errors.ConfigurationError:
            return ()

    def resolve_environment(self, name: str | None, *, repository: str | None = None) -> Exchange[Environment]:
        """Return the source that *name* (its name, its id or a repository), else *repository*, refers to.

        Requests it by its name first, and lists all sources where that name is not found.
        """
        name = (name or repository or "").strip()
        response = yield from self._masked(self._get(repository_sources.path_of(name)), SOURCE_FIELDS)
        if response.status not in (400, 404):
            return extract.environment(decode(response, wire.Source))
        return repository_sources.chosen((yield from self._all_sources()), name)

    def _all_sources(self) -> Exchange[tuple[Environment, ...]]:
        sources = yield from collect_pages(self._source_page)
        return tuple({source.id: source for source in sources}.values())

    def _source_page(self, cursor: str | None) -> Exchange[tuple[Sequence[Environment], str | None]]:
        response = yield from self._masked(self._page("/sources", cursor), f"sources({SOURCE_FIELDS}),nextPageToken")
        check(response)
        return extract.sources(response)

    # -- acting on a session -----------------------------------------------------------------------------------------

    def archive_task(self, ref: TaskRef) -> Exchange[None]:
        """Archive a session; a running one is paused (docs/reference/protocols/jules.md, "2.3 SessionState")."""
        check((yield self._post(_session(ref, ":archive"), {})))

    def unarchive_task(self, ref: TaskRef) -> Exchange[None]:
        """Unarchive a session."""
        check((yield self._post(_session(ref, ":unarchive"), {})))

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete a session for good."""
        check((yield Request("DELETE", _session(ref), headers=HEADERS)))

    # -- activities --------------------------------------------------------------------------------------------------

    def _summary(self, ref: TaskRef, session: wire.Session) -> Exchange[session_summary.SessionSummary]:
        """Return the summary of all activities; changes are requested only where the outputs have none."""
        has_change = any(output.change_set for output in session.outputs or ())
        fields = SUMMARY_FIELDS if has_change else f"{SUMMARY_FIELDS},artifacts(changeSet)"
        happened = yield from self._happened(ref, fields=fields)
        return session_summary.summarize(happened)

    def _fresh(
        self, ref: TaskRef, task: Task, memory: Memory, *, is_watched: bool, now: float
    ) -> Exchange[list[Happening]]:
        """Return the activities since *memory*; requests them only if events are watched or the agent reports nothing."""
        if is_watched:
            happened = yield from self._happened(ref, since=memory.filter)
        elif memory.is_doubtful(task, now=now):
            happened = yield from self._happened(ref, since=memory.filter, fields="id,name,createTime,originator")
        else:
            return []
        return memory.unseen(happened)

    def _happened(
        self, ref: TaskRef, *, since: str | None = None, fields: str | None = None
    ) -> Exchange[list[Happening]]:
        """Return what has happened, oldest first; of a session that is there, an unknown list is an empty one.

        The list of a new session is denied for up to five minutes (docs/reference/protocols/jules.md, "1.4 What the
        official SDK retries" and "3.3 Incremental activities").
        """

        def page(cursor: str | None) -> Exchange[tuple[Sequence[Happening], str | None]]:
            request = self._page(_session(ref, "/activities"), cursor, filter=since)
            response = yield from self._masked(request, fields and f"activities({fields}),nextPageToken")
            if response.status == 404:
                return [], None
            check(response)
            return activities.read_page(response)

        return (yield from collect_pages(page))

    # -- requests ----------------------------------------------------------------------------------------------------

    def _fetch_task(self, ref: TaskRef) -> Exchange[Response]:
        response: Response = yield self._get(_session(ref))
        check(response)
        return response

    def _masked(self, request: Request, fields: str | None) -> Exchange[Response]:
        """Request some fields only, and all where the service does not accept the mask.

        See docs/reference/protocols/jules.md, "1.1 Base, auth, versions".
        """
        if fields is None:
            response: Response = yield request
            return response
        response = yield msgspec.structs.replace(request, query=(*request.query, ("fields", fields)))
        if response.status == 400:
            response = yield request
        return response

    def _get(self, path: str) -> Request:
        return Request("GET", path, headers=HEADERS)

    def _page(self, path: str, cursor: str | None, *, filter: str | None = None, size: int | None = None) -> Request:
        parameters = {"pageSize": str(min(size or PAGE_SIZE, PAGE_SIZE)), "filter": filter, "pageToken": cursor}
        query = tuple((name, value) for name, value in parameters.items() if value)
        return Request("GET", path, query=query, headers=HEADERS)

    def _post(self, path: str, body: Mapping[str, object]) -> Request:
        return Request("POST", path, headers=POST_HEADERS, body=msgspec.json.encode(body))


def _session(ref: TaskRef, rest: str = "") -> str:
    return f"/sessions/{encoded(ref.id)}{rest}"


def _new_session(spec: TaskSpec, service: Service) -> dict[str, object]:
    """Return the body that creates a session: flat, and without fields that are not set.

    See docs/reference/protocols/jules.md, "2.2 Session".
    """
    context = {
        "source": spec.environment,
        "githubRepoContext": {"startingBranch": spec.branch},
        "workingBranch": spec.working_branch,
        "environmentVariablesEnabled": service.environment_variables,
    }
    body = {
        "prompt": spec.prompt,
        "title": spec.title,
        "sourceContext": _present(context) if spec.environment else None,
        "requirePlanApproval": spec.requires_approval,
        "automationMode": "AUTO_CREATE_PR" if spec.open_pull_request else None,
    }
    return _present(body)


def _present(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _explained(response: Response, remedies: Mapping[int, str]) -> None:
    """Raise the error for the status, with the remedy for Jules."""
    try:
        check(response)
    except errors.ProviderError as error:
        error.remedy = remedies.get(response.status)
        raise
