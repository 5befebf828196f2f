"""`fleet`: many tasks as one: plan, run, and decide about their results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ... import errors
from ..command_group import CommandGroup
from ..context import CommandContext
from ..exit_codes import ExitCode
from ..fleet_formatting import (
    code_of,
    confirm_plan,
    item_line,
    item_report_lines,
    plan_lines,
    show_end,
    show_next,
    status_lines,
)
from ..fleet_report import FORMATS, show_report
from ..fleet_store import failures_of, opened
from ..json_output import to_object

if TYPE_CHECKING:
    from ..._fleet.plan import FleetPlan
    from ..._model.fleets import FleetItem, FleetStatus
    from ..console import Line

fleet_command = CommandGroup(
    "fleet",
    default="list",
    help="""Submit many prompts to many repositories and services, check and rank the results, and deliver the best.

    A fleet is described by a file. `plan` shows what it would send, `run` sends it and continues after a crash, and
    `approve` and `reject` decide about its results. Many machines share a PostgreSQL database, which COATCHECK_DATABASE
    names: `init` prepares it, and `work` is one of many workers.

    The exit code of `run`, `status`, `watch` and `work` is 0 where everything was delivered, 10 where a decision is
    needed, 12 where a quota is, 13 where the fleet was stopped, and 14 where some items failed.
    """,
)
file_argument = click.argument("file", metavar="FILE")
name_argument = click.argument("fleet", metavar="NAME")
keys_argument = click.argument("keys", metavar="[KEY]...", nargs=-1)
rebase_option = click.option("--rebase", is_flag=True, help="Start from the commits that the branches have now.")
why_option = click.option("--why", metavar="TEXT", help="The reason, which is recorded.")


# --- plan and run -----------------------------------------------------------------------------------------------------


@fleet_command.subcommand("list", examples="coatcheck fleet")
def list_fleets(run: CommandContext) -> None:
    """List the fleets."""
    from ..._app.fleets import fleet_control

    with fleet_control(run.workspace, clock=run.process_env.clock) as control:
        fleets = control.store.list() if control else ()
    run.answer(
        lambda: {"fleets": [to_object(each) for each in fleets]},
        lambda: (
            [f"{each.name}  {each.state}  {each.created_at:%Y-%m-%d %H:%M}" for each in fleets]
            or ["No fleets; run one with: coatcheck fleet run FILE"]
        ),
    )


@fleet_command.subcommand("plan", examples="coatcheck fleet plan typing.toml")
@file_argument
@rebase_option
def plan_fleet(run: CommandContext, *, file: str, rebase: bool) -> int:
    """Print what a fleet file would send, to whom, and how long it takes. Nothing is written."""
    from ..._app.fleets import open_fleet

    with open_fleet(run.workspace, file, clock=run.process_env.clock) as fleet:
        plan = fleet.plan(rebase=rebase)
    run.answer(lambda: to_object(plan), lambda: plan_lines(plan), is_long=True)
    return ExitCode.FAILURES if plan.problems or plan.unusable else ExitCode.DONE


@fleet_command.subcommand(
    "run",
    examples="""
coatcheck fleet run typing.toml
coatcheck fleet run typing.toml --yes --wait
""",
)
@file_argument
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@rebase_option
@click.option("--wait", is_flag=True, help="Continue until all is done, also while a person or a quota is needed.")
def run_fleet(run: CommandContext, *, file: str, is_confirmed: bool, rebase: bool, wait: bool) -> int:
    """Run a fleet file until a person or a quota is needed, or all is done.

    It prints the plan and asks before it sends. Run again, also after a crash, it continues and sends nothing twice.
    """
    from ..._app.fleets import open_fleet
    from ..fleet_progress import FleetProgress

    plans: list[FleetPlan] = []

    def confirm(plan: FleetPlan) -> bool:
        plans.append(plan)
        return confirm_plan(run, plan, is_confirmed=is_confirmed, question=f"Run {plan.name}?")

    with open_fleet(run.workspace, file, clock=run.process_env.clock) as fleet:
        run.process_env.interruption.expect(f"continue with: {run.hint('fleet', 'run', file)}")
        with FleetProgress(run, fleet.name) as progress:
            status = fleet.run(
                confirm=confirm, rebase=rebase, wait=wait, on_status=progress.show, on_notice=progress.notice
            )
    if status is None:
        raise errors.ConfigurationError(
            f"the fleet {fleet.name} was not run", remedy="read its plan, then pass --yes to run it"
        )
    problems = [to_object(each) for each in plans[0].problems]
    show_end(run, status, {"status": to_object(status), "problems": problems}, failures_of(run, status))
    show_next(run, status)
    code = code_of(status)
    return ExitCode.FAILURES if code == ExitCode.DONE and (problems or plans[0].unusable) else code


# --- state ------------------------------------------------------------------------------------------------------------


@fleet_command.subcommand(
    "status",
    examples="""
