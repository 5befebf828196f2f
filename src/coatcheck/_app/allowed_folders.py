"""The folders in which a program may change checkouts.

Guarantee: a checkout is allowed only if its real path, after every symbolic link, is an allowed folder or is in one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from .. import errors
from .checkout import find_root


def allowed_checkout(directory: str, folders: Sequence[str], *, remedy: str | None = None) -> str:
    """Return the root of the checkout that contains *directory*. Raises `PermissionDeniedError` unless it is allowed.

    A relative *directory* is relative to the first of *folders*. *remedy* is how a person allows another folder.
    """
    if not folders:
        raise errors.PermissionDeniedError("no folder may be changed", status=403)
    if "\0" in directory:
        raise errors.ConfigurationError("the folder has a NUL in its name", remedy="name a git checkout")
    path = os.path.realpath(os.path.join(folders[0], directory))
    _require_allowed(path, directory, folders, remedy)
    if not os.path.isdir(path):
        raise errors.ConfigurationError(f"{directory} is no folder", remedy="name a git checkout")
    root = find_root(path)
    if root is None:
        raise errors.ConfigurationError(f"{directory} is not in a git checkout", remedy="name a git checkout")
    root = os.path.realpath(root)
    _require_allowed(root, f"the checkout {root}", folders, remedy)
    return root


def _require_allowed(path: str, name: str, folders: Sequence[str], remedy: str | None) -> None:
    if not any(is_inside(path, folder) for folder in folders):
        allowed = ", ".join(folders)
        raise errors.PermissionDeniedError(
            f"{name} is outside the folders that may be changed ({allowed})",
            status=403,
            remedy=remedy,
        )


def is_inside(path: str, folder: str) -> bool:
    """Whether the real path *path* is *folder* or is in it."""
    real = os.path.realpath(folder)
    try:
        return os.path.commonpath([path, real]) == real
    except ValueError:  # a path with NUL, or of another drive
        return False
