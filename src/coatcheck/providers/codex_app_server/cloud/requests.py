"""Requests over HTTPS, connections, and what their errors mean.

Invariants:

- reading is done over HTTPS and changes nothing; what changes a thread is sent over a WebSocket;
- a web page in place of an answer, which was seen with the header ``cf-mitigated: challenge``, is an error of the network
  edge, which is reported and not worked around;
- a refusal that names no thread has the remedy for an account that the service does not know.

See docs/reference/protocols/codex-app-server.md, "9 Codex Cloud threads".
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from ....provider import (
    USER_AGENT,
    Exchange,
    Pairs,
    Request,
    Response,
    channel_of,
    clean_json,
    decode,
    encoded,
    errors,
)
from .. import wire
from ..connection import HostConnection, initialize
from .endpoints import BACKEND_NAME, CloudService

T = TypeVar("T")

HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "application/json"))
ACCOUNT_REMEDY = f"the account may not have Codex Cloud's threads: use --provider codex, or unset {BACKEND_NAME}"
EXPERIMENTAL: Mapping[str, Any] = {"experimentalApi": True}


def connect(service: CloudService) -> Generator[Any, Any, HostConnection]:
    """Return a connection that takes calls. Raises the error of a service that opens none, with its remedy."""
    response = yield service.open()
    with _remedies(response, id=None):
        channel = channel_of(response)
    connection = HostConnection.over(channel)
    yield from initialize(connection, EXPERIMENTAL)
    return connection


def get(*segments: str, query: Mapping[str, object | None] | None = None) -> Request:
    """Return a request that reads; parameters that are None are left out."""
    given = tuple((name, str(value)) for name, value in (query or {}).items() if value is not None)
    return Request("GET", "/" + "/".join(map(encoded, segments)), given, HEADERS)


def fetch(request: Request, shape: type[T], *, id: str | None = None) -> Exchange[T]:
    """Send *request* and return its answer as *shape*. *id* is the thread that it names."""
    response = yield request
    return _read(response, shape, id=id)


def fetch_raw(request: Request, *, id: str) -> Exchange[bytes]:
    """Send a *request* about a thread and return the body of its answer, which is a JSON object."""
    response = yield request
    _read(response, dict[str, msgspec.Raw], id=id)
    return clean_json(response.body)


def _read(response: Response, shape: type[T], *, id: str | None) -> T:
    with _remedies(response, id=id):
        return decode(response, shape)


@contextmanager
def _remedies(response: Response, *, id: str | None) -> Iterator[None]:
    """Add the remedy to an error of a response."""
    try:
        yield
    except errors.ProviderError as error:
        is_refused = response.status == 403 or (response.status == 404 and id is None)
        if is_refused and error.remedy is None:  # a web page has another
            error.remedy = ACCOUNT_REMEDY
        raise


def thread_path(id: str, *segments: str, version: str = "v1") -> tuple[str, ...]:
    """Return the path of a thread, or of a list below it."""
    return (version, "threads", id, *segments)


def last_turn(id: str, *, view: str) -> Request:
    """Return the request for the newest turn of a thread."""
    query = {"limit": 1, "sortDirection": "desc", "itemsView": view}
    return get(*thread_path(id, "turns", version="v2"), query=query)


def read_turns(id: str, *, view: str) -> Exchange[wire.TurnPage]:
    """Return the newest turn of a thread; none where its history is not there yet."""
    return (yield from fetch(last_turn(id, view=view), wire.TurnPage, id=id))


def read_thread(id: str) -> Exchange[wire.Thread]:
    """Return a thread. Raises `NotFoundError` where there is none."""
    answer = yield from fetch(get(*thread_path(id)), wire.Started, id=id)
    return answer.thread


class CloudHistory:
    """The history of a thread over HTTPS, for its event log."""

    def read_thread(self, id: str) -> Exchange[wire.Thread]:
        """Return the thread."""
        return read_thread(id)

    def read_items(self, id: str, *, limit: int, cursor: str | None) -> Exchange[wire.ItemPage]:
        """Return a page of the complete items, the oldest first."""
        query = {"limit": limit, "cursor": cursor, "sortDirection": "asc"}
        return fetch(get(*thread_path(id, "items", version="v2"), query=query), wire.ItemPage, id=id)
