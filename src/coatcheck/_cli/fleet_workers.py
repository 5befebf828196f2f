"""`fleet init` and `fleet work`: fleets on many machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import errors
from .._runtime.config import suggestion
from .context import CommandContext
from .exit_codes import ExitCode
from .fleet_formatting import code_of, confirm_plan, status_lines
from .json_output import to_object

if TYPE_CHECKING:
    from .._fleet.engine import Kind
    from .._fleet.plan import FleetPlan

# As they are written -> as the engine names them.
KINDS: dict[str, Kind] = {"submit": "submit", "sweep": "sweep", "verify": "review", "deliver": "deliver"}


def init(run: CommandContext, files: Sequence[str], *, is_confirmed: bool, rebase: bool) -> int:
    """Create the tables, and store the plans of files."""
    from .._app.fleet_workers import install_tables, store_fleets

    location, is_new = install_tables(run.workspace)

    def confirm(plan: FleetPlan) -> bool:
        return confirm_plan(run, plan, is_confirmed=is_confirmed, question=f"Store {plan.name}?")

    plans = store_fleets(run.workspace, files, confirm=confirm, rebase=rebase)
    if len(plans) < len(files):
        raise errors.ConfigurationError("a fleet was not stored", remedy="read its plan, then pass --yes to store it")
    run.answer(
        lambda: {"store": location, "is_new": is_new, "fleets": [plan.name for plan in plans]},
        lambda: [
            f"{location} {'is ready' if is_new else 'was ready'} for workers.",
            *(f"{plan.name}: stored, {len(plan.items)} items" for plan in plans),
        ],
    )
    run.note("Start workers with: coatcheck fleet work FILE")
    return ExitCode.FAILURES if any(plan.problems for plan in plans) else ExitCode.DONE


def work(run: CommandContext, files: Sequence[str], kinds: Sequence[Kind]) -> int:
    """Work on fleets until they are done."""
    from .._app.fleet_workers import work_on_fleets

    statuses = work_on_fleets(run.workspace, files, kinds=kinds, on_notice=run.warn, clock=run.process_env.clock)
    run.answer(
        lambda: {"statuses": [to_object(status) for status in statuses]},
        lambda: [line for status in statuses for line in status_lines(status)],
    )
    return max(code_of(status) for status in statuses)


def parse_kinds(text: str | None) -> Sequence[Kind]:
    """Return the kinds of jobs of a list with commas. Raises `ConfigurationError` for an unknown one."""
    names = [name.strip() for name in text.split(",")] if text is not None else [*KINDS]
    for name in names:
        if name not in KINDS:
            near = suggestion(name, KINDS)
            raise errors.ConfigurationError(
                f"there is no kind of job {name!r}", remedy=near or f"give some of: {', '.join(KINDS)}"
            )
    return [KINDS[name] for name in names]
