from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.fleet.fixtures import ENVIRONMENT, CountedDeliveries, FirstCandidate, InlineExecutor, spec_of

from coatcheck import AsyncFleet, Fleet, FleetPlan, FleetState, errors
from coatcheck._fleet.estimate import ServiceLoad, estimate
from coatcheck._fleet.file import convert
from coatcheck._fleet.plan import UNCHECKED, notes_of
from coatcheck._fleet.services import ServiceClient
from coatcheck._fleet.session import FleetSession, FleetSettings
from coatcheck._patches.git import git
from coatcheck._store.journal import SubmissionJournal
from coatcheck.testing import AsyncEmulatorTransport, FakeClock, ScriptedCloud

IDENTITY = ("user.name=A", "user.email=a@example.com")


def committed(folder: Path) -> str:
    """Commit in a repository, which is made where it is not there; return the commit."""
    if not folder.exists():
        folder.mkdir()
        git("init", "-q", "-b", "main", folder=folder)
    git("commit", "-q", "--allow-empty", "-m", "change", folder=folder, settings=IDENTITY)
    return git("rev-parse", "HEAD", folder=folder).decode().strip()


class Rig:
    """Fleets over repositories of this machine and a scripted cloud."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, FakeClock()
        self.cloud = ScriptedCloud(["completed"], environments=[ENVIRONMENT], clock=self.clock)
        self.deliveries = CountedDeliveries()
        self.environ = {"COATCHECK_STATE_HOME": str(folder / "state"), "COATCHECK_LEARN": "off"}
        self.without: set[str] = set()  # services that cannot be used
        self.refused = False  # whether the service refuses the login

    def settings(self) -> FleetSettings:
        """Return settings whose services are the scripted cloud."""
        settings = FleetSettings(environ=self.environ, clock=self.clock, folder=self.folder, review=FirstCandidate())
        session = FleetSession(settings)

        def connect(provider: str, account: str) -> ServiceClient:
            if provider in self.without:
                return ServiceClient(provider, environ=self.environ, clock=self.clock)
            return ServiceClient(
                provider,
                base_url="http://127.0.0.1:9/backend-api",
                token="refused" if self.refused else self.cloud.tokens.access_token,
                transport=AsyncEmulatorTransport(self.cloud),
                clock=self.clock,
                journal=SubmissionJournal(session.database),
                environ=self.environ,
            )

        return FleetSettings(
            environ=self.environ,
            clock=self.clock,
            folder=self.folder,
            review=FirstCandidate(),
            connect=connect,
            targets={"patch": self.deliveries},
        )

    def fleet(self, *repositories: str, **tables: object) -> Fleet:
        """Return the fleet of an item for each repository."""
        document = {
            "name": "typing",
            "task": {"prompt": "Add types.", "base": "main"},
            "items": [{"repository": name} for name in repositories],
            "candidates": [{"provider": "codex", "environment": "env_1"}],
            "approve": {"auto": {}},
            **tables,
        }
        return Fleet.of(convert(document), self.settings())


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A repository ``./api``, and nothing else."""
    committed(tmp_path / "api")
    return Rig(tmp_path)


def test_a_branch_that_moved_sends_nothing_again(rig: Rig) -> None:
    """The first run pins the commit of the base; a later run keeps it, and only a rebase changes it."""
    fleet = rig.fleet("./api", approve={})
    fleet.run()
    first = fleet.items()[0].base_commit
    moved = committed(rig.folder / "api")
    fleet.run()
    sent = len(rig.cloud.tasks)
    plan, rebased = fleet.plan(), fleet.plan(rebase=True)

    assert (1, {"codex": 0}, {"codex": 1}) == (sent, {"codex": 0} | dict(plan.tasks), dict(rebased.tasks))
    assert (first, first, moved) == (
        fleet.items()[0].base_commit,
        plan.items[0].base_commit,
        rebased.items[0].base_commit,
    )


def test_a_rebase_sends_what_was_not_delivered_on_the_new_base(rig: Rig) -> None:
    """A rebase pins the commit of now and makes new candidates for it; what was delivered stays."""
    committed(rig.folder / "web")
    rig.fleet("./api").run()
    waiting = rig.fleet("./api", "./web", approve={})
    waiting.run()
    moved = [committed(rig.folder / name) for name in ("api", "web")]
    waiting.run(rebase=True)
    items = waiting.items()

    assert (["delivered", "waiting"], moved[1]) == ([each.state for each in items], items[1].base_commit)
    assert 3 == len(rig.cloud.tasks)  # one of ./api, one of ./web on each base


