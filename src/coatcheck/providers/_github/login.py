"""Who we are to GitHub: a token from the environment, or the one that GitHub's own command line keeps (services.md 1, 2).

Law 1. A token that was read from another program's file goes to api.github.com alone.
Law 2. The file is only read: GitHub's tokens of this kind are not refreshed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from ..._protocol.credentials import Login, Secret
from .place import HOST

# In the order of `gh help environment`, ours before them.
VARIABLES = ("GH_TOKEN", "GITHUB_TOKEN")
_TOKEN = re.compile(r"^( +)oauth_token:[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)


def login(name: str, *, needs: str) -> Login:
    """Return the login of the provider *name*; *needs* is what its token must be allowed."""
    return Login(
        name=name,
        remedy=f"set GITHUB_TOKEN to a token that may {needs}, or run: gh auth login --insecure-storage",
        environment="COATCHECK_GITHUB_TOKEN",
        chain=tools_of,
        trusted_hosts=frozenset({HOST}),
    )


def tools_of(environ: Mapping[str, str]) -> Callable[[], Secret | None]:
    """Return what looks where GitHub's own tools do: their variables, then the file of ``gh``."""

    def look() -> Secret | None:
        for variable in VARIABLES:
            if token := environ.get(variable, "").strip():
                return Secret(token=token, source=variable)
        return _of_gh(hosts_file(environ))

    return look


def hosts_file(environ: Mapping[str, str]) -> str:
    """Return where ``gh`` keeps its logins (``gh help environment``, GH_CONFIG_DIR)."""
    home = environ.get("HOME") or os.path.expanduser("~")
    folder = environ.get("GH_CONFIG_DIR") or os.path.join(
        environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "gh"
    )
    return os.path.join(folder, "hosts.yml")


def _of_gh(path: str) -> Secret | None:
    try:
        with open(path, encoding="utf-8") as file:
            token = token_in(file.read())
    except (OSError, UnicodeDecodeError):
        return None
    return Secret(token=token, source=path, is_stored=True) if token else None


def token_in(hosts: str) -> str | None:
    """Return the token for github.com in the text of a ``hosts.yml``; None where a keyring has it.

    With several users there is one per user and, less deep, the one in use.
    """
    block = re.search(r"^[\"']?github\.com[\"']?:[ \t]*\n((?:[ \t]+.*\n?|[ \t]*\n)*)", hosts, re.MULTILINE)
    found = _TOKEN.findall(block[1]) if block else []
    return min(found, key=lambda each: len(each[0]))[1] if found else None
