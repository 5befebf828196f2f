"""Scorers: what they read, what they may write, and how they fail."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from coatcheck import Candidate, Patch, ScoreCard
from coatcheck._review.scorer import ScorerError, read_scores, run_scorer

CARDS = [
    ScoreCard(candidate=Candidate(name=name, title="T", patch=Patch(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+\xff\n")))
    for name in ("a", "b")
]
SCORER = """import json, os, sys
document = json.load(sys.stdin)
names = [each["name"] for each in document["candidates"]]
assert os.environ["SCORER_KEY"] == "k" and "+" in document["candidates"][0]["diff"]
print(json.dumps({"scores": {name: len(names) / 4 for name in names}}))
"""


def run(folder: Path, *words: str, **options: float) -> object:
    """Run a scorer on `CARDS` and on a candidate without a patch."""
    cards = [*CARDS, ScoreCard(candidate=Candidate(name="c", error="it failed"))]
    environ = {**os.environ, "SCORER_KEY": "k"}
    return run_scorer(shlex.join(words), cards, folder=folder, environ=environ, **options)


def endless(stream: str) -> tuple[str, ...]:
    """Return a scorer that writes one line without an end."""
    return sys.executable, "-c", f"import sys\nwhile True: sys.{stream}.write('{{' * 9999)"


def test_a_scorer_reads_the_diffs(tmp_path: Path) -> None:
    """A command reads the candidates that have a patch, with the caller's environment, and returns their scores."""
    (tmp_path / "score.py").write_text(SCORER)

    assert {"a": 0.5, "b": 0.5} == run(tmp_path, sys.executable, "score.py")


@pytest.mark.parametrize(
    ("words", "options", "problem"),
    [
        (("/no/scorer",), {}, "the scorer /no/scorer cannot be run: No such file or directory"),
        (("yes",), {}, "the scorer has written 'y', not an object with \"scores\""),
        (endless("stdout"), {}, "the scorer wrote more than 1 MiB to stdout and was ended"),
        (endless("stderr"), {}, "the scorer wrote more than 16 MiB to stderr and was ended"),
        (
            (sys.executable, "-c", "print('Thinking', end='', flush=True); import time; time.sleep(600)"),
            {},
            "the scorer has written 'Thinking', not an object with \"scores\"",
        ),
        (
            (sys.executable, "-c", "print(1/0)"),
            {},
            "the scorer ended with status 1: ZeroDivisionError: division by zero",
        ),
        ((sys.executable, "-c", "import time; time.sleep(60)"), {"timeout": 0.01}, "the scorer took more than 0.01 s"),
        ((sys.executable, "-c", "print('{} {}')"), {}, "the scorer has not written JSON: Extra data"),
    ],
)
def test_a_scorer_that_fails_is_one_line(
    tmp_path: Path, words: tuple[str, ...], options: dict[str, float], problem: str
) -> None:
    """A scorer that cannot be run, fails, hangs or writes nonsense raises one line."""
    with pytest.raises(ScorerError, match=problem) as caught:
        run(tmp_path, *words, **options)

    assert 1 == len(str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has not written JSON"),
        ("[" * 100_000, "has not written JSON"),
        ("[0.1, 0.2]", 'has not written an object with "scores"'),
        ('{"scores": [0.1]}', 'has not written an object with "scores"'),
        ('{"scores": {"a": 0.5}}', "has given no score for b"),
        ('{"scores": {"a": 0.5, "b": 0.5, "z": 1}}', "has scored 'z', which is no candidate"),
        ('{"scores": {"a": 0.5, "a": 1, "b": 0.5}}', "a name is written twice"),
        *(
            (f'{{"scores": {{"a": {value}, "b": 0.5}}}}', "has given a .*, not a number from 0 to 1")
            for value in ("NaN", "Infinity", "-0.1", "1.5", '"0.5"', "true", "null", "[]", "1e999", str(10**400))
        ),
    ],
)
def test_nonsense_is_no_score(text: str, problem: str) -> None:
    """A scorer gives each candidate a number from 0 to 1, and everything else is an error in one line."""
    with pytest.raises(ScorerError, match=problem) as caught:
        read_scores(text, ["a", "b"])

    assert 1 == len(str(caught.value).splitlines())


def test_whole_numbers_are_scores() -> None:
    """0 and 1 are scores, and further fields are ignored."""
    text = json.dumps({"scores": {"a": 0, "b": 1}, "model": "m"})

    assert {"a": 0.0, "b": 1.0} == read_scores(text, ["a", "b"])
