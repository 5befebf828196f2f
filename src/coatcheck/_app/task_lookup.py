"""Find the task that a ref, an id or a URL names, and the local server that has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .field_errors import FieldError

if TYPE_CHECKING:
    from .._model.tasks import TaskRef
    from .workspace import Workspace


def find_ref(text: str, workspace: Workspace, *, provider: str | None = None, base_url: str | None = None) -> TaskRef:
    """Return the task that *text* names: ``PROVIDER:ID``, an id, the URL of its page, ``@last`` or ``@N``.

    An id may be cut where one task that was submitted or seen from here has an id that begins so (`recent_tasks`).
    *provider* and *base_url* are what the caller chose explicitly, None where nothing was chosen. Raises
    `ConfigurationError` for a task of another provider than the explicit one.
    """
    from .._model.tasks import TaskRef
    from .recent_tasks import find_by_prefix, find_recent  # a list names no task

    text = text.strip()
    if text.startswith("@"):
        return find_recent(text, workspace, provider=provider)
    if "://" in text:
        ref = _find_by_url(text, workspace, is_explicit=bool(provider or base_url), base_url=base_url)
    else:
        is_named = ":" in text or provider is not None
        ref = find_by_prefix(TaskRef.parse(text, provider=workspace.provider), workspace, is_named=is_named)
    if provider is not None and ref.provider != provider:
        raise FieldError(
            "{ref} is a task of {actual}, not of {chosen}",
            ref=ref,
            actual=ref.provider,
            chosen=provider,
            fields=("provider",),
            remedy="leave out {provider}",
        )
    return ref


def _find_by_url(url: str, workspace: Workspace, *, is_explicit: bool, base_url: str | None) -> TaskRef:
    """Return the task whose page is *url*: of the configured provider, of a local server, or of a known site."""
    from .._model.task_urls import is_loopback_page
    from .._model.tasks import TaskRef
    from .._runtime.server_record import LOCAL, running_server
    from .._runtime.session import Options, origins_of_client

    if is_loopback_page(url) and not is_explicit:
        server = running_server(workspace.environ)
        if server is not None and url.startswith(f"{server.url.removesuffix('/backend-api')}/"):
            return TaskRef.parse(url, provider=LOCAL)
    options = Options(
        provider=workspace.provider, config=workspace.config, environ=workspace.environ, base_url=base_url
    )
    return TaskRef.parse(url, provider=workspace.provider, origins=origins_of_client(options))


def local_server_url(
    provider: str, workspace: Workspace, *, refs: Sequence[TaskRef] = (), environment: str | None = None
) -> str | None:
    """Return the URL of the local server to use; None for other providers, and where the client finds the only one.

    Of several servers it is the one that has the tasks *refs*, or that serves *environment*, else the configured
    environment, else the checkout. Raises `ConfigurationError` where none or several fit.
    """
    from .._runtime.server_record import LOCAL, running_server, running_servers

    if provider != LOCAL or workspace.config.get(f"{LOCAL}.base_url") or len(running_servers(workspace.environ)) < 2:
        return None
    name = environment or workspace.config.get("environment")
    ids = [ref.id for ref in refs if ref.provider == LOCAL]
    environments = [name] if name else workspace.environment_names()
    server = running_server(workspace.environ, environments=environments, tasks=ids)
    return server.url if server else None
