"""The environment of one run of the command line: variables, folder, streams. Tests pass their own."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO, Self, TextIO, cast

from .console import Console, TextStream
from .interruption import Interruption

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._runtime.transport import Transport


class ProcessEnv:
    """Variables, folder and streams of a process; *transport* and *clock* are the real ones where they are None."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        folder: str,
        stdin: BinaryIO,
        console: Console,
        is_asking: bool = False,
        can_page: bool = False,
        transport: Transport | None = None,
        clock: Clock | None = None,
        interruption: Interruption | None = None,
    ) -> None:
        """*is_asking* is whether *stdin* is a terminal, *can_page* whether stdout is a terminal that can show a pager."""
        self.environ, self.folder, self.stdin, self.console = environ, folder, stdin, console
        self.is_asking, self.can_page = is_asking, can_page
        self.transport, self.clock = transport, clock
        self.interruption = interruption or Interruption()
        self.has_result = False  # whether an incomplete result was printed before the error that ended the command

    @classmethod
    def of_process(cls, interruption: Interruption | None = None) -> Self:
        """Return the environment of this process; *interruption* handles its signals.

        From then on text printed to `sys.stdout` and `sys.stderr` is escaped.
        """
        _open_missing()
        out, err = _binary(sys.stdout), _binary(sys.stderr)
        encoding = sys.stdout.encoding if sys.stdout else "utf-8"
        sys.stdout = TextStream(out, encoding=encoding, is_result=True, is_escaped=out.isatty())
        sys.stderr = TextStream(err, encoding=encoding, is_result=False, is_escaped=True)
        stdin = io.BytesIO() if sys.stdin is None else sys.stdin.buffer
        is_dumb = os.environ.get("TERM") == "dumb"
        console = Console(
            out, err, environ=os.environ, encoding=encoding, is_terminal=out.isatty(), is_interactive=err.isatty()
        )
        return cls(
            environ=os.environ,
            folder=_folder(),
            stdin=stdin,
            console=console,
            is_asking=stdin.isatty(),
            can_page=out.isatty() and not is_dumb,
            interruption=interruption,
        )


def can_browse(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser opened here is visible to the person: the one that BROWSER names, else on a desktop, not over SSH."""
    if environ.get("BROWSER"):
        return True
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    return platform in ("darwin", "win32") or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


class ClosedStream(io.RawIOBase):
    """Standard output or standard error of a process that was started without it: whatever is written fails."""

    def writable(self) -> bool:
        """Return True: `write` fails, not the check."""
        return True

    def write(self, data: object) -> int:  # noqa: ARG002 - the base class's signature
        """Raise `OSError`, as the system does for a closed descriptor."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _binary(stream: TextIO | None) -> BinaryIO:
    """Return a stream's binary buffer; Python has None for one that was closed before the process started."""
    return cast("BinaryIO", ClosedStream()) if stream is None else stream.buffer


def _open_missing() -> None:
    """Open the null device for each standard descriptor that is closed, so that no file or socket gets its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted; only the look-up of the checkout needs it
        return os.path.abspath(os.sep)
