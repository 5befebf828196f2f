"""The login service: refresh, authorization code with PKCE, device code, revoke.

See docs/reference/protocols/codex-wham.md, 6.4, 6.9.

Every user of a machine can reach a port on loopback, so a login is approved with the *key* that the server printed
when it started. Without a key (in tests) every login is approved at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from .._protocol.effects import Request, Response
from .._values.value import Value
from .issued_tokens import RefusedTokenError, TokenBook, TokenSet
from .responses import Refusal, decode, html_reply, json_reply, oauth_error

Form: TypeAlias = Mapping[str, str]

# How long a device code or an authorization code may be used (docs/reference/protocols/codex-wham.md, 6.9: 15 minutes).
CODE_LIFETIME = 900.0
# More logins than this are never open at once; a flood of them must not fill the memory.
MAX_OPEN = 100
# The key has 32 bits: at 20 guesses a minute (seconds) half of them take two hundred years.
MAX_GUESSES, GUESS_WINDOW = 20, 60.0


class _Grant(Value, frozen=True, kw_only=True):
    _hidden: ClassVar[frozenset[str]] = frozenset({"code", "challenge"})

    code: str
    challenge: str
    redirect_uri: str | None
    expires_at: float


class _Device(Value, frozen=True, kw_only=True):
    _hidden: ClassVar[frozenset[str]] = frozenset({"user_code", "verifier"})

    user_code: str
    expires_at: float
    verifier: str
    is_approved: bool = False


class OAuthServer:
    """The routes of a login service, over a `TokenBook`."""

    def __init__(
        self, book: TokenBook, *, time: Callable[[], float], key: str | None = None, interval: int = 5
    ) -> None:
        self._book = book
        self._time = time
        self._key = key
        self._interval = interval
        self._grants: dict[str, _Grant] = {}
        self._devices: dict[str, _Device] = {}
        self._guesses: list[float] = []
        self._lock = threading.RLock()

    def token(self, request: Request) -> Response:
        """Trade a refresh token or an authorization code for tokens."""
        form = read_form(request)
        grants: Mapping[str, Callable[[Form], Response]] = {
            "refresh_token": self._refresh,
            "authorization_code": self._redeem,
        }
        trade = grants.get(form.get("grant_type", ""))
        return (
            trade(form)
            if trade
            else oauth_error("unsupported_grant_type", "grant_type must be refresh_token or authorization_code")
        )

    def _refresh(self, form: Form) -> Response:
        try:
            return _tokens(self._book.rotate(form.get("refresh_token", "")))
        except RefusedTokenError as error:
            return oauth_error(
                error.code, "Your refresh token is no longer valid. Please try signing in again.", status=401
            )

    def _redeem(self, form: Form) -> Response:
        with self._lock:
            grant = self._grants.pop(form.get("code", ""), None)
        if (
            grant is None
            or grant.expires_at < self._time()
            or grant.challenge != challenge_of(form.get("code_verifier", ""))
        ):
            return oauth_error("invalid_grant", "The code is unknown, used, expired or not yours.")
        if grant.redirect_uri not in (None, form.get("redirect_uri")):
            return oauth_error("invalid_grant", "redirect_uri is not the one of the authorization.")
        return _tokens(self._book.issue())

    def revoke(self, request: Request) -> Response:
        """End a token; an unknown one is answered the same way."""
        self._book.end(read_form(request).get("token", ""))
        return json_reply({})

    def start_device(self, request: Request) -> Response:
        """Open a device login; `interval` is a string because clients demand one.

        See docs/reference/protocols/codex-wham.md, 6.9.
        """
        if not read_form(request).get("client_id"):
            return oauth_error("invalid_request", "client_id is missing")
        id, user_code = f"deviceauth_{secrets.token_hex(16)}", new_user_code()
        device = _Device(
            user_code=user_code, expires_at=self._time() + CODE_LIFETIME, verifier=secrets.token_urlsafe(48)
        )
        with self._lock:
            self._forget_expired()
            self._devices[id] = device
        return json_reply({"device_auth_id": id, "user_code": user_code, "interval": str(self._interval)})

    def poll_device(self, request: Request) -> Response:
        """Answer 403 until the login is approved, then an authorization code."""
        form = read_form(request)
        with self._lock:
            device = self._devices.get(form.get("device_auth_id", ""))
            if device is None or device.user_code != form.get("user_code") or device.expires_at < self._time():
                return oauth_error("deviceauth_unknown", "The device login is unknown or expired.", status=404)
            if not device.is_approved:
                return oauth_error("deviceauth_authorization_unknown", "The login is not approved yet.", status=403)
            del self._devices[form["device_auth_id"]]
        challenge = challenge_of(device.verifier)
        code = self._grant(challenge, redirect_uri=None)
        return json_reply({"authorization_code": code, "code_challenge": challenge, "code_verifier": device.verifier})

    def show_device_form(self) -> Response:
        """Show the page where a person types the code."""
        return html_reply("Log in to the local cloud", self._form("/codex/device", {}, has_code_field=True))

    def approve_device(self, request: Request) -> Response:
        """Approve the device login whose code was typed."""
        form = read_form(request)
        if not self._is_key(form):
            return html_reply(
                "Not approved", "<p>The approval key is not the one that the server shows.</p>", status=403
            )
        return self.approve(form.get("user_code", ""))

    def approve(self, user_code: str) -> Response:
        """Approve a device login by its code."""
        with self._lock:
            for id, device in self._devices.items():
                if (
                    hmac.compare_digest(device.user_code.encode(), user_code.strip().upper().encode())
                    and device.expires_at >= self._time()
                ):
                    self._devices[id] = msgspec.structs.replace(device, is_approved=True)
                    return html_reply("Approved", "<p>You can go back to your terminal.</p>")
        return html_reply("Not approved", "<p>No login waits for this code.</p>", status=400)

    def authorize(self, request: Request) -> Response:
        """Begin a browser login: redirect with a code, or show a page with a field for the approval key."""
        asked = dict(request.query)
        if problem := _problem_with(asked):
            return html_reply("Not possible", f"<p>{html.escape(problem)}</p>", status=400)
        if self._key is not None:
            return html_reply("Log in to the local cloud", self._form("/oauth/authorize", asked, has_code_field=False))
        return self._redirect(asked)

    def approve_authorization(self, request: Request) -> Response:
        """Go back to the program that asked, with a code."""
        form = read_form(request)
        if problem := _problem_with(form):
            return html_reply("Not possible", f"<p>{html.escape(problem)}</p>", status=400)
        if not self._is_key(form):
            return html_reply(
                "Not approved", "<p>The approval key is not the one that the server shows.</p>", status=403
            )
        return self._redirect(form)

    def _redirect(self, asked: Form) -> Response:
        code = self._grant(asked["code_challenge"], redirect_uri=asked["redirect_uri"])
        query = urlencode({"code": code, "state": asked.get("state", ""), "scope": asked.get("scope", "")})
        return Response(status=302, headers={"location": f"{asked['redirect_uri']}?{query}"})

    def _grant(self, challenge: str, *, redirect_uri: str | None) -> str:
        code = f"ac_{secrets.token_urlsafe(24)}"
        with self._lock:
            self._forget_expired()
            self._grants[code] = _Grant(
                code=code, challenge=challenge, redirect_uri=redirect_uri, expires_at=self._time() + CODE_LIFETIME
            )
        return code

    def _forget_expired(self) -> None:
        now = self._time()
        for table in (self._grants, self._devices):
            for name in [name for name, entry in table.items() if entry.expires_at < now]:
                del table[name]
            while len(table) >= MAX_OPEN:
                del table[next(iter(table))]

    def _is_key(self, form: Form) -> bool:
        return self.is_key(form.get("key", ""))

    def is_key(self, given: str) -> bool:
        """Whether *given* is the approval key. After `MAX_GUESSES` wrong ones in a minute every answer is no."""
        if self._key is None:
            return True
        with self._lock:
            now = self._time()
            self._guesses = [at for at in self._guesses if 0 <= now - at < GUESS_WINDOW]
            if len(self._guesses) >= MAX_GUESSES:
                return False
            is_right = hmac.compare_digest(given.strip().encode(), self._key.encode())
            if not is_right:
                self._guesses.append(now)
            return is_right

    def _form(self, action: str, kept: Form, *, has_code_field: bool) -> str:
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in kept.items()
        )
        code = '<p><label>Code <input name="user_code" required autofocus></label></p>' if has_code_field else ""
        key = (
            ""
            if self._key is None
            else '<p><label>Approval key, as the server shows it <input name="key" required></label></p>'
        )
        return f'<form method="post" action="{action}">{hidden}{code}{key}<button>Approve</button></form>'


def _problem_with(asked: Form) -> str | None:
    if (
        asked.get("response_type") != "code"
        or asked.get("code_challenge_method") != "S256"
        or not asked.get("code_challenge")
    ):
        return "Only response_type=code with code_challenge_method=S256 is supported."
    address = asked.get("redirect_uri", "")
    if not address.isascii() or not address.isprintable() or " " in address:  # it becomes a response header
        return "redirect_uri is not a URL."
    try:
        target = urlsplit(address)
    except ValueError:
        return "redirect_uri is not a URL."
    is_loopback = target.scheme == "http" and target.hostname in ("127.0.0.1", "localhost", "::1")
    return None if is_loopback else "redirect_uri must be http on loopback."


def _tokens(tokens: TokenSet) -> Response:
    return json_reply(
        {"id_token": tokens.id_token, "access_token": tokens.access_token, "refresh_token": tokens.refresh_token}
    )


def read_form(request: Request) -> Form:
    """Return the fields of a JSON object or of a form; raises `Refusal` for anything else."""
    if "json" not in dict(request.headers).get("content-type", ""):
        return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        fields = decode(request.body, dict[str, object])
    except ValueError:
        raise Refusal(oauth_error("invalid_request", "The body is not a JSON object.")) from None
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


# No letter that looks like a digit (RFC 8628 section 6.1).
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


def new_user_code() -> str:
    """Return a code that a person can type: 20^8 of them (RFC 8628 section 6.1)."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"
