"""A fleet as it is planned: its items with their prompts, and what happens to them.

Invariants:

- the same file gives the same canonical JSON, byte for byte, and its SHA-256 is the digest of the fleet;
- a command, a host or an account comes from the fleet file alone, never from a repository.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from .. import errors
from .._review.checks import Check, Limits, Verification
from .._review.command_words import require_commands
from .._review.protected_paths import DEFAULT_PROTECTED, require_patterns
from .branch_names import branch_name
from .items import Variables, fill, item_key, read_items
from .quantities import seconds, share, size
from .sections import FleetSections, VerifySection


class ItemSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An item of the file with its prompt. `environments` are those of the services, in the order of the candidates."""

    key: str
    prompt: str
    title: str | None
    repository: str | None
    base: str | None
    variables: Variables
    environments: tuple[str | None, ...]

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to submit."""
        return not self.prompt.strip()


class FleetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet file with its items. `canonical` is its canonical JSON; *folder* is where it lies."""

    sections: FleetSections
    items: Sequence[ItemSpec]
    canonical: str
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The name of the fleet."""
        return self.sections.name

    @property
    def digest(self) -> str:
        """The SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def verification(self) -> Verification:
        """How candidates are checked."""
        return verification_of(self.sections.verify)

    def concurrent(self, provider: str) -> int | None:
        """Return how many tasks of *provider* may be active at once, None for no limit."""
        limit = self.sections.budget.concurrent
        return limit.get(provider) if isinstance(limit, Mapping) else limit

    def wave_sizes(self) -> tuple[int, ...]:
        """Return how many items each wave ends with: growing, the last one all of them."""
        total = len(self.items)
        sizes: list[int] = []
        for number, wave in enumerate(self.sections.rollout.waves):
            count = max(1, share(wave, total, f"rollout.waves[{number}]"))
            if not sizes or count > sizes[-1]:
                sizes.append(count)
        return (*sizes, total) if not sizes or sizes[-1] < total else tuple(sizes)

    @property
    def deadline(self) -> float | None:
        """How long the fleet may submit tasks, in seconds."""
        value = self.sections.budget.deadline
        return None if value is None else seconds(value, "budget.deadline")


def build_spec(
    sections: FleetSections, *, folder: Path | None, template: Callable[[str, Variables], str] | None = None
) -> FleetSpec:
    """Return the fleet of *sections*. *template* renders a prompt template with the variables of an item.

    Raises `ConfigurationError` that names the key or the item.
    """
    rows = read_items(sections.items, folder=folder)
    items = [_item(sections, row, template) for row in rows]
    if all(item.is_blank for item in items):
        raise blank_prompt(items[0])
    spec = FleetSpec(sections=sections, items=items, canonical=_canonical(sections, items), folder=folder)
    _check(spec)
    return spec


def blank_prompt(item: ItemSpec) -> errors.ConfigurationError:
    """Return the error of an item whose prompt is blank; the other items of its fleet are not affected."""
    return errors.ConfigurationError(
        f"the prompt of the item {item.key!r} is blank", remedy="correct task.prompt or the item's variables"
    )


def verification_of(section: VerifySection) -> Verification:
    """Return the checks of a fleet file as `_review` takes them."""
    names = [check.name for check in section.checks]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise errors.ConfigurationError(f"two checks have the name {twice!r}", remedy="rename one of verify.checks")
    verification = Verification(
        checks=tuple(
            Check(
                name=check.name,
                run=check.run,
                required=check.required,
                weight=check.weight,
                timeout=None if check.timeout is None else seconds(check.timeout, f"the timeout of {check.name}"),
            )
            for check in section.checks
        ),
        setup=section.setup,
        setup_inputs=section.setup_inputs,
        protected=DEFAULT_PROTECTED if section.protected is None else section.protected,
        sandbox=section.sandbox,
        network=section.network,
        limits=_limits(section),
    )
    require_commands(verification)
    require_patterns(verification.protected)
    return verification


