"""The cloud over a socket, with faults of the connection."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

import msgspec
import pytest

from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud import faults
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.scripted_cloud import ScriptedCloud

from .conftest import create_body


def call(
    url: str, cloud: ScriptedCloud, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, dict, bytes]:
    """Make one request over a new connection."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=240)
    try:
        data = None if body is None else msgspec.json.encode(body)
        connection.request(
            method, parts.path + path, data, {"authorization": f"Bearer {cloud.tokens.access_token}", **headers}
        )
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_a_task_goes_from_prompt_to_diff_over_http() -> None:
    """A task is created, read and listed through a real socket."""
    cloud = ScriptedCloud(["completed"])
    with serving(cloud) as url:
        created = msgspec.json.decode(call(url, cloud, "POST", "/wham/tasks", create_body())[2])
        status, headers, body = call(url, cloud, "GET", f"/wham/tasks/{created['task']['id']}")

    assert (200, "application/json") == (status, headers["content-type"])
    assert "pr" == msgspec.json.decode(body)["current_assistant_turn"]["output_items"][-1]["type"]


def test_the_path_and_query_arrive_as_they_were_sent() -> None:
    """Percent-encoded slashes and tildes reach the router decoded, once."""

    class SeenState:
        def handle(self, request: Request) -> Response:
            self.request = request
            return Response(status=204)

    seen = SeenState()
    with serving(seen) as url:
        status = call(url, ScriptedCloud(), "GET", "/wham/a%2Fb~c?x=%2B1%20+&y=")[0]

    assert (204, "/backend-api/wham/a%2Fb~c", (("x", "+1  "), ("y", ""))) == (
        status,
        seen.request.path,
        seen.request.query,
    )


@pytest.mark.parametrize("fault", [faults.Reset(), faults.Refuse(), faults.ResetAfterAccept()])
def test_a_lost_connection_is_a_real_reset(fault: faults.Fault) -> None:
    """The client's connection is reset."""
    cloud = ScriptedCloud(faults=[fault])
    with serving(cloud) as url, pytest.raises(ConnectionResetError):
        call(url, cloud, "GET", "/wham/usage")


def test_an_answer_can_be_cut_short() -> None:
    """A truncated response has fewer bytes than its Content-Length."""
    cloud = ScriptedCloud(faults=[faults.Truncated()])
    with serving(cloud) as url, pytest.raises(http.client.IncompleteRead):
        call(url, cloud, "GET", "/wham/usage")


def test_a_response_can_be_omitted() -> None:
    """A scripted timeout sends nothing until the client gives up."""
    cloud = ScriptedCloud(faults=[faults.Timeout()])
    with serving(cloud) as url:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port), timeout=240) as connection:
            connection.settimeout(0.2)
            connection.sendall(b"GET /backend-api/wham/usage HTTP/1.1\r\nhost: localhost\r\n\r\n")
            with pytest.raises(TimeoutError):
                connection.recv(1)


def test_a_large_response_and_a_stream_are_complete() -> None:
    """A large response and an event stream are complete."""
    cloud = ScriptedCloud(["completed"], faults=[faults.Huge(1_000_000)])
    with serving(cloud) as url:
        huge = call(url, cloud, "GET", "/wham/usage")[2]
        created = msgspec.json.decode(call(url, cloud, "POST", "/wham/tasks", create_body())[2])
        path = f"/wham/tasks/{created['task']['id']}"
        call(url, cloud, "GET", path)
        _, headers, events = call(url, cloud, "GET", f"{path}/turns/{created['turn']['id']}/stream")

    assert (1_000_000, "text/event-stream") == (len(huge), headers["content-type"])
    assert events.count(b"data: ") == 5


def test_another_sites_name_for_loopback_is_not_answered() -> None:
    """A Host header of another site is a 421, so a page of that site cannot use the server."""
    cloud = ScriptedCloud()
    with serving(cloud) as url:
        status = call(url, cloud, "GET", "/wham/usage", host="rebound.example")[0]

    assert 421 == status


def test_a_body_beyond_the_limit_is_refused() -> None:
    """A body that grows beyond the limit is a 413 before its end."""
    from coatcheck._server.handler_app import HandlerApp

    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": bytes(600), "more_body": True}

    async def send(message: dict) -> None:
        sent.append(message)

    import asyncio

    scope = {"type": "http", "method": "POST", "raw_path": b"/", "query_string": b"", "headers": []}
    asyncio.run(HandlerApp(ScriptedCloud(), max_body=1000)(scope, receive, send))

    assert 413 == sent[0]["status"]


def test_an_error_of_the_handler_is_a_500() -> None:
    """A request after an error of the handler is answered as usual."""

    class Breaks:
        def handle(self, request: Request) -> Response:
            raise KeyError("surprise")

    with serving(Breaks()) as url:
        statuses = [call(url, ScriptedCloud(), "GET", "/wham/usage")[0] for _ in range(2)]

    assert [500, 500] == statuses
