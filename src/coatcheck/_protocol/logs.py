"""What the library logs, with the standard library's `logging`: requests, polls and refreshes.

Invariants:

- no secret is logged: of a request its method, host, path and the names of its query parameters (values only of those
  in `SHOWN`), never a header or a body; of an error its class;
- requests and refreshes are logged at INFO, polls at DEBUG, to ``coatcheck.http``, ``coatcheck.login`` and
  ``coatcheck.poll``;
- `logging` is not imported here: where no other module of the process has imported it, nobody has configured it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Logger

    from .effects import Request, Response

# As in `logging`.
WARNING, INFO, DEBUG = 30, 20, 10
# Query parameters whose values are logged; others may hold cursors, signatures or keys.
SHOWN = frozenset(
    {"limit", "page", "per_page", "pageSize", "page_size", "filter", "task_filter", "sort", "order", "state", "status"}
)


_LOGGERS: dict[str, Logger] = {}


def log(name: str, level: int, message: str, *arguments: object) -> None:
    """Log *message* to ``coatcheck.NAME``, formatted with *arguments* where a handler reads it."""
    if (logger := _logger(name)) is not None:
        logger.log(level, message, *arguments)


def _logger(name: str) -> Logger | None:
    """Return the logger ``coatcheck.NAME``, None where `logging` is not imported; each is looked up once."""
    if (logger := _LOGGERS.get(name)) is None and (logging := sys.modules.get("logging")) is not None:
        logger = _LOGGERS[name] = logging.getLogger(f"coatcheck.{name}")
    return logger


def log_response(request: Request, response: Response, seconds: float) -> None:
    """Log a request that was answered."""
    if (logger := _logger("http")) is not None and logger.isEnabledFor(INFO):
        milliseconds, size = seconds * 1000, len(response.body)
        logger.log(INFO, "%s %s: %d in %.0f ms, %d bytes", *_words(request), response.status, milliseconds, size)


def log_failure(request: Request, error: BaseException, seconds: float) -> None:
    """Log a request that got no answer."""
    if (logger := _logger("http")) is not None:
        logger.log(INFO, "%s %s: %s after %.0f ms", *_words(request), type(error).__name__, seconds * 1000)


def _words(request: Request) -> tuple[Any, Any]:
    return request.method, _Shown(request)


class _Shown:
    """A request's URL without secrets; it is composed only where it is printed."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    def __str__(self) -> str:
        request = self._request
        url, _, query = (request.url or f"{request.origin}:{request.path}").partition("?")
        scheme, separator, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        url = f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else url
        # A part without a name may itself be a secret.
        given = [part.partition("=")[::2] for part in query.partition("#")[0].split("&") if "=" in part]
        pairs = [f"{name}={value if name in SHOWN else '…'}" for name, value in (*given, *request.query)]
        return f"{url}?{'&'.join(pairs)}" if pairs else url
