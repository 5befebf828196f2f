"""Apply the patch of a task or a file to a checkout, or commit it, after verifying it; undo the last application.

Guarantees: a patch that verification rejects changes nothing, and files with uncommitted changes are not overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from .. import errors
from .._values.value import Value
from .field_errors import FieldError
from .patch_files import PatchOptions, read_text

if TYPE_CHECKING:
    from .._model.outcome import Outcome
    from .._model.tasks import Task
    from .._patches.apply import AppliedPatch, FileOutcome
    from .._patches.file_change import FileChange
    from .._patches.parse import Patch
    from .._patches.policy import Finding, Policy
    from .._patches.repair_rows import Repair
    from .._patches.undo_journal import UndoResult
    from .._patches.verify import VerifiedPatch
    from .outcomes import ChosenPatch

# How many paths an error names at most.
MAX_NAMES = 10


class ApplyOptions(Value, frozen=True, kw_only=True):
    """How to apply a patch: which files, where, and which findings reject it."""

    check: bool = False
    index: bool = False
    markers: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    commit: bool = False
    repair: bool = False
    branch: str | None = None
    start: str | None = None
    reject: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    strict: bool = False
    strip: int | None = None
    directory: str | None = None

    @classmethod
    def of(cls, **values: object) -> Self:
        """Return options. Raises `ConfigurationError` for those that contradict one another."""
        options = cls(**values)  # type: ignore[arg-type]  # the caller has checked the types
        in_tree = [name for name in ("check", "index", "markers", "commit") if getattr(options, name)]
        if options.branch is not None and in_tree:
            raise FieldError(
                f"{{branch}} and {{{in_tree[0]}}} cannot be combined",
                fields=("branch", in_tree[0]),
                remedy="{branch} does not change the files of the checkout",
            )
        if options.commit and options.markers:
            raise FieldError(
                "{commit} and {markers} cannot be combined",
                fields=("commit", "markers"),
                remedy="{commit} applies all of the patch or nothing",
            )
        if options.start is not None and options.branch is None:
            raise FieldError("{start} needs {branch}", fields=("start", "branch"), remedy="pass {branch} NAME as well")
        return options

    def for_read_patch(self) -> Self:
        """Return the options without those for reading a patch, for one that was read with them."""
        from msgspec.structs import replace

        return replace(self, strip=None, directory=None, repair=False)

    def policy(self) -> Policy:
        """Return the rules to verify the patch by. Raises `ConfigurationError` for unknown rules."""
        from .._patches.policy import STRICT, Policy

        if self.strict:
            return Policy(reject=(STRICT - set(self.ignore)) | set(self.reject), ignore=self.ignore)
        return Policy(reject=self.reject, ignore=self.ignore)


class ApplyReport(NamedTuple):
    """What an application did, or with `ApplyOptions.check` would do.

    `changes` are the file changes that were applied, `left_out` the paths that the options excluded, `repairs` what
    was repaired in the patch.
    """

    applied: AppliedPatch
    findings: tuple[Finding, ...]
    changes: tuple[FileChange, ...]
    left_out: tuple[str, ...]
    repairs: tuple[Repair, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every change of the patch is in the checkout."""
        return self.applied.is_complete

    def file_changes(self) -> Iterator[tuple[FileOutcome, str | None]]:
        """Yield each file's outcome, and the status of the change that the patch makes to it."""
        statuses: dict[str, list[str]] = {}
        for change in self.changes:
            statuses.setdefault(change.path, []).append(change.status.value)
        for file in self.applied.files:
            remaining = statuses.get(file.path)
            yield file, remaining.pop(0) if remaining else None


class UndoReport(NamedTuple):
    """What undoing did; `removed` are the restored paths at which no file existed before the application."""

    result: UndoResult
    removed: frozenset[str]

    @property
    def is_complete(self) -> bool:
        """Whether every file was restored."""
        return not self.result.refused


