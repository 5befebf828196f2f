"""The ACP agents of Claude Code and Codex, with models on loopback, run by `coatcheck serve`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.peers.model_servers import ModelServer, Step, serving_model
from tests.peers.peer_support import OURS, PEERS, TIME_LIMIT, Done, bare_environ, create_site, run_serve

pytestmark = pytest.mark.peer

NODE = PEERS.parent / "node" / "node_modules" / ".bin"
WRITE: Step = ("Write", {"file_path": "{cwd}/made.txt", "content": "made\n"})
TOUCH: Step = ("Bash", {"command": "touch by-bash.txt", "description": "make a file"})
ESCALATED = {"sandbox_permissions": "require_escalated", "justification": "the task needs it"}
SHELL: Step = ("exec_command", {"cmd": "echo made > made.txt", **ESCALATED})
CODEX_CONFIG = """
model = "gpt-test"
model_provider = "fake"
[model_providers.fake]
name = "fake"
base_url = "{url}/v1"
wire_api = "responses"
"""


class Terminal:
    """A terminal of the user who runs the server."""

    def __init__(self, environ: Mapping[str, str], folder: Path, model: ModelServer) -> None:
        self.environ, self.folder, self.model = environ, folder, model

    def run(self, *arguments: str) -> Done:
        """Run a command."""
        done = subprocess.run(
            [str(OURS), *arguments],
            cwd=self.folder,
            env=dict(self.environ),
            capture_output=True,
            timeout=2 * TIME_LIMIT,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def submit(self, prompt: str) -> str:
        """Submit a task, and return its ref."""
        done = self.run("submit", "--provider", "local", "-e", "owner/repo", prompt)
        assert 0 == done.code, done
        return done.out.strip()

    def wait(self, ref: str) -> Any:
        """Return a task that has ended or needs input, as JSON."""
        return json.loads(self.run("wait", "--json", ref).out)


@contextmanager
def agent(folder: Path, name: str, *steps: Step, permissions: str = "edits") -> Iterator[Terminal]:
    """Serve an agent whose model answers with *steps*."""
    if not (NODE / "codex-acp").exists():
        pytest.fail("the ACP agents are not installed: run `make peers`, or tests/peers/setup.sh VENV", pytrace=False)
    base = bare_environ(folder)
    create_site(folder / "site", environ=base)
    with serving_model(*steps) as model:
        (folder / "codex").mkdir()
        (folder / "codex" / "config.toml").write_text(CODEX_CONFIG.format(url=model.url))
        environ = {
            "PATH": f"{NODE}{os.pathsep}{PEERS}{os.pathsep}{base['PATH']}",
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": "made-up",
            "IS_SANDBOX": "1",  # Claude Code refuses to run as root without it
            "CODEX_HOME": str(folder / "codex"),
            "OPENAI_API_KEY": "made-up",
        }
        options = ("--environment", f"owner/repo={folder / 'site'}", "--agent", name, "--permissions", permissions)
        with run_serve(folder, *options, environ=environ):
            yield Terminal(base, folder, model)


def test_claude_edits_asks_and_reports_its_cost(tmp_path: Path) -> None:
    """The edit is allowed, the command is approved from another terminal, and the cost is a notice of the task."""
    with agent(tmp_path, "claude", WRITE, TOUCH, "All done.") as terminal:
        ref = terminal.submit("Make two files.")
        waiting = terminal.wait(ref)
        gates = terminal.run("gates").out
        approved = terminal.run("approve", ref)
        ended = terminal.wait(ref)
        events = terminal.run("watch", "--stream", ref).out
        diff = terminal.run("diff", ref).out

    assert ("input_required", True, 0) == (waiting["state"], "execute: touch by-bash.txt" in gates, approved.code)
    assert ("succeeded", "All done.") == (ended["state"], ended["outcome"]["messages"][0]["text"].strip())
    assert (True, True) == ("b/made.txt" in diff, "b/by-bash.txt" in diff)
    assert (True, True) == ("tool  Write made.txt" in events, "USD" in "".join(n["text"] for n in ended["notices"]))


@pytest.mark.parametrize(("name", "step"), [("claude", TOUCH), ("codex", SHELL)])
def test_an_agent_that_waits_is_cancelled(tmp_path: Path, name: str, step: Step) -> None:
    """Its permission request is withdrawn, and the task is cancelled."""
    with agent(tmp_path, name, step, "Never said.") as terminal:
        ref = terminal.submit("Make a file.")
        waiting = terminal.wait(ref)
        terminal.run("cancel", ref)
        ended = terminal.wait(ref)
        while ended["state"] == "input_required":
            ended = terminal.wait(ref)
        gates = terminal.run("gates", "--state", "all").out

    assert ("input_required", "cancelled", True) == (waiting["state"], ended["state"], "withdrawn" in gates)


def test_codex_asks_and_continues_its_session(tmp_path: Path) -> None:
    """The command is approved; a follow-up is in the same session, with the change in its clone."""
    with agent(tmp_path, "codex", SHELL, "Made it.", "More is done.") as terminal:
        ref = terminal.submit("Make a file.")
        waiting = terminal.wait(ref)
        terminal.run("approve", ref)
        first = terminal.wait(ref)
        terminal.run("message", ref, "Is it there?")
        second = terminal.wait(ref)
        diff = terminal.run("diff", ref).out
        inputs = [str(request["input"]) for request in terminal.model.requests]

    assert ("execute: echo made > made.txt", "succeeded") == (
        waiting["permission_requests"][0]["title"],
        first["state"],
    )
    assert ("succeeded", True) == (second["state"], "b/made.txt" in diff)
    assert (True, True) == ("Make a file." in inputs[-1], "Is it there?" in inputs[-1])


def test_codex_stops_after_a_rejection(tmp_path: Path) -> None:
    """`--permissions none` rejects what is asked, and the failure says so."""
    with agent(tmp_path, "codex", SHELL, "Never said.", permissions="none") as terminal:
        ended = terminal.wait(terminal.submit("Make a file."))

    assert ("failed", "permission_rejected") == (ended["state"], ended["error"]["code"])
