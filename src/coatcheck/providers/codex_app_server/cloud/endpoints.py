"""The addresses of the service, and the login that is sent to it.

Invariants:

- the token goes to `CLOUD_HOST` alone, and to loopback in tests: another base URL is refused before anything is read;
- in a handshake the token is in a subprotocol and in no header, as the service takes it.

See docs/reference/protocols/codex-app-server.md, "9 Codex Cloud threads".
"""

from __future__ import annotations

import re

import msgspec

from ....provider import Login, Open, Request, Secret, Settings, errors, is_loopback, origin_of
from ..._chatgpt.credentials import LOGIN as CHATGPT_LOGIN
from ..endpoints import BACKEND, BASE_URL, CLOUD_HOST, NAME

BACKEND_NAME = f"{NAME}.{BACKEND.name}"
SUBPROTOCOL = "codex-app-server"
CLIENT = "codex-client.coatcheck"
TOKEN_PREFIX = "openai-bearer."  # noqa: S105 - what stands before a token
PRODUCT = "codex"
# What a subprotocol may consist of (RFC 6455, section 4.1; RFC 9110, section 5.6.2, "token").
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

LOGIN: Login = msgspec.structs.replace(
    CHATGPT_LOGIN,
    name=NAME,
    family=CHATGPT_LOGIN.name,
    trusted_hosts=frozenset({CLOUD_HOST}),
)


class CloudService(msgspec.Struct, frozen=True):
    """The service at a WebSocket address and an HTTPS address."""

    socket_url: str = f"wss://{CLOUD_HOST}"
    https_url: str = f"https://{CLOUD_HOST}"

    @classmethod
    def of(cls, settings: Settings) -> CloudService:
        """Return the service of *settings*. Raises `ConfigurationError` for a base URL of another host."""
        given = BASE_URL.read(settings)
        return cls() if given is None else cls.at(given)

    @classmethod
    def at(cls, url: str) -> CloudService:
        """Return the service at *url*. Raises `ConfigurationError` where it is neither the service nor loopback."""
        rest = re.fullmatch(r"(?:ws|http)(s?://[^/?#@\s]+)/?", url.strip(), re.IGNORECASE)
        host = _host_of(f"http{rest[1]}") if rest else ""
        if rest is None or not (is_loopback(host) or (host == CLOUD_HOST and rest[1] == f"s://{CLOUD_HOST}")):
            raise errors.ConfigurationError(
                f"{NAME}.base_url is not the address of Codex Cloud, and the login goes nowhere else",
                remedy=f"leave {NAME}.base_url out, or set {BACKEND_NAME} to host for a host of yours",
            )
        return cls(f"ws{rest[1]}", f"http{rest[1]}")

    def open(self) -> Open:
        """Return the effect that opens a WebSocket."""
        return Open(path="/", subprotocols=(SUBPROTOCOL, CLIENT), origin="socket")


def _host_of(url: str) -> str:
    try:
        return origin_of(url)[1]
    except ValueError:  # a port above 65,535
        return ""


def authorized(request: Request, secret: Secret) -> Request:
    """Return *request* with the token. Raises `NotLoggedInError` for one that no subprotocol can hold."""
    account = (("chatgpt-account-id", secret.account_id),) if secret.account_id else ()
    if request.channel is None:
        return request.with_headers(("authorization", f"Bearer {secret.token}"), *account)
    if not _TOKEN.fullmatch(secret.token):
        raise errors.NotLoggedInError(
            f"the token from {secret.source} cannot be sent in a WebSocket handshake", remedy=LOGIN.remedy
        )
    channel = request.channel.with_subprotocols(f"{TOKEN_PREFIX}{secret.token}")
    headed = request.with_headers(*account, ("x-openai-product-sku", PRODUCT))
    return msgspec.structs.replace(headed, channel=channel)
