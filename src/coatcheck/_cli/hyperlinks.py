"""Links on terminals (OSC 8), and which terminals show them.

A terminal is sent a link only if it is known to show links (``FORCE_HYPERLINK`` overrides this, 1 or 0), and only to a
URL that `safe_links.is_safe_url` allows.

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


def linked(text: str, url: str) -> str:
    """Return *text*, which is safe to print, as a link to *url*, which `is_safe_url`."""
    return f"{_OPEN}{url}{_END}{text}{_OPEN}{_END}"