coatcheck fleet status typing
coatcheck fleet status typing "acme/api core"
""",
)
@name_argument
@keys_argument
def print_status(run: CommandContext, *, fleet: str, keys: tuple[str, ...]) -> int:
    """Print how many items and tasks are in each state, and those items that have a KEY."""
    with opened(run, fleet) as control:
        status = control.status(fleet)
        items = control.items(fleet, keys=keys) if keys else ()
    failed = failures_of(run, status) if not keys else ()
    run.answer(
        lambda: {"status": to_object(status), "items": [to_object(each) for each in items]},
        lambda: [*status_lines(status, failed), *map(item_line, items)],
    )
    show_next(run, status)
    return code_of(status)


@fleet_command.subcommand("watch", examples="coatcheck fleet watch typing")
@name_argument
def watch_fleet(run: CommandContext, *, fleet: str) -> int:
    """Show the progress of a fleet that another process runs, until that ends."""
    from ..._model.fleets import FleetOutcome
    from ..._runtime.system_clock import SystemClock
    from ..fleet_progress import FleetProgress

    clock = run.process_env.clock or SystemClock()
    with opened(run, fleet) as control, FleetProgress(run, fleet) as progress:
        while (status := control.status(fleet)).outcome is FleetOutcome.RUNNING:
            progress.show(status)
            clock.sleep(1.0)
    show_end(run, status, {"status": to_object(status)}, failures_of(run, status))
    return code_of(status)


@fleet_command.subcommand(
    "show",
    examples="""
coatcheck fleet show typing "acme/api core"
coatcheck fleet show typing --json key,state,why
""",
)
@name_argument
@click.argument("key", metavar="[KEY]", required=False)
def show_items(run: CommandContext, *, fleet: str, key: str | None) -> None:
    """List the items of a fleet. With a KEY it prints that item: its candidates, its delivery, its review, its prompt."""
    with opened(run, fleet) as control:
        if key is not None:
            report = control.show(fleet, key)
            run.answer(lambda: to_object(report), lambda: item_report_lines(report), is_long=True)
            return
        items = control.items(fleet)
    run.answer(lambda: {"items": [to_object(each) for each in items]}, lambda: [*map(item_line, items)], is_long=True)


@fleet_command.subcommand("report", examples="coatcheck fleet report typing --format html --output typing.html")
@name_argument
@click.option("--format", "format", type=click.Choice(list(FORMATS)), help="markdown (the default), html, or json.")
@click.option("--output", metavar="FILE", help="Write it to this file; - is standard output.")
def print_report(run: CommandContext, *, fleet: str, format: str | None, output: str | None) -> None:
    """Print what was sent, why each change was chosen or rejected, where it was delivered, and what is unfinished."""
    with opened(run, fleet) as control:
        show_report(run, control, fleet, format=format, output=output)


@fleet_command.subcommand(
    "events",
    examples="""
coatcheck fleet events typing
coatcheck fleet events typing --after 42 --json
""",
)
@name_argument
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="ID", help="Begin after this event.")
def print_events(run: CommandContext, *, fleet: str, after: int) -> None:
    """Print the events of a fleet, the oldest first. They include who decided, and why."""
    from ..formatting import event as event_lines

    with opened(run, fleet) as control:
        while events := control.events(fleet, after=after):
            for stored in events:
                after = stored.id
                if run.is_json:
                    run.print_document(to_object(stored, is_summary=True), is_line=True)
                else:
                    moment = stored.recorded_at.timestamp()
                    run.console.show_all(event_lines(stored.event, moment, is_named=False, markdown=run.markdown))


# --- decisions --------------------------------------------------------------------------------------------------------


@fleet_command.subcommand(
    "approve",
    examples="""
coatcheck fleet approve typing --why "read all of them"
coatcheck fleet approve typing "acme/api core"
""",
)
@name_argument
@keys_argument
@why_option
def approve_items(run: CommandContext, *, fleet: str, keys: tuple[str, ...], why: str | None) -> None:
    """Approve the items that wait, all or those with a KEY, and begin the next wave."""
    from ..._app.fleets import person

    with opened(run, fleet) as control:
        before = control.status(fleet)
        items = control.approve(fleet, keys, by=person(run.workspace), why=why)
        _show_changed(run, items, "approved", wave=_decided_wave(before, control.status(fleet)))


@fleet_command.subcommand("reject", examples='coatcheck fleet reject typing "acme/api core" --why "too large"')
@name_argument
@keys_argument
@why_option
def reject_items(run: CommandContext, *, fleet: str, keys: tuple[str, ...], why: str | None) -> None:
    """Reject the items that wait, all or those with a KEY, and stop before the next wave."""
    from ..._app.fleets import person

    with opened(run, fleet) as control:
        before = control.status(fleet)
        items = control.reject(fleet, keys, by=person(run.workspace), why=why)
        _show_changed(run, items, "rejected", wave=_decided_wave(before, control.status(fleet)))


@fleet_command.subcommand(
    "retry",
    examples="""
