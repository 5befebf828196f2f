"""Base URLs from settings, and ids as path segments.

Sections are those of docs/reference/protocols/codex-wham.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from .. import errors

# Ids of every form seen (docs/reference/protocols/codex-wham.md, 2.3); `~` goes into the path as it is
# (docs/reference/protocols/codex-wham.md, 2.4). Anything else is percent-encoded.
_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_.~-]*[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_PLAIN_TEXT = r"[A-Za-z0-9_.~-]*"
# Scheme, host and port of nearly every address. Others are left to `urllib.parse`, whose import takes 2 ms.
_PLAIN_ORIGIN = re.compile(r"(https?)://([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(?=[/?#]|\Z)")
# RFC 9110, section 15.4, less 300, which names several addresses, and 304 to 306.
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Of these the request was not performed, and may be repeated as it is at the new address (sections 15.4.8 and 15.4.9).
# After 301, 302 and 303 clients send GET: they also answer a POST that was performed (sections 15.4.2 to 15.4.4).
UNPERFORMED_REDIRECTS = frozenset({307, 308})
_CREDENTIALS_IN_QUERY = r"(?i)(?<=[?&])(?:password|sslpassword)=[^&]*&?"
_CREDENTIALS_IN_PARAMETERS = r"(?i)((?:^|\s)(?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|\S+)"
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_BASE_URL = re.compile(r"https?://[^/?#@\s]+(?:/[^?#\s]*)?", re.IGNORECASE)


def base_url(text: str, *, of: str) -> str:
    """Return *text* as a base URL without a trailing slash. Raises `ConfigurationError` for what is none.

    *of* is the provider, for the message, which does not repeat the text: it may hold a password.
    """
    base = text.strip().rstrip("/")
    if not _BASE_URL.fullmatch(base) or not _has_host_and_port(base):
        raise errors.ConfigurationError(
            f"the base URL of {of} is not usable",
            remedy="give http(s)://HOST[:PORT][/PATH] without user information, a query or a fragment",
        )
    return base


def _has_host_and_port(url: str) -> bool:
    try:
        return bool(origin_of(url)[1]) and url.isprintable()
    except ValueError:  # brackets without an address, a port above 65,535
        return False


def encoded(segment: str) -> str:
    """Return *segment* so that it is one segment of a path, for any content."""
    if (segment.isascii() and segment.isidentifier()) or _PLAIN_SEGMENT.fullmatch(segment):
        return segment
    from urllib.parse import quote  # ids that need it are rare

    # URL parsers also resolve "%2e%2e", so dots alone are encoded twice; no service has such ids.
    return quote(segment, safe="~") if segment.strip(".") else segment.replace(".", "%252E")


def encoded_query(pairs: Collection[tuple[str, str]]) -> str:
    """Return *pairs* as a query, encoded as HTML forms are."""
    if all(re.fullmatch(_PLAIN_TEXT, text) for pair in pairs for text in pair):
        return "&".join(f"{name}={value}" for name, value in pairs)
    from urllib.parse import urlencode  # as above

    return urlencode(tuple(pairs))


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port (the scheme's own where none is given)."""
    if (plain := _PLAIN_ORIGIN.match(url)) and int(plain[3] or 0) < 2**16:
        return plain[1], plain[2].lower(), int(plain[3] or 0) or _PORTS[plain[1]]
    from urllib.parse import urlsplit  # as above

    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def absolute_url(location: str, *, relative_to: str) -> str | None:
    """Return the URL that a ``Location`` field names (RFC 9110, section 10.2.2), None where it is not one."""
    from urllib.parse import urljoin  # as above

    try:
        url = urljoin(relative_to, location)
        origin_of(url)
    except ValueError:  # of a port or an IPv6 address
        return None
    return url if url and url.isascii() and url.isprintable() else None


def without_password(text: str) -> str:
    """Return a URL without the password in its user part or query, and libpq's parameters without theirs."""
    scheme, separator, rest = text.partition("://")
    if separator:
        user, at, host = rest.rpartition(
            "@"
        )  # the last one: a password may hold characters that it should have escaped
        text = re.sub(_CREDENTIALS_IN_QUERY, "", f"{scheme}://{user.partition(':')[0]}{at}{host}").rstrip("?&")
    return re.sub(_CREDENTIALS_IN_PARAMETERS, r"\1[hidden]", text)


def password_parts(url: str) -> set[str]:
    """Return the parts of the passwords in *url* that a message may quote, as they are written and decoded."""
    from urllib.parse import unquote  # as above

    user = url.partition("://")[2].rpartition("@")[0]
    passwords = [
        user.partition(":")[2],
        *(match[0].partition("=")[2] for match in re.finditer(_CREDENTIALS_IN_QUERY, url)),
    ]
    return {
        part
        for password in passwords
        for text in (password.rstrip("&"), unquote(password.rstrip("&")))
        for part in (text, *re.split(r"[@:/?#\[\]]", text))
        if part
    }


def printable_url(url: str) -> str:
    """Return *url* without user, query and fragment, which may hold secrets."""
    from urllib.parse import urlsplit  # as above

    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
