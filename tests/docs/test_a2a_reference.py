"""The tables on the page about A2A are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from coatcheck.providers.a2a.extract import STATES
from coatcheck.providers.a2a.provider import CAPABILITIES

PAGE = (Path(__file__).parents[2] / "docs/reference/providers/a2a.md").read_text("utf-8")


def table(head: str) -> list[list[str]]:
    """Return the rows of the table whose first column is headed *head*."""
    after = re.split(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\|\n", PAGE, maxsplit=1, flags=re.MULTILINE)[1]
    rows = re.match(r"(?:\|.*\|\n)*", after)[0].splitlines()  # type: ignore[index] - an empty table matches as well
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_page_has_the_verbs_and_the_states_of_the_code() -> None:
    """The page shows every verb, every missing one, and what each state means."""
    states = {word: state for words, state, _ in table("State at the agent") for word in re.findall(r"`(\w+)`", words)}
    missing = re.findall(r"`(\w+)`", " ".join(row[0] for row in table("Missing")))

    assert (
        {verb: support.value for verb, support in CAPABILITIES.verbs.items()},
        set(CAPABILITIES.reasons),
        {word: f"`{state.name}`" for word, state in STATES.items()},
    ) == ({verb.strip("`"): support for verb, support in table("Verb")}, set(missing), states)
