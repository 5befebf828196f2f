"""The configuration of programs that start `coatcheck mcp`: shown, or written into their files.

Guarantees: a file is replaced atomically, through a link to its target, and keeps its mode; what else is in it stays,
comments included; a file that cannot be changed so is left alone, and the error shows what to add.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from .. import errors
from .._app import json_text, toml_tables
from .._files.private import replace_file

Scope: TypeAlias = Literal["user", "project"]
NAME = "coatcheck"
MAX_SIZE = 64 * 1024 * 1024


class ClientProgram(NamedTuple):
    """A program: its files by scope, the path of the table of servers in them, and what an entry has beside the command."""

    title: str
    user_file: str
    project_file: str
    names: tuple[str, ...]
    extra: Mapping[str, str] = {}

    @property
    def is_toml(self) -> bool:
        """Whether its files are TOML; the others are JSON."""
        return self.user_file.endswith(".toml")


# Sources: https://developers.openai.com/codex/mcp, https://code.claude.com/docs/en/mcp,
# https://code.visualstudio.com/docs/copilot/reference/mcp-configuration, https://cursor.com/docs/context/mcp
CLIENTS: Mapping[str, ClientProgram] = {
    "codex": ClientProgram("Codex", "{CODEX_HOME}/config.toml", ".codex/config.toml", ("mcp_servers",)),
    "claude": ClientProgram(
        "Claude Code", "{CLAUDE_CONFIG}/.claude.json", ".mcp.json", ("mcpServers",), {"type": "stdio"}
    ),
    "vscode": ClientProgram("VS Code", "{VSCODE}/mcp.json", ".vscode/mcp.json", ("servers",), {"type": "stdio"}),
    "cursor": ClientProgram("Cursor", "{HOME}/.cursor/mcp.json", ".cursor/mcp.json", ("mcpServers",)),
}


class ClientEntry(NamedTuple):
    """The entry of one program: the file, and the text that the file gets or has got."""

    client: str
    path: str
    text: str


def server_command(program: str, executable: str = sys.executable) -> list[str]:
    """Return the command that starts this coatcheck: by its path, so that programs without a PATH find it."""
    path = os.path.abspath(program)
    if os.path.basename(path) == NAME and os.access(path, os.X_OK):
        return [path]
    return [executable, "-m", NAME]


def client_entry(
    client: str, command: Sequence[str], *, scope: Scope, folder: str, environ: Mapping[str, str]
) -> ClientEntry:
    """Return the entry for a program: of the user, or of the project at *folder*."""
    program = CLIENTS[client]
    path = os.path.join(folder, program.project_file) if scope == "project" else _user_file(program, environ)
    values = _values(program, command)
    if program.is_toml:
        return ClientEntry(client, path, toml_tables.set_table("", (*program.names, NAME), values))
    document: object = values
    for name in reversed((*program.names, NAME)):
        document = {name: document}
    return ClientEntry(client, path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def write_entry(entry: ClientEntry, command: Sequence[str]) -> bool:
    """Write an entry into its file; False where the file has it already. Raises `ConfigurationError`."""
    program = CLIENTS[entry.client]
    try:
        target = os.path.realpath(entry.path)  # the file may be a link into a folder of dotfiles
        before, mode = _read(target)
        after = _with_entry(program, before, _values(program, command))
        if after == before:
            return False
        os.makedirs(os.path.dirname(target), exist_ok=True)
        replace_file(target, after.encode())
        if mode is not None:
            os.chmod(target, mode)
    except OSError as error:
        raise errors.ConfigurationError(
            f"{entry.path} cannot be written: {error.strerror}",
            remedy=f"add by hand what this prints: coatcheck mcp install --client {entry.client}",
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise errors.ConfigurationError(
            f"{entry.path} was not changed, because as {_format(program)} it cannot be: {error}",
            remedy=f"correct it, or add by hand what this prints: coatcheck mcp install --client {entry.client}",
        ) from None
    return True


def _format(program: ClientProgram) -> str:
    return "TOML" if program.is_toml else "JSON"


def _values(program: ClientProgram, command: Sequence[str]) -> dict[str, str | list[str]]:
    return {**program.extra, "command": command[0], "args": list(command[1:])}


def _with_entry(program: ClientProgram, text: str, values: Mapping[str, str | list[str]]) -> str:
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix(mark)
    if program.is_toml:
        return mark + toml_tables.set_table(text, (*program.names, NAME), values)
    present = json_text.parse(text) if text.strip() else {}
    for name in (*program.names, NAME):
        present = present.get(name, {}) if isinstance(present, dict) else {}
    kept = {name: value for name, value in present.items() if name not in values} if isinstance(present, dict) else {}
    if isinstance(present, dict) and all(present.get(name) == value for name, value in values.items()):
        return mark + text
    return mark + json_text.set_member(text, (*program.names, NAME), {**values, **kept})


def _read(path: str) -> tuple[str, int | None]:
    """Return the text of a file and its mode, None where there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
            mode = os.fstat(file.fileno()).st_mode & 0o7777
    except FileNotFoundError:
        return "", None
    if len(data) > MAX_SIZE:
        raise ValueError("it is too large")
    return data.decode(), mode


def _user_file(program: ClientProgram, environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    mac = os.path.join(home, "Library", "Application Support")
    places = {
        "HOME": home,
        "CODEX_HOME": environ.get("CODEX_HOME") or os.path.join(home, ".codex"),
        "CLAUDE_CONFIG": environ.get("CLAUDE_CONFIG_DIR") or home,
        "VSCODE": os.path.join(mac if sys.platform == "darwin" else config, "Code", "User"),
    }
    return program.user_file.format(**places)
