"""Where the workflows are, what they call things, and how a run is named.

See docs/reference/protocols/services.md, "1 GitHub Actions".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ...provider import ProviderSetting, TaskRef, errors, repository_named
from .._github.location import (
    CLOUD_VERSION,
    SERVER_VERSION,
    base_of,
    is_server,
    repository_in,
    repository_path,
    site_of,
)
from .._github.token_sources import CLIENT_ID, SCOPES, App, login

if TYPE_CHECKING:
    from ...provider import Login, Settings

NAME = "github_actions"

# What `coatcheck workflow init` writes, and what it calls things.
WORKFLOW, ARTIFACT, PROMPT_INPUT, KEY_INPUT = "coatcheck.yml", "coatcheck", "prompt", "task_id"
# An id holds no slash; neither an owner nor a repository has this character (docs.github.com, naming rules).
SEPARATOR = "~"

_FLAGS: Mapping[str, bool] = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_WORKFLOW = re.compile(r"(?:\.github/workflows/)?([A-Za-z0-9_.-]+\.ya?ml|[0-9]+)")


class Workflow(msgspec.Struct, frozen=True):
    """A workflow of a repository; `file` is its file's name or its number."""

    repository: str
    file: str

    def __str__(self) -> str:
        return f"{self.repository}/{self.file}"


class Run(msgspec.Struct, frozen=True):
    """Where a run is: ``owner/repo`` and its number."""

    repository: str
    id: str

    def path(self, rest: str = "") -> str:
        """Return its path in the API."""
        return repository_path(self.repository, f"/actions/runs/{self.id}{rest}")


_BASE_URL = ProviderSetting(
    "base_url", "where the API is; an enterprise server's own address is accepted", None, ("GITHUB_API_URL",)
)
_REPOSITORY = ProviderSetting("repository", "the repository of tasks that name none")
_WORKFLOW_FILE = ProviderSetting("workflow", "the file name of the workflow that tasks run", WORKFLOW)
_INPUTS = ProviderSetting("inputs", "inputs that are sent with every task: name=value, …", "")
_PROMPT_INPUT = ProviderSetting("prompt_input", "the workflow's input for the prompt", PROMPT_INPUT)
_KEY_INPUT = ProviderSetting("key_input", "the workflow's input for the id of the submission", KEY_INPUT)
_ARTIFACT = ProviderSetting("artifact", "the artifact that holds the result", ARTIFACT)
_FORCE_CANCEL = ProviderSetting(
    "force_cancel", "whether cancelling also stops jobs with if: always()", "false", choices=tuple(_FLAGS)
)
_API_VERSION = ProviderSetting("api_version", "the API version of a server that needs another one")
SETTINGS = (
    _BASE_URL,
    _REPOSITORY,
    _WORKFLOW_FILE,
    _INPUTS,
    _PROMPT_INPUT,
    _KEY_INPUT,
    _ARTIFACT,
    _FORCE_CANCEL,
    _API_VERSION,
    CLIENT_ID,
    SCOPES,
)


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One GitHub with the settings of its user."""

    base_url: str
    api_version: str
    app: App = App()
    repository: str | None = None
    workflow: str = WORKFLOW
    artifact: str = ARTIFACT
    prompt_input: str = PROMPT_INPUT
    key_input: str = KEY_INPUT
    inputs: tuple[tuple[str, str], ...] = ()
    force_cancel: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for a value that is not accepted."""
        base = base_of(_BASE_URL.read(settings), of=NAME)
        repository = _REPOSITORY.read(settings)
        return cls(
            base_url=base,
            app=App.of(settings),
            api_version=_API_VERSION.read(settings) or (SERVER_VERSION if is_server(base) else CLOUD_VERSION),
            repository=repository_in(repository) if repository else None,
            workflow=file_in(_WORKFLOW_FILE.read(settings) or WORKFLOW),
            artifact=_ARTIFACT.read(settings) or ARTIFACT,
            prompt_input=_PROMPT_INPUT.read(settings) or PROMPT_INPUT,
            key_input=_KEY_INPUT.read(settings) or KEY_INPUT,
            inputs=_inputs(_INPUTS.read(settings) or ""),
            force_cancel=_FLAGS[_FORCE_CANCEL.choose(settings, of=NAME) or "false"],
        )

    @property
    def login(self) -> Login:
        """The source of the token."""
        return login(NAME, needs="read and write Actions", base_url=self.base_url, app=self.app)

    def find_workflow(self, name: str | None) -> Workflow:
        """Return the workflow that *name* names: ``owner/repo``, a remote's URL, either with a file after it, or a file.

        What is not named is the setting's. Raises `ConfigurationError`.
        """
        if not (name or "").strip():
            return Workflow(self._default(), self.workflow)
        place, file = _split(name or "")
        return Workflow(repository_in(place) if place else self._default(), file or self.workflow)

    def names_workflow(self, name: str) -> bool:
        """Whether *name* names a workflow, and not only a repository."""
        return _split(name)[1] is not None

    def ref(self, repository: str, id: str) -> TaskRef:
        """Return the ref of a run."""
        return TaskRef(NAME, SEPARATOR.join((*repository.split("/"), id)))

    def run(self, ref: TaskRef) -> Run:
        """Return the run that *ref* names; a bare number is one of the repository that is set.

        Raises `ConfigurationError` for an id that is not one of a run.
        """
        *place, id = ref.id.split(SEPARATOR)
        if not id.isdecimal() or len(place) not in (0, 2):
            raise errors.ConfigurationError(
                f"{ref} names no run", remedy=f"give {NAME}:OWNER{SEPARATOR}REPO{SEPARATOR}RUN, as `list` prints it"
            )
        return Run("/".join(place) if place else self._default(), id)

    def url_of(self, run: Run) -> str:
        """Return the page of a run."""
        return f"{site_of(self.base_url)}/{run.repository}/actions/runs/{run.id}"

    def _default(self) -> str:
        if self.repository is None:
            raise errors.ConfigurationError(
                "no repository configured", remedy=f"pass --repo OWNER/REPO, or set {NAME}.repository"
            )
        return self.repository


def file_in(text: str) -> str:
    """Return the name of a workflow's file, or its number; raises `ConfigurationError`."""
    match = _WORKFLOW.fullmatch(text.strip())
    if match is None:
        raise errors.ConfigurationError(f"{text!r} is no workflow", remedy="give the name of its file: coatcheck.yml")
    return match[1]


def _split(name: str) -> tuple[str, str | None]:
    """Return the repository and the file of the workflow in *name*; a repository may itself be called ``x.yml``."""
    name = name.strip().removesuffix("/")
    place, _, file = name.rpartition("/")
    if repository_named(name) is None and _WORKFLOW.fullmatch(file):
        return place.removesuffix("/.github/workflows"), file
    return name, None


def _inputs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if wrong := [name for name, equals, _ in pairs if not equals or not name.strip()]:
        raise errors.ConfigurationError(
            f"{NAME}.inputs: {wrong[0].strip()!r} is no input", remedy="write NAME=VALUE, NAME=VALUE"
        )
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)
