"""`wait` waits for the end of tasks; `watch` prints their events."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import click
import msgspec

from ... import errors
from ..._app.stored_events import StoredEvents
from ..._app.wait import WaitOptions, unique_refs, wait_for_task, watch_tasks
from ..._model.states import TaskState
from ..._protocol.provider import Verb
from ..._runtime.system_clock import SystemClock
from ..console import Styled, diff_lines, indented
from ..context import CommandContext, attempt_option, command, refs_argument
from ..exit_codes import ExitCode
from ..formatting import event as event_lines
from ..json_output import to_object
from ..time_options import interval_option, seconds, timeout_of, timeout_option

if TYPE_CHECKING:
    from ..._model.events import TaskEvent
    from ..._model.tasks import Task, TaskRef
    from ..._runtime.client import Client
    from ..several_tasks import Result


@command(
    "wait",
    examples="""
coatcheck wait codex:task_e_6a0
coatcheck wait --timeout 30m --first @last
coatcheck wait @last @2 jules:1234567890
coatcheck wait --json codex:task_e_6a0
""",
)
@refs_argument
@timeout_option
@interval_option
@attempt_option
@click.option("--first", is_flag=True, help="Stop waiting when the first attempt ends.")
def wait_command(
    run: CommandContext,
    *,
    tasks: tuple[str, ...],
    timeout: str | None,
    interval: str | None,
    attempt: int | None,
    first: bool,
) -> int:
    """Wait for tasks to end and print their results (step 2 of 2).

    Ctrl-C and the deadline stop the waiting, not the tasks. The exit code is 3 when a task ended without success, 4 at
    the deadline, 10 when a task needs input.

    Of several tasks each result is printed when its task ends, and the deadline is for all of them.
    """
    from ..several_tasks import refs_of
    from ..wait_progress import expect_interruption

    refs = refs_of(run, tasks)
    options = WaitOptions(
        timeout=timeout_of(run, timeout), interval=seconds(interval, "--interval") if interval else None, first=first
    )
    if len(refs) > 1 and (first or attempt):
        option = "--first" if first else "--attempt"
        raise errors.ConfigurationError(f"{option} is for one task, not {len(refs)}", remedy="name one task")
    expect_interruption(run, *refs, verb="wait")
    return _wait_for_one(run, refs[0], options, attempt) if len(refs) == 1 else _wait_for_all(run, refs, options)


def _wait_for_one(run: CommandContext, ref: TaskRef, options: WaitOptions, attempt: int | None) -> ExitCode:
    from ..._app.outcomes import outcome_of
    from ..wait_progress import print_next_step, result, wait_exit_code, with_gate
    from ..waiting_gates import waiting_gates

    with waiting_gates(run) as gates, run.client(ref.provider, waits=True) as client:
        approve = gates.plan_decision(client, ref.provider)
        update = run.start_progress(ref).update
        ended, gate = gates.wait(
            client, options, lambda options: wait_for_task(client, ref, options, approve=approve, on_change=update)
        )
    outcome_of(ended, attempt)  # raises where there is no such attempt
    run.answer(lambda: with_gate(ended, gate), lambda: result(ended, attempt, run))
    print_next_step(run, ended, gate)
    return wait_exit_code(ended)


def _wait_for_all(run: CommandContext, refs: Sequence[TaskRef], options: WaitOptions) -> ExitCode:
    """Wait for several tasks, one provider after the other: they run meanwhile, so it takes no longer."""
    from ..several_tasks import groups_of, printed_when_interrupted, report_errors
    from ..wait_progress import wait_exit_code

    run.start_progress(*refs)
    deadline = None if options.timeout is None else run.monotonic() + options.timeout
    results: dict[TaskRef, Task | errors.CoatcheckError] = {}
    with printed_when_interrupted(run, results, lambda: _print_documents(run, list(results.items()))):
        for group in groups_of(run, refs):
            remaining = None if deadline is None else max(0.001, deadline - run.monotonic())
            _wait_for_group(run, group, msgspec.structs.replace(options, timeout=remaining), results, all_refs=refs)
    ordered: list[Result[Task]] = [(ref, results[ref]) for ref in refs]
    _print_documents(run, ordered)
    code = report_errors(run, ordered)
    codes = {wait_exit_code(task) for _, task in ordered if not isinstance(task, errors.CoatcheckError)}
    worst = (each for each in (ExitCode.TASK_FAILED, ExitCode.NEEDS_INPUT) if each in codes)
    return code or next(worst, ExitCode.DONE)


def _wait_for_group(
    run: CommandContext,
    refs: Sequence[TaskRef],
    options: WaitOptions,
    results: dict[TaskRef, Task | errors.CoatcheckError],
    *,
    all_refs: Sequence[TaskRef],
) -> None:
    """Add each task of one provider as it ended, or why it did not; without --json print each result at once."""
    from ..wait_progress import expect_interruption, print_next_step, result
    from ..waiting_gates import waiting_gates

    try:
        with waiting_gates(run) as gates, run.client(refs[0].provider, waits=True, refs=refs) as client:
            for task in client.poll_tasks(refs, timeout=options.timeout, interval=options.interval):
                if run.outages.progress is not None:
                    run.outages.progress.record_event(task.ref, "", task.state)
                if not run.is_json:
                    run.console.show_all([Styled(str(task.ref), "bold"), *indented(result(task, None, run)), ""])
                gate = gates.observe(task)
                if not run.is_json:
                    print_next_step(run, task, gate)
                results[task.ref] = task
                if running := [ref for ref in all_refs if ref not in results]:
                    expect_interruption(run, *running, verb="wait")
    except errors.CoatcheckError as error:
        missing = [ref for ref in refs if ref not in results]
        results |= {ref: run.in_context(error, provider=ref.provider, refs=[ref]) for ref in missing}


def _print_documents(run: CommandContext, results: Sequence[Result[Task]]) -> None:
    from ..several_tasks import document_of

    if not run.is_json:
        return
    run.answer(lambda: {"tasks": [document_of(ref, value, to_object) for ref, value in results]}, list)


@command(
    "watch",
    examples="""
