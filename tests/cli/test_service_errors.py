"""What a person sees of services that refuse, of tasks that are gone, and of runs that wait: the same with each service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.cli_support import Cli

from coatcheck.cloud.faults import Body, Status
from coatcheck.testing import (
    ClaudeAgentsEmulator,
    CursorEmulator,
    OpenAIAgentsEmulator,
    OpenHandsCloudEmulator,
    OpenHandsEmulator,
)
from coatcheck.testing.emulators import claude_agents, openai_agents
from coatcheck.testing.emulators.codex_app_server import CodexAppServerEmulator
from coatcheck.testing.emulators.codex_cloud_threads import CodexCloudThreadsEmulator
from coatcheck.testing.emulators.codex_threads import Pause, Step, ordinary_turn

URL, SOCKET = "http://127.0.0.1:9", "ws://127.0.0.1:9"
UNKNOWN = "01a22287-ffff-7a11-8a76-637ef3000000"


class Case(NamedTuple):
    """A service: its provider, its emulator, the variable of its key, its settings, and an emulator whose tasks wait."""

    provider: str
    emulator: Callable[[], Any]
    key: str
    settings: Mapping[str, str]
    place: tuple[str, ...] = ("--repo", "owner/repo")
    waiting: Callable[[], Any] | None = None


def pausing(_: str) -> Iterable[Step]:
    """Return a turn that waits for an approval."""
    yield Pause("item/commandExecution/requestApproval", command="make")
    yield from ordinary_turn("")


CASES = {
    "host": Case(
        "codex_app_server",
        CodexAppServerEmulator,
        "CODEX_APP_SERVER_TOKEN",
        {"base_url": SOCKET},
        ("--environment", "/srv/repo"),
        lambda: CodexAppServerEmulator(pausing),
    ),
    "cloud": Case(
        "codex_app_server",
        CodexCloudThreadsEmulator,
        "CODEX_ACCESS_TOKEN",
        {"base_url": SOCKET, "backend": "cloud"},
        ("--environment", "Repository"),
        lambda: CodexCloudThreadsEmulator(pausing),
    ),
    "openhands": Case(
        "openhands",
        OpenHandsEmulator,
        "OH_SESSION_API_KEYS_0",
        {"base_url": URL, "confirmation": "always"},
        waiting=OpenHandsEmulator,
    ),
    "openhands_cloud": Case("openhands_cloud", OpenHandsCloudEmulator, "OPENHANDS_CLOUD_API_KEY", {"base_url": URL}),
    "cursor": Case("cursor", CursorEmulator, "CURSOR_API_KEY", {"base_url": URL}),
    "claude_agents": Case(
        "claude_agents",
        ClaudeAgentsEmulator,
        "ANTHROPIC_API_KEY",
        {"base_url": URL, "agent": "agent_1"},
        waiting=lambda: ClaudeAgentsEmulator((claude_agents.work, claude_agents.needs_permission)),
    ),
    "openai_agents": Case(
        "openai_agents",
        OpenAIAgentsEmulator,
        "OPENAI_API_KEY",
        {"base_url": f"{URL}/v1", "model": "m"},
        waiting=lambda: OpenAIAgentsEmulator((openai_agents.work, openai_agents.needs_permission)),
    ),
}
EACH = pytest.mark.parametrize("name", CASES)


class ServiceCli(Cli):
    """The command line with a service behind it; `key` is the secret that it sends, None for none."""

    def __init__(self, folder: Path, case: Case, emulator: Any) -> None:
        super().__init__(folder, emulator, COATCHECK_PROVIDER=case.provider)
        del self.environ["CODEX_ACCESS_TOKEN"]
        names = {f"COATCHECK_{case.provider.upper()}_{name.upper()}": value for name, value in case.settings.items()}
        self.environ |= {**names, case.key: emulator.token}
        self.case, self.clock, self.emulator = case, emulator.clock, emulator
        if isinstance(emulator, OpenHandsCloudEmulator):
            emulator.base_url = URL

    def submitted(self) -> str:
        """Submit a task and return its ref."""
        done = self("submit", *self.case.place, "Say hello")
        assert 0 == done.code, done
        return done.out.strip()


def cli_for(tmp_path: Path, name: str, *, waits: bool = False) -> ServiceCli:
    """Return the command line for a service."""
    case = CASES[name]
    emulator = case.waiting() if waits and case.waiting else case.emulator()
    return ServiceCli(tmp_path, case, emulator)


@EACH
@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize("command", [("list",), ("submit", "Say hello")])
def test_a_missing_and_a_wrong_key_name_the_variable(
    tmp_path: Path, name: str, key: str | None, command: tuple[str, ...]
) -> None:
    """Without a key, and with a wrong one, exit code 5 comes with where a key is set, and nothing is submitted."""
    cli = cli_for(tmp_path, name)
    del cli.environ[cli.case.key]
    cli.environ |= {cli.case.key: key} if key else {}
    done = cli(*command, *(cli.case.place if command[0] == "submit" else ()))

    assert (5, True, 0) == (done.code, cli.case.key in done.line, len(cli.emulator.tasks))


@EACH
@pytest.mark.parametrize("command", ["show", "wait", "watch", "cancel", "message"])
def test_a_task_that_is_not_there_is_named(tmp_path: Path, name: str, command: str) -> None:
    """A task that the service does not have is one line with its ref and the command that lists the others."""
    cli = cli_for(tmp_path, name)
    ref = f"{cli.case.provider}:{UNKNOWN}"
    done = cli(command, ref, *(["more"] if command == "message" else []))

    assert (1, True) == (done.code, done.line.startswith(f"{cli.case.provider} has no task {ref} (HTTP 404"))
    assert done.line.endswith(f"coatcheck list --provider {cli.case.provider}")


@EACH
def test_a_deleted_task_is_not_there(tmp_path: Path, name: str) -> None:
    """What was deleted is shown from no store and takes no message; where deleting is not possible, that is the error."""
    cli = cli_for(tmp_path, name)
    ref = cli.submitted()
    cli("wait", ref)
    deleted = cli("delete", ref, "--yes")
    done = [cli("show", ref), cli("message", ref, "more")]

    if name == "cloud":
        assert (2, True) == (deleted.code, "does not support `delete`" in deleted.line)
    else:
        assert [True] * 2 == [each.code == 1 and f"has no task {ref}" in each.line for each in done]


def test_a_conversation_that_is_being_started_is_not_deleted(tmp_path: Path) -> None:
    """Before it is a conversation, deleting is a conflict: it is not reported as a task that is not there."""
    cli = cli_for(tmp_path, "openhands_cloud")
    ref = cli.submitted()
    done = cli("delete", ref, "--yes")

    assert f"{ref} is being started; try again in a minute" == done.line


@pytest.mark.parametrize("name", ["host", "cursor", "claude_agents"])
@pytest.mark.parametrize("command", [("message", "more"), ("cancel",)])
def test_an_archived_task_takes_no_message(tmp_path: Path, name: str, command: tuple[str, ...]) -> None:
    """A service that refuses what is sent to an archived task is a conflict with what to do."""
    cli = cli_for(tmp_path, name)
    ref = cli.submitted()
    cli("wait", ref)
    cli("archive", ref)
    done = cli(command[0], ref, *command[1:])

    assert 1 == done.code
    assert any(
        word in done.line for word in ("coatcheck unarchive", "submit another task", "already ended", "no turn of")
    )


@EACH
@pytest.mark.parametrize(
    "fault", [Status(403, is_html=True, times=None), Status(200, is_html=True, times=None), Body(b"<html>", times=None)]
)
@pytest.mark.parametrize("command", ["list", "submit"])
def test_a_web_page_in_place_of_an_answer_has_a_remedy(tmp_path: Path, name: str, fault: Any, command: str) -> None:
    """A page of a proxy or of the network edge is not taken for an answer of the service, and nothing is submitted."""
    if isinstance(fault, Body) and name in ("host", "cloud"):
        pytest.skip("a handshake has no body to change")
    cli = cli_for(tmp_path, name)
    cli.emulator.faults.append(fault)
    done = cli("list") if command == "list" else cli("submit", *cli.case.place, "Say hello")

    assert done.code in (1, 7, 8)
    assert "it came from a proxy or the network edge" in done.line or done.code == 7
    assert 0 == len(cli.emulator.tasks)


@EACH
def test_a_place_that_cannot_be_named_is_a_mistake(tmp_path: Path, name: str) -> None:
    """A word that is no repository is exit code 2 with the option to give, and no request that submits."""
    cli = cli_for(tmp_path, name)
    done = cli("submit", "--repo", "nope", "Say hello")

    assert (2, 0) == (done.code, len(cli.emulator.tasks))
    assert "nope" in done.line
    assert any(word in done.line for word in ("--repo", "--environment"))


def test_a_host_needs_a_place_and_says_so(tmp_path: Path) -> None:
    """Outside of a checkout the options are named, also where the service lists no environments."""
    done = cli_for(tmp_path, "host")("submit", "Say hello")

    assert 2 == done.code
    assert done.line.endswith("this folder is not in a git checkout; pass --environment or --repo")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.waiting])
def test_a_run_that_waits_for_a_person_ends_a_wait(tmp_path: Path, name: str) -> None:
    """A wait ends with exit code 10 where the task waits for a person, and shows it."""
    cli = cli_for(tmp_path, name, waits=True)
    done = cli("wait", cli.submitted())

    assert (10, True) == (done.code, done.out.startswith("[input required]"))
