"""`diff` gives a task's patch, byte for byte; `apply` lands it in the checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..context import Run, attempt_option, command, ref_argument
from ..json_output import STATS, maybe, patch_text
from ..render import diff_lines

if TYPE_CHECKING:
    from ..._model.outcome import Outcome


@command(
    "diff",
    examples="""
coatcheck diff codex:task_e_6a0
coatcheck diff codex:task_e_6a0 --attempt 2
coatcheck diff codex:task_e_6a0 | git apply
""",
)
@ref_argument
@attempt_option
@click.option("--color/--no-color", "color", default=None, help="Paint it (default: on a terminal).")
def diff_command(run: Run, *, task: str, attempt: int | None, color: bool | None) -> None:
    """Print a task's diff: its bytes, nothing added.

    Without --attempt it is the diff of the first attempt that has one. On a terminal it is painted, and characters
    that would move the cursor are shown.
    """
    from ..waiting import with_patch

    ref = run.ref(task)
    with run.client(ref.provider) as client:
        number, made = with_patch(client, client.get_task(ref), attempt)
    data = bytes(made.patch or b"")
    if run.is_json:
        run.answer(lambda: {"ref": str(ref), "attempt": number, **_document(data, made)}, list)
    elif color or run.screen.is_terminal:
        run.screen.show_all(diff_lines(data), with_colour=color)
    else:
        run.screen.write(data)


def _document(data: bytes, made: Outcome) -> dict[str, object]:
    from base64 import b64encode

    is_text = data == data.decode("utf-8", "replace").encode()
    return {
        "diff": patch_text(made.patch),
        "diff_base64": None if is_text else b64encode(data).decode(),
        "stats": maybe(STATS, made.stats),
    }


@command(
    "apply",
    examples="""
coatcheck apply codex:task_e_6a0
coatcheck apply codex:task_e_6a0 --attempt 2 --check
coatcheck apply codex:task_e_6a0 --exclude '*.lock' --index
""",
)
@ref_argument
@attempt_option
@click.option("--check", is_flag=True, help="Say what would happen, and change nothing.")
@click.option("--index", is_flag=True, help="Stage what is applied.")
@click.option(
    "--markers", is_flag=True, help="Leave conflict markers in files that conflict, instead of leaving them alone."
)
@click.option("--include", multiple=True, metavar="PATTERN", help="Only these files; as often as you like.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Not these files; as often as you like.")
def apply_command(
    run: Run,
    *,
    task: str,
    attempt: int | None,
    check: bool,
    index: bool,
    markers: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
) -> int:
    """Land a task's patch in the checkout you stand in.

    The patch is judged before it is believed. Nothing is staged unless asked, files with uncommitted changes are left
    alone, and each file's fate is told. The exit code is 9 when not everything is there afterwards.
    """
    from ..landing import checkout_of, land
    from ..waiting import with_patch

    ref = run.ref(task)
    checkout_of(run)
    with run.client(ref.provider) as client:
        number, made = with_patch(client, client.get_task(ref), attempt)
    landed = land(run, made, index=index, check=check, markers=markers, include=include, exclude=exclude)
    run.answer(lambda: {"ref": str(ref), "attempt": number, **landed.document()}, landed.lines)
    return landed.code
