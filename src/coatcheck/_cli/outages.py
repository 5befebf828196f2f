"""Report on stderr that a service does not answer.

Invariant: only commands that wait report an outage; others soon end with the error itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._engine.reachability import Outage
    from .console import Console
    from .progress import WaitProgress

# How long an outage lasts before it is reported (seconds); each further report comes after twice that time.
FIRST_REPORT = 5.0


class Outages:
    """Report on stderr that the service does not answer: in the progress line of a wait, else in lines.

    The first line comes after `FIRST_REPORT` seconds, each further one after twice the time.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._next = console, FIRST_REPORT
        self.progress: WaitProgress | None = None  # of the command's wait, while there is one
        self.are_shown = False  # only commands that wait show them; others soon end with the error itself

    def report(self, outage: Outage | None) -> None:
        """Show what a client reports (`on_outage`)."""
        if not self.are_shown:
            return
        if self.progress is not None:
            self.progress.outage = outage
            self.progress.refresh()
        if outage is None:
            self._next = FIRST_REPORT
        elif outage.seconds >= self._next and not self._console.is_interactive:
            self._next = 2 * outage.seconds
            if not self._console.is_quiet:
                self._console.note(f"coatcheck: {outage}, retrying")
