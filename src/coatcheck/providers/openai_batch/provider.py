"""The OpenAI batch provider: one exchange per verb.

Invariants:

- The requests are uploaded first, as a file that does nothing by itself: only the POST that follows makes a task,
  and only that one is ever uncertain.
- A batch carries the submission's key in its metadata, where a lost answer is found again.
- Results are requested once a batch has ended: its output file, and its error file, where it has them.

See docs/reference/protocols/services.md, "4 Other cloud coding agents and batch APIs".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from ...provider import (
    BATCH_MODEL,
    BATCH_REASONS,
    USER_AGENT,
    Capabilities,
    Exchange,
    Login,
    Notice,
    Page,
    Pairs,
    ProviderSetting,
    Request,
    Response,
    StatusPage,
    Support,
    Task,
    TaskFilter,
    TaskRef,
    Verb,
    Webhooks,
    base_url,
    batch_model,
    batch_requests,
    check,
    decode,
    encoded,
    error_for,
    errors,
)
from . import extract, wire
from .extract import KEY, NAME, TITLE

if TYPE_CHECKING:
    from ...provider import Intent, Secret, Settings, TaskSpec

DEFAULT_BASE_URL = "https://api.openai.com/v1"
LOGIN = Login(
    name=NAME,
    remedy="make a key at https://platform.openai.com/api-keys and set OPENAI_API_KEY",
    environment="OPENAI_API_KEY",
    trusted_hosts=frozenset({"api.openai.com"}),
)

# "The file can contain up to 50,000 requests, and can be up to 200 MB in size" (OpenAI's SDK, `BatchCreateParams`).
MAX_REQUESTS, MAX_BYTES = 50_000, 200_000_000
# The only one there is (same source).
WINDOW = "24h"
ENDPOINT = "/v1/responses"
# Metadata: "values are strings with a maximum length of 512 characters" (same source).
MAX_VALUE = 512
# The largest page of the list (OpenAI's API reference), and how many are searched for a key: a thousand batches.
PAGE_SIZE, SEARCH_PAGES = 100, 10

HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "application/json"))
POST_HEADERS: Pairs = (*HEADERS, ("content-type", "application/json"))

CAPABILITIES = Capabilities(
    vendor="openai",
    result="the text of each answer; no change",
    cost="not reported",
    verbs=dict.fromkeys(
        (Verb.CREATE_TASK, Verb.FIND_TASK, Verb.GET_TASK, Verb.LIST_TASKS, Verb.GET_STATUS_PAGE, Verb.CANCEL_TASK),
        Support.DOCUMENTED,
    ),
    reasons={
        **BATCH_REASONS,
        Verb.ARCHIVE_TASK: "the service has no archive of batches",
        Verb.DELETE_TASK: "batches cannot be deleted, only their files",
    },
    options=frozenset({"model", "title", "instructions", "key", "requests"}),
    modes=frozenset({"code", "ask"}),
    # Documented is "within 24 hours"; an hour is a guess that the first batches correct.
    typical_seconds=3600.0,
    needs_environment=False,
    notes=("A batch is one request, or as many as TaskSpec.requests names; each has its own outcome.",),
)


NO_RESULT = Notice(
    kind="no_result", text="the files of its results are there no more: the service keeps them for a time"
)


BASE_URL = ProviderSetting("base_url", "where the service is", DEFAULT_BASE_URL, ("OPENAI_BASE_URL",))


class Service(msgspec.Struct, frozen=True):
    """The base URL, and the model of tasks that name none."""

    base_url: str = DEFAULT_BASE_URL
    model: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for an address that is none."""
        return cls(base_url(BASE_URL.read(settings) or "", of=NAME), BATCH_MODEL.read(settings))


