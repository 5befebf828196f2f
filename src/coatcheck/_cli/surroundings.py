"""What a run of the command line stands in: environment, folder, streams. A test passes its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO, Self, TextIO, cast

from .interruption import Interruption
from .render import Screen

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._runtime.transport import Transport


class Surroundings:
    """The world as the command line sees it; *transport* and *clock* are the real ones where they are None."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        folder: str,
        stdin: BinaryIO,
        screen: Screen,
        is_asking: bool = False,
        can_page: bool = False,
        transport: Transport | None = None,
        clock: Clock | None = None,
        interruption: Interruption | None = None,
    ) -> None:
        """Keep what is given; *is_asking* says that a person types on *stdin*, *can_page* that one sees our stdout."""
        self.environ, self.folder, self.stdin, self.screen = environ, folder, stdin, screen
        self.is_asking, self.can_page = is_asking, can_page
        self.transport, self.clock = transport, clock
        self.interruption = interruption or Interruption()

    @classmethod
    def of_process(cls, interruption: Interruption | None = None) -> Self:
        """Return what this process stands in; *interruption* handles its signals."""
        out, err = _binary(sys.stdout, "wb"), _binary(sys.stderr, "wb")
        stdin = _binary(sys.stdin, "rb")
        screen = Screen(
            out,
            err,
            environ=os.environ,
            encoding=sys.stdout.encoding if sys.stdout else "utf-8",
            is_terminal=out.isatty(),
            is_interactive=err.isatty(),
        )
        return cls(
            environ=os.environ,
            folder=_folder(),
            stdin=stdin,
            screen=screen,
            is_asking=stdin.isatty(),
            can_page=out.isatty(),
            interruption=interruption,
        )


def _binary(stream: TextIO | None, mode: str) -> BinaryIO:
    """Return the bytes below a stream; Python has None for one that was closed before we began."""
    return cast("BinaryIO", open(os.devnull, mode)) if stream is None else stream.buffer


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed under us; nothing but the checkout look-ups needs it
        return os.path.abspath(os.sep)
