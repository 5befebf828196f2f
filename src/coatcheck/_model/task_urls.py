"""Tasks by the address of their page: whose task it is, and its id. Pure.

Invariants:
- A page belongs to a provider by its whole origin (scheme, host, port; RFC 6454, section 4), never by a part of the
  host's name. The host is compared without case (RFC 3986, section 3.2.2), and no other deviation is accepted: an address
  with user information, a trailing dot, or a character that no address has is refused.
- An id is never taken from an address of another origin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import ConfigurationError

# The sites of the built-in providers, and what their pages of tasks are called. GitHub's are two providers'.
_ANY = re.compile(r".*?/([^/]+)")
_RUN = re.compile(r"/([^/]+)/([^/]+)/actions/runs/(\d+)(?:/.*)?")
_AGENT = re.compile(r"/[^/]+/[^/]+/(?:copilot|agents)/(?:tasks|sessions)/([^/]+)")
SITES: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("https://chatgpt.com", "codex", _ANY),
    ("https://chat.openai.com", "codex", _ANY),
    ("https://chatgpt-staging.com", "codex", _ANY),
    ("https://jules.google.com", "jules", _ANY),
    ("https://github.com", "github_actions", _RUN),
    ("https://github.com", "copilot", _AGENT),
)
# How the parts of an address make an id, of providers whose pages hold more than one part of it.
_PAGES = {"github_actions": _RUN}
_SEPARATOR = "~"

_ADDRESS = re.compile(r"(https?)://([a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::(\d{1,5}))?(/[^?#\\]*)?(?:[?#].*)?")
_PORTS = {"http": "80", "https": "443"}
_LOOPBACK = re.compile(r"https?://(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]):\d+")


def find_task(url: str, *, provider: str | None, origins: Iterable[str] | None = None) -> tuple[str, str]:
    """Return the provider and the id of the task whose page is *url*. Raises `ConfigurationError`.

    *origins* are base URLs and sites of *provider*; None, where they are not known, takes this machine's for its.
    """
    origin, path = _parts(url)
    known = None if origins is None else {_origin(each) for each in origins}
    is_own = bool(origin and _LOOPBACK.fullmatch(origin)) if known is None else origin in known
    if provider is not None and is_own and (match := _PAGES.get(provider, _ANY).fullmatch(path)):
        return provider, _SEPARATOR.join(match.groups())
    for site, owner, page in SITES:
        if origin == f"{site}:443" and (match := page.fullmatch(path)):
            return owner, _SEPARATOR.join(match.groups())
    raise _foreign(url, provider)


def is_loopback_page(url: str) -> bool:
    """Whether *url* is of a server on this machine."""
    origin, _ = _parts(url)
    return bool(origin and _LOOPBACK.fullmatch(origin))


def _origin(url: str) -> str | None:
    return _parts(url)[0]


def _parts(url: str) -> tuple[str | None, str]:
    """Return scheme, host and port of *url* as one text, None for what is no plain address, and its path."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    match = _ADDRESS.fullmatch(f"{scheme}{separator}{authority}".lower() + slash + path)
    if match is None or not url.isprintable() or " " in url:
        return None, ""
    origin = f"{match[1]}://{match[2]}:{match[3] or _PORTS[match[1]]}"
    return origin, (match[4] or "").rstrip("/")


def _foreign(url: str, provider: str | None) -> ConfigurationError:
    sites = dict.fromkeys(site for site, owner, _ in SITES if provider in (None, owner)) or dict.fromkeys(
        site for site, _, _ in SITES
    )
    shown = "".join(letter if letter.isprintable() else "?" for letter in url.partition("?")[0])[:200]
    return ConfigurationError(
        f"{shown!r} is not a task reference: no provider has tasks at this address",
        remedy=f"expected a page of a task on {', '.join(sites)}, of the local cloud or below --base-url; or give PROVIDER:ID",
    )
