from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from coatcheck import Patch
from coatcheck._patches.content_rules import may_hide
from coatcheck._patches.hidden_characters import escape, escape_json, escape_lines, hidden

HARMFUL = {
    "C0": "\x1b",
    "C1": "\x9b",
    "DEL": "\x7f",
    "override": "\u202e",
    "isolate": "\u2066",
    "mark": "\u200e",
    "zero width space": "\u200b",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\xad",
    "tag": "\U000e0041",
    "Hangul filler": "\u3164",
    "line separator": "\u2028",
    "lone joiner": "\u200d",
    "lone selector": "\ufe0f",
}


@pytest.mark.parametrize("character", HARMFUL.values(), ids=HARMFUL)
def test_harmful_characters_are_escaped(character: str) -> None:
    """Each kind of harmful character is written as an escape, in text, lines and JSON."""
    text = f"a{character}b"
    escaped = escape(text), escape_lines(text), escape_json(json.dumps(text, ensure_ascii=False))

    assert [True] * 3 == [each.isascii() and each.isprintable() for each in escaped]


@pytest.mark.parametrize(
    "text", ["naïve", "日本語", "👩‍💻", "❤️", "1️⃣", "👍🏽", "می‌خواهم", "क्‍ष", "a\tb", "→ ✓", "\xa0"], ids=ascii
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Joiners and selectors stay where emoji and scripts need them."""
    assert (text, []) == (escape(text), list(hidden(text)))


@given(st.lists(st.text(), max_size=3))
def test_escaped_json_means_the_same(document: list[str]) -> None:
    """Escaping JSON changes no value."""
    text = json.dumps(document, ensure_ascii=False, indent=2)

    assert [document] * 2 == [json.loads(escape_json(text)), json.loads(escape_json(text, is_ascii=True))]


def test_the_quick_look_misses_nothing() -> None:
    """Every character that is hidden is suspected from its bytes."""
    every = "a".join(chr(code) for code in range(0x80, 0x110000) if not 0xD800 <= code < 0xE000)
    missed = [character for _, character in hidden(every) if not may_hide(character.encode())]

    assert [] == missed


def added(*lines: bytes, path: str = "x", start: int = 1) -> Patch:
    """Return a patch that adds *lines* to a new file, or behind others."""
    head = f"diff --git a/{path} b/{path}\n"
    if start == 1:
        head += f"new file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n"
    else:
        head += f"--- a/{path}\n+++ b/{path}\n@@ -{start - 1},0 +{start},{len(lines)} @@\n"
    return Patch(head.encode() + b"".join(b"+" + line + b"\n" for line in lines))


def findings_of(patch: Patch) -> list[tuple[str, int | None]]:
    """Return rule and line of the findings."""
    return [(finding.rule, finding.line) for finding in patch.verify().findings]


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("bidirectional", "if admin\u202e \u2066: return"),
        ("invisible", "pass\u200bword = 1"),
        ("invisible", "\U000e0049\U000e0067nore"),
        ("invisible", "good\rEVIL"),
        ("invisible", "\x1b[8mhidden"),
        ("invisible", "\ufeffin the middle"),
    ],
    ids=ascii,
)
def test_hidden_text_is_found(expected: str, line: str) -> None:
    """What a reader of the diff would not see is a finding with its line."""
    assert [(expected, 2)] == findings_of(added(b"ordinary", line.encode()))


@pytest.mark.parametrize(
    "line", [b"\xef\xbb\xbfusing System;", b"a\r", b"\x0c", b"caf\xe9", "❤️ 👩‍💻".encode(), b"\ttab"], ids=repr
)
def test_ordinary_content_is_no_finding(line: bytes) -> None:
    """A byte order mark at the start, CRLF line ends, form feeds, other encodings and emoji are ordinary."""
    assert [] == findings_of(added(line))


def test_many_hidden_characters_are_one_finding() -> None:
    """A file full of them is one finding, which counts the others."""
    (finding,) = added(*["\u200b".encode()] * 1000).verify().findings

    assert "U+200B ZERO WIDTH SPACE is not shown (and 999 more in this file)" == finding.detail


@pytest.mark.parametrize(
    ("expected", "path"),
    [("bidirectional", "a\u202etxt.py"), ("invisible", "a\u200b.py"), ("invisible", "a\x1b.py"), ("invisible", "a\r")],
    ids=ascii,
)
def test_hidden_characters_of_names_are_found(expected: str, path: str) -> None:
    """A new name with characters that are not shown is a finding."""
    quoted = '"b/' + "".join(f"\\{byte:03o}" for byte in path.encode()) + '"'
    patch = Patch(f"diff --git {quoted} {quoted}\nnew file mode 100644\n".encode())

    assert expected in {rule for rule, _ in findings_of(patch)}


def test_removing_them_is_no_finding() -> None:
    """Taking hidden text away is not reported."""
    patch = Patch("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\u202eb\n+ab\n".encode())

    assert [] == findings_of(patch)
