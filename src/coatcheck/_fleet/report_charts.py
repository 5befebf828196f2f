"""The charts of a report as SVG. Pure.

Every chart has a text that says what it shows; colours come from classes of the page's style, so that they follow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .._model.fleets import ItemState
from .markup import Markup, element, joined
from .report_values import RatePoint, ServiceReport

# State of an item -> class of its colour, in the order in which they are drawn.
STATE_CLASSES: Mapping[ItemState, str] = {
    ItemState.DELIVERED: "good",
    ItemState.DELIVERING: "moving",
    ItemState.APPROVED: "moving",
    ItemState.RANKED: "moving",
    ItemState.WAITING: "waiting",
    ItemState.CONFLICT: "waiting",
    ItemState.OPEN: "open",
    ItemState.REJECTED: "none",
    ItemState.CANCELLED: "none",
    ItemState.EXHAUSTED: "bad",
    ItemState.FAILED: "bad",
}
SERIES = (("submitted", "open"), ("ended", "moving"), ("delivered", "good"))
WIDTH, HEIGHT, LEFT, BOTTOM = 720.0, 220.0, 44.0, 24.0


def state_bar(items: Mapping[str, int]) -> Markup:
    """Return a bar with a part for each state of items."""
    total = sum(items.values()) or 1
    parts, at = [], 0.0
    for state, name in STATE_CLASSES.items():
        width = WIDTH * items.get(state, 0) / total
        if width:
            title = element("title", f"{items[state]} {state}")
            parts.append(element("rect", title, x=at, y=0, width=max(width - 1, 1.0), height=20, class_=name))
        at += width
    return _svg("items by state", WIDTH, 20.0, parts, preserveAspectRatio="none")


def state_legend(items: Mapping[str, int]) -> Markup:
    """Return the states with their colours and counts."""
    return element(
        "ul",
        *(
            element("li", element("span", "", class_=f"dot {name}"), f" {items[state]} {state}")
            for state, name in STATE_CLASSES.items()
            if items.get(state)
        ),
        class_="legend",
    )


def success_bar(service: ServiceReport) -> Markup:
    """Return a bar with the tasks of a service that ended with a change, without one, and that have not ended."""
    total, at, parts = max(service.tasks, 1), 0.0, []
    for count, name in ((service.succeeded, "good"), (service.failed, "bad")):
        width = 120.0 * count / total
        parts.append(element("rect", x=at, y=0, width=width, height=10, class_=name))
        at += width
    parts.append(element("rect", x=at, y=0, width=max(0.0, 120.0 - at), height=10, class_="open"))
    label = f"{service.succeeded} of {service.tasks} tasks succeeded, {service.failed} failed"
    return _svg(label, 120.0, 10.0, parts, class_="small")


def rate_chart(points: Sequence[RatePoint]) -> Markup:
    """Return bars of what was submitted, ended and delivered in each interval."""
    most = max((max(getattr(each, name) for name, _ in SERIES) for each in points), default=0) or 1
    slot = (WIDTH - LEFT) / len(points)
    parts = [*_axis(most), *_labels(points, slot)]
    for number, point in enumerate(points):
        for place, (name, colour) in enumerate(SERIES):
            count = getattr(point, name)
            height = (HEIGHT - BOTTOM - 10) * count / most
            width = min(slot * 0.8, 60.0) / len(SERIES)
            title = element("title", f"{point.at:%Y-%m-%d %H:%M}Z: {count} {name}")
            x = LEFT + number * slot + slot * 0.1 + place * width
            y = HEIGHT - BOTTOM - height
            parts.append(element("rect", title, x=x, y=y, width=max(width - 1, 0.5), height=height, class_=colour))
    return _svg("tasks submitted and ended, and items delivered, over time", WIDTH, HEIGHT, parts)


def rate_legend() -> Markup:
    """Return the names of the bars with their colours."""
    entries = (element("li", element("span", "", class_=f"dot {colour}"), f" {name}") for name, colour in SERIES)
    return element("ul", *entries, class_="legend")


def _axis(most: int) -> Iterator[Markup]:
    """Yield the lines of none, half and the most, with their numbers."""
    for value in sorted({0, most // 2, most}):
        y = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 10) * value / most
        yield element("line", x1=LEFT, x2=WIDTH, y1=y, y2=y, class_="grid")
        yield element("text", str(value), x=LEFT - 6, y=y + 4, text_anchor="end")


def _labels(points: Sequence[RatePoint], slot: float) -> Iterator[Markup]:
    """Yield the times below the bars, at most six."""
    step = -(-len(points) // 6)
    is_daily = points[0].seconds >= 86_400 or points[-1].at.date() != points[0].at.date()
    form = "%m-%d" if points[0].seconds >= 86_400 else "%m-%d %H:%M" if is_daily else "%H:%M"
    first = {"%m-%d %H:%M": 5, "%H:%M": 11}.get(form)  # the script of the page shows the rest of the time from there
    for number in range(0, len(points), step):
        x, at = LEFT + number * slot + slot * 0.1, points[number].at
        time = f"{at:%Y-%m-%dT%H:%MZ}" if first else None
        yield element("text", f"{at:{form}}", x=x, y=HEIGHT - 6, data_time=time, data_from=first)


def _svg(
    label: str, width: float, height: float, parts: Sequence[Markup], class_: str | None = None, **attributes: str
) -> Markup:
    box = f"0 0 {width:g} {height:g}"
    title = element("title", label)
    return element("svg", title, joined(parts), viewBox=box, role="img", aria_label=label, class_=class_, **attributes)
