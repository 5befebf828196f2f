"""The tables on the pages about GitHub's services are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import coatcheck
from coatcheck._protocol.provider import Capabilities
from coatcheck.providers.copilot import capabilities as copilot
from coatcheck.providers.copilot.extract import STATES
from coatcheck.providers.github_actions import capabilities as actions
from coatcheck.providers.github_actions.extract import CONCLUSIONS, STATUSES

PAGES = Path(__file__).parents[2] / "docs/reference/providers"
CASES = [
    ("github-actions", actions.CAPABILITIES, {**STATUSES, **CONCLUSIONS}),
    ("copilot", copilot.CAPABILITIES, STATES),
]


def table(page: str, head: str) -> list[list[str]]:
    """Return the rows of the table of *page* whose first column is headed *head*."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    after = re.split(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\|\n", text, maxsplit=1, flags=re.MULTILINE)[1]
    rows = re.match(r"(?:\|.*\|\n)*", after)[0].splitlines()  # type: ignore[index] - an empty table matches as well
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize(("page", "can", "states"), CASES, ids=lambda case: case if isinstance(case, str) else "")
def test_the_page_shows_what_is_declared(page: str, can: Capabilities, states: dict[str, coatcheck.TaskState]) -> None:
    """The page shows every verb with how it is known, and every missing one with a reason."""
    shown = {verb.strip("`"): support for verb, support in table(page, "Verb")}

    assert {verb: support.value for verb, support in can.verbs.items()} == shown
    assert set(can.reasons) == {verb.strip("`") for verb, _ in table(page, "Missing")}


@pytest.mark.parametrize(("page", "can", "states"), CASES, ids=lambda case: case if isinstance(case, str) else "")
def test_the_states_are_those_of_the_table(
    page: str, can: Capabilities, states: dict[str, coatcheck.TaskState]
) -> None:
    """The page maps each state of the service as the code does, and marks the states that end a wait."""
    rows = table(page, "State at GitHub")
    shown = {word: state.strip("`") for words, state, _ in rows for word in re.findall(r"`(\w+)`", words)}
    ends = {state.strip("`"): end == "yes" for _, state, end in rows}

    assert {word: state.name for word, state in states.items()} == shown
    assert {state: coatcheck.TaskState[state].ends_wait for state in ends} == ends
