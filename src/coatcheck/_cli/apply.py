"""Format what applying and undoing a patch did, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from .console import Line, Styled
from .exit_codes import ExitCode
from .formatting import plural
from .json_output import Fields, to_object

if TYPE_CHECKING:
    from .._app.apply import ApplyReport, UndoReport
    from .._patches.apply_results import FileOutcome
    from .._patches.policy import Finding
    from .._patches.repair_rows import Repair
    from .context import CommandContext

# How many warnings are printed; --json has all of them.
MAX_WARNINGS = 10
# git's own default for short ids in a repository of this size and up to 16,000 objects (core.abbrev).
SHORT_ID = 7

STATUS_STYLES: Mapping[str, str] = {"applied": "green", "merged": "green", "skipped": "yellow", "conflicted": "red"}

# Status of a file -> the word that is printed: after an application, and with --check.
RESULTS: Mapping[str, tuple[str, str]] = {
    "applied": ("applied", "would apply"),
    "deleted": ("deleted", "would delete"),
    "merged": ("merged", "would merge"),
    "skipped": ("skipped", "would skip"),
    "conflicted": ("conflicted", "would conflict"),
}

# Fields that are added to the objects of files, applications and undoings.
MORE_OF_FILE: Fields[object] = {
    "change": ("what the patch does to the file: the words of a change object's status", str),
    "result": ('what became of it in words: "applied", "deleted", "would merge" …', str),
}
MORE_OF_APPLICATION: Fields[object] = {
    "left_out": ("paths of the patch that --include and --exclude left out", str),
    "findings": ("what verification warned about: finding objects", str),
    "repairs": ("what --repair changed in the patch: repair objects", str),
}
MORE_OF_UNDOING: Fields[object] = {
    "removed": ("those of `restored` that the application had added, and that are gone", str),
}


def apply_exit_code(report: ApplyReport | UndoReport) -> ExitCode:
    """Return the exit code: `DONE` only where everything was applied, or restored."""
    return ExitCode.DONE if report.is_complete else ExitCode.PATCH


def apply_document(report: ApplyReport) -> dict[str, object]:
    """Return an application as a JSON object."""
    files = [{**to_object(file), "change": change, "result": result} for file, change, result in _results(report)]
    return {
        **to_object(report.applied),
        "files": files,
        "next_steps": _next_steps(report),
        "left_out": list(report.left_out),
        "findings": [to_object(finding) for finding in report.findings],
        "repairs": [to_object(repair) for repair in report.repairs],
    }


def apply_lines(report: ApplyReport) -> list[Line]:
    """Return a line per file, a summary, and the next steps."""
    results = list(_results(report))
    width = max(10, *(len(result) for _, _, result in results)) if results else 10
    lines = [_file_line(file, result.ljust(width)) for file, _, result in results]
    left_out = [(Styled("left out".ljust(width), "dim"), f"  {path}") for path in report.left_out]
    return [*lines, *left_out, _summary(report), *_next_steps(report)]


def _next_steps(report: ApplyReport) -> list[str]:
    """Return the next steps; git diff does not show untracked files, so git status replaces it for new ones."""
    is_new = all(change == "added" for file, change in report.file_changes() if file.status in ("applied", "merged"))
    steps = report.applied.next_steps
    return ["git status shows it" if is_new and step == "git diff shows it" else step for step in steps]


def _results(report: ApplyReport) -> Iterator[tuple[FileOutcome, str | None, str]]:
    """Yield each file, the status of its change, and the printed word for its result."""
    for file, change in report.file_changes():
        word = "deleted" if file.status == "applied" and change == "deleted" else file.status
        yield file, change, RESULTS.get(word, (word, f"would be {word}"))[report.applied.is_check]


def _summary(report: ApplyReport) -> str:
    applied = report.applied
    left_out = f", left out {len(report.left_out)}" if report.left_out else ""
    if applied.branch is not None:
        short = (applied.commit or "")[:SHORT_ID]
        return f"committed {plural(len(applied.files), 'file')} to {applied.branch} ({short}){left_out}"
    would = "would " if applied.is_check else ""
    deleted = sum(1 for _, _, result in _results(report) if result in RESULTS["deleted"])
    counts = [f"{would}apply" if would else "applied", plural(len(applied.applied) - deleted, "file")]
    words = [" ".join(counts)] if deleted < len(applied.applied) or not deleted else []
    words += [f"{would}{'delete' if would else 'deleted'} {plural(deleted, 'file')}"] if deleted else []
    words += [f"{would}{'skip' if would else 'skipped'} {len(applied.skipped)}"] if applied.skipped else []
    words += [f"{'would be ' if would else ''}in conflict {len(applied.conflicted)}"] if applied.conflicted else []
    words += [f"committed {applied.commit[:SHORT_ID]}"] if applied.commit else []
    return ", ".join(words) + left_out


def _file_line(file: FileOutcome, result: str) -> Line:
    name = f"{file.old_path} => {file.path}" if file.old_path else file.path
    kind = f" ({file.kind})" if file.status == "conflicted" else ""
    detail = f": {file.detail}" if file.detail else ""
    return Styled(result, STATUS_STYLES.get(file.status, "bold")), f"  {name}{kind}{detail}"


def undo_document(report: UndoReport) -> dict[str, object]:
    """Return an undoing as a JSON object."""
    removed = [path for path in report.result.restored if path in report.removed]
    return {**to_object(report.result), "removed": removed}


def undo_lines(report: UndoReport) -> list[Line]:
    """Return a line per file, and a summary."""
    result = report.result
    restored = [
        (Styled("removed   " if path in report.removed else "restored  ", "green"), f"  {path}")
        for path in result.restored
    ]
    refused = [(Styled("skipped   ", "yellow"), f"  {path}: it was edited since") for path in result.refused]
    branch = [f"took back the commit {result.commit[:SHORT_ID]}"] if result.commit else []
    branch += [f"removed the branch {result.branch}"] if result.branch else []
    branch += [f"kept the branch {result.kept_branch}: it has other commits now"] if result.kept_branch else []
    counts = [_undo_summary(report)] if result.restored or not branch else []
    earlier = plural(result.remaining, "earlier application")
    remaining = [f"{earlier} can be undone: coatcheck apply --undo"] if result.remaining else []
    return [*restored, *refused, *counts, *branch, *remaining]


def _undo_summary(report: UndoReport) -> str:
    removed = len(report.removed)
    restored = len(report.result.restored) - removed
    words = [f"restored {plural(restored, 'file')}"] if restored or not removed else []
    words += [f"removed {plural(removed, 'new file')}"] if removed else []
    return ", ".join(words)


def print_repairs(run: CommandContext, repairs: Sequence[Repair]) -> None:
    """Print what was repaired in a patch on stderr."""
    run.note(*((Styled("repaired: ", "yellow"), str(repair)) for repair in repairs[:MAX_WARNINGS]))
    if len(repairs) > MAX_WARNINGS:
        run.note(f"and {plural(len(repairs) - MAX_WARNINGS, 'more repair')}; --json has all of them")


def print_warnings(run: CommandContext, findings: Sequence[Finding]) -> None:
    """Print the findings of verification on stderr."""
    run.note(*((Styled("warning: ", "yellow"), str(finding)) for finding in findings[:MAX_WARNINGS]))
    if len(findings) > MAX_WARNINGS:
        run.note(f"and {plural(len(findings) - MAX_WARNINGS, 'more warning')}; --json has all of them")


def print_report(run: CommandContext, subject: dict[str, object], report: ApplyReport) -> None:
    """Print what an application did; *subject* are the JSON fields that name the patch."""
    if not report.applied.is_check:
        run.console.remedy = "the patch was applied; git status shows the checkout"
    run.answer(lambda: {**subject, **apply_document(report)}, lambda: apply_lines(report))
