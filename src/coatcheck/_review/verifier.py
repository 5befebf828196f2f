"""Check candidates: each check on the unpatched base and on every candidate, in a sandbox (`docs/guides/checks.md`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .verification_results import CheckProgress, VerificationResult

if TYPE_CHECKING:
    from .._store.check_results import CheckResults
    from .._workspaces.cancellation import CancelScope
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
        Raises `ConfigurationError` where there is no sandbox or a command cannot be split into words, and
        `cancellation.Stopped` when *scope* ends.
        """
        return [VerificationResult(candidate=each.name, unchecked="not run") for each in candidates]
