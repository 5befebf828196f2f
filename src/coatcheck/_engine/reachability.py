"""Whether the service answers: noted at every request of a client, before it is retried.

Invariants:
- An outage begins when the first request was sent that got no answer, or one of `UNAVAILABLE`, and ends with the next
  other answer.
- `on_outage` is called at each failure with one line, and with None when the outage is over.
- Everything here may be called from many threads; the worst that a race does is a line too many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .. import errors
from .._protocol.effects import Clock, Request, Response, Script, Sender
from .._protocol.logs import log_failure, log_response

# 429 is no outage: the service responds, with the time to retry after.
UNAVAILABLE = frozenset({500, 502, 503, 504, 520, 521, 522, 523, 524})
OnOutage: TypeAlias = Callable[["Outage | None"], object]


class Outage:
    """A service that does not answer, since `since` (seconds of the client's clock)."""

    def __init__(self, what: str, *, since: float, clock: Clock) -> None:
        self.what, self.since, self._clock = what, since, clock

    @property
    def seconds(self) -> float:
        """Return how long it has lasted."""
        return self._clock.monotonic() - self.since

    def __str__(self) -> str:
        return f"{self.what} for {self.seconds:.0f} s"


class Reachability:
    """Notes of one client whether its service answers."""

    def __init__(self, *, clock: Clock, on_outage: OnOutage | None = None) -> None:
        self._clock, self._on_outage = clock, on_outage
        self.outage: Outage | None = None

    def noting(self, send: Sender) -> Sender:
        """Return a `Sender` that notes how each request ends."""

        def sender(request: Request) -> Script[Response]:
            began = self._clock.monotonic()
            try:
                response = yield from send(request)
            except errors.TransportError as error:
                log_failure(request, error, self._clock.monotonic() - began)
                what = "no answer from" if error.request_sent else "cannot reach"
                self._note(f"{what} {_host(request)}", began)
                raise
            log_response(request, response, self._clock.monotonic() - began)
            if response.status in UNAVAILABLE:
                self._note(f"{_host(request)} answers {response.status}", began)
            elif self.outage is not None:
                self.outage = None
                self._report(None)
            return response

        return sender

    def _note(self, what: str, began: float) -> None:
        since = began if self.outage is None else self.outage.since
        self.outage = Outage(what, since=since, clock=self._clock)
        self._report(self.outage)

    def _report(self, outage: Outage | None) -> None:
        if self._on_outage is not None:
            self._on_outage(outage)


def _host(request: Request) -> str:
    from urllib.parse import urlsplit  # 2 ms, for a failure

    return urlsplit(request.url).netloc.rpartition("@")[2] or "the service"
