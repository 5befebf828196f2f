"""What can be asked for: environments and models."""

from __future__ import annotations

from .value import Value


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
