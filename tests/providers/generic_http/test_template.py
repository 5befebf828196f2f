from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given, strategies as st

from coatcheck import TaskSpec
from coatcheck.providers.generic_http.template import PLACEHOLDERS, filled, filled_path, names_in, values_of

SPEC = TaskSpec(prompt="Fix {it}", repository="owner/repo", requires_approval=False)
VALUES = values_of(SPEC)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{prompt}", "Fix {it}"),
        ("Please: {prompt}!", "Please: Fix {it}!"),
        ("{requires_approval}", False),
        ("approve={requires_approval}", "approve=false"),
        ("on {branch}.", "on ."),
        ("{{prompt}}", "{prompt}"),
        ("a { brace }", "a { brace }"),
        ({"a": "{branch}", "b": ["{branch}", "{owner}"], "c": 3}, {"b": ["owner"], "c": 3}),
        ("{branch}", None),
    ],
)
def test_values_are_put_in(template: object, value: object) -> None:
    """Alone a placeholder is the value, within a text its text; nothing that a value holds is read again."""
    assert value == filled(template, VALUES)


def test_names_are_found_wherever_they_stand() -> None:
    """In texts, tables and lists; braces are no names."""
    template = {"a": "{prompt} {{b}}", "c": [{"d": "{+repo}"}], "e": 3}

    assert ["prompt", "repo"] == list(names_in(template))


def test_every_field_of_a_task_has_a_name() -> None:
    """A template can send every field of a task; a description is one attempt of one request, and has no keys."""
    assert {*TaskSpec.__struct_fields__, "owner", "repo"} - {"attempts", "key", "requests"} == set(PLACEHOLDERS)


@given(st.text(min_size=1).filter(lambda text: text.isprintable() and text.strip(".")))
def test_a_value_in_a_path_is_one_segment(text: str) -> None:
    """No value ends its segment or begins a query."""
    path = filled_path("/tasks/{id}/cancel", {"id": text})

    assert ["", "tasks", text, "cancel"] == [unquote(part) for part in path.split("/")]


def test_a_name_with_slashes_may_keep_them() -> None:
    """``{+id}`` is RFC 6570's reserved expansion, and does not leave the path."""
    assert "/v1/operations/a%20b/%252E%252E:cancel" == filled_path("/v1/{+id}:cancel", {"id": "operations/a b/.."})
