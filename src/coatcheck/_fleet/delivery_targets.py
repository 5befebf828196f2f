"""Where changes are delivered: as patch files, and as branches of the repositories."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from .. import errors
from .branch_names import slug
from .branch_push import BranchPush
from .delivery import Delivered, Delivery
from .git_token import access_of_user
from .repositories import Repositories


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
    """Delivers changes as branches of the repositories: one commit on the base, with the user's own credentials."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    def __call__(self, delivery: Delivery) -> Delivered:
        """Push the branch. Raises `ConfigurationError` for a branch with another change, or one that may not be pushed."""
        name = delivery.item.repository or ""
        with self._repositories.clone(name, delivery.base) as clone:
            push = BranchPush(clone, partial(access_of_user, self._repositories.place(name)))
            return Delivered(branch=delivery.branch, commit=push.deliver(delivery))
