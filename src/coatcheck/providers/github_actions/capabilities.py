"""What runs of workflows can do, and why they cannot do the rest (services.md 1 and 9)."""

from __future__ import annotations

from collections.abc import Mapping

from ..._protocol.provider import Capabilities, Support

VERBS: Mapping[str, Support] = {
    "create_task": Support.DOCUMENTED,
    "find_task": Support.DOCUMENTED,
    "get_task": Support.DOCUMENTED,
    "get_snapshot": Support.DOCUMENTED,
    "list_tasks": Support.DOCUMENTED,
    "get_status_page": Support.DOCUMENTED,
    "list_environments": Support.DOCUMENTED,
    "get_usage": Support.DOCUMENTED,
    "cancel_task": Support.DOCUMENTED,
    "delete_task": Support.DOCUMENTED,
    "stream_events": Support.DOCUMENTED,
}

CAPABILITIES = Capabilities(
    verbs=VERBS,
    reasons={
        "approve_plan": "a run that waits for a review is approved on its page",
        "archive_task": "GitHub archives no runs; delete_task deletes one",
        "create_pull_request": "the workflow opens one itself when the task was created with open_pull_request",
        "list_attempts": "a run that is started again keeps its id and its newest attempt",
        "list_models": "the workflow chooses, or takes any model's name as an input",
        "send_message": "a run hears nothing after its start",
        "unarchive_task": "GitHub archives no runs",
    },
    options=frozenset({"title", "model", "instructions", "starting_diff", "working_branch", "open_pull_request"}),
    # "If you are making a large number of POST, PATCH, PUT, or DELETE requests, wait at least one second between each"
    # (docs.github.com, "Best practices for using the REST API").
    write_pause=1.0,
    # 900 points a minute are the secondary limit, and a GET answered 304 is one as well (1.4): 15 a second, less one for
    # everything else that uses the token.
    rate=14.0,
    notes=(
        "Options are sent as inputs of their own names, and only where they are given: the workflow must declare them.",
        "What a run makes is in an artifact that its workflow uploads; coatcheck workflow init writes such a workflow.",
        "A run that is started again after its end has the notice revived.",
    ),
)
