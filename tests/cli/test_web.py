"""`web`: the real server in a process of its own, and what it refuses at its start."""

from __future__ import annotations

import http.client
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.cli.cli_support import Cli

COMMAND = (sys.executable, "-P", "-c", "from coatcheck._cli.main import main; main()")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_link_opens_the_page_and_ctrl_c_ends_the_server(tmp_path: Path) -> None:
    """The line of --json has the link and the token file, which is private; the server ends with the exit code 0."""
    arguments = ["web", "--no-open", "--json"]
    process = subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    link, token = urlsplit(line["link"]), Path(line["token_file"])
    connection = http.client.HTTPConnection(link.netloc, timeout=240)
    statuses = []
    for target, headers in (
        (f"{link.path}?{link.query}", {}),
        (f"{link.path}?{link.query}", {}),
        ("/api/v1/tasks", {"Authorization": f"Bearer {token.read_text().strip()}"}),
        ("/", {"Host": "evil.example"}),
    ):
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=240)

    assert ([303, 403, 200, 421], 0) == (statuses, process.returncode)
    assert 0o600 == stat.S_IMODE(token.stat().st_mode)


@pytest.mark.parametrize(
    ("arguments", "content", "mode", "words"),
    [
        (("--checkout", "."), None, 0, "pass --checkout FOLDER with a clone"),
        ((), "short", 0o600, "holds no token of 32 or more characters"),
        ((), "x" * 40, 0o644, "chmod 600"),
    ],
)
def test_a_start_that_is_not_safe_is_refused(
    cli: Cli, arguments: tuple[str, ...], content: str | None, mode: int, words: str
) -> None:
    """A folder that is no checkout, and a token file that others may read or that holds none, are usage errors."""
    if content is not None:
        (cli.folder / "token").write_text(content)
        (cli.folder / "token").chmod(mode)
    done = cli("web", "--no-open", "--token-file", "token", *arguments)

    assert (2, True) == (done.code, words in done.line)
