"""One member of a JSON document is set in its text, and everything else stays as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from coatcheck._app.json_text import parse, set_member

VALUE = {"command": "c", "args": ["mcp"]}
SHOWN = '{\n      "command": "c",\n      "args": [\n        "mcp"\n      ]\n    }'

KEPT = [
    ("", '{\n  "servers": {\n    "coatcheck": {\n      "command": "c",\n      "args": [\n        "mcp"\n      ]\n    }\n  }\n}\n'),
    ('{\n  // mine\n  "a": 1 // one\n}\n', '{\n  // mine\n  "a": 1, // one\n  "servers": {\n    "coatcheck": ' + SHOWN + "\n  }\n}\n"),
    (
        '{\n  "servers": {\n    /* first */\n    "x": {"args": ["//", "/*"],},\n  },\n  "z": null\n}',
        '{\n  "servers": {\n    /* first */\n    "x": {"args": ["//", "/*"],},\n    "coatcheck": ' + SHOWN + '\n  },\n  "z": null\n}',
    ),
    (
        '{\n  "servers": {\n    "coatcheck": {"command": "old"}, // ours\n    "x": {}\n  }\n}\n',
        '{\n  "servers": {\n    "coatcheck": ' + SHOWN + ', // ours\n    "x": {}\n  }\n}\n',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), KEPT)
def test_comments_order_and_indentation_stay(before: str, after: str) -> None:
    """The member is added last or replaced where it is, indented as its neighbours are; setting it again changes nothing."""
    changed = set_member(before, ("servers", "coatcheck"), VALUE)

    assert after == changed
    assert after == set_member(changed, ("servers", "coatcheck"), VALUE)


def test_tabs_and_windows_line_ends_stay() -> None:
    """The indentation of the neighbours and the line ends of the file are used."""
    changed = set_member('{\r\n\t"servers": {\r\n\t\t"x": {}\r\n\t}\r\n}\r\n', ("servers", "y"), {"a": 1})

    assert '{\r\n\t"servers": {\r\n\t\t"x": {},\r\n\t\t"y": {\r\n\t\t  "a": 1\r\n\t\t}\r\n\t}\r\n}\r\n' == changed


@pytest.mark.parametrize(
    "text",
    ["[]", "1", "{", '{"a" 1}', '{"a": 1} x', '{"a": tru}', "{'a': 1}", '{"a": 1 "b": 2}', '{"a": [1 2]}', "// only"],
)
def test_what_is_no_json_object_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError):
        set_member(text, ("servers", "coatcheck"), VALUE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(
    document=st.dictionaries(st.text(max_size=6), JSON, max_size=4),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    names=st.lists(st.text(max_size=6), min_size=1, max_size=3),
)
def test_every_document_reads_back_as_expected(document: dict[str, object], indent: object, names: list[str]) -> None:
    """Only the member differs, however the document is written; where a part of the path is no object, it is refused."""
    text = json.dumps(document, indent=indent)  # type: ignore[arg-type]
    expected = inner = json.loads(text)
    for name in names[:-1]:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            with pytest.raises(TypeError):
                set_member(text, names, VALUE)
            return
    inner[names[-1]] = VALUE

    assert expected == parse(set_member(text, names, VALUE))
