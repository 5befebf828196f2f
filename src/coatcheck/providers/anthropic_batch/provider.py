"""The Anthropic batch provider: one exchange per verb.

Invariants:

- `create_task` is one POST that holds every request. The service takes no key and returns nothing of the input,
  so a lost answer stays uncertain: batches that could be it are named, and nothing is sent again.
- Results are requested once a batch has ended, from the configured origin: the URL in the response is not followed.

See docs/reference/protocols/services.md, "4 Other cloud coding agents and batch APIs".
"""

from __future__ import annotations

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
    base_url,
    batch_model,
    batch_requests,
    check,
    decode,
    encoded,
    errors,
    filter_page,
)
from . import extract, wire
from .extract import NAME

if TYPE_CHECKING:
    from ...provider import Secret, Settings, TaskSpec

DEFAULT_BASE_URL = "https://api.anthropic.com"
LOGIN = Login(
    name=NAME,
    remedy="make a key at https://console.anthropic.com/settings/keys and set ANTHROPIC_API_KEY",
    environment="ANTHROPIC_API_KEY",
    trusted_hosts=frozenset({"api.anthropic.com"}),
)

# A batch is limited to 100,000 requests or 256 MB, whichever comes first (Anthropic's guide to message batches).
MAX_REQUESTS, MAX_BYTES = 100_000, 256_000_000
# The API requires a number and has no default; the setting `max_tokens` changes this one.
DEFAULT_MAX_TOKENS = 8192
# The largest page of the list: "ranges from 1 to 1000" (Anthropic's SDK 2.11, ``batch_list_params.py``).
PAGE_SIZE = 1000
BATCHES = "/v1/messages/batches"

HEADERS: Pairs = (
    ("user-agent", USER_AGENT),
    ("accept", "application/json"),
    ("anthropic-version", "2026-10-21"),  # what Anthropic's SDKs 2.10 and 2.11 send (``_constants.py``)
)
POST_HEADERS: Pairs = (*HEADERS, ("content-type", "application/json"))

CAPABILITIES = Capabilities(
    vendor="anthropic",
    result="the text of each answer; no change",
    cost="not reported",
    lost_answer="not settled: the list shows no requests",
    verbs=dict.fromkeys(
        (Verb.CREATE_TASK, Verb.GET_TASK, Verb.LIST_TASKS, Verb.GET_STATUS_PAGE, Verb.CANCEL_TASK, Verb.DELETE_TASK),
        Support.DOCUMENTED,
    ),
    reasons={
        **BATCH_REASONS,
        Verb.ARCHIVE_TASK: "the service deletes the results of old batches itself",
    },
    options=frozenset({"model", "instructions", "requests"}),
    modes=frozenset({"code", "ask"}),
    # Documented is "up to 24 hours"; half an hour is a guess that the first batches correct.
    typical_seconds=1800.0,
    needs_environment=False,
    notes=(
        "A batch is one request, or as many as TaskSpec.requests names; each has its own outcome.",
        "A submission whose response was lost cannot be distinguished from other batches: the error lists the candidates.",
    ),
)


MAX_TOKENS = ProviderSetting("max_tokens", "how many tokens one answer may have at most", str(DEFAULT_MAX_TOKENS))
BASE_URL = ProviderSetting("base_url", "where the service is", DEFAULT_BASE_URL, ("ANTHROPIC_BASE_URL",))


