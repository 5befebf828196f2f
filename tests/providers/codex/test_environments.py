from __future__ import annotations

from coatcheck import Environment
from coatcheck.providers.codex.environments import merged

ONE = Environment(id="1" * 32, label="owner/repo", repositories=("Owner/Repo",))
FOUR = Environment(id="4" * 32)


def test_lists_are_merged_by_id() -> None:
    """The first label counts, a pin anywhere counts, and the order is that of the first appearance."""
    pinned = Environment(id=FOUR.id, label="Four", is_pinned=True)

    assert (Environment(id=FOUR.id, label="Four", is_pinned=True), ONE) == merged([FOUR], [ONE, pinned])
