"""Where the agent is, who may use it, and what it can do.

See docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ...provider import Capabilities, Model, ProviderSetting, Support, TaskRef, Verb, errors
from .._github.location import CLOUD_VERSION, base_of, is_server, repository_in
from .._github.token_sources import CLIENT_ID, SCOPES, App, login

if TYPE_CHECKING:
    from ...provider import Login, Settings

NAME = "copilot"
# Installation tokens are refused, and so are users without one of these plans (docs/reference/protocols/services.md,
# "2 GitHub Copilot cloud agent").
WHO = "a token of a user with Copilot Business or Enterprise"
NEEDS = f"read and write Agent tasks ({WHO})"

# What the description named on this day; "the allowed models may change over time".
AS_OF, SOURCE = "2026-11-20", "GitHub's OpenAPI description 23.0.2"
MODELS = (
    "claude-sonnet-4.6",
    "claude-opus-4.6",
    "gpt-5.2-codex",
    "gpt-5.3-codex",
    "gpt-5.4",
    "claude-sonnet-4.5",
    "claude-opus-4.5",
)

VERBS: Mapping[Verb, Support] = {
    Verb.CREATE_TASK: Support.DOCUMENTED,
    Verb.GET_TASK: Support.DOCUMENTED,
    Verb.LIST_TASKS: Support.DOCUMENTED,
    Verb.GET_STATUS_PAGE: Support.DOCUMENTED,
    Verb.LIST_MODELS: Support.DOCUMENTED,
    Verb.GET_USAGE: Support.DOCUMENTED,
}

CAPABILITIES = Capabilities(
    vendor="github",
    result="the diff of the pull request, else of the branch",
    cost="credits: a notice of the task",
    verbs=VERBS,
    reasons={
        Verb.APPROVE_PLAN: "the agent shows no plan",
        Verb.ARCHIVE_TASK: "the API lists archived tasks and cannot archive; the task's page can",
        Verb.CANCEL_TASK: "the API cannot stop a task; its page can",
        Verb.CREATE_PULL_REQUEST: "the agent opens one itself when the task was created with open_pull_request",
        Verb.DELETE_TASK: "the API cannot delete a task",
        Verb.GET_SNAPSHOT: "the API has no events",
        Verb.LIST_ATTEMPTS: "a task is one attempt",
        Verb.LIST_ENVIRONMENTS: "a task takes any repository that the token may write to",
        Verb.SEND_MESSAGE: "the API takes no reply; a task that waits for one is answered on its page",
        Verb.STREAM_EVENTS: "the API has no logs",
        Verb.UNARCHIVE_TASK: "as archive_task",
    },
    options=frozenset({"model", "working_branch", "open_pull_request"}),
    # As for every request to GitHub (docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling";
    # `github_actions.capabilities`).
    write_pause=1.0,
    rate=14.0,
    notes=(
        f"Needs {WHO}; tokens of app installations are refused. The API is a public preview.",
        "What a task made is its pull request, or the branch that it pushed.",
        "get_usage returns the API's limits; the AI credits that a task used are one of its notices.",
    ),
)


_BASE_URL = ProviderSetting("base_url", "where the API is")
_REPOSITORY = ProviderSetting("repository", "the repository of tasks that name none")
_CUSTOM_AGENT = ProviderSetting("custom_agent", "the file of an agent of the repository, without its extension")
SETTINGS = (_BASE_URL, _REPOSITORY, _CUSTOM_AGENT, CLIENT_ID, SCOPES)


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One GitHub with the settings of its user."""

    base_url: str
    app: App = App()
    api_version: str = CLOUD_VERSION
    repository: str | None = None
    custom_agent: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError`, also for a server: none has the agent.

        See docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent".
        """
        base = base_of(_BASE_URL.read(settings), of=NAME)
        if is_server(base):
            raise errors.ConfigurationError(
                "GitHub Enterprise Server has no coding agent", remedy=f"leave out {NAME}.base_url"
            )
        repository = _REPOSITORY.read(settings)
        return cls(
            base_url=base,
            app=App.of(settings),
            repository=repository_in(repository) if repository else None,
            custom_agent=_CUSTOM_AGENT.read(settings),
        )

    @property
    def login(self) -> Login:
        """The source of the token."""
        return login(NAME, needs=NEEDS, base_url=self.base_url, app=self.app)

    def ref(self, id: str) -> TaskRef:
        """Return the ref of the task *id*."""
        return TaskRef(NAME, id)

    def find_repository(self, name: str | None) -> str:
        """Return the repository; raises `ConfigurationError` if none is given or set."""
        if name:
            return repository_in(name)
        if self.repository is None:
            raise errors.ConfigurationError(
                "no repository configured", remedy=f"pass --repo OWNER/REPO, or set {NAME}.repository"
            )
        return self.repository


def models() -> tuple[Model, ...]:
    """Return the models that the description names."""
    note = "which are allowed depends on the plan and on the organisation"
    return tuple(Model(id=id, notes=note, as_of=AS_OF, source=SOURCE) for id in MODELS)
