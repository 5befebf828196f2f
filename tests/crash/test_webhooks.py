"""Receivers and senders of webhooks that are killed at any moment: what was acknowledged is there, and unchanged."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import pytest
from tests.webhooks.test_attempts import receiver

from coatcheck._protocol import standard_webhooks as standard
from coatcheck._store.events import EventLog
from coatcheck._store.hooks import CLAIM_SECONDS, Hook, HookStore
from coatcheck._store.location import open_database
from coatcheck._store.received import ReceivedStore
from coatcheck._webhooks.outbox import Outbox
from coatcheck._webhooks.secrets_file import SecretsFile
from coatcheck.testing import FakeClock

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL")

ROUNDS = 200
SECRET = standard.new_secret()
SENDERS = 4
# Acknowledges each event on standard output after it was stored, and sends what is due.
SENDER = """
import sys, time
from coatcheck import TaskProgress, TaskRef
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._store.events import EventLog
from coatcheck._store.hooks import HookStore
from coatcheck._store.location import open_database
from coatcheck._webhooks.outbox import Outbox
from coatcheck._webhooks.secrets_file import SecretsFile
folder, name = sys.argv[1:]
database, clock = open_database(folder), SystemClock()
log, secrets = EventLog(database, time=clock.time), SecretsFile(folder + "/hooks.json")
outbox = Outbox(
    HookStore(database, clock=clock), log, secrets, clock=clock, random=lambda: 0.0, allowed=["http://127.0.0.1:*"]
)
for number in range(10**6):
    ref = TaskRef("toy", f"{name}-{number}")
    print(log.append([TaskProgress(ref=ref, text=name)])[0], ref, flush=True)
    outbox.send_due()
"""


def deliver(url: str, id: str, ref: str) -> bool:
    """Send one delivery; whether it was acknowledged."""
    body = json.dumps({"type": "task.succeeded", "data": {"ref": ref}}).encode()
    signed = standard.signed_headers([standard.read_secret(SECRET)], id=id, seconds=time.time(), body=body)
    headers = {**dict(signed), "content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers)) as response:
            return bool(response.status == 204)
    except OSError:  # it was killed
        return False


def receive_until_killed(folder: Path, name: str, count: int) -> dict[str, str]:
    """Run a receiver until it has acknowledged so many deliveries, kill it, and return all that it acknowledged."""
    environ = {**os.environ, "COATCHECK_STATE_HOME": str(folder), "COATCHECK_HOOK_SECRET_COATCHECK": SECRET}
    command = [sys.executable, "-m", "coatcheck", "hooks", "serve", "--json"]
    acknowledged: dict[str, str] = {}
    done: SimpleQueue[None] = SimpleQueue()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ) as process:
        assert process.stdout is not None
        url = f"{json.loads(process.stdout.readline())['url']}/coatcheck"

        def send(sender: int) -> None:
            number = 0
            while deliver(url, id := f"{name}-{sender}-{number}", ref := f"toy:{id}"):
                acknowledged[id] = ref
                number += 1
                done.put(None)

        senders = [threading.Thread(target=send, args=(number,)) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        for _ in range(count):
            done.get()
        os.kill(process.pid, signal.SIGKILL)
        for sender in senders:
            sender.join()
    return acknowledged


def check_received(folder: Path, rounds: int) -> None:
    """Kill so many receivers; every delivery that was acknowledged is kept, with what it named."""
    source = random.Random(rounds)
    acknowledged: dict[str, str] = {}
    for number in range(rounds):
        acknowledged |= receive_until_killed(folder, str(number), source.randrange(1, 30))
    database = open_database(str(folder))
    arrivals = ReceivedStore(database, time=time.time).arrivals_since(0)
    database.close()

    assert {id: (ref,) for id, ref in acknowledged.items()}.items() <= {
        each.id: each.names for each in arrivals
    }.items()


def check_sent(folder: Path, rounds: int) -> None:
    """Kill so many senders; every event is delivered, with one body for each id."""
    source = random.Random(rounds)
    printed: dict[str, str] = {}
    with receiver(204) as (port, received):
        database, clock = open_database(str(folder)), FakeClock(time.time())
        hooks, secrets = HookStore(database, clock=clock), SecretsFile(str(folder / "hooks.json"))
        secrets.add("h1", SECRET, now=clock.time())
        at = datetime.fromtimestamp(clock.time(), UTC)
        hooks.add(Hook(id="h1", url=f"http://127.0.0.1:{port}/", kinds=("*",), created_at=at))
        for number in range(rounds):
            command = [sys.executable, "-c", SENDER, str(folder), str(number)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in range(source.randrange(1, 20))]
                os.kill(process.pid, signal.SIGKILL)
                lines += process.stdout.readlines()
            printed |= dict(line.split() for line in lines if line.endswith("\n"))
        clock.advance(time.time() - clock.time() + CLAIM_SECONDS + 60)
        log = EventLog(database, time=clock.time)
        allowed = ["http://127.0.0.1:*"]
        Outbox(hooks, log, secrets, clock=clock, random=lambda: 0.0, allowed=allowed).send_due()
        database.close()
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for headers, body in received:
        bodies[headers["webhook-id"]].add(body)
    refs = {json.loads(body)["data"]["ref"] for (body,) in bodies.values()}

    assert (set(printed.values()), {1}) == (refs & set(printed.values()), {len(each) for each in bodies.values()})


@pytest.mark.slow
def test_no_acknowledged_delivery_is_lost_by_kill_9(tmp_path: Path) -> None:
    """Two killed receivers; `make crash` kills two hundred."""
    check_received(tmp_path, 2)


@pytest.mark.slow
def test_no_event_is_lost_by_a_killed_sender(tmp_path: Path) -> None:
    """Three killed senders; `make crash` kills two hundred."""
    check_sent(tmp_path, 3)


@pytest.mark.crash
def test_no_acknowledged_delivery_is_lost_by_two_hundred_kills(tmp_path: Path) -> None:
    """Every delivery that was answered 204 is in the store."""
    check_received(tmp_path, ROUNDS)


@pytest.mark.crash
def test_no_event_is_lost_by_two_hundred_killed_senders(tmp_path: Path) -> None:
    """Every event is delivered, and no id has two bodies."""
    check_sent(tmp_path, ROUNDS)
