from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st
from tests.examples import examples
from tests.web.diffs.diff_support import diff, only_file, view
from tests.web.diffs.html_reader import Reader, Row, foreign

from coatcheck._patches.hidden_characters import visible_form
from coatcheck._patches.parse import Patch
from coatcheck._web.diffs import file_rows
from coatcheck._web.diffs.file_lines import Gap
from coatcheck._web.diffs.file_rows import FileRows
from coatcheck._web.diffs.file_section import FileView, body_html, files_of, rows_of, section_html


def rows(text: bytes, shown: FileView) -> FileRows:
    """Return the rows of the only file of a diff."""
    return rows_of(files_of(Patch(text).files)[0], shown)


def lines_of(text: bytes, name: str, files: dict[str, bytes] | None = None, **options: bool) -> list[Row]:
    """Return the rows of all parts."""
    shown = rows(text, view(name, files, **options))
    return [row for part in range(shown.part_count) for row in Reader(shown.part(part)).lines]


def sides(lines: list[Row], name: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return (number, text) of the lines before and after the change, as a view shows them."""
    old, new = [], []
    for row in lines:
        if name == "unified":
            [text] = row.texts
            old += [(row.numbers[0], text)] * (row.css != "a")
            new += [(row.numbers[1], text)] * (row.css != "r")
        else:
            old += [(row.numbers[0], row.texts[0])] * (row.classes[0] != "e")
            new += [(row.numbers[1], row.texts[1])] * (row.classes[1] != "e")
    return old, new


LINE = st.sampled_from(["", "a", "b c", "x = 1", "\tif x:", "&<>\"'", "\x1b[31m", "\u202e", "é", "end  ", "x\r", "<b>"])
CONTENT = st.lists(LINE, max_size=12).map(lambda lines: "\n".join(lines).encode("utf-8"))


@settings(max_examples=examples(60), deadline=None)
@given(old=CONTENT, new=CONTENT, name=st.sampled_from(["unified", "split"]), path=st.sampled_from(["f.py", "f"]))
def test_rows_are_the_lines_of_both_sides(old: bytes, new: bytes, name: str, path: str) -> None:
    """With all context, each view has the numbered lines of both files, and no element that is not ours."""
    text = diff(old, new, path=path)
    if not text:
        return
    before, after = sides(lines_of(text, name, {path: old}, has_all_context=True), name)

    assert numbered(old) == [(number, shown.replace("\\x0d", "")) for number, shown in before]
    assert numbered(new) == [(number, shown.replace("\\x0d", "")) for number, shown in after]
    assert [] == foreign(section_html(files_of(Patch(text).files)[0], view(name)))


def numbered(content: bytes) -> list[tuple[str, str]]:
    """Return the lines of a file with their numbers, as they are shown."""
    lines = content.decode("utf-8").split("\n")
    whole = lines if lines[-1] else lines[:-1]
    shown = [line.removesuffix("\r").replace("\x1b", "\\x1b").replace("\u202e", "\\u202e") for line in whole]
    return [(str(number), text) for number, text in enumerate(shown, 1)]


@pytest.mark.parametrize("name", ["unified", "split"])
def test_parts_have_every_line_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small parts are, together they have each line once, and each but the last links to the next."""
    monkeypatch.setattr(file_rows, "MOST_LINES", 7)
    old = b"".join(b"%d\n" % number for number in range(90))
    new = old.replace(b"5\n", b"five\n").replace(b"40\n", b"")
    shown = rows(diff(old, new), view(name))
    html = [shown.part(part) for part in range(shown.part_count)]
    before, after = sides([row for part in html for row in Reader(part).lines], name)
    changed = {number for number, text in after if text.endswith("five")}

    assert (9, len(dict(before)), len(dict(after))) == (len(changed), len(before), len(after))
    assert [True] * (len(html) - 1) + [False] == ["data-part=" in part for part in html]
    assert "" == shown.part(len(html))


def test_gaps_are_expanded_in_steps() -> None:
    """Lines between hunks are shown from either side or all at once, and what remains can be expanded again."""
    old = b"".join(b"line %d\n" % number for number in range(1, 101))
    new = old.replace(b"line 10\n", b"ten\n").replace(b"line 90\n", b"ninety\nmore\n")
    shown = rows(diff(old, new), view("unified", {"f": old}))
    gap = Gap(14, 86, 0)
    first, last, everything = (Reader(shown.lines(gap, side)) for side in ("first", "last", "all"))
    after = Reader(shown.lines(Gap(94, 1000, 1), "all")).lines

    assert [("14", "14"), ("33", "33")] == [first.lines[0].numbers, first.lines[-1].numbers]
    assert [("67", "67"), ("86", "86")] == [last.lines[0].numbers, last.lines[-1].numbers]
    assert (73, 73, ("94", "95"), ("100", "101")) == (
        len(everything.lines),
        everything.lines[-1].numbers[0] != "" and len(everything.lines),
        after[0].numbers,
        after[-1].numbers,
    )
    assert 3 == sum("data-lines" in attributes for _, attributes in first.elements) + 0


def test_colours_begin_with_the_file() -> None:
    """A line inside a string that begins above the hunk is coloured as one, where the base is known."""
    old = b'"""\n' + b"import words\n" * 20 + b'"""\n'
    text = diff(old, old.replace(b"words\n", b"words, return\n", 11), path="f.py")
    with_base, without = (
        body_html(files_of(Patch(text).files)[0], view("unified", files)) for files in ({"f.py": old}, {})
    )

    assert (0, True) == (with_base.count('<span class="k">import'), '<span class="k">import' in without)


def test_a_file_of_another_version_is_not_shown() -> None:
    """Where a hunk is not in the base, no line of the base is shown, and the number of lines is."""
    old = b"".join(b"%d\n" % number for number in range(40))
    text = diff(old, old.replace(b"30\n", b"thirty\n"))
    other = old.replace(b"29\n", b"twenty-nine\n")

    html = body_html(files_of(Patch(text).files)[0], view("unified", {"f": other}))

    assert ("27 unchanged lines", False) == (
        "27 unchanged lines" * ("27 unchanged lines" in html),
        "data-lines" in html,
    )


@pytest.mark.parametrize(("name", "changed"), [("unified", 2), ("split", 1)])
def test_changes_of_white_space_are_hidden(name: str, changed: int) -> None:
    """Lines that differ in white space alone are shown once, with both numbers and a note; other changes stay."""
    text = diff(b"if a:\n  b()\n  c()\n", b"if a:\n    b( )\n    d()\n")
    [file] = files_of(Patch(text).files)
    html = body_html(file, view(name)._replace(hides_space=True))
    rows = Reader(html).lines

    assert (1, True) == (
        html.count("white space differs") // (2 if name == "split" else 1),
        ("2", "2") == rows[1].numbers,
    )
    assert changed == sum(row.css in {"a", "r"} or "a" in row.classes for row in rows)


def test_ids_are_the_same_in_every_view() -> None:
    """A line has the id of its side and number, unified and split."""
    text = diff(b"a\nb\nc\n", b"a\nB\nc\nd\n")
    ids = [sorted(id for row in lines_of(text, name) for id in row.ids) for name in ("unified", "split")]

    assert ids[0] == ids[1]
    assert ["L2", "R1", "R2", "R3", "R4"] == [id.partition("-")[2] for id in ids[0]]


def test_long_lines_are_cut_and_the_rest_is_counted() -> None:
    """A line of five megabytes costs a thousand characters, the number of those left out, and a link to the text."""
    text = diff(b"a\n", b"x" * 5_000_000 + b"\n")
    html = body_html(files_of(Patch(text).files)[0], view())

    assert (True, True) == ("4,999,000 more characters" in html, len(html) < 4_000)


def test_the_first_difference_of_long_lines_is_shown() -> None:
    """Two versions of a line of a megabyte are shown where they differ, and what is before and after is counted."""
    line = "\u00e9" * 500_000 + "{}" + "z" * 500_000 + "\n"
    html = body_html(files_of(Patch(diff(*(line.format(word).encode() for word in ("one", "two")))).files)[0], view())

    assert [True] * 2 == [f"<mark>{word}</mark>" in html for word in ("one", "two")]
    assert (2, 2) == (html.count("499,900 characters before"), html.count("more characters"))


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("-a\n+a \n", '<span class="ws"'),
        ("-a\n+a\r\n", 'title="U+000D"'),
        ("-a b\n+a  b\n", '<i class="sp"> </i>'),
        ("-a\n+b\n\\ No newline at end of file\n", "no newline at end of file"),
        ("-a\n+\u200b\n", 'title="U+200B ZERO WIDTH SPACE"'),
    ],
)
def test_what_a_reader_cannot_see_is_marked(text: str, marks: str) -> None:
    """White space at the end, changed white space, line ends and hidden characters are visible."""
    change = only_file(f"--- a/f\n+++ b/f\n@@ -1 +1 @@\n{text}")

    assert marks in body_html(files_of(change.files)[0], view())


def test_bytes_that_are_not_text_are_escaped() -> None:
    """Bytes that are not UTF-8 are shown by their value, so that the page is UTF-8."""
    html = body_html(files_of(Patch(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-\xff\n+\xe9\xfe\n").files)[0], view())

    assert [True] * 3 == [visible_form(character) in html for character in "\udcff\udce9\udcfe"]
    assert html == html.encode().decode()


def test_merges_have_a_sign_for_each_parent() -> None:
    """A combined diff is shown with the signs of both parents and the numbers after the merge."""
    text = (
        b"diff --cc f\nindex 1111111,2222222..3333333\n--- a/f\n+++ b/f\n@@@ -1,3 -1,2 +1,3 @@@\n  a\n +b\n+ c\n- d\n"
    )
    html = body_html(files_of(Patch(text).files)[0], view())

    assert ["1", "2", "3", ""] == [row.numbers[1] for row in Reader(html).lines]
    assert "&nbsp;+" in html
