"""Values as templates print them: times, durations, sizes, states."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from .._fleet.quantities import dollars
from .._model.states import TaskState
from .._protocol.safe_links import is_safe_url

# State -> (what is shown, the sign before it): a state is never shown by its colour alone (WCAG 2.2, 1.4.1).
STATES: Mapping[TaskState, tuple[str, str]] = {
    TaskState.QUEUED: ("queued", "○"),
    TaskState.RUNNING: ("running", "◐"),
    TaskState.INPUT_REQUIRED: ("needs input", "!"),
    TaskState.PAUSED: ("paused", "‖"),
    TaskState.SUCCEEDED: ("succeeded", "✓"),
    TaskState.FAILED: ("failed", "✗"),
    TaskState.CANCELLED: ("cancelled", "⊘"),
    TaskState.EXPIRED: ("expired", "⊘"),
    TaskState.UNKNOWN: ("unknown", "?"),
}


# State of a fleet's item or candidate -> (its class, the sign before it).
ITEM_STATES: Mapping[str, tuple[str, str]] = {
    "delivered": ("succeeded", "✓"),
    "verified": ("succeeded", "✓"),
    "approved": ("running", "◐"),
    "delivering": ("running", "◐"),
    "ranked": ("running", "◐"),
    "running": ("running", "◐"),
    "submitting": ("running", "◐"),
    "waiting": ("input_required", "!"),
    "input_required": ("input_required", "!"),
    "conflict": ("input_required", "!"),
    "uncertain": ("input_required", "!"),
    "failed": ("failed", "✗"),
    "exhausted": ("failed", "✗"),
    "expired": ("failed", "✗"),
    "rejected": ("cancelled", "⊘"),
    "cancelled": ("cancelled", "⊘"),
}


# What follows is built from names, numbers and times of ours, without `Markup.format`: a list has hundreds of them.


@functools.cache
def state(value: TaskState | str) -> Markup:
    """Return a state as a badge: a sign and words."""
    known = TaskState(value) if isinstance(value, str) else value
    text, sign = STATES[known]
    return Markup(f'<span class="state state-{known.value}"><span aria-hidden="true">{sign}</span> {text}</span>')  # noqa: S704


@functools.cache
def item_state(value: str) -> Markup:
    """Return a state of an item, a candidate, a fleet or a delivery as a badge: a sign and words."""
    name, sign = ITEM_STATES.get(value, ("queued", "○"))
    words = str(escape(value.replace("_", " ")))
    return Markup(f'<span class="state state-{name}"><span aria-hidden="true">{sign}</span> {words}</span>')  # noqa: S704


def time(value: datetime | float | None, *, is_short: bool = False) -> Markup:
    """Return a time as ``<time>``: in UTC, which the script replaces by the reader's zone; nothing for None."""
    if value is None:
        return Markup("")
    moment = datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value.astimezone(UTC)
    exact = moment.isoformat(" ", "seconds")[:19]
    shown, kind = (exact[11:], "clock") if is_short else (exact[:16], "moment")
    return Markup(f'<time datetime="{exact[:10]}T{exact[11:]}Z" data-format="{kind}">{shown}</time>')  # noqa: S704


def duration(seconds: float | None) -> str:
    """Return a duration with its two largest units: ``4 s``, ``2 min 5 s``, ``3 h 20 min``."""
    if seconds is None or seconds < 0:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(count: int) -> str:
    """Return a number of bytes in decimal units (IEC 80000-13 has kB for 1000)."""
    for unit, factor in (("MB", 1_000_000), ("kB", 1000)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes" if count != 1 else "1 byte"


def plural(count: int, noun: str) -> str:
    """Return a number and its noun: ``1 file``, ``2 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def stats(value: Any) -> Markup:
    """Return the size of a change: files, added and removed lines; nothing for None."""
    if value is None:
        return Markup("")
    files, added, removed = (int(each or 0) for each in (value.files, value.added, value.removed))
    return Markup(  # noqa: S704 - numbers
        f'<span class="stats">{plural(files, "file")} <span class="added">+{added}</span>'
        f' <span class="removed">-{removed}</span></span>'
    )


# The sparkline: bars of this width with one unit between, on this height.
_BAR, _GAP, _HEIGHT = 3, 1, 16


def sparkline(values: Sequence[float], label: str) -> Markup:
    """Return bars as inline SVG, from the first value to the last; nothing for fewer than two values."""
    if len(values) < 2:
        return Markup("")
    top = max(values) or 1.0
    bars = "".join(
        f'<rect x="{place * (_BAR + _GAP)}" y="{_HEIGHT - height}" width="{_BAR}" height="{height}"/>'
        for place, value in enumerate(values)
        for height in (max(1, round(_HEIGHT * value / top)),)
    )
    width = len(values) * (_BAR + _GAP) - _GAP
    return Markup(
        '<svg class="sparkline" role="img" aria-label="{}" viewBox="0 0 {w} {h}" width="{w}" height="{h}">{}</svg>'
    ).format(label, Markup(bars), w=width, h=_HEIGHT)  # noqa: S704 - numbers of ours


def one_line(text: str | None, limit: int = 120) -> str:
    """Return the beginning of a text as one line."""
    words = " ".join((text or "")[: 4 * limit].split())
    return words if len(words) <= limit else f"{words[: limit - 1]}…"


# Kind of a gate -> what approving and rejecting it do.
MEANINGS: Mapping[str, str] = {
    "plan": "Approve: the agent carries out this plan. Reject: it does not; the task still waits for a message or for its end.",
    "permission": "Approve: the agent may do this. Reject: it may not, and continues without it.",
    "question": "Your answer is sent to the task, which continues. Reject: no answer is sent.",
    "submission": "Approve: the task is submitted once, and may cost money. Reject: it is never sent.",
    "apply": "Approve: the patch is applied to the checkout that was chosen with it. Reject: nothing is changed.",
    "wave": "Approve: the next items of the fleet are submitted by the running fleet. Reject: they are not.",
    "delivery": "Approve: the running fleet delivers this item, which may start automation of the repository. Reject: it does not.",
}


def meaning(gate: Any) -> str:
    """Return what a decision about a gate does."""
    return MEANINGS[gate.kind]


FILTERS: Mapping[str, Callable[..., Any]] = {
    "state": state,
    "item_state": item_state,
    "time": time,
    "duration": duration,
    "size": size,
    "dollars": dollars,
    "plural": plural,
    "stats": stats,
    "sparkline": sparkline,
    "one_line": one_line,
    "meaning": meaning,
    "is_safe_link": lambda url: bool(url) and is_safe_url(url),
    "e": escape,
}