class Service(msgspec.Struct, frozen=True):
    """The base URL, and the defaults of tasks."""

    base_url: str = DEFAULT_BASE_URL
    model: str | None = None
    max_tokens: int = DEFAULT_MAX_TOKENS

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for an address or a number that is none."""
        tokens = MAX_TOKENS.read(settings) or ""
        if not (tokens.isascii() and tokens.isdigit() and int(tokens)):
            raise errors.ConfigurationError(f"{NAME}.max_tokens cannot be {tokens!r}", remedy="give a whole number")
        return cls(base_url(BASE_URL.read(settings) or "", of=NAME), BATCH_MODEL.read(settings), int(tokens))


class AnthropicBatchProvider(msgspec.Struct, frozen=True):
    """The batches of a workspace at Anthropic, or at any service with the same API."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    login: ClassVar[Login] = LOGIN
    settings: ClassVar[tuple[ProviderSetting, ...]] = (BATCH_MODEL, MAX_TOKENS, BASE_URL)

    service: Service = Service()

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL."""
        return {"api": self.service.base_url}

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a key is timeless
        """Return *request* with the key on it; Anthropic's SDK sends the same key as a bearer.

        See docs/reference/protocols/services.md, "4 Other cloud coding agents and batch APIs".
        """
        return request.with_headers(("x-api-key", secret.token))

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* with its model. Raises `ConfigurationError` for what the service would not take."""
        yield from ()
        named = msgspec.structs.replace(spec, model=batch_model(spec, default=self.service.model, provider=NAME))
        size = len(self._body(named))
        if size > MAX_BYTES:
            raise errors.ConfigurationError(
                f"the batch is {size:,} bytes, and Anthropic takes {MAX_BYTES:,}", remedy="make several batches of it"
            )
        return named

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Create the batch: exactly one POST. *spec* has been prepared."""
        response: Response = yield Request("POST", BATCHES, headers=POST_HEADERS, body=self._body(spec))
        created = extract.task(decode(response, wire.Batch), raw=response.body)
        return msgspec.structs.replace(created, prompt=spec.prompt, mode=spec.mode, model=spec.model)

    def _body(self, spec: TaskSpec) -> bytes:
        system = {"system": spec.instructions} if spec.instructions else {}
        params = {"model": spec.model, "max_tokens": self.service.max_tokens, **system}
        requests = [
            {"custom_id": id, "params": {**params, "messages": [{"role": "user", "content": text}]}}
            for id, text in batch_requests(spec, most=MAX_REQUESTS).items()
        ]
        return msgspec.json.encode({"requests": requests})

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a batch: one GET while it is running, and one for its results once it has ended."""
        response = yield from self._fetch_task(ref)
        batch_page = extract.batch(response)
        results = (yield from self._results(ref)) if batch_page.results_url else None
        return extract.task(batch_page, results=results, raw=response.body)

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
        """Return one page, newest first; a batch whose results have been deleted counts as archived.

        No batch runs in an *environment*. The service cannot filter, so a page may hold few tasks and not be the last.
        """
        if environment is not None:
            return Page()
        if filter == "all":
            return (yield from self._batches(cursor, limit=limit))
        is_archived = filter == "archived"
        return (
            yield from filter_page(
                self._batches, lambda task: task.is_archived == is_archived, limit=limit, cursor=cursor
            )
        )

    def _batches(self, cursor: str | None, *, limit: int | None = None) -> Exchange[Page]:
        more = (("after_id", cursor),) if cursor else ()
        query = (("limit", str(min(limit or PAGE_SIZE, PAGE_SIZE))), *more)
        response = yield Request("GET", BATCHES, query=query, headers=HEADERS)
        check(response)
        return extract.page(response)

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:  # noqa: ARG002 - the list cannot be filtered by refs
        """Return the state of up to a thousand batches; those that have ended need a further request."""
        batch_page = yield from self.list_tasks(filter="all", cursor=cursor)
        return StatusPage(tasks=batch_page.items, cursor=batch_page.cursor)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:
        """Read a saved or live batch; *siblings* are the lines of its results."""
        return extract.task(extract.batch(Response(200, body=response)), results=siblings, raw=response)

    # -- acting ------------------------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Cancel a batch; completed requests are kept."""
        check((yield Request("POST", f"{_batch(ref)}/cancel", headers=POST_HEADERS, body=b"{}")))

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete a batch that has ended, with its results."""
        check((yield Request("DELETE", _batch(ref), headers=HEADERS)))

    # -- requests ----------------------------------------------------------------------------------------------------

    def _fetch_task(self, ref: TaskRef) -> Exchange[Response]:
        response: Response = yield Request("GET", _batch(ref), headers=HEADERS)
        check(response)
        return response

    def _results(self, ref: TaskRef) -> Exchange[bytes]:
        response: Response = yield Request("GET", f"{_batch(ref)}/results", headers=HEADERS)
        check(response)
        return response.body


def _batch(ref: TaskRef) -> str:
    return f"{BATCHES}/{encoded(ref.id)}"
