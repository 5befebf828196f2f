"""`diff` prints the patch of a task or a file, byte for byte; `apply` applies it to the checkout, and undoes that."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from ... import errors
from ..apply import print_repairs, print_report
from ..console import diff_lines
from ..context import CommandContext, attempt_option, command
from ..json_output import jsonable, patch_text, to_object
from ..option_rules import refuse_together
from ..patches_to_apply import load_patch_to_apply
from ..stored_tasks import reading, refresh_option, with_origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..._app.apply import ApplyOptions, ApplyReport
    from ..._app.patch_files import PatchOptions
    from ..._app.review import AttemptDifference
    from ..._model.tasks import TaskRef
    from ..._patches.parse import Patch
    from ..._patches.repair_rows import Repair


# The options of git apply that change the names in a diff.
strip_option = click.option(
    "-p",
    "strip",
    type=click.IntRange(min=0),
    metavar="N",
    help="Remove N leading components from the names in the diff, as git does.",
)
directory_option = click.option("--directory", metavar="DIR", help="Prepend DIR to the names in the diff.")
repair_option = click.option(
    "--repair", is_flag=True, help="Repair what language models get wrong in diffs, and print each repair."
)


@command(
    "diff",
    examples="""
coatcheck diff codex:task_e_6a0
coatcheck diff codex:task_e_6a0 --attempt 2 --stat
coatcheck diff codex:task_e_6a0 --between 1 3
coatcheck diff codex:task_e_6a0 | git apply
coatcheck diff change.patch --stat
""",
)
@click.argument("task", metavar="REF|FILE")
@attempt_option
@click.option(
    "--between",
    type=click.IntRange(min=1),
    nargs=2,
    metavar="N M",
    help="Show how attempt M differs from attempt N: a diff of their diffs.",
)
@click.option("--stat", is_flag=True, help="Print a summary per file, as git does.")
@click.option("--name-only", is_flag=True, help="Print only the paths, as git does.")
@strip_option
@directory_option
@repair_option
@click.option("--color/--no-color", "color", default=None, help="Print it in colours (default: on a terminal).")
@refresh_option
def diff_command(
    run: CommandContext,
    *,
    task: str,
    attempt: int | None,
    between: tuple[int, int] | None,
    stat: bool,
    name_only: bool,
    strip: int | None,
    directory: str | None,
    repair: bool,
    color: bool | None,
    refresh: bool,
) -> None:
    """Print the diff of a task or of a patch file, byte for byte.

    Without --attempt it is the diff of the first attempt that has one, successful ones first. On a terminal it is
    coloured and shown in your pager, and control characters are escaped. -p and --directory change the names that --stat, --name-only and --json
    show. ./NAME, an existing path and - (standard input) are files; no service is needed for them.
    """
    from ..._app.patch_files import PatchOptions, is_patch_file

    refuse_together({"--between": between, "--stat": stat, "--name-only": name_only})
    _check_between(between, attempt, {"-p": strip, "--directory": directory, "--repair": repair})
    options = PatchOptions(strip, directory, repair, run.root)
    if is_patch_file(task, run.process_env.folder):
        loaded = _load_file(run, task, options, is_attempt=bool(between or attempt))
    elif between:
        _print_between(run, task, between, color=color, is_refreshed=refresh)
        return
    else:
        loaded = _load_task(run, task, attempt, options, is_refreshed=refresh)
    if run.is_json:
        run.answer(lambda: {**loaded.subject, **_document(loaded)}, list)
    elif stat:
        _print_stat(run, loaded.patch, color=color)
    elif name_only:
        from ..patch_formatting import names_of

        run.bytes(names_of(loaded.patch))
    else:
        _print_patch(run, loaded.patch, color=color)


class _Loaded(NamedTuple):
    """A patch to print, the JSON fields that name where it is from, and what was repaired."""

    subject: dict[str, object]
    patch: Patch
    stats: object
    repairs: tuple[Repair, ...]


def _load_file(run: CommandContext, name: str, options: PatchOptions, *, is_attempt: bool) -> _Loaded:
    from ..._app.patch_files import read_patch_file

    if is_attempt:
        raise errors.ConfigurationError(
            f"--attempt and --between need a task, and {name} is a file", remedy="leave them out, or pass a REF"
        )
    file = read_patch_file(name, run.process_env.folder, stdin=run.process_env.stdin.read, options=options)
    print_repairs(run, file.repairs)
    return _Loaded({"ref": None, "file": name, "attempt": None}, file.patch, file.outcome.stats, file.repairs)


def _load_task(
    run: CommandContext, task: str, attempt: int | None, options: PatchOptions, *, is_refreshed: bool
) -> _Loaded:
    from ..._app.review import read_patch

    ref = run.ref(task)
    with reading(run, ref, is_refreshed=is_refreshed) as reader:
        loaded = read_patch(reader, ref, attempt, options)
    print_repairs(run, loaded.repairs)
    subject = with_origin(run, ref, {"ref": str(ref), "attempt": loaded.number})
    return _Loaded(subject, loaded.patch, loaded.outcome.stats, loaded.repairs)


def _check_between(between: tuple[int, int] | None, attempt: int | None, names: Mapping[str, object]) -> None:
    refuse_together({"--between": between, "--attempt": attempt})
    for name, value in names.items():
        refuse_together({"--between": between, name: value})


def _print_between(
    run: CommandContext, task: str, between: tuple[int, int], *, color: bool | None, is_refreshed: bool
) -> None:
    from ..._app.review import compare_two

    ref = run.ref(task)
    with reading(run, ref, is_refreshed=is_refreshed) as reader:
        difference = compare_two(reader, ref, between)
    _print_difference(run, ref, difference, color=color)


def _print_stat(run: CommandContext, patch: Patch, *, color: bool | None) -> None:
    from ..patch_formatting import stat_lines

    run.page(stat_lines(patch, width=run.console.width), with_colour=color)


def _print_patch(run: CommandContext, patch: Patch, *, color: bool | None) -> None:
    is_coloured = run.console.is_terminal and run.console.has_colour if color is None else color
    if is_coloured:
        from ..highlighting import highlight_diff

        run.page(highlight_diff(patch), with_colour=True)
    else:
        run.bytes(bytes(patch))


def _print_difference(run: CommandContext, ref: TaskRef, difference: AttemptDifference, *, color: bool | None) -> None:
    """Print how one attempt differs from another, and on stderr how much they share."""
    from ..patch_formatting import overlap_line

    overlap, data = difference.overlap, difference.diff.encode("utf-8", "surrogateescape")
    if run.is_json:
        run.answer(
            lambda: {
                **with_origin(run, ref, {"ref": str(ref)}),
                "between": list(difference.numbers),
                "is_same_change": difference.is_same_change,
                "share": overlap.share,
                "diff_of_diffs": data.decode("utf-8", "backslashreplace"),
            },
            list,
        )
        return
    run.note(overlap_line(overlap.share, len(overlap.both)) if data else "they are the same change")
    if color or run.console.is_terminal:
        run.page(diff_lines(data) if data else [], with_colour=color)
    else:
        run.console.write(data)


def _document(loaded: _Loaded) -> dict[str, object]:
    from base64 import b64encode

    from ..._model.outcome import changes_of

    data = bytes(loaded.patch)
    is_text = data == data.decode("utf-8", "replace").encode()
    return {
        "diff": patch_text(loaded.patch),
        "diff_base64": None if is_text else b64encode(data).decode(),
        "stats": jsonable(loaded.stats),
        "files": changes_of(loaded.patch),
        "repairs": [to_object(repair) for repair in loaded.repairs],
    }


@command(
    "apply",
    examples="""
