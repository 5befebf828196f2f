"""The body that creates a session. Pure."""

from __future__ import annotations

import base64
import shlex
from typing import TYPE_CHECKING

from ...provider import errors, repository_named
from .._sessions.change_files import instructions
from .endpoints import NAME, OUTPUTS, WORKSPACE
from .extract import BRANCH, KEY, MODE, REPOSITORY, TITLE

if TYPE_CHECKING:
    from ...provider import TaskSpec
    from .endpoints import Service

# "values up to 512 characters" (SDK 3.52, ``session_create_params.py``); a title is cut in every list (characters).
TITLE_LENGTH = 80


def new_session(spec: TaskSpec, service: Service) -> dict[str, object]:
    """Return the body for *spec*, without fields that are not set."""
    content = [{"type": "input_text", "text": part} for part in _prompt(spec)]
    body = {
        "agent": _agent(spec, service),
        "agent_id": service.agent,
        "environment": _environment(spec, service),
        "input": [{"type": "message", "role": "user", "content": content}],
        "metadata": _metadata(spec),
        "spend_control": service.max_cents and {"limit": service.max_cents},
    }
    return {name: value for name, value in body.items() if value is not None}


def message(text: str) -> dict[str, object]:
    """Return the event that a message is."""
    content = [{"type": "input_text", "text": text}]
    return {
        "type": "agent.session.input.message",
        "input": [{"type": "message", "role": "user", "content": content}],
    }


def name_of(spec: TaskSpec) -> str | None:
    """Return ``owner/repo``, None for a task without a repository. Raises `ConfigurationError` for another host."""
    name = repository_named(spec.repository or "")
    if spec.repository and name is None:
        raise errors.ConfigurationError(
            f"{spec.repository!r} is no repository on GitHub, and {NAME} clones from no other host",
            remedy="pass --repo OWNER/REPO",
        )
    return name


def _agent(spec: TaskSpec, service: Service) -> object:
    """Return the configuration of the agent; a saved agent has a model of its own."""
    model = spec.model or (None if service.agent else service.model)
    return {"model": model} if model else None


def _metadata(spec: TaskSpec) -> dict[str, str]:
    title = spec.title or spec.prompt.strip().partition("\n")[0]
    fields = {KEY: spec.key, MODE: spec.mode, REPOSITORY: name_of(spec), BRANCH: spec.branch}
    return {TITLE: title[:TITLE_LENGTH], **{name: value for name, value in fields.items() if value}}


def _prompt(spec: TaskSpec) -> list[str]:
    """Return the parts of the first message: the prompt unchanged, then what is said about it."""
    parts = [spec.prompt, *([spec.instructions] if spec.instructions else [])]
    name = name_of(spec)
    if name and spec.mode == "code":
        parts.append(instructions(folder=_folder(name), outputs=OUTPUTS))
    return parts


def _environment(spec: TaskSpec, service: Service) -> dict[str, object]:
    """Return the hosted environment; setup commands are confidential: "Command bodies are never returned" (SDK 3.52)."""
    is_open = "*" in service.allowed_domains
    network: dict[str, object] = {"access": "enabled"} if is_open else {"access": "restricted"}
    if not is_open:
        network["allowed_domains"] = list(service.allowed_domains)
    name = name_of(spec)
    environment: dict[str, object] = {"type": "openai_hosted", "network": network}
    if name is None:
        return environment
    return {**environment, "setup_commands": [{"command": _clone(name, spec, service), "cwd": WORKSPACE}]}


def _clone(name: str, spec: TaskSpec, service: Service) -> str:
    """Return the command that clones the repository; git keeps a header of the command line in no file."""
    words = ["git"]
    if service.repository_token:
        login = base64.b64encode(f"x-access-token:{service.repository_token.token}".encode()).decode()
        words += ["-c", f"http.https://github.com/.extraHeader=Authorization: Basic {login}"]
    branch = ["--branch", spec.branch] if spec.branch else []
    return shlex.join([*words, "clone", *branch, f"https://github.com/{name}", _folder(name)])


def _folder(name: str) -> str:
    return f"{WORKSPACE}/{name.partition('/')[2]}"
