"""A local cloud over HTTP, whose agents wait for a test, and a reader of its streams."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from coatcheck._protocol.sse import EventStreamReader, ServerSentEvent
from coatcheck._runtime.server_record import ServerRecord
from coatcheck.cloud.demo.site import make_site
from coatcheck.cloud.launcher import ServeOptions, environment, running

from .conftest import create_body


class Server:
    """A server that runs; agents get the path of a FIFO as ``$1``, and wait where they read it."""

    def __init__(self, record: ServerRecord, fifo: Path) -> None:
        self.record, self.fifo = record, fifo
        parts = urlsplit(record.url)
        self.host, self.port = parts.hostname or "", parts.port or 0

    def submit(self, *, attempts: int = 1) -> str:
        """Submit a task, and return its id."""
        body = create_body(str(self.fifo), attempts=attempts, environment_id=self.record.environments[0].id)
        status, _, answer = self.ask("/backend-api/wham/tasks", method="POST", body=msgspec.json.encode(body))
        assert status == 200, answer
        return str(msgspec.json.decode(answer)["task"]["id"])

    def release(self) -> None:
        """Let one agent go on: opening waits for it to read."""
        with self.fifo.open("w") as fifo:
            fifo.write("go\n")

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, token: str | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status, the headers and the body of an answer."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=240)) as connection:
            token = self.record.token if token is None else token
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            connection.request(method, path, body, headers if token else {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def events(self, path: str, *, after: str = "") -> Iterator[ServerSentEvent]:
        """Yield the events of a stream until it ends; closing the generator closes the connection."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=240)) as connection:
            headers = {"authorization": f"Bearer {self.record.token}"}
            connection.request("GET", path, headers={**headers, "last-event-id": after} if after else headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise StreamStatusError(answer.status)
            reader = EventStreamReader()
            while chunk := answer.read1(65_536):
                yield from reader.feed(chunk)

    def all_events(self, path: str) -> list[ServerSentEvent]:
        """Return the events of a task until its end; come back where the server disconnects a slow reader."""
        events = list[ServerSentEvent]()
        while True:
            try:
                events += self.events(path, after=events[-1].id if events else "")
            except StreamStatusError:  # 204, which other tests check
                return events

    def until(self, path: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first event of a stream that fits *condition*."""
        with closing(self.events(path)) as events:
            return next(document for event in events if condition(document := msgspec.json.decode(event.data)))


class StreamStatusError(Exception):
    """A stream was answered with another status than 200."""


@contextmanager
def server(root: Path, script: str, **options: Any) -> Iterator[Server]:
    """Give a server whose agent is the shell line *script*."""
    if not (root / "site").exists():
        make_site(root / "site", environ=os.environ)
        os.mkfifo(root / "fifo")
    chosen = ServeOptions(
        environments=(environment("owner/repo", root / "site", environ=os.environ),),
        command=("sh", "-c", script, "agent", "{prompt}"),
        data=root / "data",
        environ=dict(os.environ),
        **options,
    )
    with running(chosen) as record:
        yield Server(record, root / "fifo")


def summary(event: ServerSentEvent) -> tuple[str, str | None]:
    """Return the type of an event, and its text."""
    return event.event, msgspec.json.decode(event.data)["text"]
