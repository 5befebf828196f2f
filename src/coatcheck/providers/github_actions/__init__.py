"""GitHub Actions: a run of a dispatched workflow is a task.

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import ActionsProvider


def github_actions(settings: Settings) -> ActionsProvider:
    """Return the provider of GitHub Actions; raises `ConfigurationError` for a setting that is none.

    ``base_url`` is where the API is: an enterprise server's own address will do. ``repository`` and ``workflow`` are
    taken where a task names none. ``inputs`` (``name=value, …``) are sent with every task, ``prompt_input`` and
    ``key_input`` are what the workflow calls its prompt and its task id, ``artifact`` what it calls its result.
    ``force_cancel`` cancels also what runs ``always()``. ``api_version`` is for servers with another version.
    """
    from .provider import ActionsProvider
    from .workflow_settings import Service

    return ActionsProvider(Service.of(settings))
