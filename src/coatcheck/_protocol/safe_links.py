"""Which URLs may be linked or opened.

Only https URLs and http URLs of this machine, and only if they are printable ASCII without characters that a URL cannot
contain (RFC 3986, section 2).
"""

from __future__ import annotations

# Longer URLs are not shown by VTE and iTerm2.
MAX_URL = 2083
_FORBIDDEN = frozenset('"<>\\^`{|}')


def is_safe_url(url: str) -> bool:
    """Whether *url* may be linked or opened: https, or http to this machine, without user information."""
    if not (url.isascii() and url.isprintable()) or " " in url or len(url) > MAX_URL or not _FORBIDDEN.isdisjoint(url):
        return False
    scheme, separator, rest = url.partition("://")
    host = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    if not separator or not host or "@" in host:
        return False
    return scheme.lower() == "https" or (scheme.lower() == "http" and _is_loopback(url))


def _is_loopback(url: str) -> bool:
    from urllib.parse import urlsplit  # only plain http needs it

    from .hosts import is_loopback

    try:
        return is_loopback((urlsplit(url).hostname or "").lower())
    except ValueError:
        return False
