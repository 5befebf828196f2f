"""The plan of a fleet: what would be sent, to whom, and how long it takes. Writes nothing."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from .. import errors
from .._engine.submit import checked
from .._model.fleets import FleetItem
from .._model.tasks import TaskSpec
from .._protocol.provider import Verb
from .._store.fleet_planning import DELIVERED, PlannedItem, prompt_digest
from .._values.value import JsonFields, Value
from .environments import Target, target_of, unknown_targets
from .estimate import Estimate, ServiceLoad, estimate
from .planning import plan_items, without_candidates
from .repositories import Repositories
from .services import Services
from .spec import FleetSpec
from .usable import message_of, no_service, unusable_services

if TYPE_CHECKING:
    from .._model.usage import RateWindow, Usage

# How many repositories are asked at once.
RESOLVERS = 8
SUMMARY_LENGTH = 80
UNCHECKED = "no required check, and approve.auto.required is false: changes are approved and delivered unchecked"


class PlanItem(Value, frozen=True, kw_only=True):
    """An item of a plan: new, known, with a changed prompt, or with a problem for which it is left out."""

    key: str
    state: str
    repository: str | None = None
    base: str | None = None
    base_commit: str | None = None
    wave: int = 0
    prompt: str = ""
    problem: str | None = None

    _json: ClassVar[JsonFields] = {
        "key": "unique in its fleet",
        "state": "new, known, changed or problem",
        "repository": "the repository",
        "base": "the branch that it starts from",
        "base_commit": "the commit there",
        "wave": "its wave, from 0",
        "prompt": "the beginning of its prompt",
        "problem": "why it is left out",
    }


class FleetPlan(Value, frozen=True, kw_only=True):
    """What a run would do. `tasks` are the new tasks of each service; `estimates` begins with the limit that binds.

    `unusable` are the services that get no task now, each with the reason and the remedy.
    """

    name: str
    digest: str
    is_new: bool
    items: tuple[PlanItem, ...] = ()
    tasks: Mapping[str, int] = {}
    unusable: Mapping[str, str] = {}
    waves: tuple[int, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    notes: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "name": "the name of the fleet",
        "digest": "the SHA-256 of its file in canonical form",
        "is_new": "whether it was never run",
        "hours": "how long it takes at the limit that binds",
        "tasks": "how many new tasks each service gets",
        "unusable": "why a service gets no task now, by service",
        "waves": "with how many items each wave ends",
        "items": "plan item objects",
        "estimates": "estimate objects, the limit that binds first",
        "notes": "further notes",
    }

    @property
    def hours(self) -> float:
        """Return how long it takes at the limit that binds."""
        return self.estimates[0].hours if self.estimates else 0.0

    @property
    def problems(self) -> tuple[PlanItem, ...]:
        """Return the items that are left out."""
        return tuple(each for each in self.items if each.problem is not None)

    @property
    def is_changing(self) -> bool:
        """Whether a run would store or submit something that is not stored yet."""
        return any(each.state in ("new", "changed") for each in self.items) or bool(sum(self.tasks.values()))


class PreparedFleet(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, and the rows that a run stores."""

    plan: FleetPlan
    items: Sequence[PlannedItem]


