"""The agents that `coatcheck serve --agent NAME` knows: an ACP agent where one is installed, else the program's own command.

Guarantee: nothing is downloaded, and no program is run to find out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence

from .. import errors
from .._installation import install_command
from .._values.value import Value

ACP = "acp:"


class AgentCommand(Value, frozen=True, kw_only=True):
    """The command of an agent, and whether it is an ACP agent. `hint` is what the ACP agent needs, where it is not used."""

    command: tuple[str, ...]
    is_acp: bool = False
    hint: str | None = None


class Preset(Value, frozen=True, kw_only=True):
    """The commands of an agent: those with ACP first, then the program's own, and how they are installed."""

    acp: tuple[tuple[str, ...], ...]
    command: tuple[str, ...] | None = None
    acp_install: str | None = None
    install: str


PRESETS: Mapping[str, Preset] = {
    "codex": Preset(
        acp=(("codex-acp",),),
        command=("codex", "exec", "--sandbox", "workspace-write", "--", "{prompt}"),
        acp_install="npm install --global @zed-industries/codex-acp",
        install="npm install --global @openai/codex",
    ),
    "claude": Preset(
        acp=(("claude-agent-acp",), ("claude-code-acp",)),
        command=("claude", "-p", "{prompt}", "--permission-mode", "acceptEdits"),
        acp_install="npm install --global @agentclientprotocol/claude-agent-acp",
        install="npm install --global @anthropic-ai/claude-code",
    ),
    "gemini": Preset(acp=(("gemini", "--acp"),), install="npm install --global @google/gemini-cli"),
    "opencode": Preset(acp=(("opencode", "acp"),), install="npm install --global opencode-ai"),
    "aider": Preset(
        acp=(),
        command=("aider", "--yes-always", "--message={prompt}"),
        install="python -m pip install aider-install, then aider-install",
    ),
}


def find_agent(name: str, *, path: str | None, has_acp: bool) -> AgentCommand:
    """Return the best command of a preset that is in *path*; *has_acp* is whether the library for ACP is installed.

    Raises `ConfigurationError` where nothing is installed.
    """
    preset = PRESETS[name]
    is_installed: Callable[[Sequence[str]], bool] = lambda command: shutil.which(command[0], path=path) is not None  # noqa: E731 - used twice
    found = next(filter(is_installed, preset.acp), None)
    if found is not None and has_acp:
        return AgentCommand(command=found, is_acp=True)
    hint = _hint(preset, is_adapter_missing=found is None)
    if preset.command is not None and is_installed(preset.command):
        return AgentCommand(command=preset.command, hint=hint)
    if found is not None:
        raise errors.ConfigurationError(
            f"{found[0]} is an ACP agent, which needs the Python package agent-client-protocol",
            remedy=f"install it with: {install_command('acp')}",
        )
    programs = [*(command[0] for command in preset.acp), *(preset.command or ())[:1]]
    raise errors.ConfigurationError(
        f"the agent {name} is not installed: {' and '.join(dict.fromkeys(programs))} {'is' if len(set(programs)) == 1 else 'are'} not in PATH",
        remedy=f"install it: {preset.acp_install or preset.install}",
    )


def _hint(preset: Preset, *, is_adapter_missing: bool) -> str | None:
    """Return what progress and permission requests need, None where the agent has neither."""
    if not preset.acp:
        return None
    what = preset.acp_install or preset.install
    missing = what if is_adapter_missing else install_command("acp")
    return f"with ACP it would report progress, usage and permission requests: {missing}"
