"""Gates of this user's store: opened for what waits, decided by policies and people.

Guarantees:
- a gate that is opened here has a deadline (the setting ``gate_timeout``), and is decided by the first policy that fits;
- policies are read from the user's file of settings, never from a repository;
- a plan that waits and was decided before is not asked about again;
- looking for gates creates no store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from .. import errors
from .._model.gates import ANSWER, PREFIX, REJECT, Decision, Effect, Gate, GateState, Via, digest_of
from .._values.locked_property import locked_cached_property
from .durations import seconds
from .task_history import has_store, location_of
from .wait import required_action

if TYPE_CHECKING:
    from .._model.gates import PermissionRequest, PlanDecision
    from .._model.tasks import Task, TaskRef
    from .._protocol.effects import Clock
    from .._review.gate_policies import GatePolicy
    from .._runtime.client import Client
    from .._runtime.config import Config
    from .._store.database import Database
    from .._store.events import StoredEvent
    from .._store.gates import GateStore


class Gates:
    """The gates of the store that *config* names. Methods block."""

    def __init__(self, config: Config, *, clock: Clock) -> None:
        self._config, self._clock = config, clock

    def close(self) -> None:
        """Close the store."""
        if (database := self.__dict__.get("database")) is not None:
            database.close()

    @locked_cached_property
    def database(self) -> Database:
        """The store's database."""
        from .._store.location import open_database

        return open_database(location_of(self._config))

    @locked_cached_property
    def store(self) -> GateStore:
        """The gates in it."""
        from .._store.gates import GateStore

        return GateStore(self.database, time=self._clock.time)

    @cached_property
    def policies(self) -> Sequence[GatePolicy]:
        """The user's policies, in their order. Raises `ConfigurationError` for one that cannot be used."""
        from .._review.user_policies import user_policies

        return user_policies(self._config.environ)

    # --- reading ------------------------------------------------------------------------------------------------------

    def list(
        self, *, subject: str | None = None, state: GateState | None = "open", limit: int | None = None
    ) -> Sequence[Gate]:
        """Return gates as `GateStore.list` does; none where there is no store."""
        return self.store.list(subject=subject, state=state, limit=limit) if has_store(self._config) else ()

    def find(self, text: str) -> Gate:
        """Return the gate that *text* names: ``gate:ID``, an id, or the beginning of one that is open."""
        id = text.removeprefix(PREFIX)
        if not has_store(self._config):
            raise errors.ConfigurationError(f"there is no gate {id!r}", remedy="no gate is stored here")
        begun = [gate for gate in self.list() if id and gate.id.startswith(id)]
        return begun[0] if len(begun) == 1 else self.store.get(id)

    def log(self, *, after: int | None = None, limit: int) -> Sequence[StoredEvent]:
        """Return the events of gates: the last *limit*, or the first *limit* after the number *after*."""
        from .._store.events import EventLog

        if not has_store(self._config):
            return ()
        events = EventLog(self.database, time=self._clock.time)
        if after is None:
            return events.before(None, kinds=_event_kinds(), limit=limit)[::-1]
        return events.read(after=after, limit=limit, family="gate.")

    # --- opening ------------------------------------------------------------------------------------------------------

    def open(self, gate: Gate, *, request: bytes | None = None) -> Gate:
        """Store *gate* with its deadline, and let the policies decide it.

        Raises `ConfigurationError` for settings that cannot be used, and stores nothing then.
        """
        if gate.expires_at is None:
            gate = replace(gate, expires_at=self._deadline())
        self._require_policies()
        stored = self.store.open(gate, request=request)
        return self._decided_by_policy(stored) if stored.state == "open" else stored

    def check_settings(self) -> None:
        """Raise `ConfigurationError` where no gate can be opened: a deadline or a policy cannot be used."""
        self._deadline()
        self._require_policies()

    def _require_policies(self) -> None:
        _ = self.policies

    def observe(self, task: Task) -> Gate | None:
        """Return the gate of what *task* waits for, which is opened where there is none; withdraw what it does not."""
        gates = gates_of(task)
        if has_store(self._config):
            others = [kind for kind in TASK_KINDS if kind not in {gate.kind for gate in gates}]
            self.store.withdraw_all(str(task.ref), why=f"the task is {task.state.value}", kinds=others)
            self._withdraw_permissions(task, {gate.digest for gate in gates})
        opened = [self.open(gate) for gate in gates]
        return next((gate for gate in opened if gate.state == "open"), next(iter(opened), None))

    def send_permissions(self, client: Client, task: Task, sent: set[str]) -> bool:
        """Send decisions about permissions that a policy or another process has stored; whether *task* continues then.

        *sent* are the requests whose decisions were sent before; those of this call are added.
        """
        for request in task.permission_requests:
            gate = self.open(permission_gate(task.ref, request, repository_of(task)))
            if gate.decision is None or gate.is_done or request.id in sent:
                return False
            sent.add(request.id)
            with suppress(errors.ConflictError):  # its service has another decision by now
                client.decide_permission(task.ref, request.id, gate.decision.option)
            self.store.complete(gate.id)
        return bool(task.permission_requests)

    def _withdraw_permissions(self, task: Task, pending: Collection[str | None]) -> None:
        """Withdraw the gates of permissions that *task* does not wait for; another process may have opened a new one."""
        latest = datetime.fromtimestamp(self._clock.time() - PERMISSION_GRACE, UTC)
        for gate in self.store.list(subject=str(task.ref)):
            is_new = gate.opened_at is not None and gate.opened_at > latest and not task.state.is_terminal
            if gate.kind == "permission" and gate.digest not in pending and not is_new:
                self.store.withdraw(gate.id, why="the agent does not wait for it any more")

    def _deadline(self) -> datetime | None:
        setting = self._config.resolve("gate_timeout")
        if setting.value is None:
            return None
        pause = seconds(setting.value, f"gate_timeout ({setting.origin})")
        if pause is None:
            raise errors.ConfigurationError(
                f"gate_timeout cannot be none ({setting.origin})", remedy="a gate has a deadline: set 30m, 2h or 90d"
            )
        return datetime.fromtimestamp(self._clock.time() + pause, UTC)

    def _decided_by_policy(self, gate: Gate) -> Gate:
        from .._review.user_policies import decide_by_policy

        return decide_by_policy(self.store, gate, self.policies)

    # --- deciding -----------------------------------------------------------------------------------------------------

    def decide(
        self,
        gate: Gate,
        effect: Effect,
        *,
        option: str | None = None,
        why: str | None = None,
        digest: str | None = None,
        via: Via = "cli",
    ) -> Decision:
        """Decide *gate* as the user of this process: by the *option* with the *effect*, else the first with it."""
        chosen = gate.first_option(effect) if option is None else gate.option(option)
        if chosen is None or chosen.effect != effect:
            fitting = ", ".join(each.id for each in gate.options if each.effect == effect) or "none"
            raise errors.ConfigurationError(
                f"{gate.address} has no option {option or effect!r} to {effect} it", remedy=f"options: {fitting}"
            )
        return self.store.decide(gate.id, chosen.id, by=login_name(), via=via, why=why, digest=digest or gate.digest)

    def decides_plans(self, ask: Callable[[Task], PlanDecision] | None = None) -> Callable[[Task], PlanDecision]:
        """Return a function that decides about a task's plan: as the store has it, else as *ask* answers.

        Where nothing has decided, the answer is no, and the gate stays open. An approval that another process sends is
        "sent".
        """

        def decide(task: Task) -> PlanDecision:
            gate = self.observe(task)
            if gate is None or gate.kind != "plan":
                return False
            if gate.state == "open" and ask is not None and ask(task):
                with suppress(errors.ConflictError):  # somebody was faster, and the first decision holds
                    self.decide(gate, "approve")
                gate = self.store.get(gate.id)
            if gate.state != "approved":
                return False
            if not self.store.claim(gate.id):
                return "sent"
            self.store.complete(gate.id)
            return True

        return decide


