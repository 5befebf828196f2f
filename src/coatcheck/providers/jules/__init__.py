"""Google's Jules (jules.googleapis.com, v1alpha).

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import JulesProvider


def jules(settings: Settings) -> JulesProvider:
    """Return the provider of Jules; raises `ConfigurationError` for a setting that is none.

    ``base_url`` is where the service is. ``plan`` (free, pro or ultra) is the plan whose quota `get_usage` counts against.
    ``environment_variables`` (true or false) is whether sessions see the variables that the repository has in the
    web app; without it the service decides.
    """
    from .endpoints import Service
    from .provider import JulesProvider

    return JulesProvider(Service.of(settings))
