"""What channels of every kind share: limits, the command of a program, and error messages.

Invariants:

- an error is one line: the address without query and user, and the reason; it contains no message and no header;
- an error of opening has `request_sent` False: a channel that is not open has taken nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence

from .. import errors
from .._protocol.effects import Request
from .._protocol.urls import printable_url
from .network import TransportOptions, failure

# How long an orderly end of a channel may take before it is forced, at each of its steps (seconds): the answer to a
# WebSocket's close frame (RFC 6455, section 7.1.1), the end of a program after the end of its input, and after SIGTERM.
CLOSE_TIMEOUT = 0.3
# How long a message may wait for the other side to take it (seconds).
SEND_TIMEOUT = 60.0
# A ping is sent after this silence, and its pong may take as long (seconds; RFC 6455, section 5.5.2).
PING_INTERVAL = 20.0
# Bytes that are read at once.
CHUNK = 65536
# How much of a program's error output a message quotes (bytes).
MAX_ERROR_OUTPUT = 300


def open_timeout(request: Request, options: TransportOptions) -> float | None:
    """Return the seconds that opening may take."""
    limits = [request.timeout if request.timeout is not None else options.connect_timeout, request.at_most]
    return min((limit for limit in limits if limit is not None), default=None)


def socket_path(request: Request) -> str:
    """Return the path of a Unix socket in a ``unix://`` URL. Raises `ConfigurationError` where there is none."""
    from urllib.parse import unquote  # 2 ms, for sockets alone

    path = unquote(request.url.removeprefix("unix://"))
    if not path.startswith("/") or "\0" in path:
        raise errors.ConfigurationError(
            f"{request.url!r} is not the URL of a socket", remedy="write it as unix:///path/of/socket"
        )
    return path


def resolved_command(command: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return *command* with the path of its program. Raises `ConfigurationError` where it is not installed."""
    program = shutil.which(command[0], path=environ.get("PATH"))
    if program is None:
        raise errors.ConfigurationError(
            f"the program {command[0]!r} is not installed", remedy="install it, or give its path"
        )
    return [program, *command[1:]]


def not_opened(request: Request, reason: str, *, is_timeout: bool = False) -> errors.TransportError:
    """Return the error for a channel that could not be opened."""
    return failure(request, reason, is_sent=False, is_timeout=is_timeout)


# How asyncio writes the errors of several addresses of one host.
_NUMBERED = re.compile(r"\[Errno (\d+)\]")


def not_connected(request: Request, error: OSError) -> errors.TransportError:
    """Return the error for a connection that the system did not make."""
    number = int(match[1]) if (match := _NUMBERED.search(str(error))) else 0
    reason = os.strerror(number) if number else error.strerror or str(error)
    return not_opened(request, reason, is_timeout=isinstance(error, TimeoutError))


def cut(place: str, reason: str = "") -> errors.TransportError:
    """Return the error for a channel that ended early."""
    return errors.TransportError(f"{place}: the connection was closed{f': {reason}' if reason else ''}")


def ended_before(place: str, reason: str = "") -> errors.TransportError:
    """Return the error for a message that was not sent because the channel had ended."""
    words = f"the connection is closed{f': {reason}' if reason else ''}"
    return errors.TransportError(f"{place}: {words}", request_sent=False)


def too_large(place: str, limit: int) -> errors.TransportError:
    """Return the error for a message of more than *limit* bytes."""
    return errors.TransportError(f"{place}: a message is larger than {limit} bytes")


def silent(place: str) -> errors.TransportTimeoutError:
    """Return the error for a message that did not come in time."""
    return errors.TransportTimeoutError(f"{place}: no message in time")


def blocked(place: str) -> errors.TransportTimeoutError:
    """Return the error for a message that the other side did not take in time."""
    return errors.TransportTimeoutError(f"{place}: the message was not taken in time")


def place_of(request: Request) -> str:
    """Return the address of a channel for a message: a program by its command."""
    if request.channel is not None and request.channel.command:
        return " ".join(request.channel.command)[:100]
    return printable_url(request.url)
