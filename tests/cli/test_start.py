from __future__ import annotations

import subprocess
import sys

import pytest

LISTING = (
    "import io, sys\n"
    "from coatcheck._cli.app import run\n"
    "from coatcheck._cli.console import Console\n"
    "from coatcheck._cli.process_env import ProcessEnv\n"
    "from coatcheck.errors import TransportError\n"
    "class Refused:\n"
    "    def __getattr__(self, name):\n"
    "        raise SystemExit\n"
    "console = Console(io.BytesIO(), io.BytesIO(), environ={})\n"
    "environ = {'HOME': '/nonexistent', 'CODEX_ACCESS_TOKEN': 'made-up'}\n"
    "try:\n"
    "    run(['list', '--json'], ProcessEnv(environ=environ, folder='/', stdin=io.BytesIO(), console=console,\n"
    "        transport=Refused()))\n"
    "except SystemExit:\n"
    "    pass\n"
    "print(*sys.modules)\n"
)
MAIN = (
    "import sys\n"
    "from coatcheck._cli import main\n"
    "def leave(code):\n"
    "    print(*sys.modules)\n"
    "    sys.exit(code)\n"
    "main.leave = leave\n"
    "sys.argv[1:] = [{!r}]\n"
    "main.main()"
)


def modules_after(code: str) -> set[str]:
    """Return the modules that a new interpreter has imported after *code*."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=240, text=True)
    return set(done.stdout.splitlines()[-1].split())


def test_a_list_imports_nothing_of_waits() -> None:
    """`list` imports neither what waits need, nor what only errors, terminals and other commands need."""
    unneeded = {
        "_engine.poll_many",
        "_engine.poll_one",
        "_engine.event_diff",
        "_cli.usage_errors",
        "_cli.error_context",
        "_cli.spec_options",
        "_cli.editor",
        "_cli.highlighting",
        "_app.submit",
        "_app.batch",
        "_engine.submit",
        "_store",
        "_protocol.repositories",
        "providers.codex.environments",
        "providers.codex.rate_limits",
        "providers.codex.turn_events",
        "cloud",
    }
    modules = modules_after(LISTING)

    assert "coatcheck._engine.operations" in modules
    assert set() == modules & {"urllib.parse", "ipaddress", *(f"coatcheck.{name}" for name in unneeded)}


@pytest.mark.parametrize("argument", ["--version", "-V", "version"])
def test_the_version_imports_no_command(argument: str) -> None:
    """The version is printed before click and the commands are imported."""
    assert set() == modules_after(MAIN.format(argument)) & {"click", "msgspec", "coatcheck._cli.app"}


@pytest.mark.parametrize(("command", "expected"), [("history", {"history", "listing"}), ("fleet list", {"fleet"})])
def test_a_group_imports_its_own_commands(command: str, expected: set[str]) -> None:
    """A command of a group imports its module, and no other command's."""
    code = MAIN.format("").replace("['']", repr(command.split()))
    prefix = "coatcheck._cli.commands."

    assert expected == {name.removeprefix(prefix) for name in modules_after(code) if name.startswith(prefix)}
