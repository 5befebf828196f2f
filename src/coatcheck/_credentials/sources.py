"""Find a login: passed explicitly, in the environment, or in another program's file; the first that is there.

Law 1. Constructors read nothing; the reading is a `Call`, done when the first secret is needed.
Law 2. A secret that has expired is never sent; the error says when it ended and what renews it.
Law 3. After a rejection the file is read again, since its owner may have renewed it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime

from .. import errors
from .._protocol.credentials import Login, LoginFile, Secret
from .._protocol.effects import Call, Clock, Script


class LoginCredentials:
    """The credentials of one login. *explicit* wins over the environment, which wins over the file."""

    def __init__(
        self, login: Login, *, environ: Mapping[str, str], clock: Clock, explicit: Secret | None = None
    ) -> None:
        self._login, self._environ, self._clock = login, environ, clock
        self._explicit = explicit
        self._secret: Secret | None = None

    def get_secret(self) -> Script[Secret]:
        """Return the secret in use; raises `NotLoggedInError` where there is none or it has expired."""
        secret = self._secret
        if secret is None or self._has_expired(secret):
            secret = self._secret = yield from self._load()
        if self._has_expired(secret):
            raise errors.NotLoggedInError(
                f"the login from {secret.source} expired at {_moment(secret.expires_at)}", remedy=self._login.remedy
            )
        return secret

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:
        """Return what the source holds now, None if it is what was rejected."""
        self._secret = None
        secret = yield from self.get_secret()
        return None if secret.token == rejected.token else secret

    def _has_expired(self, secret: Secret) -> bool:
        return secret.expires_at is not None and secret.expires_at <= self._clock.time()

    def _load(self) -> Script[Secret]:
        login = self._login
        if self._explicit is not None:
            return self._explicit
        if (variable := login.environment) and (value := self._environ.get(variable, "").strip()):
            return login.read_environment(value) if login.read_environment else Secret(token=value, source=variable)
        if login.file is None:
            raise errors.NotLoggedInError(remedy=login.remedy)
        file, path = login.file, self.path_of(login.file)
        secret: Secret = yield Call(lambda: self._read(file, path))
        return secret

    def path_of(self, file: LoginFile) -> str:
        """Return where *file* is."""
        home = self._environ.get("HOME") or os.path.expanduser("~")
        folder = self._environ.get(file.home_variable) or file.home.replace("~", home, 1)
        return os.path.join(folder, file.name)

    def _read(self, file: LoginFile, path: str) -> Secret:
        try:
            with open(path, "rb") as stream:
                return file.read(stream.read(), path)
        except FileNotFoundError:
            message = f"not logged in: there is no {path}"
        except OSError as error:
            message = f"the login {path} cannot be read: {error.strerror}"
        raise errors.NotLoggedInError(message, remedy=self._login.remedy)


def _moment(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds or 0, UTC).strftime("%Y-%m-%d %H:%M UTC")
