"""The property of tests/fleet/test_merge_order.py with as many examples as find a rare conflict."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.fleet.test_merge_order import EDITS, trees_of

pytestmark = pytest.mark.peer


@given(EDITS)
@settings(max_examples=60, deadline=None)
def test_many_orders_are_merged_as_git_merges_them(
    tmp_path_factory: pytest.TempPathFactory, edits: list[list[tuple[str, int, str]]]
) -> None:
    """Git merges every change that the order has, one after another, to the tree that the trial has made."""
    merged, ours, gits = trees_of(tmp_path_factory.mktemp("r") / "api", edits)

    assert ([*range(len(edits))], gits) == (merged, ours)
