"""A rehearsal of three fleets on PostgreSQL: services with faults, pull requests with conflicts, and a worker that is killed.

Time passes `FACTOR` times faster for the services and the workers than for this machine, so that the pace which GitHub
asks for is kept in a short test. As a program it is a worker; its argument is the folder with ``rehearsal.json``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.fleet.forge_fixtures import make_repository
from tests.fleet.rehearsal import Killer, faults, prompts_of, token_of

from coatcheck import FleetReport
from coatcheck._fleet.context import FleetOptions
from coatcheck._fleet.file import convert
from coatcheck._fleet.pgqueuer_engine import install
from coatcheck._fleet.report_building import fleet_report
from coatcheck._fleet.reviewing import ItemReview
from coatcheck._fleet.services import ServiceClient
from coatcheck._fleet.session import FleetSession, FleetSettings
from coatcheck._fleet.spec import FleetSpec, build_spec
from coatcheck._fleet.worker import FleetWorker
from coatcheck._model.fleets import CandidateState, FleetItem, FleetStatus
from coatcheck._review.candidates import Candidate
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._store.fleet_journal import FleetJournal
from coatcheck._workspaces.cancellation import CancelScope
from coatcheck.cloud.faults import Reset, Status, StatusAfterAccept
from coatcheck.cloud.scripted_cloud import CloudResult
from coatcheck.testing import CloudEnvironment, GithubEmulator, JulesEmulator, ScriptedCloud, serving
from coatcheck.testing.emulators.github_runs import Act as Step
from coatcheck.testing.emulators.jules_rpc import source
from coatcheck.testing.emulators.jules_scripts import Act, Order

FACTOR = 10.0
OPTIONS = FleetOptions(quiet=5.0, sweep=(3.0, 10.0), redrive=20.0, heartbeat=3.0)
REPOSITORIES = {"codex": "acme/api", "jules": "acme/web", "github_actions": "acme/cli"}
ENVIRONMENTS = {"codex": "env_1", "jules": "sources/github/acme/web", "github_actions": "acme/cli/coatcheck.yml"}
# Items whose number ends so change one line, so that they conflict; every other one of them gives way when it is sent back.
CONFLICT = "7"
# Tasks of Jules whose number ends so wait for an answer that nobody gives.
STUCK = "5"
# What happens to requests about pull requests.
PULL_FAULTS = (
    Status(502, on="create_pull", times=2),
    StatusAfterAccept(502, on="create_pull", times=2),
    Status(429, retry_after=2, on="create_pull", times=2),
    Reset(on="list_pulls", times=2),
)
SAME_LINE = "diff --git a/x.txt b/x.txt\n--- a/x.txt\n+++ b/x.txt\n@@ -1 +1 @@\n-one\n+{name}\n"
NEW_FILE = "diff --git a/{name}.txt b/{name}.txt\nnew file mode 100644\n--- /dev/null\n+++ b/{name}.txt\n@@ -0,0 +1 @@\n+{name}\n"


class FastClock(SystemClock):
    """The clock of the machine, `FACTOR` times as fast since *epoch* (seconds since 1970)."""

    def __init__(self, epoch: float) -> None:
        self.epoch = epoch
        self._started_at = time.monotonic() - (time.time() - epoch)

    def time(self) -> float:
        return self.epoch + FACTOR * (time.time() - self.epoch)

    def monotonic(self) -> float:
        return self.epoch + FACTOR * (time.monotonic() - self._started_at)

    def boottime(self) -> float:
        return self.monotonic()

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / FACTOR)

    def asleep(self, seconds: float) -> Coroutine[Any, Any, None]:
        return super().asleep(seconds / FACTOR)


# --- the services -----------------------------------------------------------------------------------------------------


def diff_of(prompt: str) -> str:
    """Return the change that a prompt makes; one that was sent back because of a conflict may give way."""
    name = re.findall(r"\bp\d+\b", prompt)[-1]
    gives_way = "conflict" in prompt and int(name[1:]) % 20 == 7
    text = SAME_LINE if name.endswith(CONFLICT) and not gives_way else NEW_FILE
    return text.format(name=name)


class Services:
    """The emulators of the services, whose repositories have their first commits at *bases*."""

    def __init__(self, bases: Mapping[str, str], clock: FastClock) -> None:
        self.bases, self.clock = bases, clock
        environment = CloudEnvironment(id="env_1", label="acme/api", repository="acme/api")
        timeline = [(0.0, "pending"), (1.0, "in_progress"), (8.0, "completed")]
        steps = (
            Step("queued", seconds=2),
            Step("in_progress", steps=1, seconds=6),
            Step("completed", "success", steps=4),
        )
        self.emulators: dict[str, Any] = {
            "codex": ScriptedCloud(
                timeline, result_of=self.result, environments=[environment], clock=clock, faults=faults()
            ),
            "jules": JulesEmulator(
                self.session, clock=clock, faults=faults(), step_seconds=2.0, sources=[source("acme", "web")]
            ),
            "github_actions": GithubEmulator(steps, leaves=self.files, clock=clock, faults=[*faults(), *PULL_FAULTS]),
        }

    def result(self, prompt: str) -> CloudResult:
        """Return the result of a task of Codex Cloud."""
        return CloudResult(diff=diff_of(prompt), base_commit=self.bases["codex"])

    def session(self, order: Order) -> tuple[Act, ...]:
        """Return the steps of a session of Jules."""
        patch = {"unidiffPatch": diff_of(order.prompt), "baseCommitId": self.bases["jules"]}
        done = Act(
            state="COMPLETED", outputs=({"changeSet": {"source": "sources/github/acme/web", "gitPatch": patch}},)
        )
        is_stuck = re.findall(r"\bp\d+\b", order.prompt)[-1].endswith(STUCK)
        waiting = [Act(state="AWAITING_USER_FEEDBACK", waits_for="message")] if is_stuck else []
        return (Act(), Act(state="IN_PROGRESS"), *waiting, done)

    def files(self, inputs: Mapping[str, str]) -> Mapping[str, bytes]:
        """Return the artifact of a run of GitHub Actions."""
        document = json.dumps({"base_commit": self.bases["github_actions"]})
        return {
            "result.json": document.encode(),
            "patch.diff": diff_of(inputs["prompt"]).encode(),
            "message.md": b"Done.",
        }

    @property
    def prompts(self) -> Counter[str]:
        """How often each service was sent each prompt, those of changes that were sent back left out."""
        return Counter(
            f"{provider}: {prompt}"
            for provider, emulator in self.emulators.items()
            for prompt in prompts_of(provider, emulator)
            if "conflict" not in prompt
        )


# --- a worker ---------------------------------------------------------------------------------------------------------


def spec_of(provider: str, count: int) -> FleetSpec:
    """Return the fleet of one service: a pull request for each item."""
    document = {
        "name": provider,
        "task": {"prompt": "Add types to {package}.", "base": "main"},
        "items": {"package": [f"p{number}" for number in range(count)], "repository": [REPOSITORIES[provider]]},
        "candidates": [{"provider": provider, "environment": ENVIRONMENTS[provider]}],
        "approve": {"auto": {"required": True}},
        "deliver": {"to": "pull_request", "draft": False},
    }
    return build_spec(convert(document), folder=None)


def review(item: FleetItem, candidates: Sequence[Candidate], scope: CancelScope) -> ItemReview:
    """Choose the first candidate."""
    return ItemReview(choice=candidates[0].name, is_automatic=True, why="it passes tests")


def session_of(folder: Path) -> FleetSession:
    """Return a session of the rehearsal in a folder."""
    given = json.loads((folder / "rehearsal.json").read_text())
    clock, environ = FastClock(given["epoch"]), {**given["environ"], "COATCHECK_STATE_HOME": str(folder / "state")}

    def connect(provider: str, account: str) -> ServiceClient:
        url, token = given["services"][provider]
        journal = FleetJournal(session.database)
        return ServiceClient(provider, base_url=url, token=token, journal=journal, environ=environ, clock=clock)

    session = FleetSession(
        FleetSettings(
            environ=environ, store=given["store"], clock=clock, options=OPTIONS, review=review, connect=connect
        )
    )
    return session


def specs_of(folder: Path) -> Sequence[FleetSpec]:
    """Return the fleets of the rehearsal in a folder."""
    counts = json.loads((folder / "rehearsal.json").read_text())["counts"]
    return [spec_of(provider, count) for provider, count in counts.items()]


def main(place: str) -> None:
    """Work until the fleets are done."""
    session = session_of(Path(place))
    worker = FleetWorker(
        session, specs_of(Path(place)), on_notice=lambda text: sys.stderr.write(f"{os.getpid()}: {text}\n")
    )
    asyncio.run(worker.work())


# --- the rehearsal ----------------------------------------------------------------------------------------------------


class Rehearsal:
    """The fleets of *counts* items in a folder, on the PostgreSQL database *store*."""

    def __init__(self, folder: Path, store: str, counts: Mapping[str, int]) -> None:
        self.folder, self.store, self.counts = folder, store, counts
        self.clock = FastClock(time.time())
        root = folder / "github"
        bases = {provider: make_repository(root, REPOSITORIES[provider]) for provider in counts}
        self.services = Services(bases, self.clock)
        self.github: GithubEmulator = self.services.emulators["github_actions"]
        self.github.serve_git(root)

    def run(self, *, kill_after: int) -> None:
        """Kill the first of two workers after so many submissions to Codex Cloud; the other one works to the end."""
        killer = Killer(self.services.emulators["codex"])
        with ExitStack() as stack:
            urls = {
                provider: stack.enter_context(serving(killer if provider == "codex" else emulator))
                for provider, emulator in self.services.emulators.items()
            }
            self.github.blobs = stack.enter_context(serving(self.github)).removesuffix("/backend-api")
            self._describe(urls)
            self._prepare()
            with self._worker() as first, self._worker() as second:
                killer.arm(first, kill_after)
                session = session_of(self.folder)
                while any(map(is_moving, self.statuses(session))) and second.poll() is None:
                    time.sleep(0.5)
                self.first_exit = first.poll()
                session.close()

    def _describe(self, urls: dict[str, str]) -> None:
        """Write what the workers read."""
        origin = urls["github_actions"].removesuffix("/backend-api")
        urls["github_actions"] = origin
        given = {
            "epoch": self.clock.epoch,
            "store": self.store,
            "counts": dict(self.counts),
            "services": {
                provider: (url, token_of(self.services.emulators[provider])) for provider, url in urls.items()
            },
            "environ": {
                "COATCHECK_LEARN": "off",
                "HOME": str(self.folder),
                "GITHUB_TOKEN": self.github.token,
                "GITHUB_API_URL": origin,
            },
        }
        (self.folder / "rehearsal.json").write_text(json.dumps(given))

    def _prepare(self) -> None:
        async def prepare() -> None:
            await install(self.store)
            for spec in specs_of(self.folder):
                await session.store(spec, confirm=lambda _: True)

        session = session_of(self.folder)
        asyncio.run(prepare())
        session.close()

    @contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with open(self.folder / "workers.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, __file__, str(self.folder)], stdout=log, stderr=log, env=environ, cwd=self.folder
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(240)

    def statuses(self, session: FleetSession) -> Sequence[FleetStatus]:
        """Return the statuses of the fleets."""
        return [session.control.status(provider) for provider in self.counts]

    def reports(self) -> Sequence[FleetReport]:
        """Return the reports of the fleets, which are kept in the folder."""
        session = session_of(self.folder)
        reports = [fleet_report(session.control, provider) for provider in self.counts]
        session.close()
        for report in reports:
            (self.folder / f"{report.status.fleet.name}.html").write_text(report.to_html())
        return reports

    @property
    def pulls(self) -> Counter[str]:
        """How many pull requests each branch has."""
        return Counter(str(pull["head"]["label"]) + str(pull["base"]["repo"]) for pull in self.github.pulls.values())  # type: ignore[index]


def is_moving(status: FleetStatus) -> bool:
    """Whether anything of a fleet goes on without a person."""
    items = sum(status.items.get(state, 0) for state in ("ranked", "approved", "delivering"))
    return bool(items or status.is_active or status.candidates.get(CandidateState.PLANNED) or is_reviewable(status))


def is_reviewable(status: FleetStatus) -> bool:
    """Whether an item is open although no task of the fleet needs input."""
    return status.items.get("open", 0) > status.candidates.get(CandidateState.INPUT_REQUIRED, 0)


if __name__ == "__main__":
    main(sys.argv[1])
