"""`fleet`: many tasks as one: plan, run, and decide about their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ... import errors
from ..console import Styled
from ..context import CommandContext, command
from ..exit_codes import ExitCode
from ..json_output import to_object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..._fleet.control import FleetControl
    from ..._fleet.fleet import Fleet
    from ..._fleet.plan import FleetPlan
    from ..._model.fleets import FleetItem, FleetStatus
    from ..console import Line

# Action -> what follows it.
ACTIONS = {
    "list": "",
    "plan": "FILE",
    "run": "FILE",
    "status": "NAME",
    "watch": "NAME",
    "show": "NAME",
    "approve": "NAME",
    "reject": "NAME",
    "retry": "NAME",
    "pause": "NAME",
    "resume": "NAME",
    "cancel": "NAME",
    "events": "NAME",
}
TAKES_KEYS = ("show", "approve", "reject", "retry", "status")
# Option -> the actions that take it.
OPTIONS = {
    "yes": ("run", "cancel"),
    "rebase": ("plan", "run"),
    "wait": ("run",),
    "why": ("approve", "reject", "pause", "cancel"),
    "uncertain": ("retry",),
    "after": ("events",),
}


@command(
    "fleet",
    has_provider=False,
    examples="""
coatcheck fleet plan typing.toml
coatcheck fleet run typing.toml
coatcheck fleet status typing
coatcheck fleet show typing "acme/api core"
coatcheck fleet approve typing --why "read all of them"
coatcheck fleet retry typing
coatcheck fleet events typing --after 42 --json
""",
)
@click.argument("action", type=click.Choice(list(ACTIONS)), default="list")
@click.argument("target", metavar="[FILE|NAME]", required=False)
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--yes", is_flag=True, help="run, cancel: Do not ask.")
@click.option("--rebase", is_flag=True, help="plan, run: Start from the commits that the branches have now.")
@click.option("--wait", is_flag=True, help="run: Go on until all is done, also while a person or a quota is needed.")
@click.option("--why", metavar="TEXT", help="approve, reject, pause, cancel: The reason, which is recorded.")
@click.option("--uncertain", is_flag=True, help="retry: Send again what may have been sent; look at the service first.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="ID", help="events: Begin after this event.")
def fleet_command(
    run: CommandContext, *, action: str, target: str | None, keys: tuple[str, ...], **options: Any
) -> int | None:
    """Submit many prompts to many repositories and services, check and rank the results, and deliver the best.

    FILE is a fleet file. plan shows what would be sent, to whom, and how long it takes; it writes nothing. run plans,
    asks, and works until a person or a quota is needed, or all is done; run again, also after a crash, it continues and
    sends nothing twice. show lists the items, with a KEY one of them. approve and reject decide about the items that wait (all, or those with a KEY), and approve
    begins the next wave. retry sends failed items back to work. pause starts nothing more until resume.

    The exit code is 0 where everything was delivered, 10 where a decision is needed, 12 where a quota is, 13 where
    the fleet was stopped, and 14 where some items failed.
    """
    _check(action, target, keys, options)
    if action in ("plan", "run"):
        return _run_file(run, action, target or "", options)
    from ..._app.fleets import fleet_control

    with fleet_control(run.workspace, clock=run.process_env.clock) as control:
        if control is None and action == "list":
            run.answer(lambda: {"fleets": []}, lambda: ["No fleets; run one with: coatcheck fleet run FILE"])
            return None
        if control is None:
            raise errors.ConfigurationError(
                f"there is no fleet {target!r}", remedy="run one with: coatcheck fleet run FILE"
            )
        return _ACTIONS[action](run, control, target or "", keys, options)


def _check(action: str, target: str | None, keys: Sequence[str], options: dict[str, Any]) -> None:
    """Raise `ConfigurationError` for what the action does not take, and for what it lacks."""
    if (wanted := ACTIONS[action]) and target is None:
        raise errors.ConfigurationError(
            f"fleet {action} needs {wanted}", remedy=f"run: coatcheck fleet {action} {wanted}"
        )
    extra = ([target] if target and not wanted else []) + ([*keys] if action not in TAKES_KEYS else [])
    if extra:
        raise errors.ConfigurationError(f"fleet {action} takes no argument {extra[0]!r}", remedy="leave it out")
    if action == "show" and len(keys) > 1:
        raise errors.ConfigurationError("fleet show takes one KEY", remedy="run: coatcheck fleet show NAME KEY")
    for name, value in options.items():
        if value and action not in OPTIONS[name]:
            raise errors.ConfigurationError(f"fleet {action} takes no --{name}", remedy="leave it out")


# --- plan and run -----------------------------------------------------------------------------------------------------


def _run_file(run: CommandContext, action: str, path: str, options: dict[str, Any]) -> int | None:
    from ..._app.fleets import open_fleet

    with open_fleet(run.workspace, path, clock=run.process_env.clock) as fleet:
        if action == "plan":
            plan = fleet.plan(rebase=options["rebase"])
            run.answer(lambda: to_object(plan), lambda: plan_lines(plan), is_long=True)
            return ExitCode.FAILURES if plan.problems or plan.unusable else ExitCode.DONE
        return _run(run, fleet, path, options)


def _run(run: CommandContext, fleet: Fleet, path: str, options: dict[str, Any]) -> int:
    from ..fleet_progress import FleetProgress

    plans: list[FleetPlan] = []
    progress = FleetProgress(run, fleet.name)

    def confirm(plan: FleetPlan) -> bool:
        plans.append(plan)
        return _confirm(run, plan, is_confirmed=options["yes"])

    run.process_env.interruption.expect(f"continue with: {run.hint('fleet', 'run', path)}")
    with progress:
        status = fleet.run(
            confirm=confirm,
            rebase=options["rebase"],
            wait=options["wait"],
            on_status=progress.show,
            on_notice=progress.notice,
        )
    if status is None:
        raise errors.ConfigurationError(
            f"the fleet {fleet.name} was not run", remedy="read its plan, then pass --yes to run it"
        )
    run.answer(
        lambda: {"status": to_object(status), "problems": [to_object(each) for each in plans[0].problems]},
        lambda: status_lines(status),
    )
    _show_next(run, status)
    code = code_of(status)
    has_problems = plans[0].problems or plans[0].unusable
    return ExitCode.FAILURES if code == ExitCode.DONE and has_problems else code


def _confirm(run: CommandContext, plan: FleetPlan, *, is_confirmed: bool) -> bool:
    """Show a plan that would store or send something, and ask; problems are shown in any case."""
    for line in _problem_lines(plan):
        run.warn(Styled(line, "yellow"))
    for provider, reason in plan.unusable.items():
        run.warn(Styled(f"{provider} gets no tasks: {reason}", "yellow"))
    if not plan.is_changing:
        return True
    if not run.is_json:
        run.note(*plan_lines(plan))
    return is_confirmed or run.confirm(f"Run {plan.name}?")


def _problem_lines(plan: FleetPlan) -> list[str]:
    """Return a line for each problem, with the items that have it."""
    keys: dict[str, list[str]] = {}
    for item in plan.problems:
        keys.setdefault(item.problem or "", []).append(item.key)
    return [
        ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "") + f": {problem}"
        for problem, named in keys.items()
    ]


def plan_lines(plan: FleetPlan) -> list[Line]:
    """Return a plan as lines."""
    states = [each.state for each in plan.items]
    parts = [f"{states.count(state)} {state}" for state in ("new", "changed", "known", "problem") if state in states]
    lines: list[Line] = [f"{plan.name}: {len(plan.items)} items ({', '.join(parts)})"]
    lines += [f"  {provider}: {_count(count, 'new task')}" for provider, count in plan.tasks.items() if count]
    lines += [f"  {provider}: no tasks: {reason}" for provider, reason in plan.unusable.items()]
    if len(plan.waves) > 1:
        lines.append(f"  waves: {', '.join(map(str, plan.waves))} items")
    for estimate in plan.estimates[:4]:
        advice = f"; {estimate.advice}" if estimate.advice and estimate is plan.estimates[0] else ""
        lines.append(f"  {_hours(estimate.hours)} at this limit: {estimate.limit}{advice}")
    lines += [f"  {note}" for note in plan.notes]
    for item in plan.items[:20]:
        commit = f" {item.base_commit[:10]}" if item.base_commit else ""
        place = f"  {item.repository or ''} {item.base or ''}{commit}".rstrip()
        lines.append(
            f"  {item.state:8}{item.key}{place}" if item.problem is None else f"  problem {item.key}: {item.problem}"
        )
    if len(plan.items) > 20:
        lines.append(f"  and {len(plan.items) - 20} more; see all with --json")
    return lines


def _hours(hours: float) -> str:
    if hours < 1:
        return _count(max(1, round(hours * 60)), "minute")
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- the other actions ------------------------------------------------------------------------------------------------


def _list(run: CommandContext, control: FleetControl, *_: object) -> None:
    fleets = control.store.list()
    run.answer(
        lambda: {"fleets": [to_object(each) for each in fleets]},
        lambda: [f"{each.name}  {each.state}  {each.created_at:%Y-%m-%d %H:%M}" for each in fleets] or ["No fleets."],
    )


def _status(run: CommandContext, control: FleetControl, name: str, keys: Sequence[str], _: dict[str, Any]) -> int:
    status = control.status(name)
    items = control.items(name, keys=keys) if keys else ()
    run.answer(
        lambda: {"status": to_object(status), "items": [to_object(each) for each in items]},
        lambda: [*status_lines(status), *map(item_line, items)],
    )
    _show_next(run, status)
    return code_of(status)


def status_lines(status: FleetStatus) -> list[Line]:
    """Return a status as lines."""
    fleet = status.fleet
    because = f": {fleet.stopped_because}" if fleet.stopped_because else ""
    lines: list[Line] = [f"{fleet.name}: {status.outcome}{because}"]
    lines.append("  items: " + (", ".join(f"{count} {state}" for state, count in status.items.items()) or "none"))
    lines.append("  tasks: " + (", ".join(f"{count} {state}" for state, count in status.candidates.items()) or "none"))
    for account in status.accounts:
        if account.parked_until is not None:
            name = f"{account.provider}/{account.name}".rstrip("/")
            lines.append(f"  {name}: no submission before {account.parked_until:%Y-%m-%d %H:%M:%S}Z: {account.reason}")
    return lines


def item_line(item: FleetItem) -> str:
    """Return an item as a line."""
    return f"  {item.state:11}{item.key}" + (f": {item.why}" if item.why else "")


def code_of(status: FleetStatus) -> int:
    """Return the exit code of a fleet's status."""
    from ..._model.fleets import FleetOutcome

    codes = {
        FleetOutcome.DELIVERED: ExitCode.DONE,
        FleetOutcome.RUNNING: ExitCode.DONE,
        FleetOutcome.WAITING: ExitCode.NEEDS_INPUT,
        FleetOutcome.PARKED: ExitCode.QUOTA,
        FleetOutcome.STOPPED: ExitCode.STOPPED,
        FleetOutcome.FAILURES: ExitCode.FAILURES,
    }
    return codes[status.outcome]


