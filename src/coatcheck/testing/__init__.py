"""Fakes for programs that use the library: a cloud that lives by a script, time that passes on demand, no network.

`ScriptedCloud` speaks as Codex Cloud does. Put it behind a client with `EmulatorTransport` or its asynchronous twin,
or behind a socket with `serving`; `faults` makes it misbehave. Names are imported when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..cloud import faults as faults
    from ..cloud.records import (
        CloudEnvironment as CloudEnvironment,
        CloudFailure as CloudFailure,
        CloudFile as CloudFile,
        CloudResult as CloudResult,
    )
    from ..cloud.scripted import AttemptScript as AttemptScript, ScriptedCloud as ScriptedCloud
    from ..cloud.server import serving as serving
    from .clients import Both as Both
    from .clock import FakeClock as FakeClock
    from .conformance import (
        ProviderConformance as ProviderConformance,
        Transcript as Transcript,
    )
    from .emulator import (
        AsyncEmulatorTransport as AsyncEmulatorTransport,
        EmulatorTransport as EmulatorTransport,
        Handler as Handler,
    )
    from .emulators.aws_lambda import LambdaEmulator as LambdaEmulator
    from .emulators.batches import (
        AnthropicBatchEmulator as AnthropicBatchEmulator,
        OpenAIBatchEmulator as OpenAIBatchEmulator,
    )
    from .emulators.github import GithubEmulator as GithubEmulator
    from .emulators.http202 import Http202Emulator as Http202Emulator
    from .emulators.jules import JulesEmulator as JulesEmulator
    from .journal import MemoryJournal as MemoryJournal

_HOMES = {
    "AnthropicBatchEmulator": "testing.emulators.batches",
    "AsyncEmulatorTransport": "testing.emulator",
    "AttemptScript": "cloud.scripted",
    "Both": "testing.clients",
    "CloudEnvironment": "cloud.records",
    "CloudFailure": "cloud.records",
    "CloudFile": "cloud.records",
    "CloudResult": "cloud.records",
    "EmulatorTransport": "testing.emulator",
    "FakeClock": "testing.clock",
    "GithubEmulator": "testing.emulators.github",
    "Handler": "testing.emulator",
    "Http202Emulator": "testing.emulators.http202",
    "JulesEmulator": "testing.emulators.jules",
    "LambdaEmulator": "testing.emulators.aws_lambda",
    "MemoryJournal": "testing.journal",
    "OpenAIBatchEmulator": "testing.emulators.batches",
    "ProviderConformance": "testing.conformance",
    "ScriptedCloud": "cloud.scripted",
    "Transcript": "testing.conformance",
    "faults": "cloud",
    "serving": "cloud.server",
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
