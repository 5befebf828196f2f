"""The settings, the address and the login of a Codex host.

See docs/reference/protocols/codex-app-server.md, "1 Transport and framing".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ...provider import Login, Open, ProviderSetting, Secret, errors, origin_of

if TYPE_CHECKING:
    from ...provider import Settings

NAME = "codex_app_server"
TOKEN_VARIABLE = "CODEX_APP_SERVER_TOKEN"  # noqa: S105 - a name
REMEDY = f"start one with: coatcheck codex-host up, or set {NAME}.base_url"

BASE_URL = ProviderSetting(
    "base_url", "where the host is: ws://127.0.0.1:PORT, wss://HOST, unix:///path/of/socket, or stdio: for a program"
)
BACKEND = ProviderSetting(
    "backend",
    "host: a Codex host of yours; cloud: threads of Codex Cloud, observed and undocumented",
    "host",
    choices=("host", "cloud"),
)
COMMAND = ProviderSetting("command", "the program that stdio: starts", "codex app-server")
TOKEN_FILE = ProviderSetting("token_file", f"the file with the token of the host, where {TOKEN_VARIABLE} is not set")
WORKSPACES = ProviderSetting(
    "workspaces", "the folder on the host for checkouts; unset: the folder coatcheck in the host's CODEX_HOME"
)
CLONE_URL = ProviderSetting(
    "clone_url", "where the host clones a repository from", "https://github.com/{repository}.git"
)
SANDBOX = ProviderSetting(
    "sandbox",
    "what agents may do: read-only, workspace-write or danger-full-access",
    "workspace-write",
    choices=("read-only", "workspace-write", "danger-full-access"),
)
APPROVAL_POLICY = ProviderSetting(
    "approval_policy",
    "what agents need approval for: never, on-request or untrusted",
    "never",
    choices=("never", "on-request", "untrusted"),
)
SETTINGS = (BACKEND, BASE_URL, COMMAND, TOKEN_FILE, WORKSPACES, CLONE_URL, SANDBOX, APPROVAL_POLICY)

# Nothing without a scheme, and no user, query or fragment: they may hold secrets.
_WEBSOCKET = re.compile(r"wss?://[^/?#@\s]+(?:/[^?#\s]*)?", re.IGNORECASE)
_SOCKET = re.compile(r"unix:///[^?#\0\n]+")
STDIO = "stdio:"
CLOUD_HOST = "codex-cloud-backend.chatgpt.com"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One host with the settings of its user. `command` is the program to start, empty for a host that runs."""

    base_url: str
    command: tuple[str, ...] = ()
    token_file: str | None = None
    workspaces: str | None = None
    clone_url: str = CLONE_URL.default or ""
    sandbox: str = SANDBOX.default or ""
    approval_policy: str = APPROVAL_POLICY.default or ""

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for a value that is not accepted."""
        url = _checked_url(BASE_URL.read(settings))
        workspaces = WORKSPACES.read(settings)
        if workspaces is not None and not workspaces.startswith("/"):
            raise errors.ConfigurationError(
                f"{NAME}.workspaces is not an absolute path: {workspaces}", remedy="name a folder on the host"
            )
        return cls(
            base_url=url,
            command=_command(settings) if url == STDIO else (),
            token_file=TOKEN_FILE.read(settings),
            workspaces=workspaces,
            clone_url=CLONE_URL.read(settings) or "",
            sandbox=SANDBOX.choose(settings, of=NAME) or "",
            approval_policy=APPROVAL_POLICY.choose(settings, of=NAME) or "",
        )

    @property
    def is_program(self) -> bool:
        """Whether the host is a program that is started here and ends with the client."""
        return bool(self.command)

    @property
    def is_public(self) -> bool:
        """Whether the host takes no token: a program and a Unix socket are protected by their permissions."""
        return not self.base_url.lower().startswith(("ws:", "wss:"))

    @property
    def login(self) -> Login:
        """How the token is found."""
        return Login(
            name=NAME,
            remedy=f"set {TOKEN_VARIABLE}, or {NAME}.token_file",
            environment=TOKEN_VARIABLE,
            chain=partial(_token_of, self.token_file),
            trusted_hosts=frozenset({origin_of(self.base_url)[1]} - {""}),
        )

    def open(self) -> Open:
        """Return the effect that opens a channel to the host."""
        return Open(command=self.command, is_public=self.is_public)


def _checked_url(text: str | None) -> str:
    if text is None:
        raise errors.ConfigurationError("no Codex host is running", remedy=REMEDY)
    url = re.sub("^http(?=s?://)", "ws", text.strip(), flags=re.IGNORECASE)  # the handshake is HTTP
    if url.lower().rstrip("/") == STDIO:
        return STDIO
    if _SOCKET.fullmatch(url):
        return url
    if CLOUD_HOST in url.lower():
        raise errors.ConfigurationError(
            f"{NAME}.base_url is Codex Cloud, not a host", remedy=f"set {NAME}.backend to cloud, without a base_url"
        )
    if not _WEBSOCKET.fullmatch(url) or not _has_host(url):  # the text is not repeated: it may hold a password
        raise errors.ConfigurationError(
            f"{NAME}.base_url is not the address of a host",
            remedy="give ws://HOST:PORT, wss://HOST, unix:///path/of/socket or stdio:",
        )
    return url.rstrip("/")


def _has_host(url: str) -> bool:
    try:
        return bool(origin_of(url)[1]) and url.isprintable()
    except ValueError:  # a port above 65,535
        return False


def _command(settings: Settings) -> tuple[str, ...]:
    text = COMMAND.read(settings) or ""
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        words = ()
    if not words:
        raise errors.ConfigurationError(
            f"{NAME}.command is not a command: {text!r}", remedy="write it as for a shell: codex app-server"
        )
    return words


def is_cloud(settings: Settings) -> bool:
    """Whether the tasks are threads of Codex Cloud. Raises `ConfigurationError` for another word."""
    return BACKEND.choose(settings, of=NAME) == "cloud"


def _token_of(path: str | None, environ: Mapping[str, str]) -> Callable[[], Secret | None]:
    """Return a function that reads the token from *path*; without a path it is empty: a host on loopback may need none."""
    if path is None:
        return lambda: Secret(token="", source="none")
    return partial(_read_token, path.replace("~", environ.get("HOME", "~"), 1) if path.startswith("~/") else path)


def _read_token(path: str) -> Secret:
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read(10_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise errors.NotLoggedInError(f"{path} cannot be read: {reason}", remedy=f"set {NAME}.token_file") from None
    if not token or not token.isprintable() or " " in token:
        raise errors.NotLoggedInError(f"{path} holds no token", remedy=f"set {NAME}.token_file")
    return Secret(token=token, source=path)
