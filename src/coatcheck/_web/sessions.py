"""Sessions of browsers: opened by a link that works once, kept in memory, ended with the process.

Guarantees:

- a token is 256 random bits; only its SHA-256 is kept here;
- the token of a link opens one session, however often it is sent at once;
- at most `MAX_SESSIONS` sessions and `MAX_LINKS` unused links exist; the oldest is removed for a new one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")
MAX_SESSIONS = 64
MAX_LINKS = 16
# So many notices wait for the next page of a session.
MAX_NOTICES = 8
# So many forms that were carried out are remembered.
MAX_FORMS = 500


class Notice(NamedTuple):
    """What an action did, shown once on the next page. `lines` are details."""

    text: str
    lines: tuple[str, ...] = ()
    is_error: bool = False


class Opened(NamedTuple):
    """The cookie of a session that was opened, and the page that its link is of."""

    cookie: str
    path: str


class Session:
    """A browser that has opened a link. `csrf` is the token that each of its changes has."""

    def __init__(self) -> None:
        self.csrf = secrets.token_urlsafe(32)
        self._notices: list[Notice] = []
        self._forms: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def is_csrf(self, token: str) -> bool:
        """Whether *token* is this session's, compared in constant time."""
        return hmac.compare_digest(self.csrf.encode(), token.encode("utf-8", "replace"))

    def notify(self, notice: Notice) -> None:
        """Show *notice* on the next page."""
        with self._lock:
            self._notices = [*self._notices, notice][-MAX_NOTICES:]

    def begin(self, form: str) -> bool:
        """Whether a form with this random name may be carried out: it was not sent before."""
        with self._lock:
            if not form or form in self._forms:
                return False
            while len(self._forms) >= MAX_FORMS:
                del self._forms[next(iter(self._forms))]
            self._forms[form] = None
            return True

    def finish(self, form: str, path: str) -> None:
        """Record the page that has the result of a form."""
        with self._lock:
            self._forms[form] = path

    def release(self, form: str) -> None:
        """Let a form be sent again: it was certainly not carried out."""
        with self._lock:
            self._forms.pop(form, None)

    def result_of(self, form: str) -> str | None:
        """Return the page that has the result of a form, None where there is none yet."""
        with self._lock:
            return self._forms.get(form)

    def take_notices(self) -> Sequence[Notice]:
        """Return the notices that were not shown yet, each once."""
        with self._lock:
            notices, self._notices = self._notices, []
        return notices


class Sessions:
    """The unused links and the open sessions of one server. Thread-safe."""

    def __init__(self) -> None:
        self._links: dict[bytes, str] = {}
        self._sessions: dict[bytes, Session] = {}
        self._lock = threading.Lock()

    def new_link(self, path: str = "/") -> str:
        """Return the token of a link that opens one session, at the page *path*."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            _add(self._links, token, path, MAX_LINKS)
        return token

    def open(self, token: str) -> Opened | None:
        """Open a session; None for a token that is unknown or was used."""
        with self._lock:
            path = self._links.pop(_digest(token), None)
            if path is None:
                return None
            cookie = secrets.token_urlsafe(32)
            _add(self._sessions, cookie, Session(), MAX_SESSIONS)
            return Opened(cookie, path)

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie, None where there is none."""
        with self._lock:
            return self._sessions.get(_digest(cookie))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _add(entries: dict[bytes, T], token: str, value: T, limit: int) -> None:
    while len(entries) >= limit:
        del entries[next(iter(entries))]
    entries[_digest(token)] = value
