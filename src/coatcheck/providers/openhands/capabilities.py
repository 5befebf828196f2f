"""What an agent-server can do, and what it cannot."""

from __future__ import annotations

from collections.abc import Mapping

from ...provider import Capabilities, Support, Verb

VERBS: Mapping[Verb, Support] = dict.fromkeys(
    (
        Verb.CREATE_TASK,
        Verb.FIND_TASK,
        Verb.GET_TASK,
        Verb.GET_SNAPSHOT,
        Verb.LIST_TASKS,
        Verb.GET_STATUS_PAGE,
        Verb.LIST_ENVIRONMENTS,
        Verb.LIST_MODELS,
        Verb.CANCEL_TASK,
        Verb.SEND_MESSAGE,
        Verb.DECIDE_PERMISSION,
        Verb.DELETE_TASK,
        Verb.STREAM_EVENTS,
        Verb.GET_CURRENT_DIFF,
    ),
    Support.DOCUMENTED,
)

CAPABILITIES = Capabilities(
    vendor="openhands",
    result="the difference of the checkout on the server, made by git",
    cost="tokens and cost: a notice of the task",
    verbs=VERBS,
    reasons={
        Verb.APPROVE_PLAN: "OpenHands asks for permissions, not for the approval of a plan",
        Verb.LIST_ATTEMPTS: "a conversation is one attempt; submit several tasks with: coatcheck run --on openhands",
        Verb.CREATE_PULL_REQUEST: "the server has no access to a forge; apply the patch and push it",
        Verb.ARCHIVE_TASK: "the server has no archive; delete the task instead",
        Verb.UNARCHIVE_TASK: "the server has no archive",
        Verb.GET_USAGE: "the server reports what one conversation used, which its task shows as a notice",
    },
    options=frozenset({"title", "model", "instructions", "key"}),
    # A run of an agent on one machine takes minutes; the server reports no durations.
    typical_seconds=300.0,
    has_resumable_stream=True,
    notes=(
        "The change is read from the server by git; it includes what shell commands changed.",
        "Models and their keys are stored on the server: a task names one of its profiles, and sends no key.",
        "With confirmation `always` or `risky` a task waits for permissions; `approve` and `reject` decide them.",
        "A cancelled task keeps its conversation: a message continues it.",
    ),
)
