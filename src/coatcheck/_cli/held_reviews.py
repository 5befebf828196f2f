"""`submit --on --gate`: a task for several services, which is submitted once its gate is approved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from .._app.gates import Gates
from .._app.held_reviews import hold_review
from .._app.held_work import require_approved
from .._runtime.system_clock import SystemClock
from .best_of import ReviewSession
from .gate_effects import submit_held
from .gates import answer_with_open_gate

if TYPE_CHECKING:
    from .._model.tasks import TaskRef
    from .._review.targets import Target
    from .best_of import ReviewOptions
    from .context import CommandContext


def hold_submissions(run: CommandContext, targets: Sequence[Target], prompt: str, options: ReviewOptions) -> int:
    """Store a task for several services behind a gate; submit it where a policy approves. Return the exit code."""
    tasks: Mapping[str, Sequence[TaskRef]] = {target.provider: () for target in targets}
    with closing(Gates(run.config, clock=run.process_env.clock or SystemClock())) as gates:
        gates.check_settings()  # before the review is stored
        with ReviewSession.opened(run, tasks, environment=options.target) as session:
            review = session.begin(targets, prompt, options, is_held=True)
        for each in review.submissions:
            if each.error is not None:
                run.console.note(f"coatcheck: {each.error}")
        gate = hold_review(gates, review, template=options.template)
        if gate.state == "open":
            return answer_with_open_gate(run, gate)
        require_approved(gate)
        return submit_held(run, gates, gate)
