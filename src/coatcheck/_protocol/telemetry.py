"""What measures submissions and waits; `_runtime/telemetry.py` is the implementation, for OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef, TaskSpec
    from .effects import Script
    from .intents import Journal

T = TypeVar("T")


class Telemetry(Protocol):
    """Spans round the scripts of submissions and waits. It never fails a script, and never changes what it returns."""

    def traceparent(self) -> str | None:
        """Return the current trace context, as https://www.w3.org/TR/trace-context/ writes it; None without one."""
        ...

    def submission(self, script: Script[Task], spec: TaskSpec) -> Script[Task]:
        """Return *script*, which submits *spec*, in a span."""
        ...

    def wait(
        self,
        script: Script[T],
        refs: Iterable[TaskRef],
        *,
        journal: Callable[[], Journal],
        polls: Callable[[], int] | None = None,
        is_iterated: bool = False,
    ) -> Script[T]:
        """Return *script*, which waits for the tasks *refs*, in a span that is linked to their submissions.

        *journal* opens the journal of these submissions; *polls* counts the polls of one task; the consumer of a script
        that *is_iterated* runs between its steps.
        """
        ...


class NoTelemetry:
    """Measures nothing."""

    def traceparent(self) -> None:
        """Return None."""

    def submission(self, script: Script[Task], spec: TaskSpec) -> Script[Task]:  # noqa: ARG002 - the protocol's signature
        """Return *script*."""
        return script

    def wait(self, script: Script[T], refs: Iterable[TaskRef], **options: object) -> Script[T]:  # noqa: ARG002 - the protocol's signature
        """Return *script*."""
        return script
