"""The server as a process on pipes, whose client disappears."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coatcheck._mcp.stdio import without_half_surrogates
from coatcheck._runtime.config import state_dir
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._store.journal import SubmissionJournal
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.scripted_cloud import ScriptedCloud

VERSION = "io.modelcontextprotocol/protocolVersion"
META = {VERSION: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def test_a_client_that_disappears_loses_nothing(tmp_path: Path) -> None:
    """It submits, begins a wait, and closes its ends: the submission is recorded, and the process ends by itself."""
    cloud = ScriptedCloud(timeline=["pending"], clock=SystemClock())
    with serving(cloud) as url:
        environ = {
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "CODEX_ACCESS_TOKEN": cloud.tokens.access_token,
            "COATCHECK_CODEX_BASE_URL": url,
            "COATCHECK_ENVIRONMENT": "owner/repo",
        }
        requests = [
            call(1, "submit_task", {"prompt": "Add dark mode"}),
            b"not JSON\n\n\xff\n",
            call(2, "wait_for_task", {"ref": "codex:task_e_00000000000000000000000000000001"}),
        ]
        with subprocess.Popen(
            [sys.executable, "-m", "coatcheck", "mcp"],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            assert server.stderr is not None
            server.stdin.write(b"".join(requests))
            server.stdin.flush()
            server.stdout.close()
            server.stdin.close()
            errors = server.stderr.read().decode()
            code = server.wait(240)
    journal = SubmissionJournal.at(state_dir(environ))
    recorded, unknown = journal.latest(9), journal.open_intents("codex")
    journal.close()

    assert (0, 1, []) == (code, len(cloud.seen("create_task")), list(unknown)), errors
    assert ["Add dark mode"] == [each.summary for each in recorded]
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"\\ud83d\\ude00 \\u00e9 é"', "😀 é é"),
        ('"a\\ud800"', "a\ufffd"),
        ('"\\uDC00\\uD800\\uDFFF"', "\ufffd\U000103ff"),
        ('"\\ud800\\ud83d\\ude00\\n"', "\ufffd😀\n"),
        ('"\\\\ud800"', "\\ud800"),
        ('"\\\\\\ud800"', "\\\ufffd"),
    ],
)
def test_half_of_a_surrogate_pair_arrives_as_the_replacement_character(text: str, expected: str) -> None:
    """Pairs, other escapes, and a backslash before the letters stay as they are."""
    assert expected == json.loads(without_half_surrogates(text))


def call(number: int, name: str, arguments: dict[str, object]) -> bytes:
    """Return the request of a call as a line."""
    params = {"name": name, "arguments": arguments, "_meta": META}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode() + b"\n"
