"""Channels of every kind, in both variants: messages, limits, ends and interruptions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clients import VARIANTS
from tests.runtime.channel_servers import KINDS, STUBBORN, ChannelServer, channel_server

from coatcheck import errors
from coatcheck._engine.pipeline import run_exchange
from coatcheck._engine.redirect import transmit_following
from coatcheck._protocol.channels import open_channel
from coatcheck._protocol.effects import Close, Emit, Open, Receive, Request, Response, Script, Send
from coatcheck._runtime.async_driver import AsyncDriver, aiterate, aperform
from coatcheck._runtime.channel_opener import AsyncChannelOpener, ChannelOpener
from coatcheck._runtime.driver import Driver, iterate, perform
from coatcheck._runtime.network import TransportOptions
from coatcheck._runtime.system_clock import SystemClock

LIMIT = 4 * 2**20
# Longer than any test takes.
LONG = 240.0


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of driver."""
    return request.param


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChannelServer]:
    """A server of each kind."""
    with channel_server(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def websocket(tmp_path: Path) -> Iterator[ChannelServer]:
    """A WebSocket server."""
    with channel_server("websocket", tmp_path) as found:
        yield found


class PlainTransport:
    """A transport that opens no channels."""

    def send(self, request: Request) -> Response:
        raise NotImplementedError

    def close(self) -> None:
        pass


def options() -> TransportOptions:
    """Return small limits, and the environment of the test."""
    return TransportOptions(max_body=LIMIT, environ=dict(os.environ))


def blocking_driver() -> Driver:
    """Return a driver with channels."""
    return Driver(PlainTransport(), SystemClock(), is_native=True, channels=lambda: ChannelOpener(options()))


def async_driver() -> AsyncDriver:
    """Return an asynchronous driver with channels."""
    transport: Any = PlainTransport()
    return AsyncDriver(transport, SystemClock(), max_in_flight=2, channels=lambda: AsyncChannelOpener(options()))


def run(variant: str, exchange: Any, url: str = "ws://127.0.0.1:9") -> Any:
    """Perform an exchange with the origin at *url*, and close the client."""

    def send(request: Request) -> Script[Response]:
        address = request.url or url + request.path
        return transmit_following(Request("GET", request.path, url=address, channel=request.channel))

    if variant == "blocking":
        driver = blocking_driver()
        try:
            return perform(run_exchange(exchange, send), driver)
        finally:
            driver.close()

    async def main() -> Any:
        driver = async_driver()
        try:
            return await aperform(run_exchange(exchange, send), driver)
        finally:
            driver.close()
            await driver.aclose_channels()

    return asyncio.run(main())


def talk(wish: Open, *messages: bytes, timeout: float = LONG) -> Any:
    """Send messages and return the answer to each."""
    channel = yield from open_channel(wish)
    answers = []
    for message in messages:
        yield Send(channel, message)
        answers.append((yield Receive(channel, timeout)))
    return answers


def test_messages_are_answered_over_every_kind_of_channel(variant: str, server: ChannelServer) -> None:
    """Messages arrive whole and in order, also those of more than one MiB, and an orderly end is None."""
    size = 3 * 2**20
    messages = (b"echo \xc3\xa9 1", b"echo 2", b"big %d" % size, b"end")

    assert [b"\xc3\xa9 1", b"2", b"x" * size, None] == run(variant, talk(server.open(), *messages), server.url)


def test_a_message_above_the_limit_is_an_error(variant: str, server: ChannelServer) -> None:
    """A message that is larger than an answer may be is not read."""
    with pytest.raises(errors.TransportError, match=f"larger than {LIMIT} bytes"):
        run(variant, talk(server.open(), b"big %d" % (LIMIT + 70_000)), server.url)


def test_a_wait_for_a_message_can_be_repeated(variant: str, server: ChannelServer) -> None:
    """A message that does not come in time is an error, after which the channel is used."""

    def exchange() -> Any:
        channel = yield from open_channel(server.open())
        with pytest.raises(errors.TransportTimeoutError):
            yield Receive(channel, 0.001)
        yield Send(channel, b"echo later")
        return (yield Receive(channel, LONG))

    assert b"later" == run(variant, exchange(), server.url)


@pytest.mark.parametrize("kind", ["websocket", "socket", "program"])
def test_a_channel_that_is_cut_is_an_error(variant: str, kind: str, tmp_path: Path) -> None:
    """An end without order may have lost messages; the end of a program is explained with its last line."""
    expected = "code 1: error: cut short" if kind == "program" else "the connection was closed"
    with channel_server(kind, tmp_path) as server, pytest.raises(errors.TransportError, match=expected) as caught:
        run(variant, talk(server.open(), b"cut"), server.url)

    assert caught.value.request_sent


@pytest.mark.parametrize("how", ["return", "error", "close"])
@pytest.mark.parametrize("kind", ["websocket", "socket", "lines"])
def test_a_channel_is_closed_however_its_script_ends(variant: str, kind: str, how: str, tmp_path: Path) -> None:
    """The server sees the end after a return, an error and a `Close`, and closing twice does nothing."""
    with channel_server(kind, tmp_path) as server:

        def exchange() -> Any:
            channel = yield from open_channel(server.open())
            if how == "error":
                raise ZeroDivisionError
            if how == "close":
                yield Close(channel)
                yield Close(channel)
                assert server.ended.wait(LONG)

        with contextlib.suppress(ZeroDivisionError):
            run(variant, exchange(), server.url)

        assert server.ended.wait(LONG)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, errors.AuthenticationError), (403, errors.PermissionDeniedError), (302, errors.ProviderError)],
)
def test_a_refused_handshake_raises_its_status(
    variant: str, websocket: ChannelServer, status: int, error: type[errors.ProviderError]
) -> None:
    """The error of a refused handshake has status and request id, and a redirect is not followed."""
    with pytest.raises(error) as caught:
        run(variant, talk(Open(path=f"/{status}")), websocket.url)

    assert (status, 1) == (caught.value.status, len(websocket.headers))


