"""What a Codex host can do, and what it cannot."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...provider import Capabilities, Support, Verb
from .places import MAX_ATTEMPTS

VERBS: Mapping[Verb, Support] = dict.fromkeys(
    (
        Verb.CREATE_TASK,
        Verb.FIND_TASK,
        Verb.GET_TASK,
        Verb.LIST_TASKS,
        Verb.GET_STATUS_PAGE,
        Verb.LIST_ATTEMPTS,
        Verb.LIST_MODELS,
        Verb.GET_USAGE,
        Verb.CANCEL_TASK,
        Verb.SEND_MESSAGE,
        Verb.DECIDE_PERMISSION,
        Verb.ARCHIVE_TASK,
        Verb.UNARCHIVE_TASK,
        Verb.DELETE_TASK,
        Verb.STREAM_EVENTS,
        Verb.GET_CURRENT_DIFF,
    ),
    Support.DOCUMENTED,
)

CAPABILITIES = Capabilities(
    result="the difference of the checkout on the host, made by git",
    cost="tokens: an event; limits of the account: `usage`",
    verbs=VERBS,
    reasons={
        Verb.APPROVE_PLAN: "Codex asks for permissions, not for the approval of a plan",
        Verb.LIST_ENVIRONMENTS: "an environment is the path of a repository on the host, which the host does not list",
        Verb.CREATE_PULL_REQUEST: "a host has no access to a forge; apply the patch and push it",
    },
    options=frozenset({"attempts", "title", "model", "instructions", "key"}),
    modes=frozenset({"code", "ask"}),
    max_attempts=MAX_ATTEMPTS,
    # A turn of an agent on one machine takes minutes; no service reports durations.
    typical_seconds=300.0,
    has_resumable_stream=True,
    notes=(
        "The change is read from the host by git; it includes what shell commands changed.",
        "An interrupted host leaves its tasks paused; a message continues them.",
        "With approval_policy on-request or untrusted a task waits for permissions; `approve` and `reject` decide them.",
    ),
)

_STREAMS = frozenset({Verb.STREAM_EVENTS})

# A program serves one verb at a time, and its tasks end with the client.
PROGRAM_CAPABILITIES = msgspec.structs.replace(
    CAPABILITIES,
    verbs={verb: support for verb, support in VERBS.items() if verb not in _STREAMS},
    reasons={**CAPABILITIES.reasons, Verb.STREAM_EVENTS: "a program serves one call at a time; use a host that runs"},
    has_resumable_stream=False,
    notes=(
        *CAPABILITIES.notes,
        "A program ends with the client, and its running tasks with it: for attended work only.",
    ),
)
