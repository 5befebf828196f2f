"""A scripted agent: it has no idea of anything, and makes one of three prepared changes.

It works with the local cloud as any agent may: it edits the files of its folder, prints what it does, and writes
message, title and text to the file that ``COATCHECK_RESULT`` names.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

NOTE = "_(This change was prepared in advance by coatcheck's scripted demo agent; no model was asked.)_"

DARK_COLOURS = """
@media (prefers-color-scheme: dark) {
  body {
    color: #ddd;
    background: #16181d;
  }

  h1 {
    border-color: #333;
  }
}
"""

VARIABLES = """\
:root {
  color-scheme: light dark;
  --text: #222;
  --page: #fff;
  --line: #ddd;
}

:root[data-theme="dark"] {
  --text: #ddd;
  --page: #16181d;
  --line: #333;
}

"""

SWITCH = """
const root = document.documentElement;
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)").matches;

function setTheme(theme) {
  root.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

setTheme(localStorage.getItem("theme") ?? (prefersDark ? "dark" : "light"));

document.querySelector("#theme").addEventListener("click", () => {
  setTheme(root.dataset.theme === "dark" ? "light" : "dark");
});
"""

TEST = """
    def test_the_choice_is_remembered(self):
        script = pathlib.Path("app.js").read_text()
        self.assertIn("localStorage", script)
"""


def edit(name: str, change: Callable[[str], str]) -> None:
    """Replace a file's text by the result of *change*."""
    path = Path(name)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    print(f"edited {name}", file=sys.stderr)  # noqa: T201 - an agent prints; this becomes its log


def follow_the_system() -> None:
    """Follow the system's setting, in CSS alone."""
    edit("style.css", lambda text: text + DARK_COLOURS)


def use_variables(text: str) -> str:
    """Return the style with its colours named."""
    for colour, name in (
        ("color: #222", "color: var(--text)"),
        ("background: #fff", "background: var(--page)"),
        ("#ddd", "var(--line)"),
    ):
        text = text.replace(colour, name, 1)
    return VARIABLES + text


def add_a_switch() -> None:
    """Add a button that switches, and keeps the choice."""
    button = (
        '    <h1>The Cloakroom</h1>\n    <button id="theme" aria-label="Switch between light and dark">◐</button>\n'
    )
    edit("style.css", use_variables)
    edit("index.html", lambda text: text.replace("    <h1>The Cloakroom</h1>\n", button))
    edit("app.js", lambda text: text + SWITCH)


def add_a_switch_with_test() -> None:
    """Add the button, a test and a word in the README."""
    add_a_switch()
    edit("test_site.py", lambda text: text.replace("\n\nif __name__", f"{TEST}\n\nif __name__"))
    edit("README.md", lambda text: text.replace("\nTests:", "\nIt has a dark mode: press ◐.\n\nTests:"))


# What is done, and its message: one way per attempt.
WAYS: Mapping[int, tuple[Callable[[], None], str]] = {
    1: (follow_the_system, "The page now follows the system's dark setting, with a media query and no script."),
    2: (
        add_a_switch,
        "A ◐ button switches between light and dark; the choice is remembered, and starts from the system's.",
    ),
    3: (add_a_switch_with_test, "A ◐ button switches between light and dark, with a test and a line in the README."),
}


def main() -> None:
    """Make the change of this attempt."""
    attempt = int(os.environ.get("COATCHECK_ATTEMPT", "1"))
    way, message = WAYS[(attempt - 1) % len(WAYS) + 1]
    if os.environ.get("COATCHECK_MODE") == "ask":
        report = {"message": f"The site has no dark mode yet: `style.css` names its colours once each.\n\n{NOTE}"}
    else:
        way()
        report = {
            "message": f"{message}\n\n{NOTE}",
            "title": "Add dark mode",
            "body": f"### What\n{message}\n\n### Testing\n- `python -m unittest`\n\n{NOTE}",
        }
    print(report["message"])  # noqa: T201 - an agent prints
    if path := os.environ.get("COATCHECK_RESULT"):
        Path(path).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
