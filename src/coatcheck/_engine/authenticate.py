"""Authenticate every request, and send it once more after a 401 if there is another secret.

Invariants:
- A secret read from a file or keyring goes only to the hosts its provider trusts, or to loopback.
- No secret travels without encryption, loopback, Unix sockets and programs of this machine excepted.
- After a 401 the credentials return another secret, once, and the request is sent once more.
"""

from __future__ import annotations

from .. import errors
from .._protocol.effects import Clock, Request, Response, Script, Sender
from .._protocol.hosts import is_loopback
from .._protocol.login_contract import Credentials, Login, Secret
from .._protocol.provider import Provider
from .._protocol.urls import origin_of

ENCRYPTED_SCHEMES = frozenset({"https", "wss"})
# Channels that do not leave this machine.
LOCAL_SCHEMES = frozenset({"unix", "stdio"})


def authenticated(send: Sender, *, provider: Provider, credentials: Credentials, clock: Clock) -> Sender:
    """Return a `Sender` that adds the secret to each request."""
    allowed: set[tuple[str, bool, frozenset[str] | None]] = (
        set()
    )  # origins that were checked: a check parses URLs, once each is enough

    def authorized(request: Request, secret: Secret) -> Request:
        known = (request.origin, secret.is_stored, secret.hosts)
        if known not in allowed:
            require_permitted_host(provider.origins[request.origin], secret, provider.login)
            allowed.add(known)
        return provider.authorize(request, secret, clock.time())

    def sender(request: Request) -> Script[Response]:
        if request.is_public:
            return (yield from send(request))
        secret = yield from credentials.get_secret()
        response = yield from send(authorized(request, secret))
        if response.status == 401 and (other := (yield from credentials.renew_secret(secret))) is not None:
            response = yield from send(authorized(request, other))
        return response

    return sender


def require_permitted_host(base_url: str, secret: Secret, login: Login) -> None:
    """Raise `ConfigurationError` where *secret* must not go to *base_url*."""
    scheme, host, port = origin_of(base_url)
    if scheme in LOCAL_SCHEMES or is_loopback(host):
        return
    if scheme not in ENCRYPTED_SCHEMES:
        encrypted = "a wss" if scheme == "ws" else "an https"
        raise errors.ConfigurationError(
            f"{host} is not used without encryption",
            remedy=f"use {encrypted} base URL; plain {scheme or 'http'} is for loopback",
        )
    trusted = login.trusted_hosts if secret.hosts is None else secret.hosts & login.trusted_hosts
    if secret.is_stored and (host not in trusted or port != 443):
        raise errors.ConfigurationError(
            f"the login from {secret.source} is never sent to {host}",
            remedy=f"pass a token explicitly, or use one of {', '.join(sorted(secret.hosts or login.trusted_hosts)) or 'no host'}",
        )
