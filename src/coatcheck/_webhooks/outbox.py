"""Send the deliveries that are due, and store the result of each attempt. Blocks.

Invariants:
- a body is thin: the type, the time, and identifiers (of a task: its ref and state); never a prompt, a message, a diff or a log;
- an attempt is signed when it is sent, with every valid secret of the hook, and its target is checked again;
- a delivery whose event or hook is gone is given up with a reason, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .._model.events import TaskEventBase
from .._protocol import standard_webhooks as standard
from .._store.events import EventLog
from .attempts import Resolve, Result, next_delay, post, resolve
from .targets import read_target

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .._protocol.effects import Clock
    from .._store.events import StoredEvent
    from .._store.hooks import Hook, HookDelivery, HookStore
    from .secrets_file import SecretsFile

# What a body has of an event that is not of a task.
THIN_FIELDS = (
    *("subject", "gate", "kind", "concerns", "expires_at", "option", "effect", "check", "verdict"),
    *("fleet", "item", "candidate", "ref"),
)


class Outbox:
    """The sender of a store's deliveries. *allowed* are origins that may be sent to although they are not public."""

    def __init__(
        self,
        hooks: HookStore,
        events: EventLog,
        secrets: SecretsFile,
        *,
        clock: Clock,
        random: Callable[[], float],
        allowed: Sequence[str] = (),
        resolver: Resolve = resolve,
    ) -> None:
        self._hooks, self._events, self._secrets = hooks, events, secrets
        self._clock, self._random, self._allowed, self._resolver = clock, random, allowed, resolver

    def send_due(self) -> int:
        """Make every attempt that is due; return how many there were."""
        count = 0
        while (delivery := self._hooks.claim_due()) is not None:
            self._record(delivery, self._attempt(delivery))
            count += 1
        return count

    def _attempt(self, delivery: HookDelivery) -> Result:
        try:
            hook = self._hooks.get(delivery.hook)
            secrets = self._secrets.get(hook.id, now=self._clock.time())
            target = read_target(hook.url, allowed=self._allowed)
            keys = [standard.read_secret(secret) for secret in secrets]
        except errors.ConfigurationError as error:
            return Result(error=str(error))
        stored = self._events.read(after=(delivery.event or 0) - 1, limit=1)
        if not keys or not stored or stored[0].id != delivery.event:
            return Result(error="the event is no longer stored" if keys else "the hook has no secret", is_final=True)
        body = thin_body(stored[0])
        headers = standard.signed_headers(keys, id=delivery.id, seconds=self._clock.time(), body=body)
        return post(target, (*headers, *self._trace_headers(stored[0].event)), body, resolver=self._resolver)

    def _trace_headers(self, event: AnyEvent) -> Sequence[tuple[str, str]]:
        """Return the trace context of the submission of the event's task (https://www.w3.org/TR/trace-context/)."""
        traceparent = self._hooks.traceparent(event.ref) if isinstance(event, TaskEventBase) else None
        return [("traceparent", traceparent)] if traceparent else []

    def _record(self, delivery: HookDelivery, result: Result) -> None:
        delay = next_delay(delivery.tries + 1, result, random=self._random())
        state = "sent" if result.is_success else "failed" if delay is None else "due"
        due_at = None if delay is None else self._clock.time() + delay
        self._hooks.record_attempt(delivery, state=state, due_at=due_at, status=result.status, detail=result.error)
        if result.is_gone:
            self._hooks.switch(delivery.hook, is_on=False)


def post_test(hook: Hook, id: str, secrets: Sequence[str], now: float, allowed: Sequence[str]) -> Result:
    """Send the message ``webhook.test`` once, with the guard and the signatures of every message.

    Raises `ConfigurationError` for an address that is refused and for a hook without a usable secret.
    """
    body = msgspec.json.encode(
        {"type": "webhook.test", "timestamp": datetime.fromtimestamp(int(now), UTC), "data": {"hook": hook.id}}
    )
    target = read_target(hook.url, allowed=allowed)
    keys = [standard.read_secret(secret) for secret in secrets]
    if not keys:
        raise errors.ConfigurationError(f"{hook.id} has no secret", remedy=f"coatcheck hooks rotate {hook.id}")
    return post(target, standard.signed_headers(keys, id=id, seconds=now, body=body), body)


def thin_body(stored: StoredEvent) -> bytes:
    """Return the body that announces an event, as Standard Webhooks recommends it."""
    event = stored.event
    at = event.at or stored.recorded_at
    return msgspec.json.encode({"type": event.type, "timestamp": at, "data": _thin_data(event)})


def _thin_data(event: AnyEvent) -> dict[str, object]:
    """Return the identifiers of an event: nothing that a person or an agent wrote."""
    if isinstance(event, TaskEventBase):
        state = getattr(event, "state", None)
        return {"ref": event.subject, **({"state": state.value} if state is not None else {})}
    document = event.to_dict()
    return {name: document[name] for name in THIN_FIELDS if document.get(name) is not None}
