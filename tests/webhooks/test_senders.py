"""Deliveries of each sender: genuine ones name tasks, others are rejected with a status."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.toy import ToyProvider

from coatcheck import errors
from coatcheck._protocol import registry, standard_webhooks as standard
from coatcheck._webhooks.senders import Delivery, Sender, all_senders, sender_named, verify_delivery
from coatcheck.provider import STANDARD_WEBHOOKS, Webhooks, WebhookSubject

SENDERS = all_senders()
KEY = standard.read_secret("whsec_Y29hdGNoZWNrLXZlY3Rvci1zZWNyZXQtMzItYnl0ZXM=")
NOW = 1764295210.0
SECRET = "whsec_Y29hdGNoZWNrLXZlY3Rvci1zZWNyZXQtMzItYnl0ZXM="
JSON = ("Content-Type", "application/json; charset=utf-8")
HEX = {"github": ("X-Hub-Signature-256", "X-GitHub-Delivery"), "cursor": ("X-Webhook-Signature", "X-Webhook-ID")}

RUN = {"action": "completed", "workflow_run": {"id": 17, "run_attempt": 2}, "repository": {"full_name": "owner/repo"}}
PULL = {"action": "opened", "pull_request": {"number": 3}, "repository": {"full_name": "owner/repo"}}


def id_of(sender: str, body: bytes) -> str:
    """Return the id of a delivery that `signed` has made."""
    return hashlib.sha256(body).hexdigest() if sender == "a2a" else "delivery-1"


def signed(sender: str, document: object, *more: tuple[str, str]) -> tuple[list[tuple[str, str]], bytes]:
    """Return the headers and the body of a genuine delivery."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    if sender in HEX:
        signature, id = HEX[sender]
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return [JSON, (signature, f"sha256={digest}"), (id, "delivery-1"), *more], body
    if sender == "a2a":
        return [JSON, ("Authorization", f"Bearer {SECRET}"), *more], body
    key = SENDERS[sender].signature.read_secret(SECRET)
    return [JSON, *standard.signed_headers([key], id="delivery-1", seconds=NOW, body=body), *more], body


@pytest.mark.parametrize(
    ("sender", "document", "more", "type", "tasks", "repository"),
    [
        (
            "openai",
            {"type": "batch.completed", "data": {"id": "batch_1"}},
            (),
            "batch.completed",
            (("openai_batch", "batch_1"),),
            None,
        ),
        (
            "openai",
            {"type": "agent.session.idle", "data": {"id": "sess_1"}},
            (),
            "agent.session.idle",
            (("openai_agents", "sess_1"),),
            None,
        ),
        ("openai", {"type": "agent.environment.ready", "data": {"id": "e"}}, (), "agent.environment.ready", (), None),
        (
            "anthropic",
            {"type": "event", "data": {"type": "session.status_idled", "id": "sesn_1"}},
            (),
            "session.status_idled",
            (("claude_agents", "sesn_1"),),
            None,
        ),
        (
            "anthropic",
            {"type": "event", "data": {"type": "agent.updated", "id": "agent_1"}},
            (),
            "agent.updated",
            (),
            None,
        ),
        (
            "coatcheck",
            {"type": "task.failed", "data": {"ref": "local:task_e_1"}},
            (),
            "task.failed",
            (("local", "task_e_1"),),
            None,
        ),
        (
            "github",
            RUN,
            (("X-GitHub-Event", "workflow_run"),),
            "workflow_run.completed",
            (("github_actions", "owner~repo~17"),),
            "owner/repo",
        ),
        ("github", PULL, (("X-GitHub-Event", "pull_request"),), "pull_request.opened", (), "owner/repo"),
        (
            "github",
            {"action": "completed", "workflow_job": {"id": 3, "run_id": 17}, "repository": {"full_name": "owner/repo"}},
            (("X-GitHub-Event", "workflow_job"),),
            "workflow_job.completed",
            (("github_actions", "owner~repo~17"),),
            "owner/repo",
        ),
        ("github", {"zen": "Design for failure."}, (("X-GitHub-Event", "ping"),), "ping", (), None),
        ("a2a", {"task": {"id": "t1", "artifacts": [{}]}}, (), "task", (("a2a", "t1"),), None),
        ("a2a", {"artifactUpdate": {"taskId": "t1"}}, (), "artifactUpdate", (("a2a", "t1"),), None),
        ("a2a", {"message": {"messageId": "m1"}}, (), "", (), None),
        ("cursor", {"id": "bc-1"}, (("X-Webhook-Event", "statusChange"),), "statusChange", (("cursor", "bc-1"),), None),
        ("openai", [], (), "", (), None),
        ("github", {"workflow_run": {"id": "17"}}, (("X-GitHub-Event", "workflow_run"),), "workflow_run", (), None),
    ],
)
def test_what_a_genuine_delivery_names(  # noqa: PLR0917 - a table
    sender: str,
    document: object,
    more: tuple[tuple[str, str], ...],
    type: str,
    tasks: tuple[tuple[str, str], ...],
    repository: str | None,
) -> None:
    """A delivery has the sender's name of the event, and the tasks or the repository that it concerns."""
    headers, body = signed(sender, document, *more)
    delivery = verify_delivery(
        SENDERS[sender], headers, body, ["former", SECRET] if sender in HEX else [SECRET], now=NOW
    )
    repositories = (("copilot", repository),) if repository else ()
    expected = Delivery(sender=sender, id=id_of(sender, body), type=type, tasks=tasks, repositories=repositories)

    assert expected == delivery