@pytest.mark.parametrize("path", ["/", "/401"])
def test_a_secret_subprotocol_is_sent_and_not_shown(
    variant: str, websocket: ChannelServer, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server gets every subprotocol; no log, repr, message or traceback has one, whatever the answer is."""
    caplog.set_level(0)
    wish = Open(path=path, subprotocols=("codex-app-server", "openai-bearer.opaque-secret"))
    shown = [repr(wish), repr(wish.to_request())]
    try:
        run(variant, talk(wish, b"echo hello"), websocket.url)
    except errors.AuthenticationError as error:
        shown += traceback.format_exception(error)
    shown += [record.getMessage() for record in caplog.records if record.name != "websockets.server"]
    sent = {name.lower(): value for name, value in websocket.headers[0].items()}

    assert ("codex-app-server, openai-bearer.opaque-secret", []) == (
        sent["sec-websocket-protocol"],
        [line for line in shown if "opaque-secret" in line],
    )


@pytest.mark.parametrize(
    ("url", "wish", "error"),
    [
        ("ws://127.0.0.1:9", Open(), "the connection was refused"),
        ("unix:///no/such/socket", Open(), "No such file"),
        ("unix:///no/such/socket", Open(is_lines=True), "No such file"),
        ("unix:socket", Open(), "is not the URL of a socket"),
        ("gopher://127.0.0.1:9", Open(), "not a request that can be sent"),
        ("stdio:", Open(command=("no-such-program",)), "'no-such-program' is not installed"),
        ("stdio:", Open(command=("/",)), "is not installed"),
    ],
)
def test_what_cannot_be_opened_has_taken_nothing(variant: str, url: str, wish: Open, error: str) -> None:
    """A channel that cannot be opened is one line that names it, and nothing was sent."""
    with pytest.raises((errors.TransportError, errors.ConfigurationError), match=error) as caught:
        run(variant, talk(wish), url)

    assert not getattr(caught.value, "request_sent", False)


def test_a_program_runs_until_the_client_is_closed(variant: str, tmp_path: Path) -> None:
    """Channels of one command are one program, used in turn, which keeps what its protocol knows; the end of the client ends it."""
    command = (sys.executable, "-c", "import os, sys\nfor line in sys.stdin: print(os.getpid(), flush=True)")
    sessions = []

    def exchange() -> Any:
        pids = []
        for number in range(2):
            channel = yield from open_channel(Open(command=command))
            sessions.append(channel.session)
            channel.session = number
            yield Send(channel, b"who")
            pids.append((yield Receive(channel, LONG)))
            yield Close(channel)
        return pids

    first, second = run(variant, exchange())

    assert (True, [None, 0]) == (first == second, sessions)
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)


class Started:
    """A program's channel that was started; the opener was closed meanwhile."""

    is_open = True

    def __init__(self) -> None:
        self.closed = 0
        self.send = self.receive = self.asend = self.areceive = None

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


def test_a_program_that_starts_while_the_client_is_closed_is_ended(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not left running, and whoever opens the channel gets the error of a closed client."""
    program, request = Started(), Open(command=("agent",)).to_request()
    if variant == "blocking":
        opener = ChannelOpener(TransportOptions(environ={}))
        started = lambda *_: opener.close_channels() or Response(101, stream=program)  # noqa: E731 - short
        monkeypatch.setattr("coatcheck._runtime.line_channels.open_program", started)
        with pytest.raises(errors.ConfigurationError, match="closed"):
            opener.open_channel(request)
    else:

        async def open_and_close() -> None:
            opener = AsyncChannelOpener(TransportOptions(environ={}))

            async def start(*_: Any) -> Response:
                await opener.aclose_channels()
                return Response(101, stream=program)

            monkeypatch.setattr("coatcheck._runtime.async_line_channels.aopen_program", start)
            with pytest.raises(errors.ConfigurationError, match="closed"):
                await opener.open_channel(request)

        asyncio.run(open_and_close())

    assert 1 == program.closed


def test_a_program_that_ignores_the_end_is_killed(variant: str) -> None:
    """A program that neither reads its input nor ends on SIGTERM is gone when the client is closed."""
    script = f"import os\nprint(os.getpid(), flush=True)\n{STUBBORN}"

    def exchange() -> Any:
        channel = yield from open_channel(Open(command=(sys.executable, "-c", script)))
        pid = yield Receive(channel, LONG)
        yield Receive(channel, LONG)
        return int(pid)

    pid = run(variant, exchange())
    with pytest.raises(ProcessLookupError) as caught:
        os.kill(pid, 0)

    assert ProcessLookupError is type(caught.value)


def waiting(wish: Open) -> Any:
    """Wait for a message that does not come; emit once the channel is open."""
    channel = yield from open_channel(wish)
    yield Emit("open")
    yield Receive(channel, LONG)


def sending_to(url: str) -> Any:
    """Return the innermost sender of requests to *url*."""

    def send(request: Request) -> Script[Response]:
        return transmit_following(Request("GET", "", url=url, channel=request.channel))

    return send


def test_closing_the_client_ends_a_wait_of_another_thread(server: ChannelServer) -> None:
    """`close` ends a wait for a message at once."""
    driver, raised = blocking_driver(), []
    is_open = threading.Event()

    def wait() -> None:
        try:
            for _ in iterate(run_exchange(waiting(server.open()), sending_to(server.url)), driver):
                is_open.set()
        except errors.CoatcheckError as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert is_open.wait(LONG)
    driver.close()
    thread.join()

    assert [True] == [
        isinstance(error, errors.TransportError | errors.ConfigurationError) for error in raised
    ] or not raised


def test_cancellation_ends_a_wait(server: ChannelServer) -> None:
    """A cancelled task ends at once, and its channel is closed."""

    async def main() -> bool:
        driver, is_open = async_driver(), asyncio.Event()

        async def wait() -> None:
            async for _ in aiterate(run_exchange(waiting(server.open()), sending_to(server.url)), driver):
                is_open.set()

        task = asyncio.create_task(wait())
        await is_open.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await driver.aclose_channels()
        return task.cancelled()

    assert asyncio.run(main())


INTERRUPTED = """
import os, sys
from tests.runtime.test_channels import blocking_driver, sending_to, waiting
from coatcheck._engine.pipeline import run_exchange
from coatcheck._protocol.effects import Open
from coatcheck._runtime.driver import iterate

url, *command = sys.argv[1:]
driver = blocking_driver()
try:
    for _ in iterate(run_exchange(waiting(Open(command=tuple(command))), sending_to(url)), driver):
        print("open", flush=True)
except KeyboardInterrupt:
    driver.close()
    print("interrupted")
"""


@pytest.mark.parametrize("kind", ["websocket", "program"])
def test_ctrl_c_ends_a_wait(kind: str, tmp_path: Path) -> None:
    """Ctrl-C ends a wait for a message of the main thread."""
    with channel_server(kind, tmp_path) as server:
        command = (
            (sys.executable, "-c", STUBBORN.replace("print('ready', flush=True)\n", "")) if kind == "program" else ()
        )
        with subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, server.url, *command],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "open\n"
            program.send_signal(signal.SIGINT)
            printed, _ = program.communicate()

    assert "interrupted\n" == printed


def test_a_transport_without_channels_is_an_error() -> None:
    """A driver that has nothing to open channels with raises an error."""
    transport: Any = PlainTransport()
    with pytest.raises(errors.ConfigurationError) as caught:
        perform(open_channel(Open()), Driver(transport, SystemClock()))
    with pytest.raises(errors.ConfigurationError):
        asyncio.run(aperform(open_channel(Open()), AsyncDriver(transport, SystemClock(), max_in_flight=1)))

    assert "this transport opens no channels" == str(caught.value)
