"""`Review`: candidates, checked by real commands in real clones, and ranked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.review.corpus import CorpusTask, corpus

from coatcheck import Candidate, Check, CheckProgress, Patch, Review, Task, TaskRef, TaskState, Verification
from coatcheck._review.bases import choose_base
from coatcheck._review.review import checks_of
from coatcheck.errors import ConfigurationError

PATCH = Patch(b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")


def repository_of(task: CorpusTask, folder: Path) -> Path:
    """Return a repository with the program of a task."""
    for path, text in task.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *words], cwd=folder, check=True, timeout=240)
    return folder


def verification(task: CorpusTask, *names: str) -> Verification:
    """Return the named checks of a corpus task, without a sandbox: the programs are those of the tests."""
    python = f"'{sys.executable}' -B"
    return Verification(
        checks=tuple(Check(name=name, run=f"{python} tests/{name}.py") for name in names),
        protected=("tests",),
        sandbox="none",
    )


def test_real_checks_choose_the_right_candidate(tmp_path: Path) -> None:
    """With real clones and commands the right patch is chosen; one that edits the tests is checked by those of the base."""
    (task,) = corpus(1)
    repository = repository_of(task, tmp_path / "repository")
    progress: list[CheckProgress] = []
    review = Review(*task.candidates, repository=repository, verification=verification(task, "weak", "strong"))
    cards = review.verify(on_progress=progress.append)
    chosen = task.entry(review.rank().choice)
    results = {(entry.kind, card.result.value) for card in cards if (entry := task.entry(card.candidate.name))}
    expected = {("right", "passed"), ("fails", "failed"), ("weak", "failed"), ("edits tests", "failed")}

    assert (expected, "right", True) == (
        results,
        chosen and chosen.kind,
        {"running", "passed", "failed"} <= {each.state for each in progress},
    )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"checks": "make test"}, "checks is a list of commands, not 'make test'"),
        ({"checks": ["make"], "protected": "tests"}, "protected is a list of patterns, not 'tests'"),
        ({"checks": [Check(name=" ", run="make")]}, "the check 'make' has no name"),
        ({"checks": [Check(name="a", run="make", weight=float("nan"))]}, "the weight of a is nan"),
        ({"checks": [Check(name="a", run="make", weight=-1)]}, "the weight of a is -1"),
        ({"checks": [Check(name="a", run="make", timeout=0)]}, "the timeout of a is 0"),
    ],
)
def test_wrong_values_are_named(options: dict[str, Any], problem: str) -> None:
    """A text where a list is meant, and a check without a usable name, weight or timeout, are errors in one line."""
    with pytest.raises(ConfigurationError) as caught:
        Review(PATCH, repository=".", **options)

    assert problem == str(caught.value).partition(";")[0]


def test_a_review_without_verification_chooses_nothing() -> None:
    """Before `verify` candidates are ranked by size and agreement, and none is chosen."""
    failed = Task(ref=TaskRef("codex", "1"), state=TaskState.FAILED)
    ranking = Review(
        PATCH, failed, Candidate(name="x", patch=PATCH), repository="/nowhere", checks=["make test"]
    ).rank()
    names = [(card.candidate.name, card.unchecked) for card in ranking.cards]
    expected = [("patch 1", "it was not verified"), ("x", "it was not verified"), ("codex:1", None)]

    assert (expected, None) == (names, ranking.choice)


def test_checks_are_text_or_values() -> None:
    """A command is a required check that is named by its text; two checks of one name are refused."""
    lint = Check(name="lint", run="make lint", required=False)
    with pytest.raises(ConfigurationError, match="the check 'make test' is given twice"):
        checks_of(["make test", "make  test"])

    assert (Check(name="make test", run="make  test"), lint) == checks_of(["make  test", lint])


def test_checks_and_a_verification_exclude_one_another() -> None:
    """Nothing that was given is dropped: checks beside a verification, which has its own, are refused."""
    for options in ({"checks": ["make"]}, {"protected": ["a"]}):
        with pytest.raises(ConfigurationError, match="cannot be combined with verification"):
            Review(PATCH, repository="/nowhere", verification=Verification(), **options)  # type: ignore[arg-type]

    assert () == Review(repository="/nowhere", verification=Verification()).candidates


def test_the_base_is_the_one_that_most_candidates_report(tmp_path: Path) -> None:
    """Of several reported bases the most frequent one in the repository is taken, else HEAD; each with a note."""
    (task,) = corpus(1)
    repository = repository_of(task, tmp_path)
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    subprocess.run(
        ["git", *identity, "commit", "-q", "--allow-empty", "-m", "2"], cwd=repository, check=True, timeout=240
    )
    output = subprocess.run(["git", "rev-list", "HEAD"], cwd=repository, check=True, capture_output=True, timeout=240)
    head, first = output.stdout.decode().split()
    reported = [(first,), (head, first, first[:9], first), ("f" * 40,), ("HEAD", "main", "--all"), (None,)]
    found = [
        choose_base(repository, [Candidate(name="a", patch=PATCH, base=base) for base in bases], None)
        for bases in reported
    ]
    expected = [
        (first, ""),
        (first, "the tasks report 3 bases; all are checked on"),
        (head, "the base that the tasks report, ffffffffff, is not in"),
        (head, "the base that the tasks report, HEAD, is not in"),
        (head, "no base is reported; the candidates are checked on"),
    ]

    assert expected == [
        (base.commit, (base.note or "")[: len(note)]) for base, (_, note) in zip(found, expected, strict=True)
    ]


def test_without_a_repository_nothing_is_verified(tmp_path: Path) -> None:
    """A folder that is no repository, and one without a commit, are errors that name it."""
    review = Review(PATCH, repository=tmp_path, checks=["make test"])
    with pytest.raises(ConfigurationError):
        review.verify()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=240)
    with pytest.raises(ConfigurationError, match="has no commit to check candidates on") as caught:
        review.verify()

    assert str(tmp_path) in str(caught.value)
