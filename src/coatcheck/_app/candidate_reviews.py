"""Review candidates that refs and patch files name, and apply the one that is chosen.

Invariants:
- each name gives at least one candidate; a task or a file that cannot be read is one with an `error`;
- what is applied is the patch that was checked, and nothing is applied where nothing was chosen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .apply import ApplyOptions, ApplyReport, apply_patch
from .outcomes import ChosenPatch, load_task, outcome_of
from .task_history import level_of, location_of

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef
    from .._patches.policy import Finding
    from .._protocol.effects import Clock
    from .._review.candidates import Candidate
    from .._review.checks import CheckResult
    from .._review.ranking import Ranking
    from .._review.review import ReviewRequest, ReviewTools
    from .._runtime.config import Config
    from .patch_files import PatchFile, PatchOptions
    from .task_history import TaskReader


class CandidateSource(NamedTuple):
    """A candidate, and the task or the patch file that it comes from."""

    candidate: Candidate
    task: Task | None = None
    file: PatchFile | None = None


def read_task_candidates(reader: TaskReader, ref: TaskRef) -> list[CandidateSource]:
    """Return a candidate for each attempt of a task."""
    from .._review.candidate_sources import task_candidates

    task = load_task(reader, ref)
    return [CandidateSource(candidate, task=task) for candidate in task_candidates(task)]


def read_file_candidate(
    name: str, folder: str, *, stdin: Callable[[], bytes], options: PatchOptions
) -> CandidateSource:
    """Return the candidate of a patch file. Raises `ConfigurationError` for a file that cannot be read."""
    from .._review.candidate_sources import patch_candidate
    from .patch_files import read_patch_file, shown

    try:
        file = read_patch_file(name, folder, stdin=stdin, options=options)
    except errors.PatchError as error:
        return failed_candidate(shown(name), error)
    return CandidateSource(patch_candidate(shown(name), file.patch), file=file)


def failed_candidate(name: str, error: errors.CoatcheckError) -> CandidateSource:
    """Return the candidate of a task or a file that could not be read."""
    from .._review.candidates import Candidate

    reason = str(error).removeprefix(f"{name}: ")
    return CandidateSource(Candidate(name=name, error=f"{reason}; {error.remedy}" if error.remedy else reason))


def find_repository(folder: str) -> Path:
    """Return the root of the checkout that contains *folder*, or *folder* itself where it is a bare repository.

    Raises `ConfigurationError` where it is neither.
    """
    from .._patches.git import GitError, git
    from .checkout import find_root

    if not os.path.isdir(folder):
        raise errors.ConfigurationError(
            f"there is no folder {folder}",
            remedy="name a checkout or a bare repository, as in: coatcheck review --repository DIR",
        )
    if root := find_root(os.path.abspath(folder)):
        return Path(root)
    try:
        found = git("rev-parse", "--absolute-git-dir", folder=folder)
    except GitError:
        remedy = "run it in a checkout, or name one, as in: coatcheck review --repository DIR"
        raise errors.ConfigurationError(f"{folder} is not in a git repository", remedy=remedy) from None
    return Path(os.fsdecode(found.removesuffix(b"\n")))


def require_work_tree(repository: Path) -> None:
    """Raise `ConfigurationError` where *repository* has no files to apply a patch to."""
    if not (repository / ".git").exists():
        raise errors.ConfigurationError(
            f"{repository} is a bare repository, in which nothing can be applied",
            remedy="name a checkout of it, as in: coatcheck review --repository DIR",
        )


@contextmanager
def review_tools(config: Config, *, clock: Clock, is_cached: bool = True) -> Iterator[ReviewTools]:
    """Return what reviews use: the folder of clones and setups in the state folder, and the results of earlier checks.

    Without *is_cached*, and where the history is off, every check is run again.
    """
    from .._review.review import ReviewTools
    from .._runtime.config import state_dir
    from .._store.check_results import CheckResults
    from .._store.location import open_database

    tools = ReviewTools(Path(state_dir(config.environ)) / "reviews", config.environ)
    if not is_cached or level_of(config) == "off":
        yield tools
        return
    database = open_database(location_of(config))
    try:
        yield tools._replace(results=CheckResults(database, clock=clock))
    finally:
        database.close()


def check_output(config: Config, result: CheckResult, *, clock: Clock) -> bytes:
    """Return all the output of a check that was captured, the end of it where the store does not have it."""
    from .._store.check_results import CheckResults
    from .._store.location import open_database

    if result.log_digest is None or level_of(config) == "off":
        return result.log.encode()
    with closing(open_database(location_of(config))) as database:
        try:
            return CheckResults(database, clock=clock).log(result.log_digest)
        except ValueError:
            return result.log.encode()


def apply_choice(
    request: ReviewRequest,
    ranking: Ranking,
    sources: Sequence[CandidateSource],
    options: ApplyOptions,
    *,
    on_findings: Callable[[Sequence[Finding]], None] | None = None,
) -> ApplyReport:
    """Apply the chosen candidate to the checkout, as `apply` does. Raises `TaskError` where nothing was chosen."""
    if ranking.choice is None:
        raise errors.TaskError(f"nothing was applied: {ranking.reason}", remedy="apply one with: coatcheck apply REF")
    root = str(request.repository)
    source = next(source for source in sources if source.candidate.name == ranking.choice)
    if source.file is not None:
        from .patch_files import commit_message

        chosen = ChosenPatch(None, source.file.outcome)
        return apply_patch(root, chosen, options, message=commit_message(source.file), on_findings=on_findings)
    assert source.task is not None  # noqa: S101 - it is the one or the other
    outcome = outcome_of(source.task, source.candidate.attempt)
    assert outcome is not None  # noqa: S101 - the chosen candidate has a patch
    return apply_patch(
        root, ChosenPatch(source.candidate.attempt, outcome), options, task=source.task, on_findings=on_findings
    )