def test_the_example_that_github_publishes() -> None:
    """The signature of GitHub's documentation is accepted (docs.github.com, "Validating webhook deliveries")."""
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": f"sha256={digest}", "x-github-delivery": "id"}

    assert "id" == SENDERS["github"].signature.verify(headers, b"Hello, World!", [b"It's a Secret to Everybody"], NOW)


def rejected(sender: str, headers: list[tuple[str, str]], body: bytes) -> int:
    """Return the status with which a delivery is rejected."""
    with pytest.raises(errors.WebhookRejectedError) as raised:
        verify_delivery(SENDERS[sender], headers, body, [SECRET], now=NOW)
    return raised.value.status


@pytest.mark.parametrize("sender", [name for name in SENDERS if name != "a2a"])
def test_another_body_is_rejected(sender: str) -> None:
    """A body that was changed on its way is not genuine."""
    headers, body = signed(sender, {"type": "x"})

    assert 401 == rejected(sender, headers, body + b" ")


@pytest.mark.parametrize("sender", list(SENDERS))
def test_a_repeated_header_is_rejected(sender: str) -> None:
    """Two headers of one name are refused, even where both are genuine."""
    headers, body = signed(sender, {"type": "x"})

    assert {400} == {rejected(sender, [*headers, header], body) for header in headers}


@pytest.mark.parametrize("sender", list(SENDERS))
def test_a_compressed_or_other_body_is_rejected(sender: str) -> None:
    """A body that is compressed, a form or not JSON has its status, before anything is parsed."""
    headers, body = signed(sender, {"type": "x"})
    form = [("content-type", "application/x-www-form-urlencoded"), *headers[1:]]
    broken, text = signed(sender, b"\xff{")
    statuses = (
        rejected(sender, [*headers, ("Content-Encoding", "gzip")], body),
        rejected(sender, form, body),
        rejected(sender, headers[1:], body),
        rejected(sender, broken, text),
    )

    assert (415, 415, 415, 400) == statuses


@pytest.mark.parametrize("sender", list(SENDERS))
def test_a_body_that_is_too_large_is_rejected(sender: str) -> None:
    """The limit is 1 MiB, and 25 MiB for GitHub."""
    headers, body = signed(sender, b" " * (SENDERS[sender].max_bytes + 1))

    assert 413 == rejected(sender, headers, body)