def _limits(section: VerifySection) -> Limits:
    given = section.limits
    durations = {name: getattr(given, name) for name in ("cpu", "wall")}
    sizes = {name: getattr(given, name) for name in ("memory", "file", "disk", "output")}
    values: dict[str, Any] = {
        name: seconds(value, f"verify.limits.{name}") for name, value in durations.items() if value is not None
    }
    values |= {name: size(value, f"verify.limits.{name}") for name, value in sizes.items() if value is not None}
    if given.processes is not None:
        values["processes"] = given.processes
    return Limits(**values)


def _item(sections: FleetSections, variables: Variables, template: Callable[[str, Variables], str] | None) -> ItemSpec:
    task, key = sections.task, item_key(variables)
    if task.template is not None:
        if template is None:
            raise errors.ConfigurationError(
                f"the template {task.template} cannot be used here", remedy="give task.prompt"
            )
        prompt = template(task.template, variables)
    else:
        prompt = fill(task.prompt or "", variables, "task.prompt")
    base = variables.get("base") or task.base
    return ItemSpec(
        key=key,
        prompt=prompt,
        title=fill(task.title, variables, "task.title") if task.title else None,
        repository=variables.get("repository"),
        base=fill(base, variables, "task.base") if base else None,
        variables=variables,
        environments=tuple(
            variables.get("environment")
            or (fill(each.environment, variables, "candidates.environment") if each.environment else None)
            for each in sections.candidates
        ),
    )


def _canonical(sections: FleetSections, items: Sequence[ItemSpec]) -> str:
    document = msgspec.to_builtins(sections)
    document["items"] = [dict(item.variables) for item in items]
    document["prompts"] = hashlib.sha256("\0".join(item.prompt for item in items).encode()).hexdigest()
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _check(spec: FleetSpec) -> None:
    """Raise for values that do not go together."""
    sections = spec.sections
    _ = spec.verification, spec.wave_sizes(), spec.deadline
    if sections.approve and sections.approve.timeout is not None:
        seconds(sections.approve.timeout, "approve.timeout")
    if isinstance(sections.budget.concurrent, Mapping):
        providers = {each.provider for each in sections.candidates}
        if unknown := sorted(set(sections.budget.concurrent) - providers):
            raise errors.ConfigurationError(
                f"budget.concurrent names {unknown[0]}, which no candidate uses",
                remedy=f"candidates use: {', '.join(sorted(providers))}",
            )
    _check_waves(sections.rollout.waves)
    _check_branches(spec)
    if sections.deliver.to != "patch" and (item := next((each for each in spec.items if not each.repository), None)):
        raise errors.ConfigurationError(
            f"the item {item.key!r} has no repository to deliver a {sections.deliver.to} to",
            remedy='give items a variable repository, or deliver with to = "patch"',
        )


def _check_waves(waves: Sequence[str | int]) -> None:
    """Raise where a wave ends before the one above it. A number and a percentage may cross: it depends on the items."""
    for unit in ("%", ""):
        ends = [wave for wave in map(str, waves) if wave.strip().endswith("%") == bool(unit)]
        for before, after in pairwise(ends):
            if float(after.strip().removesuffix("%")) <= float(before.strip().removesuffix("%")):
                raise errors.ConfigurationError(
                    f"rollout.waves has {after!r} after {before!r}: each wave begins where the one before it ends",
                    remedy='write growing numbers, as in: waves = ["1", "10%", "100%"]',
                )


def _check_branches(spec: FleetSpec) -> None:
    """Raise where a branch cannot be one, or is that of two items of a repository."""
    known: dict[tuple[str | None, str], str] = {}
    for item in spec.items if spec.sections.deliver.to != "patch" else ():
        branch = branch_name(spec.sections.deliver.branch, fleet=spec.name, key=item.key)
        other = known.setdefault((item.repository, branch), item.key)
        if other != item.key:
            raise errors.ConfigurationError(
                f"the items {other!r} and {item.key!r} have the same branch {branch}",
                remedy="write {key} in deliver.branch",
            )
