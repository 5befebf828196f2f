"""The options and the session of an MCP server, as `coatcheck mcp` and `coatcheck web` start it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import errors
from .._installation import install_command
from .._mcp.tools import DEFAULT_TOOLSETS, TOOLSETS, ServerOptions

if TYPE_CHECKING:
    from .._app.task_session import TaskSession
    from .._mcp.tools import Toolset
    from .context import CommandContext


def server_options(
    run: CommandContext, toolsets: str | None, *, is_read_only: bool, folders: tuple[str, ...]
) -> ServerOptions:
    """Return what the options allow. Raises `ConfigurationError`."""
    chosen = _toolsets(toolsets)
    paths = [os.path.join(run.process_env.folder, os.path.expanduser(each)) for each in folders]
    for path, name in zip(paths, folders, strict=True):
        if not os.path.isdir(path):
            raise errors.ConfigurationError(f"--folder {name} is no folder", remedy="name a folder that exists")
    allowed = tuple(map(os.path.realpath, paths)) or (os.path.realpath(run.process_env.folder),)
    return ServerOptions(toolsets=chosen, is_read_only=is_read_only, folders=allowed)


def _toolsets(text: str | None) -> frozenset[Toolset]:
    names = {name.strip() for name in (text or "").split(",")} - {""}
    if "all" in names:
        names = (names - {"all"}) | set(TOOLSETS)
    if unknown := sorted(names.difference(TOOLSETS)):
        raise errors.ConfigurationError(
            f"--tools has no toolset {unknown[0]!r}", remedy=f"toolsets: {', '.join(TOOLSETS)}, all"
        )
    chosen: frozenset[Toolset] = frozenset(each for each in TOOLSETS if each in names)
    return DEFAULT_TOOLSETS | chosen


def require_sdk() -> None:
    """Raise `ConfigurationError` where the package ``mcp`` is missing."""
    try:
        import mcp.server  # noqa: F401 - whether it is there, and of a version that we can use
    except ImportError as error:
        raise errors.ConfigurationError(
            f"`coatcheck mcp` needs the package mcp, which is not usable here: {error}",
            remedy=f"install it with: {install_command('mcp')}",
        ) from None


def open_session(run: CommandContext) -> TaskSession:
    """Return the session of a server with the settings of *run*; close it."""
    from .._app.task_session import TaskSession

    environment = run.process_env
    return TaskSession(run.workspace, base_url=run.base_url, transport=environment.transport, clock=environment.clock)
