"""The permissions that running agents wait for, and how they are decided.

Guarantees:
- a request is decided once: by the API, by its gate in the user's store, or at its deadline, whichever comes first. The
  same decision again is no error, another one is;
- a request that a policy decides at once is never shown as waiting;
- a store that cannot be used is logged, and requests are decided by the API alone;
- the end of an attempt withdraws its requests.
"""

from __future__ import annotations

import queue
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .._app.gates import permission_gate
from .._model.gates import PermissionRequest
from .._workspaces.command_process import log_error, log_warning
from .attempts import Job
from .task_events import ref_of

if TYPE_CHECKING:
    from .._app.gates import Gates
    from .._model.gates import Gate

# How often the store is read for the decisions of open gates (seconds).
STORE_INTERVAL = 0.5
# So many decisions are remembered, for requests that are decided again, and so many requests of a task wait at once.
MAX_DECIDED, MAX_PENDING = 1000, 20


class UnknownRequestError(Exception):
    """There is no such request."""


class DecidedError(Exception):
    """The request was decided otherwise; the text has the first decision."""


class _Pending:
    """A request that waits; `gate` is its gate in the store, where there is one."""

    def __init__(self, job: Job, request: PermissionRequest, resolve: Callable[[str | None], None]) -> None:
        self.job, self.request, self.resolve = job, request, resolve
        self.gate: Gate | None = None
        self.timer: threading.Timer | None = None
        self.is_shown = False