coatcheck apply codex:task_e_6a0
coatcheck apply codex:task_e_6a0 --attempt 2 --check
coatcheck apply codex:task_e_6a0 --exclude '*.lock' --index
coatcheck apply codex:task_e_6a0 --branch dark-mode
coatcheck apply change.patch --repair --commit
coatcheck apply codex:task_e_6a0 --gate
coatcheck apply --undo
""",
)
@click.argument("task", metavar="[REF|FILE]", required=False)
@attempt_option
@click.option("--check", is_flag=True, help="Print what would happen, and change nothing.")
@click.option("--index", is_flag=True, help="Stage the applied files.")
@click.option("--commit", is_flag=True, help="Commit to the current branch, if all of the patch can be applied.")
@click.option("--markers", is_flag=True, help="Write conflict markers into files that conflict.")
@click.option("--include", multiple=True, metavar="GLOB", help="Apply only these files; may be repeated.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these files out; may be repeated.")
@strip_option
@directory_option
@repair_option
@click.option("--branch", metavar="NAME", help="Commit to a new branch instead; the checkout does not change.")
@click.option("--start", metavar="COMMIT", help="Where the branch starts (default: HEAD).")
@click.option(
    "--reject", multiple=True, metavar="RULE", help="Reject the patch if this rule finds something; may be repeated."
)
@click.option("--ignore", multiple=True, metavar="RULE", help="Skip this rule; may be repeated.")
@click.option(
    "--strict",
    is_flag=True,
    help="Reject what ordinary changes seldom do: all rules except those for kinds and sizes of files.",
)
@click.option("--gate", "is_gated", is_flag=True, help="Show its size, and apply it once somebody approves it.")
@click.option("--undo", is_flag=True, help="Undo the last application in this checkout; repeat it for the one before.")
@refresh_option
def apply_command(
    run: CommandContext,
    *,
    task: str | None,
    attempt: int | None,
    undo: bool,
    refresh: bool,
    is_gated: bool,
    **options: object,
) -> int:
    """Apply the patch of a task or of a patch file to the current checkout.

    The patch is verified first. Nothing is staged without --index, files with uncommitted changes are left alone, and
    the result of each file is printed. The exit code is 9 when the patch was not applied completely. ./NAME, an
    existing path and - (standard input) are files; no service is needed for them.

    --commit commits all of the patch, and nothing else, with a message of the pull request's title and text, or of the
    patch file's mail. Hooks do not run.

    --undo restores what the last application changed, also one that was interrupted; repeated, it undoes the one
    before. Files that were edited since are not changed, and are listed. Another attempt of a task whose patch is
    applied and not committed is refused.

    With --gate nothing is changed: a gate is printed, and the exit code is 10. `coatcheck approve GATE` applies the
    patch to this checkout, and so does this command once the gate is approved. The approval is of this patch and these
    options.
    """
    from ..._app.apply import ApplyOptions
    from ..._app.patch_files import is_patch_file
    from ..apply import apply_exit_code

    chosen = ApplyOptions.of(**options)
    if undo:
        return _undo(run, is_alone=not (task or attempt or refresh or is_gated or chosen != ApplyOptions()))
    if task is None:
        raise errors.ConfigurationError(
            "no task and no file given", remedy="pass a REF or a FILE; coatcheck list shows the latest tasks"
        )
    is_file = is_patch_file(task, run.process_env.folder)
    if is_gated:
        refuse_together({"--gate": is_gated, "--check": chosen.check})
        return _apply_gated(run, task, chosen, attempt, is_file=is_file, is_refreshed=refresh)
    if is_file:
        report = _apply_file(run, task, chosen, attempt)
    else:
        report = _apply_task(run, task, chosen, attempt, is_refreshed=refresh)
    return apply_exit_code(report)


def _apply_gated(
    run: CommandContext, task: str, options: ApplyOptions, attempt: int | None, *, is_file: bool, is_refreshed: bool
) -> int:
    """Apply a patch whose gate is approved; otherwise show its size and its gate. Return the exit code."""
    from contextlib import closing

    from ..._app.held_work import require_approved
    from ..gate_effects import apply_loaded, hold_patch
    from ..gates import answer_with_open_gate
    from .gates import open_gates

    root = run.workspace.require_root()
    with closing(open_gates(run)) as gates:
        loaded = load_patch_to_apply(run, task, options, attempt, root=root, is_file=is_file, is_refreshed=is_refreshed)
        gate = hold_patch(run, gates, loaded, options, root=root)
        if gate.state == "open":
            if not run.is_json:
                _print_stat(run, loaded.patch, color=None)
            return answer_with_open_gate(run, gate)
        require_approved(gate)
        return apply_loaded(run, gates, gate, loaded, root=root)


def _undo(run: CommandContext, *, is_alone: bool) -> int:
    from ..._app.apply import undo_last
    from ..apply import apply_exit_code, undo_document, undo_lines

    if not is_alone:
        raise errors.ConfigurationError(
            "--undo takes no REF, no FILE and no other option", remedy="run: coatcheck apply --undo"
        )
    undone = undo_last(run.workspace.require_root())
    run.console.remedy = "files were restored; git status shows the checkout"
    run.answer(lambda: undo_document(undone), lambda: undo_lines(undone))
    return apply_exit_code(undone)


def _apply_task(
    run: CommandContext, task: str, options: ApplyOptions, attempt: int | None, *, is_refreshed: bool
) -> ApplyReport:
    root = run.workspace.require_root()
    loaded = load_patch_to_apply(run, task, options, attempt, root=root, is_file=False, is_refreshed=is_refreshed)
    report = loaded.apply(run, root)
    print_report(run, loaded.subject, report)
    return report


def _apply_file(run: CommandContext, name: str, options: ApplyOptions, attempt: int | None) -> ApplyReport:
    root = run.workspace.require_root()
    loaded = load_patch_to_apply(run, name, options, attempt, root=root, is_file=True)
    report = loaded.apply(run, root)
    print_report(run, loaded.subject, report)
    return report