coatcheck fleet retry typing
coatcheck fleet retry typing "acme/api core" --uncertain
""",
)
@name_argument
@keys_argument
@click.option(
    "--failed/--uncertain",
    default=True,
    help="What has failed (the default), or what may have been sent: look at the service first.",
)
def retry_items(run: CommandContext, *, fleet: str, keys: tuple[str, ...], failed: bool) -> None:
    """Send items that failed back to work, all or those with a KEY."""
    from ..._app.fleets import person

    with opened(run, fleet) as control:
        _show_changed(run, control.retry(fleet, keys, by=person(run.workspace), uncertain=not failed), "retried")


def _decided_wave(before: FleetStatus, after: FleetStatus) -> int | None:
    """Return the number of the wave that was decided, None where none was."""
    is_decided = before.waits_for_wave and not after.waits_for_wave
    return before.fleet.wave + 2 if is_decided else None


def _show_changed(run: CommandContext, changed: Sequence[FleetItem], word: str, *, wave: int | None = None) -> None:
    """Print the items and the wave that a decision has changed."""
    lines: list[Line] = [f"{word} {each.key}" for each in changed]
    if wave is not None:
        lines.append(f"{word} wave {wave}")
    run.answer(lambda: {"items": [to_object(each) for each in changed]}, lambda: lines or [f"Nothing was {word}."])
    if lines:
        run.note("Run the fleet again to continue: coatcheck fleet run FILE")


@fleet_command.subcommand(
    "deliver",
    examples="""
coatcheck fleet deliver typing --dry-run
coatcheck fleet deliver typing
""",
)
@name_argument
@click.option("--dry-run", is_flag=True, help="Print the merge order and what conflicts, and deliver nothing.")
def deliver_fleet(run: CommandContext, *, fleet: str, dry_run: bool) -> int:
    """Deliver what was approved, in the merge order of each repository.

    Relative paths of the fleet file are relative to the current folder.
    """
    from .. import fleet_deliveries

    return fleet_deliveries.show_plan(run, fleet) if dry_run else fleet_deliveries.deliver(run, fleet)


@fleet_command.subcommand("pause", examples="coatcheck fleet pause typing")
@name_argument
@why_option
def pause_fleet(run: CommandContext, *, fleet: str, why: str | None) -> None:
    """Start nothing more until `fleet resume`."""
    from ..._app.fleets import person

    with opened(run, fleet) as control:
        changed = control.pause(fleet, by=person(run.workspace), why=why)
    run.answer(
        lambda: {"fleet": fleet, "is_changed": changed},
        lambda: [f"{fleet} is paused." if changed else f"{fleet} was not running."],
    )


@fleet_command.subcommand("resume", examples="coatcheck fleet resume typing")
@name_argument
def resume_fleet(run: CommandContext, *, fleet: str) -> None:
    """Let a fleet that was paused run again."""
    from ..._app.fleets import person

    with opened(run, fleet) as control:
        changed = control.resume(fleet, by=person(run.workspace))
    run.answer(
        lambda: {"fleet": fleet, "is_changed": changed},
        lambda: [f"{fleet} may run again: coatcheck fleet run FILE" if changed else f"{fleet} was not paused."],
    )


@fleet_command.subcommand("cancel", examples="coatcheck fleet cancel typing")
@name_argument
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@why_option
def cancel_fleet(run: CommandContext, *, fleet: str, is_confirmed: bool, why: str | None) -> None:
    """Cancel a fleet. Tasks that run are listed, and not cancelled."""
    from ..._app.fleets import person
    from ..._model.fleets import FleetState

    with opened(run, fleet) as control:
        control.get(fleet)
        if not is_confirmed and not run.confirm(f"Cancel {fleet}?"):
            raise errors.ConfigurationError(f"the fleet {fleet} was not cancelled", remedy="pass --yes to cancel it")
        has_ended = control.get(fleet).state is FleetState.DONE
        running = control.cancel(fleet, by=person(run.workspace), why=why)
    run.answer(
        lambda: {"fleet": fleet, "running": [str(each.ref) for each in running]},
        lambda: [f"{fleet} had ended: nothing was cancelled." if has_ended else f"{fleet} is cancelled."],
    )
    for each in running:
        run.note(f"still running: coatcheck cancel {each.ref}")


# --- many machines ----------------------------------------------------------------------------------------------------


@fleet_command.subcommand("init", examples="coatcheck fleet init typing.toml")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@rebase_option
def init_fleets(run: CommandContext, *, files: tuple[str, ...], is_confirmed: bool, rebase: bool) -> int:
    """Create the tables of a PostgreSQL database, and store the plan of each FILE."""
    from .. import fleet_workers

    return fleet_workers.init(run, files, is_confirmed=is_confirmed, rebase=rebase)


@fleet_command.subcommand(
    "work",
    examples="""
coatcheck fleet work typing.toml
coatcheck fleet work typing.toml --kinds submit,verify
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--kinds", metavar="KINDS", help="The jobs to take: some of submit, sweep, verify and deliver (default: all)."
)
def work_on_fleets(run: CommandContext, *, files: tuple[str, ...], kinds: str | None) -> int:
    """Work on the jobs of fleets until they are done, as one of many workers. Only checks of the FILEs are run."""
    from .. import fleet_workers

    return fleet_workers.work(run, files, fleet_workers.parse_kinds(kinds))