def test_an_item_with_a_problem_is_left_out(rig: Rig) -> None:
    """A repository that is not there is a problem of its item: the rest of the fleet goes on."""
    fleet = rig.fleet("./api", "./gone")
    plan = fleet.plan()
    status = fleet.run()

    assert ([None, True], {"delivered": 1}) == (
        [each.problem and "./gone does not exist" in each.problem for each in plan.items],
        status and dict(status.items),
    )


def test_what_a_plan_left_out_is_remembered(rig: Rig, tmp_path: Path) -> None:
    """The status and the report of a fleet name items that its last plan left out, until a plan has them."""
    fleet = rig.fleet("./api", "./gone")
    fleet.run()
    before, report = fleet.status(), fleet.report()
    committed(tmp_path / "gone")
    fleet.run()
    after = fleet.status()

    assert ("failures", ["./gone"], [("left out", "./gone")]) == (
        before.outcome,
        [*before.fleet.left_out],
        [(each.kind, each.subject) for each in report.unfinished],
    )
    assert ("delivered", {}) == (after.outcome, after.fleet.left_out)


def test_a_plan_that_is_refused_stores_nothing(rig: Rig) -> None:
    """Where the plan is not confirmed, nothing is stored or sent."""
    plans: list[FleetPlan] = []
    fleet = rig.fleet("./api")
    status = fleet.run(confirm=lambda plan: bool(plans.append(plan)))

    assert (None, True, 0) == (status, plans[0].is_new, len(rig.cloud.tasks))
    with pytest.raises(errors.ConfigurationError, match="there is no fleet 'typing'"):
        fleet.status()


def test_a_changed_prompt_is_said_and_sent(rig: Rig) -> None:
    """A changed prompt is a changed item in the plan, and its new candidate is sent."""
    rig.fleet("./api", approve={}).run(confirm=lambda _: True)
    changed = rig.fleet("./api", task={"prompt": "Add docs.", "base": "main"}, approve={})
    plan = changed.plan()
    changed.run()
    prompts = [each.rounds[0].prompt for each in rig.cloud.tasks]

    assert (["changed"], {"codex": 1}) == ([each.state for each in plan.items], dict(plan.tasks))
    assert ["Add types.", "Add docs."] == prompts


@pytest.mark.parametrize("state", ["not running", "no login"])
def test_a_service_that_cannot_be_used_costs_its_own_candidates(rig: Rig, state: str) -> None:
    """The plan names such a service with the remedy, the others get their tasks; once it can be used, open items follow."""
    provider, remedy = {"not running": ("local", "coatcheck serve"), "no login": ("jules", "JULES_API_KEY")}[state]
    rig.without.add(provider)
    fleet = rig.fleet("./api", candidates=[{"provider": "codex", "environment": "env_1"}, {"provider": provider}])
    plan, status = fleet.plan(), fleet.run()

    assert ({"codex": 1}, [provider], {"delivered": 1}) == (
        dict(plan.tasks),
        [*plan.unusable],
        status and dict(status.items),
    )
    assert remedy in plan.unusable[provider]
    assert not fleet.plan().tasks


def test_an_environment_that_a_service_does_not_know_is_a_problem(rig: Rig) -> None:
    """An item that no service can run is left out with the reason; where there is none other, nothing is stored."""
    fleet = rig.fleet("./api", candidates=[{"provider": "codex"}])
    (item,) = fleet.plan().items

    assert item.problem is not None
    assert "there is no environment './api'; there are: acme/api" in item.problem
    assert 'repositories."OWNER/NAME" = "./api"' in item.problem
    with pytest.raises(errors.ConfigurationError, match=r"no item of the fleet typing can be run: \./api"):
        fleet.run()


def test_a_service_without_an_environment_costs_its_own_candidates(rig: Rig) -> None:
    """Where one service does not know an item's environment, the plan says so, and the other service gets its task."""
    good, unknown = ({"provider": "codex", "environment": name} for name in ("env_1", "env_2"))
    fleet = rig.fleet("./api", candidates=[good, unknown])
    plan, status = fleet.plan(), fleet.run()

    assert ({"codex": 1}, {"delivered": 1}) == (dict(plan.tasks), status and dict(status.items))
    assert any("codex gets no task there: there is no environment 'env_2'" in note for note in plan.notes)


