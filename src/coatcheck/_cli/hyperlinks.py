"""Links on terminals (OSC 8): which terminals show them, and which addresses may be linked.

Invariants:

- a terminal is sent a link only if it is known to show links; ``FORCE_HYPERLINK`` overrides this (1 or 0);
- only https URLs and http URLs of this machine are linked or opened, and only if they are printable ASCII without
  characters that a URL cannot contain (RFC 3986, section 2).

The sequence: https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda
"""

from __future__ import annotations

from collections.abc import Mapping

# Variables of terminals that show links: name -> values, None for any.
TERMINALS: Mapping[str, frozenset[str] | None] = {
    "TERM_PROGRAM": frozenset({"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "Tabby", "rio", "zed"}),
    "TERM": frozenset({"xterm-kitty", "xterm-ghostty", "alacritty", "foot", "foot-extra", "wezterm", "contour"}),
    "WT_SESSION": None,
    "KONSOLE_VERSION": None,
    "DOMTERM": None,
}
# The first version of VTE (GNOME Terminal and others) whose links are safe: 0.50 crashed on some.
FIRST_VTE = 5002
# Multiplexers keep the variables of the terminal they were started in, and may remove links.
MULTIPLEXERS = ("screen", "tmux")
# Longer URLs are not shown by VTE and iTerm2.
MAX_URL = 2083
_FORBIDDEN = frozenset('"<>\\^`{|}')
_OPEN, _END = "\x1b]8;;", "\x1b\\"


def shows_links(environ: Mapping[str, str]) -> bool:
    """Whether the terminal that *environ* describes shows links."""
    forced = environ.get("FORCE_HYPERLINK")
    if forced is not None:
        return forced != "0"
    term = environ.get("TERM", "")
    if term == "dumb" or term.startswith(MULTIPLEXERS) or environ.get("TMUX") or environ.get("STY"):
        return False
    vte = environ.get("VTE_VERSION", "")
    if vte.isdecimal() and int(vte) >= FIRST_VTE:
        return True
    return any(
        environ.get(name) is not None and (values is None or environ[name] in values)
        for name, values in TERMINALS.items()
    )


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

    from .._protocol.hosts import is_loopback

    try:
        return is_loopback((urlsplit(url).hostname or "").lower())
    except ValueError:
        return False


def linked(text: str, url: str) -> str:
    """Return *text*, which is safe to print, as a link to *url*, which `is_safe_url`."""
    return f"{_OPEN}{url}{_END}{text}{_OPEN}{_END}"