def apply_patch(
    root: str,
    chosen: ChosenPatch,
    options: ApplyOptions | None = None,
    *,
    task: Task | None = None,
    message: str | None = None,
    repairs: tuple[Repair, ...] = (),
    on_findings: Callable[[Sequence[Finding]], None] | None = None,
    on_repairs: Callable[[Sequence[Repair]], None] | None = None,
) -> ApplyReport:
    """Apply the patch of an outcome to the checkout at *root*, and commit it where the options choose that.

    *message* is that of the commit, without it the outcome's own. *repairs* were made in the patch before.
    *on_repairs* is called with all repairs, *on_findings* with what verification warns about, before anything is
    changed. Raises `PatchRejectedError` for a patch that must not be applied, `PatchConflictError` where `--commit`
    cannot apply all of it, and while another attempt of *task* is applied.
    """
    options = options or ApplyOptions()
    outcome = chosen.outcome
    whole, more_repairs = _whole_patch(root, outcome, options)
    repairs = (*repairs, *more_repairs)
    if on_repairs is not None:
        on_repairs(repairs)
    verified = _verify(root, whole, options)
    paths = {change.path for change in verified.changes}
    left_out = tuple(path for path in _paths(whole) if path not in paths)
    if message is None:
        message = outcome.commit_message(trailers=(task.trailer,) if task else ())
    # The application reports what does not fit, and may merge it.
    findings = tuple(finding for finding in verified.findings if finding.rule != "misfit")
    if on_findings is not None:
        on_findings(findings)
    if options.branch is not None:
        applied = _commit(root, outcome, verified, options, message=message)
    else:
        applied = verified.apply(
            root,
            index=options.index,
            check=options.check,
            markers=options.markers,
            partial=True,
            base=outcome.base_commit,
            task=task and task.ref,
            attempt=chosen.number or 1,
            commit=message if options.commit else None,
        )
    return ApplyReport(applied, findings, tuple(verified.changes), left_out, repairs)


def _paths(patch: Patch) -> list[str]:
    return list(dict.fromkeys(change.path for change in patch.files))


def _whole_patch(root: str, outcome: Outcome, options: ApplyOptions) -> tuple[Patch, tuple[Repair, ...]]:
    """Return the outcome's patch, read or repaired as the options choose, and the repairs."""
    if outcome.patch is None:
        raise errors.TaskError("there is no diff to apply")
    if not options.repair and options.strip is None and options.directory is None:
        return outcome.patch, ()
    reading = PatchOptions(options.strip, options.directory, options.repair, root)
    return read_text(bytes(outcome.patch), reading)


def _verify(root: str, whole: Patch, options: ApplyOptions) -> VerifiedPatch:
    """Return the selected part of the patch, verified."""
    is_selected = bool(options.include or options.exclude)
    patch = whole.select(include=options.include, exclude=options.exclude) if is_selected else whole
    if is_selected and not patch:
        names = ", ".join(change.path for change in whole.files[:MAX_NAMES])
        raise FieldError(
            "{include} and {exclude} leave no file of the patch",
            fields=("include", "exclude"),
            remedy="the patch changes {names}",
            names=names,
        )
    return patch.verify(base=root, policy=options.policy())


def _commit(
    root: str, outcome: Outcome, verified: VerifiedPatch, options: ApplyOptions, *, message: str
) -> AppliedPatch:
    """Create the branch with one commit."""
    try:
        return verified.commit(root, branch=options.branch or "", message=message, start=options.start or "HEAD")
    except errors.PatchConflictError as error:
        if outcome.base_commit and options.start is None:
            remedy = f"start at the commit that the patch was made for: start={outcome.base_commit}"
            raise errors.PatchConflictError(str(error), files=error.files, remedy=remedy) from None
        raise


def undo_last(root: str) -> UndoReport:
    """Restore what the last application in the checkout changed. Raises `PatchConflictError` where there was none."""
    from .._patches.undo_journal import undo

    result = undo(root)
    removed = frozenset(path for path in result.restored if not os.path.lexists(os.path.join(root, path)))
    return UndoReport(result, removed)
