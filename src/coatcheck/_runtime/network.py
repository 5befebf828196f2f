"""What all transports share: limits, proxies, certificates and error messages.

Invariants:

- the environment is an argument, read when the first request is sent;
- an error message is one line: method, address without query or user, and the innermost reason. It contains no header,
  no proxy password and no message of the HTTP library (which quotes both);
- `request_sent` is False only where no connection was established.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from .. import errors
from .._files.reading import read_regular_file
from .._protocol.effects import Request
from .._protocol.urls import encoded_query
from .._values.value import Value
from .._version import __version__

if TYPE_CHECKING:
    from urllib.parse import SplitResult

C = TypeVar("C")

# Three retransmissions of a lost SYN are 1, 3 and 7 seconds after it (RFC 6298, section 2: the first time-out is 1 s,
# each next one double), so that ten seconds survive a bad line and not a dead one.
CONNECT_TIMEOUT = 10.0
# Where nginx (proxy_read_timeout) and AWS (ALB idle timeout) give up on a silent service.
TIMEOUT = 60.0
# The largest answer seen is 3.5 MB (docs/reference/protocols/codex-wham.md, 2.3), and GitHub takes no file above 100
# MB, of which a diff is rarely the whole. An answer is held twice for a moment, so this is half of the memory that a
# service can make us use.
MAX_BODY = 64 * 2**20
# As many as the clients have in flight.
MAX_IDLE = 32
# Under the 60 s of AWS's ALB and the 75 s of nginx (keepalive_timeout), so that this side closes the connection first: a submission
# sent on a connection that the other side is just closing is lost, and cannot be sent again.
KEEP_ALIVE = 50.0

USER_AGENT = f"coatcheck/{__version__}"
ACCEPT_ENCODING = "gzip, deflate"

CA_VARIABLES = ("COATCHECK_CA_CERTIFICATE", "CODEX_CA_CERTIFICATE", "SSL_CERT_FILE")

# Lower case first, as curl. Upper-case HTTP_PROXY counts as it does for Go and for Python's urllib, but not under CGI,
# where a client's "Proxy:" header becomes this variable (CVE-2016-5385).
PROXY_VARIABLES = {
    "http": ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
}
_DEFAULT_PORTS = {"http": 80, "https": 443}
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")

_CHECK_ADDRESS = "check the address and the network"
_CHECK_PROXY = "check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY"
_ADD_CERTIFICATE = "if your network has its own certificate authority, name its PEM file in COATCHECK_CA_CERTIFICATE"

# Text of a library's error (lower case) -> our reason (None: the library's), and the remedy. The first match is used.
EXPLANATIONS: tuple[tuple[str, str | None, str | None], ...] = (
    ("not valid for name", "the certificate is another host's", _CHECK_ADDRESS),
    ("hostname mismatch", "the certificate is another host's", _CHECK_ADDRESS),
    ("ip address mismatch", "the certificate is another host's", _CHECK_ADDRESS),
    ("certificate", "the server's certificate is not trusted", _ADD_CERTIFICATE),
    ("tunnel error", "the proxy makes no connection", _CHECK_PROXY),
    ("proxy", None, _CHECK_PROXY),
    ("refused", "the connection was refused", "check the address, and that the service runs"),
    ("lookup address", "the host is not known", _CHECK_ADDRESS),
    ("name or service not known", "the host is not known", _CHECK_ADDRESS),
    ("nodename nor servname", "the host is not known", _CHECK_ADDRESS),
    ("name resolution", "the host is not known", _CHECK_ADDRESS),
    ("reset by peer", "the connection was reset", None),
    ("before message completed", "the connection was closed without an answer", None),
    ("without sending a response", "the connection was closed without an answer", None),
    ("before message length", "the answer is cut short", None),
    ("without sending complete message", "the answer is cut short", None),
    ("incomplete chunked read", "the answer is cut short", None),
    ("client was closed", "the client was closed meanwhile", None),
)


class TransportOptions(Value, frozen=True, kw_only=True):
    """Limits of time and size of a transport, and the environment that names proxies and certificates.

    Times are in seconds. `timeout` is for a whole request and its answer, `read_timeout` for each read of a streamed
    one, `keep_alive` for idle connections, of which `max_idle` per host are kept. `max_body` is in bytes, after
    decompression. None waits for ever.
    """

    connect_timeout: float | None = CONNECT_TIMEOUT
    timeout: float | None = TIMEOUT
    read_timeout: float | None = TIMEOUT
    max_body: int = MAX_BODY
    max_idle: int = MAX_IDLE
    keep_alive: float = KEEP_ALIVE
    environ: Mapping[str, str] = {}

    _hidden: ClassVar[frozenset[str]] = frozenset({"environ"})


class Route(NamedTuple):
    """What one HTTP client is good for."""

    proxy: str | None
    is_plain: bool
    is_stream: bool


class Clients(Generic[C]):
    """One HTTP client per route, made when it is first needed; many threads may use it at once."""

    def __init__(self, options: TransportOptions, make: Callable[[TransportOptions, Route], C]) -> None:
        self._environ = options.environ
        self._options, self._make = options, make
        self._clients: dict[tuple[str | None, bool, bool], C] = {}
        self._lock = Lock()
        self._has_proxies: bool | None = None
        self._is_closed = False

    def take(self, request: Request) -> C:
        """Return the client for *request*. Raises `errors.ConfigurationError` after `close`."""
        proxy = None if self._has_proxies is False else self.proxy(request)
        client = self._clients.get((proxy, request.url.startswith("http://"), request.stream))
        return self._open(proxy, request) if client is None else client

    def proxy(self, request: Request) -> str | None:
        """Return the URL of the proxy that *request* goes through."""
        if self._has_proxies is None:
            self._has_proxies = any(self._environ.get(name) for names in PROXY_VARIABLES.values() for name in names)
        return find_proxy(request.url, self._environ) if self._has_proxies else None

    def discard(self, request: Request) -> C | None:
        """Forget the client for *request* and return it; the next request gets a new one."""
        proxy = None if self._has_proxies is False else self.proxy(request)
        with self._lock:
            return self._clients.pop((proxy, request.url.startswith("http://"), request.stream), None)

    def close(self) -> list[C]:
        """Refuse further clients, and return those that are open."""
        with self._lock:
            self._is_closed = True
            clients, self._clients = list(self._clients.values()), {}
        return clients

    def _open(self, proxy: str | None, request: Request) -> C:
        route = Route(proxy, request.url.startswith("http://"), request.stream)
        with self._lock:
            if self._is_closed:
                raise errors.ConfigurationError("the transport is closed", remedy="make a new client")
            if route not in self._clients:
                self._clients[route] = self._make(self._options, route)
            return self._clients[route]


def address(request: Request) -> str:
    """Return the URL to request, query included, user left out: credentials are only in the headers."""
    url = request.url
    if "@" in url:
        parts = _parts(url)
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if request.query:
        url = f"{url}{'&' if '?' in url else '?'}{encoded_query(request.query)}"
    return url


# Fields that name a place to go to. One that cannot be read is kept as this, which is no address: an answer that names
# a place must not look like one that names none.
_PLACES = frozenset({"azure-asyncoperation", "location", "operation-location"})
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
# Fields of which an answer has one value (RFC 9110, sections 5.3 and 8.6, 10.2.2, 10.2.3). Two that differ are ignored.
_SINGLE = _PLACES | {"content-encoding", "content-length", "content-type", "date", "retry-after"}


def joined(fields: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Return the fields of an answer by lower-case name, repeated ones joined with a comma (RFC 9110, section 5.3).

    A value of None could not be read: it holds bytes that are not ASCII, which RFC 9110, section 5.5, leaves without a
    meaning. A field with such a value is left out, with all others of its name, and so is one that may have
    a single value and has two that differ: no value can be used. One that names a place to go to becomes U+FFFD instead.
    The rest of the answer is not affected.
    """
    headers: dict[str, str] = {}
    unreadable = set()
    for name, value in fields:
        if value is None or (name in _SINGLE and headers.get(name, value) != value):
            unreadable.add(name)
        elif name not in headers:
            headers[name] = value
        elif name not in _SINGLE:
            headers[name] = f"{headers[name]}, {value}"
    if not unreadable:
        return headers
    kept = {name: value for name, value in headers.items() if name not in unreadable}
    return kept | dict.fromkeys(unreadable & _PLACES, _UNREADABLE)


