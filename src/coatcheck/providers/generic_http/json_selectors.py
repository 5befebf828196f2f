"""Selectors of a response: a path into its JSON, a header, or the whole text.

``task.runs[0].state``, ``["odd key"].x``, ``items[-1]``, ``header:operation-location``, ``body:``. A place leads to one
value: no wildcards and no filters, so that twenty lines are enough and a description stays readable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_STEP = re.compile(r'\.?([^.\[\]"\s]+)|\[(-?\d+)\]|\["([^"]+)"\]')
HEADER, BODY = "header:", "body:"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is read from: an answer whose JSON (None where it is something else) has been decoded."""

    status: int = 200
    headers: Mapping[str, str] = {}
    document: object = None
    text: str = ""
    is_elsewhere: bool = False

    def inside(self, document: object) -> Answer:
        """Return a part of this response as a response."""
        return Answer(status=self.status, document=document)


class JsonSelector(msgspec.Struct, frozen=True):
    """One place, read."""

    source: str
    steps: tuple[str | int, ...] = ()

    @classmethod
    def read(cls, text: str) -> JsonSelector:
        """Read a selector. Raises ValueError with the reason."""
        if text.startswith((HEADER, BODY)):
            source, _, name = text.partition(":")
            return cls(source, (name.strip().lower(),))
        steps: list[str | int] = []
        position = 0
        while position < len(text):
            step = _STEP.match(text, position)
            if step is None:
                break
            steps.append(int(step[2]) if step[2] else step[1] or step[3])
            position = step.end()
        if not steps or position < len(text):
            message = f"{text!r} is not a place in an answer: write a.b[0], header:NAME or body:"
            raise ValueError(message)
        return cls("json", tuple(steps))

    def find(self, answer: Answer) -> object | None:
        """Return the selected value, None where there is none."""
        if self.source == "header":
            return answer.headers.get(str(self.steps[0]))
        if self.source == "body":
            return answer.text or None
        selected = answer.document
        for step in self.steps:
            selected = _inside(selected, step)
        return selected


def _inside(value: object, step: str | int) -> object | None:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
        selected: object = value[step]
        return selected
    return None


class Places:
    """Several places, of which the first that holds something counts. No struct: in TOML it is a text or a list."""

    __slots__ = ("places",)

    def __init__(self, places: tuple[JsonSelector, ...] = ()) -> None:
        self.places = places

    @classmethod
    def read(cls, value: object) -> Places:
        """Read a selector or a list of them. Raises ValueError with the reason."""
        values = value if isinstance(value, list) else [value]
        texts = [text for text in values if isinstance(text, str)]
        if len(texts) < len(values):
            message = "a place is a text, or a list of texts"
            raise ValueError(message)
        return cls(tuple(map(JsonSelector.read, texts)))

    def __bool__(self) -> bool:
        return bool(self.places)

    def find(self, answer: Answer) -> object | None:
        """Return the first selected value."""
        return next((selected for place in self.places if (selected := place.find(answer)) is not None), None)

    def word(self, answer: Answer) -> str | None:
        """Return the first text, whole number or boolean as a word; anything else is none."""
        for place in self.places:
            selected = place.find(answer)
            if isinstance(selected, bool):
                return str(selected).lower()
            if isinstance(selected, (int, str)) and selected != "":
                return str(selected)
        return None

    def text(self, answer: Answer) -> str | None:
        """Return the selected value as text: a string as it is, anything else as JSON."""
        selected = self.find(answer)
        if selected is None or selected in ("", [], {}):
            return None
        return selected if isinstance(selected, str) else msgspec.json.encode(selected).decode()
