from __future__ import annotations

from hypothesis import given, settings, strategies as st
from tests.examples import examples

from coatcheck._web.diffs.word_changes import Spans, changed_spans, pair_lines

WORDS = st.lists(
    st.sampled_from(["return", "a", "b", "x1", " ", "  ", "\t", "(", ")", "=", "é", "\U0001f600"]), max_size=14
)
LINE = WORDS.map("".join)


def unchanged(line: str, spans: Spans) -> str:
    """Return *line* without its changed parts."""
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(line)]
    return "".join(line[end:start] for end, start in zip(ends, starts, strict=True))


@settings(max_examples=examples(80), deadline=None)
@given(old=LINE, new=LINE)
def test_what_is_not_marked_is_on_both_sides(old: str, new: str) -> None:
    """Parts are in order and inside the line; without them, and but for white space, both lines are the same."""
    old_spans, new_spans = changed_spans(old, new)
    borders = [border for span in old_spans for border in span]

    assert borders == sorted(set(borders))
    if old_spans or new_spans:
        assert unchanged(old, old_spans).split() == unchanged(new, new_spans).split()


@settings(max_examples=examples(60), deadline=None)
@given(old=st.lists(LINE, max_size=20), new=st.lists(LINE, max_size=20))
def test_each_line_is_in_one_pair(old: list[str], new: list[str]) -> None:
    """Pairs keep the order of both sides, and have every line once."""
    pairs = pair_lines(old, new)

    assert [*range(len(old))] == [pair.old for pair in pairs if pair.old is not None]
    assert [*range(len(new))] == [pair.new for pair in pairs if pair.new is not None]


def test_versions_of_a_line_are_paired() -> None:
    """A line is paired with its new version, also where lines were added before it, and only its change is marked."""
    old = ["    total = sum(values)", "    return total"]
    new = ["    # the mean", "    total = sum(values) / len(values)", "    return total"]

    pairs = pair_lines(old, new)

    assert [(None, 0), (0, 1), (1, 2)] == [(pair.old, pair.new) for pair in pairs]
    assert [((23, 37),)] == [pair.new_spans for pair in pairs if pair.new_spans]


def test_lines_with_nothing_in_common_are_not_marked() -> None:
    """Where the whole line is another one, no word is marked."""
    assert ((), ()) == changed_spans("import os", "def main(): pass")


def test_long_runs_and_lines_take_bounded_time() -> None:
    """Ten thousand lines, and lines of ten thousand words, are compared; this ends at once or never."""
    many = [f"line {number} of many" for number in range(10_000)]
    long = "a b " * 5_000

    pairs = pair_lines(many, [f"{line}!" for line in many])
    spans = changed_spans(f"x {long} {'c d ' * 300} y", f"x {long} {'d e ' * 300} z")

    assert (10_000, 1, 1) == (len(pairs), len(spans[0]), len(spans[1]))