def test_services_none_of_which_can_be_used_end_the_plan(rig: Rig) -> None:
    """Where no service can be used nothing is stored, and the error names each with its reason."""
    rig.without |= {"local", "jules"}
    fleet = rig.fleet("./api", candidates=[{"provider": "local"}, {"provider": "jules"}])

    for action in (fleet.plan, fleet.run):
        with pytest.raises(
            errors.ConfigurationError, match="local: no local cloud is running; jules: there is no login"
        ):
            action()
    with pytest.raises(errors.ConfigurationError, match="there is no fleet 'typing'"):
        fleet.status()


def test_an_account_that_can_be_used_again_is_tried_by_the_next_run(rig: Rig) -> None:
    """A service that lost its login parks its tasks with the reason; the next run after the login sends them."""
    fleet = rig.fleet("./api")
    plan = fleet.plan()
    rig.refused = True
    parked = fleet.run()
    rig.refused = False
    status = fleet.run()

    assert ({"codex": 1}, "parked", "delivered", 1) == (
        dict(plan.tasks),
        parked and parked.outcome,
        status and status.outcome,
        len(rig.cloud.tasks),
    )


def test_a_delivered_item_is_not_sent_again(rig: Rig) -> None:
    """Another prompt, another base and another number of attempts send nothing for an item that was delivered."""
    rig.fleet("./api").run()
    committed(rig.folder / "api")
    candidates = [{"provider": "codex", "environment": "env_1", "attempts": 2}]
    changed = rig.fleet("./api", task={"prompt": "Add docs.", "base": "main"}, candidates=candidates)
    plan, status = changed.plan(rebase=True), changed.run(rebase=True)

    assert (["known"], {}, 1) == ([each.state for each in plan.items], dict(plan.tasks), len(rig.cloud.tasks))
    assert "delivered with another prompt, and not sent again: 1" in plan.notes
    assert {"verified": 1} == (status and dict(status.candidates))


def test_an_unknown_service_ends_the_plan(rig: Rig) -> None:
    """A service that does not exist is an error of the whole file."""
    fleet = Fleet.of(
        convert({"name": "x", "task": {"prompt": "p"}, "items": [{"id": "1"}], "candidates": [{"provider": "codx"}]}),
        FleetSettings(environ=rig.environ),
    )

    with pytest.raises(errors.ConfigurationError, match="codx"):
        fleet.plan()


def test_both_fleets_do_the_same(rig: Rig) -> None:
    """`AsyncFleet` has the methods of `Fleet`, and the same results."""

    async def run() -> tuple[object, ...]:
        asyncio.get_running_loop().set_default_executor(InlineExecutor())
        async with AsyncFleet.of(rig.fleet("./api").spec.sections, rig.settings()) as fleet:
            plan = await fleet.plan()
            status = await fleet.run()
            assert status is not None
            key = (await fleet.items(state="delivered"))[0].key
            return plan.tasks, status.outcome, (await fleet.show(key)).item.key, len(await fleet.events())

    results = asyncio.run(run())
    fleet = rig.fleet("./api")

    assert ({"codex": 1}, "delivered", "./api", len(list(fleet.events()))) == results
    own = {name for name in vars(Fleet) if not name.startswith("_")} - {"close"}
    assert own == {name for name in vars(AsyncFleet) if not name.startswith("_")} - {"aclose"}


def test_a_repository_that_is_not_on_the_forge_is_refused_before_anything_is_sent(rig: Rig) -> None:
    """A repository without pull requests is an error before the first submission."""
    fleet = rig.fleet("./api", deliver={"to": "pull_request"})

    with pytest.raises(errors.ConfigurationError, match=r"\./api is no repository of https://github\.com"):
        fleet.run()
    assert 0 == len(rig.cloud.tasks)


def test_a_template_makes_prompts(rig: Rig) -> None:
    """A template of the user gets the variables that it declares."""
    folder = rig.folder / "config" / "prompts"
    folder.mkdir(parents=True)
    (folder / "types.md").write_text("---\narguments: {repository: the repository}\n---\nType {{repository}}.")
    rig.environ["COATCHECK_CONFIG_HOME"] = str(rig.folder / "config")
    fleet = rig.fleet("./api", task={"template": "types", "base": "main"})

    assert ["Type ./api."] == [item.prompt for item in fleet.spec.items]