def _show_next(run: CommandContext, status: FleetStatus) -> None:
    """Say what a person can do next."""
    from ..._model.fleets import FleetOutcome, FleetState, ItemState

    name = status.fleet.name
    if status.fleet.state is FleetState.PAUSED:
        run.note(f"{name} is paused; continue with: coatcheck fleet resume {name}")
    elif status.outcome is FleetOutcome.WAITING and status.items.get(ItemState.WAITING):
        count = status.items[ItemState.WAITING]
        run.note(f"{_count(count, 'item')} to decide: coatcheck fleet approve {name} [KEY]..., or reject")
    elif status.waits_for_wave:
        run.note(f"The next wave waits: coatcheck fleet approve {name}, then run it again")
    elif status.outcome is FleetOutcome.FAILURES:
        run.note(f"Send them back to work: coatcheck fleet retry {name}, then run it again")


def _watch(run: CommandContext, control: FleetControl, name: str, *_: object) -> int:
    from ..._model.fleets import FleetOutcome
    from ..._runtime.system_clock import SystemClock
    from ..fleet_progress import FleetProgress

    clock = run.process_env.clock or SystemClock()
    with FleetProgress(run, name) as progress:
        while (status := control.status(name)).outcome is FleetOutcome.RUNNING:
            progress.show(status)
            clock.sleep(1.0)
    run.answer(lambda: {"status": to_object(status)}, lambda: status_lines(status))
    return code_of(status)


