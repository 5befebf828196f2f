"""`diff` gives a task's patch, byte for byte; `apply` lands it in the checkout, and takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ... import errors
from ..console import diff_lines
from ..context import CommandContext, attempt_option, command, ref_argument
from ..json_output import jsonable, patch_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._model.outcome import Attempt, Outcome
    from ..._model.tasks import Task
    from ..._patches.parse import Patch


# How names are read where the diff does not tell; git apply's own options.
strip_option = click.option(
    "-p",
    "strip",
    type=click.IntRange(min=0),
    metavar="N",
    help="Take N components off the names in the diff, like git's.",
)
directory_option = click.option("--directory", metavar="DIR", help="Put DIR in front of the names in the diff.")


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
    help="How attempt M differs from attempt N: a diff of their diffs.",
)
@click.option("--stat", is_flag=True, help="A summary per file, like git's.")
@click.option("--name-only", is_flag=True, help="Only the paths, like git's.")
@strip_option
@directory_option
@click.option("--color/--no-color", "color", default=None, help="Paint it (default: on a terminal).")
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
    """Print a task's diff: its bytes, nothing added.

    Without --attempt it is the diff of the first attempt that has one. On a terminal it is painted and goes through
    your pager, and characters that would move the cursor are shown. -p and --directory change the names that --stat,
    --name-only and --json show.
    """
    from ..wait_progress import with_patch

    _check_forms({"--between": between, "--stat": stat, "--name-only": name_only})
    if between and attempt:
        raise errors.ConfigurationError("--between names its attempts", remedy="leave out --attempt")
    if between and (strip is not None or directory is not None):
        raise errors.ConfigurationError("--between compares diffs as they are", remedy="leave out -p and --directory")
    ref = run.ref(task)
    with run.client(ref.provider) as client:
        found = client.get_task(ref)
        if between:
            _diff_between(run, found, client.list_attempts(found), between, color=color)
            return
        number, made = with_patch(client, found, attempt)
    patch = _patch_of(made, strip=strip, directory=directory)
    if run.is_json:
        run.answer(lambda: {"ref": str(ref), "attempt": number, **_document(patch, made)}, list)
    elif stat:
        _print_stat(run, patch, color=color)
    elif name_only:
        from ..patch_formatting import names_of

        run.bytes(names_of(patch))
    else:
        _print_patch(run, patch, color=color)


def _check_forms(forms: dict[str, object]) -> None:
    chosen = [name for name, is_chosen in forms.items() if is_chosen]
    if len(chosen) > 1:
        raise errors.ConfigurationError(f"{' and '.join(chosen)} do not go together", remedy="give one of them")


def _patch_of(made: Outcome, *, strip: int | None, directory: str | None) -> Patch:
    from ..._patches.parse import Patch

    patch = made.patch or Patch(b"")
    if strip is None and directory is None:
        return patch
    return Patch.parse(bytes(patch), strip=strip, directory=directory)


def _print_stat(run: CommandContext, patch: Patch, *, color: bool | None) -> None:
    from ..patch_formatting import stat_lines

    run.page(stat_lines(patch, width=run.console.width), with_colour=color)


def _print_patch(run: CommandContext, patch: Patch, *, color: bool | None) -> None:
    is_painted = run.console.is_terminal and run.console.has_colour if color is None else color
    if is_painted:
        from ..highlighting import painted_diff

        run.page(painted_diff(patch), with_colour=True)
    else:
        run.bytes(bytes(patch))


def _diff_between(
    run: CommandContext, task: Task, attempts: Sequence[Attempt], numbers: tuple[int, int], *, color: bool | None
) -> None:
    """Print how one attempt differs from another, and tell how much they share."""
    from ..patch_formatting import overlap_line
    from ..wait_progress import with_patch_of

    left, right = (with_patch_of(task, attempts, number)[1] for number in numbers)
    names = str(numbers[0]), str(numbers[1])
    shared, text = left.overlap(right), left.diff_of_diffs(right, names=names)
    if run.is_json:
        run.answer(
            lambda: {
                "ref": str(task.ref),
                "between": list(numbers),
                "is_same_change": left.is_same_change(right),
                "share": shared.share,
                "diff_of_diffs": text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
            },
            list,
        )
        return
    run.note(overlap_line(shared.share, len(shared.both)) if text else "they are the same change")
    data = text.encode("utf-8", "surrogateescape")
    if color or run.console.is_terminal:
        run.page(diff_lines(data) if data else [], with_colour=color)
    else:
        run.console.write(data)


def _document(patch: Patch, made: Outcome) -> dict[str, object]:
    from base64 import b64encode

    from ..._model.outcome import changes_of

    data = bytes(patch)
    is_text = data == data.decode("utf-8", "replace").encode()
    return {
        "diff": patch_text(patch),
        "diff_base64": None if is_text else b64encode(data).decode(),
        "stats": jsonable(made.stats),
        "files": changes_of(patch),
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
@click.option("--check", is_flag=True, help="Say what would happen, and change nothing.")
@click.option("--index", is_flag=True, help="Stage what is applied.")
@click.option("--markers", is_flag=True, help="Leave conflict markers in files that conflict.")
@click.option("--include", multiple=True, metavar="GLOB", help="Only these files; as often as you like.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Not these files; as often as you like.")
@strip_option
@directory_option
@click.option("--branch", metavar="NAME", help="Make a branch with a commit instead; files stay as they are.")
@click.option("--start", metavar="COMMIT", help="Where the branch starts (default: HEAD).")
@click.option("--reject", multiple=True, metavar="RULE", help="Refuse what this rule finds; as often as you like.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Do not ask this rule; as often as you like.")
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse what ordinary changes seldom do: all rules but those for kinds and sizes of files.",
)
@click.option("--undo", is_flag=True, help="Undo the last application in this checkout; again, the one before.")
def apply_command(run: CommandContext, *, task: str | None, attempt: int | None, undo: bool, **options: object) -> int:
    """Land a task's patch in the checkout you stand in.

    The patch is judged before it is believed. Nothing is staged unless asked, files with uncommitted changes are left
    alone, and each file's fate is told. The exit code is 9 when not everything is there afterwards.

    --undo restores what the last application changed, also one that was interrupted; again, and the one before is
    undone. Files that were edited since are left as they are, and named. Another attempt of a task whose patch is
    applied and not committed is refused.
    """
    from ..apply import ApplyOptions, checkout_of, land, take_back
    from ..wait_progress import with_patch

    order = ApplyOptions.of(**options)
    if undo:
        if task or attempt or order != ApplyOptions():
            raise errors.ConfigurationError("--undo takes nothing else", remedy="see: coatcheck apply --help")
        undone = take_back(run)
        run.console.remedy = "files were restored; git status shows the checkout"
        run.answer(undone.document, undone.lines)
        return undone.code
    if task is None:
        raise errors.ConfigurationError("which task? REF is missing", remedy="coatcheck list shows the last ones")
    ref = run.ref(task)
    checkout_of(run)
    with run.client(ref.provider) as client:
        found = client.get_task(ref)
        number, made = with_patch(client, found, attempt)
    landed = land(run, made, order=order, task=found, attempt=number)
    if not order.check:
        run.console.remedy = "the patch was applied; git status shows the checkout"
    run.answer(lambda: {"ref": str(ref), "attempt": number, **landed.document()}, landed.lines)
    return landed.code