class PermissionRequests:
    """The requests of a server's attempts. *gates* opens the user's store; *on_change* is called after each change.

    Thread-safe; the store is used by one thread, which runs while a request waits.
    """

    def __init__(
        self,
        *,
        gates: Callable[[], Gates] | None,
        on_change: Callable[[Job, PermissionRequest | None], None],
        interval: float = STORE_INTERVAL,
    ) -> None:
        self._open_gates, self._on_change, self._interval = gates, on_change, interval
        self._pending: dict[str, _Pending] = {}
        self._decided: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._lock = threading.RLock()
        self._orders: queue.SimpleQueue[Callable[[Gates], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Withdraw every request, and close the store."""
        for pending in self._all():
            self._settle(pending.request.id, None)
        if self._thread is not None:
            self._orders.put(None)
            self._thread.join()

    def of_task(self, task_id: str) -> Sequence[PermissionRequest]:
        """Return the requests of a task that wait for a decision, the oldest first."""
        return [each.request for each in self._all() if each.job.task_id == task_id and each.is_shown]

    def add(
        self, job: Job, request: PermissionRequest, *, seconds: float | None, resolve: Callable[[str | None], None]
    ) -> str | None:
        """Add a request, to be decided within so many seconds; return its id, None where too many of the task wait.

        *resolve* is called once, from any thread, with the id of the chosen option, or with None where nobody chooses
        any more.
        """
        now = datetime.now(UTC).timestamp()
        expires_at = None if seconds is None else datetime.fromtimestamp(now + seconds, UTC)
        id = secrets.token_hex(4)
        pending = _Pending(job, msgspec.structs.replace(request, id=id, expires_at=expires_at), resolve)
        with self._lock:
            if sum(each.job.task_id == job.task_id for each in self._pending.values()) >= MAX_PENDING:
                return None
            self._pending[id] = pending
        if seconds is not None:
            pending.timer = threading.Timer(seconds, lambda: self._settle(id, None))
            pending.timer.daemon = True
            pending.timer.start()
        if self._open_gates is None:
            self._show(pending)
        else:
            self._use_store(lambda gates: self._open_gate(gates, pending))
        return id

    def decide(self, task_id: str, id: str, option: str) -> None:
        """Choose an option. Raises `UnknownRequestError`, `DecidedError`, and `ValueError` for an unknown option."""
        with self._lock:
            pending = self._pending.get(id)
            if pending is None or pending.job.task_id != task_id:
                self._check_decided(task_id, id, option)
                return
            if all(each.id != option for each in pending.request.options):
                known = ", ".join(each.id for each in pending.request.options)
                raise ValueError(f"the request has no option {option!r}; its options: {known}")
            self._settle(id, option)
        if pending.gate is not None:
            self._use_store(lambda gates: self._record(gates, pending, option))

    def _check_decided(self, task_id: str, id: str, option: str) -> None:
        owner, chosen = self._decided.get(id, ("", ""))
        if owner != task_id:
            raise UnknownRequestError
        if chosen != option:
            raise DecidedError(f"the request was decided before: {chosen or 'nobody decided in time'}")

    def withdraw(self, id: str) -> None:
        """Take back a request: nobody decided in time, or its attempt has ended."""
        self._settle(id, None)

    def withdraw_all(self, attempt_id: str) -> None:
        """Take back the requests of an attempt."""
        for pending in self._all():
            if pending.job.attempt_id == attempt_id:
                self._settle(pending.request.id, None)

    def withdraw_stored(self, task_id: str) -> None:
        """Withdraw the gates that an earlier server has left open for a task."""
        if self._open_gates is not None:
            subject, why = str(ref_of(task_id)), "the server was restarted"
            self._use_store(lambda gates: _withdraw_stored(gates, subject, why))

    def _all(self) -> list[_Pending]:
        with self._lock:
            return list(self._pending.values())

    def _settle(self, id: str, option: str | None) -> None:
        """Decide a request, or take it back with None; one that is settled stays as it is."""
        with self._lock:
            pending = self._pending.pop(id, None)
            if pending is None:
                return
            if pending.timer is not None:
                pending.timer.cancel()
            self._decided[id] = (pending.job.task_id, option or "")
            if len(self._decided) > MAX_DECIDED:
                self._decided.popitem(last=False)
            if pending.is_shown:
                self._on_change(pending.job, None)
        pending.resolve(option)
        if option is None and pending.gate is not None:
            self._use_store(lambda gates: self._withdraw_gate(gates, pending))

    def _show(self, pending: _Pending) -> None:
        with self._lock:
            if pending.request.id in self._pending:
                pending.is_shown = True
                self._on_change(pending.job, pending.request)

    # --- the store, in its thread -------------------------------------------------------------------------------------

    def _use_store(self, order: Callable[[Gates], None]) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gates", daemon=True)
                self._thread.start()
        self._orders.put(order)

    def _run(self) -> None:
        gates = self._open_gates() if self._open_gates is not None else None
        while gates is not None:
            has_gates = any(each.gate is not None for each in self._all())
            try:
                order = self._orders.get(timeout=self._interval if has_gates else None)
            except queue.Empty:
                order = self._read_decisions
            if order is None:
                gates.close()
                return
            try:
                order(gates)
            except errors.CoatcheckError as error:
                log_warning("gates of permissions cannot be stored: %s", error)
            except Exception as error:  # noqa: BLE001 - a decision by the API must stay possible
                log_error(error, "gates of permissions cannot be stored")

    def _open_gate(self, gates: Gates, pending: _Pending) -> None:
        try:
            gate = gates.open(permission_gate(ref_of(pending.job.task_id), pending.request, None))
            pending.gate = gate
            self._follow(gates, pending, gate)
        finally:
            self._show(pending)
            if pending.request.id not in self._pending and pending.gate is not None:
                self._withdraw_gate(gates, pending)

    def _read_decisions(self, gates: Gates) -> None:
        for pending in self._all():
            if pending.gate is not None:
                self._follow(gates, pending, gates.store.get(pending.gate.id))

    def _follow(self, gates: Gates, pending: _Pending, gate: Gate) -> None:
        """Carry out the decision of a gate in the store; nothing is done while it is open."""
        if gate.state == "open":
            return
        self._settle(pending.request.id, gate.decision.option if gate.decision is not None else None)
        gates.store.complete(gate.id)

    def _record(self, gates: Gates, pending: _Pending, option: str) -> None:
        """Store a decision that came by the API, unless the program that made it has stored it."""
        if pending.gate is None or gates.store.get(pending.gate.id).state != "open":
            return
        chosen = next(each for each in pending.request.options if each.id == option)
        gates.decide(pending.gate, chosen.effect, option=option, via="library", why="by the API of the local cloud")
        gates.store.complete(pending.gate.id)

    def _withdraw_gate(self, gates: Gates, pending: _Pending) -> None:
        if pending.gate is not None:
            gates.store.expire()  # at the deadline it is rejected
            gates.store.withdraw(pending.gate.id, why="the agent does not wait for it any more")


def _withdraw_stored(gates: Gates, subject: str, why: str) -> None:
    if gates.list(subject=subject):
        gates.store.withdraw_all(subject, why=why, kinds=("permission",))
