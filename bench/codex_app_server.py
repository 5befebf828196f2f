"""Measure one task on a Codex host beside the bare protocol: wall time, and CPU of the host and of the client.

Both do the same work on the same host with the same scripted model: make a worktree, run a turn that writes a file, and
read the change by the same script in the same sandbox. They take turns, so that noise affects both. Needs the Codex CLI that ``make bench`` installs.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the host of the peer tests

from tests.peers.scripted_model import ScriptedModel
from tests.peers.test_codex_app_server import CODEX, Host, script

from coatcheck import Client, TaskSpec
from coatcheck._protocol.effects import Open, Request, Send
from coatcheck._protocol.json_rpc import JsonRpc
from coatcheck._runtime.channel_opener import ChannelOpener
from coatcheck._runtime.network import TransportOptions
from coatcheck.providers.codex_app_server.checkouts import READ_CHANGE

ROUNDS, WARM_UP = 15, 2
RATIO_GOAL = 1.3
STEPS = ("echo new >new.txt", "say It is done.")
FULL, IN_FOLDER = {"type": "dangerFullAccess"}, {"type": "workspaceWrite"}


class Bare:
    """The protocol without a client library."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._opener = ChannelOpener(TransportOptions(environ=host.environ))
        self._number = 0

    def run_task(self) -> None:
        """Run one task."""
        self._number += 1
        url = f"unix://{self._host.socket}"
        channel = self._opener.open_channel(Request("GET", "", url=url, channel=Open())).stream
        rpc = JsonRpc(channel)

        def call(method: str, **params: Any) -> Any:
            return msgspec.json.decode(performed(rpc.call(method, params), channel).result)

        call("initialize", clientInfo={"name": "bare", "version": "1"}, capabilities={"experimentalApi": True})
        performed(rpc.notify("initialized"), channel)
        folder = str(self._host.folder / f"bare-{self._number}")
        add = ["git", "-C", str(self._host.repository), "worktree", "add", "-q", "--detach", folder]
        call("command/exec", command=add, sandboxPolicy=FULL)
        thread = call("thread/start", cwd=folder, sandbox="workspace-write", approvalPolicy="never")["thread"]["id"]
        call("turn/start", threadId=thread, input=[{"type": "text", "text": script(*STEPS)}])
        while performed(rpc.next_message(), channel).method != "turn/completed":
            pass
        diff = ["sh", "-c", READ_CHANGE, "bare", "HEAD"]
        assert call("command/exec", command=diff, cwd=folder, sandboxPolicy=IN_FOLDER)["exitCode"] == 0
        channel.close()


def performed(generator: Any, channel: Any) -> Any:
    """Perform the effects of *generator* over *channel*."""
    try:
        effect = next(generator)
        while True:
            is_send = isinstance(effect, Send)
            effect = generator.send(channel.send(effect.message) if is_send else channel.receive(effect.timeout))
    except StopIteration as stop:
        return stop.value


def cpu(host: Host) -> float:
    """Return the CPU seconds of this process, of the host and of its commands."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    assert host.process is not None
    fields = Path(f"/proc/{host.process.pid}/stat").read_text().rpartition(")")[2].split()
    return own.ru_utime + own.ru_stime + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def measured(host: Host, run: Callable[[], None]) -> tuple[float, float]:
    """Return the wall time and the CPU of one task, in seconds."""
    start, before = time.perf_counter(), cpu(host)
    run()
    return time.perf_counter() - start, cpu(host) - before


def main() -> int:
    """Print both, and whether ours costs at most `RATIO_GOAL` times the bare protocol."""
    if not CODEX.exists():
        print(f"{CODEX} is not installed: run make peers")
        return 0
    with ScriptedModel() as model, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        host = Host(Path(folder), model.url)
        host.start()
        try:
            return report(*compared(host))
        finally:
            host.stop()


def compared(host: Host) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return what tasks cost: of the bare protocol, and of ours."""
    bare, both = Bare(host), ([], [])  # type: ignore[var-annotated]
    with Client(**host.options()) as client:

        def ours() -> None:
            spec = TaskSpec(prompt=script(*STEPS), environment=str(host.repository))
            client.poll_task(client.create_task(spec)).require_patch()

        for number in range(ROUNDS + WARM_UP):
            for run, costs in zip((bare.run_task, ours), both, strict=True):
                cost = measured(host, run)
                if number >= WARM_UP:
                    costs.append(cost)
    return both


def report(bare: list[tuple[float, float]], ours: list[tuple[float, float]]) -> int:
    """Print medians and ratios; return the exit code."""
    code = 0
    for place, name in enumerate(("wall time", "CPU")):
        theirs, mine = (statistics.median(cost[place] for cost in costs) for costs in (bare, ours))
        ratio = mine / theirs
        print(f"{name:10} bare {theirs * 1000:7.0f} ms   ours {mine * 1000:7.0f} ms   {ratio:.2f} (goal {RATIO_GOAL})")
        code |= ratio > RATIO_GOAL
    return code


if __name__ == "__main__":
    sys.exit(main())
