"""Count the requests of watching 1,000 tasks of each service for ten simulated minutes, and of waiting for them.

The services are emulators, the clock is simulated, and no task ends. The goal is a tenth of one poll of each task every 5
seconds, where the service has a list that shows states, or a stream. Pages are as large as the services allow.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the providers of the tests

from tests.providers.codex_app_server.cloud import cloud_support
from tests.providers.codex_app_server.host_support import SPEC as HOST_SPEC, provider as host_provider
from tests.providers.service import Service
from tests.providers.services import SERVICES

from coatcheck import Client, errors
from coatcheck.testing import EmulatorTransport, FakeClock, MemoryJournal
from coatcheck.testing.emulators import a2a, generic_http
from coatcheck.testing.emulators.codex_app_server import CodexAppServerEmulator
from coatcheck.testing.emulators.codex_cloud_threads import CodexCloudThreadsEmulator
from coatcheck.testing.emulators.github_runs import Act

TASKS, SECONDS, POLL = 1_000, 600.0, 5.0
GOAL = 0.1
LONG = 2_000
URL = "http://127.0.0.1:9"


def no_step(*_: object) -> None:
    """Change nothing: a session that runs."""


# What keeps the tasks of each emulator running: arguments and options.
RUNNING: Mapping[str, tuple[tuple[Any, ...], Mapping[str, Any]]] = {
    "a2a": ((("WORKING",) * LONG,), {}),
    "a2a_json_rpc": ((("WORKING",) * LONG,), {}),
    "anthropic_batch": ((("in_progress",) * LONG,), {}),
    "aws_lambda": ((("RUNNING",) * LONG,), {}),
    "claude_agents": (((no_step,) * LONG,), {}),
    "codex": ((("pending", *("in_progress",) * LONG),), {}),
    "codex_app_server": ((), {"step_seconds": 2 * SECONDS}),
    "codex_app_server (cloud)": ((), {"step_seconds": 2 * SECONDS}),
    "copilot": (((Act("queued"), *(Act("in_progress", steps=1),) * LONG),), {}),
    "cursor": ((), {"step_seconds": 2 * SECONDS}),
    "described": ((("Running",) * LONG,), {}),
    "github_actions": (((Act("queued"), *(Act("in_progress", steps=1),) * LONG),), {}),
    "google": ((("Running",) * LONG,), {}),
    "jules": ((), {"step_seconds": 2 * SECONDS}),
    "openai_agents": (((no_step,) * LONG,), {}),
    "openai_batch": ((("in_progress",) * LONG,), {}),
    "openhands": ((), {"step_seconds": 2 * SECONDS}),
    "openhands_cloud": ((), {"step_seconds": 2 * SECONDS}),
}
CODEX: Mapping[str, Service] = {
    "codex_app_server": Service(lambda _: host_provider(), CodexAppServerEmulator, HOST_SPEC),
    "codex_app_server (cloud)": Service(
        lambda _: cloud_support.provider(), CodexCloudThreadsEmulator, cloud_support.SPEC
    ),
}


class Count(NamedTuple):
    """The requests of a watch and of a wait."""

    watch: int
    wait: int


def main() -> int:
    """Print the counts and their share of polling; return 1 where one is above the goal."""
    a2a.PAGE_SIZE, generic_http.PAGE_SIZE = 100, 100  # the tests' pages are smaller than those of any service
    polling = TASKS * SECONDS / POLL
    code = 0
    for name, service in sorted({**SERVICES, **CODEX}.items()):
        if name not in RUNNING:
            print(f"{name:26} has neither a list nor a stream")
            continue
        started = time.perf_counter()
        counted = Count(*(count(name, service, call) for call in (watch, wait)))
        shares = [each / polling for each in counted]
        code |= max(shares) > GOAL
        seconds = time.perf_counter() - started
        print(
            f"{name:26} watch {counted.watch:7} ({shares[0]:.3f})   wait {counted.wait:7} ({shares[1]:.3f})   goal {GOAL}   {seconds:.0f} s",
            flush=True,
        )
    return code


def watch(client: Client, refs: list[Any]) -> None:
    """Watch the tasks."""
    list(client.watch_tasks(refs, timeout=SECONDS))


def wait(client: Client, refs: list[Any]) -> None:
    """Wait for the tasks."""
    list(client.poll_tasks(refs, timeout=SECONDS))


def count(name: str, service: Service, call: Callable[[Client, list[Any]], None]) -> int:
    """Return the requests of *call* for the tasks of a service, all of which are still running afterwards."""
    arguments, options = RUNNING[name]
    clock = FakeClock()
    emulator = service.emulator(*arguments, clock=clock, **options)
    client = Client(
        service.provider(URL),
        token=service.token(emulator),
        transport=EmulatorTransport(emulator),
        journal=MemoryJournal(),
        clock=clock,
        environ={"COATCHECK_LEARN": "off"},
    )
    refs = [client.create_task(service.spec).ref for _ in range(TASKS)]
    emulator.requests.clear()
    try:
        call(client, refs)
    except errors.WaitTimeoutError:
        return len(emulator.requests)
    raise SystemExit(f"{name}: a task ended")


if __name__ == "__main__":
    sys.exit(main())
