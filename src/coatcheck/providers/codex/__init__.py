"""OpenAI's Codex Cloud ("WHAM"), and the local cloud, which has the same protocol.

Nothing is imported until a factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .local_provider import LocalProvider
    from .provider import CodexProvider


def codex(settings: Settings) -> CodexProvider:
    """Return the provider of Codex Cloud; raises `ConfigurationError` for a base URL that is none.

    Without the setting, the official client's variable is used (docs/reference/protocols/codex-wham.md, "1.2 Who uses
    which setting").
    """
    from .._chatgpt.credentials import LOGIN
    from .endpoints import CODEX_BASE_URL, Service
    from .provider import CodexProvider

    return CodexProvider(Service.at(CODEX_BASE_URL.read(settings) or "", name="codex"), LOGIN)


def local(settings: Settings) -> LocalProvider:
    """Return the provider of the local cloud at the setting ``base_url``.

    Raises `ConfigurationError` with the command that starts one if its address is not known.
    """
    from ...provider import errors
    from .._chatgpt.credentials import LOCAL_LOGIN
    from .endpoints import LOCAL_BASE_URL, LOCAL_SERVER_HINTS, Service
    from .local_provider import LOCAL_CAPABILITIES, LocalProvider

    base_url = LOCAL_BASE_URL.read(settings)
    if base_url is None:
        raise errors.ConfigurationError("no local cloud is running", remedy=LOCAL_LOGIN.remedy)
    service = Service.at(base_url, name="local")
    return LocalProvider(service, LOCAL_LOGIN, LOCAL_CAPABILITIES, (LOCAL_BASE_URL,), LOCAL_SERVER_HINTS, task_pages=())
