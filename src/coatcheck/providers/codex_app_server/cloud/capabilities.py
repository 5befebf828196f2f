"""What has been observed of the service, and what has not."""

from __future__ import annotations

from collections.abc import Mapping

from ....provider import Capabilities, Support, Verb

VERBS: Mapping[Verb, Support] = dict.fromkeys(
    (
        Verb.CREATE_TASK,
        Verb.FIND_TASK,
        Verb.GET_TASK,
        Verb.LIST_TASKS,
        Verb.GET_STATUS_PAGE,
        Verb.LIST_ENVIRONMENTS,
        Verb.RESOLVE_ENVIRONMENT,
        Verb.LIST_MODELS,
        Verb.CANCEL_TASK,
        Verb.SEND_MESSAGE,
        Verb.STREAM_EVENTS,
    ),
    Support.OBSERVED,
)

UNOBSERVED = "OpenAI documents nothing of Codex Cloud's threads, and no client has been observed"
# Why a task has no patch.
NO_CHANGE = f"{UNOBSERVED} fetching a change from the machine of a thread"

CAPABILITIES = Capabilities(
    verbs=VERBS,
    reasons={
        Verb.GET_CURRENT_DIFF: NO_CHANGE,
        Verb.CREATE_PULL_REQUEST: f"{UNOBSERVED} opening a pull request",
        Verb.ARCHIVE_TASK: f"{UNOBSERVED} archiving a thread",
        Verb.UNARCHIVE_TASK: f"{UNOBSERVED} unarchiving a thread",
        Verb.DELETE_TASK: f"{UNOBSERVED} deleting a thread",
        Verb.DECIDE_PERMISSION: f"{UNOBSERVED} deciding a permission",
        Verb.GET_USAGE: f"{UNOBSERVED} reading limits",
        Verb.LIST_ATTEMPTS: f"{UNOBSERVED} forking a thread; submit several tasks with: coatcheck run --on codex_app_server:3",
        Verb.APPROVE_PLAN: "Codex asks for permissions, not for the approval of a plan",
    },
    options=frozenset({"title"}),
    # No durations are published; the tasks of the older Codex Cloud take minutes.
    typical_seconds=300.0,
    has_resumable_stream=True,
    vendor="openai",
    result="messages; the change is not returned",
    cost="not observed",
    no_change=NO_CHANGE,
    notes=(
        "Observed by third parties in October 2026, undocumented: the service may change or refuse it at any time.",
        "The change of a task is not returned: nobody has observed how it leaves the service.",
    ),
)
