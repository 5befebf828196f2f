"""Land a patch in a checkout: judged first, then applied, and told file by file; or take the last one back."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from .. import errors
from .._values.value import Value
from .console import Line, Styled
from .exit_codes import ExitCode
from .formatting import plural
from .json_output import Fields, to_object

if TYPE_CHECKING:
    from .._model.outcome import Outcome
    from .._model.tasks import Task
    from .._patches.apply import AppliedPatch, FileOutcome
    from .._patches.file_change import FileChange
    from .._patches.policy import Finding, Policy
    from .._patches.undo_journal import UndoResult
    from .._patches.verify import VerifiedPatch
    from .context import CommandContext

# What a person reads before the rest is for programs: more warnings than these are counted.
MOST_WARNINGS = 10
# git's own default for short ids in a repository of this size and up to 16,000 objects (core.abbrev).
SHORT_ID = 7

STATUS_STYLES: Mapping[str, str] = {"applied": "green", "merged": "green", "skipped": "yellow", "conflicted": "red"}

# What became of a file -> what is said of it: after the fact, and with --check.
RESULTS: Mapping[str, tuple[str, str]] = {
    "applied": ("applied", "would apply"),
    "deleted": ("deleted", "would delete"),
    "merged": ("merged", "would merge"),
    "skipped": ("skipped", "would skip"),
    "conflicted": ("conflicted", "would conflict"),
}

# What is added to those objects from elsewhere.
MORE_OF_FILE: Fields[object] = {
    "change": ("what the patch does to the file: the words of a change object's status", str),
    "result": ('what became of it in words: "applied", "deleted", "would merge" …', str),
}
MORE_OF_APPLICATION: Fields[object] = {
    "left_out": ("paths of the patch that --include and --exclude left out", str),
    "findings": ("what verification warned about: finding objects", str),
}
MORE_OF_UNDOING: Fields[object] = {
    "removed": ("those of `restored` that the application had added, and that are gone", str),
}


class ApplyOptions(Value, frozen=True, kw_only=True):
    """What somebody wants of an application."""

    check: bool = False
    index: bool = False
    markers: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    branch: str | None = None
    start: str | None = None
    reject: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    strict: bool = False
    strip: int | None = None
    directory: str | None = None

    @classmethod
    def of(cls, **options: object) -> Self:
        """Read options. Raises `ConfigurationError` for those that do not go together."""
        order = cls(**options)  # type: ignore[arg-type]  # click has checked them
        in_tree = [f"--{name}" for name in ("check", "index", "markers") if getattr(order, name)]
        if order.branch is not None and in_tree:
            message = f"--branch and {in_tree[0]} do not go together"
            raise errors.ConfigurationError(message, remedy="a branch leaves the files as they are")
        if order.start is not None and order.branch is None:
            raise errors.ConfigurationError("--start is where a branch starts", remedy="give --branch as well")
        return order

    def policy(self) -> Policy:
        """Return what the patch is judged by. Raises `ConfigurationError` for rules that are none."""
        from .._patches.policy import STRICT, Policy

        if self.strict:
            return Policy(reject=(STRICT - set(self.ignore)) | set(self.reject), ignore=self.ignore)
        return Policy(reject=self.reject, ignore=self.ignore)


class ApplyReport:
    """What an application did, or with ``--check`` would do."""

    def __init__(
        self, applied: AppliedPatch, findings: Sequence[Finding], changes: Iterable[FileChange], left_out: Sequence[str]
    ) -> None:
        """*changes* are those that were applied, *left_out* the paths that the options left out."""
        self._applied, self._findings, self._left_out = applied, findings, left_out
        self._changes: dict[str, list[str]] = {}
        for change in changes:
            self._changes.setdefault(change.path, []).append(change.status.value)

    @property
    def code(self) -> ExitCode:
        """The exit code: done only when everything that the patch wants is there."""
        return ExitCode.DONE if self._applied.is_complete else ExitCode.PATCH

    def document(self) -> dict[str, object]:
        """Return it as a JSON object."""
        files = [{**to_object(file), "change": change, "result": result} for file, change, result in self._results()]
        return {
            **to_object(self._applied),
            "files": files,
            "next_steps": self._next_steps(),
            "left_out": list(self._left_out),
            "findings": [to_object(finding) for finding in self._findings],
        }

    def lines(self) -> list[Line]:
        """Return a line per file, what it comes to, and what to do next."""
        known = list(self._results())
        width = max(10, *(len(result) for _, _, result in known)) if known else 10
        lines = [_landed_line(file, result.ljust(width)) for file, _, result in known]
        left_out = [(Styled("left out".ljust(width), "dim"), f"  {path}") for path in self._left_out]
        return [*lines, *left_out, self._sum(), *self._next_steps()]

    def _next_steps(self) -> list[str]:
        """Return what to do next; git diff does not show files that git does not know."""
        is_new = all(change == "added" for file, change, _ in self._results() if file.status in ("applied", "merged"))
        steps = self._applied.next_steps
        return ["git status shows it" if is_new and step == "git diff shows it" else step for step in steps]

    def _results(self) -> Iterator[tuple[FileOutcome, str | None, str]]:
        """Yield each file, what the patch does to it, and what became of it in words."""
        left = {path: list(changes) for path, changes in self._changes.items()}
        for file in self._applied.files:
            changes = left.get(file.path)
            change = changes.pop(0) if changes else None
            word = "deleted" if file.status == "applied" and change == "deleted" else file.status
            yield file, change, RESULTS.get(word, (word, f"would be {word}"))[self._applied.is_check]

    def _sum(self) -> str:
        done = self._applied
        left_out = f", left out {len(self._left_out)}" if self._left_out else ""
        if done.branch is not None:
            short = (done.commit or "")[:SHORT_ID]
            return f"committed {plural(len(done.files), 'file')} to {done.branch} ({short}){left_out}"
        would = "would " if done.is_check else ""
        deleted = sum(1 for _, _, result in self._results() if result in RESULTS["deleted"])
        counts = [f"{would}apply" if would else "applied", plural(len(done.applied) - deleted, "file")]
        words = [" ".join(counts)] if deleted < len(done.applied) or not deleted else []
        words += [f"{would}{'delete' if would else 'deleted'} {plural(deleted, 'file')}"] if deleted else []
        words += [f"{would}{'skip' if would else 'skipped'} {len(done.skipped)}"] if done.skipped else []
        words += [f"{'would be ' if would else ''}in conflict {len(done.conflicted)}"] if done.conflicted else []
        return ", ".join(words) + left_out


def _landed_line(each: FileOutcome, result: str) -> Line:
    name = f"{each.old_path} => {each.path}" if each.old_path else each.path
    kind = f" ({each.kind})" if each.status == "conflicted" else ""
    why = f": {each.detail}" if each.detail else ""
    return Styled(result, STATUS_STYLES.get(each.status, "bold")), f"  {name}{kind}{why}"


class UndoReport:
    """What undoing did."""

    def __init__(self, undone: UndoResult, removed: Collection[str]) -> None:
        """*removed* are the restored paths at which no file was before the application, and none is now."""
        self._undone, self._removed = undone, removed

    @property
    def code(self) -> ExitCode:
        """The exit code: done only when everything is as it was."""
        return ExitCode.PATCH if self._undone.refused else ExitCode.DONE

    def document(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return {
            **to_object(self._undone),
            "removed": [path for path in self._undone.restored if path in self._removed],
        }

    def lines(self) -> list[Line]:
        """Return a line per file, and what it comes to."""
        done = self._undone
        restored = [
            (Styled("removed   " if path in self._removed else "restored  ", "green"), f"  {path}")
            for path in done.restored
        ]
        refused = [(Styled("skipped   ", "yellow"), f"  {path}: it was edited since") for path in done.refused]
        branch = [f"removed the branch {done.branch}"] if done.branch else []
        branch += [f"kept the branch {done.kept_branch}: it has other commits now"] if done.kept_branch else []
        counts = [self._sum()] if done.restored or not branch else []
        left = plural(done.remaining, "earlier application")
        remaining = [f"{left} can be undone: coatcheck apply --undo"] if done.remaining else []
        return [*restored, *refused, *counts, *branch, *remaining]

    def _sum(self) -> str:
        removed = len(self._removed)
        restored = len(self._undone.restored) - removed
        words = [f"restored {plural(restored, 'file')}"] if restored or not removed else []
        words += [f"removed {plural(removed, 'new file')}"] if removed else []
        return ", ".join(words)


def take_back(run: CommandContext) -> UndoReport:
    """Restore what the last application changed. Raises `PatchConflictError` where there was none."""
    from .._patches.undo_journal import undo

    root = checkout_of(run)
    undone = undo(root)
    return UndoReport(undone, {path for path in undone.restored if not os.path.lexists(os.path.join(root, path))})


def land(
    run: CommandContext,
    made: Outcome,
    *,
    order: ApplyOptions | None = None,
    task: Task | None = None,
    attempt: int | None = None,
) -> ApplyReport:
    """Apply what was made to the checkout we stand in, or commit it to a branch; warnings go to stderr.

    Raises `PatchRejectedError` for a patch that must not be applied, `PatchConflictError` while another attempt of
    *task* is applied, `ConfigurationError` outside a checkout.
    """
    order = order or ApplyOptions()
    verified = _judged(run, made, order)
    left_out = [path for path in _paths(made) if path not in {change.path for change in verified.changes}]
    # What does not fit is told by the application itself, which may merge it.
    warnings = [finding for finding in verified.findings if finding.rule != "misfit"]
    _warn(run, warnings)
    if order.branch is not None:
        return ApplyReport(_commit(run, made, verified, order, task=task), warnings, verified.changes, left_out)
    applied = verified.apply(
        checkout_of(run),
        index=order.index,
        check=order.check,
        markers=order.markers,
        partial=True,
        base=made.base_commit,
        task=task and task.ref,
        attempt=attempt or 1,
    )
    return ApplyReport(applied, warnings, verified.changes, left_out)


def _paths(made: Outcome) -> list[str]:
    return list(dict.fromkeys(change.path for change in made.patch.files)) if made.patch else []


def _judged(run: CommandContext, made: Outcome, order: ApplyOptions) -> VerifiedPatch:
    """Return the wanted part of the patch, judged."""
    if made.patch is None:
        raise errors.TaskError("there is no diff to apply")
    whole = made.patch
    if order.strip is not None or order.directory is not None:
        whole = type(whole).parse(bytes(whole), strip=order.strip, directory=order.directory)
    is_chosen = bool(order.include or order.exclude)
    patch = whole.select(include=order.include, exclude=order.exclude) if is_chosen else whole
    if is_chosen and not patch:
        names = ", ".join(change.path for change in whole.files[:MOST_WARNINGS])
        raise errors.ConfigurationError("no file of the patch is chosen", remedy=f"it changes {names}")
    return patch.verify(base=checkout_of(run), policy=order.policy())


def _warn(run: CommandContext, warnings: Sequence[Finding]) -> None:
    run.note(*((Styled("warning: ", "yellow"), str(finding)) for finding in warnings[:MOST_WARNINGS]))
    if len(warnings) > MOST_WARNINGS:
        run.note(f"and {plural(len(warnings) - MOST_WARNINGS, 'more warning')}; --json has them all")


def _commit(
    run: CommandContext, made: Outcome, verified: VerifiedPatch, order: ApplyOptions, *, task: Task | None
) -> AppliedPatch:
    """Make the branch, with the pull request's title and text and a trailer that names the task."""
    message = made.commit_message(trailers=(task.trailer,) if task else ())
    try:
        return verified.commit(
            checkout_of(run), branch=order.branch or "", message=message, start=order.start or "HEAD"
        )
    except errors.PatchConflictError as error:
        if made.base_commit and order.start is None:
            remedy = f"start it where the patch was made for: --start {made.base_commit}"
            raise errors.PatchConflictError(str(error), files=error.files, remedy=remedy) from None
        raise


def checkout_of(run: CommandContext) -> str:
    """Return the checkout we stand in. Raises `ConfigurationError` where we stand in none."""
    if run.root is None:
        raise errors.ConfigurationError(
            f"{run.process_env.folder} is no git checkout", remedy="go to a clone of the repository"
        )
    return run.root
