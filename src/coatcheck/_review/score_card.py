"""The evidence about a candidate, from which candidates are ranked."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar

from .._patches.patch_stats import PatchStats
from .._values.value import JsonFields, Value
from .candidates import Candidate
from .checks import CheckResult

if TYPE_CHECKING:
    from .._patches.policy import Finding


class CandidateResult(enum.StrEnum):
    """The result of a candidate in a word, the best first; only one that has passed is chosen automatically."""

    PASSED = "passed"
    REJECTED = "rejected"
    FAILED = "failed"
    UNCHECKED = "unchecked"
    CONFLICT = "conflict"
    NO_PATCH = "no patch"


class ScoreCard(Value, frozen=True, kw_only=True):
    """What is known about one candidate.

    `applies` is None where nothing was applied; `conflicts` are the paths where it does not. `findings` are the
    policy's. `same_as` are the other candidates that make the same change, `overlaps` those whose hunks change the same
    lines. `score` is the scorer's, 0 to 1, None without a scorer. `unchecked` is why required checks were not run.
    `failed_checks` are the required checks that it has not passed.
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
    failed_checks: tuple[str, ...] = ()
    rejections: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "result": "passed, rejected, failed, unchecked, conflict or no patch; only one that has passed is chosen",
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
        "failed_checks": "required checks that it has not passed",
        "rejections": "why it is never chosen automatically",
    }

    @property
    def result(self) -> CandidateResult:
        """Return the result in a word."""
        if self.candidate.patch is None:
            return CandidateResult.NO_PATCH
        if self.applies is False:
            return CandidateResult.CONFLICT
        if not self.rejections:
            return CandidateResult.PASSED
        if self.unchecked:
            return CandidateResult.UNCHECKED
        return CandidateResult.FAILED if self.failed_checks else CandidateResult.REJECTED
