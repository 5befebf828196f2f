"""The local cloud announces changes of its tasks by webhook, once each, also after it was killed."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.webhooks.test_attempts import receiver

from coatcheck import Client
from coatcheck._protocol import standard_webhooks as standard
from coatcheck._webhooks.outbox import Outbox
from coatcheck._webhooks.server import outbox_of
from coatcheck.cloud.demo.site import agent_command, make_site
from coatcheck.cloud.launcher import ServeOptions, environment, running
from coatcheck.cloud.models import COMPLETED, PENDING, RUNNING, CloudAttempt, CloudRound, CloudTask
from coatcheck.cloud.task_hooks import ObservedStore, TaskHooks, task_of
from coatcheck.cloud.task_store import Store

LOOPBACK = ("http://127.0.0.1:*",)


def cloud_task(state: str, *, id: str = "t1", at: float = 1_790_000_000.0) -> CloudTask:
    """Return a task of one attempt."""
    attempt = CloudAttempt(id=f"{id}~a", placement=0, created_at=at, state=state)
    round_ = CloudRound(id=f"{id}~u", prompt="a secret prompt", created_at=at, attempts=(attempt,))
    return CloudTask(
        id=id,
        title="a secret title",
        environment_id="e",
        environment_label="o/r",
        branch="main",
        created_at=at,
        updated_at=at,
        rounds=(round_,),
    )


class Server:
    """A server's store and hooks, started with *urls*; nothing runs by itself."""

    def __init__(self, folder: Path, *urls: str) -> None:
        self.hooks = TaskHooks(folder / "hooks", allowed=LOOPBACK, environ={})
        self.store = ObservedStore(folder / "cloud.sqlite3", self.hooks.put)
        self.store.open()
        self.used = self.hooks.use_urls(urls, self.store)
        self.hooks.put_all(self.store)
        self.outbox: Outbox = outbox_of(self.hooks.settings, LOOPBACK)

    def set_state(self, state: str, *, id: str = "t1") -> None:
        """Store that a task has another state."""
        if self.store.get_task(id) is None:
            self.store.add_task(cloud_task(state, id=id))
        else:
            self.store.change_task(id, lambda _: cloud_task(state, id=id))

    def send(self) -> None:
        """Announce and send what is due."""
        self.hooks.record_changes()
        self.outbox.send_due()

    def kill(self) -> None:
        """End without announcing anything."""
        self.store.close()

    def close(self) -> None:
        """End."""
        self.hooks.close()
        self.store.close()


@contextmanager
def serving(folder: Path, *urls: str) -> Iterator[Server]:
    """Run a server."""
    server = Server(folder, *urls)
    try:
        yield server
    finally:
        server.close()


def types(received: list[tuple[object, bytes]]) -> list[tuple[str, str]]:
    """Return the type and the ref of each message."""
    documents = [json.loads(body) for _, body in received]
    return [(document["type"], document["data"]["ref"]) for document in documents]


def test_each_state_is_announced_once(tmp_path: Path) -> None:
    """A task's states are sent in order with its ref and nothing of its text; a change without a state is not sent."""
    with receiver(204) as (port, received), serving(tmp_path, f"http://127.0.0.1:{port}/x") as server:
        for state in (PENDING, RUNNING, RUNNING, COMPLETED):
            server.set_state(state)
            server.send()

    assert [(f"task.{word}", "local:t1") for word in ("submitted", "started", "succeeded")] == types(received)
    assert not any(b"secret" in body for _, body in received)


def test_a_killed_server_loses_no_end(tmp_path: Path) -> None:
    """What it had stored and not announced is announced by the next one, and nothing twice."""
    with receiver(204) as (port, received):
        url = f"http://127.0.0.1:{port}/x"
        first = Server(tmp_path, url)
        first.set_state(RUNNING)
        first.send()
        first.set_state(COMPLETED)
        first.kill()
        for _ in range(2):
            with serving(tmp_path, url) as server:
                server.send()

    assert [("task.started", "local:t1"), ("task.succeeded", "local:t1")] == types(received)


def test_a_new_address_gets_what_happens_from_now_on(tmp_path: Path) -> None:
    """Tasks of before, and of a time without the address, are not announced; the secret is shown once."""
    store = Store(tmp_path / "cloud.sqlite3")
    store.open()
    store.add_task(cloud_task(COMPLETED))
    store.close()
    with receiver(204) as (port, received):
        url = f"http://127.0.0.1:{port}/x"
        secrets = []
        for urls in ((url,), (), (url,)):
            with serving(tmp_path, *urls) as server:
                secrets += [secret is not None for _, secret in server.used]
                server.set_state(RUNNING, id=f"during{len(urls)}")
                server.send()

    assert ([True, False], [("task.started", "local:during1")]) == (secrets, types(received))


def test_a_receiver_that_fails_does_not_lose_an_announcement(tmp_path: Path) -> None:
    """It stays due in the server's store, and a follow-up is announced as well."""
    with receiver(500) as (port, _), serving(tmp_path, f"http://127.0.0.1:{port}/x") as server:
        server.set_state(COMPLETED)
        server.send()
        server.set_state(RUNNING)
        server.send()
        states = [each.state for each in server.hooks.settings.deliveries(hook=None, limit=9)]

    assert ["due", "due"] == states


@pytest.mark.parametrize("state", [PENDING, RUNNING, COMPLETED, "failed", "cancelled", "new word"])
def test_every_state_has_a_form(state: str) -> None:
    """A task of any state becomes a value that an event is made of."""
    task = task_of(msgspec.structs.replace(cloud_task(state)))

    assert ("local:t1", state) == (str(task.ref), task.raw_state)


def test_a_server_sends_to_its_addresses(tmp_path: Path) -> None:
    """A running server delivers the end of a task, signed with the secret that it returned when the address was new."""
    make_site(tmp_path / "site", environ=os.environ)
    shown: list[tuple[object, str | None]] = []
    with receiver(204) as (port, received):
        options = ServeOptions(
            environments=(environment("owner/repo", tmp_path / "site", environ=os.environ),),
            command=agent_command(),
            data=tmp_path / "data",
            environ=dict(os.environ),
            hooks=(f"http://127.0.0.1:{port}/x",),
            allowed_hooks=LOOPBACK,
            on_hooks=shown.extend,
        )
        with running(options) as record, Client("local", base_url=record.url, token=record.token, environ={}) as client:
            ref = client.create_task("p", environment=record.environments[0].id).ref
            client.poll_task(ref, interval=0.05)
            while not any(b"task.succeeded" in body for _, body in received):
                threading.Event().wait(0.01)
    [(_, secret)] = shown
    key = standard.read_secret(str(secret))
    for headers, body in received:
        sent = {name.lower(): value for name, value in headers.items()}
        standard.verify(sent, body, [key], now=time.time())

    assert {str(ref)} == {ref for _, ref in types(received)}
