"""The provider of durable executions: one exchange per verb.

Invariants:

- A submission is one POST under a name, the task's key: AWS takes the same work under the same name once, so it
  may be sent again, and an execution whose answer was lost is found by it.
- A ref is the execution's ARN, encoded: it names region, function and version, and identifies the task alone.

See docs/reference/protocols/services.md, "3.2 Durable functions".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from ...provider import (
    USER_AGENT,
    Capabilities,
    Emit,
    Exchange,
    Page,
    Pairs,
    ProviderSetting,
    Request,
    Response,
    StatusPage,
    Support,
    Task,
    TaskFilter,
    TaskSnapshot,
    TaskState,
    Verb,
    collect_pages,
    errors,
)
from . import execution_history, extract
from .functions import BASE_URL, FUNCTION, REGION, Function, function_of, segment_of
from .lambda_provider import LambdaProvider
from .payload import OPTIONS, payload

if TYPE_CHECKING:
    from ...provider import Events, Intent, TaskRef, TaskSpec
    from .execution_history import Happening

HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "application/json"))
POST_HEADERS: Pairs = (*HEADERS, ("content-type", "application/json"))
# The largest page of the lists (AWS's descriptions of `MaxItems`).
PAGE_SIZE = 1000
# The pattern of `DurableExecutionName` in AWS's description.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ARN_HEADER = "x-amz-durable-execution-arn"

VERBS: Mapping[Verb, Support] = dict.fromkeys(
    (
        Verb.CREATE_TASK,
        Verb.FIND_TASK,
        Verb.GET_TASK,
        Verb.GET_SNAPSHOT,
        Verb.LIST_TASKS,
        Verb.GET_STATUS_PAGE,
        Verb.CANCEL_TASK,
        Verb.DELETE_TASK,
        Verb.SEND_MESSAGE,
        Verb.STREAM_EVENTS,
    ),
    Support.DOCUMENTED,
)

CAPABILITIES = Capabilities(
    result="the result of the function, by a convention",
    cost="not reported",
    verbs=VERBS,
    reasons={
        Verb.ARCHIVE_TASK: "AWS keeps ended executions for the days that the function configures, and has no archive",
        Verb.APPROVE_PLAN: "a function waits with a callback, which send_message completes",
        Verb.LIST_ATTEMPTS: "an execution is one attempt",
        Verb.LIST_ENVIRONMENTS: "functions are named, not listed: that would need another permission",
        Verb.LIST_MODELS: "the function chooses",
        Verb.GET_USAGE: "the Lambda API does not report costs",
        Verb.CREATE_PULL_REQUEST: "the function opens one itself, if it does",
    },
    options=frozenset({*OPTIONS, "key"}),
    modes=frozenset({"code", "ask"}),
    notes=(
        "The function is the environment, with a version or an alias: NAME:live.",
        "Its input and its result follow a convention: see its page.",
    ),
)


class DurableProvider(LambdaProvider, frozen=True):
    """The durable executions of one region."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES
    settings: ClassVar[tuple[ProviderSetting, ...]] = (REGION, FUNCTION, BASE_URL)

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* with its function. Raises `ConfigurationError` for one without a version."""
        yield from ()
        function = self.service.chosen(spec.environment)
        if function.qualifier is None:
            raise errors.ConfigurationError(
                f"a durable function is called with a version or an alias, and {function} names none",
                remedy=f"for example {function}:live, or {function}:$LATEST while you try things out",
            )
        if spec.key is not None and not _NAME.fullmatch(spec.key):
            raise errors.ConfigurationError(
                f"{spec.key!r} cannot be the key of a task here", remedy="use 1 to 64 letters, digits, - and _"
            )
        payload(spec)
        return msgspec.structs.replace(spec, environment=str(function))

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Start the execution: one POST that AWS takes once, however often it arrives. *spec* has been prepared."""
        function = Function.parse(spec.environment or "")
        headers = (("x-amz-invocation-type", "Event"), ("x-amz-durable-execution-name", spec.key or ""))
        response: Response = yield Request(
            "POST",
            f"/2015-03-31/functions/{function.segment}/invocations",
            query=function.query,
            headers=(*POST_HEADERS, *headers),
            body=payload(spec),
            idempotent=True,
        )
        extract.checked(response)
        arn = response.headers.get(ARN_HEADER)
        if not arn:
            raise errors.SubmissionUncertainError(
                f"{function} is not a durable function: it was started once, and its result cannot be requested",
                spec=spec,
                remedy="make it durable, or use the provider aws_lambda_async with a queue for its results",
            )
        return Task(
            ref=self.service.ref(arn),
            state=TaskState.QUEUED,
            prompt=spec.prompt,
            mode=spec.mode,
            title=spec.title,
            model=spec.model,
            environment=spec.environment,
            repository=spec.repository,
            branch=spec.branch,
        )

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the execution with the intent's name."""
        function = Function.parse(intent.environment or "")
        response = yield self._list(function, (("DurableExecutionName", intent.id),))
        ref = extract.ref_named(intent.id, extract.checked(response), self.service)
        return (yield from self.get_task(ref)) if ref else None

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Answer the callback that the execution waits for with *text*; returns the execution."""
        if mode != "code" or model is not None:
            raise errors.UnsupportedError(f"{self.name} takes a message's text and nothing else")
        from urllib.parse import quote

        happened = yield from self._happened(ref)
        callback = quote(execution_history.open_callback(happened, ref), safe="")
        extract.checked(
            (yield self._post(f"/2025-12-01/durable-execution-callbacks/{callback}/succeed", text.encode()))
        )
        return (yield from self.get_task(ref))

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return an execution with its result: one GET."""
        response = yield from self._fetch_task(ref)
        return extract.execution_task(response, self.service)

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the response for an execution, unchanged."""
        response = yield from self._fetch_task(ref)
        return response.body

    def get_snapshot(
        self,
        ref: TaskRef,
        *,
        memory: str = "",
        is_watched: bool,
        now: float,  # noqa: ARG002 - a history has no time limit
        shown: Task | None = None,
    ) -> Exchange[TaskSnapshot]:
        """Return a snapshot of an execution, with the new events of its history if they are watched."""
        task = shown or (yield from self.get_task(ref))
        if not is_watched:
            return TaskSnapshot(task=task, memory=memory)
        seen = int(memory) if memory.isdecimal() else 0
        fresh = yield from self._happened(ref, after=seen)
        return TaskSnapshot(
            task=task, events=execution_history.events_of(fresh, task), memory=str(fresh[-1].id) if fresh else memory
        )

    def stream_events(self, ref: TaskRef) -> Events:
        """Emit everything that has happened in an execution until now."""
        for happening in (yield from self._happened(ref, has_data=True)):
            yield Emit(execution_history.event_of(happening, ref))

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page of the executions of a function or of one of its versions, newest first.

        AWS keeps the executions of an alias under the version that ran, so an alias lists those of all versions. There
        is no archive: nothing is archived.
        """
        if filter == "archived":
            return Page()
        function = self.service.chosen(environment)
        version = () if function.version is None else (("Qualifier", function.version),)
        return (yield from self._page(function, limit=limit, cursor=cursor, query=version))

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:
        """Return the state of up to a thousand executions of one function: that of the first of *refs*, else the default one.

        Where neither is known there is nothing to list, and each is requested by itself.
        """
        named = function_of(refs[0])
        if named is None and not self.service.function:
            return StatusPage()
        listed = yield from self._page(named or self.service.chosen(None), limit=None, cursor=cursor)
        return StatusPage(tasks=listed.items, cursor=listed.cursor)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:  # noqa: ARG002 - one answer is whole
        """Read a saved or live execution."""
        return extract.execution_task(Response(200, body=response), self.service)

    # -- acting ------------------------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Stop an execution."""
        why = {"ErrorType": "Cancelled", "ErrorMessage": "stopped by the user"}
        extract.checked((yield self._post(f"{_execution(ref)}/stop", msgspec.json.encode(why))))

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete an execution that has ended."""
        extract.checked((yield Request("DELETE", _execution(ref), headers=HEADERS)))

    # -- requests ----------------------------------------------------------------------------------------------------

    def _fetch_task(self, ref: TaskRef) -> Exchange[Response]:
        response: Response = yield Request(
            "GET", _execution(ref), query=(("IncludeExecutionData", "true"),), headers=HEADERS
        )
        return extract.checked(response)

    def _page(self, function: Function, *, limit: int | None, cursor: str | None, query: Pairs = ()) -> Exchange[Page]:
        page = {"MaxItems": str(min(limit or PAGE_SIZE, PAGE_SIZE)), "Marker": cursor}
        response = yield self._list(function, (*query, *((name, value) for name, value in page.items() if value)))
        return extract.page(extract.checked(response), self.service)

    def _list(self, function: Function, query: Pairs) -> Request:
        """Return the request for a function's executions, of all versions: those of an alias are kept under theirs."""
        return Request(
            "GET", f"/2025-12-01/functions/{function.segment}/durable-executions", query=query, headers=HEADERS
        )

    def _happened(self, ref: TaskRef, *, after: int = 0, has_data: bool = False) -> Exchange[list[Happening]]:
        """Return what has happened after the event of that number, oldest first.

        It is read newest first, so that a long history costs nothing once it is known.
        """
        query = (
            ("ReverseOrder", "true"),
            ("MaxItems", str(PAGE_SIZE)),
            ("IncludeExecutionData", "true" if has_data else "false"),
        )

        def page(marker: str | None) -> Exchange[tuple[list[Happening], str | None]]:
            more = (("Marker", marker),) if marker else ()
            response = yield Request("GET", f"{_execution(ref)}/history", query=(*query, *more), headers=HEADERS)
            return execution_history.read_page(extract.checked(response))

        listed = yield from collect_pages(page, is_known=lambda each: each.id <= after)
        return sorted(listed, key=lambda each: each.id)

    def _post(self, path: str, body: bytes) -> Request:
        return Request("POST", path, headers=POST_HEADERS, body=body)


def _execution(ref: TaskRef) -> str:
    return f"/2025-12-01/durable-executions/{segment_of(ref)}"
