"""What the jobs of one fleet share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .._engine.poll_context import OUTAGE_LIMIT
from .._engine.submit import SEARCH_SECONDS
from .._model.fleets import ACTIVE_CANDIDATES
from .._patches.parse import Patch
from .._protocol.effects import Clock
from .._store.fleet_accounts import AccountStore
from .._store.fleet_deliveries import DeliveryStore
from .._store.fleet_journal import FleetJournal
from .._store.fleet_submissions import SubmissionBudget, SubmissionStore
from .._store.fleet_sweeps import SweepTimes
from .._store.fleet_work import FleetWork
from .._store.fleet_workers import WorkerStore
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


# How accounts that cannot be used are parked: for so long (seconds; a person has to act, and the next run tries them), and
# what the reasons begin with.
NOT_USABLE_SECONDS = 600.0
NOT_USABLE = "it cannot be used: "
NOT_REACHED = "it was not reached: "
# An item is submitted, ends, is reviewed and delivered within so many others; patches may be large.
KEPT_KEYS, KEPT_PATCHES = 1000, 8


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


class Outage(NamedTuple):
    """An account that does not answer: since when (monotonic seconds), the last error, whether that is for long."""

    since: float
    error: str
    is_lasting: bool


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
        self.workers = WorkerStore(database, clock=clock)
        self.journal = FleetJournal(database)
        self.sweeps = SweepTimes(database, clock=clock)
        self.gates = ItemGates(database, clock=clock)
        self.waves = WaveGates(database, clock=clock)
        self.policies = policies
        # What never changes, the last ones: keys of items by number, patches by digest.
        self.key_of = lru_cache(KEPT_KEYS)(lambda item: self.store.item(item).key)
        self.patch_of = lru_cache(KEPT_PATCHES)(lambda digest: Patch.parse(self.submissions.patch(digest)))
        # Whether a task has failed since the rate of failures was computed.
        self.has_failed = False
        # Jobs that follow from others; the engine takes them after each job.
        self.follow_ups: list[Job] = []
        # Why nothing more is delivered now, empty where nothing keeps it from being delivered.
        self.deliveries_held = ""
        # Accounts that do not answer, by PROVIDER/ACCOUNT.
        self.outages: dict[str, Outage] = {}

    def record_outage(self, account: str, error: Exception) -> None:
        """Record that the service of PROVIDER/ACCOUNT did not answer; it is parked once that has lasted."""
        now = self.clock.monotonic()
        since = self.outages[account].since if account in self.outages else now
        self.outages[account] = Outage(since, str(error), is_lasting=now - since >= OUTAGE_LIMIT)
        if self.outages[account].is_lasting:
            provider, _, name = account.partition("/")
            reason = f"{NOT_REACHED}{error}"
            self.accounts.park(provider, name, reason=reason, sent_at=self.clock.time(), seconds=NOT_USABLE_SECONDS)

    def outage(self) -> str:
        """Return why no task that is under way can be polled, empty where one can, or it is not known for long enough."""
        accounts = self.work.accounts_in_use(self.fleet.id, states=ACTIVE_CANDIDATES)
        outages = [self.outages.get(f"{provider}/{account}") for provider, account in accounts]
        lasting = [each.error for each in outages if each is not None and each.is_lasting]
        return lasting[0] if lasting and len(lasting) == len(accounts) else ""

    def section(self, provider: str) -> CandidateSection:
        """Return what the file says about a service."""
        return next(each for each in self.spec.sections.candidates if each.provider == provider)

    def accounts_of(self, provider: str) -> tuple[str, ...]:
        """Return the accounts of a service; a single one without a name where the file has none."""
        return self.section(provider).accounts or ("",)

    def budget(self, provider: str) -> SubmissionBudget:
        """Return how many tasks may be submitted, how many of a service may be active at once, and what all may cost."""
        section = self.spec.sections.budget
        return SubmissionBudget(section.tasks, self.spec.concurrent(provider), section.spend)
