from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from coatcheck._cli.console import Line, Styled, parts_of
from coatcheck._cli.highlighting import highlight_diff, highlight_file, highlight_stat
from coatcheck._patches import lexers
from coatcheck._patches.diffstat import StatLine
from coatcheck._patches.parse import Patch

DIFF = """\
diff --git a/a.py b/a.py
index 1234567..89abcde 100644
--- a/a.py
+++ b/a.py
@@ -1,4 +1,4 @@ def around():
 def f():
-    return "old"  # no
+    return "new"
     x = 1

\\ No newline at end of file
diff --git a/unknown.xyzzy b/unknown.xyzzy
--- a/unknown.xyzzy
+++ b/unknown.xyzzy
@@ -1 +1 @@
-def
+def
"""


def text_of(line: Line) -> str:
    """Return a line without its colours."""
    return "".join(part.text if isinstance(part, Styled) else part for part in parts_of(line))


def styles_of(line: Line) -> dict[str, str]:
    """Return the parts of a line that have a style."""
    return {part.text: part.style for part in parts_of(line) if isinstance(part, Styled)}


def test_a_diff_keeps_its_lines() -> None:
    """Colours change no character."""
    assert DIFF == "".join(f"{text_of(line)}\n" for line in highlight_diff(Patch.parse(DIFF)))


def test_code_is_highlighted() -> None:
    """Context has a language's colours, changed lines have their sign's, and the language's weight."""
    lines = {text_of(line): styles_of(line) for line in highlight_diff(Patch.parse(DIFF))}

    assert (
        {"def": "bold", "f": "blue"},
        {"-    ": "red", "return": "red bold", ' "old"  ': "red", "# no": "red dim"},
        {"+    ": "green", "return": "green bold", ' "new"': "green"},
        {"1": "magenta"},
        {"-def": "red"},
    ) == (
        lines[" def f():"],
        lines['-    return "old"  # no'],
        lines['+    return "new"'],
        lines["     x = 1"],
        lines["-def"],
    )


@given(
    st.lists(
        st.sampled_from(["+x = '", "-x = '''", ' """', "+\\", " {", "+", "-", " #\x0c", "+é\r", "\\ No newline"]),
        max_size=9,
    )
)
def test_no_diff_loses_a_character(body: list[str]) -> None:
    """Every line is unchanged for any result of a lexer on half a file."""
    old, new = (sum(line[0] in signs for line in body) for signs in ("- ", "+ "))
    diff = f"--- a/a.py\n+++ b/a.py\n@@ -1,{old} +1,{new} @@\n" + "".join(f"{line}\n" for line in body)

    assert diff == "".join(f"{text_of(line)}\n" for line in highlight_diff(Patch(diff.encode())))


@pytest.mark.parametrize("diff", ["", "@@ -1 +1 @@\n+x\n", "no diff at all\n+x"])
def test_a_diff_that_cannot_be_read_is_coloured_by_line(diff: str) -> None:
    """A broken diff is shown all the same."""
    assert diff.split("\n", maxsplit=1)[0] == text_of(next(iter(highlight_diff(Patch(diff.encode())))))


def test_long_texts_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long texts are not highlighted, so their cost is bounded."""
    line = "+" + "'" * lexers.MAX_LINE + "\n"
    long_line = f"--- a/a.py\n+++ b/a.py\n@@ -0,0 +1 @@\n{line}"
    big = f"--- a/a.py\n+++ b/a.py\n@@ -0,0 +1,30000 @@\n{'+def f(): pass' + chr(10)}" + "+def f(): pass\n" * 29999
    styles = [
        {part for line in list(highlight_diff(Patch(each.encode())))[3:] for part in styles_of(line).values()}
        for each in (long_line, big)
    ]

    assert [{"green"}, {"green"}] == styles


def test_files_are_highlighted() -> None:
    """A file has its language's colours, line by line; one of no known language has none."""
    text = 'def f():\n    """Return.\n\n    More.\n    """\n'

    assert (text, "yellow", [*text.split("\n")[:-1]]) == (
        "".join(f"{text_of(line)}\n" for line in highlight_file(text, "Python")),
        styles_of(list(highlight_file(text, "Python"))[3])["    More."],
        list(highlight_file(text, "No such language")),
    )


def test_graphs_are_painted() -> None:
    """Pluses are green, minuses are red."""
    assert {"++": "green", "-": "red"} == styles_of(highlight_stat(StatLine(" x | 3 ", 2, 1)))