def check_length(request: Request, headers: Mapping[str, str], limit: int) -> None:
    """Raise where the answer declares more than *limit* bytes; to HEAD it declares what it does not send."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit and request.method != "HEAD":
        raise too_large(request, limit)


def find_proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy of *environ* for *url*, None for none.

    NO_PROXY lists names (with all below them), addresses, networks (``10.0.0.0/8``), each with a port if wanted, or
    ``*``. Loopback never goes through a proxy: curl and reqwest would send it, Go does not, and to distinguish it from
    a request to the proxy's own loopback, and to keep plain http on this machine, neither may ours.
    Raises `errors.ConfigurationError` where a variable holds no proxy's URL.
    """
    try:
        parts = _parts(url)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:  # sending it raises the error
        return None
    name = next((name for name in PROXY_VARIABLES.get(parts.scheme, ()) if _counts(name, environ)), None)
    return None if name is None or _is_direct(host, port, environ) else _proxy_url(name, environ[name].strip())


def _counts(name: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(name, "").strip()) and not (name == "HTTP_PROXY" and "REQUEST_METHOD" in environ)


def _proxy_url(name: str, value: str) -> str:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = _parts(url)
        is_usable = parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:  # the value may hold a password and is not shown
        raise errors.ConfigurationError(f"{name} is not the URL of a proxy", remedy="write it as http://HOST:PORT")
    return url


