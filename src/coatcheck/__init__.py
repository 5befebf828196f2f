"""Hand a coding task to a cloud agent, get a ticket at once, come back for the patch.

Everything public is here, in `coatcheck.errors`, in `coatcheck.provider` (for authors of providers) and in
`coatcheck.testing`. Names are imported when they are first used, so ``import coatcheck`` costs almost nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import errors as errors
    from ._credentials.oauth import DeviceCode as DeviceCode
    from ._credentials.status import LoginStatus as LoginStatus
    from ._engine.backoff import RetryPolicy as RetryPolicy
    from ._engine.submit import Resumed as Resumed
    from ._model.catalogue import Environment as Environment, Model as Model
    from ._model.outcome import (
        Artifact as Artifact,
        Attempt as Attempt,
        Citation as Citation,
        DiffStats as DiffStats,
        Failure as Failure,
        FileLines as FileLines,
        FileSnapshot as FileSnapshot,
        Message as Message,
        Notice as Notice,
        Outcome as Outcome,
        PatchState as PatchState,
        Plan as Plan,
        PlanStep as PlanStep,
        PullRequest as PullRequest,
    )
    from ._model.states import TaskState as TaskState
    from ._model.tasks import (
        Page as Page,
        Task as Task,
        TaskEvent as TaskEvent,
        TaskRef as TaskRef,
        TaskSpec as TaskSpec,
    )
    from ._model.usage import (
        Credits as Credits,
        RateLimit as RateLimit,
        RateWindow as RateWindow,
        SpendControl as SpendControl,
        Usage as Usage,
    )
    from ._patches.parse import Patch as Patch
    from ._protocol.credentials import Tokens as Tokens
    from ._runtime.asynchronous import AsyncClient as AsyncClient
    from ._runtime.blocking import Client as Client
    from ._runtime.tokens import AsyncTokenManager as AsyncTokenManager, TokenManager as TokenManager
    from ._version import __version__ as __version__

_HOMES = {
    "AsyncClient": "_runtime.asynchronous",
    "AsyncTokenManager": "_runtime.tokens",
    "Artifact": "_model.outcome",
    "Attempt": "_model.outcome",
    "Citation": "_model.outcome",
    "Client": "_runtime.blocking",
    "Credits": "_model.usage",
    "DeviceCode": "_credentials.oauth",
    "DiffStats": "_model.outcome",
    "Environment": "_model.catalogue",
    "Failure": "_model.outcome",
    "FileLines": "_model.outcome",
    "FileSnapshot": "_model.outcome",
    "LoginStatus": "_credentials.status",
    "Message": "_model.outcome",
    "Model": "_model.catalogue",
    "Notice": "_model.outcome",
    "Outcome": "_model.outcome",
    "Page": "_model.tasks",
    "Patch": "_patches.parse",
    "PatchState": "_model.outcome",
    "Plan": "_model.outcome",
    "PlanStep": "_model.outcome",
    "PullRequest": "_model.outcome",
    "RateLimit": "_model.usage",
    "RateWindow": "_model.usage",
    "Resumed": "_engine.submit",
    "RetryPolicy": "_engine.backoff",
    "SpendControl": "_model.usage",
    "Task": "_model.tasks",
    "TaskEvent": "_model.tasks",
    "TaskRef": "_model.tasks",
    "TaskSpec": "_model.tasks",
    "TaskState": "_model.states",
    "TokenManager": "_runtime.tokens",
    "Tokens": "_protocol.credentials",
    "Usage": "_model.usage",
    "__version__": "_version",
    "errors": "",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one list, kept once


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    home = _HOMES[name]
    value = getattr(import_module(f"{__name__}.{home}"), name) if home else import_module(f"{__name__}.{name}")
    if isinstance(value, type):
        value.__module__ = __name__  # tracebacks and docs show the public name
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
