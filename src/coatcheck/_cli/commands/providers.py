"""`providers` prints the commands that each provider supports, and writes a new provider."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ... import errors
from ..._protocol.provider import Support, Verb
from ..._runtime.provider_lookup import provider_names, provider_of
from ..command_group import CommandGroup
from ..console import Line, Styled
from ..context import CommandContext
from ..json_output import Fields, read
from ..spec_options import SPEC_OPTIONS, VERB_COMMANDS, option_of
from ..tables import table
from ..text_width import columns

if TYPE_CHECKING:
    from ..._protocol.provider import Capabilities


providers_command = CommandGroup(
    "providers",
    default="list",
    help="""List the commands that each provider supports, show those of one, or write a new one.

    "documented": the service's own client or documentation has it; "observed": it works, but is not documented.
    """,
)
name_argument = click.argument("name")


@providers_command.subcommand("list", examples="coatcheck providers")
def list_providers(run: CommandContext) -> None:
    """List the commands that each provider supports.

    --json has the methods of Python clients in place of commands.
    """
    known = {name: _capabilities_or_error(run, name) for name in provider_names(run.config)}
    run.answer(
        lambda: {"providers": [_entry(name, can) for name, can in known.items()]},
        lambda: _matrix(run, {name: can for name, can in known.items() if not isinstance(can, errors.CoatcheckError)}),
    )
    for can in known.values():
        if isinstance(can, errors.CoatcheckError):
            run.note(f"coatcheck: warning: {' '.join(str(can).split())}")


@providers_command.subcommand(
    "show",
    examples="""
coatcheck providers show codex
coatcheck providers show codex --json
""",
)
@name_argument
def show_provider(run: CommandContext, *, name: str) -> None:
    """Print the commands and options that a provider supports, and why others are missing."""
    capabilities = capabilities_of(run, name)
    run.answer(lambda: document(name, capabilities), lambda: _lines(run, name, capabilities))


@providers_command.subcommand(
    "new",
    examples="""
