"""GitHub's login by device code, in memory (docs.github.com, "Authorizing OAuth apps"; RFC 8628).

Invariants:

- errors have status 200; only an unknown app at the start of a login is 404;
- a poll before the interval is over is `slow_down`, and adds five seconds to the interval;
- a device code gives a token once, until it expires; a refresh token is valid once, and its use ends both tokens;
- a response is a form unless the request accepts JSON.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl, urlencode

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ..._protocol.login_contract import DEVICE_GRANT
from ...cloud.oauth_server import new_user_code

CLIENT_ID = "Ov23li" + "0" * 14
# "Device flow": 15 minutes, every five seconds. "Refreshing user access tokens": eight hours, six months.
LIFETIME, INTERVAL, SLOWER = 900, 5, 5
TOKEN_LIFETIME, REFRESH_LIFETIME = 28_800, 15_897_600

START, TOKEN = "/login/device/code", "/login/oauth/access_token"
# Path -> the name that faults use.
ROUTES: Mapping[str, str] = {START: "device_code", TOKEN: "device_token"}

# "Error codes for the device flow"
DESCRIPTIONS: Mapping[str, str] = {
    "authorization_pending": "The authorization request is still pending.",
    "slow_down": "Too many requests have been made in the same timeframe.",
    "expired_token": "The device code has expired.",
    "unsupported_grant_type": "The grant type is not supported.",
    "incorrect_client_credentials": "The client_id and/or client_secret passed are incorrect.",
    "incorrect_device_code": "The device_code provided is not valid.",
    "access_denied": "The authorization request was denied.",
    "device_flow_disabled": "Device Flow must be explicitly enabled for this App",
    "bad_refresh_token": "The refresh token passed is incorrect or expired.",
}


class Device:
    """A pending login. Its ``repr`` shows no code."""

    def __init__(self, client_id: str, scope: str, now: float) -> None:
        self.client_id, self.scope = client_id, scope
        self.code, self.user_code = secrets.token_hex(20), new_user_code()
        self.expires_at, self.interval, self.polled_at = now + LIFETIME, INTERVAL, now
        self.is_approved: bool | None = None


class LoginService:
    """The OAuth apps of a GitHub and their logins.

    *apps* are the known client ids. Without `has_device_flow`, the device flow is disabled; with *expires*, tokens expire
    and have refresh tokens. `approve` and `deny` are the decisions of the user.
    """

    def __init__(self, clock: Clock, *, apps: Iterable[str] = (CLIENT_ID,), expires: bool = False) -> None:
        self.clock, self.apps, self.expires, self.has_device_flow = clock, frozenset(apps), expires, True
        self.user_id = 583231
        self.scopes: list[str] = []
        self._devices: dict[str, Device] = {}
        self._tokens: dict[str, float] = {}  # Token -> its expiry.
        self._refreshes: dict[str, tuple[str, float]] = {}  # Refresh token -> its access token, and its expiry.

    def accepts(self, token: str) -> bool:
        """Whether *token* was issued here and has not expired."""
        return self._tokens.get(token, 0.0) > self.clock.time()

    def revoke(self, token: str) -> None:
        """Revoke the tokens, as the user does on the settings page."""
        self._tokens.pop(token, None)

    def approve(self, user_code: str) -> None:
        """Approve the login with this user code."""
        self._device(user_code).is_approved = True

    def deny(self, user_code: str) -> None:
        """Deny the login with this user code."""
        self._device(user_code).is_approved = False

    def answer(self, request: Request) -> Response:
        """Return the response to a request to one of `ROUTES`."""
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        known = form.get("client_id") in self.apps
        if request.path == START and not known:
            return _reply(request, {"error": "Not Found"}, status=404)
        fields = self._start(form) if request.path == START else self._grant(form, is_known=known)
        return _reply(request, fields)

    # -- responses ----------------------------------------------------------------------------------------------------

    def _start(self, form: Mapping[str, str]) -> dict[str, object]:
        if not self.has_device_flow:
            return _error("device_flow_disabled")
        device = Device(form["client_id"], form.get("scope", ""), self.clock.time())
        self._devices[device.code] = device
        return {
            "device_code": device.code,
            "user_code": device.user_code,
            "verification_uri": "https://github.com/login/device",
            "expires_in": LIFETIME,
            "interval": INTERVAL,
        }

    def _grant(self, form: Mapping[str, str], *, is_known: bool) -> dict[str, object]:
        if not is_known:
            return _error("incorrect_client_credentials")
        grants: Mapping[str, Callable[[Mapping[str, str]], dict[str, object]]] = {
            DEVICE_GRANT: self._poll,
            "refresh_token": self._refresh,
        }
        grant = grants.get(form.get("grant_type", ""))
        return grant(form) if grant else _error("unsupported_grant_type")

    def _poll(self, form: Mapping[str, str]) -> dict[str, object]:
        device, now = self._devices.get(form.get("device_code", "")), self.clock.time()
        if device is None or device.client_id != form["client_id"]:
            return _error("incorrect_device_code")
        if device.expires_at <= now:
            return _error("expired_token")
        is_early, device.polled_at = now - device.polled_at < device.interval, now
        if is_early:
            device.interval += SLOWER
            return {**_error("slow_down"), "interval": device.interval}
        if device.is_approved is None:
            return _error("authorization_pending")
        del self._devices[device.code]
        return self._issue(device.scope) if device.is_approved else _error("access_denied")

    def _refresh(self, form: Mapping[str, str]) -> dict[str, object]:
        token, ends = self._refreshes.pop(form.get("refresh_token", ""), ("", 0.0))
        if ends <= self.clock.time():
            return _error("bad_refresh_token")
        self.revoke(token)
        return self._issue("")

    def _issue(self, scope: str) -> dict[str, object]:
        now, token = self.clock.time(), ("ghu_" if self.expires else "gho_") + secrets.token_hex(18)
        self._tokens[token] = now + TOKEN_LIFETIME if self.expires else float("inf")
        self.scopes.append(scope)
        fields: dict[str, object] = {"access_token": token, "token_type": "bearer", "scope": scope.replace(" ", ",")}
        if not self.expires:
            return fields
        refresh = "ghr_" + secrets.token_hex(38)
        self._refreshes[refresh] = (token, now + REFRESH_LIFETIME)
        lasts = {"expires_in": TOKEN_LIFETIME, "refresh_token_expires_in": REFRESH_LIFETIME}
        return {**fields, **lasts, "refresh_token": refresh}

    def _device(self, user_code: str) -> Device:
        return next(device for device in self._devices.values() if device.user_code == user_code)


def _error(code: str) -> dict[str, object]:
    return {
        "error": code,
        "error_description": DESCRIPTIONS[code],
        "error_uri": "https://docs.github.com/developers/apps/authorizing-oauth-apps#error-codes-for-the-device-flow",
    }


def _reply(request: Request, fields: Mapping[str, object], *, status: int = 200) -> Response:
    if "json" in dict(request.headers).get("accept", ""):
        return Response(status, {"content-type": "application/json; charset=utf-8"}, msgspec.json.encode(fields))
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    return Response(status, {"content-type": kind}, urlencode(fields).encode())
