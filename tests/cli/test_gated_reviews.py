"""One gate for a task of several services: nothing is sent before it is approved, and everything once afterwards."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from msgspec.structs import replace
from tests.cli.services_support import Broken, ManyServices

from coatcheck import Client, TaskSpec
from coatcheck._app.gate_decisions import GateDecider
from coatcheck._app.gates import Gates
from coatcheck._app.held_reviews import hold_review
from coatcheck._runtime.config import Config
from coatcheck._store.location import FILE
from coatcheck._store.reviews import ReviewSubmission, StoredReview

ON = ("--on", "codex:2", "--on", "jules", "--on", "local")


@pytest.fixture
def cli(tmp_path: Path) -> ManyServices:
    """The command line in front of three services."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    return ManyServices(folder)


def hold(cli: ManyServices, *options: str) -> str:
    """Hold a review with the name "dark", and return its gate."""
    done = cli("submit", "--gate", *ON, "--name", "dark", *options, "Add dark mode")
    assert 10 == done.code, done
    return done.out.strip()


def prompts(cli: ManyServices) -> int:
    """Return how many prompts the store has: those of reviews, and those that gates hold."""
    [database] = Path(cli.environ["HOME"]).rglob(FILE)
    with closing(sqlite3.connect(database)) as connection:
        count = "SELECT (SELECT COUNT(spec) FROM review_submission) + (SELECT COUNT(request) FROM gate)"
        return int(connection.execute(count).fetchone()[0])


def test_one_approval_submits_to_all_services(cli: ManyServices) -> None:
    """Nothing is sent before; afterwards each service has its task once, and the review goes on as any other."""
    gate = hold(cli)
    listed, waits, before = cli("gates").out, cli("review", "dark"), cli.posts()
    approved, again = cli("approve", gate, "--json"), cli("approve", gate)
    after = cli.posts()
    refs = [each["ref"] for each in approved.json["submissions"]]
    reviewed = cli("review", "dark", "--json")

    assert (10, gate, [], 0, ["codex", "jules", "local"], sorted(refs), "dark", refs) == (
        waits.code,
        waits.out.strip(),
        before,
        approved.code,
        sorted(after),
        sorted(again.out.split()),
        approved.json["review"],
        [each["ref"] for each in reviewed.json["review"]["submissions"]],
    )
    assert f"{gate}  submission  submit the review dark to codex:2, jules, local  until" in listed
    assert 0 == prompts(cli)


def test_a_rejected_review_is_never_sent(cli: ManyServices) -> None:
    """The review reports who rejected it, its prompts are deleted, and `history prune` deletes it."""
    gate = hold(cli)
    cli("reject", gate, "--why", "too broad")
    reviewed, held = cli("review", "dark"), prompts(cli)
    cli.clock.sleep(10 * 86_400)
    cli("history", "prune", "--before", "1d")

    assert (1, [], 0, "No review was begun.\n") == (reviewed.code, cli.posts(), held, cli("review", "--list").out)
    assert "too broad" in reviewed.line


def test_a_gate_that_expires_sends_nothing(cli: ManyServices) -> None:
    """After the deadline neither the gate nor the review submits anything."""
    gate = hold(cli)
    cli.clock.sleep(73 * 3600)
    done = [cli("approve", gate).code, cli("review", "dark").code]

    assert ([1, 1], []) == (done, cli.posts())


def test_a_service_that_fails_at_the_approval(cli: ManyServices) -> None:
    """The others get the task, the exit code is 14, and approving again sends what was not sent."""
    gate, jules = hold(cli), cli.services.handlers["jules"]
    cli.services.handlers["jules"] = Broken()
    failed, before = cli("approve", gate), sorted(cli.posts())
    cli.services.handlers["jules"] = jules
    done = cli("approve", gate)

    assert (14, ["codex", "local"], 0, ["codex", "jules", "local"]) == (
        failed.code,
        before,
        done.code,
        sorted(cli.posts()),
    )


def test_a_policy_approves_a_review(cli: ManyServices) -> None:
    """What a policy approves is submitted at once, as without a gate."""
    folder = Path(cli.environ["HOME"], ".config", "coatcheck")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text("[gates.policies.ours]\ndecision = 'approve'\nkinds = ['submission']\n")
    done = cli("submit", "--gate", *ON, "Add dark mode")

    assert (0, 3, ["codex", "jules", "local"]) == (done.code, len(done.out.split()), sorted(cli.posts()))


def test_forgetting_a_review_closes_its_gate(cli: ManyServices) -> None:
    """The gate of a review that was deleted cannot be approved."""
    gate = hold(cli)
    cli("review", "--forget", "dark")
    done = cli("approve", gate)

    assert (1, [], "No gates.\n") == (done.code, cli.posts(), cli("gates").out)


def test_the_digest_is_of_everything_that_is_sent(cli: ManyServices) -> None:
    """A review with another prompt, service, number of attempts or check has another digest."""
    spec = TaskSpec(prompt="Add dark mode", repository="owner/repo")
    submission = ReviewSubmission(number=1, provider="codex", spec=spec)
    review = StoredReview(name="dark", created_at=datetime.now(UTC), submissions=(submission,))
    reviews = [
        review,
        replace(review, settings={"checks": ["make test"]}),
        *(
            replace(review, submissions=(replace(submission, **change),))
            for change in (
                {"provider": "jules"},
                {"spec": replace(spec, attempts=2)},
                {"spec": replace(spec, prompt="x")},
            )
        ),
    ]
    with closing(Gates(Config(environ=cli.environ), clock=cli.clock)) as gates:
        held = [hold_review(gates, each) for each in (*reviews, review)]

    assert (5, 5) == (len({gate.digest for gate in held}), len({gate.id for gate in held[:5]}))


def test_a_program_approves_a_review(cli: ManyServices) -> None:
    """The page and other programs submit it with clients of theirs; the log has by which way it was decided."""
    gate, config = hold(cli), Config(environ=cli.environ)

    def open_client(name: str, *, environment: str | None = None, **options: Any) -> Client:
        return Client(name, transport=cli.services, clock=cli.clock, config=config, environ=cli.environ, **options)

    def apply_nothing(*_: object) -> NoReturn:
        raise AssertionError("nothing is applied")

    with closing(Gates(config, clock=cli.clock)) as gates:
        decider = GateDecider(gates, open_client, apply_nothing, config=config, via="web", now=cli.clock.time)
        first, again = decider.approve(gates.find(gate)), decider.approve(gates.find(gate))

    assert (["codex", "jules", "local"], [each.submission.ref for each in first.submissions], "web") == (
        sorted(cli.posts()),
        [each.submission.ref for each in again.submissions],
        again.gate and again.gate.decision and again.gate.decision.via,
    )
