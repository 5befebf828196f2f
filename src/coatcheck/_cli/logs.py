"""The log of a command: ``-v``, ``-vv``, ``COATCHECK_LOG`` and ``--log-file``.

Invariants:

- the library logs to loggers named ``coatcheck.…`` (`_protocol.logs`), and to nothing else; no secret is logged;
- on a terminal the lines are printed above the progress line, escaped as every note is;
- a log file is created private (0600) and appended to. One that cannot be opened is an error before any request.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from .. import errors
from .._files.private import create_private_file

if TYPE_CHECKING:
    from .console import Console
    from .process_env import ProcessEnv

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
FORMAT = "%(asctime)s.%(msecs)03d %(name)s %(message)s"
FILE_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)s %(process)d %(name)s %(message)s"


class ConsoleHandler(logging.Handler):
    """Print records on the console's stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        super().__init__()

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record, on one line."""
        self._console.log(" ".join(self.format(record).split("\n")))


def start(process_env: ProcessEnv, verbose: int, path: str | None) -> None:
    """Log from now on, at the level of the options or of ``COATCHECK_LOG``. Raises `ConfigurationError`."""
    level = _level(process_env.environ.get("COATCHECK_LOG"), verbose, has_file=path is not None)
    handler: logging.Handler
    if path is None:
        handler = ConsoleHandler(process_env.console)
        handler.setFormatter(logging.Formatter(FORMAT, "%H:%M:%S"))
    else:
        handler = _file(os.path.join(process_env.folder, os.path.expanduser(path)))
        handler.setFormatter(logging.Formatter(FILE_FORMAT, "%Y-%m-%dT%H:%M:%S"))
    logger = logging.getLogger("coatcheck")
    for each in logger.handlers[:]:  # of an earlier command of this process
        if isinstance(each, ConsoleHandler | logging.FileHandler):
            logger.removeHandler(each)
            each.close()
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.debug("coatcheck %s, Python %s, %s", _version(), sys.version.split()[0], sys.platform)


def _level(setting: str | None, verbose: int, *, has_file: bool) -> int:
    """Return the level: of ``-v`` and ``-vv``, else of the variable; a file alone gets everything."""
    if verbose:
        return logging.INFO if verbose == 1 else logging.DEBUG
    if setting:
        try:
            return LEVELS[setting.lower()]
        except KeyError:
            message = f"COATCHECK_LOG is {setting!r}"
            raise errors.ConfigurationError(message, remedy=f"use one of {', '.join(LEVELS)}") from None
    return logging.DEBUG if has_file else logging.WARNING


def _file(path: str) -> logging.FileHandler:
    try:
        create_private_file(path)
        return logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise errors.ConfigurationError(
            f"the log file {path} cannot be written: {error.strerror}", remedy="name another file with --log-file"
        ) from None


def _version() -> str:
    from .._version import __version__

    return __version__
