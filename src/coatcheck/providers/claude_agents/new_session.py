"""The body that creates a session. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...provider import errors, repository_named
from .._sessions.change_files import instructions
from .endpoints import NAME, OUTPUTS, WORKSPACE
from .extract import KEY, MODE
from .usage import amount_of

if TYPE_CHECKING:
    from ...provider import TaskSpec
    from .endpoints import Service


# The service has no title of its own; a longer one is cut in every list (characters).
TITLE_LENGTH = 80


def new_session(spec: TaskSpec, service: Service) -> dict[str, object]:
    """Return the body for *spec*, without fields that are not set."""
    budget = service.max_cents and {"type": "limit", "max_list_cost": amount_of(service.max_cents)}
    body = {
        "agent": _agent(spec, service),
        "environment_id": spec.environment,
        "title": spec.title or spec.prompt.strip().partition("\n")[0][:TITLE_LENGTH],
        "metadata": {KEY: spec.key or "", MODE: spec.mode},
        "budget": budget,
        "resources": [_repository(spec, service)] if spec.repository else None,
        "initial_events": [{"type": "user.message", "content": [_text(part) for part in _prompt(spec)]}],
    }
    return {name: value for name, value in body.items() if value is not None}


def _agent(spec: TaskSpec, service: Service) -> object:
    if spec.model is None:
        return service.agent
    return {"type": "agent_with_overrides", "id": service.agent, "model": spec.model}


def _prompt(spec: TaskSpec) -> list[str]:
    """Return the parts of the first message: the prompt unchanged, then what is said about it."""
    parts = [spec.prompt, *([spec.instructions] if spec.instructions else [])]
    if spec.repository and spec.mode == "code":
        parts.append(instructions(folder=_folder(_name(spec)), outputs=OUTPUTS))
    return parts


def _repository(spec: TaskSpec, service: Service) -> dict[str, object]:
    name, token = _name(spec), service.repository_token
    mounted = {"type": "github_repository", "url": f"https://github.com/{name}", "mount_path": _folder(name)}
    checkout = {"checkout": {"type": "branch", "name": spec.branch}} if spec.branch else {}
    return {**mounted, **checkout, **({"authorization_token": token.token} if token else {})}


def _name(spec: TaskSpec) -> str:
    name = repository_named(spec.repository or "")
    if name is None:
        raise errors.ConfigurationError(
            f"{spec.repository!r} is no repository on GitHub, and {NAME} clones from no other host",
            remedy="pass --repo OWNER/REPO",
        )
    return name


def _folder(name: str) -> str:
    """Return where the service mounts a repository, which is its own default."""
    return f"{WORKSPACE}/{name.partition('/')[2]}"


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
