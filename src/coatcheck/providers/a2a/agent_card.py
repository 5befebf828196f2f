"""Choose the interface of an agent from its card (A2A 1.0, section 8).

Invariants:

- the first interface of the card that is known here is taken: the card has the agent's order of preference;
- an interface at another origin than the configured one is refused: a card must not direct the token elsewhere.
"""

from __future__ import annotations

from ...provider import errors, scrub
from . import wire
from .bindings import Interface
from .service import HTTP_JSON, JSON_RPC, Service

CARD_PATH = "/.well-known/agent-card.json"
KNOWN = frozenset({HTTP_JSON, JSON_RPC})


def choose_interface(card: wire.AgentCard, service: Service) -> Interface:
    """Return the interface to call. Raises `UnsupportedError` where none is usable, `ConfigurationError` for its address."""
    offered = card.supported_interfaces or []
    usable = [each for each in offered if each.protocol_binding in KNOWN and _is_version_1(each)]
    if not usable:
        raise errors.UnsupportedError(
            f"the agent at {service.base_url} offers no interface of A2A 1.0 over HTTP, but {_list_of(offered)}",
            remedy="use an agent with A2A 1.0 and the binding HTTP+JSON or JSONRPC",
        )
    own = next((each for each in usable if each.url and service.is_own(each.url)), None)
    if own is None:
        raise errors.ConfigurationError(
            f"the card of the agent names the address {_shown(usable[0].url)}, which is not at {service.origin}",
            remedy=f"set a2a.base_url to that URL and a2a.binding to {(usable[0].protocol_binding or '').lower()}, if it is right",
        )
    capabilities = card.capabilities or wire.AgentCapabilities()
    return Interface(
        own.protocol_binding or "",
        _path(own.url or ""),
        own.tenant or "",
        is_streaming=bool(capabilities.streaming),
        has_push=bool(capabilities.push_notifications),
    )


def _is_version_1(interface: wire.AgentInterface) -> bool:
    return (interface.protocol_version or "1.0").partition(".")[0] == "1"


def _list_of(offered: list[wire.AgentInterface]) -> str:
    words = [f"{each.protocol_binding} {each.protocol_version or ''}".strip() for each in offered[:5]]
    return _shown(", ".join(words)) if words else "no interface at all"


def _shown(text: str | None) -> str:
    return ascii(scrub(text or "")[:200])[1:-1]


def _path(url: str) -> str:
    path = "/" + url.partition("://")[2].partition("/")[2]
    if not (path.isascii() and path.isprintable()) or any(mark in path for mark in " ?#"):
        raise errors.UnreadableResponseError(
            "the card of the agent names an address that cannot be requested", path="$.supportedInterfaces"
        )
    return path.rstrip("/")
