"""What a fleet works with: its settings, the store, its services and repositories.

Invariants:

- constructors do no I/O; `close` closes what was opened;
- one process works on the fleets of a state folder at a time; a fleet's plan takes no lock and writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .. import errors
from .._model import fleet_events as kinds
from .._model.fleets import FleetRecord, FleetState, FleetStatus
from .._protocol.effects import Clock
from .._review.user_policies import user_policies
from .._runtime.config import Config, config_dir, state_dir, store_location
from .._runtime.system_clock import SystemClock
from .._store.check_results import CheckResults
from .._store.fleet_journal import FleetJournal
from .._store.journal import NoJournal
from .._store.location import is_missing, open_database
from .._values.locked_property import locked_cached_property
from . import event_values
from .context import NOT_REACHED, NOT_USABLE, FleetContext, FleetOptions
from .control import FleetControl
from .delivery_targets import Branches, PatchFiles
from .forge import Forge, ForgeClient, github_forge, open_forge
from .loop import fleet_lock
from .merge_plan import MergePlan, plan_deliveries
from .merge_queue import MergeQueue
from .plan import FleetPlan, PreparedFleet, prepare
from .pull_requests import PullRequests
from .repositories import Repositories
from .repository_review import RepositoryReview
from .reviewing import Review
from .runner import FleetRunner
from .services import ServiceClient, Services
from .stored_spec import stored_spec
from .target import Deliver

if TYPE_CHECKING:
    from .._protocol.intents import Journal
    from .._review.gate_policies import GatePolicy
    from .._store.database import Database
    from .items import Variables
    from .spec import FleetSpec

Connect = Callable[[str, str], ServiceClient]


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a fleet's caller chose. *store* is a folder or the URL of a database; *checkouts* are known by OWNER/NAME.

    *folder* is where relative paths of a plan begin. *state_folder* replaces the folder of mirrors and clones. *connect*
    returns the client of a service and an account, *targets* are further kinds of delivery, and *review* replaces checking
    and ranking.
    """

    config: Config | None = None
    environ: Mapping[str, str] | None = None
    store: str | None = None
    clock: Clock | None = None
    folder: Path | None = None
    checkouts: Mapping[str, str] = {}
    options: FleetOptions = FleetOptions()
    state_folder: Path | None = None
    connect: Connect | None = None
    targets: Mapping[str, Deliver] = {}
    review: Review | None = None

    def __repr__(self) -> str:
        return f"FleetSettings(store={self.store!r})"


