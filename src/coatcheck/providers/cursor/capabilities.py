"""What Cursor's API can do, and why it cannot do the rest."""

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
        Verb.LIST_ENVIRONMENTS,
        Verb.RESOLVE_ENVIRONMENT,
        Verb.LIST_MODELS,
        Verb.CANCEL_TASK,
        Verb.SEND_MESSAGE,
        Verb.ARCHIVE_TASK,
        Verb.UNARCHIVE_TASK,
        Verb.DELETE_TASK,
        Verb.STREAM_EVENTS,
    ),
    Support.DOCUMENTED,
)

CAPABILITIES = Capabilities(
    vendor="cursor",
    result="the diff of the agent's branch, from GitHub where the repository is public",
    cost="tokens and cost: a notice of the task",
    verbs=VERBS,
    reasons={
        Verb.APPROVE_PLAN: "the service has no call that approves a plan",
        Verb.DECIDE_PERMISSION: "agents do not ask for permissions",
        Verb.CREATE_PULL_REQUEST: "Cursor opens one itself when the task was created with open_pull_request",
        Verb.LIST_ATTEMPTS: "an agent is one attempt; submit several tasks instead",
        Verb.GET_STATUS_PAGE: "the list shows agents without the states of their runs",
        Verb.GET_USAGE: "the service reports the usage of one agent only, which its task shows as a notice",
    },
    options=frozenset({"title", "model", "open_pull_request", "key"}),
    # No figures are published. 5 to 60 minutes are reported of Jules, whose agents do the same work
    # (docs/reference/protocols/jules.md, "3.2 Intervals"); durations that were observed replace it.
    typical_seconds=1200.0,
    needs_environment=False,
    has_resumable_stream=True,
    notes=(
        "The service returns no diff: it is read from GitHub where the repository is public.",
        "The list shows no states: show or wait for a task to read its own.",
        "A message starts another run of the same task.",
    ),
)
