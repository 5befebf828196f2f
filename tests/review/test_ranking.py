"""The order of candidates, its reasons, and the choice."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies
from tests.review.corpus import CHECKS as CORPUS_CHECKS, InProcessVerifier, corpus

from coatcheck import Candidate, Check, CheckResult, Finding, Patch, PatchStats, Ranking, ScoreCard, Verdict
from coatcheck._export import notebook
from coatcheck._review.ranking import rank
from coatcheck._review.score_cards import Rules, checks_that_distinguish_nothing, make_score_cards
from coatcheck._review.verification_results import VerificationResult

TESTS, BUILD = Check(name="tests", run="make test"), Check(name="build", run="make")
LINT = Check(name="lint", run="make lint", required=False, weight=2)
CHECKS = (TESTS, BUILD, LINT)
PATCH = Patch(b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
LONG = Patch(b"diff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -1 +1,2 @@\n-a\n+b\n+c\n")
EARLY, LATE = (datetime(2026, 11, 28, hour, tzinfo=UTC) for hour in (9, 10))


def passed(*names: str, base: Verdict = Verdict.FAILED) -> tuple[CheckResult, ...]:
    """Return results of all checks, of which those of *names* passed."""
    return tuple(
        CheckResult(
            check=check.name, verdict=Verdict.PASSED if check.name in names else Verdict.FAILED, base_verdict=base
        )
        for check in CHECKS
    )


ALL = passed("tests", "build", "lint")


def card(name: str, checks: tuple[CheckResult, ...] = ALL, **fields: object) -> ScoreCard:
    """Return a card of a candidate that applies."""
    known: dict[str, object] = {"stats": PatchStats(files=1, added=2), **fields}
    candidate = Candidate(name=name, patch=PATCH, ended_at=known.pop("ended_at", None))  # type: ignore[arg-type]
    lacking = [
        c.name
        for c in CHECKS
        if c.required and not any(r.check == c.name and r.verdict is Verdict.PASSED for r in checks)
    ]
    return ScoreCard(
        candidate=candidate,
        applies=True,
        checks=checks,
        failed_checks=tuple(lacking),
        rejections=tuple(f"it fails {check}" for check in lacking),
        **known,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("better", "worse", "reason"),
    [
        (card("a"), card("b", passed("tests")), "it passes build, which the other fails"),
        (card("a"), card("b", passed()), "it passes tests, build, which the other fails"),
        (card("a", passed("tests")), card("b", passed()), "it passes tests, which the other fails"),
        (
            card("a"),
            card("b", passed("tests", "build")),
            "it passes lint, which the other does not (weight of the optional checks: 2 against 0 of 2)",
        ),
        (card("a", score=0.9), card("b", score=0.2), "the scorer gives it 0.9, the other 0.2"),
        (card("a", score=0.1), card("b"), "it has a score of the scorer, the other has none"),
        (card("a", stats=PatchStats(added=1)), card("b"), "it changes 1 line, the other 2"),
        (card("a"), card("b", stats=PatchStats(files=2, added=2)), "it changes 1 file, the other 2"),
        (
            card("a"),
            card("b", findings=(Finding(path="x.bin", rule="binary", severity="warn", detail="the file is binary"),)),
            "the rules of patches find nothing in it, and 1 in the other",
        ),
        (card("a", ended_at=EARLY), card("b", ended_at=LATE), "it ended earlier"),
        (card("a", ended_at=LATE), card("b"), "it is known when it ended, and not when the other did"),
        (
            card("a"),
            ScoreCard(candidate=Candidate(name="b", error="it failed: no quota"), rejections=("it failed",)),
            "the other has no patch: it failed: no quota",
        ),
        (
            card("a"),
            ScoreCard(candidate=Candidate(name="b", patch=PATCH), applies=False, conflicts=("x",), rejections=("no",)),
            "the patch of the other does not apply (x)",
        ),
        (
            card("a"),
            ScoreCard(candidate=Candidate(name="b", patch=PATCH), unchecked="it changes uv.lock", rejections=("no",)),
            "the other is unchecked: it changes uv.lock",
        ),
    ],
)
def test_each_criterion_has_a_sentence(better: ScoreCard, worse: ScoreCard, reason: str) -> None:
    """The first criterion in which two candidates differ decides, in every order of the candidates, and is explained."""
    steps = [rank(cards, CHECKS).steps[0] for cards in ((better, worse), (worse, better))]

    assert [f"a before b: {reason}"] * 2 == [str(step) for step in steps]


def test_criteria_have_their_order() -> None:
    """A more important criterion is never outweighed by less important ones."""
    cards = [
        card("lint", passed("tests", "build", "lint")),
        card("score", passed("tests", "build"), score=1.0),
        card("same", passed("tests", "build"), score=0.5, same_as=("lint", "lines")),
        card("overlap", passed("tests", "build"), score=0.5, overlaps=("lint",)),
        card("lines", passed("tests", "build"), score=0.5, stats=PatchStats(added=1)),
        card("early", passed("tests", "build"), score=0.5, ended_at=EARLY),
        card("late", passed("tests", "build"), score=0.5, ended_at=LATE),
        card("failed", passed("tests", "lint"), score=1.0, stats=PatchStats(), ended_at=EARLY),
    ]
    ranking = rank(list(reversed(cards)), CHECKS)

    assert [each.candidate.name for each in cards] == [each.candidate.name for each in ranking.cards]


def test_agreement_with_candidates_that_failed_does_not_count() -> None:
    """Where a candidate passed, only candidates that passed count as agreement."""
    cards = [card("a", same_as=("b",)), card("b", passed(), same_as=("a",)), card("c", stats=PatchStats(added=1))]

    assert "c" == rank(cards, CHECKS).choice


def test_ties_are_named() -> None:
    """Candidates that nothing distinguishes have the same place, keep their order, and are called tied."""
    ranking = rank([card("a"), card("b"), card("c", passed())], CHECKS)
    expected = (
        (1, 1, 3),
        "a and b are tied: nothing distinguishes them",
        "it passes tests, build; it is tied with b and was given first",
    )

    assert expected == (ranking.places, str(ranking.steps[0]), ranking.reason)


@pytest.mark.parametrize(
    ("cards", "checks", "reason"),
    [
        ([], CHECKS, "there is no candidate"),
        ([ScoreCard(candidate=Candidate(name="a", error="it failed"))], CHECKS, "no candidate has a patch"),
        ([card("a", ())], (), "no required check was given, and only a candidate that passes one is chosen"),
        ([card("a")], (LINT,), "no required check was given, and only a candidate that passes one is chosen"),
        ([card("a", passed("build"))], CHECKS, "no candidate passed; the best of them, a: it fails tests"),
        # A card without rejections, as another program may write it.
        (
            [ScoreCard(candidate=Candidate(name="a", patch=PATCH))],
            CHECKS,
            "no candidate passed; the best of them, a: it has not passed every required check",
        ),
    ],
)
def test_nothing_is_chosen_without_a_passed_check(
    cards: list[ScoreCard], checks: tuple[Check, ...], reason: str
) -> None:
    """Without a candidate that passed every required check nothing is chosen, and the ranking has the reason."""
    ranking = rank(cards, checks)

    assert (None, reason) == (ranking.choice, ranking.reason)


VERDICTS = strategies.sampled_from(list(Verdict))
RESULTS = strategies.builds(
    VerificationResult,
    candidate=strategies.just("a"),
    applies=strategies.sampled_from([True, False, None]),
    checks=strategies.lists(
        strategies.builds(
            CheckResult,
            check=strategies.sampled_from(["tests", "build", "lint"]),
            verdict=VERDICTS,
            base_verdict=VERDICTS,
        ),
        unique_by=lambda result: result.check,
    ).map(tuple),
    protected_changes=strategies.sampled_from([(), ("tests/test_x.py",)]),
    unchecked=strategies.sampled_from([None, "it changes uv.lock"]),
)


@given(results=strategies.lists(RESULTS, min_size=1, max_size=4))
def test_only_what_passed_is_chosen(results: list[VerificationResult]) -> None:
    """Whatever a verifier reports, the choice applies, passed every required check, and changes no protected path."""
    candidates = [Candidate(name=str(number), patch=PATCH) for number in range(len(results))]
    named = [
        VerificationResult.from_dict({**result.to_dict(), "candidate": str(number)})
        for number, result in enumerate(results)
    ]
    ranking = rank(make_score_cards(candidates, Rules(CHECKS), named), CHECKS)
    acceptable = {
        result.candidate
        for result in named
        if result.applies
        and not result.unchecked
        and not result.protected_changes
        and {"tests", "build"} <= {each.check for each in result.checks if each.verdict is Verdict.PASSED}
    }

    assert (ranking.choice in acceptable) if acceptable else (ranking.choice is None)


@pytest.mark.parametrize(
    ("result", "rejections"),
    [
        (VerificationResult(candidate="a", applies=True, checks=ALL), ()),
        (
            VerificationResult(candidate="a", applies=True, checks=passed("build", base=Verdict.FAILED)),
            ("it fails tests as the base does",),
        ),
        *(
            (
                VerificationResult(
                    candidate="a",
                    applies=True,
                    checks=(CheckResult(check="tests", verdict=Verdict.FAILED, exit_code=status), *ALL[1:]),
                ),
                (f"it fails tests: {reason}",),
            )
            for status, reason in ((3, "exit status 3"), (-9, "signal SIGKILL"), (-62, "signal 62"))
        ),
        (VerificationResult(candidate="a", applies=True, checks=ALL[:1]), ("build was not run",)),
        (
            VerificationResult(
                candidate="a",
                applies=True,
                checks=(CheckResult(check="tests", verdict=Verdict.ERROR, reason="it took more than 10 s"), *ALL[1:]),
            ),
            ("tests could not be run to its end on it: it took more than 10 s",),
        ),
        (VerificationResult(candidate="a", applies=False, conflicts=("x", "y")), ("its patch does not apply: x, y",)),
        (
            VerificationResult(candidate="a", applies=True, checks=ALL, protected_changes=("tests/a.py",)),
            ("it changes protected paths: tests/a.py",),
        ),
        (VerificationResult(candidate="b"), ("it is unchecked: it was not verified",)),
    ],
)
def test_rejections_name_what_is_wrong(result: VerificationResult, rejections: tuple[str, ...]) -> None:
    """Each reason against a candidate is a sentence that names the check or the paths."""
    (made,) = make_score_cards([Candidate(name="a", patch=PATCH)], Rules(CHECKS), [result])

    assert rejections == made.rejections


def test_protected_changes_can_be_allowed() -> None:
    """A change of protected paths rejects no candidate where the person permits it, and stays on the card."""
    result = VerificationResult(candidate="a", applies=True, checks=ALL, protected_changes=("tests/a.py",))
    candidate = Candidate(name="a", patch=PATCH)
    (made,) = make_score_cards([candidate], Rules(CHECKS, allow_protected=True), [result])

    assert (("tests/a.py",), ()) == (made.protected_changes, made.rejections)


def test_the_policy_rejects() -> None:
    """A candidate that the policy rejects is not chosen, whatever it passes."""
    outside = Candidate(name="a", patch=Patch(bytes(PATCH).replace(b"a/x", b"a/../x").replace(b"b/x", b"b/../x")))
    result = VerificationResult(candidate="a", applies=True, checks=ALL)
    (made,) = make_score_cards([outside], Rules(CHECKS), [result])
    ranking = rank([made], CHECKS)

    assert (None, ["outside"]) == (ranking.choice, [each.rule for each in made.findings if isinstance(each, Finding)])


def test_a_check_that_is_red_everywhere_distinguishes_nothing() -> None:
    """A check that is red on the base and on every candidate is named; one that a candidate turns green is not."""
    cards = [card("a", passed("build")), card("b", passed("build", "lint"))]

    assert ("tests",) == checks_that_distinguish_nothing(cards, CHECKS)


def test_a_ranking_is_read_back() -> None:
    """A ranking as JSON is read back equal, with patches that are not UTF-8."""
    odd = Candidate(name="odd", patch=Patch(bytes(PATCH).replace(b"+b", b"+\xff")), ended_at=EARLY)
    cards = make_score_cards([odd, Candidate(name="none", error="it failed")], Rules(CHECKS))
    ranking = rank(cards, CHECKS)

    assert ranking == Ranking.from_dict(ranking.to_dict())


def test_the_order_does_not_depend_on_the_order_given() -> None:
    """Without ties every permutation of the candidates has the same ranking."""
    cards = [card("a"), card("b", passed("tests")), card("c", score=0.5), card("d", stats=PatchStats(added=9))]

    assert 1 == len({rank(each, CHECKS) for each in itertools.permutations(cards)})


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("<b>|x|\n\n- [a](http://b) ![](c)", "` <b>\N{DIVIDES}x\N{DIVIDES} - [a](http://b) ![](c) `"),
        ("@everyone |", "` @everyone \N{DIVIDES} `"),
        ("owner/repo#1 `", "`` owner/repo#1 ` ``"),
        ("$x$", "` $x$ `"),
    ],
)
def test_markdown_has_no_effect_of_names(hostile: str, shown: str) -> None:
    """What agents and services write is shown as it is in the Markdown of a ranking."""
    cards = make_score_cards([Candidate(name=hostile, error=hostile), Candidate(name="b", patch=PATCH)], Rules(CHECKS))
    text = rank(cards, CHECKS).to_markdown()

    reason = notebook.safe(hostile) if hostile.startswith("<") else shown

    assert {f"| 2 | {shown} | no patch | — | — |", f"- {shown}: {reason}"} < set(text.splitlines())


@pytest.mark.parametrize("strength", CORPUS_CHECKS)
def test_failing_and_cheating_candidates_are_never_chosen(strength: str) -> None:
    """Of programs with known bugs no failing patch and none that edits the tests is chosen, and with strong checks the right one."""
    checks = CORPUS_CHECKS[strength]
    kinds = set()
    for task in corpus(20):
        results = InProcessVerifier(task, checks).verify(task.candidates)
        ranking = rank(make_score_cards(task.candidates, Rules(checks), results), checks)
        kinds.add(entry.kind if (entry := task.entry(ranking.choice)) else None)
    expected = {"strong": {"right"}, "weak": {"right", "weak"}, "none": {None}}

    assert expected[strength] == kinds
