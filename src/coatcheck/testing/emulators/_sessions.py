"""What the emulators of hosted sessions share: their sessions, and the change that an agent makes."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import Generic, TypeVar

from ..._protocol.effects import Clock, Response
from ...cloud.faults import Fault
from ._service import HttpService, worded

BASE = "1" * 40
PATCH = b"diff --git a/hello b/hello\nnew file mode 100644\nindex 0000000..ce01362\n--- /dev/null\n+++ b/hello\n@@ -0,0 +1 @@\n+hello\n"

S = TypeVar("S")


class Sessions(HttpService, Generic[S]):
    """The sessions of a service, whose key is *key*."""

    def __init__(self, *, key: str, clock: Clock | None, faults: Iterable[Fault]) -> None:
        super().__init__(clock=clock, faults=faults)
        self.token = key
        self._sessions: dict[str, S] = {}
        self._count = 0

    @property
    def tasks(self) -> tuple[S, ...]:
        """Every session, oldest first."""
        return tuple(self._sessions.values())

    @abc.abstractmethod
    def _problem(self, status: int, text: str) -> Response:
        """Return an error of the service."""

    def _worded(self, fault: Fault, response: Response) -> Response:
        return worded(fault, response, self._problem)
