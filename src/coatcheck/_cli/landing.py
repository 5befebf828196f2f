"""Land a patch in a checkout: judged first, then applied, and told file by file; or take the last one back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from .. import errors
from .._model.value import Value
from .exit_codes import ExitCode
from .json_output import Fields, many, read
from .render import Line, Painted
from .views import plural

if TYPE_CHECKING:
    from .._model.outcome import Outcome
    from .._model.tasks import Task
    from .._patches.apply import AppliedPatch, FileOutcome
    from .._patches.journal import Undone
    from .._patches.policy import Finding, Policy
    from .._patches.verify import VerifiedPatch
    from .context import Run

# What a person reads before the rest is for programs: more warnings than these are counted.
MOST_WARNINGS = 10
# git's own default for short ids in a repository of this size and up to 16,000 objects (core.abbrev).
SHORT_ID = 7

STATUS_STYLES: Mapping[str, str] = {"applied": "green", "merged": "green", "skipped": "yellow", "conflicted": "red"}

FINDING: Fields[Finding] = {
    "rule": ("the rule that it breaks", lambda f: f.rule),
    "path": ("the file", lambda f: f.path),
    "line": ("the line, from 1; null for the whole file", lambda f: f.line),
    "severity": ('"warn" or "reject"', lambda f: f.severity),
    "detail": ("what is wrong", lambda f: f.detail),
}

LANDED_FILE: Fields[FileOutcome] = {
    "path": ("the file", lambda f: f.path),
    "old_path": ("what it was called before", lambda f: f.old_path),
    "status": ('"applied", "merged", "skipped" or "conflicted"', lambda f: f.status),
    "kind": ("why, in a word", lambda f: f.kind or None),
    "detail": ("why, in a sentence", lambda f: f.detail or None),
    "has_markers": ("whether it holds conflict markers now", lambda f: f.has_markers),
}

APPLICATION: Fields[AppliedPatch] = {
    "is_check": ("whether nothing was changed because of --check", lambda a: a.is_check),
    "is_complete": ("whether everything that the patch wants is there", lambda a: a.is_complete),
    "files": ("landed file objects", lambda a: many(LANDED_FILE, a.files)),
    "staged": ("paths that were staged", lambda a: list(a.staged)),
    "branch": ("the branch that was made", lambda a: a.branch),
    "commit": ("the commit on it", lambda a: a.commit),
    "next_steps": ("what to do next, in sentences", lambda a: list(a.next_steps)),
}


UNDONE: Fields[Undone] = {
    "restored": ("paths that are as they were", lambda u: list(u.restored)),
    "refused": ("paths that were edited since, and are left alone", lambda u: list(u.refused)),
    "branch": ("the branch that was removed", lambda u: u.branch),
}


class Order(Value, frozen=True, kw_only=True):
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
        from .._patches.policy import RULES, Policy

        if self.strict:
            return Policy(reject=RULES.keys() - set(self.ignore), ignore=self.ignore)
        return Policy(reject=self.reject, ignore=self.ignore)


class Landed:
    """What an application did, or with ``--check`` would do."""

    def __init__(self, applied: AppliedPatch, findings: Sequence[Finding]) -> None:
        self._applied, self._findings = applied, findings

    @property
    def code(self) -> ExitCode:
        """The exit code: done only when everything that the patch wants is there."""
        return ExitCode.DONE if self._applied.is_complete else ExitCode.PATCH

    def document(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return {**read(APPLICATION, self._applied), "findings": many(FINDING, self._findings)}

    def lines(self) -> list[Line]:
        """Return a line per file, what it comes to, and what to do next."""
        done = self._applied
        return [*map(_file, done.files), self._sum(), *done.next_steps]

    def _sum(self) -> str:
        done = self._applied
        if done.branch is not None:
            return f"committed {plural(len(done.files), 'file')} to {done.branch} ({(done.commit or '')[:SHORT_ID]})"
        verb = "would apply" if done.is_check else "applied"
        counts = [f"{verb} {plural(len(done.applied), 'file')}"]
        counts += [f"skipped {len(done.skipped)}"] if done.skipped else []
        counts += [f"in conflict {len(done.conflicted)}"] if done.conflicted else []
        return ", ".join(counts)


def _file(each: FileOutcome) -> Line:
    name = f"{each.old_path} => {each.path}" if each.old_path else each.path
    kind = f" ({each.kind})" if each.status == "conflicted" else ""
    why = f": {each.detail}" if each.detail else ""
    return Painted(f"{each.status:<10}", STATUS_STYLES.get(each.status, "bold")), f"  {name}{kind}{why}"


class TakenBack:
    """What undoing did."""

    def __init__(self, undone: Undone) -> None:
        self._undone = undone

    @property
    def code(self) -> ExitCode:
        """The exit code: done only when everything is as it was."""
        return ExitCode.PATCH if self._undone.refused else ExitCode.DONE

    def document(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return read(UNDONE, self._undone)

    def lines(self) -> list[Line]:
        """Return a line per file, and what it comes to."""
        done = self._undone
        restored = [(Painted("restored  ", "green"), f"  {path}") for path in done.restored]
        refused = [(Painted("skipped   ", "yellow"), f"  {path}: it was edited since") for path in done.refused]
        branch = [f"removed the branch {done.branch}"] if done.branch else []
        counts = [f"restored {plural(len(done.restored), 'file')}"] if done.restored or not branch else []
        return [*restored, *refused, *counts, *branch]


def take_back(run: Run) -> TakenBack:
    """Restore what the last application changed. Raises `PatchConflictError` where there was none."""
    from .._patches.journal import undo

    return TakenBack(undo(checkout_of(run)))


def land(run: Run, made: Outcome, *, order: Order | None = None, task: Task | None = None) -> Landed:
    """Apply what was made to the checkout we stand in, or commit it to a branch; warnings go to stderr.

    Raises `PatchRejectedError` for a patch that must not be applied, `ConfigurationError` outside a checkout.
    """
    order = order or Order()
    verified = _judged(run, made, order)
    # What does not fit is told by the application itself, which may merge it.
    warnings = [finding for finding in verified.findings if finding.rule != "misfit"]
    _warn(run, warnings)
    if order.branch is not None:
        return Landed(_commit(run, made, verified, order, task=task), warnings)
    applied = verified.apply(
        checkout_of(run), index=order.index, check=order.check, markers=order.markers, base=made.base_commit
    )
    return Landed(applied, warnings)


def _judged(run: Run, made: Outcome, order: Order) -> VerifiedPatch:
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


def _warn(run: Run, warnings: Sequence[Finding]) -> None:
    run.note(*((Painted("warning: ", "yellow"), str(finding)) for finding in warnings[:MOST_WARNINGS]))
    if len(warnings) > MOST_WARNINGS:
        run.note(f"and {plural(len(warnings) - MOST_WARNINGS, 'more warning')}; --json has them all")


def _commit(run: Run, made: Outcome, verified: VerifiedPatch, order: Order, *, task: Task | None) -> AppliedPatch:
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


def checkout_of(run: Run) -> str:
    """Return the checkout we stand in. Raises `ConfigurationError` where we stand in none."""
    if run.root is None:
        raise errors.ConfigurationError(
            f"{run.surroundings.folder} is no git checkout", remedy="go to a clone of the repository"
        )
    return run.root
