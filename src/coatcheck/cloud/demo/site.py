"""A sample web site in a git repository, made without the user's identity, settings or home."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from ..._workspaces.git import Git

LABEL = "demo/website"
PROMPT = "Add dark mode"

FILES: Mapping[str, str] = {
    "index.html": """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>The Cloakroom</title>
  <link rel="stylesheet" href="style.css">
  <script src="app.js" defer></script>
</head>
<body>
  <header>
    <h1>The Cloakroom</h1>
  </header>
  <main>
    <p>Leave your coat, take a ticket, enjoy the evening.</p>
    <p>Coats here tonight: <output id="coats">0</output></p>
    <button id="leave">Leave a coat</button>
  </main>
</body>
</html>
""",
    "style.css": """\
body {
  margin: 2rem auto;
  max-width: 40rem;
  font-family: system-ui, sans-serif;
  color: #222;
  background: #fff;
}

h1 {
  border-bottom: 1px solid #ddd;
}

button {
  padding: 0.5rem 1rem;
  color: #fff;
  background: #0a58ca;
  border: 0;
}
""",
    "app.js": """\
const coats = document.querySelector("#coats");

document.querySelector("#leave").addEventListener("click", () => {
  coats.value = Number(coats.value) + 1;
});
""",
    "README.md": """\
# The Cloakroom

A very small web site. Open `index.html` in a browser.

Tests: `python -m unittest` (one fails until there is a dark mode)
""",
    "test_site.py": """\
import pathlib
import unittest


class SiteTest(unittest.TestCase):
    def test_the_page_loads_its_style_and_script(self):
        page = pathlib.Path("index.html").read_text()
        self.assertIn("style.css", page)
        self.assertIn("app.js", page)

    def test_dark_mode_can_be_chosen(self):
        self.assertIn('[data-theme="dark"]', pathlib.Path("style.css").read_text())


if __name__ == "__main__":
    unittest.main()
""",
}


def make_site(folder: Path, *, environ: Mapping[str, str]) -> None:
    """Make the site's repository in *folder*, with one commit on ``main``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
    git = Git(environ)
    git.run("-C", folder, "init", "--quiet", "--template=", "--initial-branch=main")
    git.run("-C", folder, "add", "--all")
    git.run("-C", folder, "commit", "--quiet", "--message", "A very small web site")


def agent_command() -> tuple[str, ...]:
    """Return the scripted agent's command; ``-P`` keeps the folder it works in out of Python's path."""
    return (sys.executable, "-P", "-m", "coatcheck.cloud.demo.agent", "{prompt}")
