"""Scripts of sessions of the emulated Jules, as tables of steps.

A step is a new state, an activity or outputs. A script stops at a step that waits for an approval or a message.

See docs/reference/protocols/jules.md, "2.3 SessionState", "2.4 Activity" and "2.5 outputs".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from ..._values.value import Value

Json: TypeAlias = Mapping[str, object]

DIFF = """\
diff --git a/hello.txt b/hello.txt
new file mode 100644
index 0000000..94954ab
--- /dev/null
+++ b/hello.txt
@@ -0,0 +1,2 @@
+hello
+world
"""
BASE_COMMIT = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
PLAN_ID = "a" * 32

# The smallest PNG: one pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Act(Value, frozen=True, kw_only=True):
    """One step of a script; `waits_for` is "approval" or "message" where the script stops until one arrives."""

    state: str | None = None
    activity: Json | None = None
    outputs: tuple[Json, ...] = ()
    waits_for: str = ""


class Order(Value, frozen=True, kw_only=True):
    """The request that created a session, and the options of the emulator."""

    prompt: str
    needs_approval: bool = False
    open_pull_request: bool = False
    has_source: bool = True
    has_bash_output: bool = True


Life: TypeAlias = Callable[[Order], tuple[Act, ...]]


# -- activities --------------------------------------------------------------------------------------------------------


def plan(*titles: str, id: str = PLAN_ID) -> Json:
    """Return the activity of a plan; the first step has no index, as proto3 leaves a zero out.

    See docs/reference/protocols/jules.md, "1.1 Base, auth, versions".
    """
    steps = [{"id": f"{n:032x}", "title": title, **({"index": n} if n else {})} for n, title in enumerate(titles)]
    return {"originator": "agent", "planGenerated": {"plan": {"id": id, "steps": steps}}}


def approved(id: str = PLAN_ID) -> Json:
    """Return the activity of an approval; one by the service also has the user as originator.

    See docs/reference/protocols/jules.md, "2.4 Activity".
    """
    return {"originator": "user", "planApproved": {"planId": id}}


def agent_message(text: str) -> Json:
    """Return the activity of a message of the agent."""
    return {"originator": "agent", "agentMessaged": {"agentMessage": text}}


def user_message(text: str) -> Json:
    """Return the activity of a message of the user."""
    return {"originator": "user", "userMessaged": {"userMessage": text}}


def progress(title: str | None = None, *artifacts: Json) -> Json:
    """Return the activity of progress; its texts are often absent.

    See docs/reference/protocols/jules.md, "2.4 Activity".
    """
    shown = {"artifacts": list(artifacts)} if artifacts else {}
    return {"originator": "agent", **shown, "progressUpdated": {"title": title} if title else {}}


COMPLETED: Json = {"originator": "agent", "sessionCompleted": {}}
FAILED: Json = {"originator": "agent", "sessionFailed": {"reason": "Jules was unable to complete the task."}}
# The documentation has it without a kind; the official client cannot read it (docs/reference/protocols/jules.md, "2.4
# Activity").
STARTED: Json = {"originator": "system", "description": "Session started"}


def change(order: Order, diff: str = DIFF) -> Json:
    """Return a change set; without a repository it has an empty source and no base.

    See docs/reference/protocols/jules.md, "2.5 outputs".
    """
    patch = {"unidiffPatch": diff, "suggestedCommitMessage": "Say hello to the world"}
    if not order.has_source:
        return {"changeSet": {"source": "sources/github/", "gitPatch": patch}}
    return {"changeSet": {"source": "sources/github/owner/repo", "gitPatch": {**patch, "baseCommitId": BASE_COMMIT}}}


# An empty one is frequent (docs/reference/protocols/jules.md, "2.4 Activity").
NO_CHANGE: Json = {"changeSet": {"source": "sources/github/owner/repo", "gitPatch": {}}}
BASH: Json = {"bashOutput": {"command": "make test", "output": "3 passed\n"}}
IMAGE: Json = {"media": {"data": PIXEL, "mimeType": "image/png"}}

PULL_REQUEST: Json = {
    "pullRequest": {
        "url": "https://github.com/owner/repo/pull/7",
        "title": "Say hello to the world",
        "description": "Adds the world.\n\nPR created automatically by Jules",
        "baseRef": "main",
        "headRef": "say-hello-1234567890",
    }
}


# -- scripts -----------------------------------------------------------------------------------------------------------


def _planned(order: Order) -> tuple[Act, ...]:
    begun = (Act(), Act(state="PLANNING", activity=progress("Cloned the repository")))
    plan_activity = plan("Read the code", "Say hello")
    if order.needs_approval:
        return (*begun, Act(state="AWAITING_PLAN_APPROVAL", activity=plan_activity, waits_for="approval"))
    return (*begun, Act(activity=plan_activity), Act(state="IN_PROGRESS", activity=approved()))


def _worked(order: Order) -> tuple[Act, ...]:
    shown = (*((BASH,) if order.has_bash_output else ()), IMAGE, NO_CHANGE)
    return (
        Act(activity=progress()),
        Act(activity=progress("Ran bash command", *shown)),
        Act(activity=agent_message("Done in `hello.txt`.")),
        Act(activity=progress("Code reviewed", change(order))),
    )


def _outputs(order: Order) -> tuple[Json, ...]:
    is_opened = order.open_pull_request and order.has_source
    return (change(order), *((PULL_REQUEST,) if is_opened else ()))


def ordinary(order: Order) -> tuple[Act, ...]:
    """Queued, planned, approved, in progress, completed with a change, and with a pull request if requested."""
    end = Act(state="COMPLETED", activity=COMPLETED, outputs=_outputs(order))
    return (*_planned(order), *_worked(order), end)


def without_outputs(order: Order) -> tuple[Act, ...]:
    """Complete with the change in the activities only, as is frequent.

    See docs/reference/protocols/jules.md, "2.5 outputs".
    """
    return (*_planned(order), *_worked(order), Act(state="COMPLETED", activity=COMPLETED))


def nothing_made(order: Order) -> tuple[Act, ...]:
    """Complete without an output, a change or a last activity.

    See docs/reference/protocols/jules.md, "3.1 Decision table for a client".
    """
    return (*_planned(order), Act(activity=progress("Read the code")), Act(state="COMPLETED"))


def plan_only(order: Order) -> tuple[Act, ...]:
    """Complete with a plan that was not approved in ten minutes; a later approval changes nothing.

    See docs/reference/protocols/jules.md, "2.3 SessionState" and "1 Transport".
    """
    del order
    return (Act(), Act(state="PLANNING"), Act(activity=plan("Read the code")), Act(state="COMPLETED"))


def revived(order: Order) -> tuple[Act, ...]:
    """Complete, and restart after a comment on the pull request: the change is made again.

    See docs/reference/protocols/jules.md, "2.3 SessionState" and "2 Resources and methods".
    """
    again = (
        Act(state="IN_PROGRESS", activity=progress("Read a review")),
        Act(activity=progress("Fixed it", change(order))),
    )
    return (*ordinary(order), *again, Act(state="COMPLETED", activity=COMPLETED))


def paused(order: Order) -> tuple[Act, ...]:
    """Stop without an end, as sessions that fail silently do.

    See docs/reference/protocols/jules.md, "2.3 SessionState" and "3 Detecting things; polling; what the official SDK
    does".
    """
    return (*_planned(order), Act(activity=progress("Read the code")), Act(state="PAUSED", waits_for="message"))


def stalled(order: Order) -> tuple[Act, ...]:
    """Stay in progress without further activities.

    See docs/reference/protocols/jules.md, "3.1 Decision table for a client".
    """
    return (*_planned(order), Act(activity=progress("Read the code")))


def asking(order: Order) -> tuple[Act, ...]:
    """Ask a question, wait for the answer, and continue (docs/reference/protocols/jules.md, "2.3 SessionState")."""
    question = Act(state="AWAITING_USER_FEEDBACK", activity=agent_message("Which greeting?"), waits_for="message")
    end = Act(state="COMPLETED", activity=COMPLETED, outputs=_outputs(order))
    return (*_planned(order), question, *_worked(order), end)


def failed(order: Order) -> tuple[Act, ...]:
    """Fail with the usual text; an earlier message of the agent has the reason.

    See docs/reference/protocols/jules.md, "2.4 Activity".
    """
    return (
        *_planned(order),
        Act(activity=agent_message("The tests need a database.")),
        Act(state="FAILED", activity=FAILED),
    )


def unknown_words(order: Order) -> tuple[Act, ...]:
    """Send an unknown state, activity, artifact and output."""
    strange: Json = {"originator": "agent", "riverCrossed": {"width": 3}, "artifacts": [{"hologram": {"size": 1}}]}
    ferry: Json = {"ferryTicket": {"number": 9}}
    return (
        *_planned(order),
        Act(state="MEDITATING", activity=STARTED),
        Act(activity=strange),
        Act(state="COMPLETED", activity=COMPLETED, outputs=(ferry, change(order))),
    )
