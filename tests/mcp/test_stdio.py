"""The server as a process on pipes, whose client disappears."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from tests.mcp.mcp_support import Served

from coatcheck._app.task_session import TaskSession
from coatcheck._mcp.server import build_server
from coatcheck._mcp.stdio import error_about, serve_lines, without_half_surrogates
from coatcheck._runtime.config import state_dir
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._store.journal import SubmissionJournal
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.scripted_cloud import ScriptedCloud

VERSION = "io.modelcontextprotocol/protocolVersion"
META = {VERSION: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("not JSON\n", (-32700, None)),
        ('{"jsonrpc": "2.0", "id": 1, "method": "ping"', (-32700, None)),
        ("\ufffd\n", (-32700, None)),
        ("[" * 100_000, (-32700, None)),
        ("42\n", (-32600, None)),
        ('[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', (-32600, None)),
        ('{"jsonrpc": "1.0", "id": 6, "method": "ping"}', (-32600, 6)),
        ('{"jsonrpc": "2.0", "id": "a", "method": 7}', (-32600, "a")),
        ('{"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": [1]}', (-32600, 2)),
        ('{"jsonrpc": "2.0", "id": null, "method": "ping"}', (-32600, None)),
        ('{"jsonrpc": "2.0", "id": true, "method": "ping"}', (-32600, None)),
        ("{}", (-32600, None)),
        ('{"jsonrpc": "2.0", "id": 9, "error": 5}', None),
        ('{"jsonrpc": "2.0", "result": {}}', None),
        ('{"jsonrpc": "2.0", "method": "notifications/x", "params": {"id": 1}}', None),
        ('{"jsonrpc": "2.0", "method": "notifications/x", "params": 1}', None),
        ('{"jsonrpc": "2.0", "id": 1, "method": "ping"}', None),
        (" \n", None),
    ],
)
def test_a_line_that_is_no_message_is_answered(line: str, expected: tuple[int, object] | None) -> None:
    """The error is that of JSON-RPC 2.0, with the id where it can be read; a notification or a response gets none."""
    error = error_about(line)

    assert expected == (error and (error.error.code, error.id))


def test_errors_about_lines_come_between_the_responses(served: Served) -> None:
    """Each line is answered, and the request after those that cannot be read."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": META}}
    requests, responses = ([os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True)] for _ in "12")

    async def main(session: TaskSession) -> None:
        await serve_lines(build_server(session, served.options), requests[0], anyio.wrap_file(responses[1]))

    with closing(served.session()) as session, requests[0], responses[0], responses[1]:
        server = threading.Thread(target=anyio.run, args=(main, session))
        server.start()
        with requests[1] as input:
            input.write(f"not JSON\n42\n{json.dumps(request)}\n")
            input.flush()
            answers = [json.loads(responses[0].readline()) for _ in range(3)]
        server.join()

    assert [(None, -32700), (None, -32600), (1, None)] == [
        (each["id"], each.get("error", {}).get("code")) for each in answers
    ]


def call(number: int, name: str, arguments: dict[str, object]) -> bytes:
    """Return the request of a call as a line."""
    params = {"name": name, "arguments": arguments, "_meta": META}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode() + b"\n"
