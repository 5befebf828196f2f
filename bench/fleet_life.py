"""What a fleet costs: CPU of an engine for one task's life, and how fast `fleet status` answers.

A process of its own works on the fleet against a service on loopback; its CPU time, less that of its start, is divided by
the number of tasks. A life is: submitted (two requests), polled with the others, fetched, reviewed, decided, delivered.
The target on an idle machine is 5 ms of CPU a task for the loop, 30 ms for PgQueuer with its PostgreSQL server (where
`make peers` has installed one), and 100 ms for the status of 10,000 items.

Run: python bench/fleet_life.py [--n TASKS]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the server of the tests

from tests.store.postgres_server import BINARIES, postgres_server

from coatcheck._fleet.context import FleetOptions
from coatcheck._fleet.delivery import Delivered, Delivery
from coatcheck._fleet.file import convert
from coatcheck._fleet.planning import plan_items
from coatcheck._fleet.reviewing import ItemReview
from coatcheck._fleet.services import ServiceClient
from coatcheck._fleet.session import FleetSession, FleetSettings
from coatcheck._fleet.spec import FleetSpec, build_spec
from coatcheck._fleet.worker import FleetWorker
from coatcheck._model.fleets import FleetItem, FleetStatus
from coatcheck._review.candidates import Candidate
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._store.fleet_journal import FleetJournal
from coatcheck._workspaces.cancellation import CancelScope
from coatcheck.cloud.scripted_cloud import CloudResult
from coatcheck.testing import CloudEnvironment, ScriptedCloud, serving

TASKS, STATUS_ITEMS = 500, 10_000
TARGETS_MS, STATUS_TARGET_MS = {"loop": 5.0, "pgqueuer": 30.0}, 100.0


def spec_of(count: int) -> FleetSpec:
    """Return a fleet of so many items."""
    document = {
        "name": "bench",
        "task": {"prompt": "Add types to {package}.", "base": "main"},
        "items": {"package": [f"p{number}" for number in range(count)]},
        "candidates": [{"provider": "codex", "environment": "env_1"}],
        "approve": {"auto": {"required": True}},
    }
    return build_spec(convert(document), folder=None)


def review(item: FleetItem, candidates: Sequence[Candidate], scope: CancelScope) -> ItemReview:  # noqa: ARG001 - of `Review`
    """Choose the first candidate."""
    return ItemReview(choice=candidates[0].name, is_automatic=True, why="it passes tests")


def result_of(prompt: str) -> CloudResult:
    """Return a change of its own for each prompt: equal ones are kept once."""
    return CloudResult(diff=f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n one\n+{prompt}\n")


def deliver(delivery: Delivery) -> Delivered:
    """Deliver nowhere."""
    return Delivered(url=delivery.key)


def work(engine: str, store: str, folder: str, url: str, token: str, count: int) -> None:  # noqa: PLR0917 - of a command line
    """Work on the fleet, and print the CPU seconds of this process since its imports."""
    environ = {"COATCHECK_LEARN": "off", "COATCHECK_STATE_HOME": folder, "HOME": folder}
    session = FleetSession(FleetSettings(environ=environ, store=store))

    def connect(provider: str, account: str) -> ServiceClient:  # noqa: ARG001 - of `Connect`
        journal = FleetJournal(session.database)
        return ServiceClient(provider, base_url=url, token=token, journal=journal, environ=environ)

    options = FleetOptions(sweep=(1.0, 2.0), deliveries=4)
    session.settings = FleetSettings(
        environ=environ, store=store, options=options, connect=connect, review=review, targets={"patch": deliver}
    )
    spec, begun = spec_of(count), time.process_time()
    status = asyncio.run(work_on(engine, session, spec))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(time.process_time() - begun, memory, status.outcome if status else None)
    session.close()


async def work_on(engine: str, session: FleetSession, spec: FleetSpec) -> FleetStatus | None:
    """Work until the fleet is done."""
    if engine == "loop":
        return (await session.run(spec, waits=True))[1]
    from coatcheck._fleet.pgqueuer_engine import install

    await install(session.location)
    await session.store(spec, confirm=lambda _: True)
    (status,) = await FleetWorker(session, [spec], on_notice=print).work()
    return status


def measure_life(engine: str, store: str, count: int) -> float:
    """Print the CPU of one task's life at the worker; return it in milliseconds."""
    environment = CloudEnvironment(id="env_1", label="acme/api", repository="acme/api")
    states = ["in_progress", "completed"]
    cloud = ScriptedCloud(states, environments=[environment], clock=SystemClock(), result_of=result_of)
    with tempfile.TemporaryDirectory() as folder, serving(cloud) as url:
        command = [
            sys.executable,
            __file__,
            "--work",
            engine,
            store or folder,
            folder,
            url,
            cloud.tokens.access_token,
            "--n",
            str(count),
        ]
        begun = time.monotonic()
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        seconds = time.monotonic() - begun
    life = 1000 * float(printed[0]) / count
    print(
        f"{engine}: {count} tasks, {printed[2]}: {life:.1f} ms of CPU a task ({life / TARGETS_MS[engine]:.2f} of the target)"
    )
    print(f"  {count / seconds:.0f} tasks a second, {float(printed[1]):.0f} MiB")
    return life


def measure_workers(count: int) -> None:
    """Print the CPU of one task's life at a worker and at its PostgreSQL server."""
    with postgres_server() as server:
        begun = server.cpu_seconds()
        life = measure_life("pgqueuer", server.url, count)
        served = 1000 * (server.cpu_seconds() - begun) / count
    total = life + served
    print(f"  with the server's {served:.1f} ms: {total:.1f} ms ({total / TARGETS_MS['pgqueuer']:.2f} of the target)")


def measure_status() -> None:
    """Print how long the status of a large fleet takes."""
    spec = spec_of(STATUS_ITEMS)
    with tempfile.TemporaryDirectory() as folder:
        session = FleetSession(FleetSettings(environ={"COATCHECK_STATE_HOME": folder, "HOME": folder}))
        items, _ = plan_items(spec, known={}, resolve=lambda _name, _base: None)
        begun = time.perf_counter()
        session.control.store.save(spec.name, spec=spec.canonical, digest=spec.digest, items=items)
        saved = time.perf_counter() - begun
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            session.control.status(spec.name)
            times.append(1000 * (time.perf_counter() - begun))
        session.close()
    best = min(times)
    print(f"status of {STATUS_ITEMS} items: {best:.1f} ms ({best / STATUS_TARGET_MS:.2f} of the target)")
    print(f"  stored in {saved:.1f} s")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=TASKS)
    parser.add_argument("--work", nargs=5, metavar=("ENGINE", "STORE", "FOLDER", "URL", "TOKEN"))
    options = parser.parse_args()
    if options.work:
        work(*options.work, options.n)
        return
    measure_life("loop", "", options.n)
    if BINARIES.is_dir():
        measure_workers(options.n)
    measure_status()


if __name__ == "__main__":
    main()