def _show(run: CommandContext, control: FleetControl, name: str, keys: Sequence[str], _: dict[str, Any]) -> None:
    if not keys:
        items = control.items(name)
        run.answer(
            lambda: {"items": [to_object(each) for each in items]}, lambda: [*map(item_line, items)], is_long=True
        )
        return
    report = control.show(name, keys[0])
    run.answer(lambda: to_object(report), lambda: _report_lines(report), is_long=True)


def _report_lines(report: Any) -> list[Line]:
    item = report.item
    lines: list[Line] = [f"{item.key}: {item.state}" + (f": {item.why}" if item.why else "")]
    commit = f" at {item.base_commit}" if item.base_commit else ""
    lines += [f"  {item.repository} {item.base or ''}{commit}"] if item.repository else []
    for each in report.candidates:
        mark = "*" if each.id == item.chosen else " "
        reason = f": {each.error}" if each.error else ""
        lines.append(f" {mark} {each.provider}/{each.attempt}  {each.state}  {each.ref or ''}{reason}")
    review = report.review or {}
    lines += [f"  {step['higher']} before {step['lower']}: {step['reason']}" for step in review.get("steps", ())]
    if report.delivery is not None:
        place = report.delivery.url or report.delivery.branch or report.delivery.error or ""
        lines.append(f"  delivery: {report.delivery.state} {place}".rstrip())
    return [*lines, "", report.prompt]


