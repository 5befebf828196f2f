"""Sizes of the files of a checkout that a patch changes or copies, for the limits of a policy."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .checkout import Checkout
from .path_rules import is_inside

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .file_change import FileChange
    from .size_rules import SizeOf

# The base comes from a service: a commit or a branch, and one argument of git's batch.
_NAME = re.compile(r"[\w./-]+", re.ASCII)
_OBJECT = re.compile(rb"[0-9a-f]{40,64} (?:blob|tree|commit|tag) (\d+)")


def sizes_before(changes: Iterable[FileChange], checkout: str | os.PathLike[str], base: str | None) -> SizeOf:
    """Return the size of a file: in the work tree of *checkout* or in the version that *changes* were written for.

    The larger of both counts, since a patch that does not fit the one is applied to the other. *base* is a commit.
    """
    place = Checkout.at(checkout)
    in_base = _sizes_in_repository(changes, place, base)

    def size_of(path: str) -> int | None:
        sizes = (_size_in_tree(place.root, path), in_base.get(path))
        return max((size for size in sizes if size is not None), default=None)

    return size_of


def _size_in_tree(root: str, path: str) -> int | None:
    if not is_inside(path):
        return None
    try:
        return os.lstat(os.path.join(root, path)).st_size
    except (OSError, ValueError):
        return None


def _sizes_in_repository(changes: Iterable[FileChange], place: Checkout, base: str | None) -> dict[str, int]:
    """Return the size of each file that *changes* were written for, by its old path, where it is in the repository."""
    blobs = {change.old_path: change.old_id for change in changes if change.old_path and "\n" not in change.old_path}
    names = [(path, blob) for path, blob in blobs.items() if blob]
    if base is not None and _NAME.fullmatch(base):
        names += [(path, f"{base}:{path}") for path in blobs]
    requests = "".join(f"{name}\n" for _, name in names).encode("utf-8", "surrogateescape")
    answer = place.git("cat-file", "--batch-check", stdin=requests) if names else b""
    sizes: dict[str, int] = {}
    for (path, _), line in zip(names, answer.split(b"\n"), strict=False):
        if facts := _OBJECT.fullmatch(line):
            sizes[path] = max(sizes.get(path, 0), int(facts[1]))
    return sizes
