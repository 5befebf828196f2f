"""`fleet deliver`: the merge order of a fleet, what conflicts, and its delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import Styled
from .exit_codes import ExitCode
from .json_output import to_object

if TYPE_CHECKING:
    from .._fleet.merge_plan import MergePlan
    from .console import Line
    from .context import CommandContext


def show_plan(run: CommandContext, name: str) -> int:
    """Show what a delivery would do; the exit code is 14 where an item cannot be delivered."""
    from .._app.fleet_deliveries import plan_deliveries

    plan = plan_deliveries(run.workspace, name, clock=run.process_env.clock)
    run.answer(lambda: to_object(plan), lambda: plan_lines(plan), is_long=True)
    return ExitCode.FAILURES if any(each.problem for each in plan.items) else ExitCode.DONE


def deliver(run: CommandContext, name: str) -> int:
    """Deliver the approved items; return the exit code of the fleet's status."""
    from .._app.fleet_deliveries import deliver_fleet
    from .fleet_formatting import code_of, show_next, status_lines
    from .fleet_store import failures_of

    status = deliver_fleet(run.workspace, name, on_notice=run.warn, clock=run.process_env.clock)
    run.answer(lambda: {"status": to_object(status)}, lambda: status_lines(status, failures_of(run, status)))
    show_next(run, status)
    return code_of(status)


def plan_lines(plan: MergePlan) -> list[Line]:
    """Return the merge order as lines, with the files in conflict."""
    if not plan.items:
        return [f"{plan.fleet}: nothing is approved, or waits for a decision"]
    lines: list[Line] = []
    for number, each in enumerate(plan.items, 1):
        notes = [f"overlaps with {each.overlaps}"] if each.overlaps else []
        notes += ["rebased"] if each.is_rebased else []
        notes += [each.branch] if each.branch else []
        lines.append(f"{number:4}  {each.state:10}{each.key}" + (f"  ({', '.join(notes)})" if notes else ""))
        if each.problem:
            lines.append(Styled(f"      {each.problem}", "yellow"))
        lines += [f"      {line}" for line in (each.conflict or "").splitlines()]
    return lines
