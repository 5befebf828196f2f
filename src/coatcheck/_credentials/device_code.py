"""Login by device code (RFC 8628): this machine shows a code, a person approves it on another. All of it is exchanges.

Invariants:

- the names that a service uses are data (`DeviceRoutes`); the steps are the same for all of them;
- requests are never closer together than the service's interval, and ``slow_down`` lengthens it;
- the device code is in no ``repr`` and in no error: with it anyone could complete the login.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from .. import errors
from .._protocol.decode import decode
from .._protocol.effects import Exchange, Response
from .._protocol.json_text import clean_json
from .._protocol.lenient import number, text
from .._protocol.login_contract import DEVICE_GRANT, DeviceRoutes, OAuth, Tokens
from .._values.value import Value
from .oauth_requests import Code, Endpoints, code_of, read_answer, sent

# RFC 8628 3.2: the default interval; 3.5: by how much ``slow_down`` lengthens it (seconds).
INTERVAL, SLOWER = 5.0, 5.0
# Never so often that it floods, nor so seldom that a person who has approved sits and waits (seconds).
SHORTEST, LONGEST = 1.0, 60.0
# The default lifetime of a device code (docs/reference/protocols/codex-wham.md, 6.9), and at
# most (seconds).
LIFETIME = 900.0
SLOW_DOWN = "slow_down"


class DeviceCode(Value, frozen=True, kw_only=True):
    """A login that waits for a person: open `url`, type `user_code`.

    `interval` is the time between two polls, `expires_in` the lifetime of the code (seconds).
    """

    _hidden: ClassVar[frozenset[str]] = frozenset({"id", "user_code"})

    id: str
    user_code: str
    url: str
    interval: float
    expires_in: float = LIFETIME


class _DeviceGrant(msgspec.Struct):
    authorization_code: str
    code_verifier: str


def require_device(oauth: OAuth, at: Endpoints) -> DeviceRoutes:
    """Return the routes of the device-code login, and its client id.

    Raises `UnsupportedError` where it has no device codes, `ConfigurationError` where no app is named.
    """
    if oauth.device is None:
        raise errors.UnsupportedError("this service has no login by device code", remedy="log in with --browser")
    if not at.client_id:
        raise errors.ConfigurationError(
            "a login by device code needs the client id of an OAuth app with device flow enabled",
            remedy=oauth.client_remedy,
        )
    return oauth.device


def start_device(oauth: OAuth, at: Endpoints) -> Exchange[DeviceCode]:
    """Begin a login by device code. Raises `UnsupportedError` with the remedy where the service refuses."""
    routes = require_device(oauth, at)
    known = {"client_id": at.client_id, "scope": " ".join(oauth.scopes)}
    fields = {name: known[name] for name in routes.start_fields}
    response = yield sent(at.issuer + routes.start, fields, is_json=routes.is_json)
    if why := _refusal(routes, response):
        raise errors.UnsupportedError(why[0], remedy=why[1])
    answer = read_answer(response)
    return DeviceCode(
        id=_needed(answer, routes.id),
        user_code=_needed(answer, "user_code"),
        url=at.issuer + routes.page if routes.page else _needed(answer, "verification_uri"),
        interval=min(LONGEST, max(SHORTEST, _seconds(answer, "interval", INTERVAL))),
        expires_in=min(LIFETIME, _seconds(answer, "expires_in", LIFETIME)),
    )


def poll_device(oauth: OAuth, at: Endpoints, device: DeviceCode, *, now: float) -> Exchange[Code | Tokens | DeviceCode]:
    """Poll once: return the tokens, or the device to poll again while the approval is pending.

    Raises `CredentialsError` once it can no longer be approved.
    """
    routes = require_device(oauth, at)
    known = {
        "client_id": at.client_id,
        routes.id: device.id,
        "user_code": device.user_code,
        "grant_type": DEVICE_GRANT,
        "scope": " ".join(oauth.scopes),
    }
    fields = {name: known[name] for name in routes.poll_fields}
    response = yield sent(at.issuer + routes.poll, fields, is_json=routes.is_json)
    if not routes.waiting.isdisjoint(_words(response)):
        return _slower(device, response) if code_of(response) == SLOW_DOWN else device
    if why := _refusal(routes, response):
        raise errors.CredentialsError(why[0], remedy=why[1])
    return _granted(oauth, at, response, now)


def _granted(oauth: OAuth, at: Endpoints, response: Response, now: float) -> Code | Tokens:
    routes = require_device(oauth, at)
    if routes.redirect is None:
        return at.given(oauth.read(read_answer(response), None, now))
    grant = decode(msgspec.structs.replace(response, body=clean_json(response.body)), _DeviceGrant)
    return Code(grant.authorization_code, grant.code_verifier, at.issuer + routes.redirect)


def _slower(device: DeviceCode, response: Response) -> DeviceCode:
    """Return *device* with the interval that the service sent, which is never shorter than before (3.5)."""
    longer = device.interval + SLOWER
    requested = _seconds(_fields(response), "interval", longer)
    return msgspec.structs.replace(device, interval=max(longer, min(requested, LONGEST)))


def _fields(response: Response) -> Mapping[str, object]:
    """Return the fields of an answer whose code was read."""
    return msgspec.json.decode(clean_json(response.body), type=dict[str, Any])


def _words(response: Response) -> tuple[str, ...]:
    """Return the keys of a response in tables: its code, and its status where that is an error."""
    status = (str(response.status),) if response.status >= 300 else ()
    return (code_of(response), *status)


def _refusal(routes: DeviceRoutes, response: Response) -> tuple[str, str] | None:
    return next((routes.refusals[word] for word in _words(response) if word in routes.refusals), None)


def _seconds(answer: Mapping[str, object], name: str, default: float) -> float:
    """Return a time, which some services send as a text; *default* where it is neither."""
    found = number(answer.get(name))
    return default if found is None else found


def _needed(answer: Mapping[str, object], name: str) -> str:
    found = text(answer.get(name))
    if found is None:
        raise errors.UnreadableResponseError(f"the login service sent no {name}", path=f"$.{name}")
    return found
