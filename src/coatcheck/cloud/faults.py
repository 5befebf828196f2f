"""Faults of a scripted cloud, as values: on which route, how often, and what they do to the response.

Invariant: a fault either raises what a transport raises (`TransportError`) or returns a `Response`; it holds no state.
"""

# ruff: noqa: ARG002 - every fault takes the same three things, whichever it needs

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec

from .. import errors
from .._protocol.effects import Clock, Request, Response
from .._values.value import Value
from .responses import detail, html_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

Answer: TypeAlias = Callable[[], Response]


class Fault(Value, frozen=True, kw_only=True):
    """Something that happens to the next request on route `on` ("" is any WHAM route), `times` times (None: always).

    `on` is a name in `coatcheck.cloud.router`'s table: "create_task", "get_task", "list_tasks", "sibling_turns", "usage", "token" …
    """

    on: str = ""
    times: int | None = 1

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Return what the client gets instead of *answer*'s answer, or raise what its transport would."""
        raise NotImplementedError


def take(faults: list[Fault], *names: str) -> Fault | None:
    """Return the next of *faults* for a route that goes by these names ("" is any of the service), and use it up."""
    for index, fault in enumerate(faults):
        if fault.on in names:
            _use_up(faults, index)
            return fault
    return None


def _use_up(faults: list[Fault], index: int) -> None:
    fault = faults[index]
    if fault.times is not None:
        rest = msgspec.structs.replace(fault, times=fault.times - 1)
        faults[index : index + 1] = [rest] if rest.times else []


class Status(Fault, frozen=True):
    """Answer with a status. `retry_after` is seconds or an HTTP date; `is_html` makes it Cloudflare's kind of page."""

    status: int
    text: str | None = None
    retry_after: float | str | None = None
    is_html: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    WORDS: ClassVar[Mapping[int, str]] = {
        401: "Could not parse your authentication token. Please try signing in again.",
        404: "Invalid task ID",
    }

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Answer without asking the cloud."""
        text = (
            self.text
            or self.WORDS.get(self.status)
            or ("Internal Server Error" if self.status >= 500 else f"HTTP {self.status}")
        )
        reply = (
            html_reply(text, "<p>Ray ID</p>", status=self.status) if self.is_html else detail(text, status=self.status)
        )
        after = () if self.retry_after is None else (("retry-after", str(self.retry_after)),)
        return msgspec.structs.replace(reply, headers={**reply.headers, **dict(after), **dict(self.headers)})


class Reset(Fault, frozen=True, kw_only=True):
    """Cut the connection before anything is done; the client cannot know that."""

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Raise what a transport raises when the connection is lost."""
        message = "the connection was reset"
        raise errors.TransportError(message, request_sent=True)


class ResetAfterAccept(Fault, frozen=True, kw_only=True):
    """Do what was asked, then cut the connection: the task exists, and the client does not know."""

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Act, then raise."""
        answer()
        message = "the connection was reset"
        raise errors.TransportError(message, request_sent=True)


class StatusAfterAccept(Fault, frozen=True):
    """Do what was asked, then answer with an error status."""

    status: int = 502

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Act, then answer."""
        answer()
        return html_reply("Bad gateway", "", status=self.status)


class Refuse(Fault, frozen=True, kw_only=True):
    """Let the connection not stand at all. Over a socket it is a reset: a server cannot refuse what it has accepted."""

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Raise what a transport raises where no server listens."""
        message = "the connection was refused"
        raise errors.TransportError(message, request_sent=False)


class Timeout(Fault, frozen=True, kw_only=True):
    """Do not answer. With `is_accepted`, what was asked is done all the same."""

    is_accepted: bool = False

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Raise what a transport raises when its patience ends."""
        if self.is_accepted:
            answer()
        message = "no answer in time"
        raise errors.TransportTimeoutError(message, request_sent=True)


class Slow(Fault, frozen=True):
    """Answer after some seconds."""

    seconds: float

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Sleep, then answer."""
        clock.sleep(self.seconds)
        return answer()


class Body(Fault, frozen=True):
    """Answer 200 with these bytes."""

    body: bytes
    content_type: str = "application/json"

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Answer without asking the cloud."""
        return Response(status=200, headers={"content-type": self.content_type}, body=self.body)


