"""All four transports have the same properties over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import subprocess
import sys
import threading
import zlib
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trustme
from tests.runtime.servers import TIME_LIMIT, Connection, Server, answer, answering, chunk, chunked, saying, silent

from coatcheck import errors
from coatcheck._installation import install_command
from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.network import USER_AGENT
from coatcheck._runtime.transport import AsyncReqwestTransport, ReqwestTransport, TransportOptions
from coatcheck._runtime.transport_httpx2 import AsyncHttpx2Transport, Httpx2Transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

# 16 KiB that inflate to 16 MiB.
BOMB = gzip.compress(bytes(16 * 2**20), 6)
KINDS = {
    "reqwest": ReqwestTransport,
    "async-reqwest": AsyncReqwestTransport,
    "httpx2": Httpx2Transport,
    "async-httpx2": AsyncHttpx2Transport,
}


class Subject:
    """Any of the four, asynchronous: blocking calls run in threads."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.is_blocking = hasattr(transport, "close")

    async def send(self, request: Request) -> Response:
        response: Response = await self._call(self.transport.send, request)
        return response

    async def get(self, url: str, **given: Any) -> Response:
        return await self.send(Request("GET", "/", url=url, **given))

    async def read(self, response: Response) -> bytes:
        chunk: bytes = await self._call(response.stream.read if self.is_blocking else response.stream.aread)
        return chunk

    async def close_stream(self, response: Response) -> None:
        await self._call(response.stream.close if self.is_blocking else response.stream.aclose)

    async def close(self) -> None:
        await self._call(self.transport.close if self.is_blocking else self.transport.aclose)

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await (asyncio.to_thread(function, *arguments) if self.is_blocking else function(*arguments))


async def refusal(awaitable: Any) -> errors.CoatcheckError:
    """Return the error that *awaitable* ends with."""
    with pytest.raises(errors.CoatcheckError) as caught:
        await awaitable
    return caught.value


async def is_set(event: threading.Event) -> bool:
    """Wait for *event* without holding up the loop."""
    return await asyncio.to_thread(event.wait, TIME_LIMIT)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of transport."""
    return str(request.param)


@pytest.fixture
async def make(kind: str) -> AsyncIterator[Callable[..., Subject]]:
    """Return a function that makes transports with the given options."""
    made: list[Subject] = []

    def make(**options: Any) -> Subject:
        made.append(Subject(KINDS[kind](TransportOptions(**{"timeout": TIME_LIMIT, **options}))))
        return made[-1]

    yield make
    for subject in made:
        await subject.close()


@pytest.fixture
def subject(make: Callable[..., Subject]) -> Subject:
    """A transport."""
    return make()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority."""
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A TLS context of the server."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "service.test").configure_cert(context)
    return context


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> str:
    """Return the path of a bundle: an unrelated certificate, then ours."""
    path = tmp_path / "authority.pem"
    path.write_bytes(trustme.CA().cert_pem.bytes() + authority.cert_pem.bytes())
    return str(path)


class TestRequest:
    """The request is sent as given."""

    async def test_the_request_is_unchanged(self, subject: Subject) -> None:
        """Method, path, query (form-encoded), headers in order, and body reach the server unchanged."""
        headers = (("b", "1"), ("user-agent", "mine/1"), ("a", "2"), ("accept", "text/plain"))
        with Server(answering(answer())) as server:
            url = server.url("/wham/tasks%2F1?x=1")
            query = (("task_filter", "current"), ("cursor", "+RID:~a b/c"))
            await subject.send(Request("POST", "/", query, headers, b'{"a":1}', url=url))

        got = server.requests[0]
        sent = [pair for pair in got.headers if pair[0] in dict(headers)]
        target = "/wham/tasks%2F1?x=1&task_filter=current&cursor=%2BRID%3A~a+b%2Fc"
        assert ("POST", target, list(headers), b'{"a":1}') == (got.method, got.target, sent, got.body)

    async def test_nothing_else(self, subject: Subject) -> None:
        """No cookie that was set, no user of the URL, no referer and no library's name goes out."""
        with Server(answering(answer(headers=("set-cookie: a=1; path=/",)))) as server:
            url = server.url("/").replace("127", "user:secret@127")
            for _ in range(2):
                await subject.get(url)

        got = server.requests[1]
        names = {name.lower() for name, _ in got.headers}
        assert (set(), [USER_AGENT]) == (names & {"cookie", "authorization", "referer"}, got.values("user-agent"))

    async def test_empty_body_has_a_length(self, subject: Subject) -> None:
        """A POST without a body has Content-Length: 0 (RFC 9110, section 8.6); a GET has none."""
        with Server(answering(answer())) as server:
            await subject.send(Request("POST", "/", url=server.url()))
            await subject.get(server.url())

        assert [["0"], []] == [got.values("content-length") for got in server.requests]

    @pytest.mark.parametrize("url", ["ftp://user:s3cret@127.0.0.1/?s3cret", "nowhere?s3cret"])
    async def test_not_http(self, subject: Subject, url: str) -> None:
        """What is no address of the web is a configuration error that quotes no user and no query."""
        error = await refusal(subject.get(url))

        assert (errors.ConfigurationError, False) == (type(error), "s3cret" in f"{error!r}{error.remedy}")

    @pytest.mark.parametrize("value", ["Bearer s3cret\n", "Bearer s3cret\0"])
    async def test_bad_header(self, subject: Subject, value: str) -> None:
        """A header that is none is a configuration error that does not quote it."""
        with Server(answering(answer())) as server:
            error = await refusal(subject.get(server.url(), headers=(("authorization", value),)))

        assert (errors.ConfigurationError, False, []) == (
            type(error),
            "s3cret" in f"{error!r}{error.remedy}",
            server.requests,
        )


