"""Tasks by the address of their page: whose task it is, and its id. Pure.

Invariants:
- A page belongs to a provider by its whole origin (scheme, host, port; RFC 6454, section 4), never by a part of the
  host's name. The host is compared without case (RFC 3986, section 3.2.2), and no other deviation is accepted: an address
  with user information, a trailing dot, or a character that no address has is refused.
- An id is never taken from an address of another origin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import ConfigurationError
from .provider_index import TASK_PAGES
from .task_page import TaskPage

_ANY_PAGE = TaskPage("")

_ADDRESS = re.compile(
    r"(https?)://([a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::(\d{1,5}))?(/[^?#\\]*)?(?:\?([^#]*))?(?:#.*)?"
)
_PORTS = {"http": "80", "https": "443"}
_LOOPBACK = re.compile(r"https?://(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]):\d+")


def find_task(url: str, *, provider: str | None, origins: Iterable[str | TaskPage] | None = None) -> tuple[str, str]:
    """Return the provider and the id of the task whose page is *url*. Raises `ConfigurationError`.

    *origins* are base URLs, sites and pages of *provider*; None, where they are not known, takes this machine's for its.
    """
    address = _parts(url)
    for owner, page in _candidates(address.origin, provider, None if origins is None else tuple(origins)):
        if id := page.find_id(address.path, address.query):
            return owner, id
    raise _foreign(url, provider)


def _candidates(
    origin: str | None, provider: str | None, origins: tuple[str | TaskPage, ...] | None
) -> Iterator[tuple[str, TaskPage]]:
    """Yield the pages that an address with *origin* may be, each with its provider: those of *provider* first."""
    if origin is None:
        return
    built_in = [(owner, TaskPage(site, path, query)) for owner, site, path, query in TASK_PAGES]
    declared = [page for page in origins or () if isinstance(page, TaskPage)]
    if provider is not None and _is_own(origin, origins):
        own = declared or [page for owner, page in built_in if owner == provider] or [_ANY_PAGE]
        yield from ((provider, page) for page in own)
    named = [(provider, page) for page in declared] if provider is not None else []
    yield from ((owner, page) for owner, page in (*named, *built_in) if origin == _origin(page.site))


def _is_own(origin: str, origins: tuple[str | TaskPage, ...] | None) -> bool:
    """Whether *origin* is one of the configured provider's."""
    if origins is None:
        return bool(_LOOPBACK.fullmatch(origin))
    return origin in {_origin(each) for each in origins if isinstance(each, str)}


def is_loopback_page(url: str) -> bool:
    """Whether *url* is of a server on this machine."""
    origin = _parts(url).origin
    return bool(origin and _LOOPBACK.fullmatch(origin))


class _Address(NamedTuple):
    """The parts of a URL: scheme, host and port as one text, None for what is no plain address; path and query."""

    origin: str | None = None
    path: str = ""
    query: str = ""


def _origin(url: str) -> str | None:
    return _parts(url).origin


def _parts(url: str) -> _Address:
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    match = _ADDRESS.fullmatch(f"{scheme}{separator}{authority}".lower() + slash + path)
    if match is None or not url.isprintable() or " " in url:
        return _Address()
    origin = f"{match[1]}://{match[2]}:{match[3] or _PORTS[match[1]]}"
    return _Address(origin, (match[4] or "").rstrip("/"), match[5] or "")


def _foreign(url: str, provider: str | None) -> ConfigurationError:
    sites = dict.fromkeys(site for owner, site, *_ in TASK_PAGES if provider in (None, owner)) or dict.fromkeys(
        site for _, site, *_ in TASK_PAGES
    )
    shown = "".join(letter if letter.isprintable() else "?" for letter in url.partition("?")[0])[:200]
    return ConfigurationError(
        f"{shown!r} is not a task reference: no provider has tasks at this address",
        remedy=f"expected a page of a task on {', '.join(sites)}, of the local cloud or below --base-url; or give PROVIDER:ID",
    )