@pytest.mark.parametrize("signature", ["SHA256=", "sha1=", "sha256=", "", "sha256=é"])
def test_a_malformed_signature_of_github(signature: str) -> None:
    """Only ``sha256=`` with lower-case digits is read."""
    headers, body = signed("github", {})
    digest = dict(headers)["X-Hub-Signature-256"].removeprefix("sha256=")
    sent = [(name, signature + digest[1:].upper() if name.startswith("X-Hub") else value) for name, value in headers]

    assert 400 == rejected("github", sent, body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_genuine_body_is_a_fault(document: object) -> None:
    """Any JSON that is genuinely signed is a delivery."""
    for sender in SENDERS:
        headers, body = signed(sender, document)

        assert id_of(sender, body) == verify_delivery(SENDERS[sender], headers, body, [SECRET], now=NOW).id


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Authorization", f"bearer  {SECRET}", None),
        ("X-A2A-Notification-Token", SECRET, None),
        ("A2A-Notification-Token", SECRET, None),
        ("Authorization", f"Bearer {SECRET}x", 401),
        ("Authorization", "Bearer ", 401),
        ("Authorization", f"Basic {SECRET}", 400),
        ("X-A2A-Notification-Token", "é", 401),
        ("X-A2A-Notification-Token", "", 400),
        ("X-Other", SECRET, 400),
    ],
)
def test_the_secret_of_an_a2a_agent_is_read_in_the_headers_that_agents_use(
    header: str, value: str, status: int | None
) -> None:
    """That of the specification and those of the SDKs for Python and Go; the type of the protocol is accepted."""
    headers = [("Content-Type", "application/a2a+json"), (header, value)]
    body = b'{"statusUpdate": {"taskId": "a/b", "contextId": "c", "status": {"state": "TASK_STATE_COMPLETED"}}}'
    if status is not None:
        assert status == rejected("a2a", headers, body)
        return
    delivery = verify_delivery(SENDERS["a2a"], headers, body, ["other", SECRET], now=NOW)

    assert ("statusUpdate", (("a2a", "a%2Fb"),)) == (delivery.type, delivery.tasks)


def test_an_unknown_sender() -> None:
    """The error for an unknown name lists the known ones."""
    with pytest.raises(errors.ConfigurationError) as raised:
        sender_named("gitlab")

    assert f"known senders: {', '.join(SENDERS)}" == raised.value.remedy


class PlugIn(ToyProvider):
    """A plug-in with webhooks."""

    name = "acme"

    def __init__(self, sender: str) -> None:
        super().__init__()
        self.webhooks = Webhooks(
            sender=sender, title="Acme", about="jobs", signature=STANDARD_WEBHOOKS, fields=("job.id",), read=read_job
        )


def read_job(body: Mapping[str, Any], headers: Mapping[str, str]) -> WebhookSubject:
    """Return the job of a delivery."""
    return WebhookSubject(type="job", tasks=(body["job"]["id"],))


def acme(settings: object) -> PlugIn:
    """Return a plug-in whose sender no other provider declares."""
    return PlugIn("acme")


def impostor(settings: object) -> PlugIn:
    """Return a plug-in that declares the sender of another provider, with another signature."""
    return PlugIn("cursor")


def pretender(settings: object) -> PlugIn:
    """Return a plug-in that declares the sender of this program."""
    return PlugIn("coatcheck")


def misnamed(settings: object) -> PlugIn:
    """Return a plug-in whose sender cannot be a part of an address."""
    return PlugIn("../x")


def senders_with(monkeypatch: pytest.MonkeyPatch, factory: str) -> Mapping[str, Sender]:
    """Return the senders where a plug-in is installed."""
    entry = EntryPoint(name="acme", value=f"{__name__}:{factory}", group=registry.GROUP)
    monkeypatch.setattr(registry, "_entry_points", lambda: (entry,))
    return all_senders.__wrapped__()


def test_the_webhooks_of_a_plug_in_are_received(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery of a sender that a plug-in declares is verified, and names tasks of the plug-in."""
    sender = senders_with(monkeypatch, "acme")["acme"]
    body = b'{"job": {"id": "j1"}}'
    headers = [JSON, *standard.signed_headers([KEY], id="d1", seconds=NOW, body=body)]

    assert (("acme", "j1"),) == verify_delivery(sender, headers, body, [SECRET], now=NOW).tasks


@pytest.mark.parametrize(
    ("factory", "reason"),
    [("impostor", "the sender cursor with"), ("pretender", "the sender coatcheck with"), ("misnamed", "no name of a")],
)
def test_a_plug_in_replaces_no_sender(
    factory: str, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A plug-in that declares the sender of another provider or of this program changes nothing; a warning names it."""
    senders = senders_with(monkeypatch, factory)

    assert {name: sender.signature for name, sender in SENDERS.items()} == {
        name: sender.signature for name, sender in senders.items()
    }
    assert "the webhooks of acme are not received" in caplog.text
    assert reason in caplog.text


def test_a_plug_in_that_cannot_read_a_delivery(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of a plug-in that reads a genuine delivery is a warning, and the delivery names no task."""
    sender = senders_with(monkeypatch, "acme")["acme"]
    headers = [JSON, *standard.signed_headers([KEY], id="d1", seconds=NOW, body=b"{}")]
    delivery = verify_delivery(sender, headers, b"{}", [SECRET], now=NOW)

    assert ((), True) == (delivery.tasks, "acme cannot read a delivery of acme: TypeError" in caplog.text)