class FleetSession:
    """The store, the services and the repositories of fleets."""

    def __init__(self, settings: FleetSettings) -> None:
        self.settings = settings
        self.environ = os.environ if settings.environ is None else settings.environ
        self.config = settings.config or Config(environ=self.environ)
        self.clock: Clock = settings.clock or SystemClock()
        self._stack = ExitStack()
        self._forge_client: ForgeClient | None = None

    @property
    def location(self) -> str:
        """Where the store is."""
        return self.settings.store or store_location(self.config)

    @property
    def state_folder(self) -> Path:
        """The folder of mirrors, clones and the lock."""
        location = self.location
        if self.settings.state_folder is not None:
            return self.settings.state_folder
        return Path(state_dir(self.environ) if "://" in location else location)

    @locked_cached_property
    def database(self) -> Database:
        """The store."""
        return open_database(self.location)

    @locked_cached_property
    def control(self) -> FleetControl:
        """Decisions about the fleets in the store."""
        return FleetControl(self.database, clock=self.clock)

    @cached_property
    def policies(self) -> Sequence[GatePolicy]:
        """The user's policies about gates. Raises `ConfigurationError` for one that cannot be used."""
        return user_policies(self.environ)

    @property
    def is_new(self) -> bool:
        """Whether there is no store yet; reading creates none."""
        return is_missing(self.location)

    def close(self) -> None:
        """Close the store, and what deliveries have opened."""
        self._stack.close()
        if "database" in self.__dict__:
            self.database.close()

    def render(self, name: str, variables: Variables) -> str:
        """Return the prompt of a template of the user with variables as its arguments.

        Raises `ConfigurationError`; a template of a repository is not used, since a fleet has many of them.
        """
        from .._review.template_files import load_template, template_folders

        template = load_template(name, template_folders(root=None, config_folder=config_dir(self.environ)))
        declared = {argument.name for argument in template.arguments}
        return template.render({key: value for key, value in variables.items() if key in declared}).prompt

    def repositories(self, spec: FleetSpec) -> Repositories:
        """Return the repositories of a fleet."""
        return Repositories(
            self.state_folder / "repositories",
            places=spec.sections.repositories,
            checkouts=self.settings.checkouts,
            home=spec.folder,
            **self._of_forge() if spec.sections.deliver.to == "pull_request" else {},
        )

    def _of_forge(self) -> dict[str, Any]:
        """Return where repositories of the forge are, and what returns its token."""
        return {"site": github_forge(self.config).site, "token": self._token}

    def _token(self) -> str:
        """Return the token of the forge; its client is opened once. Raises `CredentialsError` where there is no login."""
        if self._forge_client is None:
            self._forge_client = self.open_forge()[1]
            self._stack.callback(self._forge_client.close)
        return self._forge_client.tokens.get_token().access_token

    @asynccontextmanager
    async def services(self, *, is_plan: bool = False) -> AsyncIterator[Services]:
        """Open the services, and close their connections afterwards; for a plan nothing is written."""
        journal = NoJournal() if is_plan and self.is_new else FleetJournal(self.database)
        services = Services(self.settings.connect or partial(self._connect, journal))
        try:
            yield services
        finally:
            await services.aclose()

    def _connect(self, journal: Journal, provider: str, account: str) -> ServiceClient:
        config = self.config.with_explicit({"account": account}) if account else self.config
        return ServiceClient(
            provider,
            config=config,
            environ=self.environ,
            clock=self.settings.clock,
            journal=journal,
        )

    async def prepare(self, spec: FleetSpec, services: Services, *, rebase: bool = False) -> PreparedFleet:
        """Plan a fleet; writes nothing."""
        fleet = None if self.is_new else self.control.store.find(spec.name)
        items = self.control.store.items(fleet.id) if fleet else ()
        candidates = self.control.store.candidates(fleet.id) if fleet else ()
        return await prepare(
            spec,
            known={each.key: each for each in items},
            keys=frozenset(each.key for each in candidates),
            is_new=fleet is None,
            repositories=self.repositories(spec),
            services=services,
            rebase=rebase,
        )

    async def run(
        self,
        spec: FleetSpec,
        *,
        confirm: Callable[[FleetPlan], bool] | None = None,
        rebase: bool = False,
        waits: bool = False,
        on_status: Callable[[FleetStatus], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> tuple[FleetPlan, FleetStatus | None]:
        """Plan a fleet, store it and work on it; return the plan and the status, None where *confirm* returned False."""
        _ = self.policies  # one that cannot be used is an error before anything is stored
        with fleet_lock(str(self.state_folder)):
            async with self.services() as services:
                prepared = await self.prepare(spec, services, rebase=rebase)
                if confirm is not None and not confirm(prepared.plan):
                    return prepared.plan, None
                _require_items(prepared)
                runner = self.runner(spec, self._store(spec, prepared), services, on_notice or _ignore)
                return prepared.plan, await runner.run(waits=waits, on_status=on_status)

    async def store(
        self, spec: FleetSpec, *, confirm: Callable[[FleetPlan], bool], rebase: bool = False
    ) -> tuple[FleetPlan, bool]:
        """Plan a fleet and store it, for workers; return the plan, and whether *confirm* returned True."""
        async with self.services() as services:
            prepared = await self.prepare(spec, services, rebase=rebase)
        if is_stored := confirm(prepared.plan):
            _require_items(prepared)
            self._store(spec, prepared)
        return prepared.plan, is_stored

    def _store(self, spec: FleetSpec, prepared: PreparedFleet) -> FleetRecord:
        """Store the plan, and continue a fleet that had stopped or ended. Raises `ConfigurationError` for a paused one."""
        store, now = self.control.store, self.clock.time()
        started = event_values.fleet_event(kinds.FleetStarted, spec.name, now)
        left_out = {each.key: each.problem or "" for each in prepared.plan.problems}
        fleet = store.save(
            spec.name,
            spec=spec.canonical,
            digest=spec.digest,
            items=prepared.items,
            left_out=left_out,
            events=[started],
        )
        if fleet.state is FleetState.PAUSED:
            raise errors.ConfigurationError(
                f"the fleet {spec.name} is paused", remedy=f"continue it with: coatcheck fleet resume {spec.name}"
            )
        store.change_fleet(fleet.id, [FleetState.STOPPING, FleetState.DONE], FleetState.RUNNING)
        return store.find(spec.name) or fleet

    def runner(
        self, spec: FleetSpec, fleet: FleetRecord, services: Services, on_notice: Callable[[str], None]
    ) -> FleetRunner:
        """Return what works on a stored fleet."""
        context = self._context(spec, fleet, services, on_notice)
        providers = [each.provider for each in spec.sections.candidates]
        context.accounts.end_parking(providers, reasons=(NOT_USABLE, NOT_REACHED))
        return FleetRunner(context, self._review(spec), self._targets(spec), self._queue(spec))

    async def deliver(self, name: str, *, on_notice: Callable[[str], None] | None = None) -> FleetStatus:
        """Deliver the approved items of a stored fleet, in their merge order; return its status."""
        with fleet_lock(str(self.state_folder)):
            async with self.services() as services:
                fleet = self.control.get(name)
                runner = self.runner(
                    stored_spec(self.control.store.spec(fleet.id), self.settings.folder),
                    fleet,
                    services,
                    on_notice or _ignore,
                )
                return await runner.deliver()

    async def plan_deliveries(self, name: str) -> MergePlan:
        """Return the merge order of a stored fleet and what conflicts; delivers and stores nothing."""
        fleet = self.control.get(name)
        spec = stored_spec(self.control.store.spec(fleet.id), self.settings.folder)
        async with self.services(is_plan=True) as services:
            context = self._context(spec, fleet, services, _ignore)
            with closing(MergeQueue(self.repositories(spec))) as queue:
                return plan_deliveries(context, queue)

    def _context(
        self, spec: FleetSpec, fleet: FleetRecord, services: Services, on_notice: Callable[[str], None]
    ) -> FleetContext:
        return FleetContext(
            spec,
            fleet,
            self.database,
            services,
            clock=self.clock,
            options=self.settings.options,
            on_notice=on_notice,
            policies=self.policies,
        )

    def _review(self, spec: FleetSpec) -> Review:
        return self.settings.review or RepositoryReview(
            self.repositories(spec),
            spec.verification,
            folder=self.state_folder / "reviews",
            environ=self.environ,
            results=CheckResults(self.database, clock=self.clock),
        )

    def open_forge(self) -> tuple[Forge, ForgeClient]:
        """Return the forge of the settings, with a client of it."""
        return open_forge(self.config, self.environ, clock=self.settings.clock)

    def _queue(self, spec: FleetSpec) -> MergeQueue:
        queue = MergeQueue(self.repositories(spec))
        self._stack.callback(queue.close)
        return queue

    def _targets(self, spec: FleetSpec) -> Mapping[str, Deliver]:
        """Return the kinds of delivery. Raises `ConfigurationError` for a repository that is not on the forge."""
        pull_requests = PullRequests(
            self.repositories(spec), spec.sections.deliver, self.open_forge, sleep=self.clock.sleep
        )
        self._stack.callback(pull_requests.close)
        if spec.sections.deliver.to == "pull_request" and "pull_request" not in self.settings.targets:
            pull_requests.check_names(item.repository for item in spec.items)
        folder = (spec.folder or Path()) / (spec.sections.deliver.folder or f"{spec.name}-patches")
        return {
            "patch": PatchFiles(folder),
            "branch": Branches(self.repositories(spec)),
            "pull_request": pull_requests,
            **self.settings.targets,
        }


def _require_items(prepared: PreparedFleet) -> None:
    """Raise `ConfigurationError` for a new fleet of which every item has a problem."""
    plan = prepared.plan
    if plan.is_new and not prepared.items:
        raise errors.ConfigurationError(
            f"no item of the fleet {plan.name} can be run: {plan.problems[0].key}: {plan.problems[0].problem}",
            remedy="see all with: coatcheck fleet plan FILE",
        )


def _ignore(_: str) -> None:
    """Report nothing."""
