"""`mcp` serves tasks to other agents over MCP, and `mcp install` configures their programs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ... import errors
from ..._mcp.client_files import CLIENTS
from ..._mcp.tools import TOOLSETS
from ..command_group import CommandGroup
from ..context import CommandContext
from ..mcp_server import open_session, require_sdk, server_options

if TYPE_CHECKING:
    from ..._mcp.client_files import Scope
    from ..console import Line

mcp_command = CommandGroup(
    "mcp",
    default="serve",
    has_provider=True,
    help="""Serve tasks to other agents over the Model Context Protocol (MCP), on standard input and output.

    Agents submit tasks, wait, and read results; `mcp install` configures their programs. Applying patches, cancelling,
    messages and decisions are toolsets of their own. An agent cannot approve what it submitted.
    """,
)
tools_option = click.option(
    "--tools",
    "toolsets",
    metavar="NAMES",
    help=f"Toolsets beside tasks, with commas: {', '.join(TOOLSETS[1:])}, or all.",
)
read_only_option = click.option("--read-only", "is_read_only", is_flag=True, help="Offer only tools that read.")
folder_option = click.option(
    "--folder",
    "folders",
    multiple=True,
    metavar="PATH",
    help="A folder whose checkouts apply_patch may change (default: the working directory); may be repeated.",
)


@mcp_command.subcommand(
    "serve",
    examples="""
coatcheck mcp
coatcheck mcp --tools apply,cancel --folder ~/src
coatcheck mcp --read-only
""",
)
@tools_option
@read_only_option
@folder_option
def serve_mcp(run: CommandContext, *, toolsets: str | None, is_read_only: bool, folders: tuple[str, ...]) -> None:
    """Serve one client on standard input and output, until it closes them.

    Tasks are those of `coatcheck`: an agent can wait for what a person has submitted, and the reverse.
    """
    if run.is_json:
        raise errors.ConfigurationError(
            "--json and --jq have no effect on `mcp serve`", remedy="leave them out: its output is the protocol"
        )
    options = server_options(run, toolsets, is_read_only=is_read_only, folders=folders)
    require_sdk()
    from ..._mcp.stdio import serve_stdio

    if run.process_env.is_asking:
        run.note("Serving MCP on standard input and output, for a program; `coatcheck mcp install` configures one.")
    session = open_session(run)
    try:
        serve_stdio(session, options)
    finally:
        session.close()


@mcp_command.subcommand(
    "install",
    examples="""
coatcheck mcp install --client codex
coatcheck mcp install --client claude --write
coatcheck mcp install --client vscode --scope project --tools apply --write
""",
)
@click.option(
    "--client",
    type=click.Choice(list(CLIENTS)),
    required=True,
    help=f"The program: {', '.join(each.title for each in CLIENTS.values())}.",
)
@click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    default="user",
    help="For all your projects, or for this project (default: user).",
)
@click.option("--write", "is_written", is_flag=True, help="Write it into the program's file, and keep what is there.")
@tools_option
@read_only_option
@folder_option
def install_client(
    run: CommandContext,
    *,
    client: str,
    scope: Scope,
    is_written: bool,
    toolsets: str | None,
    is_read_only: bool,
    folders: tuple[str, ...],
) -> None:
    """Print the configuration with which a program starts `coatcheck mcp`, or write it with --write.

    The other options are those that the server is started with.
    """
    import sys

    from ..._mcp.client_files import client_entry, server_command, write_entry

    server_options(run, toolsets, is_read_only=is_read_only, folders=folders)  # raises where they cannot be used
    words = [*(("--tools", toolsets) if toolsets else ()), *(("--read-only",) if is_read_only else ())]
    for folder in folders:
        words += ["--folder", os.path.join(run.process_env.folder, os.path.expanduser(folder))]
    command = [*server_command(sys.argv[0]), "mcp", *words, *run.service_options]
    folder = run.root or run.process_env.folder
    entry = client_entry(client, command, scope=scope, folder=folder, environ=run.process_env.environ)
    is_changed = write_entry(entry, command) if is_written else False
    document = {"client": client, "path": entry.path, "text": entry.text, "is_changed": is_changed}
    lines: list[Line] = [entry.path] if is_written else [*entry.text.rstrip("\n").split("\n")]
    run.answer(lambda: document, lambda: lines)
    title = CLIENTS[client].title
    if not is_written:
        run.note(f"Add it to {entry.path}, or pass --write.")
    elif is_changed:
        run.note(f"Start {title} again to use the server.")
    else:
        run.note(f"{title} has this entry already.")
