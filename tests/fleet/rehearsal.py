"""A rehearsal of fleets: two services with faults, a process that is killed, and the reports.

As a program it is the process that works on a fleet: arguments are a folder, the name of a service, its URL, its token and
how many items. It prints the outcome.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from coatcheck import FleetReport, errors
from coatcheck._fleet.context import FleetOptions
from coatcheck._fleet.delivery import Delivered, Delivery
from coatcheck._fleet.delivery_targets import PatchFiles
from coatcheck._fleet.file import convert
from coatcheck._fleet.report_building import fleet_report
from coatcheck._fleet.reviewing import ItemReview
from coatcheck._fleet.services import ServiceClient
from coatcheck._fleet.session import FleetSession, FleetSettings
from coatcheck._fleet.spec import FleetSpec, build_spec
from coatcheck._model.fleets import FleetItem, FleetOutcome
from coatcheck._protocol.effects import Request, Response
from coatcheck._review.candidates import Candidate
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._store.journal import SubmissionJournal
from coatcheck._workspaces.cancellation import CancelScope
from coatcheck.cloud.faults import Fault, Reset, ResetAfterAccept, Status, StatusAfterAccept
from coatcheck.testing import CloudEnvironment, JulesEmulator, ScriptedCloud, serving
from coatcheck.testing.emulators.jules_scripts import Act, Order, ordinary

OPTIONS = FleetOptions(quiet=0.5, sweep=(0.05, 0.2), redrive=1.0, tick=0.1)
ENVIRONMENTS = {"codex": "env_1", "jules": "sources/github/owner/repo"}
# The items whose number ends so: their change conflicts; their task waits for an answer (Jules).
CONFLICT, STUCK = "7", "5"
# So many runs follow the killed one, each until a quota is needed.
RUNS = 12


class Service(NamedTuple):
    """A service of the rehearsal: the provider, its emulator, and the prompts of the tasks that it was sent."""

    provider: str
    emulator: Any

    @property
    def prompts(self) -> Counter[str]:
        """How often each prompt was sent."""
        return Counter(prompts_of(self.provider, self.emulator))


def prompts_of(provider: str, emulator: Any) -> Iterator[str]:
    """Yield the prompt of every task of an emulator."""
    if provider == "codex":
        yield from (task.rounds[0].prompt for task in emulator.tasks)
    elif provider == "jules":
        yield from (str(emulator._sessions[id].document()["prompt"]) for id in emulator.tasks)
    else:
        yield from (run.inputs["prompt"] for run in emulator.tasks)


def faults() -> list[Fault]:
    """Return lost answers, errors of servers, broken connections and windows without quota."""
    return [
        Status(503, on="create_task", times=2),
        ResetAfterAccept(on="create_task", times=2),
        Status(429, retry_after=1, on="create_task", times=8),
        StatusAfterAccept(502, on="create_task", times=2),
        Status(500, on="list_tasks", times=2),
        Reset(on="get_task", times=2),
    ]


def stuck(order: Order) -> tuple[Act, ...]:
    """Return the steps of a session, which waits for an answer where its item is one of `STUCK`."""
    if order.prompt.split()[-1].rstrip(".").endswith(STUCK):
        return (Act(), Act(state="AWAITING_USER_FEEDBACK", waits_for="message"))
    return ordinary(order)


def services() -> list[Service]:
    """Return the services, with their faults."""
    clock = SystemClock()
    environment = CloudEnvironment(id="env_1", label="acme/api", repository="acme/api")
    cloud = ScriptedCloud(["in_progress", "completed"], environments=[environment], clock=clock, faults=faults())
    return [
        Service("codex", cloud),
        Service("jules", JulesEmulator(stuck, clock=clock, faults=faults(), step_seconds=0.05)),
    ]


def token_of(emulator: Any) -> str:
    """Return the token that an emulator accepts."""
    return emulator.tokens.access_token if isinstance(emulator, ScriptedCloud) else str(emulator.token)


class Killer:
    """A service that kills the process which works on a fleet, after so many requests."""

    def __init__(self, emulator: Any) -> None:
        self._emulator, self._left = emulator, 0
        self._process: subprocess.Popen[str] | None = None

    def arm(self, process: subprocess.Popen[str], requests: int) -> None:
        """Kill *process* after so many requests."""
        self._process, self._left = process, requests

    def handle(self, request: Request) -> Response:
        """Answer, and kill when it is time."""
        self._left -= 1
        if self._left == 0 and self._process is not None:
            self._process.kill()
        response: Response = self._emulator.handle(request)
        return response


# --- the process that works -------------------------------------------------------------------------------------------


def spec_of(provider: str, count: int) -> FleetSpec:
    """Return the fleet of one service."""
    document = {
        "name": provider,
        "task": {"prompt": "Add types to {package}."},
        "items": {"package": [f"p{number}" for number in range(count)]},
        "candidates": [{"provider": provider, "environment": ENVIRONMENTS[provider]}],
        "approve": {"auto": {"required": True}},
    }
    return build_spec(convert(document), folder=None)


class ConflictingFiles:
    """Delivers patch files, except changes that conflict."""

    def __init__(self, folder: Path) -> None:
        self._files = PatchFiles(folder)

    def __call__(self, delivery: Delivery) -> Delivered:
        if delivery.item.key.endswith(CONFLICT):
            raise errors.PatchConflictError("x.py does not fit", files=("x.py",))
        return self._files(delivery)


def review(item: FleetItem, candidates: Sequence[Candidate], scope: CancelScope) -> ItemReview:
    """Choose the first candidate."""
    return ItemReview(choice=candidates[0].name, is_automatic=True, why="it passes tests")


def session_of(folder: Path, url: str, token: str) -> FleetSession:
    """Return the session of the process."""
    environ = {"COATCHECK_LEARN": "off", "COATCHECK_STATE_HOME": str(folder / "state"), "HOME": str(folder)}
    session = FleetSession(FleetSettings(environ=environ))

    def connect(provider: str, account: str) -> ServiceClient:
        journal = SubmissionJournal(session.database)
        return ServiceClient(provider, base_url=url, token=token, journal=journal, environ=environ)

    targets = {"patch": ConflictingFiles(folder / "delivered")}
    session.settings = FleetSettings(environ=environ, options=OPTIONS, review=review, connect=connect, targets=targets)
    return session


def main(folder: str, provider: str, url: str, token: str, count: str) -> None:
    """Work until a person or a quota is needed."""
    session = session_of(Path(folder), url, token)
    _, status = asyncio.run(session.run(spec_of(provider, int(count)), on_notice=lambda text: None))
    sys.stdout.write(f"{status.outcome if status else None}\n")
    session.close()


# --- the rehearsal ----------------------------------------------------------------------------------------------------


def rehearse(folder: Path, service: Service, count: int, *, kill_after: int) -> FleetReport:
    """Kill a process in the middle, let others finish, write the report to *folder*, and return it."""
    killer = Killer(service.emulator)
    with serving(killer) as base:
        arguments = [sys.executable, __file__, str(folder), service.provider, base]
        arguments += [token_of(service.emulator), str(count)]
        for number in range(1 + RUNS):
            with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
                if number == 0:
                    killer.arm(process, kill_after)
                printed, _ = process.communicate()
            if number and printed.strip() not in (FleetOutcome.PARKED, FleetOutcome.RUNNING, ""):
                break
        session = session_of(folder, base, "")
    report = fleet_report(session.control, service.provider)
    session.close()
    (folder / f"{service.provider}.html").write_text(report.to_html())
    return report


def unexplained(report: FleetReport) -> list[str]:
    """Return the items that were neither delivered nor are named with a reason and a command."""
    explained = {each.subject for each in report.unfinished if each.why and each.command}
    return [each.key for each in report.items if each.state != "delivered" and each.key not in explained]


if __name__ == "__main__":
    main(*sys.argv[1:])