class TestResponse:
    """The response is returned as sent."""

    @pytest.mark.parametrize("status", ["201 Created", "302 Found", "404 Not Found", "503 Busy"])
    async def test_any_status(self, subject: Subject, status: str) -> None:
        """Every status is an answer; redirects are not followed."""
        with Server(answering(answer(b"body", status=status, headers=("location: /elsewhere",)))) as server:
            response = await subject.get(server.url())

        assert (int(status[:3]), b"body", 1) == (response.status, response.body, len(server.requests))

    async def test_header_names(self, subject: Subject) -> None:
        """Header names are lower-case and repeated fields are joined."""
        with Server(answering(answer(headers=("X-A: 1", "x-a: 2", "ETag: W/x")))) as server:
            response = await subject.get(server.url())

        assert {"x-a": "1, 2", "etag": "W/x", "content-length": "0"} == dict(response.headers)

    @pytest.mark.parametrize(
        ("data", "body"),
        [
            (answer(gzip.compress(b"hello"), headers=("content-encoding: gzip",)), b"hello"),
            (answer(zlib.compress(b"hello"), headers=("content-encoding: deflate",)), b"hello"),
            (answer(b"", headers=("content-encoding: gzip",)), b""),
            (chunked() + chunk(b"hel") + chunk(b"lo") + b"0\r\n\r\n", b"hello"),
            (chunked("content-encoding: gzip") + chunk(gzip.compress(b"hello")) + b"0\r\n\r\n", b"hello"),
            (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ],
        ids=["gzip", "deflate", "empty-gzip", "chunked", "chunked-gzip", "until-close", "204"],
    )
    async def test_bodies(self, subject: Subject, data: bytes, body: bytes) -> None:
        """Bodies of every transfer coding are returned decoded, without a header that names the removed coding."""
        with Server(saying(data)) as server:
            response = await subject.get(server.url())

        assert (body, False) == (response.body, "content-encoding" in response.headers)

    async def test_head(self, subject: Subject) -> None:
        """The answer to HEAD declares what it does not send."""
        with Server(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n")) as server:
            response = await subject.send(Request("HEAD", "/", url=server.url()))

        assert (200, b"", "999999999999") == (response.status, response.body, response.headers["content-length"])

    async def test_many_at_once(self, make: Callable[..., Subject]) -> None:
        """Thirty-two requests are under way together, from as many threads in the blocking variant."""
        together = threading.Barrier(32)

        def script(connection: Connection) -> None:
            if connection.receive() is not None:
                together.wait(TIME_LIMIT)
                connection.send(answer(b"ok"))

        subject = make()
        if subject.is_blocking:
            from concurrent.futures import ThreadPoolExecutor

            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))
        with Server(script) as server:
            responses = await asyncio.gather(*(subject.get(server.url()) for _ in range(32)))

        assert [b"ok"] * 32 == [response.body for response in responses]


