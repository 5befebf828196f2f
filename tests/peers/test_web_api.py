"""Other programs read the description of the page's API, and send what it permits and forbids."""

from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from tests.peers.peer_support import bare_environ
from tests.peers.test_streams import PEERS, PYTHON, REFERENCE, run
from tests.web.test_fleets import FleetPages
from tests.web.test_review_api import begin
from tests.web.web_support import TOKEN

from coatcheck._server.http_protocol import Limits
from coatcheck._server.listener import serving_app

pytestmark = pytest.mark.peer

# A limit that only a hang reaches: thousands of requests are sent (seconds).
HANG = 600.0
DESCRIPTION = REFERENCE / "web-openapi.json"
# What is accepted depends on the tasks and gates there are: a valid request may be refused, with a documented status.
UNEXPECTED = "positive_data_acceptance"
# The longest texts are not sent: escaped, they are larger than any body may be.
LONGEST = ', "maxLength": 1000000'


def test_a_validator_accepts_the_description(tmp_path: Path) -> None:
    """openapi-spec-validator knows OpenAPI 3.1."""
    printed = run([PYTHON, "-m", "openapi_spec_validator", str(DESCRIPTION)], tmp_path)

    assert f"{DESCRIPTION}: OK\n" == printed


def test_every_answer_is_as_described(tmp_path: Path) -> None:
    """Schemathesis sends valid and invalid requests; status, headers and bodies are as described, and none is a bug."""
    pages = FleetPages(tmp_path, approve={})
    pages.fleet.run()
    pages.site.hooks.add("https://example.com/hook", (), allowed=())
    document = json.loads(DESCRIPTION.read_text("utf-8"))
    ref = pages.submit()
    begin(pages)
    (hook,) = pages.site.hooks.hooks.list_hooks()
    (delivery, *_) = pages.site.hooks.deliveries(hook=hook.id, limit=1)
    values = {
        "tasks": [ref, "codex:task_e_none", "codex"],
        "fleets": ["typing", "none"],
        "items": [int(pages.item("p0").rpartition("/")[2]), 10**12],
        "reviews": ["dark-mode", "none"],
        "candidates": [1, 4, 9],
        "hooks": [hook.id, "none"],
        "deliveries": [delivery.id, "none"],
    }
    for path, operations in document["paths"].items():
        parts = path.split("/")
        places = {name.strip("{}"): place for place, name in pairwise(parts) if name.startswith("{")}
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if values.get(place := places.get(parameter["name"], "")):
                    parameter["schema"]["enum"] = values[place]
    (tmp_path / "openapi.json").write_text(json.dumps(document).replace(LONGEST, ""))
    options = (
        "--exclude-operation-id",
        "streamEvents",
        "--exclude-operation-id",
        "testHook",
        "--exclude-checks",
        UNEXPECTED,
        "--max-examples",
        "8",
    )
    with serving_app(pages.app.asgi, Limits(), on_stop=pages.app.live.end) as origin:
        where = (str(tmp_path / "openapi.json"), "--url", origin, "--header", f"Authorization: Bearer {TOKEN}")
        more = ("--generation-deterministic", "--no-color", "--request-timeout", "60")
        command = [str(PEERS / "schemathesis/bin/schemathesis"), "run", *where, *options, *more]
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=HANG, check=False, cwd=tmp_path, env=bare_environ(tmp_path)
        )
    job = pages.site.delivery_jobs.get("typing")
    if job is not None and job.thread is not None:
        job.thread.join()
    pages.site.close()

    assert 0 == ran.returncode, ran.stdout[-4000:] + ran.stderr[-1000:]
