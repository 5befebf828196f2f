"""The settings, the login and the routes of OpenAI's Agents API.

See docs/reference/providers/openai-agents.md; OpenAI's SDK 3.52, ``resources/beta/agents/sessions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...provider import USER_AGENT, Login, Pairs, ProviderSetting, Secret, TaskRef, base_url, encoded
from .._sessions.limits import read_cents

if TYPE_CHECKING:
    from ...provider import Settings

NAME = "openai_agents"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
LOGIN = Login(
    name=NAME,
    remedy="make a key at https://platform.openai.com/api-keys and set OPENAI_API_KEY",
    environment="OPENAI_API_KEY",
    trusted_hosts=frozenset({"api.openai.com"}),
)

MODEL = ProviderSetting("model", "the model of tasks that name none")
AGENT = ProviderSetting("agent", "the id of a saved agent that runs tasks")
MAX_COST = ProviderSetting("max_cost", "the spending limit of a session in US dollars, such as 5.00")
ALLOWED_DOMAINS = ProviderSetting(
    "allowed_domains", "the domains that a session reaches, separated by commas; * for all", "github.com"
)
REPOSITORY_TOKEN = ProviderSetting(
    "repository_token", "the GitHub token by which a session clones a private repository"
)
BASE_URL = ProviderSetting("base_url", "where the service is", DEFAULT_BASE_URL, ("OPENAI_BASE_URL",))
SETTINGS = (MODEL, AGENT, MAX_COST, ALLOWED_DOMAINS, REPOSITORY_TOKEN, BASE_URL)

# The SDK sends the beta header with every call (``resources/beta/agents``).
HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "application/json"), ("openai-beta", "agents=v1"))
POST_HEADERS: Pairs = (*HEADERS, ("content-type", "application/json"))
STREAM_HEADERS: Pairs = (HEADERS[0], ("accept", "text/event-stream"), *HEADERS[2:])

SESSIONS = "/agents/sessions"
# "between 1 and 100" (``session_list_params.py``).
PAGE_SIZE = 100
# The folder whose files the service publishes as artifacts, and the one in which commands start.
OUTPUTS, WORKSPACE = "/workspace/outputs", "/workspace"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """The base URL, and what tasks are run with."""

    base_url: str = DEFAULT_BASE_URL
    model: str | None = None
    agent: str | None = None
    max_cents: int | None = None
    allowed_domains: tuple[str, ...] = ("github.com",)
    repository_token: Secret | None = None

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for a value that is not accepted."""
        token = REPOSITORY_TOKEN.read(settings)
        domains = (ALLOWED_DOMAINS.read(settings) or "").split(",")
        return cls(
            base_url=base_url(BASE_URL.read(settings) or "", of=NAME),
            model=MODEL.read(settings),
            agent=AGENT.read(settings),
            max_cents=read_cents(MAX_COST, settings, provider=NAME),
            allowed_domains=tuple(domain.strip() for domain in domains if domain.strip()),
            repository_token=Secret(token=token, source=f"{NAME}.{REPOSITORY_TOKEN.name}") if token else None,
        )


def session_path(ref: TaskRef, rest: str = "") -> str:
    """Return the path of a session."""
    return f"{SESSIONS}/{encoded(ref.id)}{rest}"
