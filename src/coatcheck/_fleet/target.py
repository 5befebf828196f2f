"""What a target of deliveries gets and returns."""

from __future__ import annotations

from typing import Protocol

import msgspec

from .. import errors
from .._model.fleets import FleetItem
from .._patches.parse import Patch


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A change to deliver: `patch` applies on the commit `base`.

    `branch` is the name of the branch, `message` that of its commit; `why` says why the change was chosen.
    `repositories` are those that the fleet has delivered to, and the item's; `delivered` is how many it has delivered:
    where `deliver.max_open` needs them.
    """

    fleet: str
    key: str
    item: FleetItem
    patch: Patch
    base: str | None
    branch: str
    message: str
    task: str
    title: str = ""
    why: str = ""
    repositories: tuple[str, ...] = ()
    delivered: int = 0


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change was delivered to; `fork` is the URL of the fork that has the branch."""

    branch: str | None = None
    commit: str | None = None
    url: str | None = None
    fork: str | None = None


class TooManyOpenError(errors.CoatcheckError):
    """As many pull requests of the fleet are open as `deliver.max_open` allows."""


class Deliver(Protocol):
    """A kind of delivery; blocks, and runs in a thread."""

    def __call__(self, delivery: Delivery) -> Delivered:
        """Deliver a change; one that is there already is left as it is. Raises `PatchConflictError` where it does not fit."""
        ...
