"""The size of a diff, for services that send a diff and no counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors

if TYPE_CHECKING:
    from .._patches.parse import Patch
    from .._patches.patch_stats import DiffStats


def count_diff(patch: Patch | None) -> DiffStats | None:
    """Return how many files and lines *patch* changes, None for no diff and for one that cannot be read."""
    from .._patches.patch_stats import DiffStats  # most responses have no diff

    try:
        stats = patch.stats if patch is not None else None
    except errors.PatchError:
        return None
    return DiffStats(files=stats.files, added=stats.added, removed=stats.removed) if stats else None
