"""The tables on the page about Jules are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import coatcheck
from coatcheck.providers.jules.endpoints import QUOTAS
from coatcheck.providers.jules.extract import STATES
from coatcheck.providers.jules.provider import CAPABILITIES

PAGE = (Path(__file__).parents[2] / "docs/reference/providers/jules.md").read_text("utf-8")


def table(head: str) -> list[list[str]]:
    """Return the rows of the table whose first column is headed *head*, without backticks."""
    after = re.split(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\|\n", PAGE, maxsplit=1, flags=re.MULTILINE)[1]
    rows = re.match(r"(?:\|.*\|\n)*", after)[0].splitlines()  # type: ignore[index] - an empty table matches as well
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_verbs_are_those_that_are_declared() -> None:
    """The page shows every capability, and how it is known."""
    shown = {verb.strip("`"): support for verb, support in table("Verb")}

    assert {verb: support.value for verb, support in CAPABILITIES.verbs.items()} == shown


def test_what_is_missing_has_its_reason() -> None:
    """The page names every verb for which the capabilities have a reason."""
    assert set(CAPABILITIES.reasons) == {verb.strip("`") for verb, _ in table("Missing")}


def test_the_states_are_those_of_the_table() -> None:
    """The page maps each state of the service as the code does, and marks the states that end a wait."""
    shown = {
        word: state.strip("`") for words, state, _ in table("State at Jules") for word in re.findall(r"`(\w+)`", words)
    }
    ends = {state.strip("`"): end == "yes" for _, state, end in table("State at Jules")}

    assert {word: state.name for word, state in STATES.items()} == shown
    assert {state: coatcheck.TaskState[state].ends_wait for state in ends} == ends


def test_the_quotas_are_those_of_the_plans() -> None:
    """The quotas on the page are those that the code uses."""
    assert {plan: (str(quota.per_day), str(quota.at_once)) for plan, quota in QUOTAS.items()} == {
        plan.strip("`"): (day, once) for plan, day, once in table("`jules.plan`")
    }