class TestFailure:
    """A failure is one line, and shows whether the request may have arrived."""

    async def test_refused(self, subject: Subject) -> None:
        """A refused connection carried nothing; the error names the address, and neither user nor query."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        error = await refusal(subject.get(f"http://user:s3cret@127.0.0.1:{port}/tasks?k=s3cret"))

        expected = f"GET http://127.0.0.1:{port}/tasks: the connection was refused"
        assert (expected, False, True) == (str(error), error.request_sent, bool(error.remedy))

    async def test_unknown_host(self, subject: Subject) -> None:
        """An unknown host received nothing."""
        error = await refusal(subject.get("http://no-such-host.localhost:1/"))

        assert (errors.TransportError, False) == (type(error), error.request_sent)

    async def test_post_is_sent_once(self, subject: Subject) -> None:
        """A POST that is read and not answered was sent, and is not sent again."""

        def script(connection: Connection) -> None:
            connection.receive()

        with Server(script) as server:
            error = await refusal(subject.send(Request("POST", "/", body=b"x", url=server.url())))

        message = f"POST {server.url()}: the connection was closed without an answer"
        assert (message, True, 1) == (str(error), error.request_sent, len(server.requests))

    async def test_post_on_a_kept_connection_is_sent_once(self, subject: Subject) -> None:
        """So it is on a connection that had served before."""

        def script(connection: Connection) -> None:
            connection.receive()
            connection.send(answer(b"ok"))
            connection.receive()

        with Server(script) as server:
            await subject.get(server.url())
            error = await refusal(subject.send(Request("POST", "/", body=b"x", url=server.url())))

        assert (True, 1, ["GET", "POST"]) == (
            error.request_sent,
            server.connections,
            [got.method for got in server.requests],
        )

    async def test_post_on_a_stale_connection_is_sent_at_most_once(self, subject: Subject) -> None:
        """Where the server closes between two requests, the second arrives once or not at all."""
        seen = []
        for _ in range(10):
            with Server(saying(answer(b"ok"))) as server:
                await subject.get(server.url())
                with contextlib.suppress(errors.TransportError):
                    await subject.send(Request("POST", "/", body=b"x", url=server.url()))
            seen.append([got.method for got in server.requests].count("POST"))

        assert set() == set(seen) - {0, 1}

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc",
            chunked() + b"64\r\nabc",
            b"nonsense\r\n\r\n",
            answer(b"abc", headers=("content-encoding: gzip",)),
            answer(gzip.compress(b"hello")[:-6] + b"xxxxxx", headers=("content-encoding: gzip",)),
            answer(gzip.compress(b"hello")[:-6], headers=("content-encoding: gzip",)),
        ],
        ids=["cut-short", "chunk-cut-short", "not-http", "not-gzip", "gzip-checksum", "gzip-cut-short"],
    )
    async def test_broken_answer(self, subject: Subject, data: bytes) -> None:
        """An answer that is cut short or broken is an error, never a shorter answer."""
        with Server(saying(data)) as server:
            error = await refusal(subject.get(server.url()))

        assert (errors.TransportError, True) == (type(error), error.request_sent)

    async def test_closed(self, subject: Subject) -> None:
        """Closing twice is allowed; sending afterwards is a clear error."""
        with Server(answering(answer())) as server:
            await subject.get(server.url())
            await subject.close()
            await subject.close()
            error = await refusal(subject.get(server.url()))

        assert (errors.ConfigurationError, "the transport is closed") == (type(error), str(error))


def then(script: Callable[[Connection], None]) -> Callable[[Connection], None]:
    """Return the script that answers the first request of a connection, and then is *script*."""

    def first(connection: Connection) -> None:
        connection.receive()
        connection.send(answer())
        script(connection)

    return first


class TestLimits:
    """Neither time nor memory is without end."""

    @pytest.mark.parametrize("per_request", [False, True])
    async def test_silence(self, make: Callable[..., Subject], per_request: bool) -> None:
        """No answer in time is a time-out of a request that was sent; a request's own limit goes before ours."""
        subject = make(timeout=TIME_LIMIT if per_request else 0.5)
        with Server(then(silent)) as server:
            await subject.get(server.url(), timeout=TIME_LIMIT)  # the connection stands
            error = await refusal(subject.get(server.url(), timeout=0.5 if per_request else None))
            hung_up = await is_set(server.has_lost_client)

        message = f"GET {server.url()}: no answer in time"
        assert (errors.TransportTimeoutError, message, True, True) == (
            type(error),
            str(error),
            error.request_sent,
            hung_up,
        )

    async def test_trickle(self, make: Callable[..., Subject]) -> None:
        """The limit is for the whole: an answer that trickles for ever is ended."""

        def script(connection: Connection) -> None:
            connection.receive()
            connection.send(chunked())
            while not server.may_go_on.wait(0.02):
                connection.send(chunk(b"x"))

        subject = make(timeout=TIME_LIMIT)
        with Server(then(script)) as server:
            await subject.get(server.url())  # the connection stands
            error = await refusal(subject.get(server.url(), timeout=0.5))

        assert (errors.TransportTimeoutError, True) == (type(error), error.request_sent)

    async def test_connect(self, make: Callable[..., Subject], tls: ssl.SSLContext) -> None:
        """A TLS handshake that never ends is a time-out of a request that was not sent."""
        with Server(Connection.wait_for_end) as server:
            subject = make(connect_timeout=0.2)
            error = await refusal(subject.get(server.url().replace("http", "https")))

        assert (errors.TransportTimeoutError, False) == (type(error), error.request_sent)

    async def test_exact_size(self, make: Callable[..., Subject]) -> None:
        """As much as the limit is not too much."""
        with Server(answering(answer(b"x" * 1000))) as server:
            response = await make(max_body=1000).get(server.url())

        assert 1000 == len(response.body)

    @pytest.mark.parametrize("length", ["", "content-length: 1000000000000\r\n"], ids=["endless", "declared"])
    async def test_too_long(self, make: Callable[..., Subject], length: str) -> None:
        """An answer without end, or with a far one, is stopped soon after the limit."""
        sent = 0

        def script(connection: Connection) -> None:
            nonlocal sent
            connection.receive()
            connection.send(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
            while not server.may_go_on.is_set():
                connection.send(bytes(2**16))
                sent += 2**16

        with Server(script) as server:
            error = await refusal(make(max_body=2**20).get(server.url()))

        # 1 MiB that we take, 4 MiB read ahead, and what two kernels' socket buffers hold of 6 MiB each
        assert (True, True) == ("larger than 1048576 bytes" in str(error), sent < 24 * 2**20)

    async def test_bomb(self, make: Callable[..., Subject]) -> None:
        """The limit counts what an answer inflates to."""
        with Server(answering(answer(BOMB, headers=("content-encoding: gzip",)))) as server:
            error = await refusal(make(max_body=2**20).get(server.url()))

        assert f"GET {server.url()}: the answer is larger than 1048576 bytes" == str(error)


class TestStream:
    """With ``stream=True`` a response is read as it arrives."""

    async def test_chunks_are_read_as_they_arrive(self, subject: Subject) -> None:
        """The first chunk is read before the second is sent; the end is empty, however often it is read."""

        def script(connection: Connection) -> None:
            connection.receive()
            connection.send(chunked() + chunk(b"one"))
            server.may_go_on.wait(TIME_LIMIT)
            connection.send(chunk(b"two") + b"0\r\n\r\n")

        with Server(script) as server:
            response = await subject.get(server.url(), stream=True)
            got = [await subject.read(response)]
            server.may_go_on.set()
            got += [await subject.read(response) for _ in range(3)]

        assert (b"", [b"one", b"two", b"", b""]) == (response.body, got)

    async def test_compressed(self, subject: Subject) -> None:
        """A compressed stream is read as what it stands for."""
        with Server(saying(answer(gzip.compress(b"hello"), headers=("content-encoding: gzip",)))) as server:
            response = await subject.get(server.url(), stream=True)
            got = b""
            while data := await subject.read(response):
                got += data

        assert b"hello" == got

    async def test_refusal_is_whole(self, subject: Subject) -> None:
        """Anything but success has a body and no stream."""
        with Server(answering(answer(b"no such task", status="404 Not Found"))) as server:
            response = await subject.get(server.url(), stream=True)

        assert (404, b"no such task", None) == (response.status, response.body, response.stream)

    async def test_each_read_has_a_limit(self, make: Callable[..., Subject]) -> None:
        """A stream may last longer than a request, but not fall silent."""

        def script(connection: Connection) -> None:
            connection.receive()
            connection.send(chunked())
            for _ in range(6):
                server.may_go_on.wait(0.25)
                connection.send(chunk(b"x"))
            connection.wait_for_end()

        with Server(script) as server:
            subject = make(timeout=1.0, read_timeout=1.0)
            response = await subject.get(server.url(), stream=True)
            got = [await subject.read(response) for _ in range(6)]
            error = await refusal(subject.read(response))

        assert (b"xxxxxx", errors.TransportTimeoutError) == (b"".join(got), type(error))

    async def test_own_limit(self, subject: Subject) -> None:
        """A request's own limit bounds the whole stream."""

        def script(connection: Connection) -> None:
            connection.receive()
            connection.send(chunked())
            while not server.may_go_on.wait(0.02):
                connection.send(chunk(b"x"))

        async def drain() -> None:
            response = await subject.get(server.url(), stream=True, timeout=0.3)
            while await subject.read(response):
                pass

        with Server(script) as server:
            error = await refusal(drain())

        assert errors.TransportTimeoutError is type(error)

    async def test_close_early(self, subject: Subject) -> None:
        """Closing ends the connection, any number of times; reading afterwards is a clear error."""

        def script(connection: Connection) -> None:
            connection.receive()
            connection.send(chunked() + chunk(b"one"))
            connection.wait_for_end()

        with Server(script) as server:
            response = await subject.get(server.url(), stream=True)
            await subject.read(response)
            await subject.close_stream(response)
            await subject.close_stream(response)
            hung_up = await is_set(server.has_lost_client)
            error = await refusal(subject.read(response))

        assert (True, errors.ConfigurationError) == (hung_up, type(error))


class TestTrust:
    """Certificates are always verified."""

    async def test_unknown_authority(self, subject: Subject, tls: ssl.SSLContext) -> None:
        """An unknown authority is refused before anything is sent, with a remedy."""
        with Server(answering(answer(b"ok")), context=tls) as server:
            error = await refusal(subject.get(server.url()))

        message = f"GET {server.url()}: the server's certificate is not trusted"
        assert (message, False, True, []) == (
            str(error),
            error.request_sent,
            "COATCHECK_CA_CERTIFICATE" in (error.remedy or ""),
            server.requests,
        )

    @pytest.mark.parametrize("name", ["COATCHECK_CA_CERTIFICATE", "CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"])
    async def test_own_authority(
        self, make: Callable[..., Subject], tls: ssl.SSLContext, certificate: str, name: str
    ) -> None:
        """A file of certificates named in the environment is trusted, all of it."""
        with Server(answering(answer(b"ok")), context=tls) as server:
            response = await make(environ={name: certificate}).get(server.url())

        assert b"ok" == response.body

    async def test_other_name(self, make: Callable[..., Subject], tls: ssl.SSLContext, certificate: str) -> None:
        """A trusted certificate of another host is refused."""
        with Server(answering(answer(b"ok")), context=tls) as server:
            subject = make(environ={"SSL_CERT_FILE": certificate})
            error = await refusal(subject.get(server.url().replace("127.0.0.1", "localhost")))

        assert (True, False) == ("the certificate is another host's" in str(error), error.request_sent)

    @pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"])
    async def test_no_certificate(self, make: Callable[..., Subject], tmp_path: Path, content: str) -> None:
        """A file without a usable certificate is a configuration error that names it."""
        path = tmp_path / "authority.pem"
        path.write_text(content)
        error = await refusal(make(environ={"SSL_CERT_FILE": str(path)}).get("https://127.0.0.1:1/"))

        assert (errors.ConfigurationError, True) == (type(error), f"SSL_CERT_FILE: {path}" in str(error))


class TestProxy:
    """The environment names the proxy."""

    async def test_plain(self, make: Callable[..., Subject]) -> None:
        """A plain http request is sent to the proxy, with the user that its URL names."""
        with Server(answering(answer(b"ok"))) as server:
            proxy = f"http://us%40er:pw@127.0.0.1:{server.port}"
            response = await make(environ={"http_proxy": proxy}).get("http://service.test/x?y=1")

        got = server.requests[0]
        assert (b"ok", "http://service.test/x?y=1", ["Basic dXNAZXI6cHc="]) == (
            response.body,
            got.target,
            got.values("proxy-authorization"),
        )

    async def test_tunnel(self, make: Callable[..., Subject], tls: ssl.SSLContext, certificate: str) -> None:
        """Https uses a tunnel, in which the certificate is the service's; the proxy gets no header."""

        def script(connection: Connection) -> None:
            connection.receive()
            connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            connection.start_tls(tls)
            answering(answer(b"ok"))(connection)

        with Server(script) as server:
            environ = {"HTTPS_PROXY": f"127.0.0.1:{server.port}", "SSL_CERT_FILE": certificate}
            headers = (("authorization", "Bearer t"),)
            response = await make(environ=environ).get("https://service.test/x", headers=headers)

        outer, inner = server.requests
        assert (b"ok", "CONNECT", "service.test:443", [], "/x") == (
            response.body,
            outer.method,
            outer.target,
            outer.values("authorization"),
            inner.target,
        )

    async def test_refused_tunnel(self, make: Callable[..., Subject]) -> None:
        """A refusing proxy means that the request was not sent; the error does not contain its password."""
        with Server(answering(answer(status="407 Proxy Authentication Required"))) as server:
            environ = {"ALL_PROXY": f"http://user:s3cret@127.0.0.1:{server.port}"}
            error = await refusal(make(environ=environ).get("https://service.test/"))

        assert (False, True, False, True) == (
            error.request_sent,
            "through the proxy 127.0.0.1" in str(error),
            "s3cret" in str(error),
            "HTTPS_PROXY" in (error.remedy or ""),
        )

    async def test_loopback_goes_direct(self, make: Callable[..., Subject]) -> None:
        """A request to this machine uses no proxy, whatever the environment names."""
        with Server(answering(answer(b"ok"))) as server:
            environ = dict.fromkeys(("http_proxy", "all_proxy"), "http://127.0.0.1:1")
            response = await make(environ=environ).get(server.url())

        assert b"ok" == response.body

    async def test_bad_proxy(self, make: Callable[..., Subject]) -> None:
        """A variable that names no proxy is a configuration error that does not show its value."""
        error = await refusal(make(environ={"http_proxy": "gopher://u:s3cret@x"}).get("http://service.test/"))

        assert (errors.ConfigurationError, "http_proxy is not the URL of a proxy") == (type(error), str(error))


class TestColours:
    """What only some of the four can do."""

    @pytest.mark.parametrize("kind", ["async-reqwest", "async-httpx2"], indirect=True)
    async def test_cancel(self, subject: Subject) -> None:
        """A cancelled task is free at once, its connection when the request's time is up at the latest."""
        with Server(silent) as server:
            task = asyncio.create_task(subject.get(server.url(), timeout=4.0))
            await is_set(server.has_request)
            task.cancel()
            done, _ = await asyncio.wait([task])
            hung_up = await is_set(server.has_lost_client)

        assert ({task}, True, True) == (done, task.cancelled(), hung_up)

    @pytest.mark.parametrize("kind", ["reqwest"], indirect=True)
    async def test_close_meanwhile(self, subject: Subject) -> None:
        """Closing from another thread ends a blocking request at once."""
        with Server(silent) as server:
            task = asyncio.create_task(subject.get(server.url()))
            await is_set(server.has_request)
            await subject.close()
            error = await refusal(task)

        assert f"GET {server.url()}: the client was closed meanwhile" == str(error)

    async def test_brought_client(self) -> None:
        """A client that is passed in is used as it is, and stays open."""

        def handle(request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, content=f"{request.method} {request.url.path}".encode())

        with httpx2.Client(transport=httpx2.MockTransport(handle)) as client:
            transport = Httpx2Transport(client=client)
            response = transport.send(Request("GET", "/", url="https://service.test/x"))
            transport.close()

            assert (b"GET /x", False) == (response.body, client.is_closed)

    async def test_brought_async_client(self) -> None:
        """So it is under asyncio."""

        def handle(request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, content=f"{request.method} {request.url.path}".encode())

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
            transport = AsyncHttpx2Transport(client=client)
            response = await transport.send(Request("GET", "/", url="https://service.test/x"))
            await transport.aclose()

            assert (b"GET /x", False) == (response.body, client.is_closed)


def test_import_is_light() -> None:
    """Importing and making a transport loads no HTTP library and no event loop."""
    code = """
import sys
from coatcheck._runtime.transport import AsyncReqwestTransport, ReqwestTransport
ReqwestTransport(), AsyncReqwestTransport()
print(sorted({"asyncio", "ssl", "httpx2", "pyreqwest", "pathlib"} & set(sys.modules)))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "[]\n" == printed


def test_httpx2_is_an_extra() -> None:
    """Without httpx2 its transport names the package to install."""
    code = """
import sys
sys.modules["httpx2"] = None
from coatcheck import errors
try:
    import coatcheck._runtime.transport_httpx2
except errors.ConfigurationError as error:
    print(error.remedy)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert f"install it with: {install_command('httpx2')}\n" == printed
