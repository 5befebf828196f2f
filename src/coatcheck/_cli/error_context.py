"""Add to an error of a service what the command has: the task that it names, and a local cloud that could be used."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from .. import errors
from .._protocol.registry import LOCAL_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._model.tasks import TaskRef

# A command in a remedy that takes the options of the service; it ends with the remedy or before the next part of it.
SERVICE_COMMAND = (
    r"\bcoatcheck (?:run|submit|wait|watch|status|list|message|approve|cancel|archive|unarchive|delete|show|open"
    r"|attempts|pr|diff|apply(?! --undo)|usage|environments)\b[^;,)]*"
)


def in_context(
    error: errors.CoatcheckError, *, provider: str, refs: Sequence[TaskRef], environ: Mapping[str, str]
) -> errors.CoatcheckError:
    """Return *error*, with the ref where a service has no such task, and with a hint where a local cloud runs."""
    if isinstance(error, errors.NotFoundError) and len(set(refs)) == 1:
        return _unknown_task(error, refs[0])
    if type(error) is errors.NotLoggedInError and str(error) == str(errors.NotLoggedInError()):
        error = errors.NotLoggedInError(f"there is no login for {provider}", remedy=error.remedy)
    is_needed = isinstance(error, errors.NotLoggedInError) and "logged out" not in str(error)
    if is_needed and provider != LOCAL_PROVIDER and _has_local_cloud(environ):
        hint = f"a local cloud runs on this machine: use it with --provider {LOCAL_PROVIDER}"
        error.remedy = f"{error.remedy}; {hint}" if error.remedy else hint
    return error


def _unknown_task(error: errors.NotFoundError, ref: TaskRef) -> errors.NotFoundError:
    """Return the error of a service that has no task *ref*, with the service's own message."""
    detail = f": {error.detail}" if error.detail else ""
    return errors.NotFoundError(
        f"{ref.provider} has no task {ref} (HTTP {error.status}{detail})",
        status=error.status,
        detail=error.detail,
        request_id=error.request_id,
        remedy=f"see the latest tasks with: coatcheck list --provider {ref.provider}",
    )


def _has_local_cloud(environ: Mapping[str, str]) -> bool:
    from .._runtime.server_record import running_servers

    return bool(running_servers(environ))


def with_service_options(remedy: str, options: Mapping[str, str | None]) -> str:
    """Return *remedy* with the *options* that have a value added to each command in it that uses the service."""
    words = [word for name, value in options.items() if value is not None for word in (name, shlex.quote(value))]
    return re.sub(SERVICE_COMMAND, lambda command: " ".join([command[0], *words]), remedy)
