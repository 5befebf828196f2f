"""`wait` comes back for a task and stays until its end; `watch` tells what happens meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ... import errors
from ..context import (
    CommandContext,
    attempt_option,
    command,
    interval_option,
    ref_argument,
    seconds,
    timeout_of,
    timeout_option,
)
from ..formatting import event as event_lines
from ..json_output import dump_line, to_object

if TYPE_CHECKING:
    from ..._model.tasks import TaskRef


@command(
    "wait",
    examples="""
coatcheck wait codex:task_e_6a0
coatcheck wait --timeout 30m --first codex:task_e_6a0
coatcheck wait --json codex:task_e_6a0
""",
)
@ref_argument
@timeout_option
@interval_option
@attempt_option
@click.option("--first", is_flag=True, help="Be content with the first attempt that ends.")
def wait_command(
    run: CommandContext, *, task: str, timeout: str | None, interval: str | None, attempt: int | None, first: bool
) -> int:
    """Wait for a task to end and print what it made (step 2 of 2).

    Ctrl-C and the deadline stop the waiting, not the task. The exit code is 3 when the task ended without success, 4
    at the deadline, 10 when the task stands still until somebody acts.
    """
    from ..plan_prompts import next_step, verdict
    from ..wait_progress import chosen, expect_return, result, wait_for

    ref, limit, pause = run.ref(task), timeout_of(run, timeout), seconds(interval) if interval else None
    expect_return(run, ref)
    with run.client(ref.provider) as client:
        ended = wait_for(run, client, ref, timeout=limit, interval=pause, first=first)
    chosen(ended, attempt)
    run.answer(lambda: to_object(ended), lambda: result(ended, attempt, run.now))
    next_step(run, ended)
    return verdict(ended)


@command(
    "watch",
    examples="""
coatcheck watch codex:task_e_6a0
coatcheck watch --json codex:task_e_6a0 | jq -r .state
coatcheck watch --after CURSOR codex:task_e_6a0
coatcheck watch jules:123 jules:456
""",
)
@click.argument("tasks", metavar="REF...", nargs=-1, required=True)
@timeout_option
@interval_option
@click.option("--after", metavar="ID", help="Continue after this event: an `id` that --json has printed.")
@click.option("--stream", is_flag=True, help="Read the service's own live events instead of looking again and again.")
def watch_command(
    run: CommandContext,
    *,
    tasks: tuple[str, ...],
    timeout: str | None,
    interval: str | None,
    after: str | None,
    stream: bool,
) -> None:
    """Print what happens to one task or many as it happens, until each ends.

    With --json each event is one line. The exit code is 0 however a task ends: `wait` is for judging it.

    Many tasks are one provider's: pages of its list are read in place of looks where that is fewer requests.
    """
    from ..wait_progress import expect_return

    refs = _of_one_provider([run.ref(task) for task in tasks])
    limit, pause = timeout_of(run, timeout), seconds(interval) if interval else None
    if len(refs) > 1 and (after or stream):
        option = "--after" if after else "--stream"
        raise errors.ConfigurationError(f"{option} is for one task, not {len(refs)}", remedy="name one task")
    expect_return(run, *refs)
    with run.client(refs[0].provider) as client:
        if len(refs) > 1:
            events = client.watch_tasks(refs, timeout=limit, interval=pause)
        elif stream:
            events = client.stream_task(refs[0], timeout=limit)
        else:
            events = client.watch_task(refs[0], timeout=limit, interval=pause, after=after)
        for happened in events:
            if run.is_json:
                run.console.write_json(dump_line(to_object(happened, is_summary=True)))
            else:
                run.console.show_all(event_lines(happened, is_named=len(refs) > 1))


def _of_one_provider(refs: list[TaskRef]) -> list[TaskRef]:
    """Return *refs*, each once. Raises `ConfigurationError` where they are of several providers."""
    providers = sorted({ref.provider for ref in refs})
    if len(providers) > 1:
        message = f"these are tasks of {' and of '.join(providers)}"
        raise errors.ConfigurationError(message, remedy="watch one provider's tasks at a time")
    return list(dict.fromkeys(refs))