async def prepare(
    spec: FleetSpec,
    *,
    known: Mapping[str, FleetItem],
    keys: frozenset[str],
    is_new: bool,
    repositories: Repositories,
    services: Services,
    rebase: bool = False,
) -> PreparedFleet:
    """Plan a fleet. *known* are its stored items, *keys* the idempotency keys of its stored candidates.

    Raises `ConfigurationError` for what concerns all items: an unknown service, an option that it does not take, and
    services none of which can be used.
    """
    unusable = await unusable_services(services, _accounts(spec))
    for section in spec.sections.candidates:
        if section.provider not in unusable:
            _check_section(spec, services, section.provider, section.model)
    if is_new and all(section.provider in unusable for section in spec.sections.candidates):
        raise no_service(unusable)
    places = {(each.repository, each.base) for each in spec.items if each.repository is not None}
    needed = {place for place in places if rebase or _is_unpinned(spec, known, place)}
    commits = await _resolve_all(repositories, needed)
    items, problems = plan_items(spec, known=known, resolve=lambda *place: _result(commits[place]), rebase=rebase)
    items = [without_candidates(item, unusable) for item in items]
    accounts = dict(reversed(_accounts(spec)))
    unknown = await unknown_targets(services, accounts, items, keys)
    items = _with_known_targets(items, unknown, known, problems)
    tasks = Counter(each.provider for item in items for each in item.candidates if each.key not in keys)
    loads = [await _load(spec, services, provider, count) for provider, count in tasks.items()]
    plan = FleetPlan(
        name=spec.name,
        digest=spec.digest,
        is_new=is_new,
        items=(*(_shown(item, known) for item in items), *(_problem(key, error) for key, error in problems.items())),
        tasks=dict(tasks),
        unusable={provider: message_of(error) for provider, error in unusable.items()},
        waves=spec.wave_sizes(),
        estimates=estimate(
            loads,
            reviews=sum(tasks.values()) if spec.sections.verify.checks else 0,
            workers=max(1, (os.cpu_count() or 2) // 2),
            pull_requests=len(items) if spec.sections.deliver.to == "pull_request" else 0,
        ),
        notes=(*notes_of(spec), *_kept(items, known), *_target_notes(unknown, problems)),
    )
    return PreparedFleet(plan=plan, items=items)


def _is_unpinned(spec: FleetSpec, known: Mapping[str, FleetItem], place: tuple[str, str | None]) -> bool:
    """Whether an item of a repository and branch has no commit yet."""
    return any(
        (item.repository, item.base) == place and (item.key not in known or known[item.key].base_commit is None)
        for item in spec.items
    )


async def _resolve_all(
    repositories: Repositories, places: set[tuple[str, str | None]]
) -> dict[tuple[str, str | None], str | errors.CoatcheckError]:
    """Return the commit of each repository and branch, or why it has none."""
    slots = asyncio.Semaphore(RESOLVERS)

    async def resolve(name: str, base: str | None) -> str | errors.CoatcheckError:
        async with slots:
            try:
                return await asyncio.to_thread(repositories.resolve, name, base)
            except errors.CoatcheckError as error:
                return error

    known = sorted(places, key=lambda each: (each[0], each[1] or ""))
    return dict(zip(known, await asyncio.gather(*(resolve(*place) for place in known)), strict=True))


def _result(commit: str | errors.CoatcheckError) -> str:
    if isinstance(commit, errors.CoatcheckError):
        raise commit
    return commit


def _with_known_targets(
    items: Sequence[PlannedItem],
    unknown: Mapping[Target, errors.CoatcheckError],
    known: Mapping[str, FleetItem],
    problems: dict[str, errors.CoatcheckError],
) -> list[PlannedItem]:
    """Return the items without candidates of unknown targets; a new item that is left with none is a problem."""
    kept = []
    for item in items:
        targets = [target_of(each, item.repository) for each in item.candidates]
        candidates = [each for each, target in zip(item.candidates, targets, strict=True) if target not in unknown]
        if item.key not in known and targets and not candidates:
            problems[item.key] = unknown[targets[0]]
        else:
            kept.append(msgspec.structs.replace(item, candidates=tuple(candidates)))
    return kept


def _target_notes(
    unknown: Mapping[Target, errors.CoatcheckError], problems: Mapping[str, errors.CoatcheckError]
) -> list[str]:
    """Return why a service gets no task for items that other services get."""
    shown = {id(error) for error in problems.values()}
    others = [(target, error) for target, error in unknown.items() if id(error) not in shown]
    return [f"{target.provider} gets no task there: {message_of(error)}" for target, error in others[:10]]


def _accounts(spec: FleetSpec) -> list[tuple[str, str]]:
    """Return the accounts of each service; one without a name where the file names none."""
    sections = spec.sections.candidates
    pairs = [(each.provider, account) for each in sections for account in each.accounts or ("",)]
    return list(dict.fromkeys(pairs))


def _check_section(spec: FleetSpec, services: Services, provider: str, model: str | None) -> None:
    """Raise for a service that is not known, cannot create tasks, or does not take an option of the file."""
    client = services.client(provider, "")
    client.capabilities.require(Verb.CREATE_TASK, provider)
    task = TaskSpec(prompt="x", mode=spec.sections.task.mode, model=model)
    checked(task, client.capabilities, provider)


async def _load(spec: FleetSpec, services: Services, provider: str, tasks: int) -> ServiceLoad:
    client = services.client(provider, "")
    accounts = [name for each in spec.sections.candidates if each.provider == provider for name in each.accounts]
    window = await _window(services, provider, accounts[0] if accounts else "")
    return ServiceLoad(
        provider=provider,
        tasks=tasks,
        seconds=client.capabilities.typical_seconds,
        accounts=len(set(accounts)) or 1,
        concurrent=spec.concurrent(provider),
        quota=window.limit if window else None,
        window=window.seconds if window else None,
        remaining=_remaining(window),
    )


async def _window(services: Services, provider: str, account: str) -> RateWindow | None:
    """Return the window with a limit of tasks, None where the service reports none or cannot be reached."""
    client = services.client(provider, account)
    if Verb.GET_USAGE not in client.capabilities.verbs:
        return None
    try:
        usage: Usage = await client.get_usage()
    except errors.CoatcheckError:
        return None  # a plan is possible without: `run` finds out
    windows = usage.rate_limit.windows if usage.rate_limit else ()
    return next((each for each in windows if each.limit and each.seconds), None)


def _remaining(window: RateWindow | None) -> float | None:
    if window is None or window.limit is None:
        return None
    if window.remaining is not None:
        return window.remaining
    return None if window.used is None else max(0.0, window.limit - window.used)


def _shown(item: PlannedItem, known: Mapping[str, FleetItem]) -> PlanItem:
    stored = known.get(item.key)
    state = "new" if stored is None else "known"
    if stored is not None and stored.state not in DELIVERED and stored.prompt_digest != prompt_digest(item.prompt):
        state = "changed"
    return PlanItem(
        key=item.key,
        state=state,
        repository=item.repository,
        base=item.base,
        base_commit=item.base_commit,
        wave=item.wave,
        prompt=" ".join(item.prompt.split())[:SUMMARY_LENGTH],
    )


def _problem(key: str, error: errors.CoatcheckError) -> PlanItem:
    return PlanItem(key=key, state="problem", problem=message_of(error))


def _kept(items: Sequence[PlannedItem], known: Mapping[str, FleetItem]) -> list[str]:
    """Say how many items have another prompt than the one whose change was delivered: they are not sent again."""
    delivered = ((known[each.key], each) for each in items if each.key in known and known[each.key].state in DELIVERED)
    count = sum(stored.prompt_digest != prompt_digest(item.prompt) for stored, item in delivered)
    return [f"delivered with another prompt, and not sent again: {count}"] if count else []


def notes_of(spec: FleetSpec) -> list[str]:
    """Return the notes of a plan about its file."""
    sections = spec.sections
    notes = []
    if not any(check.required for check in sections.verify.checks):
        is_unchecked = sections.approve is not None and sections.approve.auto and not sections.approve.auto.required
        notes.append(UNCHECKED if is_unchecked else "no required check: nothing is approved automatically")
    if sections.approve is None:
        notes.append("no [approve]: a person decides about each item")
    if spec.sections.budget.spend is not None:
        notes.append("budget.spend counts tasks whose services report what they cost, and no others")
    return notes
