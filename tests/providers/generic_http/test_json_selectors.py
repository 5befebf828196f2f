from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck.providers.generic_http.json_selectors import Answer, JsonSelector, Places

DOCUMENT = {"task": {"runs": [{"state": "a"}, {"state": "b"}], "odd key": {"x": 1}, "off": False}, "none": None}
ANSWER = Answer(document=DOCUMENT, headers={"x-id": "7"}, text="hello")


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("task.runs[0].state", "a"),
        ("task.runs[-1].state", "b"),
        ('task["odd key"].x', 1),
        ("task.off", False),
        ("task.runs[7].state", None),
        ("task.runs.state", None),
        ("task[0]", None),
        ("none.deeper", None),
        ("header:X-Id", "7"),
        ("header:x-other", None),
        ("body:", "hello"),
    ],
)
def test_a_place_leads_to_one_value(place: str, found: object) -> None:
    """Keys, indices, quoted keys, headers and the text; where the path does not fit, the result is None."""
    assert found == JsonSelector.read(place).find(ANSWER)


@pytest.mark.parametrize("text", ["", ".", "a..b", "a[", "a[x]", "a b", "[]", 'a["'])
def test_what_is_no_place_is_refused(text: str) -> None:
    """A place that is misspelt is an error when it is read, not an answer that is never found."""
    with pytest.raises(ValueError, match="is not a place"):
        JsonSelector.read(text)


def test_the_first_place_that_holds_something_counts() -> None:
    """A list of places is tried in order; null holds nothing."""
    assert "a" == Places.read(["none", "nowhere", "task.runs[0].state", "task.off"]).find(ANSWER)


@pytest.mark.parametrize(("place", "word"), [("task.off", "false"), ('task["odd key"].x', "1"), ("task.runs", None)])
def test_scalars_are_words(place: str, word: str | None) -> None:
    """A state may be a boolean or a number; an object is none."""
    assert word == Places.read(place).word(ANSWER)


def test_other_json_is_text_as_json() -> None:
    """A message that is an object is shown as what it is."""
    assert '[{"state":"a"},{"state":"b"}]' == Places.read("task.runs").text(ANSWER)


KEYS = st.text(min_size=1).filter(lambda text: '"' not in text)


@given(st.lists(KEYS | st.integers(0, 3), min_size=1, max_size=4), st.integers())
def test_every_value_can_be_selected(path: list[str | int], value: int) -> None:
    """Quoted keys and indices reach every value of every document."""
    document: object = value
    for step in reversed(path):
        document = {step: document} if isinstance(step, str) else [None] * step + [document]
    place = "".join(f"[{step}]" if isinstance(step, int) else f'["{step}"]' for step in path)

    assert value == JsonSelector.read(place).find(Answer(document=document))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_document_is_a_trouble(document: object) -> None:
    """A place finds something or nothing, in any document."""
    found = Places.read(["a.b[0]", "[0].a"])

    assert isinstance(found.text(Answer(document=msgspec.to_builtins(document))), str | None)