def _is_direct(host: str, port: int | None, environ: Mapping[str, str]) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress  # 3 ms, for those who have a proxy

    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        ip = None
    if ip is not None and ip.is_loopback:
        return True
    entries = (environ.get("no_proxy") or environ.get("NO_PROXY") or "").lower().replace(",", " ").split()
    return any(_is_exempt(entry, host, port, is_address=ip is not None) for entry in entries)


def _is_exempt(entry: str, host: str, port: int | None, *, is_address: bool) -> bool:
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal() and (":" not in name or name.endswith("]")):
        return int(wanted) == port and _is_exempt(name, host, port, is_address=is_address)
    entry = entry.strip("[]")
    if is_address:
        return entry == "*" or _holds(entry, host)
    entry = entry.lstrip(".")
    return entry in ("*", host) or host.endswith(f".{entry}")


def _holds(network: str, host: str) -> bool:
    import ipaddress  # as above

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def read_certificates(environ: Mapping[str, str]) -> bytes:
    """Return the PEM file of the first variable in `CA_VARIABLES` that is set: trusted besides the system's own.

    Raises `errors.ConfigurationError` where it cannot be read or holds no certificate.
    """
    name = next((name for name in CA_VARIABLES if environ.get(name)), None)
    if name is None:
        return b""
    try:
        pem = read_regular_file(environ[name])
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise errors.ConfigurationError(f"{name}: {environ[name]}: {reason}", remedy="name a PEM file") from None
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise bad_certificates(environ)
    return pem


def bad_certificates(environ: Mapping[str, str]) -> errors.ConfigurationError:
    """Return the error for a certificate file that makes no sense, or for a system that has none."""
    name = next((name for name in CA_VARIABLES if environ.get(name)), None)
    if name is None:
        return errors.ConfigurationError(
            "this system has no certificates to trust",
            remedy="install its package ca-certificates, or name a PEM file in COATCHECK_CA_CERTIFICATE",
        )
    return errors.ConfigurationError(
        f"{name}: {environ[name]} holds no usable certificate", remedy="name a file of PEM certificates"
    )


def too_large(request: Request, limit: int) -> errors.TransportError:
    """Return the error for an answer that is longer than *limit* bytes."""
    return errors.TransportError(f"{_place(request)}: the answer is larger than {limit} bytes")


def unreadable(request: Request, reason: str) -> errors.TransportError:
    """Return the error for a response that cannot be read: the service may have performed the request."""
    return errors.TransportError(f"{_place(request)}: the answer cannot be read: {_one_line(reason)}")


def unsendable(request: Request) -> errors.ConfigurationError:
    """Return the error for a request that is not HTTP; the reason may quote a header and is left out."""
    return errors.ConfigurationError(
        f"{_place(request)}: not a request that can be sent", remedy="check the address and the headers"
    )


def closed(request: Request) -> errors.ConfigurationError:
    """Return the error for what is used after it was closed."""
    return errors.ConfigurationError(f"{_place(request)}: the stream or its client is closed")


def limit_of(request: Request, options: TransportOptions) -> float | None:
    """Return the seconds that *request* may take where they are not those of *options*; None where they are."""
    if request.at_most is None or request.stream:
        return request.timeout
    usual = options.timeout if request.timeout is None else request.timeout
    return request.at_most if usual is None else min(usual, request.at_most)


def failure(
    request: Request, reason: str, *, is_sent: bool, is_timeout: bool = False, proxy: str | None = None
) -> errors.TransportError:
    """Return the error for a request that failed because of *reason*, in the library's words."""
    place = _place(request) + (f" through the proxy {_parts(proxy).hostname}" if proxy else "")
    if is_timeout:
        words = "no answer in time" if is_sent else "no connection in time"
        remedy = None if is_sent else _CHECK_ADDRESS
        return errors.TransportTimeoutError(f"{place}: {words}", request_sent=is_sent, remedy=remedy)
    words, remedy = _explained(reason)
    return errors.TransportError(f"{place}: {words}", request_sent=is_sent, remedy=remedy)


def _explained(reason: str) -> tuple[str, str | None]:
    lowered = reason.lower()
    for fragment, words, remedy in EXPLANATIONS:
        if fragment in lowered:
            return words or _one_line(reason), remedy
    return _one_line(reason), None


def _parts(url: str) -> SplitResult:
    from urllib.parse import urlsplit  # 2 ms, for proxies and errors

    return urlsplit(url)


def _one_line(reason: str) -> str:
    return " ".join(reason.partition(" for url (")[0].split())[:200] or "the connection failed"


def _place(request: Request) -> str:
    try:
        parts = _parts(request.url)
    except ValueError:  # as above
        return f"{request.method} an address that cannot be read"
    return f"{request.method} {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
