"""Make the rows of a fleet from its file: items with pinned bases, candidates with idempotency keys.

Invariants:

- the base of an item is pinned to a commit when the item is stored first, and stays that commit in later runs unless a
  person asks for the new one: a branch that moved submits nothing again;
- an item that was reviewed gets no further candidate from its file, unless its prompt or its base has changed; one that
  was delivered gets none at all;
- the key of a candidate follows from fleet, item, service, number, prompt and base: planning the same file again makes the
  same keys, a changed prompt makes new ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .._model.fleets import FleetItem, ItemState
from .._store.fleet_planning import DELIVERED, PlannedCandidate, PlannedItem, prompt_digest
from .spec import blank_prompt

if TYPE_CHECKING:
    from .spec import FleetSpec, ItemSpec


def candidate_key(*, fleet: str, item: str, provider: str, attempt: int, prompt: str, base: str | None) -> str:
    """Return the idempotency key of a candidate."""
    parts = [fleet, item, provider, attempt, prompt, base]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


def plan_items(
    spec: FleetSpec,
    *,
    known: Mapping[str, FleetItem],
    resolve: Callable[[str, str | None], str | None],
    rebase: bool = False,
) -> tuple[list[PlannedItem], dict[str, errors.CoatcheckError]]:
    """Return the items to store, and by key the errors of those without a prompt, a repository or a base.

    *known* are the items that are stored; *resolve* returns the commit of a repository's branch.
    """
    problems: dict[str, errors.CoatcheckError] = {}
    items = []
    for item, wave in zip(spec.items, waves(spec), strict=True):
        stored = known.get(item.key)
        if item.is_blank:
            problems[item.key] = blank_prompt(item)
            continue
        try:
            commit = stored.base_commit if stored is not None and not rebase else None
            if commit is None and item.repository is not None:
                commit = resolve(item.repository, item.base)
        except errors.CoatcheckError as error:
            problems[item.key] = error
            continue
        planned = _planned(spec, item, wave, commit)
        items.append(planned if _is_open(planned, stored) else msgspec.structs.replace(planned, candidates=()))
    return items, problems


def without_candidates(item: PlannedItem, providers: Container[str]) -> PlannedItem:
    """Return an item without the candidates of these services."""
    kept = tuple(each for each in item.candidates if each.provider not in providers)
    return msgspec.structs.replace(item, candidates=kept)


def _is_open(planned: PlannedItem, stored: FleetItem | None) -> bool:
    """Whether an item gets the candidates of its file."""
    if stored is None or stored.state is ItemState.OPEN:
        return True
    is_same = (stored.prompt_digest, stored.base_commit) == (prompt_digest(planned.prompt), planned.base_commit)
    return not is_same and stored.state not in DELIVERED


def waves(spec: FleetSpec) -> Iterator[int]:
    """Yield the wave of each item, from 0."""
    sizes = spec.wave_sizes()
    wave = 0
    for number in range(len(spec.items)):
        while number >= sizes[wave]:
            wave += 1
        yield wave


def _planned(spec: FleetSpec, item: ItemSpec, wave: int, commit: str | None) -> PlannedItem:
    counts: dict[str, int] = {}
    candidates = []
    for section, environment in zip(spec.sections.candidates, item.environments, strict=True):
        for _ in range(section.attempts):
            attempt = counts[section.provider] = counts.get(section.provider, 0) + 1
            key = candidate_key(
                fleet=spec.name,
                item=item.key,
                provider=section.provider,
                attempt=attempt,
                prompt=item.prompt,
                base=commit or item.base,
            )
            candidates.append(
                PlannedCandidate(key=key, provider=section.provider, environment=environment, attempt=attempt)
            )
    return PlannedItem(
        key=item.key,
        prompt=item.prompt,
        repository=item.repository,
        base=item.base,
        base_commit=commit,
        title=item.title,
        wave=wave,
        variables=item.variables,
        candidates=tuple(candidates),
    )
