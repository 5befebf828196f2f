"""`diff` prints a task's patch, byte for byte; `apply` applies it to the checkout, and undoes that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ... import errors
from ..console import diff_lines
from ..context import CommandContext, attempt_option, command, ref_argument
from ..json_output import jsonable, patch_text

if TYPE_CHECKING:
    from ..._app.review import AttemptDifference, TaskPatch
    from ..._patches.parse import Patch


# The options of git apply that change the names in a diff.
strip_option = click.option(
    "-p",
    "strip",
    type=click.IntRange(min=0),
    metavar="N",
    help="Remove N leading components from the names in the diff, as git does.",
)
directory_option = click.option("--directory", metavar="DIR", help="Prepend DIR to the names in the diff.")


@command(
    "diff",
    examples="""
coatcheck diff codex:task_e_6a0
coatcheck diff codex:task_e_6a0 --attempt 2 --stat
coatcheck diff codex:task_e_6a0 --between 1 3
coatcheck diff codex:task_e_6a0 | git apply
""",
)
@ref_argument
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
@click.option("--color/--no-color", "color", default=None, help="Print it in colours (default: on a terminal).")
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
    color: bool | None,
) -> None:
    """Print a task's diff, byte for byte.

    Without --attempt it is the diff of the first attempt that has one. On a terminal it is coloured and shown in your
    pager, and control characters are escaped. -p and --directory change the names that --stat, --name-only and --json
    show.
    """
    from ..._app.review import compare_two, read_patch

    _check_forms({"--between": between, "--stat": stat, "--name-only": name_only})
    if between and attempt:
        raise errors.ConfigurationError("--between and --attempt cannot be combined", remedy="leave out --attempt")
    if between and (strip is not None or directory is not None):
        raise errors.ConfigurationError(
            "--between cannot be combined with -p and --directory", remedy="leave out -p and --directory"
        )
    ref = run.ref(task)
    with run.client(ref.provider) as client:
        if between:
            _print_difference(run, str(ref), compare_two(client, ref, between), color=color)
            return
        loaded = read_patch(client, ref, attempt, strip=strip, directory=directory)
    if run.is_json:
        run.answer(lambda: {"ref": str(ref), "attempt": loaded.number, **_document(loaded)}, list)
    elif stat:
        _print_stat(run, loaded.patch, color=color)
    elif name_only:
        from ..patch_formatting import names_of

        run.bytes(names_of(loaded.patch))
    else:
        _print_patch(run, loaded.patch, color=color)


def _check_forms(forms: dict[str, object]) -> None:
    chosen = [name for name, is_chosen in forms.items() if is_chosen]
    if len(chosen) > 1:
        raise errors.ConfigurationError(f"{' and '.join(chosen)} cannot be combined", remedy="pass one of them")


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


def _print_difference(run: CommandContext, ref: str, difference: AttemptDifference, *, color: bool | None) -> None:
    """Print how one attempt differs from another, and on stderr how much they share."""
    from ..patch_formatting import overlap_line

    overlap, data = difference.overlap, difference.diff.encode("utf-8", "surrogateescape")
    if run.is_json:
        run.answer(
            lambda: {
                "ref": ref,
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


def _document(loaded: TaskPatch) -> dict[str, object]:
    from base64 import b64encode

    from ..._model.outcome import changes_of

    data = bytes(loaded.patch)
    is_text = data == data.decode("utf-8", "replace").encode()
    return {
        "diff": patch_text(loaded.patch),
        "diff_base64": None if is_text else b64encode(data).decode(),
        "stats": jsonable(loaded.outcome.stats),
        "files": changes_of(loaded.patch),
    }


@command(
    "apply",
    examples="""
coatcheck apply codex:task_e_6a0
coatcheck apply codex:task_e_6a0 --attempt 2 --check
coatcheck apply codex:task_e_6a0 --exclude '*.lock' --index
coatcheck apply codex:task_e_6a0 --branch dark-mode
coatcheck apply --undo
""",
)
@click.argument("task", metavar="[REF]", required=False)
@attempt_option
@click.option("--check", is_flag=True, help="Print what would happen, and change nothing.")
@click.option("--index", is_flag=True, help="Stage the applied files.")
@click.option("--markers", is_flag=True, help="Write conflict markers into files that conflict.")
@click.option("--include", multiple=True, metavar="GLOB", help="Apply only these files; may be repeated.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these files out; may be repeated.")
@strip_option
@directory_option
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
@click.option("--undo", is_flag=True, help="Undo the last application in this checkout; repeat it for the one before.")
def apply_command(run: CommandContext, *, task: str | None, attempt: int | None, undo: bool, **options: object) -> int:
    """Apply a task's patch to the current checkout.

    The patch is verified first. Nothing is staged without --index, files with uncommitted changes are left alone, and
    the result of each file is printed. The exit code is 9 when the patch was not applied completely.

    --undo restores what the last application changed, also one that was interrupted; repeated, it undoes the one
    before. Files that were edited since are not changed, and are listed. Another attempt of a task whose patch is
    applied and not committed is refused.
    """
    from ..._app.apply import ApplyOptions, apply_patch, undo_last
    from ..._app.outcomes import load_patch
    from ..apply import apply_document, apply_exit_code, apply_lines, print_warnings, undo_document, undo_lines

    chosen = ApplyOptions.of(**options)
    if undo:
        if task or attempt or chosen != ApplyOptions():
            raise errors.ConfigurationError(
                "--undo takes no REF and no other option", remedy="run: coatcheck apply --undo"
            )
        undone = undo_last(run.workspace.require_root())
        run.console.remedy = "files were restored; git status shows the checkout"
        run.answer(lambda: undo_document(undone), lambda: undo_lines(undone))
        return apply_exit_code(undone)
    if task is None:
        raise errors.ConfigurationError("no task given", remedy="pass a REF; coatcheck list shows the latest ones")
    ref, root = run.ref(task), run.workspace.require_root()
    with run.client(ref.provider) as client:
        loaded = client.get_task(ref)
        patch = load_patch(client, loaded, attempt)
    report = apply_patch(root, patch, chosen, task=loaded, on_findings=lambda findings: print_warnings(run, findings))
    if not chosen.check:
        run.console.remedy = "the patch was applied; git status shows the checkout"
    run.answer(
        lambda: {"ref": str(ref), "attempt": patch.number, **apply_document(report)}, lambda: apply_lines(report)
    )
    return apply_exit_code(report)
