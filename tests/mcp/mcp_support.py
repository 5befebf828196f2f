"""The MCP server in this process, in front of a scripted cloud, and the SDK's client of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import anyio
from mcp.client import Client
from mcp_types import CallToolResult

from coatcheck._app.task_session import TaskSession
from coatcheck._app.workspace import Workspace
from coatcheck._mcp.server import build_server
from coatcheck._mcp.tools import TOOLSETS, ServerOptions
from coatcheck._runtime.config import Config
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing.emulator_transport import EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock

T = TypeVar("T")
MODERN = "2026-07-28"
ALL = frozenset(TOOLSETS)


class Served:
    """A server over one store; each scenario has a new server, as after a restart."""

    def __init__(
        self, folder: Path, service: Any = None, *, provider: str = "codex", toolsets: Any = ALL, **environ: str
    ) -> None:
        self.cloud = service if service is not None else ScriptedCloud()
        self.folder, self.clock, self.provider = folder, FakeClock(), provider
        self.options = ServerOptions(toolsets=toolsets, folders=(str(folder),))
        self.environ = {"HOME": str(folder.parent / f"{folder.name}-home"), **environ}
        if isinstance(self.cloud, ScriptedCloud):
            self.environ["CODEX_ACCESS_TOKEN"] = self.cloud.tokens.access_token

    def session(self) -> TaskSession:
        """Return a new session over the store."""
        config = Config(environ=self.environ, explicit={"environment": "owner/repo"})
        workspace = Workspace(str(self.folder), config=config, environ=self.environ, provider=self.provider)
        return TaskSession(workspace, transport=EmulatorTransport(self.cloud), clock=self.clock)

    def run(self, scenario: Callable[[Client], Awaitable[T]], *, mode: Any = "auto", **client: Any) -> T:
        """Return what *scenario* returns with a client of a new server."""

        async def main() -> T | Exception:
            server = build_server(session, self.options)
            async with Client(server, mode=mode, **client) as opened:
                # One test compares answers with their schemas; for each call here it would take half of the time.
                opened.session.validate_tool_result = _accept  # type: ignore[method-assign]
                try:
                    return await scenario(opened)
                except Exception as error:  # noqa: BLE001 - the caller raises it
                    return error  # the client would enclose it in a group

        with closing(self.session()) as session:
            result = anyio.run(main)
        if isinstance(result, Exception):
            raise result
        return result

    def call(self, name: str, **arguments: Any) -> CallToolResult:
        """Return the result of one call to a new server."""
        return self.run(lambda client: client.call_tool(name, arguments))

    def answer(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Return the structured answer of a call that must succeed."""
        result = self.call(name, **arguments)
        assert not result.is_error, result
        assert result.structured_content is not None
        return result.structured_content

    def refused(self, name: str, **arguments: Any) -> str:
        """Return the text of a call that must fail."""
        result = self.call(name, **arguments)
        assert result.is_error, result
        return text_of(result)

    def submit(self, prompt: str = "Add dark mode", **arguments: Any) -> str:
        """Submit a task and return its ref."""
        return str(self.answer("submit_task", prompt=prompt, **arguments)["ref"])

    @property
    def sent(self) -> int:
        """How many submissions the cloud has received."""
        return len(self.cloud.seen("create_task"))


async def _accept(name: str, result: CallToolResult) -> None:
    """Accept a result."""


def text_of(result: CallToolResult) -> str:
    """Return the text of a result."""
    return str(getattr(result.content[0], "text", ""))


def json_of(result: CallToolResult) -> Any:
    """Return the text of a result as JSON."""
    return json.loads(text_of(result))
