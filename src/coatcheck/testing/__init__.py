"""Fakes for tests of programs that use the library: a scripted cloud, emulators of services, a clock, transports.

`ScriptedCloud` implements the HTTP API of Codex Cloud. A client reaches it by `EmulatorTransport` or
`AsyncEmulatorTransport`, or over a socket with `serving`; `faults` describe errors. Names are imported on first use.
"""

from __future__ import annotations

from . import emulators

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..cloud import faults as faults
    from ..cloud.http_server import serving as serving
    from ..cloud.models import (
        CloudEnvironment as CloudEnvironment,
        CloudFailure as CloudFailure,
        CloudFile as CloudFile,
        CloudResult as CloudResult,
    )
    from ..cloud.scripted_cloud import AttemptScript as AttemptScript, ScriptedCloud as ScriptedCloud
    from .both_clients import Both as Both
    from .conformance import (
        ProviderConformance as ProviderConformance,
        Transcript as Transcript,
    )
    from .emulator_transport import (
        AsyncEmulatorTransport as AsyncEmulatorTransport,
        EmulatorTransport as EmulatorTransport,
        Handler as Handler,
    )
    from .emulators import *  # noqa: F403 - the names in its __all__
    from .fake_clock import FakeClock as FakeClock
    from .memory_journal import MemoryJournal as MemoryJournal

_HOMES = {
    "AsyncEmulatorTransport": "testing.emulator_transport",
    "AttemptScript": "cloud.scripted_cloud",
    "Both": "testing.both_clients",
    "CloudEnvironment": "cloud.models",
    "CloudFailure": "cloud.models",
    "CloudFile": "cloud.models",
    "CloudResult": "cloud.models",
    "EmulatorTransport": "testing.emulator_transport",
    "FakeClock": "testing.fake_clock",
    "Handler": "testing.emulator_transport",
    "MemoryJournal": "testing.memory_journal",
    "ProviderConformance": "testing.conformance",
    "ScriptedCloud": "cloud.scripted_cloud",
    "Transcript": "testing.conformance",
    "faults": "cloud",
    "serving": "cloud.http_server",
    **dict.fromkeys(emulators.__all__, "testing.emulators"),
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one list, kept once


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    home = f"coatcheck.{_HOMES[name]}"
    globals()[name] = value = (
        import_module(f"{home}.{name}") if name == "faults" else getattr(import_module(home), name)
    )
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