coatcheck watch codex:task_e_6a0
coatcheck watch --json codex:task_e_6a0 | jq -r .state
coatcheck watch --after CURSOR codex:task_e_6a0
coatcheck watch --resume local:task_e_6a0
coatcheck watch --diff local:task_e_6a0
coatcheck watch jules:123 jules:456
""",
)
@refs_argument
@timeout_option
@interval_option
@click.option("--after", metavar="ID", help="Continue after this event: an `id` that --json has printed.")
@click.option("--resume", is_flag=True, help="Continue after the last event that an earlier watch of the task printed.")
@click.option("--stream", is_flag=True, help="Read the service's event stream alone, to its end, instead of polling.")
@click.option("--diff", "shows_diff", is_flag=True, help="Print the diff of a running attempt when it has changed.")
def watch_command(
    run: CommandContext,
    *,
    tasks: tuple[str, ...],
    timeout: str | None,
    interval: str | None,
    after: str | None,
    resume: bool,
    stream: bool,
    shows_diff: bool,
) -> None:
    """Print what happens to one task or many as it happens, until each ends.

    Where the service has an event stream that can be resumed (the local cloud, a Codex host, Cursor), it is read between polls: output arrives
    while the agent writes it. With --json each event is one line. The exit code is 0 however a task ends; that of `wait`
    depends on it. A task that waits for a permission is watched until that is decided and the task ends.

    Several tasks must be of one provider: its list is polled in place of each task where that is fewer requests.
    """
    from ..wait_progress import expect_interruption

    refs = unique_refs([run.ref(task) for task in tasks])
    options = WaitOptions(
        timeout=timeout_of(run, timeout), interval=seconds(interval, "--interval") if interval else None
    )
    if resume and (after or len(refs) > 1):
        raise errors.ConfigurationError(
            "--resume is for one task, and not with --after", remedy="leave out --resume, or watch one task"
        )
    expect_interruption(run, *refs)
    progress = run.start_progress(*refs)
    with (
        closing(StoredEvents(run.config, clock=run.process_env.clock or SystemClock())) as stored,
        run.client(refs[0].provider, waits=True) as client,
    ):
        if shows_diff:
            client.capabilities.require(Verb.GET_CURRENT_DIFF, refs[0].provider)
        after = stored.cursor(refs[0]) if resume else after
        diffs = DiffPrinter(run, client) if shows_diff else None
        for event in watch_tasks(client, refs, options, after=after, is_streamed=stream):
            progress.record_event(event.ref, event.text or "", getattr(event, "state", None))
            _show_event(run, event, is_named=len(refs) > 1)
            if event.type == "task.needs_input" and Verb.DECIDE_PERMISSION in client.capabilities.verbs:
                run.note(
                    f"decide with: {run.hint('approve', str(event.ref))}, or: {run.hint('reject', str(event.ref))}"
                )
            if client.capabilities.has_resumable_stream:
                stored.record(event)
            if diffs is not None:
                diffs.show(event)
        if stored.error is not None:
            run.note(f"Events could not be stored: {stored.error}")


def _show_event(run: CommandContext, event: TaskEvent, *, is_named: bool) -> None:
    if run.is_json:
        run.print_document(to_object(event, is_summary=True), is_line=True)
    else:
        run.console.show_all(event_lines(event, run.now, is_named=is_named, markdown=run.markdown))


class DiffPrinter:
    """Prints the diff of an attempt after each event that may have changed it; the same diff is printed once."""

    def __init__(self, run: CommandContext, client: Client) -> None:
        self._run, self._client = run, client
        self._shown: dict[tuple[TaskRef, int], str] = {}

    def show(self, event: TaskEvent) -> None:
        """Print the diff after *event*, where it has changed; a diff that is not available now comes with a later one."""
        if event.type != "task.diff" and not getattr(event, "state", TaskState.UNKNOWN).is_terminal:
            return
        attempt = event.attempt or 1
        try:
            diff = self._client.get_current_diff(event.ref, attempt=attempt)
        except errors.ProviderUnavailableError as error:
            self._run.note(str(error))
            return
        if diff and diff != self._shown.get((event.ref, attempt)):
            self._shown[event.ref, attempt] = diff
            self._print(event, attempt, diff)

    def _print(self, event: TaskEvent, attempt: int, diff: str) -> None:
        if self._run.is_json:
            document = {"type": "diff", "ref": str(event.ref), "attempt": attempt, "diff": diff}
            self._run.print_document(document, is_line=True)
        else:
            self._run.console.show_all([*diff_lines(diff.encode()), ""])
