"""What every emulator of an HTTP service shares: the log of requests, faults, and routes.

Invariants:

- a request is logged before its fault happens, and handled by one thread at a time;
- a fault happens to the next request of its route, or of any.
"""

from __future__ import annotations

import abc
import re
import threading
from collections.abc import Callable, Iterable, Sequence

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ...cloud.faults import Fault, Status, take
from ..fake_clock import FakeClock


class HttpService(abc.ABC):
    """An emulator: `requests` are all received requests, with those of faults. A subclass routes and answers them."""

    def __init__(self, *, clock: Clock | None = None, faults: Iterable[Fault] = ()) -> None:
        self.clock = clock or FakeClock()
        self.faults, self.requests = list(faults), list[Request]()
        self._lock = threading.RLock()

    def seen(self, name: str) -> list[Request]:
        """Return the requests received for a verb of the client, or for another route by its name."""
        return [request for request in self.requests if self._route_of(request) == name]

    def handle(self, request: Request) -> Response:
        """Return the response to *request*, or raise the `TransportError` of its fault."""
        with self._lock:
            self.requests.append(request)
            fault = take(self.faults, self._route_of(request), "")
            if fault is None:
                return self._answer(request)
            return self._worded(fault, fault.act(request, lambda: self._answer(request), self.clock))

    @abc.abstractmethod
    def _route_of(self, request: Request) -> str:
        """Return the name of the route that *request* is for, empty for one that there is not."""

    @abc.abstractmethod
    def _answer(self, request: Request) -> Response:
        """Return the response to *request*."""

    def _worded(self, fault: Fault, response: Response) -> Response:
        """Return the response of *fault* in the service's form, where it has one of its own."""
        del fault
        return response


def worded(fault: Fault, response: Response, problem: Callable[[int, str], Response]) -> Response:
    """Return the response of a fault as an error of the service, which *problem* makes; a web page stays one."""
    if not isinstance(fault, Status) or fault.is_html:
        return response
    refusal = problem(fault.status, fault.text or f"HTTP {fault.status}")
    return msgspec.structs.replace(refusal, headers={**refusal.headers, **response.headers})


def match_route(
    routes: Sequence[tuple[str, re.Pattern[str], str]], method: str, path: str
) -> tuple[str, tuple[str, ...]]:
    """Return the name of the route of a request, and the parts of its path; an empty name where there is none."""
    for expected, pattern, name in routes:
        if method == expected and (found := pattern.fullmatch(path)):
            return name, found.groups()
    return "", ()
