"""The agents of docs/recipes/agents.md, in LangGraph and in OpenAI's Agents SDK, with a local cloud."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.peers.conftest import run_serve
from tests.peers.test_action import AGENT, git

pytestmark = pytest.mark.peer

PAGE = Path(__file__).parents[2] / "docs/recipes/agents.md"
PROGRAM = Path(__file__).with_name("agent_frameworks.py")
PYTHON = Path(sys.prefix) / "peers/llm/bin/python"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files of the page, and a local cloud of the person whose home it is."""
    folder = tmp_path_factory.mktemp("agents")
    for name, text in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (folder / name).write_text(text)
    site = folder / "site"
    site.mkdir()
    git(site, "init", "-q", "-b", "main")
    git(site, "commit", "-q", "--allow-empty", "-m", "base")
    (folder / "agent.py").write_text(AGENT)
    agent = shlex.join([sys.executable, str(folder / "agent.py"), "{prompt}"])
    options = ("--environment", f"owner/repo={site}", "--agent", agent, "--codex-home", str(folder / "codex"))
    with run_serve(folder, *options) as ready:
        (folder / "url").write_text(ready["url"])
        yield folder


@pytest.mark.parametrize("name", ["langgraph", "openai"])
def test_an_agent_hands_out_work(folder: Path, name: str) -> None:
    """Its model calls the three tools in turn, and gets plain data."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CODEX_HOME": str(folder / "codex"),
        "COATCHECK_CODEX_BASE_URL": (folder / "url").read_text(),
    }
    text = (folder / "coding_tools.py").read_text()
    (folder / "coding_tools.py").write_text(text.replace('PROVIDER = "local"', 'PROVIDER = "codex"'))
    command = [str(PYTHON), str(PROGRAM), name]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    submitted, waited, change = json.loads(done.stdout)

    assert (submitted["ref"], "succeeded") == (waited["ref"], waited["state"])
    assert ("+Say hello" in change["from_agent"], change["is_whole"]) == (True, True)