coatcheck providers new acme --folder coatcheck-acme
coatcheck providers new acme --built-in
""",
)
@name_argument
@click.option(
    "--folder",
    metavar="PATH",
    help="Where to write it (default: coatcheck-NAME in this folder; with --built-in, this folder).",
)
@click.option("--built-in", is_flag=True, help="Write a built-in provider into a checkout of coatcheck.")
@click.option("--json-rpc", is_flag=True, help="For a service that speaks JSON-RPC over a WebSocket.")
def write_provider(run: CommandContext, *, name: str, folder: str | None, built_in: bool, json_rpc: bool) -> None:
    """Write a new provider.

    It is a separate package, or a built-in provider in a checkout of coatcheck. It passes the conformance tests before
    you change it.
    """
    from .. import scaffolding  # rarely used

    default = "" if built_in else f"coatcheck-{name.replace('_', '-')}"
    folder = os.path.normpath(os.path.join(run.process_env.folder, folder or default))
    write = scaffolding.write_built_in if built_in else scaffolding.write
    paths = write(name, folder, is_json_rpc=json_rpc)
    run.answer(
        lambda: {"name": name, "folder": folder, "files": paths},
        lambda: [*(os.path.join(folder, path) for path in paths)],
    )
    test = (
        f"make generate && make test TESTS=tests/providers/{name}" if built_in else "pip install -e '.[test]' && pytest"
    )
    run.note(
        f"{name} is an invented service: change wire.py and extract.py to the responses of yours.",
        f"Try it: cd {folder} && {test}",
    )


def _capabilities_or_error(run: CommandContext, name: str) -> Capabilities | errors.CoatcheckError:
    try:
        return capabilities_of(run, name)
    except errors.CoatcheckError as error:  # a broken plug-in is one line, and the others are listed
        return error


def _entry(name: str, can: Capabilities | errors.CoatcheckError) -> dict[str, object]:
    return {"name": name, "error": str(can)} if isinstance(can, errors.CoatcheckError) else document(name, can)


# Two verbs are used by one command.
LABELS = {**VERB_COMMANDS, "approve_plan": "approve (plan)", "decide_permission": "approve (permission)"}


def _matrix(run: CommandContext, known: dict[str, Capabilities]) -> list[Line]:
    """Return a column for each provider, or a line for each where the terminal is too narrow."""
    width = run.console.max_width
    rows = [
        (name, *(can.verbs[verb].value if verb in can.verbs else "-" for can in known.values()))
        for verb, name in ((Verb(verb), name) for verb, name in LABELS.items())
        if any(verb in can.verbs for can in known.values())
    ]
    lines = table(("COMMAND", *known), rows, width=None)
    if width is None or all(columns(line.text if isinstance(line, Styled) else str(line)) <= width for line in lines):
        return lines
    compact = [(name, *(_commands(can, support) for support in Support)) for name, can in known.items()]
    return table(("PROVIDER", *(support.name for support in Support)), compact, width=width)


def _commands(can: Capabilities, support: Support) -> str:
    return ", ".join(name for verb, name in LABELS.items() if can.verbs.get(Verb(verb)) is support)


def capabilities_of(run: CommandContext, name: str) -> Capabilities:
    """Return the capabilities of the provider *name*: as it is configured, else without settings. Sends no request."""
    try:
        return provider_of(name, run.config).capabilities
    except errors.ConfigurationError:  # such as one without the address that it needs
        pass
    return provider_of(name, run.config, settings=OfflineSettings(run.config.get(f"{name}.base_url"))).capabilities


class OfflineSettings:
    """Settings of a provider that sends no request: any base URL will do."""

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url

    def get(self, name: str, *, variable: str | None = None) -> str | None:  # noqa: ARG002 - the signature of Settings
        """Return the base URL, and nothing else."""
        return (self._base_url or "http://127.0.0.1") if name == "base_url" else None


CAPABILITIES: Fields[Capabilities] = {
    "verbs": (
        'each verb with "documented" or "observed"',
        lambda c: {verb: support.value for verb, support in sorted(c.verbs.items())},
    ),
    "missing": ("verbs that it lacks, and why", lambda c: dict(sorted(c.reasons.items()))),
    "options": ("the options of a submission", lambda c: sorted(c.options)),
    "modes": ('"code", "ask"', lambda c: sorted(c.modes)),
    "max_attempts": ("the largest number of attempts", lambda c: c.max_attempts),
    "result": ("where the change of a task comes from", lambda c: c.result),
    "cost": ("where the cost or the tokens of a task are reported", lambda c: c.cost),
    "notes": ("further notes", lambda c: list(c.notes)),
}


def document(name: str, can: Capabilities) -> dict[str, object]:
    """Return capabilities as a JSON object."""
    return {"name": name, **read(CAPABILITIES, can)}


def _lines(run: CommandContext, name: str, can: Capabilities) -> list[Line]:
    rows = [(name, can.verbs[Verb(verb)].value) for verb, name in LABELS.items() if verb in can.verbs]
    rows += [(name, f"no: {can.reasons[Verb(verb)]}") for verb, name in LABELS.items() if verb in can.reasons]
    return [
        Styled(name, "bold"),
        *table(("COMMAND", "SUPPORT"), rows, width=run.console.max_width),
        "",
        f"options: {_options(can)}",
        f"modes: {', '.join(sorted(can.modes))}",
        f"attempts: 1 to {can.max_attempts}" if can.max_attempts > 1 else "attempts: 1",
        *(f"{name}: {text}" for name, text in (("change", can.result), ("cost", can.cost)) if text),
        *can.notes,
    ]


def _options(can: Capabilities) -> str:
    """Return the options that a submission may have, those of the command line first."""
    known = {option.field for option in SPEC_OPTIONS}
    words = sorted(option_of(field) for field in can.options & known)
    words += sorted(f"{field} (Python)" for field in can.options - known)
    return ", ".join(words) or "none"