# Kinds of gates that the state of a task opens and closes.
TASK_KINDS = ("plan", "question")
# So many gates of a task are named in an error.
MAX_NAMED = 5
# A gate of a permission that is newer than this (seconds) may be about a request that came after a snapshot of its task.
PERMISSION_GRACE = 60.0


def gates_of(task: Task) -> Sequence[Gate]:
    """Return the gates of what *task* waits for, not stored: one for each permission, else one or none."""
    if required_action(task) == "permit":
        return [permission_gate(task.ref, request, repository_of(task)) for request in task.permission_requests]
    gate = gate_of(task)
    return [] if gate is None else [gate]


def permission_gate(ref: TaskRef, request: PermissionRequest, repository: str | None) -> Gate:
    """Return the gate of a permission that an agent requests, not stored."""
    options = [f"{option.id}={option.effect}" for option in request.options]
    return Gate(
        subject=str(ref),
        kind="permission",
        title=request.title,
        detail=request.detail,
        options=request.options,
        digest=digest_of(ref, request.id, request.title, request.detail, *options),
        expires_at=request.expires_at,
        paths=request.paths,
        repository=repository,
    )


def permission_request(gate: Gate, task: Task) -> PermissionRequest | None:
    """Return the request of *task* that *gate* is about, None where the task does not wait for it any more."""
    gates = ((permission_gate(task.ref, request, None), request) for request in task.permission_requests)
    return next((request for each, request in gates if each.digest == gate.digest), None)


