"""The address of an agent, the settings of its user, and the login.

See docs/reference/providers/a2a.md, "Settings".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ...provider import Login, ProviderSetting, TaskRef, base_url, encoded, errors, origin_of

if TYPE_CHECKING:
    from ...provider import Settings

NAME = "a2a"
HTTP_JSON, JSON_RPC = "HTTP+JSON", "JSONRPC"
# The setting `binding`: the words of an agent card (A2A 1.0, section 5.1), and "auto".
BINDINGS: Mapping[str, str | None] = {"auto": None, "http+json": HTTP_JSON, "jsonrpc": JSON_RPC}

BASE_URL = ProviderSetting("base_url", "where the agent is, with its card at /.well-known/agent-card.json")
BINDING = ProviderSetting(
    "binding",
    "auto: the first usable interface of the card; http+json or jsonrpc: base_url is the URL of that interface, and no card is requested",
    "auto",
    choices=tuple(BINDINGS),
)
AUTH = ProviderSetting(
    "auth", "how the token is sent: bearer, the name of a header, or none: there is no token", "bearer"
)
CONTEXT = ProviderSetting(
    "context",
    "who names the context of a task: client, or agent where it accepts no other",
    "client",
    choices=("client", "agent"),
)

PUSH_URL = ProviderSetting(
    "push_url",
    "where the agent sends push notifications: the public address of hooks serve, with /a2a at the end",
)
# The secret of deliveries, as `hooks serve` reads it as well; never a setting, which `config` would print.
PUSH_SECRET = "COATCHECK_HOOK_SECRET_A2A"  # noqa: S105 - the name of the variable

LOGIN = Login(
    name=NAME,
    remedy="set A2A_TOKEN; for an agent without a login: coatcheck config set a2a.auth none",
    environment="A2A_TOKEN",
)

# RFC 9110, section 5.1: a field name is a token.
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Push(msgspec.Struct, frozen=True):
    """Where an agent sends push notifications, and the secret with which it does; ``repr`` does not show that."""

    url: str
    secret: str | None

    def __repr__(self) -> str:
        return f"Push({self.url!r})"

    @property
    def required_secret(self) -> str:
        """Return the secret; raises `ConfigurationError` where none is set."""
        if self.secret is None:
            raise errors.ConfigurationError(
                f"{NAME}.push_url is set, and the secret of push notifications is not",
                remedy=f"set {PUSH_SECRET} here and for `coatcheck hooks serve` to the same random text",
            )
        return self.secret


class Service(msgspec.Struct, frozen=True):
    """One agent with the settings of its user. *header* is where the token is sent; "" is nowhere."""

    base_url: str | None = None
    binding: str | None = None
    header: str = "authorization"
    has_own_context: bool = True
    push: Push | None = None

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for a value that is not accepted."""
        url, binding = BASE_URL.read(settings), BINDINGS[BINDING.choose(settings, of=NAME) or ""]
        return cls(
            base_url(url, of=NAME) if url else None,
            binding,
            _header(AUTH.read(settings) or ""),
            CONTEXT.choose(settings, of=NAME) == "client",
            _push(settings, has_card=binding is None),
        )

    @property
    def origin(self) -> str:
        """Return the scheme and authority of the base URL: the only origin that is ever requested."""
        scheme, separator, rest = self.required_url.partition("://")
        return f"{scheme}{separator}{rest.partition('/')[0]}"

    @property
    def path(self) -> str:
        """Return the path of the base URL, without a trailing slash."""
        return self.required_url.removeprefix(self.origin)

    @property
    def required_url(self) -> str:
        """Return the base URL; raises `ConfigurationError` where none is set."""
        if self.base_url is None:
            raise errors.ConfigurationError(
                "no A2A agent is configured", remedy="name it with: coatcheck config set a2a.base_url https://HOST"
            )
        return self.base_url

    def is_own(self, url: str) -> bool:
        """Whether *url* has the origin of the base URL."""
        try:
            return origin_of(url) == origin_of(self.required_url)
        except ValueError:  # a port or an IPv6 address that is none
            return False

    def ref(self, id: str) -> TaskRef:
        """Return the ref of the task *id*, encoded so that any id is one."""
        return TaskRef(NAME, encoded(id))


def native_id(ref: TaskRef) -> str:
    """Return the agent's id of a task."""
    if "%" not in ref.id:
        return ref.id
    from urllib.parse import unquote  # ids that need it are rare

    return unquote(ref.id)


def _push(settings: Settings, *, has_card: bool) -> Push | None:
    """Return where deliveries go, None where the user wants none."""
    url = PUSH_URL.read(settings)
    if not url:
        return None
    if not has_card:
        raise errors.ConfigurationError(
            f"{NAME}.push_url needs the agent's card, which {NAME}.{BINDING.name} leaves out",
            remedy=f"remove one of them: coatcheck config unset {NAME}.push_url",
        )
    secret = next(iter((settings.get("push_secret", variable=PUSH_SECRET) or "").split()), None)
    return Push(base_url(url, of=f"{NAME}.push_url"), secret)


def _header(auth: str) -> str:
    name = auth.strip().lower()
    if name in ("bearer", "none"):
        return "authorization" if name == "bearer" else ""
    if not _HEADER.fullmatch(name):
        raise errors.ConfigurationError(
            f"{NAME}.auth cannot be {auth!r}", remedy="use bearer, none, or the name of a header such as x-api-key"
        )
    return name
