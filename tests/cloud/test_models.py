"""Values of the local cloud that are made from texts."""

from __future__ import annotations

import pytest

from coatcheck.cloud.models import title_of_message


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("# Summary\n\nAdded dark mode.", "Added dark mode."),
        ("## Summary\n\n- Added dark mode\n- Tests", "Added dark mode"),
        ("**Summary**\n\n* Added `dark` mode", "Added `dark` mode"),
        ("Summary:\n1. Added dark mode", "Added dark mode"),
        ("### What changed ###\n\n> Added dark mode", "Added dark mode"),
        ("# Add dark mode\n\nBecause.", "Add dark mode"),
        ("**Add dark mode** to the page", "Add dark mode to the page"),
        ("\n\n  Add dark mode\n", "Add dark mode"),
        ("```diff\n+x\n```\nAdd dark mode", "Add dark mode"),
        ("Add __init__ and #12", "Add __init__ and #12"),
        ("---\n\nAdd dark mode", "Add dark mode"),
        ("x" * 90, "x" * 79 + "…"),
        ("# Summary", ""),
        ("", ""),
    ],
)
def test_a_title_is_a_sentence_of_the_message(message: str, title: str) -> None:
    """Marks of Markdown and headings of sections are no part of a title."""
    assert title == title_of_message(message)
