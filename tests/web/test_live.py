"""What reaches an open page: events of the store, and tasks that are polled for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from tests.web.web_support import Pages

from coatcheck import Message, TaskRef
from coatcheck._model.events import TaskEvent, TaskMessage
from coatcheck._protocol.provider import Capabilities
from coatcheck._protocol.sse import EventStreamReader
from coatcheck._store.sqlite import FILE
from coatcheck._web.event_follower import EventFollower
from coatcheck._web.poller import LONGEST, Poller
from coatcheck.cloud.faults import Refuse


class OpenPage:
    """A page that reads ``/events``; `until` waits until it has a number of events."""

    def __init__(self, pages: Pages, *, after: int, last_id: str = "") -> None:
        self.pages, self.events, self.status = pages, [], 0  # type: ignore[var-annotated]
        self._after, self._last_id = after, last_id
        self._arrived, self._closed = asyncio.Condition(), asyncio.Event()
        self._reader = EventStreamReader()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        await self.until(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed.set()
        await self._task

    async def until(self, count: int) -> list[tuple[str, str]]:
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.status and len(self.events) >= count)
        return self.events

    async def _read(self) -> None:
        headers = {"cookie": self.pages.browser.headers["cookie"], "host": "127.0.0.1:8700"}
        headers |= {"last-event-id": self._last_id} if self._last_id else {}
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/events",
            "raw_path": b"/events",
            "query_string": b"after=%d" % self._after,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "server": ("127.0.0.1", 8700),
        }
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await self._closed.wait()
            return {"type": "http.disconnect"}

        await self.pages.app.asgi(scope, receive, self._send)

    async def _send(self, message: Any) -> None:
        async with self._arrived:
            self.status = message.get("status", self.status)
            self.events += [(each.id, each.data) for each in self._reader.feed(message.get("body", b"")) if each.data]
            self._arrived.notify_all()


def test_an_event_of_any_process_reaches_every_open_page(pages: Pages) -> None:
    """A page gets what was stored after its number, then what is stored while it is open, each once and in order."""
    pages.submit()
    first = pages.site.events.last(1)[0].id - 1

    async def read() -> tuple[bool, list[tuple[str, str]], list[tuple[str, str]], bool]:
        async with OpenPage(pages, after=first) as page, OpenPage(pages, after=0, last_id=str(first)) as other:
            await page.until(1)
            await asyncio.to_thread(pages.submit, "Another")
            is_watched = pages.app.live.has_readers
            count = pages.site.events.newest_id() - first
            await asyncio.to_thread(pages.app.live.publish_new)
            seen = await page.until(count), await other.until(count)
        return is_watched, *seen, pages.app.live.has_readers

    is_watched, seen, other, is_watched_after = asyncio.run(read())
    expected = [str(each.id) for each in pages.site.events.read(after=first)]

    assert (expected, seen, True, False) == ([id for id, _ in seen], other, is_watched, is_watched_after)


def test_a_page_is_sent_no_text_of_others(pages: Pages) -> None:
    """Events have a type and a subject, and not what a person or an agent wrote."""
    ref = pages.submit("A secret prompt")
    event = pages.app.live._log.after(0, limit=1)[0]

    assert (True, False) == (ref in event.data, "secret" in event.data)


def test_open_tasks_are_polled_while_a_page_is_open(pages: Pages) -> None:
    """Nothing is polled without a page; with one a task is polled when it is due, and at once after an action."""
    watched: list[bool] = []
    poller = Poller(pages.site, is_watched=lambda: bool(watched))
    ref = pages.submit()
    counts = []
    for step in ("none", "open", "same", "later", "acted"):
        watched.append(True) if step == "open" else None
        pages.clock.sleep(2.1 if step == "later" else 0.01)
        if step == "acted":
            pages.browser.submit(f"/tasks/{ref}", f"/tasks/{ref}/message", text="Go on")
        before = len(pages.cloud.seen("get_task"))
        poller.poll_due()
        counts.append(len(pages.cloud.seen("get_task")) > before)

    assert [False, True, False, True, True] == counts


def test_a_service_that_cannot_be_reached_is_named_and_left_alone(pages: Pages) -> None:
    """The pages show why it cannot be used; it is polled again later, and the note is gone once it answers."""
    poller = Poller(pages.site, is_watched=lambda: True)
    ref = pages.submit()
    pages.cloud.faults.append(Refuse(on="get_task", times=2))
    poller.poll_due()
    shown = pages.browser.get("/").words, pages.browser.get(f"/tasks/{ref}").words
    sent = len(pages.cloud.requests)
    poller.poll_due()
    is_left_alone = sent == len(pages.cloud.requests)
    pages.clock.sleep(LONGEST + 1)
    poller.poll_due()

    assert [True, True, True] == [*("codex cannot be used now" in words for words in shown), is_left_alone]
    assert "cannot be used" not in pages.browser.get("/").words


@pytest.mark.parametrize(("path", "status"), [("/", 503), ("/gates", 503), ("/settings", 200), ("/api/v1/tasks", 503)])
def test_a_store_that_cannot_be_used_is_an_error_with_its_reason(tmp_path: Path, path: str, status: int) -> None:
    """Pages that need the store show why it cannot be used, and the others are shown."""
    folder = tmp_path / "home" / ".local" / "state" / "coatcheck"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"This is no database. " * 400)
    pages = Pages(tmp_path)
    answer = pages.browser.get(path) if not path.startswith("/api") else pages.api("GET", "/tasks")

    assert (status, status == 503) == (answer.status, "is not a database" in answer.text)


class StreamingClient:
    """A client whose service streams *events* of a task; `has_ended` is set once it is closed."""

    capabilities = Capabilities(verbs={}, has_resumable_stream=True)

    def __init__(self, *events: TaskEvent) -> None:
        self.events, self.has_ended = events, threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.has_ended.set()

    def stream_task(self, _ref: TaskRef, *, timeout: float | None, after: str | None) -> Iterator[TaskEvent]:
        yield from self.events

    def close(self) -> None:
        """Do nothing: the stream has ended."""


def test_live_events_of_a_running_task_are_on_its_page(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only a stream reports is stored once while a page is open, and nothing is read without a page."""
    ref = TaskRef.parse(pages.submit())
    message = TaskMessage(ref=ref, id="7", message=Message(role="assistant", text="I read the tests first"))
    clients = [StreamingClient(message), StreamingClient(message)]
    opened = iter(clients)
    monkeypatch.setattr(pages.site, "client", lambda *_, **__: next(opened))
    EventFollower(pages.site, is_watched=lambda: False).follow_running()
    for client in clients:
        EventFollower(pages.site, is_watched=lambda: True).follow_running()
        client.has_ended.wait(240)
    stored = pages.events().count(("task.message", str(ref)))
    is_shown = "I read the tests first" in pages.browser.get(f"/tasks/{ref}/timeline").words

    assert (1, True) == (stored, is_shown)
