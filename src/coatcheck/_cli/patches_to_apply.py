"""Patches that `apply` and `approve` apply: of a task's attempt, or of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .apply import print_repairs, print_warnings
from .console import Styled
from .stored_tasks import reading, with_origin

if TYPE_CHECKING:
    from .._app.apply import ApplyOptions, ApplyReport
    from .._app.outcomes import ChosenPatch
    from .._model.tasks import Task
    from .._patches.parse import Patch
    from .._patches.repair_rows import Repair
    from .context import CommandContext


class PatchToApply(NamedTuple):
    """A patch that was loaded, with the options that remain to apply it.

    `name` is the ref of its task or its file; `subject` are the JSON fields that name it.
    """

    name: str
    subject: dict[str, object]
    chosen: ChosenPatch
    options: ApplyOptions
    task: Task | None = None
    message: str | None = None
    repairs: tuple[Repair, ...] = ()

    @property
    def patch(self) -> Patch:
        """Return the patch. Raises `TaskError` where there is none."""
        if self.chosen.outcome.patch is None:
            raise errors.TaskError("there is no diff to apply")
        return self.chosen.outcome.patch

    def apply(self, run: CommandContext, root: str) -> ApplyReport:
        """Apply it to the checkout at *root*."""
        from .._app.apply import apply_patch

        return apply_patch(
            root,
            self.chosen,
            self.options,
            task=self.task,
            message=self.message,
            repairs=self.repairs,
            on_findings=lambda findings: print_warnings(run, findings),
            on_repairs=None if self.task is None else lambda repairs: print_repairs(run, repairs),
        )


def load_patch_to_apply(
    run: CommandContext,
    name: str,
    options: ApplyOptions,
    attempt: int | None,
    *,
    root: str,
    is_file: bool,
    is_refreshed: bool = False,
) -> PatchToApply:
    """Return the patch of a task or of a file."""
    if is_file:
        return _load_file(run, name, options, attempt, root)
    return _load_task(run, name, options, attempt, is_refreshed=is_refreshed)


def _load_task(
    run: CommandContext, name: str, options: ApplyOptions, attempt: int | None, *, is_refreshed: bool
) -> PatchToApply:
    from .._app.outcomes import load_patch

    ref = run.ref(name)
    with reading(run, ref, is_refreshed=is_refreshed) as reader:
        task = reader.get_task(ref)
        chosen = load_patch(reader, task, attempt)
    if chosen.is_partial:
        what = ref if chosen.number is None else f"attempt {chosen.number} of {ref}"
        run.note((Styled("warning: ", "yellow"), f"{what} ended without success, and its diff may be partial"))
    subject = with_origin(run, ref, {"ref": str(ref), "attempt": chosen.number})
    return PatchToApply(str(ref), subject, chosen, options, task=task)


def _load_file(run: CommandContext, name: str, options: ApplyOptions, attempt: int | None, root: str) -> PatchToApply:
    from .._app.outcomes import ChosenPatch
    from .._app.patch_files import PatchOptions, commit_message, read_patch_file

    if attempt is not None:
        raise errors.ConfigurationError(
            f"--attempt needs a task, and {name} is a file", remedy="leave it out, or pass a REF"
        )
    reading = PatchOptions(options.strip, options.directory, options.repair, root)
    file = read_patch_file(name, run.process_env.folder, stdin=run.process_env.stdin.read, options=reading)
    print_repairs(run, file.repairs)
    subject: dict[str, object] = {"ref": None, "file": name, "attempt": None}
    return PatchToApply(
        name,
        subject,
        ChosenPatch(None, file.outcome),
        options.for_read_patch(),
        message=commit_message(file),
        repairs=file.repairs,
    )