def _decide(verb: str, word: str) -> Callable[..., None]:
    """Return the action that decides about items with the method *verb* of the control."""

    def act(
        run: CommandContext, control: FleetControl, name: str, keys: Sequence[str], options: dict[str, Any]
    ) -> None:
        from ..._app.fleets import person

        own = {"uncertain": options["uncertain"]} if verb == "retry" else {"why": options["why"]}
        before = control.status(name)
        items = getattr(control, verb)(name, keys, by=person(run.workspace), **own)
        is_wave = before.waits_for_wave and not control.status(name).waits_for_wave
        lines = [f"{word} {each.key}" for each in items]
        lines += [f"{word} wave {before.fleet.wave + 2}"] if is_wave and verb != "retry" else []
        run.answer(lambda: {"items": [to_object(each) for each in items]}, lambda: [*lines] or [f"Nothing was {word}."])
        if lines:
            run.note("Run the fleet again to go on: coatcheck fleet run FILE")

    return act


def _pause(run: CommandContext, control: FleetControl, name: str, _: object, options: dict[str, Any]) -> None:
    from ..._app.fleets import person

    changed = control.pause(name, by=person(run.workspace), why=options["why"])
    run.answer(
        lambda: {"fleet": name, "is_changed": changed},
        lambda: [f"{name} is paused." if changed else f"{name} was not running."],
    )


def _resume(run: CommandContext, control: FleetControl, name: str, *_: object) -> None:
    from ..._app.fleets import person

    changed = control.resume(name, by=person(run.workspace))
    run.answer(
        lambda: {"fleet": name, "is_changed": changed},
        lambda: [f"{name} may run again: coatcheck fleet run FILE" if changed else f"{name} was not paused."],
    )


def _cancel(run: CommandContext, control: FleetControl, name: str, _: object, options: dict[str, Any]) -> None:
    from ..._app.fleets import person
    from ..._model.fleets import FleetState

    control.get(name)
    if not options["yes"] and not run.confirm(f"Cancel {name}?"):
        raise errors.ConfigurationError(f"the fleet {name} was not cancelled", remedy="pass --yes to cancel it")
    has_ended = control.get(name).state is FleetState.DONE
    running = control.cancel(name, by=person(run.workspace), why=options["why"])
    run.answer(
        lambda: {"fleet": name, "running": [str(each.ref) for each in running]},
        lambda: [f"{name} had ended: nothing was cancelled." if has_ended else f"{name} is cancelled."],
    )
    for each in running:
        run.note(f"still running: coatcheck cancel {each.ref}")


def _events(run: CommandContext, control: FleetControl, name: str, _: object, options: dict[str, Any]) -> None:
    from ..formatting import event as event_lines

    after = options["after"]
    while events := control.events(name, after=after):
        for stored in events:
            after = stored.id
            if run.is_json:
                run.print_document(to_object(stored, is_summary=True), is_line=True)
            else:
                moment = stored.recorded_at.timestamp()
                run.console.show_all(event_lines(stored.event, moment, is_named=False, markdown=run.markdown))


_ACTIONS: dict[str, Callable[..., int | None]] = {
    "list": _list,
    "status": _status,
    "watch": _watch,
    "show": _show,
    "approve": _decide("approve", "approved"),
    "reject": _decide("reject", "rejected"),
    "retry": _decide("retry", "retried"),
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "events": _events,
}
