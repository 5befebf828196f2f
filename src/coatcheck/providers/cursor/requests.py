"""The requests to Cursor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ...provider import USER_AGENT, Pairs, Request, encoded

if TYPE_CHECKING:
    from ...provider import TaskRef, TaskSpec

HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "application/json"))
AGENTS = "/v1/agents"


def agent_path(id: str) -> str:
    """Return the path of an agent."""
    return f"{AGENTS}/{encoded(id)}"


def run_path(ref: TaskRef, run: str) -> str:
    """Return the path of a run."""
    return f"{agent_path(ref.id)}/runs/{encoded(run)}"


def get(path: str, *, query: Pairs = ()) -> Request:
    """Return a request that reads."""
    return Request("GET", path, query=query, headers=HEADERS)


def post(path: str, body: Mapping[str, object], *, key: str | None = None) -> Request:
    """Return a request that changes something; with a *key*, one that may be repeated.

    The official SDK sends the key in the same header (docs/reference/protocols/cursor.md, "7 Idempotency").
    """
    headers = (*HEADERS, ("content-type", "application/json"), *((("idempotency-key", key),) if key else ()))
    return Request("POST", path, headers=headers, body=msgspec.json.encode(body), idempotent=key is not None)


def new_agent(spec: TaskSpec, id: str) -> dict[str, object]:
    """Return the body that creates an agent, without fields that are not set."""
    repository = {"url": spec.environment, "startingRef": spec.branch}
    body = {
        "agentId": id,
        "prompt": {"text": spec.prompt},
        "name": spec.title,
        "model": {"id": spec.model} if spec.model else None,
        "repos": [_present(repository)] if spec.environment else None,
        "autoCreatePR": spec.open_pull_request,
    }
    return _present(body)


def stream(path: str, last_event: str) -> Request:
    """Return the request for the events of a run after *last_event*."""
    headers = (("user-agent", USER_AGENT), ("accept", "text/event-stream"))
    resumed = (("last-event-id", last_event),) if last_event else ()
    return Request("GET", f"{path}/stream", headers=(*headers, *resumed), stream=True)


def _present(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
