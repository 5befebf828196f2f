"""AWS's own programs on loopback: the runner of durable executions, the runtime, and an HTTP front end between them.

The runner (`dex-local-runner`) has no Invoke; it is started privately. The front door makes an Invoke of that, and hands
the runner's own invocations to the runtime, which knows one function by one name (docs/reference/protocols/services.md, 3.3).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.peers.peer_support import TIME_LIMIT, bare_environ, free_ports, started

PEERS = Path(__file__).parents[2] / ".venv/peers"
BIN = PEERS / "durable/bin"
NAME_HEADER = "x-amz-durable-execution-name"
FUNCTION = "agent"
NOT_PASSED_ON = frozenset({"connection", "date", "server", "transfer-encoding", "content-length"})


class FrontDoor(BaseHTTPRequestHandler):
    """The HTTP front end: it starts executions, forwards invocations to the runtime, and forwards the rest to the runner."""

    protocol_version = "HTTP/1.1"
    runner = runtime = 0
    turn = threading.Lock()  # the runtime's emulator runs one invocation at a time, and ends on a second

    def answer(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if not self.path.startswith("/2015-03-31/"):
            self._pass_on(self.runner, self.path, body)
        elif NAME_HEADER in self.headers:
            self._start(body)
        else:
            with self.turn:
                self._pass_on(self.runtime, "/2015-03-31/functions/function/invocations", body)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - what http.server looks for

    def _start(self, body: bytes) -> None:
        qualifier = parse_qs(urlsplit(self.path).query)["Qualifier"][0]
        order = {
            "AccountId": "123456789012",
            "FunctionName": FUNCTION,
            "FunctionQualifier": qualifier,
            "ExecutionName": self.headers[NAME_HEADER],
            "ExecutionTimeoutSeconds": 7200,
            "ExecutionRetentionPeriodDays": 1,
            "Input": body.decode(),
        }
        status, _, answer = asked(self.runner, "POST", "/start-durable-execution", json.dumps(order).encode(), {})
        arn = json.loads(answer).get("ExecutionArn", "")
        self._send(202 if status < 300 else status, {"x-amz-durable-execution-arn": arn}, b"" if arn else answer)

    def _pass_on(self, port: int, path: str, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        status, got, answer = asked(port, self.command, path, body, headers)
        self._send(status, {name: value for name, value in got.items() if name.lower() not in NOT_PASSED_ON}, answer)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def asked(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Send a request to a server on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIME_LIMIT)
    with contextlib.closing(connection):
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


@contextmanager
def lambda_of_aws(folder: Path) -> Iterator[str]:
    """Run AWS's programs with the function of `durable_handler`; yields the base URL."""
    if not (BIN / "dex-local-runner").exists():
        pytest.fail("dex-local-runner is not installed: run `make peers`, or tests/peers/setup.sh VENV", pytrace=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), FrontDoor) as door:
        base = f"http://127.0.0.1:{door.server_address[1]}"
        FrontDoor.runner, FrontDoor.runtime, api = free_ports(3)
        settings = environ(folder)
        with (
            started(folder / "runtime.log", runtime_command(api), FrontDoor.runtime, environ=settings),
            started(folder / "runner.log", runner_command(base), FrontDoor.runner, environ=settings),
        ):
            thread = threading.Thread(target=door.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            try:
                yield base
            finally:
                door.shutdown()
                thread.join(TIME_LIMIT)


def runtime_command(api: int) -> list[str]:
    """Return the command that runs the function with AWS's emulator of the runtime interface and AWS's runtime client."""
    return [
        str(BIN / "aws-lambda-rie"),
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{FrontDoor.runtime}",
        "--runtime-api-address",
        f"127.0.0.1:{api}",
        str(BIN / "python"),
        "-m",
        "awslambdaric",
        "durable_handler.handler",
    ]


def runner_command(base: str) -> list[str]:
    """Return the command of AWS's runner of durable executions; without a host it would listen on every interface."""
    port = str(FrontDoor.runner)
    command = [str(BIN / "dex-local-runner"), "start-server", "--host", "127.0.0.1", "--port", port]
    ends = ["--lambda-endpoint", base, "--local-runner-endpoint", f"http://127.0.0.1:{port}"]
    return [*command, *ends, "--local-runner-region", "us-east-1"]


def environ(folder: Path) -> dict[str, str]:
    """Return the environment of AWS's programs; the keys are invalid."""
    return bare_environ(folder) | {
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_ACCESS_KEY_ID": "AKIDEMULATOR",
        "AWS_SECRET_ACCESS_KEY": "emulated/secret+key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": FUNCTION,
        "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{FrontDoor.runner}",
    }
