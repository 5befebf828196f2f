"""The folder, the settings and the environment that a use case works with."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .. import errors
from .checkout import find_root, repositories

if TYPE_CHECKING:
    from .._runtime.config import Config


class Workspace:
    """A folder, its settings, and the provider to use where no task names one."""

    def __init__(self, folder: str, *, config: Config, environ: Mapping[str, str], provider: str) -> None:
        self.folder, self.config, self.environ, self.provider = folder, config, environ, provider

    @functools.cached_property
    def root(self) -> str | None:
        """The root of the git checkout that contains the folder, None outside a checkout."""
        return find_root(self.folder)

    def require_root(self) -> str:
        """Return the root of the checkout. Raises `ConfigurationError` outside one."""
        if self.root is None:
            raise errors.ConfigurationError(
                f"{self.folder} is not in a git checkout", remedy="change to a clone of the repository"
            )
        return self.root

    def environment_names(self) -> tuple[str, ...]:
        """Return the names under which a local cloud may serve the checkout: its path and its repositories."""
        if self.root is None:
            return ()
        return (os.path.realpath(self.root), *repositories(self.root))
