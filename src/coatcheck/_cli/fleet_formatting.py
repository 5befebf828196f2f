"""Format plans, states and items of fleets as lines, and return the exit code of a state."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .._fleet.quantities import dollars
from .console import Styled
from .exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._fleet.control import ItemReport
    from .._fleet.plan import FleetPlan
    from .._model.fleets import FleetItem, FleetStatus
    from .console import Line
    from .context import CommandContext

# --- plans ------------------------------------------------------------------------------------------------------------


def confirm_plan(run: CommandContext, plan: FleetPlan, *, is_confirmed: bool, question: str) -> bool:
    """Show a plan that would store or send something, and ask; problems are shown in any case."""
    for line in _problem_lines(plan):
        run.warn(Styled(line, "yellow"))
    if not plan.is_changing:
        return True
    if not run.is_json:
        run.note(*plan_lines(plan))
    return is_confirmed or run.confirm(question)


def _problem_lines(plan: FleetPlan) -> list[str]:
    """Return a line for each service that gets no tasks, and for each problem with the items that have it."""
    lines = [f"{provider} gets no tasks: {reason}" for provider, reason in plan.unusable.items()]
    return [*lines, *_problems_by_reason((item.key, item.problem or "") for item in plan.problems)]


def _problems_by_reason(problems: Iterable[tuple[str, str]], prefix: str = "") -> list[str]:
    """Return a line for each reason with the items that have it, which are pairs of a key and a reason."""
    keys: dict[str, list[str]] = {}
    for key, reason in problems:
        keys.setdefault(reason, []).append(key)
    lines = []
    for reason, named in keys.items():
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        lines.append(f"{prefix}{', '.join(named[:3])}{more}: {reason}")
    return lines


def plan_lines(plan: FleetPlan) -> list[Line]:
    """Return a plan as lines."""
    states = [each.state for each in plan.items]
    parts = [f"{states.count(state)} {state}" for state in ("new", "changed", "known", "problem") if state in states]
    lines: list[Line] = [f"{plan.name}: {len(plan.items)} items ({', '.join(parts)})"]
    lines += [f"  {provider}: {count_of(count, 'new task')}" for provider, count in plan.tasks.items() if count]
    lines += [f"  {provider}: no tasks: {reason}" for provider, reason in plan.unusable.items()]
    if sum(plan.tasks.values()):
        lines.append("  cost: unknown; services that report what a task has cost do so when it has ended")
    if len(plan.waves) > 1:
        sizes = [end - begin for begin, end in pairwise((0, *plan.waves))]
        lines.append(f"  waves: {', then '.join(map(str, sizes))} items")
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
        return count_of(max(1, round(hours * 60)), "minute")
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"


def count_of(number: int, noun: str) -> str:
    """Return a number and its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- statuses ---------------------------------------------------------------------------------------------------------


def status_lines(status: FleetStatus, failed: Sequence[FleetItem] = ()) -> list[Line]:
    """Return a status as lines, with the reasons of some items that failed."""
    from .._model.fleets import FAILED_ITEMS

    fleet = status.fleet
    reason = fleet.stopped_because or ("no process works on it" if status.has_worker is False else "")
    because = f": {reason}" if reason else ""
    lines: list[Line] = [f"{fleet.name}: {status.outcome}{because}"]
    lines.append("  items: " + (", ".join(f"{count} {state}" for state, count in status.items.items()) or "none"))
    lines.append("  tasks: " + (", ".join(f"{count} {state}" for state, count in status.candidates.items()) or "none"))
    if status.spent is not None:
        unknown = f"; unknown of {count_of(status.unknown_costs, 'task')}" if status.unknown_costs else ""
        lines.append(f"  cost: {dollars(status.spent)}{unknown}")
    for account in status.accounts:
        if account.parked_until is not None:
            name = f"{account.provider}/{account.name}".rstrip("/")
            lines.append(f"  {name}: no submission before {account.parked_until:%Y-%m-%d %H:%M:%S}Z: {account.reason}")
    if status.outage:
        lines.append(f"  its tasks could not be polled for 15 minutes: {status.outage}")
    lines += [Styled(item_line(item), "red") for item in failed]
    count = sum(status.items.get(state, 0) for state in FAILED_ITEMS) - len(failed)
    if failed and count > 0:
        lines.append(f"  and {count} more; see all with: coatcheck fleet report {fleet.name}")
    lines += _problems_by_reason(fleet.left_out.items(), "  left out: ")
    return lines


