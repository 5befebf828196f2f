"""The structures of the service that differ from those of a host; see `..wire` for the others."""

from __future__ import annotations

import msgspec


class Repository(msgspec.Struct):
    """A repository of an environment; the service names it by GitHub's number."""

    repository_id: str | None = None
    ref: str | None = None


class EnvironmentConfig(msgspec.Struct):
    """An environment: the repositories and the machine of a thread. Its other fields may hold secrets and are not read."""

    id: str
    name: str | None = None
    status: str | None = None
    repositories: list[Repository] | None = None


class EnvironmentPage(msgspec.Struct):
    """The answer to ``GET /v1/environment-configs``, whose names are in snake case."""

    data: list[EnvironmentConfig]
    next_cursor: str | None = None
