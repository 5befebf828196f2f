"""`llm` with the plug-in of this repository, a scripted model and a local cloud."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.peers.conftest import run_serve
from tests.peers.peer_support import bare_environ
from tests.peers.test_action import AGENT, git

pytestmark = pytest.mark.peer

BIN = Path(sys.prefix) / "peers/llm/bin"
PROGRAM = Path(__file__).with_name("llm_client.py")


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a person with a local cloud."""
    folder = tmp_path_factory.mktemp("llm")
    site = folder / "site"
    site.mkdir()
    git(site, "init", "-q", "-b", "main")
    git(site, "commit", "-q", "--allow-empty", "-m", "base")
    (folder / "agent.py").write_text(AGENT)
    agent = shlex.join([sys.executable, str(folder / "agent.py"), "{prompt}"])
    options = ("--environment", f"owner/repo={site}", "--agent", agent)
    with run_serve(folder, *options):
        yield {
            **bare_environ(folder),
            "LLM_USER_PATH": str(folder / "llm"),
            "COATCHECK_PROVIDER": "local",
        }


def run(environ: dict[str, str], *command: str) -> str:
    """Run a program of llm's environment, outside a checkout, and return what it printed."""
    home = environ["HOME"]
    done = subprocess.run(command, env=environ, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def seen(environ: dict[str, str]) -> dict[str, Any]:
    """What the scripted model received, with the service of the user's settings."""
    document: dict[str, Any] = json.loads(run(environ, str(BIN / "python"), str(PROGRAM)))
    return document


def test_llm_finds_the_plug_in(environ: dict[str, str]) -> None:
    """Its hooks are the tools and the fragment loader."""
    plugins = {each["name"]: each["hooks"] for each in json.loads(run(environ, str(BIN / "llm"), "plugins"))}

    assert ["register_fragment_loaders", "register_tools"] == sorted(plugins["llm-coatcheck"])


def test_a_model_submits_waits_and_reads(seen: dict[str, Any]) -> None:
    """Each answer is plain data; what the agent wrote is in its own field."""
    submitted, waited, result, listed = seen["outputs"]

    assert "done" == seen["answer"]
    assert (submitted["ref"], "succeeded", True) == (waited["ref"], waited["state"], waited["is_terminal"])
    assert "+Say hello" in result["text"]
    assert [submitted["ref"]] == [task["ref"] for task in listed["tasks"]]


def test_a_repeated_submission_is_the_same_task(seen: dict[str, Any]) -> None:
    """The same arguments return the same ref, and nothing is sent."""
    assert (seen["outputs"][0]["ref"], True) == (seen["again"]["ref"], seen["again"]["is_repeated"])


def test_a_fragment_is_the_message_and_the_diff(seen: dict[str, Any]) -> None:
    """It names its task as the source."""
    assert f"coatcheck:{seen['outputs'][0]['ref']}" == seen["source"]
    assert ("I made made.txt" in seen["fragment"], "+Say hello" in seen["fragment"]) == (True, True)


def test_an_unknown_task_is_one_sentence(environ: dict[str, str]) -> None:
    """`llm -f` prints why there is no fragment."""
    command = [str(BIN / "llm"), "-f", "coatcheck:task_e_000", "-m", "none", "x"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert (1, False) == (done.returncode, "Traceback" in done.stderr), done.stderr
