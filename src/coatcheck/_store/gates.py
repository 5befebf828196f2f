"""Gates in the store.

Invariants:
- a change of state is a compare-and-set, and its event is in the same transaction;
- the decision about a plan is carried out by one process, which has claimed that (`GateStore.claim`);
- a gate is decided once. The same decision again returns the first; another is a `ConflictError` that names the first;
- a decision on another digest than the gate's, or after its deadline, is a `ConflictError`;
- over MCP nothing is decided about what was submitted over MCP;
- `detail` and the held request are deleted as soon as nothing needs them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from .. import errors
from .._model.gates import DEFAULT_SECONDS, PREFIX, SINGLE_KINDS, Decision, Effect, Gate, GateState, Via
from .._model.review_events import GateDecided, GateExpired, GateOpened, GateWithdrawn
from .documents import decode, encode, to_document
from .events import append_events
from .processes import is_held, new_claim
from .submission_keys import origin_of

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .database import Database, Row, Transaction

_COLUMNS = "id, state, expires_at, is_done, data, decision"
_SELECT = f"SELECT {_COLUMNS} FROM gate"  # noqa: S608 - ours
# The effect of a decision -> the state of the gate.
STATES: dict[Effect, GateState] = {"approve": "approved", "reject": "rejected"}


def new_gate_id() -> str:
    """Return a new id."""
    return os.urandom(4).hex()  # `secrets` would import hmac and random, 3 ms


class GateStore:
    """The gates in a database. Methods block."""

    def __init__(
        self, database: Database, *, time: Callable[[], float], new_id: Callable[[], str] = new_gate_id
    ) -> None:
        self._database, self._time, self._new_id = database, time, new_id

    # --- opening and reading ------------------------------------------------------------------------------------------

    def open(self, gate: Gate, *, request: bytes | None = None) -> Gate:
        """Store *gate* and return it; one about the same digest that is open or not carried out is returned instead.

        *request* is what an approval carries out; it is kept until then. Of the kinds in `SINGLE_KINDS` an open gate of
        the subject with another digest is withdrawn.
        """
        self.expire()
        with self._database.writing() as transaction:
            transaction.lock_events()
            earlier = self._earlier(transaction, gate)
            same = next((each for each in earlier if each.digest == gate.digest), None)
            if same is not None:
                return same
            if gate.kind in SINGLE_KINDS:
                for each in earlier:
                    self._withdraw(transaction, each, "what was to be decided has changed")
            return self._insert(transaction, gate, request)

    def get(self, id: str) -> Gate:
        """Return the gate *id*, also given as ``gate:ID``. Raises `ConfigurationError` where there is none."""
        self.expire()
        with self._database.reading() as transaction:
            return _required(transaction, id.removeprefix(PREFIX))

    def list(
        self, *, subject: str | None = None, state: GateState | None = "open", limit: int | None = None
    ) -> Sequence[Gate]:
        """Return gates in a state (in any with None), the oldest first; those about one subject; the last *limit*."""
        self.expire()
        wanted = {"subject": subject, "state": state}
        conditions = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in conditions)
        query = f"{_SELECT}{' WHERE ' + where if where else ''} ORDER BY opened_at DESC, id DESC"
        with self._database.reading() as transaction:
            rows = transaction.rows(
                query + (" LIMIT ?" if limit else ""), (*conditions.values(), *((limit,) if limit else ()))
            )
        return [_gate(row) for row in reversed(rows)]

    def undone(self, kind: str, prefix: str, *, limit: int) -> Sequence[Gate]:
        """Return gates of a kind that were decided or have expired, and not carried out; *prefix* begins their subjects."""
        self.expire()
        query = (
            f"{_SELECT} WHERE state IN ('approved', 'rejected', 'expired') AND is_done = 0"
            " AND kind = ? AND substr(subject, 1, ?) = ? ORDER BY opened_at, id LIMIT ?"
        )
        with self._database.reading() as transaction:
            return [_gate(row) for row in transaction.rows(query, (kind, len(prefix), prefix, limit))]

    def request(self, id: str) -> bytes | None:
        """Return what an approval of the gate carries out, None where nothing is held."""
        with self._database.reading() as transaction:
            row = transaction.row("SELECT request FROM gate WHERE id = ?", (id,))
        return bytes(row[0]) if row and row[0] is not None else None

    # --- deciding -----------------------------------------------------------------------------------------------------

    def decide(
        self, id: str, option: str, *, by: str, via: Via, why: str | None = None, digest: str | None = None
    ) -> Decision:
        """Decide a gate and return the decision; the first one where the same was decided before.

        Raises `ConflictError` for a gate that was decided otherwise, is closed, or is about another digest than
        *digest*; `PermissionDeniedError` for what MCP may not decide.
        """
        id = id.removeprefix(PREFIX)
        self.expire()
        with self._database.writing() as transaction:
            transaction.lock_events()
            gate = _required(transaction, id)
            decision = self._decision(gate, option, by=by, via=via, why=why)
            self._check_origin(transaction, gate, via)
            if digest is not None and digest != gate.digest:
                raise _conflict(
                    f"{gate.address} is about something else by now: {gate.title}",
                    f"read it again: coatcheck gates {gate.address}",
                )
            if gate.state == "open":
                self._close(transaction, gate, STATES[decision.effect], decision)
                return decision
        return _first_decision(gate, decision)

    def decide_open(
        self, transaction: Transaction, subject: str, effect: Effect, *, by: str, via: Via, why: str | None
    ) -> None:
        """Decide the open gates of a subject in *transaction*, which holds the lock of events and carries them out."""
        rows = transaction.rows(f"{_SELECT} WHERE subject = ? AND state = 'open'", (subject,))
        for gate in map(_gate, rows):
            option = gate.first_option(effect)
            if option is not None:
                self._close(transaction, gate, STATES[effect], self._decision(gate, option.id, by=by, via=via, why=why))
                transaction.change("UPDATE gate SET is_done = 1, request = NULL WHERE id = ?", (gate.id,))

    def withdraw_open(self, transaction: Transaction, subject: str, *, why: str | None) -> None:
        """Close the open gates of a subject in *transaction*, which holds the lock of events."""
        rows = transaction.rows(f"{_SELECT} WHERE subject = ? AND state = 'open'", (subject,))
        for gate in map(_gate, rows):
            self._withdraw(transaction, gate, why)

    def expire(self, now: float | None = None) -> Sequence[Gate]:
        """Carry out the deadlines that have passed, and return their gates as they are afterwards."""
        now = self._time() if now is None else now
        due = "state = 'open' AND expires_at <= ?"
        with self._database.reading() as transaction:
            if transaction.row(f"SELECT 1 FROM gate WHERE {due}", (now,)) is None:  # noqa: S608 - ours
                return ()
        with self._database.writing() as transaction:
            transaction.lock_events()
            rows = transaction.rows(f"{_SELECT} WHERE {due} ORDER BY expires_at, id", (now,))
            return [self._expire(transaction, _gate(row)) for row in rows]

    def withdraw(self, id: str, *, why: str | None = None) -> bool:
        """Close a gate that needs no decision any more; False where it is not open."""
        with self._database.writing() as transaction:
            transaction.lock_events()
            return self._withdraw(transaction, _required(transaction, id.removeprefix(PREFIX)), why)

    def withdraw_all(self, subject: str, *, why: str | None = None, kinds: Sequence[str] = ()) -> int:
        """Close the open gates of a subject, those of *kinds* where any are given; how many there were."""
        gates = [gate for gate in self.list(subject=subject) if not kinds or gate.kind in kinds]
        return sum([self.withdraw(gate.id, why=why) for gate in gates])

    def complete(self, id: str) -> bool:
        """Record that the effect of a decision was carried out, and delete the held request; False if it was before."""
        with self._database.writing() as transaction:
            return complete_gate(transaction, id)

    def claim(self, id: str) -> bool:
        """Claim that this process carries out the decision of a gate; False where it was, or another process does.

        The claim of a process that has ended is taken over.
        """
        now = self._time()
        with self._database.writing() as transaction:
            # On PostgreSQL others wait for the row from here on.
            row = transaction.row("UPDATE gate SET is_done = is_done WHERE id = ? RETURNING is_done, intent", (id,))
            if row is None or row[0] or (row[1] and is_held(row[1], now=now)):
                return False
            transaction.change("UPDATE gate SET intent = ? WHERE id = ?", (new_claim(now), id))
            return True

    def release(self, id: str) -> None:
        """Give up the claim of a decision that was not carried out."""
        with self._database.writing() as transaction:
            transaction.change("UPDATE gate SET intent = NULL WHERE id = ? AND is_done = 0", (id,))

    def record_submission(self, subject: str, *, via: Via) -> None:
        """Record the way by which a subject was submitted, for `decide`."""
        with self._database.writing() as transaction:
            record_submission(transaction, subject, via=via)

    # --- one transaction ----------------------------------------------------------------------------------------------

    def _earlier(self, transaction: Transaction, gate: Gate) -> Sequence[Gate]:
        """Return the gates of the same subject and kind that are open, or decided and not carried out."""
        query = (
            f"{_SELECT} WHERE subject = ? AND kind = ? AND is_done = 0 AND state IN ('open', 'approved', 'rejected')"
            " ORDER BY opened_at DESC, id DESC"
        )
        return [_gate(row) for row in transaction.rows(query, (gate.subject, gate.kind))]

    def _insert(self, transaction: Transaction, gate: Gate, request: bytes | None) -> Gate:
        now = self._time()
        gate = replace(
            gate,
            id=gate.id or self._new_id(),
            state="open",
            decision=None,
            opened_at=_moment(now),
            expires_at=gate.expires_at or _moment(now + DEFAULT_SECONDS),
            on_expiry=gate.on_expiry or ("hold" if gate.kind == "plan" else "reject"),
            submitted_via=gate.submitted_via or _origin_of(transaction, gate.subject),
        )
        transaction.change(
            "INSERT INTO gate (id, subject, kind, state, opened_at, expires_at, is_done, data, request)"
            " VALUES (?, ?, ?, 'open', ?, ?, 0, ?, ?)",
            (gate.id, gate.subject, gate.kind, now, _seconds(gate.expires_at), _data(gate), request),
        )
        event = GateOpened(
            **_common(gate, now), digest=gate.digest, expires_at=gate.expires_at, text=f"{gate.kind}: {gate.title}"
        )
        append_events(transaction, [event], at=now)
        return gate

    def _decision(self, gate: Gate, option: str, *, by: str, via: Via, why: str | None) -> Decision:
        chosen = gate.option(option)
        if chosen is None:
            raise errors.ConfigurationError(
                f"{gate.address} has no option {option!r}",
                remedy=f"options: {', '.join(each.id for each in gate.options)}",
            )
        at = _moment(self._time())
        return Decision(
            gate=gate.id, option=option, effect=chosen.effect, by=by, via=via, at=at, why=why, digest=gate.digest
        )

    def _check_origin(self, transaction: Transaction, gate: Gate, via: Via) -> None:
        """Raise for a decision over MCP about what was submitted over MCP."""
        if via != "mcp":
            return
        if "mcp" in (gate.submitted_via, _origin_of(transaction, gate.subject)):
            raise errors.PermissionDeniedError(
                f"{gate.address} is about what was submitted over MCP, which MCP cannot decide",
                status=403,
                remedy=f"a person decides with: coatcheck approve {gate.address}",
            )

    def _close(
        self,
        transaction: Transaction,
        gate: Gate,
        state: GateState,
        decision: Decision | None,
        *,
        event: AnyEvent | None = None,
    ) -> bool:
        """Move an open gate to *state*, with its event; a request that will not be carried out is deleted."""
        kept = "request" if state == "approved" else "NULL"
        closed = replace(gate, detail=None)
        changed = transaction.change(
            f"UPDATE gate SET state = ?, decision = ?, data = ?, request = {kept} WHERE id = ? AND state = 'open'",  # noqa: S608 - ours
            (state, None if decision is None else _data(decision), _data(closed), gate.id),
        )
        if not changed:
            return False
        now = self._time()
        append_events(transaction, [event or _decided(gate, decision, now)], at=now)
        return True

    def _expire(self, transaction: Transaction, gate: Gate) -> Gate:
        now = self._time()
        effect = gate.on_expiry or "reject"
        event = GateExpired(**_common(gate, now), effect=effect, text=f"{gate.kind}: {gate.title}")
        if effect == "hold":
            transaction.change("UPDATE gate SET expires_at = NULL WHERE id = ? AND state = 'open'", (gate.id,))
            append_events(transaction, [event], at=now)
            return replace(gate, expires_at=None)
        decision = None
        option = gate.first_option("approve") if effect == "approve" else None
        if option is not None:
            decision = self._decision(gate, option.id, by="expiry", via="expiry", why="the deadline passed")
        state: GateState = "expired" if decision is None else "approved"
        self._close(transaction, gate, state, decision, event=event)
        return replace(gate, state=state, decision=decision, detail=None)

    def _withdraw(self, transaction: Transaction, gate: Gate, why: str | None) -> bool:
        now = self._time()
        event = GateWithdrawn(**_common(gate, now), why=why, text=why)
        return gate.state == "open" and self._close(transaction, gate, "withdrawn", None, event=event)


def complete_gate(transaction: Transaction, id: str) -> bool:
    """Record in *transaction* that a decision was carried out, as `GateStore.complete` does."""
    done = "UPDATE gate SET is_done = 1, request = NULL WHERE id = ? AND is_done = 0"
    return transaction.change(done, (id,)) > 0


def record_submission(transaction: Transaction, subject: str, *, via: Via) -> None:
    """Record in *transaction* the way by which a subject was submitted."""
    transaction.change(
        "INSERT INTO submitted_via (subject, via) VALUES (?, ?) ON CONFLICT (subject) DO UPDATE SET via = excluded.via",
        (subject, via),
    )


def _origin_of(transaction: Transaction, subject: str) -> Via | None:
    """Return the way by which a subject was submitted, None where it is not known."""
    row = transaction.row("SELECT via FROM submitted_via WHERE subject = ?", (subject,))
    return cast("Via", row[0]) if row is not None else origin_of(transaction, subject)


def find_gate(transaction: Transaction, id: str) -> Gate | None:
    """Return the gate *id*, None where there is none."""
    row = transaction.row(f"{_SELECT} WHERE id = ?", (id,))
    return None if row is None else _gate(row)


def delete_gates(transaction: Transaction, subject: str) -> None:
    """Delete the gates of a subject; their events stay, which have no text of theirs."""
    transaction.change("DELETE FROM gate WHERE subject = ?", (subject,))


def _required(transaction: Transaction, id: str) -> Gate:
    gate = find_gate(transaction, id)
    if gate is None:
        raise errors.ConfigurationError(f"there is no gate {id!r}", remedy="coatcheck gates lists those that are open")
    return gate


def _first_decision(gate: Gate, decision: Decision) -> Decision:
    """Return the decision of a gate that is closed, if it is the same. Raises `ConflictError`."""
    first = gate.decision
    if first is not None and first.option == decision.option:
        return first
    if first is None:
        reason = {"expired": "its deadline has passed", "withdrawn": "it needs no decision any more"}[gate.state]
        raise _conflict(f"{gate.address} cannot be decided: {reason}", "coatcheck gates lists those that are open")
    because = f": {first.why}" if first.why else ""
    raise _conflict(
        f"{gate.address} was {gate.state} by {first.by} at {first.at:%Y-%m-%d %H:%M} UTC ({first.via}){because}",
        "the first decision holds",
    )


def _conflict(message: str, remedy: str) -> errors.ConflictError:
    return errors.ConflictError(message, status=409, remedy=remedy)


def _decided(gate: Gate, decision: Decision | None, now: float) -> GateDecided:
    if decision is None:
        raise TypeError("a gate that is closed without a decision has an event of another type")
    return GateDecided(
        **_common(gate, now),
        option=decision.option,
        effect=decision.effect,
        by=decision.by,
        via=decision.via,
        why=decision.why,
        digest=decision.digest,
        text=f"{gate.kind} {STATES[decision.effect]} by {decision.by}",
    )


def _common(gate: Gate, now: float) -> dict[str, Any]:
    return {
        "subject": gate.address, "gate": gate.id, "kind": gate.kind, "concerns": gate.subject, "at": _moment(now)
    }  # fmt: skip


def _data(value: Gate | Decision) -> bytes:
    """Return a gate or a decision as it is stored. Raises `ConfigurationError` for one that could not be read again."""
    text = encode(to_document(value, str))
    type(value).from_dict(decode(text.encode()))
    return text.encode()


def _gate(row: Row) -> Gate:
    id, state, expires_at, is_done, data, decision = row
    gate = Gate.from_dict({**decode(bytes(data)), "id": id})
    return replace(
        gate,
        state=state,
        expires_at=None if expires_at is None else _moment(expires_at),
        is_done=bool(is_done),
        decision=None if decision is None else Decision.from_dict(decode(bytes(decision))),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
