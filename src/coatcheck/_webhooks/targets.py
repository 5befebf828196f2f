"""Which addresses a webhook may be sent to, so that a hook cannot reach services inside a network (SSRF).

Invariants:
- a target is https on port 443, without user information, or has an origin that was allowed by name;
- the host is resolved here, and every address of it must be global, also inside IPv6 (mapped, 6to4, NAT64, Teredo);
- the connection goes to an address that was checked; the check is repeated for each attempt, because a name can change
  between two attempts (docs/reference/protocols/webhooks.md, 7).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from ..errors import ConfigurationError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORTS = {"https": 443, "http": 80}
_NAT64 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))


class Target(NamedTuple):
    """The parts of a hook's URL that a connection needs."""

    scheme: str
    host: str
    port: int
    path: str
    is_allowed: bool

    @property
    def origin(self) -> str:
        """Return scheme, host and port as an origin is written."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def read_target(url: str, *, allowed: Iterable[str] = ()) -> Target:
    """Return the parts of a hook's URL. Raises `ConfigurationError`.

    *allowed* are origins that may be used although they are not https on port 443, or not global:
    ``http://127.0.0.1:8080``, or ``http://127.0.0.1:*`` for every port.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        host = (parts.hostname or "").lower()
    except (ValueError, KeyError):
        raise _refused("it is not an http or https URL") from None
    if not host or not url.isprintable() or " " in url:
        raise _refused("it is not an http or https URL")
    if "@" in parts.netloc or parts.fragment:
        raise _refused("it has user information or a fragment")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(parts.scheme, host, port, path, is_allowed=False)
    if any(_matches(target, origin) for origin in allowed):
        return target._replace(is_allowed=True)
    if (parts.scheme, port) != ("https", 443):
        raise _refused("it is not https on port 443", remedy=f"allow it: --allow-hook {target.origin}")
    return target


def check_addresses(target: Target, addresses: Sequence[str]) -> str:
    """Return the address to connect to. Raises `ConfigurationError` unless all of *addresses* may be used."""
    if not addresses:
        raise _refused(f"{target.host} has no address")
    if not target.is_allowed:
        for each in addresses:
            if not is_global(ipaddress.ip_address(each.partition("%")[0])):
                raise _refused(
                    f"{target.host} has an address that is not public", remedy=f"allow it: --allow-hook {target.origin}"
                )
    return addresses[0]


def is_global(address: Address) -> bool:
    """Whether *address*, and an IPv4 address inside it, is of the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and any(address in network for network in _NAT64):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return is_global(inner)
    return address.is_global and not address.is_multicast


def _matches(target: Target, origin: str) -> bool:
    """Whether *target* has the origin that is written in *origin*, whose port may be ``*``."""
    parts = urlsplit(origin.removesuffix(":*"))
    port = target.port if origin.endswith(":*") else parts.port or _PORTS.get(parts.scheme)
    return (target.scheme, target.host, target.port) == (parts.scheme, parts.hostname, port)


def _refused(reason: str, remedy: str | None = None) -> ConfigurationError:
    return ConfigurationError(
        f"the address of a webhook is refused: {reason}", remedy=remedy or "give https://HOST/PATH, without a password"
    )
