"""Send the message of a candidate to the task that it follows.

Invariant: a message whose sending was interrupted is not sent again while its task is at work, or has ended since: the task
has got it then. One that was not sent costs the candidate nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors
from .._model.fleets import CandidateState, FleetCandidate
from . import fleet_events

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef
    from .context import FleetContext


async def send_follow_up(context: FleetContext, candidate: FleetCandidate, ref: TaskRef, *, is_new: bool) -> bool:
    """Send the message; whether the state of the candidate has changed. *is_new*: it was claimed by this job."""
    client = context.services.client(candidate.provider, candidate.account or "")
    try:
        if is_new or not has_message(await client.get_task(ref), candidate):
            await client.send_message(ref, context.store.candidate_prompt(candidate.id))
    except (errors.RateLimitError, errors.ProviderUnavailableError, errors.TransportError) as error:
        # The next job looks at the task before it sends again.
        context.notice(f"{ref}: the message is sent again: {error}")
        return False
    except errors.CoatcheckError as error:
        events = fleet_events.ended(context, candidate, CandidateState.FAILED, str(error))
        return context.submissions.record_end(
            context.fleet.id, candidate, CandidateState.FAILED, error=str(error), events=events
        )
    events = fleet_events.submitted(context, candidate, ref)
    return context.submissions.record_task(candidate.id, ref, before=CandidateState.SUBMITTING, events=events)


def has_message(task: Task, candidate: FleetCandidate) -> bool:
    """Whether a task has got a message that may have been sent."""
    if not task.state.is_terminal:
        return True
    moment = candidate.submitted_at
    return moment is not None and task.updated_at is not None and task.updated_at >= moment
