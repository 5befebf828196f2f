"""Markdown of agents as HTML: complete, and without effect."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st
from tests.examples import examples

from coatcheck._web.markup import LONGEST, NESTING, markdown

# What no output may have: elements and attributes beside those that are allowed.
ELEMENT = re.compile(
    r"<(?!/?(?:a|blockquote|br|code|del|em|h[3-6]|hr|li|ol|p|pre|s|strong|table|tbody|td|th|thead|tr|ul)\b)"
)
ATTRIBUTE = re.compile(r"<[^>]*\s(?!href|title|class|start|rel)([a-z-]+)=")
PARTS = (
    "<script>",
    "<img src=x onerror=y>",
    "[a](javascript:x)",
    "![i](http://h/p)",
    "`",
    "**",
    "<b>",
    "\u202e",
    "\n",
    "> ",
    "- ",
    "|",
    "[a](http://h)",
    "&lt;",
    "<svg onload=x>",
    "\x1b[1m",
    "[d]: data:text/html,x\n",
    "[d]",
)


@settings(max_examples=examples(60))
@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=8), max_size=30).map("".join))
def test_only_harmless_elements_are_made(text: str) -> None:
    """Whatever the text is, the HTML has allowed elements and attributes, web links and no hidden characters."""
    html = str(markdown(text))
    links = re.findall(r'href="([^"]*)"', html)
    found = [*ELEMENT.findall(html), *ATTRIBUTE.findall(html), *re.findall("[\x00-\x08\x0b-\x1f\u202a-\u202e]", html)]

    assert [] == found + [link for link in links if re.match(r"\s*(?!https?:|mailto:)[a-z]+:", link, re.IGNORECASE)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("> " * (NESTING + 5) + "deep", "deep"),
        ("- " * 400 + "deep", "deep"),
        ("x" * (LONGEST + 1), f"The first {LONGEST:,} of {LONGEST + 1:,} characters are shown"),
        ("<details>\nshown\n</details>", "shown"),
    ],
)
def test_what_is_nested_long_or_markup_is_shown(text: str, words: str) -> None:
    """Deep lists and raw HTML are text, and a cut is named."""
    assert words in markdown(text)


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("## a\n\n#### b\n\n## c", "343"),
        ("### a\n\n# b\n\n###### c", "334"),
        ("# a\n## b\n### c\n#### d\n##### e", "34566"),
    ],
)
def test_headings_skip_no_level(text: str, levels: str) -> None:
    """The first heading comes below the page's own, and each is at most one level below the one before."""
    found = "".join(re.findall(r"<h(\d)>", markdown(text)))

    assert levels == found


def test_the_lines_of_a_paragraph_are_kept() -> None:
    """A line end within a paragraph is one on the page, as prompts and messages have it."""
    assert "<p>one<br>\ntwo</p>" == markdown("one\ntwo").strip()


def test_what_scrolls_takes_the_focus() -> None:
    """Code and tables, which may be wider than the page, can be scrolled with keys; text that looks like them is text."""
    html = markdown("    code\n\n| a |\n|---|\n| 1 |\n\n`<pre>` <table>")

    assert (1, 1, 0) == (html.count('<pre tabindex="0">'), html.count('<table tabindex="0">'), html.count("<pre>"))
