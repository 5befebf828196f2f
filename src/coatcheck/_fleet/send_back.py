"""Send a change that conflicts back to its service, with the conflict.

Invariants:

- the item is open again with one more candidate, in one transaction: a message to the chosen candidate's task where the
  service takes one, otherwise a new task on the present commit of the branch;
- only the candidates of the last round are reviewed: the change that conflicts is not chosen again;
- an item is sent back twice at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.fleets import FleetDelivery, FleetItem, ItemState
from .._protocol.provider import Verb
from .._store.fleet_planning import PlannedCandidate
from . import event_values
from .planning import candidate_key

if TYPE_CHECKING:
    from .context import FleetContext
    from .merge_trial import MergeConflictError

ROUNDS = 2
FOLLOW_UP = """\
Your change conflicts with other changes that will be merged before it, in: {files}

Make the change again so that it can be merged after them: keep what they change, and do not undo it. These are the files as \
git merges them, with markers:

{conflict}
"""
NEW_TASK = """\
{prompt}

An earlier attempt at this conflicted with other changes that are merged before it, in: {files}
Start from the present state of the branch, and keep what the other changes do. These are the files of the earlier attempt as \
git merges them, with markers:

{conflict}
"""


def send_back(context: FleetContext, item: FleetItem, begun: FleetDelivery, error: MergeConflictError) -> bool:
    """Send an item back; False where it was sent back as often as allowed already, or is not being delivered any more."""
    chosen = context.store.candidate(item.chosen or 0)
    if chosen.round >= ROUNDS:
        return False
    client = context.services.client(chosen.provider, chosen.account or "")
    is_message = chosen.ref is not None and Verb.SEND_MESSAGE in client.capabilities.verbs
    files = ", ".join(map(str, error.files))
    text = FOLLOW_UP if is_message else NEW_TASK
    prompt = text.format(prompt=context.store.prompt(item.id), files=files, conflict=error.conflict)
    base = chosen.base_commit or item.base_commit if is_message else error.tip
    others = context.store.candidates(context.fleet.id, item=item.id, provider=chosen.provider)
    attempt = max(each.attempt for each in others) + 1
    planned = PlannedCandidate(
        key=candidate_key(
            fleet=context.fleet.name,
            item=item.key,
            provider=chosen.provider,
            attempt=attempt,
            prompt=prompt,
            base=base,
        ),
        provider=chosen.provider,
        environment=chosen.environment,
        attempt=attempt,
        round=chosen.round + 1,
        base_commit=base,
        prompt=prompt,
        account=chosen.account if is_message else None,
        follows=chosen.ref.id if is_message and chosen.ref else None,
    )
    why = f"{error}; sent back ({planned.round} of {ROUNDS})"
    now = context.clock.time()
    events = event_values.changed(context.fleet.name, item, ItemState.CONFLICT, now, by=None, why=why)
    return context.deliveries.send_back(context.fleet.id, begun, planned, why=why, events=events)
