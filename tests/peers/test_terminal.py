"""The command line on real pseudo-terminals of several widths."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck import Client
from coatcheck._cli.text_width import columns
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import ScriptedCloud

pytestmark = pytest.mark.peer  # each case starts a process

MESSAGE = "# Done\n\nAdded **dark mode** to `app.py`, which every page of the program uses from now on, without exception.\n\n* \x1b]0;evil\x07one\n"
SEQUENCES = re.compile(r"\x1b\[[0-9;]*[mK]|\x1b\]8;;[^\x1b]*\x1b\\")


@pytest.fixture
def cloud(home: Path) -> Iterator[dict[str, str]]:
    """Return the environment of a cloud with two ended tasks."""
    scripted = ScriptedCloud(["completed"], result=CloudResult(messages=(MESSAGE,)), is_open=True)
    with serving(scripted) as url, Client("codex", base_url=url, token="t") as client:
        for prompt in ("Add dark mode to the settings page and everywhere else", "予定表に暗い配色を追加する" * 5):
            client.create_task(prompt, environment="owner/repo")
        yield {"COATCHECK_CODEX_BASE_URL": url, "CODEX_ACCESS_TOKEN": "t"}


def on_a_terminal(*arguments: str, width: int, environ: dict[str, str]) -> str:
    """Return what a command prints on a terminal of *width* columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    command = (sys.executable, "-P", "-c", "from coatcheck._cli.main import main; main()", *arguments)
    environ = {**{name: value for name, value in os.environ.items() if name != "NO_COLOR"}, "PAGER": "cat", **environ}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environ):
        os.close(theirs)
        data = b""
        while chunk := _read(ours):
            data += chunk
    os.close(ours)
    return data.decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # what Linux reports at the end
        return b""


@pytest.mark.parametrize("colour", [{"TERM": "xterm-256color"}, {"TERM": "xterm-256color", "NO_COLOR": "1"}], ids=str)
@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("arguments", [("list",), ("show", "@last"), ("status", "@last"), ("wait", "@2")], ids=" ".join)
def test_a_terminal_shows_what_fits(
    cloud: dict[str, str], arguments: tuple[str, ...], width: int, colour: dict[str, str]
) -> None:
    """Lists and messages fit the width, no sequence but ours is printed, and colours only where they are wanted."""
    text = on_a_terminal(*arguments, width=width, environ={**cloud, **colour})
    lines = [line.rpartition("\r")[2] for line in SEQUENCES.sub("", text).splitlines()]
    shown = [line for line in lines if "http" not in line and not line.startswith(("ref ", "prompt ", "  [", "["))]

    assert ([], False, "NO_COLOR" not in colour) == (
        [line for line in shown if columns(line) > width],
        "\x1b" in "".join(lines) or "\x07" in text,
        bool(re.search(r"\x1b\[[0-9;]*m", text)),
    )


def test_messages_are_rendered_on_a_terminal(cloud: dict[str, str]) -> None:
    """On a terminal a message is laid out as Markdown; the prompt, the ref and the branch are shown with it."""
    text = SEQUENCES.sub("", on_a_terminal("show", "@2", width=80, environ={**cloud, "TERM": "xterm"}))

    assert [True, True, True, False] == [
        part in text for part in ("Added dark mode to app.py", "prompt  Add dark mode", "ref     codex:", "**dark")
    ]


def test_refs_are_links_on_a_terminal_that_shows_them(cloud: dict[str, str]) -> None:
    """The ref of a task links to its page, on a terminal that is known to show links."""
    texts = [
        on_a_terminal("list", width=120, environ={**cloud, **each})
        for each in ({"TERM": "xterm-kitty"}, {"TERM": "xterm"})
    ]

    assert [True, False] == ["\x1b]8;;http" in text for text in texts]


def test_a_browser_is_started_for_a_page(cloud: dict[str, str], tmp_path: Path) -> None:
    """``open`` and ``--web`` start the browser with the URL of the task's page, and print it."""
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    script.chmod(0o700)
    environ = {**cloud, "BROWSER": f"{script} %s", "TERM": "dumb"}
    printed = [
        next(line for line in on_a_terminal(*words, width=80, environ=environ).splitlines() if line.startswith("http"))
        for words in (("open", "@last"), ("show", "@last", "--web"))
    ]

    assert printed == (tmp_path / "opened").read_text().split()
