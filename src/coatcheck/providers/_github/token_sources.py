"""The sources of a GitHub token: the environment, the GitHub CLI, or a login of coatcheck.

Invariants:

- A token that was read from another program's file goes to api.github.com alone (docs/reference/protocols/services.md,
  "1 GitHub Actions" and "2 GitHub Copilot cloud agent").
- The file is only read: GitHub's tokens of this kind are not refreshed.
- A login of ours is sent only to the API of the site that issued it; all providers of one site share it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from ...provider import Login, ProviderSetting, Secret
from .device_login import family_of, format_of, hosts_of, oauth_of, whoami_of
from .location import HOST, site_of

if TYPE_CHECKING:
    from ...provider import Settings

# In the order of `gh help environment`, coatcheck's own before them.
VARIABLES = ("GH_TOKEN", "GITHUB_TOKEN")
_TOKEN = re.compile(r"^( +)oauth_token:[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)


CLIENT_ID = ProviderSetting("client_id", "the id of the OAuth app that logs in", None, ("COATCHECK_GITHUB_CLIENT_ID",))
SCOPES = ProviderSetting("scopes", "the scopes that a login requests", None, ("COATCHECK_GITHUB_SCOPES",))

NOTE = (
    "{name} is the login of github_actions and copilot, by device code, with the client id of your own OAuth app "
    "(setting github_actions.client_id, or COATCHECK_GITHUB_CLIENT_ID)."
)


class App(msgspec.Struct, frozen=True, kw_only=True):
    """The OAuth app of a login, and the scopes that it requests (None: those that the providers need)."""

    client_id: str | None = None
    scopes: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> App:
        """Return the values in *settings*."""
        return cls(
            client_id=CLIENT_ID.read(settings),
            scopes=SCOPES.read(settings),
        )


def login(name: str, *, needs: str, base_url: str, app: App) -> Login:
    """Return the login of the provider *name* to the API at *base_url*; *needs* is what its token must be allowed."""
    site = site_of(base_url).lower()
    remedy = f"set GITHUB_TOKEN to a token that may {needs}, or run: gh auth login --insecure-storage"
    login_remedy = f"{remedy}; or coatcheck login github"
    return Login(
        name=name,
        remedy=login_remedy,
        environment="COATCHECK_GITHUB_TOKEN",
        chain=tools_of,
        own=format_of(site, remedy=login_remedy),
        family=family_of(site),
        oauth=oauth_of(
            site,
            client_id=app.client_id,
            scopes=app.scopes,
            remedy=f"set {name}.client_id, or COATCHECK_GITHUB_CLIENT_ID, to that of yours; or {remedy}",
        ),
        whoami=whoami_of(base_url),
        trusted_hosts=hosts_of(base_url),
        note=NOTE.format(name=family_of(site)),
    )


def tools_of(environ: Mapping[str, str]) -> Callable[[], Secret | None]:
    """Return a function that reads the token as GitHub's own tools do: their variables, then the file of ``gh``."""

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
    if not os.path.isfile(path):  # a named pipe would wait for a writer
        return None
    try:
        with open(path, encoding="utf-8") as file:
            token = token_in(file.read())
    except (OSError, UnicodeDecodeError):
        return None
    return Secret(token=token, source=path, is_stored=True, hosts=frozenset({HOST})) if token else None


def token_in(hosts: str) -> str | None:
    """Return the token for github.com in the text of a ``hosts.yml``; None where a keyring has it.

    With several users there is one per user and, less deep, the one in use.
    """
    block = re.search(r"^[\"']?github\.com[\"']?:[ \t]*\n((?:[ \t]+.*\n?|[ \t]*\n)*)", hosts, re.MULTILINE)
    match = _TOKEN.findall(block[1]) if block else []
    return min(match, key=lambda each: len(each[0]))[1] if match else None
