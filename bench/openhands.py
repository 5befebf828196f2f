"""Count the requests of watching 1,000 tasks of an OpenHands agent-server for ten simulated minutes, and of waiting for one.

The server's list shows the states of a hundred tasks at once. The yardstick is a tenth of one poll of each task every
5 seconds. A wait for one task reads its events as they happen and polls meanwhile.
"""

from __future__ import annotations

from collections import Counter

from coatcheck import Client, TaskSpec, errors
from coatcheck.providers.openhands.endpoints import Service
from coatcheck.providers.openhands.provider import OpenHandsProvider
from coatcheck.testing import EmulatorTransport, FakeClock, MemoryJournal
from coatcheck.testing.emulators.openhands import OpenHandsEmulator, find_route

TASKS, SECONDS, POLL = 1_000, 600.0, 5.0
BASE = "http://127.0.0.1:9"
# How long the steps of a run take: one that is still running after ten minutes, and one that ends after five.
STEPS = {"running": SECONDS, "ending": SECONDS / 4}


def count(tasks: int, step_seconds: float) -> Counter[str]:
    """Return the requests of a wait for some tasks, by route."""
    clock = FakeClock()
    emulator = OpenHandsEmulator(clock=clock, step_seconds=step_seconds)
    client = Client(
        OpenHandsProvider(Service(base_url=BASE)),
        token=emulator.token,
        transport=EmulatorTransport(emulator),
        journal=MemoryJournal(),
        clock=clock,
        environ={"COATCHECK_LEARN": "off"},
    )
    refs = [client.create_task(TaskSpec(prompt="Say hello", repository="owner/repo")).ref for _ in range(tasks)]
    emulator.requests.clear()
    try:
        if tasks == 1:
            client.poll_task(refs[0], timeout=SECONDS)
        else:
            list(client.poll_tasks(refs, timeout=SECONDS))
    except errors.WaitTimeoutError:
        pass
    return Counter(find_route(request)[0] for request in emulator.requests)


def main() -> None:
    """Print the counts."""
    for tasks in (TASKS, 1):
        limit = tasks * SECONDS / POLL / 10
        for name, step_seconds in STEPS.items():
            counted = count(tasks, step_seconds)
            routes = ", ".join(f"{route} {number}" for route, number in sorted(counted.items()))
            print(f"{tasks} {name}: {counted.total()} requests (a tenth of polling: {limit:.0f}): {routes}")


if __name__ == "__main__":
    main()