@pytest.mark.parametrize(
    ("load", "hours"),
    [
        (ServiceLoad("jules", 1000, 360.0, concurrent=15, quota=100, window=86_400.0), 9 * 24 + 0.1),
        (ServiceLoad("jules", 1000, 360.0, accounts=5, concurrent=60, quota=300, window=86_400.0), 0.4),
        (ServiceLoad("jules", 10_000, 360.0, accounts=5, concurrent=60, quota=300, window=86_400.0), 6 * 24 + 0.1),
        (ServiceLoad("actions", 1000, 600.0, concurrent=20), 50 / 6),
        (ServiceLoad("jules", 100, 360.0, quota=100, window=86_400.0, remaining=0), 24.1),
    ],
)
def test_the_limit_that_binds_gives_the_time(load: ServiceLoad, hours: float) -> None:
    """The estimate is the longest of what each limit alone allows."""
    binding = estimate([load], reviews=0, workers=2, pull_requests=0)[0]

    assert pytest.approx(hours) == binding.hours


@pytest.mark.parametrize(
    ("approve", "verify", "expected"),
    [
        ({"auto": {"required": False}}, {}, [UNCHECKED]),
        ({"auto": {"required": True}}, {}, ["no required check: nothing is approved automatically"]),
        ({"auto": {"required": False}}, {"checks": [{"name": "tests", "run": "make test"}]}, []),
    ],
)
def test_a_plan_says_what_is_delivered_unchecked(
    approve: dict[str, object], verify: dict[str, object], expected: list[str]
) -> None:
    """Without a required check the plan says whether changes are delivered unchecked, or not approved."""
    assert expected == notes_of(spec_of(1, approve=approve, verify=verify))


def test_a_new_version_of_a_fleet_continues_one_that_is_done(rig: Rig) -> None:
    """More items in the file of a fleet that was done are sent; the others are not."""
    committed(rig.folder / "web")
    rig.fleet("./api").run()
    status = rig.fleet("./api", "./web").run()

    assert (2, {"delivered": 2}, FleetState.DONE) == (
        len(rig.cloud.tasks),
        status and dict(status.items),
        status and status.fleet.state,
    )
    assert 3 == len(spec_of(3).items)


def test_the_policies_of_the_user_decide(rig: Rig) -> None:
    """The policies in the user's file of settings decide about items; one that cannot be used is an error before all."""
    folder = rig.folder / "config"
    folder.mkdir()
    rig.environ["COATCHECK_CONFIG_HOME"] = str(folder)
    (folder / "config.toml").write_text('[gates.policies.small]\ndecision = "approve"\nkinds = ["delivery"]\n')
    status = rig.fleet("./api", approve={}).run()
    (folder / "config.toml").write_text('[gates.policies.small]\ndecision = "yes"\n')

    with pytest.raises(errors.ConfigurationError, match=r"gates\.policies\.small\.decision"):
        rig.fleet("./api", name="other").run()
    assert {"delivered": 1} == (status and dict(status.items))


def test_a_service_that_ends_between_two_runs_parks_what_is_planned(rig: Rig) -> None:
    """Planned tasks of a service that cannot be used any more wait for it, with the reason; the other service's are sent."""
    committed(rig.folder / "web")
    places = [{"provider": name, "environment": "env_1"} for name in ("codex", "local")]
    fleet = rig.fleet("./api", "./web", candidates=places, rollout={"waves": [1, "100%"]})
    fleet.run()
    fleet.approve(by="ann")
    rig.without.add("local")
    parked = fleet.run()
    rig.without.clear()
    status = fleet.run()

    assert parked is not None
    assert ("parked", {"ended": 1, "planned": 1, "verified": 2}) == (parked.outcome, dict(parked.candidates))
    assert any("it cannot be used: no local cloud is running" in (each.reason or "") for each in parked.accounts)
    assert ("delivered", 4) == (status and status.outcome, len(rig.cloud.tasks))


def test_what_was_approved_is_delivered_without_a_run(rig: Rig) -> None:
    """`deliver` delivers what a person has approved, and submits nothing."""
    fleet = rig.fleet("./api", approve={"otherwise": "person"})
    fleet.run()
    fleet.approve(by="ann")
    statuses = [fleet.deliver().items, fleet.deliver().items]

    assert ([{"delivered": 1}] * 2, [1]) == (statuses, [*rig.deliveries.keys.values()])
