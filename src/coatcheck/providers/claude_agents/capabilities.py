"""What Claude Managed Agents can do, and what they cannot."""

from __future__ import annotations

from ...provider import Capabilities, Support, Verb

CAPABILITIES = Capabilities(
    vendor="anthropic",
    result="a file that the agent writes, `change.patch`",
    cost="tokens and cost: an event and a notice of the task",
    verbs=dict.fromkeys(
        (
            Verb.CREATE_TASK,
            Verb.FIND_TASK,
            Verb.GET_TASK,
            Verb.GET_SNAPSHOT,
            Verb.LIST_TASKS,
            Verb.GET_STATUS_PAGE,
            Verb.LIST_ENVIRONMENTS,
            Verb.RESOLVE_ENVIRONMENT,
            Verb.CANCEL_TASK,
            Verb.SEND_MESSAGE,
            Verb.DECIDE_PERMISSION,
            Verb.ARCHIVE_TASK,
            Verb.DELETE_TASK,
            Verb.STREAM_EVENTS,
        ),
        Support.DOCUMENTED,
    ),
    reasons={
        Verb.APPROVE_PLAN: "an agent asks for permissions, not for the approval of a plan",
        Verb.CREATE_PULL_REQUEST: "the service opens none; apply the patch and push it",
        Verb.GET_CURRENT_DIFF: "the change is written when the agent has finished",
        Verb.GET_USAGE: "the API reports usage for each session; see the notices of a task",
        Verb.LIST_ATTEMPTS: "a session is one attempt; submit several tasks with: coatcheck run --on claude_agents",
        Verb.LIST_MODELS: "the agent has a model; --model names another",
        Verb.UNARCHIVE_TASK: "archiving ends a session for good",
    },
    options=frozenset({"title", "model", "instructions"}),
    modes=frozenset({"code", "ask"}),
    # A guess that the first tasks correct: a turn of an agent takes minutes, and no documentation has a duration.
    typical_seconds=600.0,
    needs_environment=False,
    has_resumable_stream=True,
    notes=(
        "The change is a file that the agent writes (change.patch); its prompt says how, in a text of its own.",
        "A list requests the last events of each idle session: only they say how it ended.",
        "With claude_agents.max_cost a session pauses at that cost.",
    ),
)