class OpenAIBatchProvider(msgspec.Struct, frozen=True):
    """The batches of an account at OpenAI, or at any service with the same API."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    login: ClassVar[Login] = LOGIN
    settings: ClassVar[tuple[ProviderSetting, ...]] = (BATCH_MODEL, BASE_URL)

    service: Service = Service()

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL."""
        return {"api": self.service.base_url}

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
        """Return *spec* with its model. Raises `ConfigurationError` for what the service would not take."""
        yield from ()
        named = msgspec.structs.replace(spec, model=batch_model(spec, default=self.service.model, provider=NAME))
        size = len(_jsonl(named))
        if size > MAX_BYTES:
            raise errors.ConfigurationError(
                f"the batch is {size:,} bytes, and OpenAI takes {MAX_BYTES:,}", remedy="make several batches of it"
            )
        if len(spec.key or "") > MAX_VALUE:
            raise errors.ConfigurationError(f"a key has at most {MAX_VALUE} characters here")
        return named

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Upload the requests, then create the batch: exactly one POST makes a task. *spec* has been prepared."""
        file = yield from self._upload(_jsonl(spec))
        metadata = {KEY: spec.key, TITLE: (spec.title or "")[:MAX_VALUE] or None}
        body = {
            "input_file_id": file,
            "endpoint": ENDPOINT,
            "completion_window": WINDOW,
            "metadata": {name: value for name, value in metadata.items() if value},
        }
        response: Response = yield Request("POST", "/batches", headers=POST_HEADERS, body=msgspec.json.encode(body))
        created = extract.task(decode(response, wire.Batch), raw=response.body)
        return msgspec.structs.replace(created, prompt=spec.prompt, mode=spec.mode, model=created.model or spec.model)

    def _upload(self, lines: bytes) -> Exchange[str]:
        """Upload a file, as often as it takes: one too many expires by itself, and starts nothing.

        If it fails, no batch was created, and the error reports that nothing was sent.
        """
        kind, body = _form(lines)
        request = Request("POST", "/files", headers=(*HEADERS, ("content-type", kind)), body=body, idempotent=True)
        try:
            response: Response = yield request
        except errors.TransportError as error:
            raise errors.TransportError(f"the requests could not be uploaded: {error}", request_sent=False) from error
        if response.status >= 500:
            message = f"the requests could not be uploaded: {error_for(response)}"
            raise errors.TransportError(message, request_sent=False)
        return decode(response, wire.File).id

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the batch that carries the intent's key."""
        cursor: str | None = None
        for _ in range(SEARCH_PAGES):
            response = yield self._list(cursor, PAGE_SIZE)
            check(response)
            if (batch_page := extract.keys(response).get(intent.id)) is not None:
                return extract.task(batch_page)
            cursor = extract.page(response).cursor
            if cursor is None:
                break
        return None

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a batch: one GET while it is running, and one for each file of results once it has ended."""
        response = yield from self._fetch_task(ref)
        batch_page = extract.batch(response)
        state = extract.STATES.get(batch_page.status or "")
        results = (yield from self._results(batch_page)) if state and state.is_terminal else None
        task = extract.task(batch_page, results=results, raw=response.body)
        if results or not (batch_page.output_file_id or batch_page.error_file_id):
            return task
        return task if results is None else msgspec.structs.replace(task, notices=(*task.notices, NO_RESULT))

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the response for a batch, unchanged."""
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
        """Return one page, newest first. There is no archive, and no batch runs in an *environment*."""
        if filter == "archived" or environment is not None:
            return Page()
        response = yield self._list(cursor, min(limit or PAGE_SIZE, PAGE_SIZE))
        check(response)
        return extract.page(response)

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:  # noqa: ARG002 - the list cannot be filtered by refs
        """Return the state of up to a hundred batches; those that have ended need a further request."""
        batch_page = yield from self.list_tasks(cursor=cursor)
        return StatusPage(tasks=batch_page.items, cursor=batch_page.cursor)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:
        """Read a saved or live batch; *siblings* are the lines of its output and error files."""
        return extract.task(extract.batch(Response(200, body=response)), results=siblings, raw=response)

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Cancel a batch; completed requests are kept, and the rest is cancelled within ten minutes (OpenAI's SDK)."""
        check((yield Request("POST", f"{_batch(ref)}/cancel", headers=POST_HEADERS, body=b"{}")))

    # -- requests ----------------------------------------------------------------------------------------------------

    def _fetch_task(self, ref: TaskRef) -> Exchange[Response]:
        response: Response = yield Request("GET", _batch(ref), headers=HEADERS)
        check(response)
        return response

    def _results(self, batch: wire.Batch) -> Exchange[bytes]:
        """Return the lines of both files; a file that is there no more has none (they expire)."""
        bodies = []
        for file in filter(None, (batch.output_file_id, batch.error_file_id)):
            response: Response = yield Request("GET", f"/files/{encoded(file)}/content", headers=HEADERS)
            if response.status != 404:
                check(response)
                bodies.append(response.body)
        return b"\n".join(bodies)

    def _list(self, cursor: str | None, size: int) -> Request:
        more = (("after", cursor),) if cursor else ()
        return Request("GET", "/batches", query=(("limit", str(size)), *more), headers=HEADERS)


def _batch(ref: TaskRef) -> str:
    return f"/batches/{encoded(ref.id)}"


def _jsonl(spec: TaskSpec) -> bytes:
    """Return the requests as the lines of a file; the same bytes for the same work."""
    instructions = {"instructions": spec.instructions} if spec.instructions else {}
    prompts = batch_requests(spec, most=MAX_REQUESTS)
    lines = (
        {
            "custom_id": id,
            "method": "POST",
            "url": ENDPOINT,
            "body": {"model": spec.model, "input": text, **instructions},
        }
        for id, text in prompts.items()
    )
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def _form(lines: bytes) -> tuple[str, bytes]:
    """Return the type and the body of an upload; the boundary is a digest of the content, which cannot contain it."""
    boundary = f"coatcheck-{hashlib.sha256(lines).hexdigest()}"
    purpose = b'content-disposition: form-data; name="purpose"\r\n\r\nbatch'
    file = (
        b'content-disposition: form-data; name="file"; filename="requests.jsonl"\r\ncontent-type: application/jsonl\r\n\r\n'
        + lines
    )
    edge = b"--" + boundary.encode()
    body = b"\r\n".join((edge + b"\r\n" + purpose, edge + b"\r\n" + file, edge + b"--", b""))
    return f"multipart/form-data; boundary={boundary}", body
