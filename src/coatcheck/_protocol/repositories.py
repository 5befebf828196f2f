"""Read the GitHub repository from a text or a git remote (docs/reference/protocols/codex-wham.md, 5). Pure."""

from __future__ import annotations

import re

_SCHEMES = frozenset({"http", "https", "git", "ssh", "git+ssh", "ssh+git", "git+https", "git+http"})
# ssh.github.com is GitHub's ssh over the https port (docs.github.com, "Using SSH over the HTTPS port").
_GITHUB = frozenset({"github.com", "www.github.com", "ssh.github.com"})
_REMOTE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?:[^/\s]*@)?(?P<host>[A-Za-z0-9.-]+)"
    r"(?P<port>:\d+(?=/))?(?:[:/]+)(?P<path>[^?#\s]+)(?:[?#]\S*)?"
)
_BRACKETS = re.compile(r"^\[([^\]/]+)\]:/*")
# An owner has no dots: that distinguishes `github.com/x` from `owner/repo`.
_NAME = re.compile(r"[A-Za-z0-9_-]+/(?!\.{1,2}$)[A-Za-z0-9_.-]+")


def repository_of(remote_url: str) -> str | None:
    """Return the ``owner/repo`` on github.com that a git remote names, None for any other remote.

    Reads every form the official client knows and the ones it misses (docs/reference/protocols/codex-wham.md, 5):
    ``ssh://git@github.com/o/r.git``, ``www.``, any case of the host, ports, a trailing slash. Returns None for other
    hosts, GitHub Enterprise included.
    """
    # git also reads [user@host:port]:path (connect.c, parse_connect_url)
    match = _REMOTE.fullmatch(_BRACKETS.sub(r"ssh://\1/", remote_url.strip()))
    if match is None or match["host"].lower().rstrip(".") not in _GITHUB:
        return None
    if (match["scheme"] or "ssh").lower() not in _SCHEMES or (match["port"] and not match["scheme"]):
        return None
    from urllib.parse import unquote  # 2 ms, and most commands read no remote

    path = unquote(match["path"]).strip("/")
    while path.endswith(".git"):
        path = path.removesuffix(".git").rstrip("/")
    return path if _NAME.fullmatch(path) else None


def repository_named(text: str) -> str | None:
    """Return the ``owner/repo`` that *text* is, or that the remote *text* names; None for anything else."""
    name = text.strip()
    return name.removesuffix(".git") if _NAME.fullmatch(name) else repository_of(name)
