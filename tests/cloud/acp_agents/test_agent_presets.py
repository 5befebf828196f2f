"""Names of agents, and the commands that they choose."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from coatcheck import errors
from coatcheck._cli.commands.serve import read_agent
from coatcheck._installation import install_command
from coatcheck.cloud.agent_presets import PRESETS, find_agent
from coatcheck.cloud.launcher import require_acp


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder for programs, which is all of PATH."""
    return tmp_path


def install(folder: Path, *names: str) -> None:
    """Put programs into a folder."""
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("name", "installed", "has_acp", "chosen"),
    [
        ("codex", ("codex", "codex-acp"), True, (("codex-acp",), True)),
        ("codex", ("codex",), True, (PRESETS["codex"].command, False)),
        ("codex", ("codex", "codex-acp"), False, (PRESETS["codex"].command, False)),
        ("claude", ("claude-code-acp", "claude"), True, (("claude-code-acp",), True)),
        ("gemini", ("gemini",), True, (("gemini", "--acp"), True)),
        ("opencode", ("opencode",), True, (("opencode", "acp"), True)),
        ("aider", ("aider",), True, (PRESETS["aider"].command, False)),
    ],
)
def test_a_name_chooses_the_best_command(
    programs: Path, name: str, installed: tuple[str, ...], has_acp: bool, chosen: tuple[object, bool]
) -> None:
    """An ACP agent where it and the library are installed, else the program's own command."""
    install(programs, *installed)
    agent = find_agent(name, path=str(programs), has_acp=has_acp)

    assert chosen == (agent.command, agent.is_acp)


@pytest.mark.parametrize(
    ("installed", "has_acp", "hint"),
    [
        (("codex",), True, "npm install --global @zed-industries/codex-acp"),
        (("codex", "codex-acp"), False, install_command("acp")),
    ],
)
def test_what_acp_needs_is_named(programs: Path, installed: tuple[str, ...], has_acp: bool, hint: str) -> None:
    """Where the program's own command is used, and an ACP agent would be better."""
    install(programs, *installed)

    assert hint in str(find_agent("codex", path=str(programs), has_acp=has_acp).hint)


@pytest.mark.parametrize(
    ("name", "installed", "has_acp", "words"),
    [
        ("codex", (), True, "codex-acp and codex are not in PATH"),
        ("gemini", (), True, "gemini is not in PATH"),
        ("aider", (), False, "aider is not in PATH"),
        ("gemini", ("gemini",), False, "needs the Python package agent-client-protocol"),
    ],
)
def test_what_is_missing_is_named(
    programs: Path, name: str, installed: tuple[str, ...], has_acp: bool, words: str
) -> None:
    """With the command that installs it."""
    install(programs, *installed)
    with pytest.raises(errors.ConfigurationError, match=words) as caught:
        find_agent(name, path=str(programs), has_acp=has_acp)

    assert "install" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("agent", "command", "is_acp"),
    [
        ("acp: claude-agent-acp", ("claude-agent-acp",), True),
        ("acp:gemini --acp", ("gemini", "--acp"), True),
        (" acp: x 'a b' ", ("x", "a b"), True),
        ("acp-agent run", ("acp-agent", "run"), False),
        ("./codex", ("./codex",), False),
        ("codex exec {prompt}", ("codex", "exec", "{prompt}"), False),
    ],
)
def test_an_agent_is_a_command_or_supports_acp(
    programs: Path, agent: str, command: tuple[str, ...], is_acp: bool
) -> None:
    """The prefix makes it an ACP agent; only a whole name is a preset."""
    read = read_agent(agent, folder=str(programs), path=str(programs))

    assert (command, is_acp) == (read.command, read.is_acp)


@pytest.mark.parametrize("agent", ["acp:", "acp:   ", "acp: 'x", "acp: x | y"])
def test_an_acp_agent_needs_a_command(programs: Path, agent: str) -> None:
    """One that can be started without a shell."""
    with pytest.raises(errors.ConfigurationError) as caught:
        read_agent(agent, folder=str(programs), path=str(programs))

    assert "--agent" in str(caught.value.remedy)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it, before a server starts."""
    monkeypatch.setitem(sys.modules, "acp.connection", None)
    with pytest.raises(errors.ConfigurationError, match="agent-client-protocol") as caught:
        require_acp()

    assert install_command("acp") in str(caught.value.remedy)
