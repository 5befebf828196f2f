"""What the emulators of hosted sessions share: the log of requests, faults, and the change that an agent makes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ...cloud.faults import Fault, Status, take
from ..fake_clock import FakeClock

BASE = "1" * 40
PATCH = b"diff --git a/hello b/hello\nnew file mode 100644\nindex 0000000..ce01362\n--- /dev/null\n+++ b/hello\n@@ -0,0 +1 @@\n+hello\n"

S = TypeVar("S")


class Sessions(Generic[S]):
    """The sessions of a service. *route_of* names what a request asks for, *problem* is an error of the service.

    A subclass defines `_answer`.
    """

    def __init__(
        self,
        *,
        key: str,
        route_of: Callable[[Request], str],
        problem: Callable[[int, str], Response],
        clock: Clock | None,
        faults: Iterable[Fault],
    ) -> None:
        self.token, self.clock = key, clock or FakeClock()
        self.faults, self.requests = list(faults), list[Request]()
        self._route_of, self._problem = route_of, problem
        self._sessions: dict[str, S] = {}
        self._count = 0
        self._lock = threading.RLock()

    @property
    def tasks(self) -> tuple[S, ...]:
        """Every session, oldest first."""
        return tuple(self._sessions.values())

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
            response = fault.act(request, lambda: self._answer(request), self.clock)
            if not isinstance(fault, Status) or fault.is_html:
                return response
            refusal = self._problem(fault.status, fault.text or f"HTTP {fault.status}")
            return msgspec.structs.replace(refusal, headers={**refusal.headers, **response.headers})

    def _answer(self, request: Request) -> Response:
        raise NotImplementedError
