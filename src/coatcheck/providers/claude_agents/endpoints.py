"""The settings, the login and the routes of Claude Managed Agents.

See docs/reference/providers/claude-agents.md; Anthropic's SDK 2.11, ``resources/beta/sessions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...provider import USER_AGENT, Login, Pairs, ProviderSetting, Secret, TaskRef, base_url, encoded
from .._sessions.limits import read_cents

if TYPE_CHECKING:
    from ...provider import Settings

NAME = "claude_agents"
DEFAULT_BASE_URL = "https://api.anthropic.com"
LOGIN = Login(
    name=NAME,
    remedy="make a key at https://console.anthropic.com/settings/keys and set ANTHROPIC_API_KEY",
    environment="ANTHROPIC_API_KEY",
    trusted_hosts=frozenset({"api.anthropic.com"}),
)

AGENT = ProviderSetting("agent", "the id of the agent that runs tasks (agent_…)")
ENVIRONMENT = ProviderSetting("environment", "the id or name of the environment of tasks that name none")
MAX_COST = ProviderSetting("max_cost", "the budget of a session in US dollars at list price, such as 5.00")
REPOSITORY_TOKEN = ProviderSetting(
    "repository_token", "the GitHub token by which the service clones a private repository"
)
BASE_URL = ProviderSetting("base_url", "where the service is", DEFAULT_BASE_URL, ("ANTHROPIC_BASE_URL",))
SETTINGS = (AGENT, ENVIRONMENT, MAX_COST, REPOSITORY_TOKEN, BASE_URL)

# "requests must send `managed-agents-2026-04-01` in this header" (SDK 2.11, ``session_create_params.py``); the version is
# what the SDK sends (``_constants.py``).
HEADERS: Pairs = (
    ("user-agent", USER_AGENT),
    ("accept", "application/json"),
    ("anthropic-version", "2026-10-21"),
    ("anthropic-beta", "managed-agents-2026-04-01"),
)
POST_HEADERS: Pairs = (*HEADERS, ("content-type", "application/json"))
STREAM_HEADERS: Pairs = (HEADERS[0], ("accept", "text/event-stream"), *HEADERS[2:])

SESSIONS = "/v1/sessions"
ENVIRONMENTS = "/v1/environments"
# The files of a session; the SDK sends no beta header with them (``resources/beta/files.py``).
FILES = "/v1/files"
FILE_HEADERS: Pairs = HEADERS[:3]
# The largest page of files is 1000 (``file_list_params.py``); the SDK states none for the other lists.
FILE_PAGE_SIZE, PAGE_SIZE = 1000, 100

# The folder whose files the service keeps, and the one in which it mounts a repository (``/workspace/<repo-name>``).
OUTPUTS = "/mnt/session/outputs"
WORKSPACE = "/workspace"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """The base URL, and what tasks are run with."""

    base_url: str = DEFAULT_BASE_URL
    agent: str | None = None
    environment: str | None = None
    max_cents: int | None = None
    repository_token: Secret | None = None

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for a value that is not accepted."""
        token = REPOSITORY_TOKEN.read(settings)
        return cls(
            base_url=base_url(BASE_URL.read(settings) or "", of=NAME),
            agent=AGENT.read(settings),
            environment=ENVIRONMENT.read(settings),
            max_cents=read_cents(MAX_COST, settings, provider=NAME),
            repository_token=Secret(token=token, source=f"{NAME}.{REPOSITORY_TOKEN.name}") if token else None,
        )


def session_path(ref: TaskRef, rest: str = "") -> str:
    """Return the path of a session."""
    return f"{SESSIONS}/{encoded(ref.id)}{rest}"
