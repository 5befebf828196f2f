"""Deliveries are sent from the store, signed, and tried again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.webhooks.test_attempts import loopback, receiver

from coatcheck import GateDecided, GateOpened, StoredEvent, TaskRef, TaskSpec, TaskState
from coatcheck._model.events import TaskSucceeded
from coatcheck._protocol import standard_webhooks as standard
from coatcheck._protocol.intents import intent_of
from coatcheck._store.events import EventLog
from coatcheck._store.hooks import Hook, HookDelivery, HookStore
from coatcheck._store.journal import SubmissionJournal
from coatcheck._store.location import open_database
from coatcheck._webhooks.attempts import DELAYS
from coatcheck._webhooks.outbox import Outbox, thin_body
from coatcheck._webhooks.secrets_file import SecretsFile
from coatcheck.testing import FakeClock

AT = datetime(2026, 11, 28, 7, 38, 10, tzinfo=UTC)
EVENT = TaskSucceeded(ref=TaskRef("local", "t1"), state=TaskState.SUCCEEDED, at=AT, text="a secret prompt")
SECRET, FORMER = standard.new_secret(), standard.new_secret()


class Sending:
    """A store with one hook, and its outbox."""

    def __init__(self, folder: Path, url: str) -> None:
        self.clock = FakeClock()
        self.database = open_database(str(folder))
        self.hooks = HookStore(self.database, clock=self.clock)
        self.events = EventLog(self.database, time=self.clock.time)
        self.secrets = SecretsFile(str(folder / "hooks.json"))
        self.hooks.add(Hook(id="h1", url=url, kinds=("*",), created_at=AT))
        self.secrets.add("h1", FORMER, now=self.clock.time())
        self.secrets.add("h1", SECRET, now=self.clock.time())
        self.events.append([EVENT])

    def send(self) -> int:
        """Send what is due."""
        outbox = Outbox(
            self.hooks,
            self.events,
            self.secrets,
            clock=self.clock,
            random=lambda: 0.0,
            allowed=["http://hooks.test:*"],
            resolver=loopback,
        )
        return outbox.send_due()

    @property
    def deliveries(self) -> Sequence[HookDelivery]:
        """Return the deliveries."""
        return self.hooks.list_deliveries()


def test_an_event_is_delivered(tmp_path: Path) -> None:
    """The message has the type, the time, the ref and the state and nothing else; both secrets sign it."""
    with receiver(204) as (port, received):
        sending = Sending(tmp_path, f"http://hooks.test:{port}/hook")
        count = sending.send()
    [(headers, body)] = received
    sent = {name.lower(): value for name, value in headers.items()}
    ids = {
        standard.verify(sent, body, [standard.read_secret(secret)], now=sending.clock.time())
        for secret in (SECRET, FORMER)
    }
    document = {
        "type": "task.succeeded",
        "timestamp": "2026-11-28T07:38:10Z",
        "data": {"ref": "local:t1", "state": "succeeded"},
    }
    [delivery] = sending.deliveries

    assert (1, document, {delivery.id}) == (count, json.loads(body), ids)
    assert ("sent", 204, 1) == (delivery.state, delivery.status, delivery.tries)


def test_a_message_has_the_trace_context_of_the_submission(tmp_path: Path) -> None:
    """A receiver can continue the trace in which the task was submitted."""
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with receiver(204) as (port, received):
        sending = Sending(tmp_path, f"http://hooks.test:{port}/hook")
        journal = SubmissionJournal(sending.database)
        intent = intent_of(TaskSpec(prompt="p"), id="i", provider="local", at=1.0, pid=1, traceparent=traceparent)
        journal.begin(intent)
        journal.settle(intent, EVENT.ref)
        sending.send()
    [(headers, _)] = received

    assert traceparent == headers["traceparent"]


def test_a_gate_is_announced_without_its_words() -> None:
    """The body has identifiers and the deadline, and neither the title nor the reason of a decision."""
    opened = GateOpened(
        subject="gate:g1", gate="g1", kind="plan", concerns="jules:1", text="a plan", expires_at=EVENT.at
    )
    decided = GateDecided(
        subject="gate:g1", gate="g1", kind="plan", concerns="jules:1", option="yes", effect="approve", by="ann",
        via="cli", why="I read it",
    )  # fmt: skip
    now = datetime(2026, 11, 28, 8, tzinfo=UTC)
    bodies = [json.loads(thin_body(StoredEvent(id=1, recorded_at=now, event=event))) for event in (opened, decided)]
    common = {"subject": "gate:g1", "gate": "g1", "kind": "plan", "concerns": "jules:1"}
    expected = [{**common, "expires_at": "2026-11-28T07:38:10Z"}, {**common, "option": "yes", "effect": "approve"}]

    assert expected == [body["data"] for body in bodies]


def test_a_failed_delivery_is_tried_again(tmp_path: Path) -> None:
    """The schedule is followed to its end; then the delivery has failed."""
    with receiver(503) as (port, received):
        sending = Sending(tmp_path, f"http://hooks.test:{port}/hook")
        counts = [sending.send()]
        for delay in DELAYS:
            sending.clock.sleep(delay - 1)
            counts.append(sending.send())
            sending.clock.sleep(1)
            counts.append(sending.send())
    [delivery] = sending.deliveries

    assert ([1, *[0, 1] * len(DELAYS)], len(DELAYS) + 1) == (counts, len(received))
    assert ("failed", 503, len(DELAYS) + 1) == (delivery.state, delivery.status, delivery.tries)


def test_a_receiver_that_is_gone_switches_its_hook_off(tmp_path: Path) -> None:
    """After 410 nothing more is sent."""
    with receiver(410) as (port, received):
        sending = Sending(tmp_path, f"http://hooks.test:{port}/hook")
        sending.send()
        sending.events.append([EVENT])
        sending.send()

    assert (1, "off") == (len(received), sending.hooks.get("h1").state)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://hooks.test/", "not public"),
        ("http://other.test/", "not https on port 443"),
    ],
)
def test_a_target_that_is_refused_gets_nothing(url: str, reason: str, tmp_path: Path) -> None:
    """The target is checked at each attempt, and the reason is kept."""
    sending = Sending(tmp_path, url)
    sending.send()
    [delivery] = sending.deliveries

    assert ("due", True) == (delivery.state, reason in str(delivery.detail))


def test_a_hook_without_a_secret_is_given_up(tmp_path: Path) -> None:
    """A message that cannot be signed is not sent."""
    sending = Sending(tmp_path, "http://hooks.test:1/")
    sending.secrets.remove("h1")
    sending.send()
    [delivery] = sending.deliveries

    assert ("failed", "the hook has no secret") == (delivery.state, delivery.detail)
