"""The services that can be used, and whether there is a login for each; without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .._runtime.provider_lookup import provider_names

if TYPE_CHECKING:
    from .task_session import TaskSession


class KnownProvider(NamedTuple):
    """A provider; `is_logged_in` is None and `problem` a sentence where that is not known."""

    name: str
    verbs: tuple[str, ...] = ()
    is_logged_in: bool | None = None
    is_default: bool = False
    problem: str | None = None


def list_providers(session: TaskSession) -> list[KnownProvider]:
    """Return every installed and described provider, sorted by name."""
    return [_known(session, name) for name in provider_names(session.workspace.config)]


def _known(session: TaskSession, name: str) -> KnownProvider:
    is_default = name == session.workspace.provider
    verbs: tuple[str, ...] = ()
    try:
        client = session.client(name)
        verbs = tuple(sorted(client.capabilities.verbs))
        is_logged_in = client.tokens.get_status().is_logged_in
    except errors.CoatcheckError as error:  # one that is not configured is listed with its reason
        return KnownProvider(name, verbs, None, is_default, " ".join(str(error).split()))
    return KnownProvider(name, verbs, is_logged_in, is_default)
