"""The requests to an agent-server (docs/reference/protocols/openhands.md, "2 Endpoints")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ...provider import USER_AGENT, Pairs, Request, errors
from .endpoints import POLICIES, Service

if TYPE_CHECKING:
    from ...provider import TaskSpec

HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "application/json"))
POST_HEADERS: Pairs = (*HEADERS, ("content-type", "application/json"))
CONVERSATIONS = "/api/conversations"
_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")
# The server answers a message only when the tool that runs has ended (docs/reference/protocols/openhands.md, "4 States").
MESSAGE_SECONDS = 300.0
# How many of the newest events show what a conversation waits for.
NEWEST = 50
# Tags of a conversation hold at most so many characters, and keys are lower-case letters and digits.
MAX_TAG = 256
ENVIRONMENT_TAG, REPOSITORY_TAG, BRANCH_TAG = "coatcheckenvironment", "coatcheckrepository", "coatcheckbranch"
CANCELLED_TAG = "coatcheckcancelled"


def conversation_path(id: str, rest: str = "", *, root: str = CONVERSATIONS) -> str:
    """Return the path of a conversation, or of something below it. Raises `ConfigurationError` for what is no id."""
    if not _ID.fullmatch(id):
        raise errors.ConfigurationError(
            f"{id!r} is not the id of a conversation", remedy="give a UUID, as coatcheck list prints it"
        )
    return f"{root}/{id}{rest}"


def get(path: str, *query: tuple[str, str]) -> Request:
    """Return a request that reads."""
    return Request("GET", path, query=query, headers=HEADERS)


def newest_events(id: str) -> Request:
    """Return the request for the newest events of a conversation, the newest first."""
    order = (("sort_order", "TIMESTAMP_DESC"), ("limit", str(NEWEST)))
    return get(conversation_path(id, "/events/search"), *order)


def post(path: str, body: Mapping[str, Any], **options: Any) -> Request:
    """Return a request that changes something; *options* are fields of `Request`."""
    return Request("POST", path, headers=POST_HEADERS, body=msgspec.json.encode(body), **options)


def patch(path: str, body: Mapping[str, Any]) -> Request:
    """Return a request that sets fields; repeated, it sets the same."""
    return Request("PATCH", path, headers=POST_HEADERS, body=msgspec.json.encode(body), idempotent=True)


def message(text: str) -> Mapping[str, Any]:
    """Return a message of a person, which starts the agent."""
    return {"role": "user", "content": [{"type": "text", "text": text}], "run": True}


def new_conversation(spec: TaskSpec, service: Service, *, id: str, profile: str, folder: str) -> Mapping[str, Any]:
    """Return the body that creates the conversation *id* in *folder*; without *profile* the server's settings decide."""
    additions = {"llm_profile_ref": spec.model, "system_message_suffix_append": spec.instructions}
    return {
        "conversation_id": id,
        "agent_profile_id": profile,
        "agent_launch_additions": {name: value for name, value in additions.items() if value is not None},
        "workspace": {"kind": "LocalWorkspace", "working_dir": folder},
        "confirmation_policy": {"kind": POLICIES[service.confirmation]},
        "autotitle": spec.title is None,
        "tags": _tags(spec),
        "initial_message": message(spec.prompt),
    }


def _tags(spec: TaskSpec) -> Mapping[str, str]:
    known = {ENVIRONMENT_TAG: spec.environment, REPOSITORY_TAG: spec.repository, BRANCH_TAG: spec.branch}
    return {name: value for name, value in known.items() if value and len(value) <= MAX_TAG}
