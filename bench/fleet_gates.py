"""What a fleet costs while its items wait for a person: reading what is due, the CPU of a process that waits, approving.

No process needs to run while a person decides: `fleet run` ends, and what waits is rows. The measured process waits all
the same, as `fleet run --wait` does. Targets: 20 ms for one reading of what is due, and no item approved twice.

Run: python bench/fleet_gates.py [--n ITEMS]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import suppress

from coatcheck._fleet.control import FleetControl
from coatcheck._fleet.due_jobs import DueJobs
from coatcheck._fleet.file import convert
from coatcheck._fleet.planning import plan_items
from coatcheck._fleet.reviewing import ItemReview
from coatcheck._fleet.services import Services
from coatcheck._fleet.session import FleetSession, FleetSettings
from coatcheck._fleet.spec import FleetSpec, build_spec
from coatcheck._model.fleets import ItemState
from coatcheck._patches.parse import Patch

ITEMS, WAIT_SECONDS = 10_000, 5.0
TARGET_MS = 20.0
PATCH = Patch.parse(b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n")


def spec_of(count: int) -> FleetSpec:
    """Return a fleet of so many items, each of which a person decides."""
    document = {
        "name": "gates",
        "task": {"prompt": "Add types to {package}.", "base": "main"},
        "items": {"package": [f"p{number}" for number in range(count)]},
        "candidates": [{"provider": "codex", "environment": "env_1"}],
    }
    return build_spec(convert(document), folder=None)


def wait_for_a_person(control: FleetControl, spec: FleetSpec) -> float:
    """Store the fleet, and open a gate for each item as a review does; return the seconds that it took."""
    items, _ = plan_items(spec, known={}, resolve=lambda _name, _base: None)
    fleet = control.store.save(spec.name, spec=spec.canonical, digest=spec.digest, items=items)
    begun = time.perf_counter()
    with control.store.database.writing() as transaction:
        transaction.change("UPDATE fleet_candidate SET state = 'verified'")
        transaction.change("UPDATE fleet_item SET state = 'ranked'")
    for item in control.store.items(fleet.id):
        control.gates.open(spec.name, item, PATCH, "digest", section=None, why="it passes tests")
        control.store.change_item(item.id, ItemState.RANKED, ItemState.WAITING, why="a person", is_durable=False)
    return time.perf_counter() - begun


async def wait(session: FleetSession, spec: FleetSpec) -> tuple[float, float]:
    """Return the median milliseconds of one reading of what is due, and the share of a processor that waiting takes."""
    fleet = session.control.get(spec.name)
    runner = session.runner(spec, fleet, Services(lambda *_: None), print)
    due, times = DueJobs(runner.context, waits=True), []
    for _ in range(9):
        begun = time.perf_counter()
        due(is_tick=True)
        times.append(1000 * (time.perf_counter() - begun))
    used = time.process_time()
    with suppress(TimeoutError):
        await asyncio.wait_for(runner.run(waits=True), WAIT_SECONDS)
    return statistics.median(times), (time.process_time() - used) / WAIT_SECONDS


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=ITEMS)
    count = parser.parse_args().n
    spec = spec_of(count)
    with tempfile.TemporaryDirectory() as folder:
        settings = FleetSettings(environ={"COATCHECK_STATE_HOME": folder, "HOME": folder}, review=_no_review)
        session = FleetSession(settings)
        opened = wait_for_a_person(session.control, spec)
        median, share = asyncio.run(wait(session, spec))
        print(f"{count} items wait: what is due is read in {median:.1f} ms ({median / TARGET_MS:.2f} of the target)")
        print(f"  {100 * share:.2f} % of a processor while `run --wait` waits, gates opened in {opened:.1f} s")
        begun = time.perf_counter()
        first = session.control.approve(spec.name, by="bench")
        seconds = time.perf_counter() - begun
        print(
            f"  approved in {seconds:.1f} s: {len(first)}, and again: {len(session.control.approve(spec.name, by='bench'))}"
        )
        session.close()


def _no_review(*_: object) -> ItemReview:
    raise AssertionError


if __name__ == "__main__":
    main()
