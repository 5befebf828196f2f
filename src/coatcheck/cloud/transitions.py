"""Make tasks and rounds from requests: ids, titles, turns. Pure; the time is an argument."""

from __future__ import annotations

import msgspec

from .models import (
    ENDED,
    CloudAttempt,
    CloudEnvironment,
    CloudRound,
    CloudTask,
    TaskOrder,
    number_of_turns,
    title_of,
    turn_id,
)
from .responses import Refusal, detail, validation


def plan_task(order: TaskOrder, environment: CloudEnvironment, *, id: str, now: float) -> CloudTask:
    """Return a new task with all its attempts pending."""
    created_at = round(now, 6)  # a list's cursor holds microseconds
    task = CloudTask(
        id=id,
        title=title_of(order.prompt),
        environment_id=environment.id,
        environment_label=environment.label,
        branch=order.branch or environment.default_branch,
        created_at=created_at,
        updated_at=created_at,
    )
    return _with_round(task, order, previous=None, now=created_at)


def plan_follow_up(task: CloudTask, order: TaskOrder, *, turn_id: str, now: float) -> CloudTask:
    """Return *task* with a further round after the turn; raises `Refusal` where that turn is unknown or still runs."""
    found = task.find_turn(turn_id)
    if found is None:
        raise Refusal(validation("follow_up.turn_id", "Invalid turn ID"))
    if task.last.state not in ENDED:
        raise Refusal(detail("The task is still running", status=409))
    return _with_round(task, order, previous=turn_id, now=round(now, 6))


def _with_round(task: CloudTask, order: TaskOrder, *, previous: str | None, now: float) -> CloudTask:
    first = number_of_turns(task) + 1
    attempts = tuple(
        CloudAttempt(
            id=turn_id(task.id, "asst", first + placement), placement=placement, created_at=now, model=order.model
        )
        for placement in range(order.attempts)
    )
    round_ = CloudRound(
        id=turn_id(task.id, "user", len(task.rounds) + 1),
        prompt=order.prompt,
        created_at=now,
        mode=order.mode,
        starting_diff=order.starting_diff,
        model=order.model,
        previous_turn_id=previous,
        attempts=attempts,
    )
    return msgspec.structs.replace(task, rounds=(*task.rounds, round_), updated_at=now)


def find_environment(environments: tuple[CloudEnvironment, ...], id: str) -> CloudEnvironment:
    """Return the environment an order names by its id; raises `Refusal`. Labels are the client's business.

    See docs/reference/protocols/codex-wham.md, 9.
    """
    for environment in environments:
        if environment.id == id:
            return environment
    raise Refusal(detail(f"Environment not found: {id[:100]}", status=400))
