"""Other programs read the description of the page's API, and send what it permits and forbids."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.peers.peer_support import bare_environ
from tests.peers.test_streams import PEERS, PYTHON, REFERENCE, run
from tests.web.web_support import TOKEN, Pages

from coatcheck._server.http_protocol import Limits
from coatcheck._server.listener import serving_app

pytestmark = pytest.mark.peer

# A limit that only a hang reaches: hundreds of requests are sent (seconds).
HANG = 240.0
DESCRIPTION = REFERENCE / "web-openapi.json"
# What is accepted depends on the tasks and gates there are: a valid request may be refused, with a documented status.
UNEXPECTED = "positive_data_acceptance"


def test_a_validator_accepts_the_description(tmp_path: Path) -> None:
    """openapi-spec-validator knows OpenAPI 3.1."""
    printed = run([PYTHON, "-m", "openapi_spec_validator", str(DESCRIPTION)], tmp_path)

    assert f"{DESCRIPTION}: OK\n" == printed


def test_every_answer_is_as_described(tmp_path: Path) -> None:
    """Schemathesis sends valid and invalid requests; status, headers and bodies are as described, and none is a bug."""
    pages = Pages(tmp_path)
    document = json.loads(DESCRIPTION.read_text("utf-8"))
    ref = pages.submit()
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "ref":
                    parameter["schema"]["enum"] = [ref, "codex:task_e_none", "codex"]
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    options = ("--exclude-operation-id", "streamEvents", "--exclude-checks", UNEXPECTED, "--max-examples", "8")
    with serving_app(pages.app.asgi, Limits(), on_stop=pages.app.live.end) as origin:
        where = (str(tmp_path / "openapi.json"), "--url", origin, "--header", f"Authorization: Bearer {TOKEN}")
        more = ("--generation-deterministic", "--no-color", "--request-timeout", "60")
        command = [str(PEERS / "schemathesis/bin/schemathesis"), "run", *where, *options, *more]
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=HANG, check=False, cwd=tmp_path, env=bare_environ(tmp_path)
        )
    pages.site.close()

    assert 0 == ran.returncode, ran.stdout[-4000:] + ran.stderr[-1000:]
