"""Measure what the local cloud adds to an ACP agent: time and memory of an attempt beside those of the agent itself.

The agent is the one of the tests, in a process of its own. It is prompted in turn by a bare client, which starts it and
writes three messages, and as an attempt: under the supervisor, with its deadline and its events. The time is the
difference of the shortest runs, which other programs disturb least (goal: at most 50 ms). On a machine that does other
work the CPU time, of this process and of those that it starts, is the better measure: an attempt does little at once,
so that it is about the time on a machine that does nothing else. The memory is what the server has more at its most during attempts than before the
first, and that of the supervisor's processes (PSS, proc(5); goal: at most 20 MB together).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from coatcheck._workspaces.cancellation import CancelScope
from coatcheck._workspaces.supervisor import descendants
from coatcheck.cloud.acp.attempt import run_acp
from coatcheck.cloud.attempts import Job, Listener
from coatcheck.cloud.launcher import require_acp

AGENT = (sys.executable, "-S", str(Path(__file__).parents[1] / "tests/cloud/acp_agents/fake_agent.py"))
PROMPT = "plan one,two\nthink about it\nsay I begin.\nusage\nflood 200\nsay Done."
RUNS = 30
TIME_GOAL, MEMORY_GOAL = 50.0, 20.0


def memory(pid: int | str) -> float:
    """Return the proportional memory of a process in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def cpu_seconds() -> float:
    """Return the CPU time of this process, and of the processes that it has started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def prompt_bare(folder: str) -> float:
    """Prompt the agent without anything else; return the seconds until it has ended."""
    began = time.perf_counter()
    messages: list[tuple[str, dict[str, Any]]] = [
        ("initialize", {"protocolVersion": 1}),
        ("session/new", {"cwd": folder, "mcpServers": []}),
        ("session/prompt", {"sessionId": "session-1", "prompt": [{"type": "text", "text": PROMPT}]}),
    ]
    with subprocess.Popen(AGENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        for id, (method, params) in enumerate(messages):
            agent.stdin.write(
                json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode() + b"\n"
            )
            agent.stdin.flush()
            while json.loads(agent.stdout.readline()).get("id") != id:
                pass
        agent.stdin.close()
        agent.wait()
    return time.perf_counter() - began


def prompt_as_attempt(folder: str) -> float:
    """Prompt the agent as an attempt; return the seconds until it has ended."""
    began = time.perf_counter()
    job = Job(
        task_id="t", attempt_id="a", number=1, total=1, environment_id="e", source="", branch="main", prompt=PROMPT
    )
    workspace: Any = SimpleNamespace(work=Path(folder), scope=CancelScope(600), cgroup=None)
    listener = Listener(on_start=lambda _: True, on_line=lambda *_: None, on_end=lambda *_: None)
    ending = run_acp(AGENT, job, workspace, dict(os.environ), listener, permissions="edits")
    assert ending.failure is None, ending
    return time.perf_counter() - began


def supervisors() -> list[int]:
    """Return the processes below this one that are no agents."""
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants({os.getpid()})}
    return [pid for pid, command in commands.items() if b"supervisor.py" in command]


def highest_memory(folder: str) -> float:
    """Return the memory that attempts add to this process, at its most, with the supervisor's processes."""
    before, highest, is_over = memory("self"), 0.0, threading.Event()

    def sample() -> None:
        nonlocal highest
        while not is_over.wait(0.02):
            try:
                highest = max(highest, memory("self") - before + sum(map(memory, supervisors())))
            except OSError:  # one has ended
                continue

    sampler = threading.Thread(target=sample)
    sampler.start()
    for _ in range(RUNS // 3):
        prompt_as_attempt(folder)
    is_over.set()
    sampler.join()
    return highest


def main() -> None:
    """Print the differences and the goals."""
    require_acp()
    with tempfile.TemporaryDirectory() as folder:
        megabytes = highest_memory(folder)
        bare, attempts, processors = [], [], []
        for _ in range(RUNS):
            start = cpu_seconds()
            bare.append(prompt_bare(folder))
            between = cpu_seconds()
            attempts.append(prompt_as_attempt(folder))
            processors.append((between - start, cpu_seconds() - between))
    added = (min(attempts) - min(bare)) * 1000
    alone, attempt = (1000 * sum(column) / RUNS for column in zip(*processors, strict=True))
    print(f"an agent alone {min(bare) * 1000:6.1f} ms, as an attempt {min(attempts) * 1000:6.1f} ms")
    print(f"added time    {added:6.1f} ms (goal: {TIME_GOAL:.0f} ms)")
    print(f"added CPU     {attempt - alone:6.1f} ms, on average ({alone:.1f} ms alone, {attempt:.1f} ms as an attempt)")
    print(f"added memory  {megabytes:6.1f} MB (goal: {MEMORY_GOAL:.0f} MB)")
    if added > TIME_GOAL or megabytes > MEMORY_GOAL:
        sys.exit("a goal is missed")


if __name__ == "__main__":
    main()
