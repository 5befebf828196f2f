"""Gates of the tasks that a command waits for.

Guarantee: a store or a policy that cannot be used never fails a wait; a note has the reason. Nothing is stored where the setting
``history`` is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from .. import errors
from .._app.gates import Gates
from .._protocol.provider import Verb
from .._runtime.system_clock import SystemClock

if TYPE_CHECKING:
    from .._app.wait import PlanApproval, WaitOptions
    from .._model.gates import Gate, PlanDecision
    from .._model.tasks import Task
    from .._runtime.client import Client
    from .context import CommandContext


class WaitingGates:
    """Opens and decides the gates of tasks that are waited for."""

    def __init__(self, run: CommandContext, gates: Gates | None) -> None:
        self._run, self._gates = run, gates

    def observe(self, task: Task) -> Gate | None:
        """Return the gate of what *task* waits for, None where it waits for nothing or the store cannot be used."""
        if self._gates is None:
            return None
        try:
            return self._gates.observe(task)
        except errors.CoatcheckError as error:
            self._report(task, error)
            return None

    def wait(
        self, client: Client, options: WaitOptions, poll: Callable[[WaitOptions], Task]
    ) -> tuple[Task, Gate | None]:
        """Return the task that *poll* waits for and its gate; a permission that is decided already ends no wait."""
        deadline = None if options.timeout is None else self._run.monotonic() + options.timeout
        sent = set[str]()
        while True:
            task = poll(options)
            gate = self.observe(task)
            if not self._send_permissions(client, task, sent):
                return task, gate
            if deadline is not None:
                options = replace(options, timeout=max(0.001, deadline - self._run.monotonic()))

    def _send_permissions(self, client: Client, task: Task, sent: set[str]) -> bool:
        if self._gates is None:
            return False
        try:
            return self._gates.send_permissions(client, task, sent)
        except errors.StoreError as error:
            self._report(task, error)
            return False

    def plan_decision(
        self,
        client: Client,
        provider: str,
        approval: PlanApproval | None = None,
        ask: Callable[[Task], PlanDecision] | None = None,
    ) -> Callable[[Task], PlanDecision] | None:
        """Return what decides about plans: the store, policies, then *ask*; None where the provider has no plans."""
        if self._gates is None or approval == "never" or Verb.APPROVE_PLAN not in client.capabilities.verbs:
            return ask
        del provider
        decide = self._gates.decides_plans(ask)

        def approve(task: Task) -> PlanDecision:
            if self._gates is None:
                return ask is not None and ask(task)
            try:
                return decide(task)
            except errors.CoatcheckError as error:
                self._report(task, error)
                return ask is not None and ask(task)

        return approve

    def _report(self, task: Task, error: errors.CoatcheckError) -> None:
        """Print why gates cannot be used, once."""
        self._gates = None
        remedy = f"; {error.remedy}" if error.remedy else ""
        self._run.note(f"The gate of {task.ref} could not be stored: {error}{remedy}")


@contextmanager
def waiting_gates(run: CommandContext) -> Iterator[WaitingGates]:
    """Open the gates of a wait."""
    if run.history.level == "off":
        yield WaitingGates(run, None)
        return
    gates = Gates(run.config, clock=run.process_env.clock or SystemClock())
    try:
        yield WaitingGates(run, gates)
    finally:
        gates.close()
