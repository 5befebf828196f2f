"""Actions on an existing task: cancel, message, pr, archive, unarchive, delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from ... import errors
from ..._app.actions import cancel_task
from ..context import CommandContext, attempt_option, command, ref_argument, refs_argument
from ..exit_codes import ExitCode
from ..json_output import to_object

if TYPE_CHECKING:
    from ..._model.tasks import TaskRef
    from ..._runtime.client import Client


def _act(
    run: CommandContext, ref: TaskRef, act: Callable[[Client, TaskRef], object], *, action: str, then: str
) -> None:
    with run.client(ref.provider) as client:
        act(client, ref)
    sentence = _sentence(run, then, ref)
    run.console.remedy = sentence
    run.answer(lambda: {"ref": str(ref), "action": action}, lambda: [sentence])


def _act_on_each(
    run: CommandContext,
    tasks: Sequence[str],
    act: Callable[[Client, TaskRef], object],
    *,
    action: str,
    then: str,
) -> ExitCode:
    """Act on every task, also if it fails for some; return the exit code of the first error."""
    from ..several_tasks import Result, answer_each, for_each, printed_when_interrupted, refs_of

    refs = refs_of(run, tasks)
    results: list[Result[TaskRef]] = []

    def perform(client: Client, ref: TaskRef) -> TaskRef:
        if len(refs) > 1:
            done = {ref for ref, _ in results}
            again = run.hint(action, *(str(each) for each in refs if each not in done))
            run.process_env.interruption.expect(f"repeat it with: {again}", ref=ref)
        act(client, ref)
        run.console.remedy = _sentence(run, then, ref)
        return ref

    def answer() -> ExitCode:
        return answer_each(
            run,
            results,
            lambda ref: {"ref": str(ref), "action": action},
            lambda ref: [_sentence(run, then, ref)],
            is_one=len(refs) == 1,
        )

    with printed_when_interrupted(run, results, answer):
        for result in for_each(run, refs, perform):
            results.append(result)  # noqa: PERF402 - what was done is known when the loop is interrupted
    return answer()


def _sentence(run: CommandContext, then: str, ref: TaskRef) -> str:
    """Return what was done to *ref*, with the next command for the same service."""
    commands = {name: run.hint(name, str(ref)) for name in ("wait", "status", "show")}
    return then.format(ref=ref, **commands)


@command("cancel", examples="coatcheck cancel codex:task_e_6a0\ncoatcheck cancel @last @2")
@refs_argument
def cancel_command(run: CommandContext, *, tasks: tuple[str, ...]) -> int:
    """Request that the service stops tasks; this takes some seconds."""
    return _act_on_each(
        run,
        tasks,
        cancel_task,
        action="cancel",
        then="{ref}: cancellation requested; see: {status}",
    )


@command("archive", examples="coatcheck archive codex:task_e_6a0\ncoatcheck archive @last @2")
@refs_argument
def archive_command(run: CommandContext, *, tasks: tuple[str, ...]) -> int:
    """Move tasks out of the current list."""
    return _act_on_each(
        run, tasks, lambda client, ref: client.archive_task(ref), action="archive", then="{ref} is archived"
    )


@command("unarchive", examples="coatcheck unarchive codex:task_e_6a0")
@refs_argument
def unarchive_command(run: CommandContext, *, tasks: tuple[str, ...]) -> int:
    """Move tasks back into the current list."""
    return _act_on_each(
        run, tasks, lambda client, ref: client.unarchive_task(ref), action="unarchive", then="{ref} is current again"
    )


@command("delete", examples="coatcheck delete --yes codex:task_e_6a0")
@ref_argument
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
def delete_command(run: CommandContext, *, task: str, is_sure: bool) -> None:
    """Delete a task permanently."""
    ref = run.ref(task)
    if not is_sure and not run.confirm(f"Delete {ref} permanently?"):
        raise errors.ConfigurationError(f"{ref} was not deleted", remedy="delete it permanently with --yes")
    _act(run, ref, lambda client, ref: client.delete_task(ref), action="delete", then="{ref} is deleted")


@command(
    "pr",
    examples="""
coatcheck pr codex:task_e_6a0
coatcheck pr --attempt 2 --ready codex:task_e_6a0
""",
)
@ref_argument
@attempt_option
@click.option("--ready", is_flag=True, help="Open it ready for review instead of as a draft.")
def pr_command(run: CommandContext, *, task: str, attempt: int | None, ready: bool) -> None:
    """Request that the service opens a pull request with a task's changes."""
    _act(
        run,
        run.ref(task),
        lambda client, ref: client.create_pull_request(ref, attempt=attempt, draft=not ready),
        action="pr",
        then="requested a pull request of {ref}; some seconds later: {show}",
    )


@command(
    "message",
    examples="""
coatcheck message codex:task_e_6a0 "Use the tokens of the style guide"
coatcheck message codex:task_e_6a0 - < review.md
""",
)
@ref_argument
@click.argument("words", metavar="[TEXT]", nargs=-1)
@click.option("--message-file", "file", metavar="FILE", help="Read the message from a file (- is standard input).")
@click.option("--ask", is_flag=True, help="Ask a question; the task makes no diff.")
@click.option("--model", metavar="NAME", help="Model to use; the service may choose another.")
def message_command(
    run: CommandContext, *, task: str, words: tuple[str, ...], file: str | None, ask: bool, model: str | None
) -> None:
    """Send a follow-up to a task, which runs again.

    Without TEXT an editor opens on a terminal (VISUAL, EDITOR); elsewhere the message is standard input, as it is for -.
    """
    from ..prompts import read_prompt

    ref = run.ref(task)
    message = read_prompt(run, words, file, what="the message", facts=lambda: [f"Task: {ref}"], before=(str(ref),))
    with run.client(ref.provider) as client:
        continued = client.send_message(ref, message, mode="ask" if ask else "code", model=model)
    again = run.hint("wait", str(continued.ref))
    run.console.remedy = f"the message was sent; wait for the task with: {again}"
    run.answer(lambda: to_object(continued, is_summary=True), lambda: [str(continued.ref)])
    run.note(f"It runs again; get the result with: {again}")
