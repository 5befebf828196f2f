"""Who gets a secret, and what a 401 does."""

from __future__ import annotations

import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService

from coatcheck import errors
from coatcheck._engine.authenticate import is_loopback, require_permitted_host
from coatcheck._protocol.effects import Script
from coatcheck._protocol.login_contract import Login, Secret

LOGIN = Login(name="toy", remedy="log in", trusted_hosts=frozenset({"toy.example"}))
STORED = Secret(token="t", source="~/toy.json", is_stored=True)
EXPLICIT = Secret(token="t")


class Renewing:
    """Credentials that hold one secret after another."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)

    def get_secret(self) -> Script[Secret]:
        yield from ()
        return Secret(token=self.tokens[0])

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:
        yield from ()
        if len(self.tokens) == 1:
            return None
        self.tokens.pop(0)
        return Secret(token=self.tokens[0])


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def test_a_401_is_retried_once_with_another_secret(variant: str) -> None:
    """A renewed secret is sent, once."""
    service = ToyService()
    service.create({"prompt": "p", "attempts": 1})
    both = Both(variant, ToyProvider(), service, token=None, credentials=Renewing("stale", "good"))
    both.get_task("t1")

    assert 2 == len(service.requests)


@pytest.mark.parametrize("tokens", [("stale",), ("stale", "staler", "stalest")])
def test_a_401_that_cannot_be_renewed_is_raised(variant: str, tokens: tuple[str, ...]) -> None:
    """One other secret is tried at most; the error is the service's refusal with a remedy."""
    service = ToyService()
    both = Both(variant, ToyProvider(), service, token=None, credentials=Renewing(*tokens))

    with pytest.raises(errors.AuthenticationError, match="who are you") as caught:
        both.get_usage()

    assert "run: toy login" == caught.value.remedy
    assert min(len(tokens), 2) == len(service.requests)


@pytest.mark.parametrize(
    ("base", "secret"),
    [
        ("https://toy.example/api", STORED),
        ("https://toy.example:443/api", STORED),
        ("http://127.0.0.1:8080", STORED),
        ("http://localhost:1", STORED),
        ("http://[::1]:1", STORED),
        ("https://anywhere.example", EXPLICIT),
    ],
)
def test_a_secret_may_go_there(base: str, secret: Secret) -> None:
    """A stored login goes to trusted hosts and loopback, an explicit token to any https host."""
    assert require_permitted_host(base, secret, LOGIN) is None


@pytest.mark.parametrize(
    ("base", "secret", "reason"),
    [
        ("https://evil.example", STORED, "never sent to evil.example"),
        ("https://toy.example.evil.example", STORED, "never sent to"),
        ("https://toy.example:8443", STORED, "never sent to"),
        ("http://toy.example", STORED, "without encryption"),
        ("http://toy.example", EXPLICIT, "without encryption"),
        ("http://127.0.0.1.evil.example", EXPLICIT, "without encryption"),
        ("https://user@evil.example", STORED, "never sent to evil.example"),
    ],
)
def test_a_secret_may_not_go_there(base: str, secret: Secret, reason: str) -> None:
    """Anything else is refused before a request, naming the host and never the token."""
    with pytest.raises(errors.ConfigurationError, match=reason) as caught:
        require_permitted_host(base, secret, LOGIN)

    assert "'t'" not in str(caught.value)


@pytest.mark.parametrize("hosts", [frozenset({"other.example"}), frozenset[str]()])
def test_a_secret_may_have_narrower_hosts(hosts: frozenset[str]) -> None:
    """It is sent where both allow it: the hosts of a secret narrow those of the login, and widen nothing."""
    secret = Secret(token="t", is_stored=True, hosts=hosts)
    for base in ("https://toy.example", "https://other.example"):
        with pytest.raises(errors.ConfigurationError, match="is never sent to"):
            require_permitted_host(base, secret, LOGIN)

    assert (
        require_permitted_host(
            "https://toy.example", Secret(token="t", is_stored=True, hosts=LOGIN.trusted_hosts), LOGIN
        )
        is None
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_refused_host_gets_no_request(variant: str) -> None:
    """The host is checked before the request is sent."""
    service = ToyService()
    both = Both(variant, ToyProvider("http://toy.example"), service)

    with pytest.raises(errors.ConfigurationError):
        both.get_usage()

    assert [] == service.requests


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.9.9.9", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("localhost.evil", False)],
)
def test_loopback_is_this_machine_only(host: str, expected: bool) -> None:
    """Only addresses that cannot be another machine's count."""
    assert expected is is_loopback(host)


def test_a_secret_does_not_show_itself() -> None:
    """Neither repr nor str of a secret holds the token or the account."""
    secret = Secret(token="tok-123", account_id="acc-456")

    assert not {"tok-123", "acc-456"} & set(repr(secret).replace("'", " ").split())
