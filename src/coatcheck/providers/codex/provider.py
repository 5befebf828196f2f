"""The Codex Cloud provider: one exchange per verb (docs/reference/protocols/codex-wham.md, "2 Endpoints").

Invariants:

- `get_task` is one GET, `create_task` is one POST, and `prepare` never creates anything.
- Routes that only third parties have seen (docs/reference/protocols/codex-wham.md, "2.8 Server routes no open client
  calls") are marked so, and so are errors about them.
- `extract` and `rate_limits` read the responses; this module only sends requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from ...provider import (
    USER_AGENT,
    Capabilities,
    Emit,
    EventStreamReader,
    Exchange,
    Pairs,
    ProviderSetting,
    Read,
    Request,
    Response,
    StatusPage,
    Support,
    TaskFilter,
    TaskPage,
    Verb,
    check,
    decode,
    error_for,
    errors,
)
from . import extract, request_bodies, wire
from .endpoints import CODEX_BASE_URL, Service

if TYPE_CHECKING:
    from ...provider import Attempt, Environment, Events, Login, Model, Page, Secret, Task, TaskRef, TaskSpec, Usage
    from . import environments

# The server caps a page at 20 and the official client refuses more (docs/reference/protocols/codex-wham.md, "2.1 GET
# /wham/tasks/list").
PAGE_SIZE = 20
# Where neither the caller nor the environment names a branch, the official client sends this
# (docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks").
DEFAULT_BRANCH = "main"
# A 404 with one of these means that the task is unknown; any other that the route is
# (docs/reference/protocols/codex-wham.md, "2.9 Error bodies").
UNKNOWN_IDS = ("Invalid task ID", "Invalid turn ID")

CODEX = "codex"
# An account of the newer Codex Cloud has threads in place of tasks (docs/reference/protocols/codex-app-server.md, 9).
MOVED = (
    "if this account has moved to Codex Cloud's threads: coatcheck config set codex_app_server.backend cloud, "
    "and use --provider codex_app_server"
)
_MOVED = r"(?i)migrat|moved|retired|no longer|deprecat|durable"

HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "application/json"))
POST_HEADERS: Pairs = (*HEADERS, ("content-type", "application/json"))

VERBS: Mapping[Verb, Support] = {
    Verb.CREATE_TASK: Support.DOCUMENTED,
    Verb.GET_TASK: Support.DOCUMENTED,
    Verb.LIST_ATTEMPTS: Support.DOCUMENTED,
    Verb.LIST_TASKS: Support.DOCUMENTED,
    Verb.LIST_ENVIRONMENTS: Support.DOCUMENTED,
    Verb.RESOLVE_ENVIRONMENT: Support.DOCUMENTED,
    Verb.LIST_MODELS: Support.DOCUMENTED,
    Verb.GET_USAGE: Support.DOCUMENTED,
    Verb.ARCHIVE_TASK: Support.OBSERVED,
    Verb.CANCEL_TASK: Support.OBSERVED,
    Verb.CREATE_PULL_REQUEST: Support.OBSERVED,
    Verb.DELETE_TASK: Support.OBSERVED,
    Verb.SEND_MESSAGE: Support.OBSERVED,
    Verb.STREAM_EVENTS: Support.OBSERVED,
    Verb.GET_STATUS_PAGE: Support.DOCUMENTED,
    Verb.UNARCHIVE_TASK: Support.OBSERVED,
}

CAPABILITIES = Capabilities(
    vendor="openai",
    result="the diff of the turn, in the task",
    cost="not reported; limits of the account: `usage`",
    verbs=VERBS,
    option_variables={"starting_diff": ("CODEX_STARTING_DIFF",)},
    reasons={Verb.APPROVE_PLAN: "the agent starts at once and needs no approval"},
    options=frozenset({"attempts", "mode", "starting_diff", "model"}),
    modes=frozenset({"code", "ask"}),
    max_attempts=request_bodies.MAX_ATTEMPTS,
    notes=(
        "Verbs marked as observed use routes that the official client never calls; the service may deny them.",
        "A model is sent as metadata.model_slug; the official client never names one, and the service may ignore it.",
    ),
)


TASK_PAGES = tuple(map(TaskPage, ("https://chatgpt.com", "https://chat.openai.com", "https://chatgpt-staging.com")))


class CodexProvider(msgspec.Struct, frozen=True):
    """Codex Cloud, or any service with its protocol, at `service`."""

    service: Service
    login: Login
    capabilities: Capabilities = CAPABILITIES
    settings: tuple[ProviderSetting, ...] = (CODEX_BASE_URL,)
    server_hints: tuple[str, ...] = ()
    task_pages: tuple[TaskPage, ...] = TASK_PAGES

    @property
    def name(self) -> str:
        """The part of every ref before the colon."""
        return self.service.name

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL."""
        return {"api": self.service.base_url}

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a bearer is timeless
        """Return *request* with the headers of 1.4; an account that is not known is not sent."""
        headers = [("authorization", f"Bearer {secret.token}")]
        if secret.account_id:
            headers.append(("chatgpt-account-id", secret.account_id))
        if secret.is_fedramp:
            headers.append(("x-openai-fedramp", "true"))
        return request.with_headers(*headers)

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec*, whose environment has been resolved, with the branch "main" where none is known.

        Raises `ConfigurationError` for what the service would not accept.
        """
        yield from ()
        request_bodies.checked(spec)
        return msgspec.structs.replace(spec, branch=(spec.branch or "").strip() or DEFAULT_BRANCH)

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Create the task: exactly one POST. *spec* has been prepared."""
        if not (spec.environment and spec.branch):
            raise errors.ConfigurationError(
                "the environment and the branch are not known yet", remedy="prepare the spec first"
            )
        response = yield self._post("tasks", body=request_bodies.new_task(spec))
        self._check(response)
        return msgspec.structs.replace(
            extract.task_from_created(response, self.service),
            prompt=spec.prompt,
            environment=spec.environment,
            branch=spec.branch,
            attempt_total=spec.attempts,  # the answer names the first turn only (docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks")
        )

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Continue a task after its current turn: one GET that names the turn, one POST."""
        turn = yield from self._current_turn(ref)
        response = yield self._post("tasks", body=request_bodies.follow_up(ref, turn, text, mode=mode, model=model))
        _check_observed(response, Verb.SEND_MESSAGE)
        return extract.task_from_created(response, self.service)

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a task: exactly one GET."""
        response = yield self._get("tasks", ref.id)
        self._check(response)
        return self.task_of(response, ref)

    def get_task_again(self, known: Task) -> Exchange[Task]:
        """Return a task: *known*, where the service sends the same bytes as before. Most polls show nothing new."""
        response = yield self._get("tasks", known.ref.id)
        self._check(response)
        return known if response.body == known.raw else self.task_of(response, known.ref)

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the response for a task, unchanged."""
        response: Response = yield self._get("tasks", ref.id)
        self._check(response)
        return response.body

    def list_attempts(self, task: Task) -> Exchange[tuple[Attempt, ...]]:
        """Return every attempt with its outcome: the current turn's from *task*, the others from one GET.

        A task that was listed or just created has no turn: its details are requested first.
        """
        turn = extract.current_turn(task.raw)
        if turn is None or not any(attempt.id == turn for attempt in task.attempts):
            task = yield from self.get_task(task.ref)
            turn = extract.current_turn(task.raw)
        if turn is None:
            return task.attempts
        response = yield self._get("tasks", task.ref.id, "turns", turn, "sibling_turns")
        check(response)
        return extract.attempts(task.attempts, response, current=turn)

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first, of at most 20 tasks, even for a larger *limit*; *environment* is an id."""
        if limit is not None and limit < 1:
            raise errors.ConfigurationError(f"a limit of {limit} tasks shows nothing", remedy="ask for at least one")
        wanted = {
            "limit": str(min(limit or PAGE_SIZE, PAGE_SIZE)),
            "task_filter": filter,
            "cursor": cursor,
            "environment_id": environment,
        }
        query = tuple((name, value) for name, value in wanted.items() if value)
        response = yield self._get("tasks", "list", query=query)
        self._check(response)
        return extract.page(response, self.service)

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None) -> Exchange[StatusPage]:  # noqa: ARG002 - a page is a page
        """Return one page of the current list: the state of a task there is that of its current turn.

        See docs/reference/protocols/codex-wham.md, "3 Status model".
        """
        page = yield from self.list_tasks(cursor=cursor)
        return StatusPage(tasks=page.items, cursor=page.cursor)

    def get_usage(self) -> Exchange[Usage]:
        """Return every window, credit and limit that the service reports."""
        from .rate_limits import usage  # for one verb

        response = yield self._get("usage")
        self._check(response)
        return usage(response)

    def list_models(self) -> tuple[Model, ...]:
        """Return the models known when this version was released; sends no request."""
        from .model_catalogue import models  # a data file for one verb

        return models()

    def stream_events(self, ref: TaskRef) -> Events:
        """Emit the events of the current turn as they arrive; earlier events of the turn are emitted again.

        The end of the stream is not the end of the task (docs/reference/protocols/codex-wham.md, "2.8 Server routes no
        open client calls").
        """
        from .turn_events import event_of  # for one verb

        turn = yield from self._current_turn(ref)
        query = (("item_type", "thread_event"), ("item_type", "log"))
        response = yield self._get("tasks", ref.id, "turns", turn, "stream", query=query, stream=True)
        _check_observed(response, Verb.STREAM_EVENTS)
        parser = EventStreamReader()
        while chunk := (yield Read(response.stream)):
            for event in parser.feed(chunk):
                if (task_event := event_of(event, ref)) is not None:
                    yield Emit(task_event)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:
        """Read a saved or live answer: the details, with the sibling turns where they were saved too."""
        others = None if siblings is None else Response(200, body=siblings)
        return extract.task_from_details(Response(200, body=response), self.service, siblings=others)

    # -- environments ------------------------------------------------------------------------------------------------

    def list_environments(self, *, repository: str | None = None) -> Exchange[tuple[Environment, ...]]:
        """Return all environments, or the ones of a repository (``owner/repo`` or a remote's URL)."""
        from . import environments  # 1 ms, for submissions and lists by repository

        if repository is None:
            return (yield from self._environments("environments"))
        wanted = environments.requested(None, repository)
        known = yield from self._known_environments(wanted)
        return environments.of_repository(known, wanted.name)

    def resolve_environment(self, environment: str | None, *, repository: str | None = None) -> Exchange[Environment]:
        """Return the environment of this id, label or repository. Raises `ConfigurationError` with the candidates."""
        from ...provider import choose_environment
        from . import environments  # as above

        wanted = environments.requested(environment, repository)
        known = yield from self._known_environments(wanted)
        return choose_environment(known, wanted.name)

    def _known_environments(self, wanted: environments.RequestedEnvironment) -> Exchange[tuple[Environment, ...]]:
        """Request the environments of the repository, then all; one of the requests may fail.

        See docs/reference/protocols/codex-wham.md, "5 Environments".
        """
        from . import environments  # as above

        near: tuple[Environment, ...] = ()
        if wanted.repository:
            try:
                by_repository = yield from self._environments(
                    "environments", "by-repo", "github", *wanted.repository.split("/")
                )
                near = environments.at_home(by_repository, wanted.repository)
            except errors.ProviderError:
                near = ()  # 400 without a GitHub link, 404 elsewhere; the list of all reports the error (docs/reference/protocols/codex-wham.md, "2.5 Environments")
        try:
            every = yield from self._environments("environments")
        except errors.ProviderError:
            if not near:
                raise
            every = ()
        return environments.merged(near, every)

    def _environments(self, *segments: str) -> Exchange[tuple[Environment, ...]]:
        response = yield self._get(*segments)
        self._check(response)
        return extract.environments(decode(response, list[wire.Environment]))

    # -- acting on a task (observed, 2.8) ------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Request the cancellation; the task's state follows a second later."""
        return self._act(Verb.CANCEL_TASK, self._post("tasks", ref.id, "cancel", body=b"{}"))

    def archive_task(self, ref: TaskRef) -> Exchange[None]:
        """Archive a task; `list_tasks(filter="archived")` shows it."""
        return self._act(Verb.ARCHIVE_TASK, self._post("tasks", ref.id, "archive", body=b"{}"))

    def unarchive_task(self, ref: TaskRef) -> Exchange[None]:
        """Bring an archived task back."""
        return self._act(Verb.UNARCHIVE_TASK, self._post("tasks", ref.id, "recover", body=b"{}"))

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete a task for good."""
        return self._act(Verb.DELETE_TASK, Request("DELETE", self.service.path("tasks", ref.id), headers=HEADERS))

    def create_pull_request(self, ref: TaskRef, *, attempt: int | None = None, draft: bool = True) -> Exchange[None]:
        """Request a draft pull request of an attempt (its number; None: the current one).

        Raises `UnsupportedError` for anything but a draft: the only other mode ever seen merges by itself.
        """
        if not draft:
            raise errors.UnsupportedError(
                f"{self.name} opens drafts only: its other mode merges by itself",
                remedy="open a draft and mark it ready on GitHub",
            )
        turn = yield from self._turn_of(ref, attempt)
        request = self._post("tasks", ref.id, "turns", turn, "pr", body=b'{"mode":"draft","add_codex_tag":false}')
        yield from self._act(Verb.CREATE_PULL_REQUEST, request)

    def _act(self, verb: str, request: Request) -> Exchange[None]:
        response = yield request
        _check_observed(response, verb)

    def _turn_of(self, ref: TaskRef, attempt: int | None) -> Exchange[str]:
        if attempt is None:
            return (yield from self._current_turn(ref))
        task = yield from self.get_task(ref)
        chosen = next((known for known in task.attempts if known.number == attempt), None)
        if chosen is None or chosen.outcome is None:  # a sibling's number is certain only once its turn has been seen
            attempts = yield from self.list_attempts(task)
            chosen = msgspec.structs.replace(task, attempts=attempts).attempt(attempt)
        return chosen.id

    def task_of(self, details: Response, ref: TaskRef) -> Task:
        """Return the task that details describe."""
        return extract.task_from_details(details, self.service, ref=ref)

    def _current_turn(self, ref: TaskRef) -> Exchange[str]:
        response = yield self._get("tasks", ref.id)
        self._check(response)
        turn = extract.current_turn(response.body)
        if turn is None:
            raise errors.UnreadableResponseError(f"{ref} has no turn to act on", path="$.current_assistant_turn.id")
        return turn

    def _check(self, response: Response) -> None:
        """Raise the answer's error, with the remedy for an account that the service has moved to another interface."""
        try:
            check(response)
        except errors.ProviderError as error:
            if self.name == CODEX and may_have_moved(error):
                error.remedy = MOVED
            raise

    def _get(self, *segments: str, query: Pairs = (), stream: bool = False) -> Request:
        return Request("GET", self.service.path(*segments), query, HEADERS, stream=stream)

    def _post(self, *segments: str, body: bytes) -> Request:
        return Request("POST", self.service.path(*segments), (), POST_HEADERS, body)


def may_have_moved(error: errors.ProviderError) -> bool:
    """Whether an error may be that of an account that uses the service's newer interface.

    Nobody has published that answer: these are the statuses of a route that is not there for an account, and the words of
    a refusal that gives this reason. A web page is an answer of the network edge.
    """
    detail = error.detail or ""
    if detail.startswith("an HTML page"):
        return False
    if error.status in (404, 410):
        return detail not in UNKNOWN_IDS
    return error.status in (400, 403, 409) and re.search(_MOVED, detail) is not None


def _check_observed(response: Response, verb: str) -> None:
    """Raise the answer's error; `UnsupportedError` where the route, and not the task, is unknown."""
    if response.status not in (404, 405):
        check(response)
        return
    error = error_for(response)
    if error.detail in UNKNOWN_IDS:
        raise error
    raise errors.UnsupportedError(
        f"the service no longer offers {verb}: {error}",
        remedy="do it on the task's web page; no official client uses this route",
    )
