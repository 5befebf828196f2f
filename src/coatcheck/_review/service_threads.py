"""Work with several services at once: one thread and one client for each.

Invariants:

- results are handled in the thread that called `for_each`, in the order in which they arrive;
- an error that a thread raises is raised there, and ends the others; so does an interruption;
- after that no thread records anything: `is_stopped` is set before the clients are closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from .._runtime.client import Client

T = TypeVar("T")

# How long a submission that is under way may still take for its answer when the others are ended (seconds).
GRACE = 0.3

# A function that yields the results of one service.
Work: TypeAlias = "Callable[[str, Client], Iterator[T]]"


class _End(NamedTuple):
    """The end of a thread."""

    error: BaseException | None


def _never() -> None:
    """Return that nothing is to be done while no result arrives."""


def _until_end(results: SimpleQueue[Any], on_idle: Callable[[], float | None]) -> Iterator[Any]:
    """Yield results until a thread has ended. Raises its error."""
    while True:
        try:
            result = results.get(timeout=on_idle())
        except Empty:
            continue
        if not isinstance(result, _End):
            yield result
        elif result.error is not None:
            raise result.error
        else:
            return


class ServiceThreads:
    """The clients of several services by name, and threads that use them."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self._clients = clients
        self.is_stopped = False

    def for_each(
        self,
        names: Iterable[str],
        work: Work[T],
        handle: Callable[[T], object],
        *,
        on_idle: Callable[[], float | None] | None = None,
    ) -> None:
        """Call *handle* with each result that *work* yields for a service.

        *on_idle* is called while none arrives; it returns the seconds after which it should be called again.
        """
        results: SimpleQueue[Any] = SimpleQueue()
        threads = [
            Thread(target=self._run, args=(name, work, results), name=f"coatcheck-{name}", daemon=True)
            for name in names
        ]
        try:
            for thread in threads:
                thread.start()
            for _ in threads:
                for result in _until_end(results, on_idle or _never):
                    handle(result)
        except BaseException:
            self._stop(threads)
            raise

    def _run(self, name: str, work: Work[T], results: SimpleQueue[Any]) -> None:
        try:
            for result in work(name, self._clients[name]):
                results.put(result)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            results.put(_End(error))
        else:
            results.put(_End(None))

    def _stop(self, threads: Iterable[Thread]) -> None:
        """End the threads: after a moment for answers that are on their way, by closing their clients."""
        self.is_stopped = True
        end = time.monotonic() + GRACE
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        for client in self._clients.values():
            client.close()
