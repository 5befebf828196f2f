"""Decoders are created once, and by one thread at a time."""

from __future__ import annotations

import threading

import msgspec

from coatcheck._values.decoders import decoder


class Evaluations:
    """Counts how many threads evaluate the annotation of a class at once, and how often it is evaluated."""

    def __init__(self) -> None:
        self.running = self.most = self.count = 0
        self.others = threading.Semaphore(0)

    def evaluate(self) -> type[int]:
        """Return the annotation, once the other threads need the decoder too."""
        self.running += 1
        self.count += 1
        self.most = max(self.most, self.running)
        if self.count == 1:
            for _ in range(THREADS - 1):
                self.others.acquire()
        self.running -= 1
        return int


THREADS = 4
EVALUATIONS = Evaluations()


class Slow(msgspec.Struct):
    """A class whose annotation is Python code, as every one is for msgspec."""

    number: EVALUATIONS.evaluate()  # type: ignore[valid-type]


def test_one_thread_at_a_time_creates_a_decoder() -> None:
    """Threads that need the same decoder at once wait for the one that creates it: msgspec crashes otherwise."""
    decoded: list[Slow] = []

    def decode() -> None:
        EVALUATIONS.others.release()
        decoded.append(decoder(Slow).decode(b'{"number": 1}'))

    threads = [threading.Thread(target=decode) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (1, 1, [Slow(number=1)] * THREADS) == (EVALUATIONS.most, EVALUATIONS.count, decoded)
