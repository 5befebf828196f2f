"""Measure ranking, and how often the right candidate is chosen; both are facts about the ranking, not about agents.

* 1,000 score cards are ranked in at most the time of ``coatcheck --version`` (medians, in turns).
* Of 200 tasks made by program (`tests/review/corpus.py`) no failing candidate and none that edits the tests is chosen; the
  table has how often the right one is, with strong, weak and no checks, beside taking the first attempt.
"""

from __future__ import annotations

import importlib
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from coatcheck import Candidate, Check, CheckResult, Patch, PatchStats, ScoreCard, Verdict
from coatcheck._review.ranking import rank
from coatcheck._review.score_cards import Rules, make_score_cards

sys.path.insert(0, str(Path(__file__).parent.parent))
corpus: Any = importlib.import_module("tests.review.corpus")

CARDS, ROUNDS, TASKS = 1000, 11, 200
RATIO_GOAL = 1.0
CHECKS = (Check(name="tests", run="make test"), Check(name="lint", run="make lint", required=False))


def cards() -> list[ScoreCard]:
    """Return score cards that differ in everything that ranking compares."""
    chance = random.Random(15)
    names = [f"codex:task_{number}" for number in range(CARDS)]
    return [card(name, names, chance) for name in names]


def card(name: str, names: list[str], chance: random.Random) -> ScoreCard:
    """Return a card."""
    verdicts = [chance.choice((Verdict.PASSED, Verdict.FAILED)) for _ in CHECKS]
    has_failed = verdicts[0] is Verdict.FAILED
    return ScoreCard(
        candidate=Candidate(name=name, patch=Patch(b"x")),
        applies=True,
        checks=tuple(
            CheckResult(check=check.name, verdict=verdict) for check, verdict in zip(CHECKS, verdicts, strict=True)
        ),
        stats=PatchStats(files=1, added=chance.randrange(50)),
        same_as=tuple(chance.sample(names, 3)),
        overlaps=tuple(chance.sample(names, 30)),
        failed_checks=("tests",) if has_failed else (),
        rejections=("it fails tests",) if has_failed else (),
    )


def measure() -> float:
    """Print both times, and return their ratio."""
    known = cards()
    command = [str(Path(sys.executable).with_name("coatcheck")), "--version"]
    times: dict[str, list[float]] = {"rank": [], "version": []}
    for _ in range(ROUNDS):
        start = time.perf_counter()
        rank(known, CHECKS)
        times["rank"].append(time.perf_counter() - start)
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times["version"].append(time.perf_counter() - start)
    ranked, version = (statistics.median(each) * 1000 for each in times.values())
    print(f"ranking {CARDS:,} score cards: {ranked:.0f} ms; coatcheck --version: {version:.0f} ms")
    return ranked / version


def choices() -> bool:
    """Print how often the right candidate is chosen, and return whether no failing or cheating one ever was."""
    tasks = list(corpus.corpus(TASKS))
    first = sum(task.entries[0].is_right for task in tasks)
    print(f"{TASKS} tasks: {'':18} right   wrong   none chosen   first in the order is right")
    print(f"  {'take the first attempt':24} {first:6} {TASKS - first:7} {0:13} {first:29}")
    is_safe = True
    for strength, checks in corpus.CHECKS.items():
        right = wrong = none = on_top = 0
        for task in tasks:
            results = corpus.InProcessVerifier(task, checks).verify(task.candidates)
            ranking = rank(make_score_cards(task.candidates, Rules(checks), results), checks)
            chosen = task.entry(ranking.choice)
            is_safe &= chosen is None or chosen.kind not in ("fails", "edits tests")
            is_safe &= not (strength == "strong" and chosen is not None and not chosen.is_right)
            right += chosen is not None and chosen.is_right
            wrong += chosen is not None and not chosen.is_right
            none += chosen is None
            on_top += task.entry(ranking.cards[0].candidate.name).is_right
        print(f"  {f'{strength} checks'.replace('none', 'no'):24} {right:6} {wrong:7} {none:13} {on_top:29}")
    return is_safe


def main() -> None:
    """Print the measurements; fail where a goal is missed."""
    ratio = measure()
    is_safe = choices()
    print(
        f"ratio {ratio:.2f} (goal: at most {RATIO_GOAL}); failing or cheating candidates chosen: {'no' if is_safe else 'YES'}"
    )
    if ratio > RATIO_GOAL or not is_safe:
        sys.exit(1)


if __name__ == "__main__":
    main()
