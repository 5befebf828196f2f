"""The evidence about a candidate, from which candidates are ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .._patches.patch_stats import PatchStats
from .._values.value import JsonFields, Value
from .candidates import Candidate
from .checks import CheckResult

if TYPE_CHECKING:
    from .._patches.policy import Finding


class ScoreCard(Value, frozen=True, kw_only=True):
    """What is known about one candidate.

    `applies` is None where nothing was applied; `conflicts` are the paths where it does not. `findings` are the
    policy's. `same_as` are the other candidates that make the same change, `overlaps` those whose hunks change the same
    lines. `score` is the scorer's, 0 to 1, None without a scorer. `unchecked` says why required checks were not run.
    `rejections` are the reasons why the candidate is never chosen automatically, empty for one that may be.
    """

    candidate: Candidate
    applies: bool | None = None
    conflicts: tuple[str, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    protected_changes: tuple[str, ...] = ()
    stats: PatchStats | None = None
    same_as: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    score: float | None = None
    unchecked: str | None = None
    rejections: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "candidate": "candidate object",
        "applies": "whether the patch applies to the base",
        "conflicts": "paths where it does not",
        "checks": "check result objects",
        "findings": "what the policy has found: finding objects",
        "protected_changes": "protected paths that the patch changes; they are restored before checks",
        "stats": "size of the change",
        "same_as": "candidates that make the same change",
        "overlaps": "candidates that change the same lines",
        "score": "the scorer's, 0 to 1",
        "unchecked": "why required checks were not run",
        "rejections": "why it is never chosen automatically",
    }
