"""Environments and models of a service."""

from __future__ import annotations

from typing import ClassVar

from .._values.value import JsonFields, Value


class Environment(Value, frozen=True, kw_only=True):
    """A prepared place where tasks run.

    Only what is needed to choose one is kept: the service's answer can carry secrets
    (docs/reference/protocols/codex-wham.md, 2.5).
    """

    id: str
    label: str | None = None
    repositories: tuple[str, ...] = ()
    default_branch: str | None = None
    is_pinned: bool = False
    task_count: int | None = None

    _json: ClassVar[JsonFields] = {
        "id": "what is sent to the service",
        "label": "its name for people",
        "repositories": "repositories it holds",
        "default_branch": "the branch where tasks start by default",
        "is_pinned": "whether it is pinned",
        "task_count": "how many tasks it had",
    }


class Model(Value, frozen=True, kw_only=True):
    """A model of the service, current or retired.

    Token counts; None where they are not known. `as_of` is the date the entry was read (ISO 8601), `source` where.
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

    _json: ClassVar[JsonFields] = {
        "id": "what `--model` takes",
        "context": "context window in tokens",
        "max_context": "largest context window in tokens",
        "max_output": "largest answer in tokens",
        "reasoning": "levels of reasoning",
        "default_reasoning": "the default level",
        "price": "what it costs",
        "is_listed": "whether the service shows it",
        "successor": "the model that the service recommends instead",
        "notes": "what else is known",
        "as_of": "the date of this entry",
        "source": "where it was read",
    }
