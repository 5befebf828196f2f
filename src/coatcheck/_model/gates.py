"""Gates: decisions that are pending, and how they were decided.

A gate has a deadline and an action at the deadline, which approves only where somebody wrote that. Its digest stands for
what is decided: a decision on another digest is refused (docs/guides/approvals.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from datetime import datetime

GateKind: TypeAlias = Literal["plan", "permission", "question", "submission", "apply", "wave", "delivery"]
GateState: TypeAlias = Literal["open", "approved", "rejected", "expired", "withdrawn"]
Effect: TypeAlias = Literal["approve", "reject"]
OnExpiry: TypeAlias = Literal["reject", "approve", "hold"]
Via: TypeAlias = Literal["cli", "library", "mcp", "webhook", "acp", "web", "policy", "expiry"]

# What a wait does about a plan: approve it, end the wait, or continue since another process sends the approval.
PlanDecision: TypeAlias = bool | Literal["sent"]

KINDS: tuple[GateKind, ...] = ("plan", "permission", "question", "submission", "apply", "wave", "delivery")
STATES: tuple[GateState, ...] = ("open", "approved", "rejected", "expired", "withdrawn")
# Of these a subject has one open gate at most: one with another digest replaces it.
SINGLE_KINDS = frozenset({"plan", "question", "submission", "apply", "wave", "delivery"})
PREFIX = "gate:"
# How long a decision may take where nothing else was chosen: three days.
DEFAULT_SECONDS = 72 * 3600.0


class GateOption(Value, frozen=True, kw_only=True):
    """One of the answers to a gate. One that is lasting holds for later requests of the same kind as well."""

    id: str
    label: str
    effect: Literal["approve", "reject"]
    is_lasting: bool = False

    _json: ClassVar[JsonFields] = {
        "id": "what `approve --option` takes",
        "label": "the same for people",
        "effect": "approve or reject",
        "is_lasting": "whether it holds for later requests of the same kind",
    }


class PermissionRequest(Value, frozen=True, kw_only=True):
    """An agent's request for a permission: the task continues when one of `options` is chosen (`Client.decide_permission`).

    `kind` is the agent's word for what it wants to do, such as "edit" or "execute"; `paths` are the files that it
    named. At `expires_at` the service rejects the request.
    """

    id: str
    title: str
    kind: str | None = None
    detail: str | None = None
    options: tuple[GateOption, ...] = ()
    attempt: int | None = None
    paths: tuple[str, ...] = ()
    expires_at: datetime | None = None

    _json: ClassVar[JsonFields] = {
        "id": "its id, which `decide_permission` takes",
        "title": "what the agent wants to do, in one line",
        "kind": "the agent's word for it: edit, execute, fetch and so on",
        "detail": "the same in full",
        "options": "the possible decisions: gate option objects",
        "attempt": "number of the attempt that waits",
        "paths": "the files that the agent named",
        "expires_at": "when the service rejects it",
    }


APPROVE = GateOption(id="approve", label="Approve", effect="approve")
REJECT = GateOption(id="reject", label="Reject", effect="reject")
ANSWER = GateOption(id="answer", label="Answer", effect="approve")


class Decision(Value, frozen=True, kw_only=True):
    """A decision. `by` is a login, ``policy:NAME`` or ``expiry``; `via` is the way it was made."""

    gate: str
    option: str
    effect: Literal["approve", "reject"]
    by: str
    via: Literal["cli", "library", "mcp", "webhook", "acp", "web", "policy", "expiry"]
    at: datetime
    why: str | None = None
    digest: str | None = None

    _json: ClassVar[JsonFields] = {
        "gate": "the id of the gate",
        "option": "the option that was chosen",
        "effect": "approve or reject",
        "by": "who decided: a login, policy:NAME or expiry",
        "via": "cli, library, mcp, webhook, acp, web, policy or expiry",
        "at": "when",
        "why": "the reason that was given",
        "digest": "the digest of what was decided",
    }


class Gate(Value, frozen=True, kw_only=True):
    """A pending decision about `subject`: the ref of a task, ``submission:ID``, or an item of a fleet.

    `detail` is deleted when the gate is closed. `paths` and `lines` describe a change, for policies. `submitted_via` is
    how the subject was submitted. `GateStore.open` sets `id`, `opened_at` and `state`, and, where they are None,
    `expires_at` (in `DEFAULT_SECONDS`) and `on_expiry` (a plan is held, anything else rejected). `is_done` is whether the effect of the decision was carried out.
    """

    id: str = ""
    subject: str
    kind: Literal["plan", "permission", "question", "submission", "apply", "wave", "delivery"]
    title: str
    detail: str | None = None
    options: tuple[GateOption, ...] = (APPROVE, REJECT)
    digest: str | None = None
    opened_at: datetime | None = None
    expires_at: datetime | None = None
    on_expiry: Literal["reject", "approve", "hold"] | None = None
    state: Literal["open", "approved", "rejected", "expired", "withdrawn"] = "open"
    decision: Decision | None = None
    is_done: bool = False
    paths: tuple[str, ...] = ()
    lines: int | None = None
    repository: str | None = None
    submitted_via: Literal["cli", "library", "mcp", "webhook", "acp", "web", "policy", "expiry"] | None = None

    _json: ClassVar[JsonFields] = {
        "id": "its id",
        "subject": "what waits for the decision: the ref of a task, a submission, or an item of a fleet",
        "kind": "plan, permission, question, submission, apply, wave or delivery",
        "title": "what is decided, in one line",
        "detail": "the same in full, while it is open",
        "options": "gate option objects",
        "digest": "SHA-256 of what is decided",
        "opened_at": "when it was opened",
        "expires_at": "its deadline",
        "on_expiry": "what the deadline does: reject, approve or hold",
        "state": "open, approved, rejected, expired or withdrawn",
        "decision": "decision object, once it was decided",
        "is_done": "whether the effect of the decision was carried out",
        "paths": "the files of the change, where it is about one",
        "lines": "added and removed lines of the change",
        "repository": "owner/repo, where it is known",
        "submitted_via": "how the subject was submitted, where that is known",
    }

    @property
    def address(self) -> str:
        """Return the name that commands take, and the subject of its events."""
        return PREFIX + self.id

    def option(self, id: str) -> GateOption | None:
        """Return the option *id*, None where there is none."""
        return next((each for each in self.options if each.id == id), None)

    def first_option(self, effect: Effect) -> GateOption | None:
        """Return the first option with an effect that does not last, else the first with it."""
        fitting = [each for each in self.options if each.effect == effect]
        return next((each for each in fitting if not each.is_lasting), next(iter(fitting), None))


def digest_of(*parts: object) -> str:
    """Return the SHA-256 of texts, bytes and None, each with its length, so that no two lists have the same input."""
    import hashlib

    sha = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        sha.update(b"%d:" % len(data) + data)
    return sha.hexdigest()
