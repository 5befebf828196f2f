"""Measure the MCP server: how long it takes to start, and what a call costs above the store.

- from the start of the process to the answer to `server/discover` and a first `tools/list`, in turns with a server that is
  the SDK alone with one tool (goal: at most 1.2);
- 1,000 `get_task` calls of one session over a pipe in memory, of a task that has ended, to reading the same task from the
  store (goal: at most 3 ms of CPU time more each; client and server are this process).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import anyio
from mcp.client import Client

from coatcheck._app.task_session import TaskSession
from coatcheck._app.workspace import Workspace
from coatcheck._mcp.server import build_server
from coatcheck._mcp.tools import ServerOptions
from coatcheck._runtime.config import Config
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing import EmulatorTransport, FakeClock

CALLS, STARTS = 1000, 9
BARE = """
from mcp.server import MCPServer
server = MCPServer("bare")
@server.tool()
def double(number: int) -> int:
    return 2 * number
server.run("stdio")
"""
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}
REQUESTS = [
    {"jsonrpc": "2.0", "id": number, "method": method, "params": {"_meta": META}}
    for number, method in enumerate(("server/discover", "tools/list"))
]


def start_seconds(command: list[str], environ: dict[str, str]) -> float:
    """Return the seconds until a server has answered both requests."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for request in REQUESTS:
            server.stdin.write(json.dumps(request).encode() + b"\n")
            server.stdin.flush()
            answer = json.loads(server.stdout.readline())
            assert "result" in answer, answer
        elapsed = time.perf_counter() - began
        server.stdin.close()
        server.wait()
    return elapsed


def measure_start(folder: Path) -> None:
    """Print how long both servers take to start."""
    environ = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    ours = [str(Path(sys.executable).with_name("coatcheck")), "mcp"]
    bare = [sys.executable, "-c", BARE]
    pairs = [(start_seconds(bare, environ), start_seconds(ours, environ)) for _ in range(STARTS)][1:]
    ratio = statistics.median(own / other for other, own in pairs)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    print(f"start: the SDK alone {medians[0]:.2f} s, coatcheck mcp {medians[1]:.2f} s, ratio {ratio:.2f} (goal: 1.2)")


def session_of(folder: Path, cloud: ScriptedCloud) -> TaskSession:
    """Return a session in front of *cloud*."""
    environ = {"HOME": str(folder), "CODEX_ACCESS_TOKEN": cloud.tokens.access_token}
    config = Config(environ=environ, explicit={"environment": "owner/repo"})
    workspace = Workspace(str(folder), config=config, environ=environ, provider="codex")
    return TaskSession(workspace, transport=EmulatorTransport(cloud), clock=FakeClock())


async def call_seconds(session: TaskSession) -> tuple[str, float]:
    """Return the ref of an ended task, and the seconds that a call for it takes."""
    async with Client(build_server(session, ServerOptions()), mode="legacy") as client:
        submitted = await client.call_tool("submit_task", {"prompt": "Add dark mode"})
        ref = str((submitted.structured_content or {})["ref"])
        await client.call_tool("wait_for_task", {"ref": ref})
        await client.call_tool("get_task", {"ref": ref})
        began = time.process_time()
        for _ in range(CALLS):
            await client.call_tool("get_task", {"ref": ref})
        return ref, (time.process_time() - began) / CALLS


def measure_calls(folder: Path) -> None:
    """Print what a call costs above the store."""
    with closing(session_of(folder, ScriptedCloud())) as session:
        ref, seconds = anyio.run(call_seconds, session)
        began = time.process_time()
        for _ in range(CALLS):
            session.history.find(session.ref(ref))
        stored = (time.process_time() - began) / CALLS
    above = 1000 * (seconds - stored)
    print(
        f"get_task: CPU {1000 * seconds:.2f} ms, of which the store {1000 * stored:.2f} ms: {above:.2f} ms (goal: 3 ms)"
    )


def main() -> None:
    """Print both measurements."""
    with tempfile.TemporaryDirectory() as folder:
        measure_start(Path(folder))
        measure_calls(Path(folder))


if __name__ == "__main__":
    main()
