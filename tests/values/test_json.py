"""The JSON form of values: written by `to_dict`, read back by `from_dict`."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.examples import examples

import coatcheck
from coatcheck import Patch, Task, TaskRef, TaskSpec, TaskState, UnknownEvent, errors, event_from_dict
from coatcheck._model import events
from coatcheck._values.json_decode import hints
from coatcheck._values.json_fields import to_object
from coatcheck._values.value import Value

REF = TaskRef("codex", "task_e_1")
# Those that hold secrets, and have no JSON form.
SECRET = {"Tokens", "DeviceCode"}
# Every other public class of values.
CLASSES = sorted(
    (
        value
        for name in coatcheck.__all__
        if isinstance(value := getattr(coatcheck, name), type) and issubclass(value, Value) and name not in SECRET
    ),
    key=lambda cls: cls.__name__,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WORD = st.text("abc-_09", min_size=1, max_size=8)
# Attributes with a service's raw answer are no part of the JSON form.
RAW = {"raw"}


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Return values of the type *hint*."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None:
        return of_class(hint)
    if origin is tuple:
        return st.lists(of_type(arguments[0]), max_size=2).map(tuple)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is Mapping or origin is typing.get_origin(Mapping[str, str]):
        return st.dictionaries(WORD, of_type(arguments[1]), max_size=2)
    return st.one_of(*(st.none() if each is type(None) else of_type(each) for each in arguments))


def of_class(hint: Any) -> st.SearchStrategy[Any]:
    """Return values of a class that is no container."""
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        int: st.integers(0, 2**40),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        bytes: st.binary(max_size=8),
        object: st.one_of(st.none(), TEXT, st.dictionaries(WORD, st.integers(), max_size=2)),
        datetime: st.datetimes(timezones=st.just(UTC)),
        TaskRef: st.builds(TaskRef, st.just("codex"), WORD),
        Patch: st.binary(max_size=20).map(Patch),
    }
    if hint in plain:
        return plain[hint]
    return st.sampled_from(list(hint)) if issubclass(hint, Enum) else values(hint)


@cache
def values(cls: type[Value]) -> st.SearchStrategy[Value]:
    """Return values of *cls* with every attribute given; a strategy is validated once, which takes longest."""
    return st.deferred(
        lambda: st.builds(cls, **{name: of_type(hint) for name, hint in hints(cls).items() if name not in RAW})
    )


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@settings(max_examples=examples(6))
@given(data=st.data())
def test_what_is_written_is_read_back(cls: type[Value], data: st.DataObject) -> None:
    """A value that was written as JSON text and read back is equal, and every declared field is in the text."""
    value = data.draw(values(cls))
    read = cls.from_dict(json.loads(json.dumps(value.to_dict())))

    assert (list(cls._json), value) == (list(to_object(value)), read)


def test_every_attribute_is_in_the_document() -> None:
    """Every attribute but a service's raw response is in the document."""
    assert [] == [cls for cls in CLASSES if not set(cls.__struct_fields__) - RAW <= set(cls._json)]


@pytest.mark.parametrize("cls", events.EVENT_TYPES.values(), ids=lambda cls: cls.__name__)
@settings(max_examples=examples(6))
@given(data=st.data())
def test_every_event_is_read_by_its_type(cls: type[Value], data: st.DataObject) -> None:
    """`event_from_dict` finds the class by `type`."""
    event = data.draw(values(cls))

    assert event == event_from_dict(json.loads(json.dumps(event.to_dict())))


def test_an_event_of_a_newer_version_is_kept() -> None:
    """A type that is not known becomes an `UnknownEvent` that holds the whole document."""
    document = {"type": "task.teleported", "ref": "codex:t", "id": "7", "to": "Mars"}

    assert UnknownEvent(ref=TaskRef("codex", "t"), id="7", kind="task.teleported", data=document) == event_from_dict(
        document
    )


def test_fields_of_a_newer_version_are_ignored() -> None:
    """A document with more fields is read."""
    task = Task(ref=REF, state=TaskState.RUNNING)

    assert task == Task.from_dict({**task.to_dict(), "colour": "red"})


def test_a_state_of_a_newer_version_is_unknown() -> None:
    """An unknown state becomes UNKNOWN."""
    assert TaskState.UNKNOWN is Task.from_dict({"ref": "codex:t", "state": "melted"}).state


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("$", {"state": "running"}),
        ("$.ref", {"ref": 1, "state": "running"}),
        ("$.attempts", {"ref": "codex:t", "state": "running", "attempts": "many"}),
        (
            "$.attempts[0].placement",
            {"ref": "codex:t", "state": "running", "attempts": [{"id": "a", "placement": "x"}]},
        ),
        ("$.created_at", {"ref": "codex:t", "state": "running", "created_at": "yesterday"}),
        ("$.is_archived", {"ref": "codex:t", "state": "running", "is_archived": 1}),
        ("$.attempt_total", {"ref": "codex:t", "state": "running", "attempt_total": True}),
        ("$.mode", {"ref": "codex:t", "state": "running", "mode": "think"}),
    ],
)
def test_a_wrong_field_is_named(path: str, document: dict[str, object]) -> None:
    """The error names the path of the field."""
    with pytest.raises(errors.ConfigurationError) as caught:
        Task.from_dict(document)

    assert str(caught.value).startswith(path)


def test_a_patch_of_other_bytes_survives() -> None:
    """A patch that is not UTF-8 is kept as base64."""
    outcome = coatcheck.Outcome(patch=Patch(b"+\xff\n"))

    assert b"+\xff\n" == bytes(coatcheck.Outcome.from_dict(outcome.to_dict()).patch or b"")


def test_a_spec_can_be_kept() -> None:
    """A spec can be written to JSON and submitted again."""
    spec = TaskSpec(prompt="Add dark mode", repository="owner/repo", attempts=3, requests={"a": "one"})

    assert spec == TaskSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
