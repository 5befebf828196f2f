"""Make score cards: what the checks, the policy and the other patches show about each candidate.

Invariants:
- every candidate has a card, in the order given;
- a card without `ScoreCard.rejections` is of a candidate that applies, passed every required check, breaks no rule of the
  policy, and changes no protected path unless that was permitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PatchError, PatchRejectedError
from .agreement import Agreement, find_agreement
from .checks import Check, CheckResult, Verdict
from .score_card import ScoreCard

if TYPE_CHECKING:
    import os

    from .._patches.policy import Finding, Policy
    from .candidates import Candidate
    from .verification_results import VerificationResult

# So many paths are named in a rejection.
MAX_PATHS = 3
# So much of the last line that a check wrote is quoted.
MAX_QUOTED = 120

# Verdict of a required check that did not pass -> the rejection.
FAILURES: Mapping[Verdict, str] = {
    Verdict.FAILED: "it fails %s",
    Verdict.ERROR: "%s could not be run to its end on it",
    Verdict.SKIPPED: "%s was skipped",
    Verdict.UNCHECKED: "%s was not run",
}


class Rules(NamedTuple):
    """What a candidate must comply with: the checks, the policy, and whether it may change protected paths.

    *base* is the commit that candidates are checked on. *checkout* is where the policy looks for symbolic links that a
    path goes through, None for nowhere.
    """

    checks: Sequence[Check] = ()
    policy: Policy | None = None
    allow_protected: bool = False
    checkout: str | os.PathLike[str] | None = None
    base: str | None = None


def make_score_cards(
    candidates: Sequence[Candidate],
    rules: Rules,
    results: Sequence[VerificationResult] = (),
    scores: Mapping[str, float] | None = None,
) -> tuple[ScoreCard, ...]:
    """Return the score card of each candidate. *results* are the verifier's, *scores* the scorer's, by name."""
    by_name = {result.candidate: result for result in results}
    trees = {result.candidate: result.tree for result in results if result.tree}
    agreement = find_agreement(candidates, base=rules.base, trees=trees)
    scores = scores or {}
    names = [(candidate, candidate.name) for candidate in candidates]
    return tuple(
        _card(candidate, rules, by_name.get(name), agreement.get(name), scores.get(name)) for candidate, name in names
    )


def with_scores(cards: Sequence[ScoreCard], scores: Mapping[str, float]) -> tuple[ScoreCard, ...]:
    """Return *cards* with the scores of a scorer."""
    from msgspec.structs import replace

    return tuple(replace(card, score=scores.get(card.candidate.name)) for card in cards)


def _card(
    candidate: Candidate,
    rules: Rules,
    result: VerificationResult | None,
    agreement: Agreement | None,
    score: float | None,
) -> ScoreCard:
    from msgspec.structs import replace

    if candidate.patch is None:
        return ScoreCard(candidate=candidate, rejections=(candidate.error or "it has no patch",))
    findings, problem = policy_findings(candidate, rules)
    checks = result.checks if result else ()
    unchecked = _unchecked(rules.checks) or (result.unchecked if result else "it was not verified")
    same_as, overlaps = agreement or Agreement()
    card = ScoreCard(
        candidate=candidate,
        applies=result.applies if result else None,
        conflicts=result.conflicts if result else (),
        checks=checks,
        findings=findings,
        protected_changes=result.protected_changes if result else (),
        stats=candidate.patch.stats,
        same_as=same_as,
        overlaps=overlaps,
        score=score,
        unchecked=unchecked,
        failed_checks=() if unchecked or (result and result.applies is False) else tuple(_failed(checks, rules.checks)),
    )
    return replace(card, rejections=(*([problem] if problem else ()), *_rejections(card, rules)))


def _unchecked(checks: Sequence[Check]) -> str | None:
    return None if any(check.required for check in checks) else "no required check was given"


def _rejections(card: ScoreCard, rules: Rules) -> Iterator[str]:
    """Yield the reasons why a candidate with a patch is not chosen automatically."""
    if card.applies is False:
        yield f"its patch does not apply{_named(card.conflicts)}"
    if card.unchecked:
        yield f"it is unchecked: {card.unchecked}"
    elif card.applies is None:
        yield "its patch was not applied to the base"
    results = {result.check: result for result in card.checks}
    for name in card.failed_checks:
        yield _failure(name, results.get(name))
    if card.protected_changes and not rules.allow_protected:
        yield f"it changes protected paths{_named(card.protected_changes)}"
    if rejected := [finding for finding in card.findings if finding.severity == "reject"]:
        more = f" and {len(rejected) - 1} more" if len(rejected) > 1 else ""
        yield f"the policy rejects it: {rejected[0]}{more}"


def _failed(results: Sequence[CheckResult], checks: Sequence[Check]) -> Iterator[str]:
    """Yield the names of the required checks that did not pass."""
    passed = {result.check for result in results if result.verdict is Verdict.PASSED}
    for check in checks:
        if check.required and check.name not in passed:
            yield check.name


def _failure(name: str, result: CheckResult | None) -> str:
    """Return why a required check does not accept the candidate."""
    if result is None:
        return f"{name} was not run"
    last = result.reason or result.log.strip().rpartition("\n")[2].strip()[:MAX_QUOTED] or _status(result.exit_code)
    reason = f": {last}" if last else ""
    stays = " as the base does" if is_red_on_base(result) and result.verdict is Verdict.FAILED else ""
    return FAILURES[result.verdict] % name + stays + reason


def _status(exit_code: int | None) -> str:
    """Return how a command ended that wrote nothing."""
    if exit_code is None or exit_code >= 0:
        return "" if exit_code is None else f"exit status {exit_code}"
    import signal

    known = {each.value: each.name for each in signal.Signals}
    return f"signal {known.get(-exit_code, -exit_code)}"


def is_red_on_base(result: CheckResult) -> bool:
    """Whether the check did not pass on the unpatched base."""
    return result.base_verdict in (Verdict.FAILED, Verdict.ERROR)


def policy_findings(candidate: Candidate, rules: Rules) -> tuple[tuple[Finding, ...], str | None]:
    """Return what the policy finds in the patch, and why it could not be examined."""
    assert candidate.patch is not None  # noqa: S101 - the caller has examined it
    try:
        findings = candidate.patch.verify(base=rules.checkout, policy=rules.policy).findings
    except PatchRejectedError as error:
        return _findings(error.reasons), None
    except PatchError as error:
        return (), f"its diff cannot be examined: {error}"
    # Whether the patch fits is found out by applying it to its base.
    return tuple(finding for finding in findings if finding.rule != "misfit"), None


def _findings(reasons: Sequence[object]) -> tuple[Finding, ...]:
    from .._patches.policy import Finding

    return tuple(reason for reason in reasons if isinstance(reason, Finding))


def checks_that_distinguish_nothing(cards: Sequence[ScoreCard], checks: Sequence[Check]) -> tuple[str, ...]:
    """Return the names of the checks that are red on the base and on every candidate for which they were run."""
    names: list[str] = []
    for check in checks:
        results = [result for card in cards for result in card.checks if result.check == check.name]
        ran = [result for result in results if result.verdict in (Verdict.PASSED, Verdict.FAILED, Verdict.ERROR)]
        if ran and all(is_red_on_base(result) and result.verdict is not Verdict.PASSED for result in ran):
            names.append(check.name)
    return tuple(names)


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MAX_PATHS} more" if len(paths) > MAX_PATHS else ""
    return f": {', '.join(paths[:MAX_PATHS])}{more}" if paths else ""