def garbage(*, on: str = "", times: int | None = 1) -> Body:
    """Answer 200 with what is not JSON."""
    return Body(b'{"items": [\xff\x00', on=on, times=times)


def html(*, on: str = "", times: int | None = 1) -> Body:
    """Answer 200 with a web page."""
    return Body(b"<!doctype html><title>Just a moment...</title>", "text/html", on=on, times=times)


def empty(*, on: str = "", times: int | None = 1) -> Body:
    """Answer 200 with nothing."""
    return Body(b"", on=on, times=times)


class Gzip(Fault, frozen=True, kw_only=True):
    """Compress the answer; with `is_broken`, not to the end."""

    is_broken: bool = False

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Answer, compressed."""
        reply = answer()
        body = gzip.compress(reply.body)
        return msgspec.structs.replace(
            reply,
            headers={**reply.headers, "content-encoding": "gzip"},
            body=body[: len(body) // 2] if self.is_broken else body,
        )


class Truncated(Fault, frozen=True, kw_only=True):
    """Promise the whole answer and send half of it."""

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Answer with a ``content-length`` that does not come."""
        reply = answer()
        return msgspec.structs.replace(
            reply,
            headers={**reply.headers, "content-length": str(len(reply.body))},
            body=reply.body[: len(reply.body) // 2],
        )


class Huge(Fault, frozen=True):
    """Answer with a JSON string of this many bytes, sent as it is made."""

    size: int

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Answer without asking the cloud."""
        return Response(status=200, headers={"content-type": "application/json"}, stream=_Endless(self.size))


class _Endless:
    def __init__(self, size: int) -> None:
        self._left = size

    def read(self) -> bytes:
        chunk = b"x" * min(self._left, 65_536)
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        self._left = 0


class Redirect(Fault, frozen=True):
    """Send the client elsewhere."""

    location: str
    status: int = 302

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Answer without asking the cloud."""
        return Response(status=self.status, headers={"location": self.location})


class _Edited(Fault, frozen=True, kw_only=True):
    """Change the document of an answer."""

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        reply = answer()
        return json_reply(self.edit(msgspec.json.decode(reply.body)), status=reply.status)

    def edit(self, document: object) -> object:
        raise NotImplementedError


class RepeatingCursor(_Edited, frozen=True, kw_only=True):
    """Give a list the same cursor again and again. `parameter` is what it is asked with, `key` where it is answered."""

    parameter: str = "cursor"
    key: str = "cursor"
    cursor: str = "+RID:~again==#RT:1#TRC:1#RTD:"
    on: str = "list_tasks"
    times: int | None = None

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Answer the first page to whoever sends that cursor."""
        if dict(request.query).get(self.parameter) == self.cursor:
            return self._first_page(request, answer)
        return super().act(request, answer, clock)

    def _first_page(self, request: Request, answer: Answer) -> Response:
        return json_reply({"items": [], self.key: self.cursor})

    def edit(self, document: object) -> object:
        """Put the cursor in."""
        return {**document, self.key: self.cursor} if isinstance(document, dict) else document


class OffloadedDiff(_Edited, frozen=True, kw_only=True):
    """Keep every diff elsewhere: ``diff`` is null and ``external_storage_diff`` names a file.

    See docs/reference/protocols/codex-wham.md, 2.3.
    """

    times: int | None = None

    def edit(self, document: object) -> object:
        """Take the diffs out."""
        if isinstance(document, list):
            return [self.edit(item) for item in document]
        if not isinstance(document, dict):
            return document
        edited = {name: self.edit(value) for name, value in document.items()}
        return (
            {**edited, "diff": None, "external_storage_diff": {"file_id": "file_diff", "ttl": None}}
            if "external_storage_diff" in edited
            else edited
        )


class UnknownWords(_Edited, frozen=True, kw_only=True):
    """Replace every ``turn_status`` by an unknown word."""

    word: str = "simmering"
    times: int | None = None

    def edit(self, document: object) -> object:
        """Replace the words."""
        if isinstance(document, list):
            return [self.edit(item) for item in document]
        if not isinstance(document, dict):
            return document
        return {name: self.word if name == "turn_status" else self.edit(value) for name, value in document.items()}
