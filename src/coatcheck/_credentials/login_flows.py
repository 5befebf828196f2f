"""Log in by device code or in the browser with PKCE, and log out.

Invariants:

- a login of ours has separate tokens: it never ends another program's login, and we never revoke one;
- the authorization code is received on loopback only, with the state that we sent.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlencode

from .. import errors
from .._protocol.effects import Call, Script, Sleep
from .._protocol.login_contract import OAuth, Tokens
from . import device_code as devices, oauth_requests as service
from .device_code import DeviceCode
from .login_sources import LoginCredentials, Source
from .login_status import LoginStatus, status_of
from .oauth_requests import Code
from .stored_credentials import StoredCredentials

# How long we wait for a browser: as long as device codes are good (docs/reference/protocols/codex-wham.md, 6.9)
# (seconds).
LOGIN_TIMEOUT = 900.0
# How long one wait for the loopback server takes at most, so that a wait can be given up (seconds).
WAIT_STEP = 0.25


class Callback(Protocol):
    """A server on loopback that waits for the redirect of the browser."""

    @property
    def redirect(self) -> str:
        """Where the browser is sent."""
        ...

    def wait(self, seconds: float) -> str | None:
        """Return the code that arrived, None before that. Raises `CredentialsError` for a refusal."""
        ...

    def close(self) -> None:
        """Wait no more."""
        ...


# path, ports to try in order, the expected state -> a server
Listen = Callable[[str, tuple[int, ...], str], Callback]


def log_in_by_device_code(login: LoginCredentials, *, show: Callable[[DeviceCode], object]) -> Script[LoginStatus]:
    """Log in from a machine without a browser: *show* is called with the address and the code for the user.

    Raises `CredentialsError` when the code is not approved while it is valid (15 minutes) or is denied,
    `UnsupportedError` where there is no such login, `ConfigurationError` where it lacks a client id.
    """
    oauth = oauth_of(login)
    at = login.endpoints(oauth)
    devices.require_device(oauth, at)
    yield from login.stored(Source.OWN).require_writable()
    device = yield from devices.start_device(oauth, at)
    show(device)
    granted = yield from _approved(login, oauth, at, device)
    return (yield from _finish(login, oauth, at, granted))


def _approved(
    login: LoginCredentials, oauth: OAuth, at: service.Endpoints, device: DeviceCode
) -> Script[Code | Tokens]:
    deadline = login.clock.monotonic() + device.expires_in
    while login.clock.monotonic() < deadline:
        yield Sleep(device.interval)
        try:
            answer = yield from devices.poll_device(oauth, at, device, now=login.clock.time())
        except (errors.TransportError, errors.RateLimitError, errors.ProviderUnavailableError):
            continue  # a person takes minutes, a network error seconds
        if not isinstance(answer, DeviceCode):
            return answer
        device = answer
    minutes = f"{device.expires_in / 60:.0f} minutes"
    raise errors.CredentialsError(f"nobody approved the login within {minutes}", remedy="try again")


def log_in_by_browser(
    login: LoginCredentials,
    *,
    open_browser: Callable[[str], object],
    listen: Listen,
    new_secret: Callable[[], str],
) -> Script[LoginStatus]:
    """Log in with the browser of this machine: *open_browser* is given the URL (PKCE, RFC 7636 and RFC 8252)."""
    oauth = oauth_of(login)
    if oauth.authorize is None:
        message = f"{login.login.name} has no login by browser"
        raise errors.UnsupportedError(message, remedy="log in with --device-code")
    at = login.endpoints(oauth)
    yield from login.stored(Source.OWN).require_writable()
    state, verifier = new_secret(), new_secret()
    callback: Callback = yield Call(lambda: listen(oauth.callback, oauth.ports, state))
    try:
        open_browser(
            authorize_url(oauth, at, redirect=callback.redirect, state=state, challenge=challenge_of(verifier))
        )
        code = yield from _returned(login, callback)
    finally:
        callback.close()
    return (yield from _finish(login, oauth, at, Code(code, verifier, callback.redirect)))


def _returned(login: LoginCredentials, callback: Callback) -> Script[str]:
    deadline = login.clock.monotonic() + LOGIN_TIMEOUT
    while login.clock.monotonic() < deadline:
        code: str | None = yield Call(lambda: callback.wait(WAIT_STEP))
        if code is not None:
            return code
        yield Sleep(0.0)
    raise errors.CredentialsError("nobody came back from the browser within 15 minutes", remedy="try again")


def _finish(
    login: LoginCredentials, oauth: OAuth, at: service.Endpoints, granted: Code | Tokens
) -> Script[LoginStatus]:
    tokens = granted
    if isinstance(tokens, Code):
        tokens = yield from service.redeem(oauth, at, tokens, now=login.clock.time())
    tokens = yield from login.name_owner(tokens)
    yield from login.store_tokens(tokens, source=Source.OWN)
    return (yield from status_of(login))


def log_out(login: LoginCredentials) -> Script[bool]:
    """End a login of ours: revoke it at the service, then delete it. Returns whether the service revoked it.

    Raises `UnsupportedError` for a login that another program keeps, `NotLoggedInError` where there is none.
    """
    if login.choice.source not in (Source.AUTO, Source.OWN):
        owner = login.login.file.owner if login.login.file else "another program"
        raise errors.UnsupportedError(
            f"the {login.choice.source.value} login belongs to {owner}", remedy=f"log out with {owner}"
        )
    oauth, own = oauth_of(login), login.stored(Source.OWN)
    data: bytes | None = yield Call(own.place.store.read)
    if data is None:
        raise errors.NotLoggedInError(
            f"nothing was logged out: coatcheck has no login at {own.place.store.where}",
            remedy="see which login is used with: coatcheck auth",
        )
    is_revoked = yield from _revoked(login, oauth, own)
    yield from own.forget()
    return is_revoked


def _revoked(login: LoginCredentials, oauth: OAuth, own: StoredCredentials) -> Script[bool]:
    try:
        tokens = yield from own.read()
        return (yield from service.revoke(login.endpoints(oauth, tokens), tokens))
    except errors.CoatcheckError:  # best effort: what cannot be read or reached is deleted all the same
        return False


def has_browser(login: LoginCredentials) -> bool:
    """Whether the service has a login by browser; one without any login raises."""
    oauth = login.login.oauth
    return oauth is None or oauth.authorize is not None


def revocation_page(login: LoginCredentials) -> str | None:
    """Return the page on which a person ends a login of ours, where the service has no other way."""
    oauth = login.login.oauth
    return f"{login.endpoints(oauth).issuer}{oauth.revoke_page}" if oauth and oauth.revoke_page else None


def oauth_of(login: LoginCredentials) -> OAuth:
    """Return the login service; raises `UnsupportedError` where a provider has none."""
    if login.login.oauth is None:
        raise errors.UnsupportedError(f"{login.login.name} has no login command", remedy=login.login.remedy)
    return login.login.oauth


def authorize_url(oauth: OAuth, at: service.Endpoints, *, redirect: str, state: str, challenge: str) -> str:
    """Return the page on which a person approves (6.9)."""
    query = (
        ("response_type", "code"),
        ("client_id", at.client_id or ""),
        ("redirect_uri", redirect),
        ("scope", " ".join(oauth.scopes)),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
        *oauth.parameters,
        ("state", state),
    )
    return f"{at.issuer}{oauth.authorize}?{urlencode(query)}"


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