def gate_of(task: Task) -> Gate | None:
    """Return the gate of the plan or question that *task* waits for, not stored; None where there is none."""
    action, ref = required_action(task), str(task.ref)
    if any(notice.kind == "waits_on_page" for notice in task.notices):
        return None  # it cannot be decided from here
    if action == "approve" and task.plan is not None:
        steps = [text for step in task.plan.steps for text in (step.title, step.description)]
        return Gate(
            subject=ref,
            kind="plan",
            title=f"the plan of {ref}",
            detail="\n".join(f"{number}. {step.title}" for number, step in enumerate(task.plan.steps, 1)),
            digest=digest_of(task.plan.id, *steps),
            repository=repository_of(task),
        )
    if action != "answer":
        return None
    messages = task.outcome.messages if task.outcome else ()
    question = messages[-1].text if messages else task.progress
    return Gate(
        subject=ref,
        kind="question",
        title=f"{ref} waits for an answer",
        detail=question,
        options=(ANSWER, REJECT),
        digest=digest_of(ref, question),
        repository=repository_of(task),
    )


def repository_of(task: Task) -> str | None:
    """Return ``owner/repo`` of a task: as its service reports it, else its environment where that is named so."""
    if task.repository is not None:
        return task.repository
    name = (task.environment_label or task.environment or "").removeprefix("sources/github/")
    return name if name.count("/") == 1 and name.strip("/") == name else None


def _event_kinds() -> Sequence[str]:
    """Return the types of events of gates."""
    from .._model.events import EVENT_TYPES

    return [kind for kind in EVENT_TYPES if kind.startswith("gate.")]


def login_name() -> str:
    """Return the name of the user of this process, as the audit log has it."""
    import getpass
    import os

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry
        return f"uid {os.getuid()}"


def open_gate_of(gates: Gates, ref: TaskRef) -> Gate | None:
    """Return the open gate of a task, None where there is none. Raises `ConfigurationError` where there are several."""
    found = gates.list(subject=str(ref))
    if len(found) > 1:
        names = ", ".join(f"{gate.address} ({gate.kind})" for gate in found[:MAX_NAMED])
        more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
        raise errors.ConfigurationError(
            f"{ref} has {len(found)} gates: {names}{more}", remedy=f"name one of them; they are: coatcheck gates {ref}"
        )
    return found[0] if found else None
