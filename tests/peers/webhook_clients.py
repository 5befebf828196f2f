"""webhook_clients.py verify|sign: read one message as JSON, and print what each Python library does with it.

`verify` prints the libraries that accept the message; `sign` prints its signature by standardwebhooks.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import anthropic
import openai
import standardwebhooks
import svix

message = json.load(sys.stdin)
headers, body, secret = message["headers"], message["body"], message["secret"]

VERIFIERS = {
    "standardwebhooks": lambda: standardwebhooks.Webhook(secret).verify(body, headers),
    "svix": lambda: svix.Webhook(secret).verify(body, headers),
    "openai": lambda: openai.OpenAI(api_key="k", webhook_secret=secret).webhooks.verify_signature(body, headers),
    "anthropic": lambda: anthropic.Anthropic(api_key="k", webhook_key=secret).beta.webhooks.unwrap(
        body, headers=headers
    ),
}


def accepts(name: str) -> bool:
    """Whether a library accepts the message."""
    try:
        VERIFIERS[name]()
    except Exception as error:  # noqa: BLE001 - each library has errors of its own
        sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
        return False
    return True


if sys.argv[1] == "verify":
    sys.stdout.write(json.dumps([name for name in VERIFIERS if accepts(name)]))
else:
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    sys.stdout.write(json.dumps(standardwebhooks.Webhook(secret).sign(headers["webhook-id"], at, body)))