def code_of(status: FleetStatus) -> int:
    """Return the exit code of a fleet's status."""
    from .._model.fleets import FleetOutcome

    codes = {
        FleetOutcome.DELIVERED: ExitCode.DONE,
        FleetOutcome.RUNNING: ExitCode.DONE,
        FleetOutcome.WAITING: ExitCode.NEEDS_INPUT,
        FleetOutcome.PARKED: ExitCode.QUOTA,
        FleetOutcome.STOPPED: ExitCode.STOPPED,
        FleetOutcome.FAILURES: ExitCode.FAILURES,
    }
    return codes[status.outcome]


def show_end(
    run: CommandContext, status: FleetStatus, document: dict[str, object], failed: Sequence[FleetItem] = ()
) -> None:
    """Print the last status: as lines, or as the last line of the documents that `FleetProgress` prints."""
    if run.is_json:
        run.print_document(document, is_line=True)
    else:
        run.console.show_all(status_lines(status, failed))


def show_next(run: CommandContext, status: FleetStatus) -> None:
    """Print the commands that continue a fleet in this state."""
    from .._model.fleets import FAILED_ITEMS, FleetOutcome, FleetState, ItemState

    name = status.fleet.name
    if status.fleet.state is FleetState.PAUSED:
        run.note(f"{name} is paused; continue with: coatcheck fleet resume {name}")
    elif status.deliveries_held:
        run.note(f"{status.deliveries_held}: merge or close some, then run it again")
    elif status.has_worker is False and not status.fleet.stopped_because:
        run.note("No process works on it; continue with: coatcheck fleet run FILE")
    elif status.outage:
        run.note("Check the service and the login, then run it again")
    elif status.outcome is FleetOutcome.WAITING and status.items.get(ItemState.WAITING):
        count = status.items[ItemState.WAITING]
        run.note(f"{count_of(count, 'item')} to decide: coatcheck fleet approve {name} [KEY]..., or reject")
    elif status.waits_for_wave:
        run.note(f"The next wave waits: coatcheck fleet approve {name}, then run it again")
    elif status.outcome is FleetOutcome.STOPPED and status.fleet.stopped_because:
        run.note("To continue, change the file so that the reason above does not hold, then run it again")
    elif status.outcome is FleetOutcome.FAILURES and not any(status.items.get(state) for state in FAILED_ITEMS):
        run.note("Correct what was left out, then run it again")
    elif status.outcome is FleetOutcome.FAILURES:
        run.note(f"Send them back to work: coatcheck fleet retry {name}, then run it again")


# --- items ------------------------------------------------------------------------------------------------------------


def item_line(item: FleetItem) -> str:
    """Return an item as a line, with the first line of its reason."""
    reason = next(iter(item.why.splitlines()), "") if item.why else ""
    return f"  {item.state:11}{item.key}" + (f": {reason}" if reason else "")


def item_report_lines(report: ItemReport) -> list[Line]:
    """Return an item with its candidates, the reasons of their order, its delivery and its prompt."""
    item = report.item
    lines: list[Line] = [f"{item.key}: {item.state}" + (f": {item.why}" if item.why else "")]
    commit = f" at {item.base_commit}" if item.base_commit else ""
    lines += [f"  {item.repository} {item.base or ''}{commit}"] if item.repository else []
    for each in report.candidates:
        mark = "*" if each.id == item.chosen else " "
        reason = f": {each.error}" if each.error else ""
        cost = f"  {dollars(each.cost)}" if each.cost is not None else ""
        lines.append(f" {mark} {each.provider}/{each.attempt}  {each.state}  {each.ref or ''}{cost}{reason}")
    steps = report.review.get("steps", ()) if isinstance(report.review, dict) else ()
    lines += [f"  {step['higher']} before {step['lower']}: {step['reason']}" for step in steps]
    if report.delivery is not None:
        place = report.delivery.url or report.delivery.branch or report.delivery.error or ""
        lines.append(f"  delivery: {report.delivery.state} {place}".rstrip())
    return [*lines, "", report.prompt]
