"""What a relay that decodes and encodes JSON does to signatures: smee-client, between a channel of ours and our receiver."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from tests.peers.peer_support import PEERS, TIME_LIMIT, bare_environ

from coatcheck._app.workspace import Workspace
from coatcheck._runtime.config import Config
from coatcheck._webhooks.server import serving_hooks
from coatcheck._webhooks.settings import WebhookSettings

pytestmark = pytest.mark.peer

SECRET = "a-secret"
SMEE = ["node", str(PEERS.parent / "node/node_modules/smee-client/bin/smee.js")]


@contextmanager
def channel(deliveries: list[bytes]) -> Iterator[str]:
    """Serve a channel as smee.io does: each delivery is one event with the headers and the decoded body."""
    is_ending = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for number, body in enumerate(deliveries):
                digest = hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()
                event = {
                    "x-github-event": "workflow_run",
                    "x-github-delivery": f"d{number}",
                    "x-hub-signature-256": f"sha256={digest}",
                    "content-type": "application/json",
                    "query": {},
                    "timestamp": 1,
                }
                text = json.dumps(event)[:-1].encode() + b', "body": ' + body + b"}"
                self.wfile.write(b"id: %d\ndata: %s\n\n" % (number, text))
                self.wfile.flush()
            is_ending.wait(TIME_LIMIT)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/channel"
    finally:
        is_ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_relay_that_encodes_json_again_breaks_signatures(tmp_path: Path) -> None:
    """A body as JavaScript writes it passes smee-client; numbers and escapes that it writes in another way do not."""
    repository = '"repository":{"full_name":"o/r"}'
    bodies = [
        f'{{"workflow_run":{{"id":{id}}},{repository},"x":{value}}}'.encode()
        for id, value in ((1, "1"), (2, "1.0"), (3, '"\\u00e9"'), (4, "12345678901234567890"), (5, '"é"'))
    ]
    environ = {"COATCHECK_STATE_HOME": str(tmp_path), "COATCHECK_HOOK_SECRET_GITHUB": SECRET}
    settings = WebhookSettings(
        Workspace(str(tmp_path), config=Config(environ=environ), environ=environ, provider="codex")
    )
    with serving_hooks(settings, port=0, allowed=()) as origin, channel(bodies) as url:
        command = [*SMEE, "--url", url, "--target", f"{origin}/github"]
        with Popen(command, stdout=PIPE, text=True, env=bare_environ(tmp_path)) as smee:
            assert smee.stdout is not None
            posts = list(islice((line.split()[-1] for line in smee.stdout if line.startswith("POST")), len(bodies)))
            smee.kill()
        kept = {name for each in settings.received.arrivals_since(0) for name in each.names}
    settings.close()

    names = {"github_actions:o~r~1", "github_actions:o~r~5", "copilot:@o/r"}

    assert (["204", "204", "401", "401", "401"], names) == (
        sorted(posts),
        kept,
    )
