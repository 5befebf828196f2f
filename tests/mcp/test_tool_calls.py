"""The tools for a Python program: the settings of the command line, and the answers of MCP."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests import checkouts
from tests.mcp.mcp_support import Served

from coatcheck._mcp.tool_calls import ToolCalls, ToolError
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing.emulator_transport import EmulatorTransport


class Caller:
    """Calls tools in a folder with a checkout, each with new `ToolCalls`, as another process has them."""

    def __init__(self, tmp_path: Path, cloud: ScriptedCloud | None = None) -> None:
        self.folder = tmp_path / "work"
        checkouts.mark(self.folder)
        (self.folder / "sub").mkdir()
        self.served = Served(self.folder, cloud)
        self.config = Path(self.served.environ["HOME"], ".config/coatcheck/config.toml")
        self.config.parent.mkdir(parents=True)

    def calls(self, provider: str | None = None) -> ToolCalls:
        """Return the tools in a subfolder of the checkout."""
        transport = EmulatorTransport(self.served.cloud)
        folder = os.fspath(self.folder / "sub")
        return ToolCalls(folder, self.served.environ, provider=provider, transport=transport, clock=self.served.clock)

    def call(self, name: str, **given: Any) -> Mapping[str, Any]:
        """Return the answer of one tool."""
        with self.calls() as calls:
            return calls.call(name, **given)

    def refused(self, name: str, *, provider: str | None = None, **given: Any) -> str:
        """Return the error of one tool."""
        with self.calls(provider) as calls, pytest.raises(ToolError) as caught:
            calls.call(name, **given)
        return str(caught.value)


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    """Tools before a scripted cloud, in a checkout whose file names an environment."""
    made = Caller(tmp_path, ScriptedCloud(timeline=[(0, "in_progress"), (200, "completed")]))
    made.served.cloud.clock = made.served.clock
    (made.folder / "coatcheck.toml").write_text('environment = "owner/repo"\nattempts = 2\n')
    return made


def test_the_settings_of_the_folder_hold(caller: Caller) -> None:
    """The checkout's file names the place, the user's file or a variable the service, and an argument replaces it."""
    submitted = caller.call("submit_task", prompt="x", key=None)
    sent = json.loads(caller.served.cloud.seen("create_task")[0].body)
    caller.config.write_text('provider = "jules"\n')
    of_user = caller.refused("list_tasks")
    caller.served.environ["COATCHECK_PROVIDER"] = "nosuch"
    of_variable = caller.refused("list_tasks")
    with caller.calls("codex") as calls:
        of_argument = calls.call("list_tasks")["tasks"]

    assert ("codex:", 2) == (submitted["ref"][:6], sent["metadata"]["best_of_n"])
    assert (True, True, 1) == ("ules" in of_user, "nosuch" in of_variable, len(of_argument))


def test_a_repeated_submission_of_another_process_sends_nothing(caller: Caller) -> None:
    """The same prompt and place return the same ref."""
    answers = [caller.call("submit_task", prompt="x") for _ in range(3)]

    assert ([False, True, True], 1, 1) == (
        [each["is_repeated"] for each in answers], caller.served.sent, len({each["ref"] for each in answers})
    )  # fmt: skip


def test_a_wait_may_take_longer_than_a_call_over_mcp(caller: Caller) -> None:
    """It ends with the task; the result and its task are read afterwards."""
    ref = caller.call("submit_task", prompt="x")["ref"]
    with caller.calls() as calls:
        early, late = calls.wait(ref, 100), calls.wait(ref, 600)
        task, text = calls.task(ref), calls.call("get_result", ref=ref)["text"]

    assert (False, True, ref, task.outcome.text if task.outcome else "") == (
        early["is_terminal"], late["is_terminal"], str(task.ref), text
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("get_task", {}, "missing required field `ref`"),
        ("get_task", {"ref": "codex:a b"}, "is not a task reference"),
        ("get_result", {"ref": "codex:1", "offset": -1}, ">= 0"),
        ("submit_task", {"prompt": " "}, "the prompt is blank"),
        ("list_tasks", {"limit": 0}, ">= 1"),
    ],
)
def test_an_error_is_one_sentence(caller: Caller, name: str, given: dict[str, Any], text: str) -> None:
    """It names what is wrong, has one line, and is not a report of a bug."""
    refused = caller.refused(name, **given)

    assert (True, False, False) == (text in refused, "\n" in refused, "bug" in refused)
