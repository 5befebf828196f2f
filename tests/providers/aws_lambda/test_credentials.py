"""Keys are found where AWS's own tools find them, and never travel: a signature does."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, strategies as st

from coatcheck import Client, errors
from coatcheck._installation import install_command
from coatcheck._protocol.effects import Request
from coatcheck._protocol.login_contract import Secret
from coatcheck.providers.aws_lambda.credentials import Keys, chain, signed
from coatcheck.testing import EmulatorTransport, LambdaEmulator, MemoryJournal
from coatcheck.testing.emulators.aws_signature import refusal

NOW = 1_790_000_000.0
TOKEN = Secret(token="AKIDEXAMPLE:s/ecret+")


def environ(folder: Path, **others: str) -> dict[str, str]:
    """An environment with a home of its own."""
    return {"HOME": str(folder), **others}


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No metadata service is requested, and the user's own settings are not read."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)


def write(folder: Path, name: str, text: str) -> None:
    """Write a file of AWS."""
    (folder / ".aws").mkdir(exist_ok=True)
    (folder / ".aws" / name).write_text(text)


def test_keys_in_the_environment_have_precedence(tmp_path: Path) -> None:
    """They need no file and no botocore, and may be sent to any host that the caller sets."""
    write(tmp_path, "credentials", "[default]\naws_access_key_id = AKFILE\naws_secret_access_key = x\n")
    variables = {"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "y", "AWS_SESSION_TOKEN": "z=="}
    secret = chain(environ(tmp_path, **variables))()

    assert ("AKENV:y:z==", False) == (secret and secret.token, secret and secret.is_stored)


@pytest.mark.parametrize(("profile", "key"), [("", "AKFILE"), ("work", "AKWORK")])
def test_aws_files_are_read_by_botocore(tmp_path: Path, profile: str, key: str) -> None:
    """A stored key goes to Amazon's hosts alone; ``AWS_PROFILE`` chooses."""
    text = "[{}]\naws_access_key_id = {}\naws_secret_access_key = x\n"
    write(tmp_path, "credentials", text.format("default", "AKFILE") + text.format("work", "AKWORK"))
    secret = chain(environ(tmp_path, AWS_PROFILE=profile))()

    assert (f"{key}:x", True) == (secret and secret.token, secret and secret.is_stored)


def test_no_credentials_means_not_logged_in(tmp_path: Path) -> None:
    """One line with the remedy, and no request."""
    emulator = LambdaEmulator()
    client = Client(
        "aws_lambda",
        transport=EmulatorTransport(emulator),
        journal=MemoryJournal(),
        environ=environ(tmp_path, AWS_REGION="us-east-1", COATCHECK_AWS_LAMBDA_FUNCTION="agent:live"),
    )
    with pytest.raises(errors.NotLoggedInError) as caught:
        client.create_task("p")

    assert ("AWS_ACCESS_KEY_ID" in (caught.value.remedy or ""), []) == (True, emulator.requests)


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_pair_of_keys_names_the_missing_one(tmp_path: Path, name: str) -> None:
    """The environment that is named is used, and no other place is searched."""
    with pytest.raises(errors.NotLoggedInError, match=f"{name} is set"):
        chain(environ(tmp_path, **{name: "x"}))


def test_a_missing_profile_is_an_error(tmp_path: Path) -> None:
    """The message is botocore's."""
    with pytest.raises(errors.NotLoggedInError, match="nowhere"):
        chain(environ(tmp_path, AWS_PROFILE="nowhere"))()


def test_no_region_is_one_clear_error(tmp_path: Path) -> None:
    """Before any request, with the variable to set."""
    with pytest.raises(errors.ConfigurationError, match="region is not known") as caught:
        Client("aws_lambda", environ=environ(tmp_path), journal=MemoryJournal()).create_task("p")

    assert "AWS_REGION" in (caught.value.remedy or "")


