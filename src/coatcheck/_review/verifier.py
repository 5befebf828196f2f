"""Check candidates: each check on the unpatched base and on every candidate, in a sandbox (`docs/guides/checks.md`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._workspaces.cancellation import CancelScope
from ..errors import ConfigurationError
from .check_runs import split_commands
from .protected_paths import require_patterns
from .sandbox import Sandbox, unprivileged_user
from .sandbox_choice import choose_sandbox
from .unconfined import Unconfined
from .verification_folder import VerificationFolder
from .verification_results import CheckProgress, VerificationResult
from .verification_run import Tools, VerificationRun

if TYPE_CHECKING:
    from .._store.check_results import CheckResults
    from .candidates import Candidate
    from .checks import Verification

__all__ = ["CheckProgress", "VerificationResult", "Verifier"]


def _ignore(_: CheckProgress) -> None:
    """Report no progress."""


class Verifier:
    """Run the checks of *verification* on candidates for *repository*, a checkout or a bare repository of the person.

    *folder* is a private folder for mirrors and the results of setups, kept between runs. *results* is the cache in the
    store. *workers* sandboxes run at once. Commands get PATH and LANG of *environ*, and no other variable of it.
    """

    def __init__(
        self,
        repository: Path,
        verification: Verification,
        *,
        folder: Path,
        results: CheckResults | None = None,
        workers: int = 2,
        environ: Mapping[str, str],
    ) -> None:
        self._repository, self._verification, self._folder = repository, verification, folder
        self._results, self._workers, self._environ = results, workers, environ
        self._tools: Tools | None = None
        self._lock = threading.Lock()

    def verify(
        self,
        candidates: Sequence[Candidate],
        *,
        base: str,
        on_progress: Callable[[CheckProgress], None] = _ignore,
        scope: CancelScope | None = None,
    ) -> Sequence[VerificationResult]:
        """Return what the checks found about each candidate, in their order.

        *base* is a revision of the repository. What is wrong with one candidate, or with the base, is in the results.
        *on_progress* is called from other threads, by one at a time.
        Raises `ConfigurationError` where there is no sandbox or a command cannot be split into words, and
        `cancellation.Stopped` when *scope* ends.
        """
        tools = self._prepared()
        outer = scope or CancelScope()
        inner = CancelScope(outer.remaining())
        with outer.on_cancel(inner.cancel), tools.folder.open_run() as run:
            return VerificationRun(tools, run, scope=inner, on_progress=on_progress).verify(candidates, base)

    def prepare(self) -> None:
        """Find the sandbox, and split the commands. Raises `ConfigurationError` where no check could run."""
        self._prepared()

    def _prepared(self) -> Tools:
        """Return the sandbox and the folders, which are made once."""
        with self._lock:
            if self._tools is None:
                self._tools = self._prepare()
            return self._tools

    def _prepare(self) -> Tools:
        verification = self._verification
        words = split_commands(verification)
        require_patterns(verification.protected, str(self._repository.absolute()))
        user = None if verification.sandbox == "none" else unprivileged_user()
        try:
            folder = VerificationFolder(self._folder, user)
        except OSError as error:
            raise ConfigurationError(
                f"the folder {self._folder} cannot be used for checks: {error.strerror or error}",
                remedy="make it writable, or use another state folder",
            ) from None
        if verification.checks:
            sandbox: Sandbox = choose_sandbox(verification, folder=folder.path, environ=self._environ)
        else:
            sandbox = Unconfined(environ=self._environ)
        return Tools(
            verification=verification,
            words=words,
            sandbox=sandbox,
            folder=folder,
            repository=self._repository,
            results=self._results,
            environ=self._environ,
            workers=self._workers,
        )
