"""Land a patch in a checkout: judged first, then applied, and told file by file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .. import errors
from .exit_codes import ExitCode
from .json_output import Fields, many, read
from .render import Line, Painted
from .views import plural

if TYPE_CHECKING:
    from .._model.outcome import Outcome
    from .._patches.apply import AppliedPatch, FileOutcome
    from .._patches.policy import Finding
    from .context import Run

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
    "next_steps": ("what to do next, in sentences", lambda a: list(a.next_steps)),
}


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
        verb = "would apply" if done.is_check else "applied"
        counts = [f"{verb} {plural(len(done.applied), 'file')}"]
        counts += [f"skipped {len(done.skipped)}"] if done.skipped else []
        counts += [f"in conflict {len(done.conflicted)}"] if done.conflicted else []
        return ", ".join(counts)


def _file(each: FileOutcome) -> Line:
    name = f"{each.old_path} => {each.path}" if each.old_path else each.path
    why = f": {each.detail}" if each.detail else ""
    return Painted(f"{each.status:<10}", STATUS_STYLES.get(each.status, "bold")), f"  {name}{why}"


def land(
    run: Run,
    made: Outcome,
    *,
    index: bool = False,
    check: bool = False,
    markers: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Landed:
    """Apply what was made to the checkout we stand in; warnings go to stderr.

    Raises `PatchRejectedError` for a patch that must not be applied, `ConfigurationError` outside a checkout.
    """
    if made.patch is None:
        raise errors.TaskError("there is no diff to apply")
    patch = made.patch.select(include=include, exclude=exclude) if include or exclude else made.patch
    verified = patch.verify(base=checkout_of(run))
    # What does not fit is told by the application itself, which may merge it.
    warnings = [finding for finding in verified.findings if finding.rule != "misfit"]
    run.note(*((Painted("warning: ", "yellow"), str(finding)) for finding in warnings))
    applied = verified.apply(checkout_of(run), index=index, check=check, markers=markers, base=made.base_commit)
    return Landed(applied, warnings)


def checkout_of(run: Run) -> str:
    """Return the checkout we stand in. Raises `ConfigurationError` where we stand in none."""
    if run.root is None:
        raise errors.ConfigurationError(
            f"{run.surroundings.folder} is no git checkout", remedy="go to a clone of the repository"
        )
    return run.root
