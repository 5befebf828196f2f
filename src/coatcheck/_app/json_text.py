"""Set one member of a JSON document in its text: JSON with comments and trailing commas, as editors write it.

Guarantee: everything else, comments, order and indentation included, stays byte for byte; a document that does not read
back as expected is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]  # of the standard library, and not in its stubs
from typing import Any, NamedTuple

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR = re.compile(r"[^\s,\]\}/]+")
_INDENT = re.compile(r"\n([ \t]*)$")


class _Member(NamedTuple):
    name: str
    start: int
    value: int
    end: int


class _Object(NamedTuple):
    """The place of an object: its braces, its members, and whether a comma follows the last one."""

    start: int
    end: int
    members: Sequence[_Member]
    has_trailing_comma: bool


def set_member(text: str, names: Sequence[str], value: object) -> str:
    """Return *text* with the member at the path *names* set to *value*; objects on the way are created.

    Raises `ValueError` for text that is no JSON object, or whose form cannot be changed.
    """
    text = text if text.strip() else "{}\n"
    expected = parse(text)
    _set(expected, names, value)
    changed = _changed(text, names, value)
    if parse(changed) != expected:
        raise ValueError("its form cannot be changed")
    return changed


def parse(text: str) -> Any:
    """Return the document without its comments. Raises `ValueError` for text that is no JSON object."""
    root = _read_object(text, _skip(text, 0))
    if _skip(text, root.end) != len(text):
        raise ValueError("there is text after the object")
    return _value_of(text, root.start)


def _set(document: Any, names: Sequence[str], value: object) -> None:
    for name in names[:-1]:
        document = document.setdefault(name, {})
        if not isinstance(document, dict):
            raise TypeError(f"{name} is no object")
    document[names[-1]] = value


def _changed(text: str, names: Sequence[str], value: object) -> str:
    place = _read_object(text, _skip(text, 0))
    for depth, name in enumerate(names):
        member = next((each for each in place.members if each.name == name), None)
        if member is None:
            for missing in reversed(names[depth + 1 :]):
                value = {missing: value}
            return _inserted(text, place, name, value)
        if depth == len(names) - 1:
            indent = _indent_at(text, member.start)
            return text[: member.value] + _encoded(text, value, indent) + text[member.end :]
        place = _read_object(text, member.value)
    raise ValueError("no name is given")


def _inserted(text: str, place: _Object, name: str, value: object) -> str:
    """Return *text* with a new last member of an object."""
    newline = "\r\n" if "\r\n" in text else "\n"
    outer = _indent_at(text, place.start)
    indent = _indent_at(text, place.members[0].start) if place.members else ""
    indent = indent if len(indent) > len(outer) else f"{outer}  "
    member = f"{newline}{indent}{json.dumps(name)}: {_encoded(text, value, indent)}"
    closing = place.end - 1
    last = len(text[:closing].rstrip(" \t\r\n"))
    tail = text[last:closing]
    if "\n" not in tail:
        tail = f"{newline}{outer}"
    head = text[:last]
    if place.members and not place.has_trailing_comma:
        end = place.members[-1].end
        head = f"{text[:end]},{text[end:last]}"
    return f"{head}{member}{tail}{text[closing:]}"


def _encoded(text: str, value: object, indent: str) -> str:
    lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
    return ("\r\n" if "\r\n" in text else "\n").join([lines[0], *(f"{indent}{line}" for line in lines[1:])])


def _indent_at(text: str, position: int) -> str:
    """Return the blanks before *position* where it begins a line, else those of its line."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


# --- reading ----------------------------------------------------------------------------------------------------------


def _skip(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _read_object(text: str, position: int) -> _Object:
    if text[position : position + 1] != "{":
        raise ValueError("it is no JSON object")
    members: list[_Member] = []
    start, has_comma = position, False
    position = _skip(text, position + 1)
    while text[position : position + 1] != "}":
        if text[position : position + 1] != '"' or (members and not has_comma):
            raise ValueError(f"character {position}: a member is expected")
        begin = position
        name, position = scanstring(text, position + 1, True)  # noqa: FBT003 - its signature
        position = _skip(text, position)
        if text[position : position + 1] != ":":
            raise ValueError(f"character {position}: a colon is expected")
        value = _skip(text, position + 1)
        end = _end_of_value(text, value)
        members.append(_Member(name, begin, value, end))
        position = _skip(text, end)
        has_comma = text[position : position + 1] == ","
        position = _skip(text, position + 1) if has_comma else position
    return _Object(start, position + 1, members, has_comma)


def _end_of_value(text: str, position: int) -> int:
    first = text[position : position + 1]
    if first == '"':
        end: int = scanstring(text, position + 1, True)[1]  # noqa: FBT003 - its signature
        return end
    if first == "{":
        return _read_object(text, position).end
    if first == "[":
        return _read_array(text, position)[1]
    match = _SCALAR.match(text, position)
    if match is None:
        raise ValueError(f"character {position}: a value is expected")
    json.loads(match[0])
    return match.end()


def _read_array(text: str, position: int) -> tuple[list[int], int]:
    """Return where the values of an array begin, and its end."""
    values: list[int] = []
    position = _skip(text, position + 1)
    while text[position : position + 1] != "]":
        values.append(position)
        position = _skip(text, _end_of_value(text, position))
        if text[position : position + 1] == ",":
            position = _skip(text, position + 1)
        elif text[position : position + 1] != "]":
            raise ValueError(f"character {position}: a comma is expected")
    return values, position + 1


def _value_of(text: str, position: int) -> Any:
    if text[position] == "{":
        return {each.name: _value_of(text, each.value) for each in _read_object(text, position).members}
    if text[position] == "[":
        return [_value_of(text, each) for each in _read_array(text, position)[0]]
    return json.loads(text[position : _end_of_value(text, position)])
