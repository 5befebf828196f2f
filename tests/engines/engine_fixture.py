"""A fleet, its store, its service that counts, and the processes that work on it."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.engines import engine_worker

from coatcheck._fleet.session import FleetSession
from coatcheck._protocol.effects import Clock, Request, Response
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.testing import CloudEnvironment, ScriptedCloud, serving

SCRIPT = Path(engine_worker.__file__)


class WatchedService:
    """A cloud without idempotency keys, which calls a function before or after it answers one of its requests."""

    def __init__(self, **cloud: Any) -> None:
        environment = CloudEnvironment(id="env_1", label="acme/api", repository="acme/api")
        states = ["in_progress", "completed"]
        self.cloud = ScriptedCloud(states, environments=[environment], clock=SystemClock(), **cloud)
        self._random, self._left, self._call = random.Random(7), 0, None
        self._limit: tuple[int, float] | None = None
        self._accepted: deque[float] = deque()
        self.refused = 0

    def refuse_above(self, count: int, seconds: float) -> None:
        """Refuse the submissions that exceed so many in so many seconds."""
        self._limit = (count, seconds)

    def _is_refused(self, request: Request) -> bool:
        if self._limit is None or request.method != "POST":
            return False
        count, seconds = self._limit
        now = time.monotonic()
        while self._accepted and self._accepted[0] < now - seconds:
            self._accepted.popleft()
        if len(self._accepted) >= count:
            self.refused += 1
            return True
        self._accepted.append(now)
        return False

    def seed(self, number: int) -> None:
        """Choose other requests."""
        self._random = random.Random(number)

    def arm(self, call: Callable[[], object], within: int) -> None:
        """Call *call* at one of the next requests."""
        self._left, self._call = self._random.randrange(1, max(2, within)), call

    def handle(self, request: Request) -> Response:
        """Answer, and call."""
        self._left -= 1
        if self._is_refused(request):
            return Response(status=429, headers={}, body=b"{}")
        is_due, is_before = self._left == 0, self._random.random() < 0.5
        if is_due and is_before:
            self._call()
        response = self.cloud.handle(request)
        if is_due and not is_before:
            self._call()
        return response


class EngineFixture:
    """A fleet of *items* on an engine: "loop" or "pgqueuer"."""

    def __init__(self, name: str, store: str, folder: Path) -> None:
        self.name, self.store, self.folder = name, store, folder
        self.service = WatchedService()
        self.url = ""
        self.heartbeat = 2.0

    @contextmanager
    def serving(self, items: int) -> Iterator[None]:
        """Serve the service, and store the fleet where workers do not plan it."""
        self.items = items
        with serving(self.service) as self.url:
            if self.name == "pgqueuer":
                self.prepare()
            yield

    def prepare(self) -> None:
        """Create the tables, and store the fleet."""
        from coatcheck._fleet.pgqueuer_engine import install

        async def prepare() -> None:
            await install(self.store)
            await session.store(engine_worker.spec_of(self.items), confirm=lambda _: True)

        session = self.session()
        asyncio.run(prepare())
        session.close()

    def session(self, clock: Clock | None = None) -> FleetSession:
        """Return a session of this process."""
        token = self.service.cloud.tokens.access_token
        return engine_worker.session_of(self.store, self.folder, self.url, token, heartbeat=self.heartbeat, clock=clock)

    def work(self, clock: Clock) -> None:
        """Work in this process until the fleet is done."""
        session = self.session(clock)
        asyncio.run(engine_worker.work(self.name, session, engine_worker.spec_of(self.items)))
        session.close()

    def start(self, **environ: str) -> subprocess.Popen[str]:
        """Start a worker."""
        token = self.service.cloud.tokens.access_token
        arguments = [self.name, self.store, str(self.folder), self.url, token, str(self.items), str(self.heartbeat)]
        environ = {**os.environ, **environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, str(SCRIPT), *arguments]
        with open(self.folder / "worker.log", "a") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, text=True, env=environ)

    def result(self) -> dict[str, object]:
        """Return the states of the items, and how often each was sent and delivered."""
        session = self.session()
        status = session.control.status(engine_worker.NAME)
        delivered: Counter[str] = Counter()
        after = 0
        while events := session.control.events(engine_worker.NAME, after=after):
            after = events[-1].id
            delivered.update(each.event.subject for each in events if each.event.type == "item.delivered")
        session.close()
        sent = Counter(task.rounds[0].prompt for task in self.service.cloud.tasks)
        return {
            "items": {str(state): count for state, count in status.items.items()},
            "sent": Counter(sent.values()),
            "deliveries": sum(delivered.values()),
            "files": len(list((self.folder / "delivered").iterdir())),
        }

    @property
    def expected(self) -> dict[str, object]:
        """What `result` returns where each item was sent and delivered once."""
        count = self.items
        return {"items": {"delivered": count}, "sent": Counter({1: count}), "deliveries": count, "files": count}

    @property
    def log(self) -> str:
        """What the workers have printed."""
        return (self.folder / "worker.log").read_text()
