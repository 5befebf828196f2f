"""The bodies that create and continue a task, byte for byte as the official client sends them.

See docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks".
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ...provider import TaskRef, TaskSpec, errors

# The official client's range (docs/reference/protocols/codex-wham.md, "8 CLI surface").
MAX_ATTEMPTS = 4


def checked(spec: TaskSpec) -> TaskSpec:
    """Return *spec*. Raises `ConfigurationError` where it names no environment."""
    if not (spec.environment or "").strip():
        raise errors.ConfigurationError(
            "no environment is given", remedy="give an environment, or a repository as owner/repo"
        )
    return spec


def new_task(spec: TaskSpec) -> bytes:
    """Return the body that creates a task; *spec* has been prepared."""
    task = {"environment_id": spec.environment, "branch": spec.branch, "run_environment_in_qa_mode": spec.mode == "ask"}
    return _body(
        {"new_task": task, "input_items": _input_items(spec.prompt, spec.starting_diff)}, spec.attempts, spec.model
    )


def follow_up(ref: TaskRef, turn: str, text: str, *, mode: Literal["code", "ask"], model: str | None) -> bytes:
    """Return the body that continues a task after its assistant's *turn*."""
    continued = {"task_id": ref.id, "turn_id": turn, "environment_mode": mode}
    return _body({"follow_up": continued, "input_items": _input_items(text, None)}, 1, model)


def _input_items(prompt: str, starting_diff: str | None) -> list[object]:
    message = {"type": "message", "role": "user", "content": [{"content_type": "text", "text": prompt}]}
    return (
        [message, {"type": "pre_apply_patch", "output_diff": {"diff": starting_diff}}] if starting_diff else [message]
    )


def _body(content: dict[str, object], attempts: int, model: str | None) -> bytes:
    """Encode *content*; `metadata` is left out when it is empty; the model is an addition to the official client's body."""
    metadata = ({"best_of_n": attempts} if attempts > 1 else {}) | ({"model_slug": model} if model else {})
    return msgspec.json.encode(content | ({"metadata": metadata} if metadata else {}))
