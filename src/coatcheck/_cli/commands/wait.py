"""`wait` waits for the end of a task; `watch` prints its events."""

from __future__ import annotations

import click

from ..._app.wait import WaitOptions, unique_refs, wait_for_task, watch_tasks
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
@click.option("--first", is_flag=True, help="Stop waiting when the first attempt ends.")
def wait_command(
    run: CommandContext, *, task: str, timeout: str | None, interval: str | None, attempt: int | None, first: bool
) -> int:
    """Wait for a task to end and print its result (step 2 of 2).

    Ctrl-C and the deadline stop the waiting, not the task. The exit code is 3 when the task ended without success, 4
    at the deadline, 10 when the task needs input.
    """
    from ..._app.outcomes import outcome_of
    from ..wait_progress import expect_interruption, print_next_step, progress_callback, result, wait_exit_code

    ref = run.ref(task)
    options = WaitOptions(
        timeout=timeout_of(run, timeout), interval=seconds(interval, "--interval") if interval else None, first=first
    )
    expect_interruption(run, ref)
    with run.client(ref.provider) as client:
        ended = wait_for_task(client, ref, options, on_change=progress_callback(run, ref))
    outcome_of(ended, attempt)  # raises where there is no such attempt
    run.answer(lambda: to_object(ended), lambda: result(ended, attempt, run.now))
    print_next_step(run, ended)
    return wait_exit_code(ended)


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
@click.option("--stream", is_flag=True, help="Read the service's event stream instead of polling.")
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

    With --json each event is one line. The exit code is 0 however a task ends; that of `wait` depends on it.

    Several tasks must be of one provider: its list is polled in place of each task where that is fewer requests.
    """
    from ..wait_progress import expect_interruption

    refs = unique_refs([run.ref(task) for task in tasks])
    options = WaitOptions(
        timeout=timeout_of(run, timeout), interval=seconds(interval, "--interval") if interval else None
    )
    expect_interruption(run, *refs)
    with run.client(refs[0].provider) as client:
        for event in watch_tasks(client, refs, options, after=after, is_streamed=stream):
            if run.is_json:
                run.console.write_json(dump_line(to_object(event, is_summary=True)))
            else:
                run.console.show_all(event_lines(event, is_named=len(refs) > 1))
