"""What is known after candidates were checked, and how far the checks are."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from .._values.value import JsonFields, Value
from .checks import CheckResult

ProgressState: TypeAlias = Literal["running", "passed", "failed", "error", "skipped", "unchecked"]


class CheckProgress(Value, frozen=True, kw_only=True):
    """A check of one candidate has begun ("running") or ended; `candidate` is None for the unpatched base."""

    candidate: str | None = None
    check: str
    state: Literal["running", "passed", "failed", "error", "skipped", "unchecked"]
    seconds: float = 0.0

    _json: ClassVar[JsonFields] = {
        "candidate": "name of the candidate, null for the unpatched base",
        "check": "name of the check",
        "state": "running, passed, failed, error, skipped or unchecked",
        "seconds": "how long it took",
    }


class VerificationResult(Value, frozen=True, kw_only=True):
    """What the checks found about one candidate.

    `applies` is None where nothing was applied: there is no patch, or no base. `conflicts` are the paths where it does
    not apply. `tree` is the id of the tree that the patch makes of the base, which is the same for every spelling of a
    change. `protected_changes` are the protected paths that the patch changes; the checks ran with those of the base.
    `unchecked` says why the checks were not run.
    """

    candidate: str
    applies: bool | None = None
    conflicts: tuple[str, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    protected_changes: tuple[str, ...] = ()
    unchecked: str | None = None
    tree: str | None = None

    _json: ClassVar[JsonFields] = {
        "candidate": "name of the candidate",
        "applies": "whether the patch applies to the base",
        "conflicts": "paths where it does not",
        "checks": "check result objects",
        "protected_changes": "protected paths that the patch changes; they are restored before checks",
        "unchecked": "why the checks were not run",
        "tree": "id of the tree that the patch makes of the base",
    }
