"""The provider of a described service: submit, poll the address that it names, fetch the result.

The pattern is that of docs/reference/protocols/services.md, "6 Standards".

Invariants:

- `create_task` is one request. The response names the task (202, 201, 303) or is the result itself (200).
- `get_task` is one GET, and one more for a result that is kept elsewhere.
- An answer that names another address for the task (``Location``, ``Operation-Location``) is followed there by the
  next poll; the ref does not change, and its first address is requested again where the new one is unknown.
- The meaning of a response is defined by the description alone; `extract` applies it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ...provider import (
    USER_AGENT,
    Capabilities,
    Exchange,
    Login,
    Pairs,
    Request,
    Response,
    StatusPage,
    Support,
    Task,
    TaskFilter,
    TaskRef,
    TaskSnapshot,
    TaskSpec,
    TaskState,
    Verb,
    check,
    errors,
    filter_page,
    number,
)
from . import extract
from .json_selectors import Answer
from .task_urls import Addresses
from .template import filled, filled_path, filled_text, values_of

if TYPE_CHECKING:
    from ...provider import Page, Secret
    from .description import Act, Description, Listing

# The options beyond prompt, repository, environment and branch, where the description sends it.
OPTIONS = (
    "starting_diff",
    "model",
    "title",
    "instructions",
    "requires_approval",
    "open_pull_request",
    "working_branch",
)
# What a description must have for a verb, and the verb.
VERBS: Mapping[str, tuple[Verb, ...]] = {
    "cancel": (Verb.CANCEL_TASK,),
    "delete": (Verb.DELETE_TASK,),
    "list": (Verb.LIST_TASKS, Verb.GET_STATUS_PAGE),
}
# Responses to an accepted submission; 303 names the address of the result (RFC 9110 15.4.4).
ACCEPTED = frozenset({200, 201, 202, 204, 303})
# Their information is in their headers; a web page in their body is ignored.
ACCEPTED_WITHOUT_BODY = frozenset({202, 303})


class Http202Provider(msgspec.Struct, frozen=True):
    """The service `name` at `base_url`, as `described`."""

    name: str
    base_url: str
    described: Description

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What the service can do according to the description."""
        described, names = self.described, self.described.names
        verbs = [Verb.CREATE_TASK, Verb.GET_TASK, Verb.GET_SNAPSHOT]
        verbs += [verb for key, each in VERBS.items() if getattr(described, key) is not None for verb in each]
        missing = {
            each[0]: f"its description has no [services.{self.name}.{key}]"
            for key, each in VERBS.items()
            if getattr(described, key) is None
        }
        return Capabilities(
            verbs=dict.fromkeys(verbs, Support.DOCUMENTED),
            reasons=missing,
            options=frozenset(OPTIONS) & names,
            modes=frozenset({"code", "ask"} if "mode" in names else {"code"}),
            notes=("Described in your settings, which define what it can do.",),
        )

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL."""
        return {"api": self.base_url}

    @property
    def login(self) -> Login:
        """The environment variable that holds the secret."""
        variable = self.described.token_variable or f"{self.name.upper().replace('-', '_')}_TOKEN"
        return Login(name=self.name, remedy=f"set {variable}", environment=variable)

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - these are timeless
        """Return *request* with the secret in the header of the description."""
        described = self.described
        if described.auth == "header":
            return request.with_headers(((described.auth_header or "").lower(), secret.token))
        if described.auth == "basic":
            import base64  # one kind of service in many

            return request.with_headers(("authorization", f"Basic {base64.b64encode(secret.token.encode()).decode()}"))
        return request.with_headers(("authorization", f"Bearer {secret.token}"))

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* as it is; raises `ConfigurationError` for what the description requires and it lacks."""
        yield from ()
        values = values_of(spec)
        if missing := [name for name in self.described.submit.requires if not values.get(name)]:
            raise errors.ConfigurationError(f"{self.name} needs a {missing[0]}", remedy=f"give a {missing[0]}")
        return spec

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Submit the task: exactly one request. A result in the response is kept in the task."""
        request = self._submission(spec)
        response: Response = yield request
        if response.status not in ACCEPTED:
            check(response)
        answer = extract.read(response, is_lenient=response.status in ACCEPTED_WITHOUT_BODY)
        native = self._native_of(answer, requested=self.base_url + request.path)
        parsed = self._accepted(answer, native) if native else self._at_once(answer, spec, raw=response.body)
        return msgspec.structs.replace(
            parsed,
            title=parsed.title or spec.title,
            prompt=parsed.prompt or spec.prompt,
            environment=parsed.environment or spec.environment,
            repository=parsed.repository or spec.repository,
            branch=parsed.branch or spec.branch,
        )

    def _submission(self, spec: TaskSpec) -> Request:
        submit, values = self.described.submit, values_of(spec)
        return self._request(
            submit.method,
            filled_path(submit.path, values),
            query=_pairs(submit.query, values),
            headers=_headers({**PREFER, **submit.headers}, values),
            body=filled(submit.body, values),
        )

    def _native_of(self, answer: Answer, *, requested: str) -> str | None:
        """Return the id that the answer names, or the address where no path makes one of an id."""
        submit = self.described.submit
        if self.described.status.path is not None:
            return extract.native_id(answer, self.described, is_new=True)
        location = submit.location.word(answer)
        return self._addresses.shortened(location, requested=requested) if location else None

    def _accepted(self, answer: Answer, native: str) -> Task:
        """Return the task as accepted: its state is in the body; the HTTP status alone is none."""
        parsed = extract.task(answer, self.described, self._addresses, native=native)
        if parsed.raw_state is None and not self.described.task.done:
            parsed = msgspec.structs.replace(parsed, state=TaskState.QUEUED, error=None)
        return parsed if self._has_result_elsewhere else extract.with_outcome(parsed, answer, self.described)

    def _at_once(self, answer: Answer, spec: TaskSpec, *, raw: bytes) -> Task:
        """Return the task that was answered with its result. Raises `UnreadableResponseError` where that is none."""
        parsed = extract.task(answer, self.described, self._addresses, native=_new_id(spec, raw), raw=raw)
        if not parsed.state.is_terminal:
            places = "an id" if self.described.status.path else "an address"
            raise errors.UnreadableResponseError(
                f"the service accepted the task and its answer holds neither {places} nor the result",
                status=answer.status,
                remedy=f"say where it is in [services.{self.name}.submit]",
            )
        return extract.with_outcome(parsed, answer, self.described)

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Poll a task: one GET, and one for a result at another address."""
        task, _ = yield from self._polled(ref, None)
        return task

    def _polled(self, ref: TaskRef, address: str | None) -> Exchange[tuple[Task, str | None]]:
        """Poll a task at *address* (None: its ref's own), and return it with the address to poll next."""
        response: Response = yield self._status_request(ref, address=address)
        requested = self._task_url(ref, address)
        task = yield from self._task_of(response, ref, requested=requested)
        return task, None if task.state.is_terminal else self._moved_to(response, requested) or address

    def _moved_to(self, response: Response, requested: str) -> str | None:
        """Return the new address of a running task, None where it is the one that was requested."""
        if self.described.status.path is not None:
            return None
        answer = extract.read(response, is_lenient=True)
        location = self.described.submit.location.word(answer)
        address = self._addresses.shortened(location, requested=response.url or requested) if location else None
        return None if address is None or self._addresses.url_of(address) == requested else address

    def get_snapshot(
        self, ref: TaskRef, *, memory: str, is_watched: bool, now: float, shown: Task | None = None
    ) -> Exchange[TaskSnapshot]:
        """Poll a task of a wait; a new task may be unknown to the service for a while.

        The memory is when it was first missed (seconds since the epoch), or that it was seen, with the address that the
        service has moved it to.
        """
        del is_watched, shown
        memory, _, moved = memory.partition(" ")
        try:
            task, address = yield from self._polled_where(ref, moved or None)
        except errors.NotFoundError:
            since = number(memory or now)
            if since is None or now - since >= self.described.status.not_found_seconds:
                raise
            return TaskSnapshot(task=Task(ref=ref, state=TaskState.QUEUED), memory=f"{since:.0f}")
        return TaskSnapshot(task=task, memory=f"{SEEN} {address}" if address else SEEN)

    def _polled_where(self, ref: TaskRef, moved: str | None) -> Exchange[tuple[Task, str | None]]:
        """Poll a task where it was *moved* to, or at its ref's own address where nothing is known of it there."""
        if moved is not None:
            try:
                return (yield from self._polled(ref, moved))
            except errors.NotFoundError:
                pass
        return (yield from self._polled(ref, None))

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the body of the status response, unchanged."""
        response = yield from self._fetch_task(ref)
        check(response)
        return response.body

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:
        """Read a saved status answer, with the saved result where that is kept elsewhere."""
        answer = extract.read(Response(200, body=response))
        native = extract.native_id(answer, self.described) or extract.NO_ID
        parsed = extract.task(answer, self.described, self._addresses, native=native, raw=response)
        if siblings is not None:
            answer = extract.read(Response(200, body=siblings))
        elif self._has_result_elsewhere:
            return parsed
        return extract.with_outcome(parsed, answer, self.described)

    def _fetch_task(self, ref: TaskRef) -> Exchange[Response]:
        response: Response = yield self._status_request(ref)
        return response

    def _status_request(self, ref: TaskRef, *, method: str = "GET", address: str | None = None) -> Request:
        status, native = self.described.status, self._addresses.native(ref)
        if native.startswith(AT_ONCE):
            raise errors.UnsupportedError(
                f"{ref} has no address: its result came with the answer to the submission, and only there"
            )
        query = _pairs(status.query, {"id": native})
        if status.path is not None:
            request = self._request(method, filled_path(status.path, {"id": native}), query=query)
        else:
            at = self._addresses.request_to(self._addresses.url_of(address or native), method=method)
            request = self._request(method, at.path, query=query, url=at.url, is_public=at.is_public)
        return msgspec.structs.replace(request, conditional=method == "GET")

    def _task_of(self, response: Response, ref: TaskRef, *, requested: str) -> Exchange[Task]:
        native = self._addresses.native(ref)
        is_elsewhere = extract.is_elsewhere(response, requested)
        if is_elsewhere and 400 <= response.status < 500 and response.status not in extract.OUR_FAULT:
            return extract.refused_result(response, Task(ref=ref, state=TaskState.FAILED, raw=response.body))
        check(response)
        answer = extract.read(response, requested=requested)
        parsed = extract.task(answer, self.described, self._addresses, native=native, raw=response.body)
        if parsed.state is TaskState.SUCCEEDED and not is_elsewhere:
            answer = yield from self._result(answer, native, requested=requested)
        return extract.with_outcome(parsed, answer, self.described)

    def _result(self, answer: Answer, native: str, *, requested: str) -> Exchange[Answer]:
        """Return the answer that holds the result: this one, or one that is fetched."""
        described = self.described.result
        location = described.location.word(answer)
        if described.path is not None:
            request = self._request("GET", filled_path(described.path, {"id": native}))
        elif location is not None:
            url = self._addresses.url_of(self._addresses.shortened(location, requested=requested))
            at = self._addresses.request_to(url)
            request = self._request("GET", at.path, url=at.url, is_public=at.is_public)
        else:
            return answer
        response: Response = yield request
        check(response)
        return extract.read(response)

    @property
    def _has_result_elsewhere(self) -> bool:
        return bool(self.described.result.path or self.described.result.location)

    def _task_url(self, ref: TaskRef, address: str | None = None) -> str:
        request = self._status_request(ref, address=address)
        return request.url or self.base_url + request.path

    # -- many --------------------------------------------------------------------------------------------------------

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page. The environment is filtered here, so a page may hold few tasks and not be the last.

        Raises `UnsupportedError` for another filter, and for an *environment* where the description selects neither the
        environment nor the repository of a task.
        """
        listing = self.described.list
        if listing is None or filter != "current":
            raise errors.UnsupportedError(f"{self.name} lists all its tasks or none: it has no filters")
        if environment is None:
            return (yield from self._listed(listing, cursor, limit=limit))
        if not (self.described.task.environment or self.described.task.repository):
            raise errors.UnsupportedError(
                f"the description of {self.name} selects no environment of a task",
                remedy=f"add task.environment to services.{self.name}, or leave out --environment",
            )
        return (
            yield from filter_page(
                lambda cursor: self._listed(listing, cursor),
                lambda task: environment in (task.environment, task.repository),
                limit=limit,
                cursor=cursor,
            )
        )

    def _listed(self, listing: Listing, cursor: str | None, *, limit: int | None = None) -> Exchange[Page]:
        wanted = {listing.cursor_parameter: cursor, listing.limit_parameter: limit}
        query = tuple((name, str(value)) for name, value in wanted.items() if name and value is not None)
        response = yield self._request("GET", listing.path, query=(*listing.query.items(), *query))
        check(response)
        return extract.page(extract.read(response), self.described, self._addresses)

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None) -> Exchange[StatusPage]:
        """Poll many tasks at once: a page of the list."""
        del refs
        page = yield from self.list_tasks(cursor=cursor)
        return StatusPage(tasks=page.items, cursor=page.cursor)

    # -- acting ------------------------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Request the cancellation; the task has the result."""
        return self._act(self.described.cancel, ref)

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Cancel the task."""
        return self._act(self.described.delete, ref)

    def _act(self, act: Act | None, ref: TaskRef) -> Exchange[None]:
        if act is None:
            raise errors.UnsupportedError(f"{self.name} is not described to do that")
        if act.path is None:
            request = self._status_request(ref, method=act.method)
        else:
            request = self._request(act.method, filled_path(act.path, {"id": self._addresses.native(ref)}))
        response = yield self._with_body(request, act.body)
        check(response)

    # -- requests ----------------------------------------------------------------------------------------------------

    @property
    def _addresses(self) -> Addresses:
        return Addresses(self.name, self.base_url)

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Pairs = (),
        headers: Pairs = (),
        body: object = None,
        url: str = "",
        is_public: bool = False,
    ) -> Request:
        """Return a request with the common headers; another host gets none of the user's headers."""
        own = () if is_public else _headers(self.described.headers, {})
        request = Request(
            method,
            path,
            query=query,
            headers=(("user-agent", USER_AGENT), ("accept", "application/json, */*;q=0.5")),
            url=url,
            is_public=is_public or self.described.auth == "none",
        )
        return self._with_body(request.with_headers(*own, *headers), body)

    def _with_body(self, request: Request, body: object) -> Request:
        if body is None:
            return request
        try:
            encoded = msgspec.json.encode(body)
        except UnicodeEncodeError:
            raise errors.ConfigurationError("the task is not valid Unicode text", remedy="give it in UTF-8") from None
        return msgspec.structs.replace(request.with_headers(("content-type", "application/json")), body=encoded)


# RFC 7240 4.1: who would answer at once need not; who ignores it does no harm.
PREFER: Mapping[str, str] = {"prefer": "respond-async"}
SEEN = "seen"
# Ids of tasks without an id of the service begin with this.
AT_ONCE = "at-once-"


def _new_id(spec: TaskSpec, raw: bytes) -> str:
    """Return an id for a task that was returned with its result and no id: the same for the same work and result."""
    import hashlib  # 2 ms, and hardly a service answers so

    return AT_ONCE + hashlib.sha256(spec.prompt.encode() + b"\0" + raw).hexdigest()[:16]


def _pairs(texts: Mapping[str, str], values: Mapping[str, object]) -> Pairs:
    return tuple((name, filled_text(text, values)) for name, text in texts.items())


def _headers(texts: Mapping[str, str], values: Mapping[str, object]) -> Pairs:
    """Return headers with *values* in them; raises `ConfigurationError` for what no header can hold (RFC 9110 5.5)."""
    pairs = tuple((name.lower(), text) for name, text in _pairs(texts, values))
    for name, text in pairs:
        if not (text.isascii() and text.isprintable()):
            raise errors.ConfigurationError(
                f"the header {name} holds printable ASCII only", remedy="send it in the body"
            )
    return pairs
