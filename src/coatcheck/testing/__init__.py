"""Fakes for tests of programs that use the library: a scripted cloud, emulators of services, a clock, transports.

`ScriptedCloud` implements the HTTP API of Codex Cloud. A client reaches it by `EmulatorTransport` or
`AsyncEmulatorTransport`, or over a socket with `serving`; `faults` describe errors. Names are imported on first use.
"""

from __future__ import annotations

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
    from .emulators.a2a import A2AEmulator as A2AEmulator
    from .emulators.aws_lambda import LambdaEmulator as LambdaEmulator
    from .emulators.batches import (
        AnthropicBatchEmulator as AnthropicBatchEmulator,
        OpenAIBatchEmulator as OpenAIBatchEmulator,
    )
    from .emulators.claude_agents import ClaudeAgentsEmulator as ClaudeAgentsEmulator
    from .emulators.cursor import CursorEmulator as CursorEmulator
    from .emulators.generic_http import Http202Emulator as Http202Emulator
    from .emulators.github import GithubEmulator as GithubEmulator
    from .emulators.jules import JulesEmulator as JulesEmulator
    from .emulators.openai_agents import OpenAIAgentsEmulator as OpenAIAgentsEmulator
    from .emulators.openhands import OpenHandsEmulator as OpenHandsEmulator
    from .emulators.openhands_cloud import OpenHandsCloudEmulator as OpenHandsCloudEmulator
    from .fake_clock import FakeClock as FakeClock
    from .memory_journal import MemoryJournal as MemoryJournal

_HOMES = {
    "A2AEmulator": "testing.emulators.a2a",
    "AnthropicBatchEmulator": "testing.emulators.batches",
    "AsyncEmulatorTransport": "testing.emulator_transport",
    "AttemptScript": "cloud.scripted_cloud",
    "Both": "testing.both_clients",
    "ClaudeAgentsEmulator": "testing.emulators.claude_agents",
    "CloudEnvironment": "cloud.models",
    "CloudFailure": "cloud.models",
    "CloudFile": "cloud.models",
    "CloudResult": "cloud.models",
    "CursorEmulator": "testing.emulators.cursor",
    "EmulatorTransport": "testing.emulator_transport",
    "FakeClock": "testing.fake_clock",
    "GithubEmulator": "testing.emulators.github",
    "Handler": "testing.emulator_transport",
    "Http202Emulator": "testing.emulators.generic_http",
    "JulesEmulator": "testing.emulators.jules",
    "LambdaEmulator": "testing.emulators.aws_lambda",
    "MemoryJournal": "testing.memory_journal",
    "OpenAIAgentsEmulator": "testing.emulators.openai_agents",
    "OpenAIBatchEmulator": "testing.emulators.batches",
    "OpenHandsCloudEmulator": "testing.emulators.openhands_cloud",
    "OpenHandsEmulator": "testing.emulators.openhands",
    "ProviderConformance": "testing.conformance",
    "ScriptedCloud": "cloud.scripted_cloud",
    "Transcript": "testing.conformance",
    "faults": "cloud",
    "serving": "cloud.http_server",
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
