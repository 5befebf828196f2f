"""The settings, the addresses and the login of an agent-server, and the ids of conversations.

See docs/reference/protocols/openhands.md, "1 Transport" and "8 Idempotency".
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from ...provider import Login, ProviderSetting, Secret, TaskRef, base_url, errors, origin_of

if TYPE_CHECKING:
    from ...provider import Settings

NAME = "openhands"
# The variable from which the server itself reads its key.
KEY_VARIABLE = "OH_SESSION_API_KEYS_0"

BASE_URL = ProviderSetting("base_url", "where the agent-server is", "http://127.0.0.1:8000")
AGENT_PROFILE = ProviderSetting(
    "agent_profile", "the name or id of an agent profile on the server; unset: the active one"
)
# The policies of the server (docs/reference/protocols/openhands.md, "5 Confirmation").
POLICIES: Mapping[str, str] = {"never": "NeverConfirm", "risky": "ConfirmRisky", "always": "AlwaysConfirm"}
CONFIRMATION = ProviderSetting(
    "confirmation",
    "which actions of an agent wait for a decision: never, risky or always",
    "never",
    choices=tuple(POLICIES),
)
WORKSPACES = ProviderSetting(
    "workspaces", "the folder on the server for checkouts; unset: .openhands/coatcheck in the server's home folder"
)
CLONE_URL = ProviderSetting(
    "clone_url", "where the server clones a repository from", "https://github.com/{repository}.git"
)
SETTINGS = (BASE_URL, AGENT_PROFILE, CONFIRMATION, WORKSPACES, CLONE_URL)

# The namespace of the ids of conversations; a change of it would make other ids of the same keys.
CONVERSATION_NAMESPACE = uuid.UUID("0b0c6f0e-3b55-5f6e-8a44-5d7c7a1c2e90")


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One agent-server with the settings of its user."""

    base_url: str
    agent_profile: str | None = None
    confirmation: str = CONFIRMATION.default or ""
    workspaces: str | None = None
    clone_url: str = CLONE_URL.default or ""

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for a value that is not accepted."""
        confirmation = CONFIRMATION.choose(settings, of=NAME) or ""
        workspaces = WORKSPACES.read(settings)
        if workspaces is not None and not workspaces.startswith("/"):
            raise errors.ConfigurationError(
                f"{NAME}.workspaces is not an absolute path: {workspaces}", remedy="name a folder on the server"
            )
        return cls(
            base_url=base_url(BASE_URL.read(settings) or "", of=NAME),
            agent_profile=AGENT_PROFILE.read(settings),
            confirmation=confirmation,
            workspaces=workspaces,
            clone_url=CLONE_URL.read(settings) or "",
        )

    @property
    def events_url(self) -> str:
        """The base URL of WebSockets."""
        return f"ws{self.base_url[4:]}"

    @property
    def login(self) -> Login:
        """How the key is found; a server on loopback may need none."""
        return Login(
            name=NAME,
            remedy=f"set {KEY_VARIABLE} to the key of the server",
            environment=KEY_VARIABLE,
            chain=_no_key,
            trusted_hosts=frozenset({origin_of(self.base_url)[1]}),
        )

    def ref(self, id: str) -> TaskRef:
        """Return the ref of the conversation *id*."""
        return TaskRef(NAME, id)


def _no_key(environ: Mapping[str, str]) -> Callable[[], Secret | None]:
    del environ
    return lambda: Secret(token="", source="none")


def conversation_id(key: str) -> str:
    """Return the id of the conversation of the submission *key*: always the same for the same key."""
    return str(uuid.uuid5(CONVERSATION_NAMESPACE, key))
