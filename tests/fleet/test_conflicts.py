"""Changes that conflict are sent back to their service, at most twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fleet.fixtures import FirstCandidate, FleetFixture, spec_of
from tests.fleet.forge_fixtures import IDENTITY, make_repository

from coatcheck._fleet.delivery_targets import Branches
from coatcheck._fleet.follow_up import has_message
from coatcheck._fleet.merge_queue import MergeQueue
from coatcheck._fleet.repositories import Repositories
from coatcheck._fleet.services import ServiceClient
from coatcheck._patches.git import git
from coatcheck.cloud.scripted_cloud import CloudResult
from coatcheck.provider import Capabilities, Task, TaskState, Verb

DIFF = "diff --git a/x.txt b/x.txt\n--- a/x.txt\n+++ b/x.txt\n@@ -1 +1 @@\n-one\n+two\n"


class WithoutMessages(ServiceClient):
    """A client of a service whose tasks take no messages."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what it supports."""
        known = super().capabilities
        verbs = {verb: support for verb, support in known.verbs.items() if verb is not Verb.SEND_MESSAGE}
        return msgspec.structs.replace(known, verbs=verbs)


class ConflictFixture(FleetFixture):
    """A fleet of an item whose base branch changes the same line."""

    def __init__(self, folder: Path) -> None:
        make_repository(folder / "repositories")
        self.repository = folder / "repositories/acme/api.git"
        self.repositories = Repositories(
            folder / "private", places={"acme/api": f"file://{self.repository}"}, checkouts={}, home=folder
        )
        self.targets = {"branch": Branches(self.repositories)}
        self.queue = MergeQueue(self.repositories)
        spec = spec_of(1, items=[{"package": "p0", "repository": "acme/api"}], deliver={"to": "branch"})
        super().__init__(folder, spec, result=CloudResult(diff=DIFF, base_commit=self.resolve("acme/api", "main")))
        self.started = self.resolve("acme/api", "main")

    def resolve(self, name: str, base: str | None) -> str:
        """Return the commit of a branch."""
        return self.repositories.resolve(name, base)

    def move(self, text: str) -> str:
        """Commit another text of the file to main; return the commit."""
        blob = git("hash-object", "-w", "--stdin", folder=self.repository, stdin=text.encode()).decode().strip()
        entry = f"100644 blob {blob}\tx.txt\n".encode()
        tree = git("mktree", folder=self.repository, stdin=entry).decode().strip()
        arguments = ("commit-tree", tree, "-p", "main", "-m", "move")
        commit = git(*arguments, folder=self.repository, settings=IDENTITY).decode().strip()
        git("update-ref", "refs/heads/main", commit, folder=self.repository)
        return commit

    @property
    def messages(self) -> list[str]:
        """Every prompt that the service got, in order."""
        return [each.prompt for task in self.cloud.tasks for each in task.rounds]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ConflictFixture]:
    """A fleet of an item, on a branch that changes the same line."""
    fixture = ConflictFixture(tmp_path)
    fixture.move("ONE\n")
    yield fixture
    assert fixture.queue is not None
    fixture.queue.close()


@pytest.mark.parametrize(("client", "tasks"), [(ServiceClient, 1), (WithoutMessages, 3)])
def test_a_conflict_is_sent_back_twice_and_then_waits_for_a_person(
    fleet: ConflictFixture, client: type[ServiceClient], tasks: int
) -> None:
    """The service gets the conflict as a message, or in a new task; the third conflict is a person's."""
    fleet.client = client
    status = fleet.run()
    items = fleet.control.items("typing")

    assert ({"conflict": 1}, tasks, 3) == (dict(status.items), len(fleet.cloud.tasks), len(fleet.messages))
    assert all(
        text in each for each in fleet.messages[1:] for text in ("x.txt", "<<<<<<< changes before it\nONE", "two\n>>>")
    )
    assert ["item.conflict"] * 3 == [kind for kind in fleet.kinds if kind == "item.conflict"]
    assert items[0].base_commit == fleet.started
    assert b"" == git("for-each-ref", "refs/heads/coatcheck", folder=fleet.repository)


class ReviewThat(FirstCandidate):
    """A review that also does something, before the second review."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act, self.counts = act, list[int]()

    def __call__(self, item: Any, candidates: Any, scope: Any) -> Any:
        if self.found:
            self._act()
        self.counts.append(len(candidates))
        return super().__call__(item, candidates, scope)


@pytest.mark.parametrize("client", [ServiceClient, WithoutMessages])
def test_what_fits_after_it_was_sent_back_is_delivered_once(
    fleet: ConflictFixture, client: type[ServiceClient]
) -> None:
    """Only the candidates of the last round are reviewed, and a later run sends nothing again."""
    fleet.client = client
    review = fleet.review = ReviewThat(lambda: fleet.move("one\n"))
    status = fleet.run()
    fleet.plan()
    fleet.run()
    (branch,) = fleet.control.show("typing", fleet.control.items("typing")[0].key).delivery.branch.split()  # type: ignore[union-attr]

    assert ({"delivered": 1}, 2, [1, 1]) == (dict(status.items), len(fleet.messages), review.counts)
    assert b"two\n" == git("show", f"{branch}:x.txt", folder=fleet.repository)


def test_a_message_that_was_interrupted_is_not_sent_twice(fleet: ConflictFixture) -> None:
    """After a crash beside a message its task is looked at first: one at work, or that has ended since, has got it."""
    fleet.run()
    (item,) = fleet.control.items("typing")
    *_, last = fleet.control.store.candidates(fleet.fleet.id, item=item.id)
    assert last.ref is not None
    tasks = [
        Task(ref=last.ref, state=state, updated_at=last.submitted_at + timedelta(seconds=seconds))  # type: ignore[operator]
        for state, seconds in ((TaskState.RUNNING, -9), (TaskState.SUCCEEDED, 1), (TaskState.SUCCEEDED, -1))
    ]

    assert [True, True, False] == [has_message(task, last) for task in tasks]
    assert last.follows == last.ref
