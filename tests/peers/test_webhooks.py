"""The reference libraries of webhooks verify what we sign, and sign what we accept."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.peers.peer_support import TIME_LIMIT, bare_environ

from coatcheck._protocol import standard_webhooks as standard
from coatcheck._webhooks.senders import all_senders, verify_delivery

SENDERS = all_senders()

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".venv/peers"
PYTHON = [str(PEERS / "python/bin/python"), str(HERE / "webhook_clients.py")]
NODE = ["node", str(HERE / "webhook_clients.mjs"), str(PEERS / "node/node_modules")]
JSON = ("content-type", "application/json")
SECRET = standard.new_secret()
BODY = json.dumps(
    {
        "type": "session.status_idled",
        "id": "evt_1",
        "created_at": "2026-11-28T07:38:10Z",
        "timestamp": "2026-11-28T07:38:10Z",
        "data": {"type": "session", "id": "é", "organization_id": "o", "workspace_id": "w"},
    },
    ensure_ascii=False,
)


def run(command: list[str], message: dict[str, Any], folder: Path) -> Any:
    """Give a message to a program, and return what it printed."""
    ran = subprocess.run(
        command,
        input=json.dumps(message),
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
        env=bare_environ(folder),
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def signed_message(*secrets: str) -> dict[str, Any]:
    """Return a message of ours that is signed now with *secrets*."""
    keys = [standard.read_secret(secret) for secret in secrets]
    headers = standard.signed_headers(keys, id="msg_1", seconds=time.time(), body=BODY.encode())
    return {"headers": dict(headers), "body": BODY, "secret": SECRET}


@pytest.mark.parametrize("secrets", [(SECRET,), (standard.new_secret(), SECRET)], ids=["one", "rotation"])
def test_every_library_accepts_ours(secrets: tuple[str, ...], tmp_path: Path) -> None:
    """Six libraries accept a message that we signed, also while the secret is being replaced."""
    message = signed_message(*secrets)
    accepted = run([*PYTHON, "verify"], message, tmp_path), run([*NODE, "verify"], message, tmp_path)

    assert (["standardwebhooks", "svix", "openai", "anthropic"], ["standardwebhooks", "svix"]) == accepted


def test_no_library_accepts_another_secret(tmp_path: Path) -> None:
    """None of them accepts a message that was signed with another secret, so acceptance above means something."""
    message = signed_message(standard.new_secret())

    assert ([], []) == (run([*PYTHON, "verify"], message, tmp_path), run([*NODE, "verify"], message, tmp_path))


@pytest.mark.parametrize("command", [PYTHON, NODE], ids=["python", "javascript"])
def test_we_accept_theirs(command: list[str], tmp_path: Path) -> None:
    """A message that standardwebhooks signed is genuine for us."""
    now = time.time()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now))}
    signature = run([*command, "sign"], {"headers": headers, "body": BODY, "secret": SECRET}, tmp_path)
    sent = [JSON, *headers.items(), ("webhook-signature", signature)]

    assert "msg_1" == verify_delivery(SENDERS["anthropic"], sent, BODY.encode(), [SECRET], now=now).id


def test_we_accept_what_octokit_signs(tmp_path: Path) -> None:
    """A delivery that GitHub's own library signed is genuine for us."""
    body = json.dumps({"workflow_run": {"id": 17}, "repository": {"full_name": "o/é"}}, ensure_ascii=False)
    signature = run([*NODE, "github"], {"headers": {}, "body": body, "secret": "secret"}, tmp_path)
    sent = [JSON, ("x-hub-signature-256", signature), ("x-github-delivery", "d1"), ("x-github-event", "workflow_run")]
    delivery = verify_delivery(SENDERS["github"], sent, body.encode(), ["secret"], now=time.time())

    assert (("github_actions", "o~é~17"),) == delivery.tasks
