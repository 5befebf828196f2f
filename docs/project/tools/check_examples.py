"""Type-check the Python examples of the pages with mypy and pyright, both strict; with names, only those pages.

The blocks of a page are one module, in their order, as the tests run them; one that begins with a file name is a module
of its own. Checked are README.md and every page of
`CHECKED`: what a reader copies from them passes the strictest settings.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
CHECKED = ("README.md", "docs/start/*.md", "docs/recipes/*.md", "docs/guides/*.md", "docs/reference/refs.md")
# A notebook awaits outside of functions, tests/consumer checks a provider, and the others show that a value exists by
# printing it.
NOT_MODULES = {
    "docs/recipes/notebook.md",
    "docs/guides/any-202-service.md",
    "docs/guides/patches.md",
    "docs/guides/providers.md",
    "docs/guides/testing.md",
}
# Their frameworks are installed by `make peers`, which runs them.
OF_FRAMEWORKS = {"langgraph_agent", "openai_agent"}
FILE_NAME = re.compile(r"(?:#!.*\n)?# (\w+)\.py\n")

PYRIGHT = """\
[tool.pyright]
typeCheckingMode = "strict"
pythonVersion = "3.11"
reportTypeCommentUsage = false
"""


def modules(pages: list[str]) -> dict[str, str]:
    """Return the name and the text of a module for each page with Python examples."""
    found = {}
    for path in sorted(path for pattern in CHECKED for path in ROOT.glob(pattern)):
        page = path.relative_to(ROOT).as_posix()
        blocks = re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        if blocks and page not in NOT_MODULES and (not pages or page in pages):
            files = {match[1]: block for block in blocks if (match := FILE_NAME.match(block))}
            found |= {name: block for name, block in files.items() if name not in OF_FRAMEWORKS}
            rest = "\n".join(block for block in blocks if block not in files.values())
            found[re.sub(r"\W", "_", page.removesuffix(".md"))] = rest
    return found


def main() -> int:
    """Write the modules to a temporary folder and run both type checkers there."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in modules(sys.argv[1:]).items():
            Path(folder, f"{name}.py").write_text(text, encoding="utf-8")
        Path(folder, "pyproject.toml").write_text(PYRIGHT, encoding="utf-8")
        checkers = (
            (sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", f"{folder}/cache", "."),
            (sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", folder),
        )
        return max(subprocess.run(command, cwd=folder, check=False).returncode for command in checkers)


if __name__ == "__main__":
    sys.exit(main())
