"""What can be asked for: environments and models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .value import Value

if TYPE_CHECKING:
    from .json_fields import Fields


class Environment(Value, frozen=True, kw_only=True):
    """A prepared place where tasks run.

    Only what is needed to choose one is kept: the service's answer can carry secrets (codex-wham.md 2.5).
    """

    id: str
    label: str | None = None
    repositories: tuple[str, ...] = ()
    default_branch: str | None = None
    is_pinned: bool = False
    task_count: int | None = None


class Model(Value, frozen=True, kw_only=True):
    """A model that the service knows, or knew.

    Token counts; None where nobody says. `as_of` is the date the entry was read (ISO 8601), `source` where.
    """

    id: str
    context: int | None = None
    max_context: int | None = None
    max_output: int | None = None
    reasoning: tuple[str, ...] = ()
    default_reasoning: str | None = None
    price: str | None = None
    is_listed: bool = True
    successor: str | None = None
    notes: str | None = None
    as_of: str = ""
    source: str = ""


# --- what programs are told --------------------------------------------------------------------------------------------

ENVIRONMENT: Fields[Environment] = {
    "id": ("what is sent to the service", lambda e: e.id),
    "label": ("its name for people", lambda e: e.label),
    "repositories": ("repositories it holds", lambda e: e.repositories),
    "default_branch": ("where tasks start unless told otherwise", lambda e: e.default_branch),
    "is_pinned": ("whether it is pinned", lambda e: e.is_pinned),
    "task_count": ("how many tasks it had", lambda e: e.task_count),
}

MODEL: Fields[Model] = {
    "id": ("what `--model` takes", lambda m: m.id),
    "context": ("context window in tokens", lambda m: m.context),
    "max_context": ("largest context window in tokens", lambda m: m.max_context),
    "max_output": ("largest answer in tokens", lambda m: m.max_output),
    "reasoning": ("levels of reasoning", lambda m: m.reasoning),
    "default_reasoning": ("level unless told otherwise", lambda m: m.default_reasoning),
    "price": ("what it costs", lambda m: m.price),
    "is_listed": ("whether the service shows it", lambda m: m.is_listed),
    "successor": ("what the service says to use instead", lambda m: m.successor),
    "notes": ("what else is known", lambda m: m.notes),
    "as_of": ("the date of this entry", lambda m: m.as_of),
    "source": ("where it was read", lambda m: m.source),
}