@pytest.mark.parametrize("token", ["", "AKID", "AKID:", ":secret"])
def test_a_token_that_is_no_pair_of_keys_is_refused(token: str) -> None:
    """An explicit token is the two keys, and the session where there is one; none of it is repeated."""
    with pytest.raises(errors.ConfigurationError, match="made of keys") as caught:
        Keys.of(Secret(token=token))

    assert "secret" not in str(caught.value)


def test_without_botocore_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names the package to install."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("botocore"):
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    for act in (
        lambda: signed(Request("GET", "/"), TOKEN, service="lambda", region="r", now=NOW),
        lambda: chain(environ(tmp_path)),
    ):
        with pytest.raises(errors.ConfigurationError) as caught:
            act()

        assert f"install it with: {install_command('aws')}" == caught.value.remedy


# -- signatures --------------------------------------------------------------------------------------------------------


def theirs(request: Request, region: str) -> str:
    """Return the header that botocore makes on the same day."""
    aws = AWSRequest(request.method, request.url, dict(request.headers), request.body, params=request.query)
    with patch("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(NOW, UTC)):
        SigV4Auth(Credentials("AKIDEXAMPLE", "s/ecret+", None), "lambda", region).add_auth(aws)
    return str(aws.headers["Authorization"])


WORDS = st.text(st.characters(codec="ascii", exclude_categories=("Cc", "Zs")), min_size=1, max_size=8)


@given(query=st.lists(st.tuples(WORDS, WORDS), max_size=3), body=st.binary(max_size=40), segment=WORDS)
def test_a_signature_equals_botocores(query: list[tuple[str, str]], body: bytes, segment: str) -> None:
    """The pure signature equals botocore's at its time, and an independent check accepts it."""
    from urllib.parse import quote

    path = f"/2025-12-01/functions/{quote(segment.replace('.', 'x'), safe=':~')}/durable-executions"
    request = Request(
        "POST",
        path,
        query=tuple(query),
        headers=(("content-type", "application/json"),),
        body=body,
        url=f"https://lambda.eu-west-1.amazonaws.com{path}",
    )
    ours = signed(request, TOKEN, service="lambda", region="eu-west-1", now=NOW)

    assert theirs(request, "eu-west-1") == dict(ours.headers)["authorization"]
    assert refusal(ours, access="AKIDEXAMPLE", secret="s/ecret+", now=NOW) is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"body": b"other"}, "InvalidSignatureException"),
        ({"query": (("a", "2"),)}, "InvalidSignatureException"),
        ({"path": "/other"}, "InvalidSignatureException"),
        ({"headers": ()}, "MissingAuthenticationTokenException"),
    ],
)
def test_what_was_changed_on_its_way_is_refused(change: dict[str, Any], word: str) -> None:
    """The emulator would notice a request that is not what was signed."""
    import msgspec

    request = Request("POST", "/p", query=(("a", "1"),), body=b"b", url="http://127.0.0.1:9/p")
    ours = msgspec.structs.replace(signed(request, TOKEN, service="lambda", region="r", now=NOW), **change)

    assert word == refusal(ours, access="AKIDEXAMPLE", secret="s/ecret+", now=NOW)


def test_an_old_signature_and_a_strange_key_are_refused() -> None:
    """Five minutes, and one account."""
    ours = signed(Request("GET", "/", url="http://127.0.0.1:9/"), TOKEN, service="lambda", region="r", now=NOW)

    assert ("InvalidSignatureException", "UnrecognizedClientException") == (
        refusal(ours, access="AKIDEXAMPLE", secret="s/ecret+", now=NOW + 301),
        refusal(ours, access="AKIDOTHER", secret="s/ecret+", now=NOW),
    )


def test_a_session_token_travels_signed_and_the_secret_never() -> None:
    """The header that AWS demands is there, and part of what is signed."""
    secret = Secret(token="AKID:very/secret:session==")
    ours = signed(Request("GET", "/", url="https://x.example/"), secret, service="lambda", region="r", now=NOW)
    headers = dict(ours.headers)

    assert ("session==", True) == (headers["x-amz-security-token"], "x-amz-security-token" in headers["authorization"])
    assert "very/secret" not in repr(ours.headers)
    assert "session" not in repr(ours) + repr(Keys.of(secret))
