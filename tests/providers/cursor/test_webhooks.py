from __future__ import annotations

import hashlib
import hmac
import json

from coatcheck import TaskRef, TaskState
from coatcheck._webhooks.senders import sender_named, verify_delivery

from .cursor_support import SPEC, cursor

SECRET = "a secret of the webhook"


def test_a_delivery_names_a_task() -> None:
    """A signed delivery of v0 names the agent by the ref of its task, which a poll then reads."""
    client, _ = cursor(life=("FINISHED",))
    ref = client.create_task(SPEC).ref
    body = json.dumps({"event": "statusChange", "id": ref.id, "status": "FINISHED"}).encode()
    headers = (
        ("Content-Type", "application/json"),
        ("X-Webhook-Signature", f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"),
        ("X-Webhook-ID", "delivery-1"),
        ("X-Webhook-Event", "statusChange"),
    )
    delivery = verify_delivery(sender_named("cursor"), headers, body, [SECRET], now=0.0)
    refs = [TaskRef(*named) for named in delivery.tasks]

    assert ([ref], TaskState.SUCCEEDED) == (refs, client.get_task(refs[0]).state)
