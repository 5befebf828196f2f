"""The order in which changes are merged, as a picture: a dot for each item, and a curve to one that it overlaps with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .._fleet.markup import Markup, element, joined

if TYPE_CHECKING:
    from .._fleet.merge_order import Ordered
    from .._model.fleets import FleetItem

# Pixels: the height of a row, the place of the dots, and the width for curves and for a key.
ROW, LEFT, WIDTH = 22, 120, 640
# The place of the dots where there are no curves.
NO_CURVES = 8
LONGEST_KEY = 60
CLASSES = {"approved": "moving", "delivering": "moving", "waiting": "waiting", "conflict": "bad"}


def order_picture(ordered: Sequence[Ordered[FleetItem]], first: int) -> Markup:
    """Return the items of one repository from the position *first* on; an overlap with one that is not shown has no curve."""
    rows = {each.item.id: row for row, each in enumerate(ordered)}
    overlaps = sum(each.overlaps is not None for each in ordered)
    label = f"merge order of {len(ordered)} items, {overlaps} of which overlap with one before them"
    curves = [*_curves(ordered, rows)]
    parts = [*curves, *_dots(ordered, first, LEFT if curves else NO_CURVES)]
    height = ROW * len(ordered)
    return element(
        "svg",
        joined(parts),
        class_="order",
        role="img",
        aria_label=label,
        viewBox=f"0 0 {WIDTH} {height}",
        width=str(WIDTH),
        height=str(height),
    )


def _curves(ordered: Sequence[Ordered[FleetItem]], rows: dict[int, int]) -> Iterator[Markup]:
    for row, each in enumerate(ordered):
        before = rows.get(each.overlaps.id) if each.overlaps else None
        if before is not None:
            top, bottom = (_middle(number) for number in (before, row))
            bend = max(10, LEFT - 20 - (row - before) * 6)
            path = f"M {LEFT - 8} {top} C {bend} {top}, {bend} {bottom}, {LEFT - 8} {bottom}"
            title = element("title", f"{each.item.key} changes the same lines as {ordered[before].item.key}")
            yield element("path", title, d=path, class_="overlap")


def _dots(ordered: Sequence[Ordered[FleetItem]], first: int, left: int) -> Iterator[Markup]:
    for row, each in enumerate(ordered):
        y, key = _middle(row), each.item.key
        name = CLASSES.get(each.item.state.value, "open")
        shown = key if len(key) <= LONGEST_KEY else f"{key[: LONGEST_KEY - 1]}…"
        yield element("circle", element("title", f"{key}: {each.item.state.value}"), cx=left, cy=y, r="6", class_=name)
        yield element("text", f"{first + row}. {shown}", x=left + 16, y=y + 4)


def _middle(row: int) -> int:
    return row * ROW + ROW // 2
