"""What runs of workflows can do, and why they cannot do the rest.

See docs/reference/protocols/services.md, "1 GitHub Actions" and "9 States and operations of all services compared".
"""

from __future__ import annotations

from collections.abc import Mapping

from ...provider import Capabilities, Support, Verb

VERBS: Mapping[Verb, Support] = {
    Verb.CREATE_TASK: Support.DOCUMENTED,
    Verb.FIND_TASK: Support.DOCUMENTED,
    Verb.GET_TASK: Support.DOCUMENTED,
    Verb.GET_SNAPSHOT: Support.DOCUMENTED,
    Verb.LIST_TASKS: Support.DOCUMENTED,
    Verb.GET_STATUS_PAGE: Support.DOCUMENTED,
    Verb.LIST_ENVIRONMENTS: Support.DOCUMENTED,
    Verb.GET_USAGE: Support.DOCUMENTED,
    Verb.CANCEL_TASK: Support.DOCUMENTED,
    Verb.DELETE_TASK: Support.DOCUMENTED,
    Verb.STREAM_EVENTS: Support.DOCUMENTED,
}

CAPABILITIES = Capabilities(
    vendor="github",
    result="an artifact that the workflow uploads",
    cost="not reported; rate limits: `usage`",
    verbs=VERBS,
    reasons={
        Verb.APPROVE_PLAN: "a run that waits for a review is approved on its page",
        Verb.ARCHIVE_TASK: "GitHub archives no runs; delete_task deletes one",
        Verb.CREATE_PULL_REQUEST: "the workflow opens one itself when the task was created with open_pull_request",
        Verb.LIST_ATTEMPTS: "a run that is started again keeps its id and its newest attempt",
        Verb.LIST_MODELS: "the workflow chooses, or takes any model's name as an input",
        Verb.SEND_MESSAGE: "a run takes no input after its start",
        Verb.UNARCHIVE_TASK: "GitHub archives no runs",
    },
    options=frozenset({"title", "model", "instructions", "starting_diff", "working_branch", "open_pull_request"}),
    # "If you are making a large number of POST, PATCH, PUT, or DELETE requests, wait at least one second between each"
    # (docs.github.com, "Best practices for using the REST API").
    write_pause=1.0,
    # 900 points a minute are the secondary limit, and a GET answered 304 is one as well
    # (docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling"): 15 a second, less one for
    # everything else that uses the token.
    rate=14.0,
    notes=(
        "Options are sent as inputs of their own names, and only where they are given: the workflow must declare them.",
        "What a run makes is in an artifact that its workflow uploads; coatcheck workflow init writes such a workflow.",
        "A run that is started again after its end has the notice revived.",
    ),
)
