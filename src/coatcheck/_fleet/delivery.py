"""Deliver approved changes, each once.

Invariants:

- a delivery has a key, FLEET/KEY, and is stored before it begins; one that was begun and not finished, because the
  process was killed, is begun again, and the target recognizes what is there already;
- a change that does not fit leaves the item in "conflict", any other error in "failed"; neither stops the fleet.

`PatchFiles` and `Branches` are the targets of this module; others implement `Deliver`.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from .. import errors
from .._model.fleets import FleetDelivery, FleetItem, ItemState
from .._patches.parse import Patch
from . import event_values
from .context import FleetContext
from .engine import Job
from .repositories import Repositories


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A change to deliver. `branch` is the name of the branch, `message` the commit's or the pull request's text."""

    fleet: str
    key: str
    item: FleetItem
    patch: Patch
    base: str | None
    branch: str
    message: str
    task: str


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change was delivered to."""

    branch: str | None = None
    commit: str | None = None
    url: str | None = None


class Deliver(Protocol):
    """A kind of delivery; blocks, and runs in a thread."""

    def __call__(self, delivery: Delivery) -> Delivered:
        """Deliver a change; one that is there already is left as it is. Raises `PatchConflictError` where it does not fit."""
        ...


class Deliverer:
    """The handler of "deliver" jobs."""

    def __init__(self, context: FleetContext, targets: Mapping[str, Deliver]) -> None:
        self._context, self._targets = context, targets

    async def __call__(self, job: Job) -> bool:
        """Deliver the item of a job; whether its state has changed."""
        context = self._context
        item = context.store.item(int(job.id))
        if item.state is ItemState.APPROVED:
            if not context.store.change_item(
                item.id, ItemState.APPROVED, ItemState.DELIVERING, why=item.why, is_durable=False
            ):
                return False
        elif item.state is not ItemState.DELIVERING:
            return False
        kind = context.spec.sections.deliver.to
        begun = context.work.begin_delivery(
            context.fleet.id, item.id, key=f"{context.fleet.name}/{item.key}", kind=kind
        )
        try:
            delivered = await asyncio.to_thread(self._targets[kind], self._delivery(item))
        except errors.PatchConflictError as error:
            return self._finish(item, begun, ItemState.CONFLICT, error=str(error))
        except errors.CoatcheckError as error:
            text = " ".join(filter(None, (f"{error};", error.remedy))).rstrip(";")
            return self._finish(item, begun, ItemState.FAILED, error=text)
        return self._finish(
            item, begun, ItemState.DELIVERED, branch=delivered.branch, commit=delivered.commit, url=delivered.url
        )

    def _delivery(self, item: FleetItem) -> Delivery:
        context = self._context
        candidate = context.store.candidate(item.chosen or 0)
        sections = context.spec.sections
        key = f"{context.fleet.name}/{item.key}"
        title = item.title or f"{context.fleet.name}: {item.key}"
        return Delivery(
            fleet=context.fleet.name,
            key=key,
            item=item,
            patch=Patch.parse(context.submissions.patch(candidate.patch or "")),
            base=candidate.base_commit or item.base_commit,
            branch=sections.deliver.branch.format(fleet=context.fleet.name, key=slug(item.key)),
            message=f"{title}\n\nCoatcheck-Task: {candidate.ref}\nCoatcheck-Delivery: {key}\n",
            task=str(candidate.ref),
        )

    def _finish(self, item: FleetItem, begun: FleetDelivery, state: ItemState, **result: str | None) -> bool:
        context = self._context
        places = {name: value for name, value in result.items() if name != "error"}
        fields = places if state is ItemState.DELIVERED else {}
        events = event_values.changed(
            context.fleet.name, item, state, context.clock.time(), by=None, why=result.get("error"), **fields
        )
        return context.work.finish_delivery(begun, state, events=events, **result)


class PatchFiles:
    """Delivers patches as files in a folder, named by the keys of items."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, delivery: Delivery) -> Delivered:
        """Write the patch; raises `ConfigurationError` where the folder cannot be written."""
        path = self._folder / f"{slug(delivery.item.key)}.patch"
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(bytes(delivery.patch))
            unfinished.replace(path)
        except OSError as error:
            raise errors.ConfigurationError(
                f"{path} cannot be written: {error.strerror}", remedy="set deliver.folder to a folder of yours"
            ) from None
        return Delivered(url=str(path))


class Branches:
    """Delivers changes as branches of the repositories: one commit on the base, pushed and never forced."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    def __call__(self, delivery: Delivery) -> Delivered:
        """Push the branch. Raises `ConfigurationError` for a branch with another change, or one that may not be pushed."""
        name = delivery.item.repository or ""
        with self._repositories.clone(name, delivery.base) as clone:
            place = self._repositories.place(name)
            applied = delivery.patch.verify(base=clone).commit(
                clone, branch=delivery.branch, message=delivery.message, start=delivery.base or "HEAD"
            )
            if (known := self._repositories.branch(name, delivery.branch)) is not None:
                self._require_same(clone, place, known, delivery)
                return Delivered(branch=delivery.branch, commit=known)
            self._repositories.push(clone, place, delivery.branch)
        return Delivered(branch=delivery.branch, commit=applied.commit)

    def _require_same(self, clone: Path, place: str, known: str, delivery: Delivery) -> None:
        """Raise unless the commit *known* makes the same change on the same base."""
        trees = self._repositories.trees(clone, place, delivery.branch, known)
        if trees is None or trees[0] != trees[1]:
            raise errors.ConfigurationError(
                f"the branch {delivery.branch} of {delivery.item.repository} exists with another change",
                remedy="delete or rename it, then run: coatcheck fleet retry NAME KEY",
            )


def slug(key: str) -> str:
    """Return an item's key as the name of a file or a branch: with a part of its digest where characters are replaced."""
    import hashlib

    text = re.sub(r"[^A-Za-z0-9_]+", "-", key).strip("-")[:80] or "item"
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return text if text == key else f"{text}-{digest}"
