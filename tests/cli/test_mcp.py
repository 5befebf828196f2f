"""The configuration of programs that start the MCP server: printed, or written into their files."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.cli.cli_support import Cli

from coatcheck._installation import install_command

CODEX = """\
# mine
model = "gpt-5"

[mcp_servers.other] # theirs
command = "other"

[mcp_servers.coatcheck]
# a comment of ours
args = [
    "old", # the old one
]
startup_timeout_sec = 20
command = "/old/coatcheck"

[mcp_servers.coatcheck.env]
A = "1"

[tui]
theme = "dark"
"""


def written(cli: Cli, client: str, *options: str) -> Path:
    """Write the configuration and return its file."""
    done = cli("mcp", "install", "--client", client, "--write", *options)
    assert 0 == done.code, done
    return Path(done.out.strip())


@pytest.mark.parametrize(
    ("client", "place", "table"),
    [
        ("codex", ".codex/config.toml", "mcp_servers"),
        ("claude", ".claude.json", "mcpServers"),
        ("vscode", ".config/Code/User/mcp.json", "servers"),
        ("cursor", ".cursor/mcp.json", "mcpServers"),
    ],
)
def test_each_program_gets_its_own_form(cli: Cli, client: str, place: str, table: str) -> None:
    """What is printed is what a new file gets; the server is started with the options that were given."""
    options = ("--tools", "apply", "--provider", "local")
    printed = cli("mcp", "install", "--client", client, *options)
    path = written(cli, client, *options)
    document: Any = tomllib.loads(path.read_text()) if client == "codex" else json.loads(path.read_text())
    entry = document[table]["coatcheck"]

    assert (Path(cli.environ["HOME"], place), printed.out) == (path, path.read_text())
    assert ["mcp", *options] == entry["args"][-5:]
    assert os.path.isabs(entry["command"])
    assert f"Add it to {path}, or pass --write." in printed.err


def test_a_project_has_files_of_its_own(cli: Cli) -> None:
    """With --scope project the file is in the project."""
    paths = [written(cli, client, "--scope", "project") for client in ("codex", "claude", "vscode", "cursor")]
    names = [".codex/config.toml", ".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json"]

    assert [cli.folder / name for name in names] == paths


def test_what_is_in_a_file_stays(cli: Cli) -> None:
    """Comments, other servers and other keys of the entry stay; a second time nothing changes; the mode and the link stay."""
    home = Path(cli.environ["HOME"])
    (home / ".codex").mkdir(parents=True)
    (home / "dotfiles").mkdir()
    target = home / "dotfiles" / "config.toml"
    target.write_text(CODEX)
    target.chmod(0o640)
    (home / ".codex" / "config.toml").symlink_to(target)
    path = written(cli, "codex")
    text = target.read_text()
    entry = tomllib.loads(text)["mcp_servers"]["coatcheck"]
    again = cli("mcp", "install", "--client", "codex", "--write", "--json").json

    assert (False, True, 0o640) == (again["is_changed"], path.is_symlink(), target.stat().st_mode & 0o777)
    assert (["mcp"], 20, {"A": "1"}) == (entry["args"][-1:], entry["startup_timeout_sec"], entry["env"])
    assert all(part in text for part in ("# mine", "[mcp_servers.other] # theirs", "# a comment of ours", "[tui]\n"))
    assert "/old/coatcheck" not in text


@pytest.mark.parametrize(
    ("client", "place", "text"),
    [
        ("claude", ".claude.json", '{"mcpServers": [1]}'),
        ("claude", ".claude.json", "not JSON"),
        ("cursor", ".cursor/mcp.json", '{"mcpServers": {"coatcheck": 1}, "mcpServers": {}}'),
        ("codex", ".codex/config.toml", "a = = 1"),
        ("codex", ".codex/config.toml", "mcp_servers = 1"),
        ("codex", ".codex/config.toml", 'mcp_servers.coatcheck = {command = "x"}\n'),
        ("codex", ".codex/config.toml", b"\xff"),
    ],
)
def test_a_file_that_cannot_be_changed_is_left_alone(cli: Cli, client: str, place: str, text: str | bytes) -> None:
    """One line says so, with what to do; the file stays byte for byte."""
    path = Path(cli.environ["HOME"], place)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(data)
    done = cli("mcp", "install", "--client", client, "--write")

    assert (2, data) == (done.code, path.read_bytes())
    assert f"{path} was not changed" in done.line
    assert "by hand" in done.line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tools", "nope"), "--tools has no toolset 'nope'; toolsets: tasks, apply"),
        (("--folder", "nope"), "--folder nope is no folder"),
        (("--json",), "--json and --jq have no effect on `mcp serve`"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(cli: Cli, options: tuple[str, ...], message: str) -> None:
    """The server does not start."""
    done = cli("mcp", "serve", *options)

    assert 2 == done.code
    assert message in done.out + done.err


def test_a_missing_sdk_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the extra to install."""
    monkeypatch.setitem(__import__("sys").modules, "mcp.server", None)
    done = cli("mcp")

    assert 2 == done.code
    assert install_command("mcp") in done.line
