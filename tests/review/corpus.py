"""Tasks made by program: a small Python program with a known bug, and candidates of which it is known what they are worth.

Each task has a right patch, one that does not repair the bug, one that passes weak checks only, and one that edits the
tests instead; one of the first three is delivered twice, the second time in another spelling. The checks are Python files, as a project's own tests are.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from coatcheck import Candidate, Check, CheckResult, Patch, Verdict
from coatcheck._review.candidate_sources import patch_candidate
from coatcheck._review.verification_results import VerificationResult

PROGRAM, STRONG, WEAK = "program.py", "tests/strong.py", "tests/weak.py"
CHECKS = {
    "strong": (Check(name="strong", run=f"python3 -B {STRONG}"),),
    "weak": (Check(name="weak", run=f"python3 -B {WEAK}"),),
    "none": (),
}


class Family(NamedTuple):
    """A function of one argument: the right expression, one with a bug, another wrong one, and inputs.

    ``K`` stands for a number that differs from task to task.
    """

    name: str
    right: str
    bug: str
    wrong: str
    inputs: Sequence[str]


FAMILIES = (
    Family("total", "sum(range(x + 1)) + K", "sum(range(x)) + K", "sum(range(x + 2)) + K", ("3", "0", "7", "10")),
    Family("largest", "max(x) + K", "x[0] + K", "min(x) + K", ("[2, 5, 1]", "[1]", "[4, 9]", "[0, -1, 3]")),
    Family(
        "is_leap",
        "(x % 4 == 0 and x % 100 != 0) or x % 400 == 0 or x == K",
        "x % 4 == 0 and x != K",
        "x % 100 == 0",
        ("1900", "2000", "2024", "2023", "2100"),
    ),
    Family("clamp", "min(max(x, 0), 100 + K)", "max(min(x, 0), 100 + K)", "min(x, 100 + K)", ("-5", "50", "500")),
    Family(
        "median",
        "sorted(x)[len(x) // 2] * (K + 1)",
        "x[len(x) // 2] * (K + 1)",
        "sorted(x)[0] * (K + 1)",
        ("[3, 9, 1]", "[5]", "[8, 2, 5, 1, 4]"),
    ),
    Family(
        "vowels",
        "sum(c in 'aeiou' for c in x.lower()) + K",
        "sum(c in 'aeio' for c in x) + K",
        "len(x) + K",
        ("'Ubuntu'", "'sky'", "'AEIOU'"),
    ),
    Family(
        "mirror",
        "x == x[::-1] and len(x) != K + 50",
        "x == x[::1] and len(x) != K + 50",
        "len(x) != K + 50 and x[0] == x[-1]",
        ("'abca'", "'abba'", "'ab'"),
    ),
    Family(
        "digits",
        "sum(int(c) for c in str(abs(x))) + K",
        "sum(int(c) for c in str(x)[1:]) + K",
        "len(str(x)) + K",
        ("123", "-45", "9"),
    ),
    Family("unique", "len(set(x)) + K", "len(x) + K", "len(set(x)) - 1 + K", ("[1, 1, 2]", "[]", "[3, 3, 3]")),
    Family(
        "celsius",
        "round((x - 32) * 5 / 9) + K",
        "round((x - 32) * 9 / 5) + K",
        "round(x * 5 / 9) + K",
        ("212", "32", "-40"),
    ),
)


class Entry(NamedTuple):
    """A candidate, the files that it makes, and what is known about it."""

    candidate: Candidate
    files: dict[str, str]
    kind: str

    @property
    def is_right(self) -> bool:
        """Whether it repairs the bug and does nothing else."""
        return self.kind == "right"


class CorpusTask(NamedTuple):
    """A program with a bug and its candidates, in the order in which an agent would have delivered them."""

    name: str
    files: dict[str, str]
    entries: Sequence[Entry]

    @property
    def candidates(self) -> list[Candidate]:
        """The candidates."""
        return [entry.candidate for entry in self.entries]

    def entry(self, name: str | None) -> Entry | None:
        """Return the entry of the candidate *name*."""
        return next((entry for entry in self.entries if entry.candidate.name == name), None)


def corpus(size: int, *, seed: int = 15) -> Iterator[CorpusTask]:
    """Yield so many tasks; the same for the same seed."""
    chance = random.Random(seed)
    for number in range(size):
        yield make_task(number, FAMILIES[number % len(FAMILIES)], chance)


def make_task(number: int, family: Family, chance: random.Random) -> CorpusTask:
    """Return a task of *family*."""
    constant = str(number // len(FAMILIES))
    right, bug, wrong = (text.replace("K", constant) for text in (family.right, family.bug, family.wrong))
    expected = {text: evaluate(right, text) for text in family.inputs}
    # The first input on which the program fails is the report of the bug, and the only one of the weak checks.
    reported = next(text for text in family.inputs if evaluate(bug, text) != expected[text])
    special = f"{expected[reported]!r} if x == {reported} else {bug}"
    base = {
        PROGRAM: program(family.name, bug),
        STRONG: checks(family.name, expected),
        WEAK: checks(family.name, {reported: expected[reported]}),
    }
    made = {
        "right": {PROGRAM: program(family.name, right)},
        "fails": {PROGRAM: program(family.name, wrong)},
        "weak": {PROGRAM: program(family.name, special)},
        "edits tests": {STRONG: "", WEAK: ""},
    }
    # One of them is delivered twice; agents agree on what is right more often than on the same mistake.
    kinds = [(kind, False) for kind in made] + [(chance.choice(("right", "right", "weak", "fails")), True)]
    chance.shuffle(kinds)
    entries = [
        Entry(
            patch_candidate(
                f"{family.name}-{number}/{place}", Patch(diff(base, {**base, **made[kind]}, is_other=is_other))
            ),
            {**base, **made[kind]},
            kind,
        )
        for place, (kind, is_other) in enumerate(kinds, 1)
    ]
    return CorpusTask(f"{family.name}-{number}", base, entries)


def evaluate(expression: str, argument: str) -> object:
    """Return what an expression of this module is for an argument, or the class of its error."""
    try:
        value: object = eval(expression, {"x": eval(argument)})
    except Exception as error:  # noqa: BLE001 - a program with a bug may raise anything
        return type(error)
    return value


def program(name: str, expression: str) -> str:
    """Return the program."""
    return f'"""A program."""\n\n\ndef {name}(x):\n    """Return the result."""\n    return {expression}\n'


def checks(name: str, expected: dict[str, Any]) -> str:
    """Return a file of checks, which fails with a status."""
    lines = "".join(f"assert {name}({text}) == {value!r}, {text!r}\n" for text, value in expected.items())
    return f"import sys\n\nsys.path.insert(0, '.')\nfrom program import {name}\n\n{lines}"


def diff(old: dict[str, str], new: dict[str, str], *, is_other: bool = False) -> bytes:
    """Return the diff of two sets of files; another spelling has other names and less context."""
    parts: list[str] = []
    for path, text in old.items():
        prefixes = ("", "") if is_other else ("a/", "b/")
        names = [f"{prefix}{path}" for prefix in prefixes]
        parts += difflib.unified_diff(
            text.splitlines(keepends=True), new[path].splitlines(keepends=True), *names, n=1 if is_other else 3
        )
    return "".join(parts).encode()


class InProcessVerifier:
    """Run the checks of corpus tasks in this process: a fake of `coatcheck._review.verifier.Verifier`."""

    def __init__(self, task: CorpusTask, checks: Sequence[Check]) -> None:
        self._task, self._checks = task, checks

    def verify(self, candidates: Sequence[Candidate], **_: object) -> Sequence[VerificationResult]:
        """Return what the checks find, with the tests of the base."""
        results: list[VerificationResult] = []
        for candidate in candidates:
            entry = self._task.entry(candidate.name)
            assert entry is not None
            changed = [path for path, text in entry.files.items() if text != self._task.files[path]]
            results.append(
                VerificationResult(
                    candidate=candidate.name,
                    applies=True,
                    checks=tuple(self._result(check, entry.files) for check in self._checks),
                    protected_changes=tuple(path for path in changed if path.startswith("tests/")),
                )
            )
        return results

    def _result(self, check: Check, files: dict[str, str]) -> CheckResult:
        path = check.run.rpartition(" ")[2]
        return CheckResult(
            check=check.name,
            verdict=verdict(files[PROGRAM], self._task.files[path]),
            base_verdict=verdict(self._task.files[PROGRAM], self._task.files[path]),
        )


def verdict(program: str, tests: str) -> Verdict:
    """Return what *tests* find about *program*."""
    names: dict[str, object] = {}
    body = "\n".join(line for line in tests.splitlines() if line.startswith("assert"))
    try:
        exec(f"{program}\n{body}", names)
    except Exception:  # noqa: BLE001 - a program with a bug may raise anything
        return Verdict.FAILED
    return Verdict.PASSED
