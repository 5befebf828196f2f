from __future__ import annotations

import io

import pytest

from coatcheck._cli.console import Console, Line, Styled, parts_of
from coatcheck._cli.markdown import MAX_TEXT, rendered
from coatcheck._cli.text_width import columns

TEXT = """\
# Done

Added **dark mode** to `app.py`, see [the guide](https://example.com/guide):

* one
* two

```python
print("x")
```

| a | b |
| - | - |
| 1 | 2 |
"""


def texts(lines: list[Line]) -> list[str]:
    """Return lines without their styles."""
    return ["".join(part.text if isinstance(part, Styled) else part for part in parts_of(line)) for line in lines]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_message_fits_the_width(width: int) -> None:
    """Headings, lists, code and tables are laid out within the width."""
    lines = texts(rendered(TEXT, width=width))

    assert [] == [line for line in lines if columns(line) > width]


def test_emphasis_has_styles() -> None:
    """Bold text and code have styles of the console, and the signs of Markdown are gone."""
    parts = [part for line in rendered(TEXT, width=80) for part in parts_of(line) if isinstance(part, Styled)]

    assert [True, True, False] == [
        any(part.text == "dark mode" and "bold" in part.style for part in parts),
        any(part.text == "app.py" for part in parts),
        "**" in "".join(texts(rendered(TEXT, width=80))),
    ]


def test_a_link_shows_its_address() -> None:
    """The address of a link is printed after its text."""
    assert any("https://example.com/guide" in line for line in texts(rendered(TEXT, width=80)))


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]0;title\x07 a",
        "&#27;]8;;https://evil.example/&#27;\\\\ a",
        "[a](https://evil.example/\x1b\\\x1b]0;x\x07)",
        "[a](https://evil.example/&#x1b;x)",
        "`\x9b31m`",
        "```\n\x1b[2J\n```",
        "![\u202ei](https://evil.example/x)",
        "<a href='&#27;'>\x1b</a>",
        "| \x1b | b |\n| - | - |\n| &#7; | \x08 |",
    ],
)
def test_a_message_has_no_effect_on_the_terminal(text: str) -> None:
    """No control character of a message, nor one that an entity stands for, reaches the terminal."""
    out = io.BytesIO()
    environ = {"FORCE_HYPERLINK": "1", "NO_COLOR": "1"}
    Console(out, io.BytesIO(), environ=environ, is_terminal=True).show_all(rendered(text, width=60))

    assert [] == [character for character in out.getvalue().decode() if character in "\x1b\x07\x08\x9b\u202e"]


@pytest.mark.parametrize(
    "text",
    ["", "[" * 5000, "> " * 500 + "x", "a" * (MAX_TEXT + 1), "- " * 300 + "x", "|" * 3000, "<details>\nax\n</details>"],
)
def test_every_text_is_shown(text: str) -> None:
    """A text that is long or deeply nested is shown, rendered or as it is."""
    shown = "".join(texts(rendered(text, width=80)))

    assert ("x" in text, "a" in text) == ("x" in shown, "a" in shown)


def test_headings_begin_at_the_left() -> None:
    """A heading of any level begins in the first column, as on the page of a service."""
    lines = rendered("# One\n\n## Two\n\n### Three", width=80)

    assert ["One", "Two", "Three"] == [line for line in texts(lines) if line]
