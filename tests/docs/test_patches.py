from __future__ import annotations

import re
from pathlib import Path

from coatcheck._patches.merge import CONFLICTS
from coatcheck._patches.policy import ALWAYS, RULES

PAGE = (Path(__file__).parents[2] / "docs/guides/patches.md").read_text("utf-8")


def table(heading: str) -> list[tuple[str, str]]:
    """Return the two columns of the first table after *heading*, without its head."""
    after = PAGE.partition(f"\n## {heading}\n")[2]
    return re.findall(r"^\| (`.*?) \| (.*) \|$", after.partition("\n## ")[0], re.MULTILINE)


def test_every_rule_is_in_the_guide() -> None:
    """The table has every rule in its words, those that always refuse first."""
    assert [(f"`{name}`", what) for name, what in RULES.items()] == table("The rules")
    assert ALWAYS == set(list(RULES)[:5])


def test_every_conflict_is_in_the_guide() -> None:
    """Every kind of conflict is explained."""
    assert CONFLICTS.keys() == set(re.findall("`([^`]+)`", " ".join(kinds for kinds, _ in table("Conflicts"))))
