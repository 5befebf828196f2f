"""What the jobs of one fleet share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from .._engine.submit import SEARCH_SECONDS
from .._protocol.effects import Clock
from .._store.fleet_accounts import AccountStore
from .._store.fleet_deliveries import DeliveryStore
from .._store.fleet_journal import FleetJournal
from .._store.fleet_submissions import SubmissionBudget, SubmissionStore
from .._store.fleet_sweeps import SweepTimes
from .._store.fleet_work import FleetWork
from .._store.fleets import FleetStore
from .engine import Job
from .item_gates import ItemGates
from .services import Services
from .spec import FleetSpec
from .wave_gates import WaveGates

if TYPE_CHECKING:
    from .._model.fleets import FleetRecord
    from .._review.gate_policies import GatePolicy
    from .._store.database import Database
    from .sections import CandidateSection


class FleetOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a fleet is worked on: jobs of a kind at once, and times in seconds.

    *quiet* is how old an open intent of a process that was killed must be before its task is searched for: longer than
    a request takes. Jobs of a worker that is silent for *heartbeat* are given to others. *redrive* is how often all
    tables are read for what is due. *sweep* bounds the pause between two rounds of polling.
    """

    submissions: int = 8
    reviews: int = 2
    deliveries: int = 1
    sweeps: int = 8
    quiet: float = SEARCH_SECONDS
    heartbeat: float = 30.0
    redrive: float = 30.0
    sweep: tuple[float, float] = (2.0, 60.0)
    tick: float = 1.0


class FleetContext:
    """A fleet, its tables and its services; *policies* are the user's rules about gates."""

    def __init__(
        self,
        spec: FleetSpec,
        fleet: FleetRecord,
        database: Database,
        services: Services,
        *,
        clock: Clock,
        options: FleetOptions,
        on_notice: Callable[[str], None],
        policies: Sequence[GatePolicy] = (),
    ) -> None:
        self.spec, self.fleet, self.services, self.clock, self.options = spec, fleet, services, clock, options
        self.notice = on_notice
        self.store = FleetStore(database, clock=clock)
        self.submissions = SubmissionStore(database, clock=clock)
        self.accounts = AccountStore(database, clock=clock)
        self.work = FleetWork(database, clock=clock)
        self.deliveries = DeliveryStore(database, clock=clock)
        self.journal = FleetJournal(database)
        self.sweeps = SweepTimes(database, clock=clock)
        self.gates = ItemGates(database, clock=clock)
        self.waves = WaveGates(database, clock=clock)
        self.policies = policies
        # Whether a task has failed since the rate of failures was computed.
        self.has_failed = False
        # Jobs that follow from others; the engine takes them after each job.
        self.follow_ups: list[Job] = []
        # Why nothing more is delivered now, empty where nothing keeps it from being delivered.
        self.deliveries_held = ""

    def section(self, provider: str) -> CandidateSection:
        """Return what the file says about a service."""
        return next(each for each in self.spec.sections.candidates if each.provider == provider)

    def accounts_of(self, provider: str) -> tuple[str, ...]:
        """Return the accounts of a service; a single one without a name where the file has none."""
        return self.section(provider).accounts or ("",)

    def budget(self, provider: str) -> SubmissionBudget:
        """Return how many tasks may be submitted, and how many of a service may be active at once."""
        return SubmissionBudget(self.spec.sections.budget.tasks, self.spec.concurrent(provider))
