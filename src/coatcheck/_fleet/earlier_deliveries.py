"""What was delivered to a branch before an item, by its fleet and by the others of the store.

Invariants:

- repositories and branches that two fleet files name differently are the same where they are the same place and commit;
- a delivery of another fleet counts while it is being made, and while the repository, or the fork that it was pushed to,
  has its branch: one that was merged or closed leaves none, as a rule;
- one whose fork cannot be read counts: to merge after a change that was merged already changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .merge_queue import DeliveredChange

if TYPE_CHECKING:
    from .._model.fleets import FleetItem
    from .._store.fleet_deliveries import EarlierDelivery
    from .context import FleetContext
    from .repositories import Repositories


class Earlier(NamedTuple):
    """The changes before an item, in the order of delivery, and the keys of all deliveries that were considered.

    `names` are those that other fleets have for its repository.
    """

    changes: Sequence[DeliveredChange]
    keys: Sequence[str]
    names: Sequence[str]


def delivered_before(context: FleetContext, item: FleetItem, repositories: Repositories) -> Earlier:
    """Return what is delivered to the same branch of the same repository before an item."""
    names = _names(context, item, repositories)
    earlier = context.deliveries.before(context.fleet.id, item, names=names)
    others = [each for each in earlier if each.fleet != context.fleet.id]
    pending = _pending(item, others, repositories) if others else frozenset()
    counted = [each for each in earlier if each.fleet == context.fleet.id or each.key in pending]
    changes = [DeliveredChange(each.key, each.base, partial(context.patch_of, each.patch)) for each in counted]
    return Earlier(changes, [each.key for each in earlier], names)


def _names(context: FleetContext, item: FleetItem, repositories: Repositories) -> Sequence[str]:
    """Return the names by which other fleets deliver to the repository of an item."""
    if item.repository is None:
        return ()
    place = _place(repositories, item.repository)
    others = context.deliveries.repositories_of_others(context.fleet.id)
    same = (name for name in others if place is not None and _place(repositories, name) == place)
    return list(dict.fromkeys([item.repository, *same]))


def _place(repositories: Repositories, name: str) -> str | None:
    """Return the place of a repository in a form that is equal for one place, None for a name that has none here."""
    try:
        return repositories.place(name).removesuffix("/").removesuffix(".git").lower()
    except errors.ConfigurationError:
        return None


def _pending(item: FleetItem, others: Sequence[EarlierDelivery], repositories: Repositories) -> frozenset[str]:
    """Return the keys of the deliveries of other fleets that are to the branch of an item, and not merged or closed."""
    name = item.repository or ""
    branches = repositories.branches(name)
    tip = repositories.resolve(name, item.base)
    targets = {each.target for each in others}
    same = {target for target in targets if target == item.base or branches.get(target or "HEAD") == tip}
    pushed = [each for each in others if each.target in same]
    made = _branches_of_forks(repositories, pushed)
    return frozenset(each.key for each in pushed if not each.is_made or each.branch in made.get(each.fork, branches))


def _branches_of_forks(
    repositories: Repositories, deliveries: Sequence[EarlierDelivery]
) -> Mapping[str | None, Collection[str | None]]:
    """Return the branches of the forks that deliveries were pushed to; one that cannot be read has all of them."""
    forks: dict[str | None, Collection[str | None]] = {}
    for fork in {each.fork for each in deliveries if each.fork is not None}:
        try:
            forks[fork] = repositories.branches(fork)
        except errors.ConfigurationError:
            forks[fork] = [each.branch for each in deliveries if each.fork == fork]
    return forks
