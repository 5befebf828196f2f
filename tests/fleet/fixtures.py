"""A fleet over a scripted cloud, which has no idempotency keys, for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from coatcheck._fleet.context import FleetContext, FleetOptions
from coatcheck._fleet.control import FleetControl
from coatcheck._fleet.file import convert
from coatcheck._fleet.merge_queue import MergeQueue
from coatcheck._fleet.planning import plan_items
from coatcheck._fleet.reviewing import ItemReview
from coatcheck._fleet.runner import FleetRunner
from coatcheck._fleet.services import ServiceClient, Services
from coatcheck._fleet.spec import FleetSpec, build_spec
from coatcheck._fleet.target import Deliver, Delivered, Delivery
from coatcheck._model.fleets import FleetItem, FleetState, FleetStatus
from coatcheck._protocol.provider import Capabilities
from coatcheck._review.candidates import Candidate
from coatcheck._review.gate_policies import GatePolicy
from coatcheck._store.fleet_journal import FleetJournal
from coatcheck._store.location import open_database
from coatcheck._workspaces.cancellation import CancelScope
from coatcheck.cloud.faults import Fault
from coatcheck.testing import AsyncEmulatorTransport, CloudEnvironment, FakeClock, ScriptedCloud

ENVIRONMENT = CloudEnvironment(id="env_1", label="acme/api", repository="acme/api")


def spec_of(count: int = 3, **sections: Any) -> FleetSpec:
    """Return a fleet of *count* items, each with one candidate; *sections* replace tables of the file."""
    document: dict[str, Any] = {
        "name": "typing",
        "task": {"prompt": "Add types to {package}.", "base": "main"},
        "items": {"package": [f"p{number}" for number in range(count)]},
        "candidates": [{"provider": "codex", "environment": "env_1"}],
        "approve": {"auto": {"required": True}},
        **sections,
    }
    return build_spec(convert(document), folder=None)


class FirstCandidate:
    """A review that chooses the first candidate, as if every check had passed; `found` are the items that it had."""

    def __init__(self, *, is_automatic: bool = True) -> None:
        self.found: list[str] = []
        self._is_automatic = is_automatic

    def __call__(self, item: FleetItem, candidates: Sequence[Candidate], scope: CancelScope) -> ItemReview:
        self.found.append(item.key)
        return ItemReview(choice=candidates[0].name, is_automatic=self._is_automatic, why="it passes tests")


class CountedDeliveries:
    """A target that counts what it was given; `errors` are raised in turn."""

    def __init__(self, *errors: Exception) -> None:
        self.keys: Counter[str] = Counter()
        self._errors = list(errors)

    def __call__(self, delivery: Delivery) -> Delivered:
        if self._errors:
            raise self._errors.pop(0)
        self.keys[delivery.key] += 1
        return Delivered(url=f"/patches/{delivery.item.key}")


def paced_client(rate: float) -> type[ServiceClient]:
    """Return the class of clients of a service that allows so many requests in a second."""

    class PacedClient(ServiceClient):
        @property
        def capabilities(self) -> Capabilities:
            return msgspec.structs.replace(super().capabilities, rate=rate)

    return PacedClient


class InlineExecutor(ThreadPoolExecutor):
    """Makes each call at once, in the thread of the event loop: a fake clock would count hours while a thread works."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Call *function*, and return its ended future."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **options))
        except Exception as error:  # noqa: BLE001 - raised where the future is awaited
            future.set_exception(error)
        return future


class FleetFixture:
    """A fleet, its store, and the service that its candidates are submitted to."""

    # What a subclass replaces: how bases are pinned, further targets, and what merges.
    client: type[ServiceClient] = ServiceClient
    targets: Mapping[str, Deliver] = {}
    queue: MergeQueue | None = None

    def __init__(
        self,
        folder: Path,
        spec: FleetSpec,
        *,
        faults: Sequence[Fault] = (),
        clock: FakeClock | None = None,
        **cloud: Any,
    ) -> None:
        self.clock = clock or FakeClock()
        self.spec = spec
        cloud = {"environments": [ENVIRONMENT], **cloud}
        self.cloud = ScriptedCloud(["in_progress", "completed"], faults=faults, clock=self.clock, **cloud)
        self.database = open_database(str(folder / "state"))
        self.control = FleetControl(self.database, clock=self.clock)
        self.deliveries, self.review, self.notices = CountedDeliveries(), FirstCandidate(), list[str]()
        self.options = FleetOptions()
        self.rate: float | None = None  # requests in a second that the service allows, None for the client's
        self.policies: Sequence[GatePolicy] = ()
        self.on_status: Callable[[FleetStatus], None] | None = None
        self.plan()

    def plan(self) -> None:
        """Store the items of the file, as a run does."""
        known = self.control.store.find(self.spec.name)
        stored = {each.key: each for each in self.control.store.items(known.id)} if known else {}
        items, _ = plan_items(self.spec, known=stored, resolve=self.resolve)
        self.fleet = self.control.store.save(
            self.spec.name, spec=self.spec.canonical, digest=self.spec.digest, items=items
        )
        states = [FleetState.STOPPING, FleetState.DONE]
        self.control.store.change_fleet(self.fleet.id, states, FleetState.RUNNING)

    def resolve(self, name: str, base: str | None) -> str:
        """Return the commit that a base is pinned to."""
        return "c0ffee"

    def connect(self, provider: str, account: str) -> ServiceClient:
        """Return a client of the service."""
        client = self.client if self.rate is None else paced_client(self.rate)
        return client(
            provider,
            base_url="http://127.0.0.1:9/backend-api",
            token=self.cloud.tokens.access_token,
            transport=AsyncEmulatorTransport(self.cloud),
            clock=self.clock,
            random=lambda: 0.5,
            journal=FleetJournal(self.database),
            environ={"COATCHECK_LEARN": "off", "COATCHECK_STATE_HOME": "/nowhere"},
        )

    def run(self, *, waits: bool = False) -> FleetStatus:
        """Work on the fleet until nothing is left to do."""
        return asyncio.run(self._run(waits=waits))

    async def _run(self, *, waits: bool) -> FleetStatus:
        asyncio.get_running_loop().set_default_executor(InlineExecutor())
        services = Services(self.connect)
        context = FleetContext(
            self.spec,
            self.fleet,
            self.database,
            services,
            clock=self.clock,
            options=self.options,
            on_notice=self.notices.append,
            policies=self.policies,
        )
        targets = {"patch": self.deliveries, **self.targets}
        try:
            return await FleetRunner(context, self.review, targets, self.queue).run(
                waits=waits, on_status=self.on_status
            )
        finally:
            await services.aclose()

    @property
    def prompts(self) -> Mapping[str, int]:
        """How often the service was sent each prompt."""
        return Counter(task.rounds[0].prompt for task in self.cloud.tasks)

    @property
    def kinds(self) -> list[str]:
        """The types of the events, in their order."""
        return [each.event.type for each in self.control.events(self.spec.name)]
