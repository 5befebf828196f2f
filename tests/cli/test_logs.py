from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck import errors
from coatcheck._protocol.effects import Request, Response
from coatcheck._protocol.logs import log_failure, log_response

SECRETS = (
    "sk-proj-AAAA1111bbbb",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln",
    "ghp_0123456789abcdef",
    "github_pat_11AAAA_bbbb",
    "AIzaSyA0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "FwoGZXIvYXdzEXAMPLETOKEN",
    "rt_refresh-token.value",
    "whsec_c2VjcmV0",
    "opaque%20token%2Fvalue",
)


@pytest.fixture(autouse=True)
def _quiet_loggers() -> Iterator[None]:
    """Leave the loggers of the process as they were."""
    logger = logging.getLogger("coatcheck")
    before = logger.handlers[:], logger.level
    yield
    for handler in set(logger.handlers) - set(before[0]):
        handler.close()
    logger.handlers[:], logger.level = before


@pytest.mark.parametrize(
    ("expected", "options", "environ"),
    [
        ((False, False), [], {}),
        ((True, False), ["-v"], {}),
        ((True, True), ["-vv"], {}),
        ((True, True), [], {"COATCHECK_LOG": "debug"}),
        ((True, False), [], {"COATCHECK_LOG": "INFO"}),
    ],
)
def test_requests_and_polls_are_logged(
    cli: Cli, expected: tuple[bool, bool], options: list[str], environ: dict[str, str]
) -> None:
    """``-v`` logs requests with their status, ``-vv`` also polls; so does ``COATCHECK_LOG``."""
    ref = cli.submit()
    cli.environ |= environ
    err = cli("wait", *options, ref).err

    assert expected == (
        "coatcheck.http GET https://chatgpt.com/backend-api/" in err and ": 200 in " in err,
        " poll 2 in " in err,
    )


def test_an_unknown_level_is_refused(cli: Cli) -> None:
    """A level that does not exist is bad usage that lists the levels."""
    cli.environ["COATCHECK_LOG"] = "loud"
    done = cli("list")

    assert (2, "COATCHECK_LOG is 'loud'; use one of debug, info, warning, error") == (done.code, done.line)


def test_a_log_file_is_private(cli: Cli) -> None:
    """``--log-file`` gets everything, only its owner may read it, and stderr stays empty."""
    done = cli("list", "--log-file", "log.txt")
    path = cli.folder / "log.txt"

    assert ("", True, 0o600) == (done.err, "coatcheck.http GET " in path.read_text(), stat.S_IMODE(path.stat().st_mode))


def test_a_log_file_that_cannot_be_written_is_an_error(cli: Cli, tmp_path: Path) -> None:
    """A log file in a folder that does not exist is an error before any request."""
    done = cli("list", "--log-file", "nowhere/log.txt")

    assert (2, True, []) == (done.code, "nowhere/log.txt cannot be written" in done.line, cli.cloud.requests)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture, secret: str) -> None:
    """A secret in a header, a body, a query, a redirect, user information, an error or an answer is never logged."""
    caplog.set_level(logging.DEBUG, "coatcheck")
    headers = (("authorization", f"Bearer {secret}"), ("cookie", secret), ("x-api-key", secret))
    query = (("cursor", secret), ("limit", "20"))
    requests = [
        Request("GET", "/tasks", query=query, headers=headers, url="https://api.example/tasks"),
        Request(
            "POST",
            "/t",
            body=secret.encode(),
            url=f"https://user:{secret}@api.example/t?sig={secret}&{secret}#{secret}",
        ),
        Request("GET", "/t", url=f"https://api.example/t?X-Amz-Signature={secret}"),
    ]
    for request in requests:
        log_response(request, Response(200, {"location": secret}, secret.encode()), 0.1)
        log_failure(request, errors.TransportError(f"refused: {secret}", request_sent=False), 0.1)

    assert (6, False) == (len(caplog.records), secret in caplog.text)


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_a_real_command_logs_no_token(cli: Cli, level: int) -> None:
    """No token of the login is in the log of a command."""
    token = cli.environ["CODEX_ACCESS_TOKEN"]
    ref = cli.submit()
    texts = [cli("wait", "-vv", ref).err, cli("list", "-vv", "--limit", "1").err]

    assert [False, False] == [token in text or token[:20] in text for text in texts]


def test_a_log_line_is_escaped(cli: Cli) -> None:
    """A control character in a URL is an escape in the log."""
    done = cli("status", "-v", "codex:task_e_\x7f")

    assert "\x7f" not in done.err


def test_the_library_does_not_import_logging() -> None:
    """A program that has not imported `logging` does not get it from a log line."""
    import subprocess
    import sys

    code = (
        "import sys; from coatcheck._protocol.logs import log; before = 'logging' in sys.modules;"
        "log('http', 20, 'x'); print(before, 'logging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)

    assert "False False" == done.stdout.strip()
