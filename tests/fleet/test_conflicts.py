"""Changes that conflict are sent back to their service, at most twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fleet.fixtures import CountedDeliveries, FirstCandidate, FleetFixture, spec_of
from tests.fleet.forge_fixtures import IDENTITY, make_repository, serving_github

from coatcheck._fleet.delivery_targets import Branches
from coatcheck._fleet.follow_up import has_message
from coatcheck._fleet.merge_queue import DeliveredChange, MergeQueue
from coatcheck._fleet.merge_trial import MergeConflictError
from coatcheck._fleet.repositories import Repositories
from coatcheck._fleet.reviewing import ItemReview
from coatcheck._fleet.services import ServiceClient
from coatcheck._fleet.target import TooManyOpenError
from coatcheck._model.fleets import FleetOutcome
from coatcheck._patches.git import git
from coatcheck._patches.parse import Patch
from coatcheck.cloud.scripted_cloud import CloudResult
from coatcheck.provider import Capabilities, Task, TaskState, Verb

DIFF = "diff --git a/x.txt b/x.txt\n--- a/x.txt\n+++ b/x.txt\n@@ -1 +1 @@\n-one\n+two\n"
LAST = "diff --git a/x.txt b/x.txt\n--- a/x.txt\n+++ b/x.txt\n@@ -17,4 +17,4 @@\n 16\n 17\n 18\n-19\n+last\n"


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

    def __init__(
        self,
        folder: Path,
        packages: Sequence[str] = ("p0",),
        *,
        text: str | None = None,
        diffs: Mapping[str, str] = {},
        is_first: bool = True,
        called: str = "acme/api",
        **sections: Any,
    ) -> None:
        if is_first:
            make_repository(folder / "repositories")
        self.repository = folder / "repositories/acme/api.git"
        places = dict.fromkeys(("acme/api", called), f"file://{self.repository}")
        self.repositories = Repositories(folder / "private", places=places, checkouts={}, home=folder)
        self.targets = {"branch": Branches(self.repositories), **self.targets}
        self.queue = MergeQueue(self.repositories)
        if text is not None:
            self.move(text)
        self.started = self.resolve(called, "main")
        items = [{"package": package, "repository": called} for package in packages]
        self.diffs = diffs
        sections = {"deliver": {"to": "branch"}, **sections}
        super().__init__(folder, spec_of(items=items, **sections), result_of=self.result)

    def result(self, prompt: str) -> CloudResult:
        """Return the change that a prompt makes."""
        diff = next((diff for package, diff in self.diffs.items() if package in prompt), DIFF)
        return CloudResult(diff=diff, base_commit=self.started)

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


def test_deliveries_are_held_while_too_many_pull_requests_are_open(tmp_path: Path) -> None:
    """The item stays approved, the run ends, and a later run delivers it."""
    fleet = FleetFixture(tmp_path, spec_of(2))
    fleet.deliveries = CountedDeliveries(TooManyOpenError("1 pull request is open"))
    held = fleet.run()
    done = fleet.run()

    assert ({"approved": 2}, FleetOutcome.WAITING, "1 pull request is open") == (
        dict(held.items), held.outcome, held.deliveries_held,
    )  # fmt: skip
    assert {"delivered": 2} == dict(done.items)


def test_a_change_merges_after_those_that_were_delivered(tmp_path: Path) -> None:
    """A change that conflicts with a delivered one is refused, an equal one merges; no clone is left."""
    root = tmp_path / "github"
    base = make_repository(root)
    repositories = Repositories(
        tmp_path / "private", places={"acme/api": f"file://{root}/acme/api.git"}, checkouts={}, home=tmp_path
    )
    queue = MergeQueue(repositories)
    one, other = (Patch.parse(DIFF.replace("two", word).encode()) for word in ("two", "2"))
    earlier = [DeliveredChange("typing/p0", base, lambda: one)]
    alone = queue.fit("acme/api", "main", other, base, [])
    with pytest.raises(MergeConflictError) as caught:
        queue.fit("acme/api", "main", other, base, earlier)
    equal = queue.fit("acme/api", "main", one, base, earlier)
    queue.close()

    assert (base, base, base) == (alone.base, equal.base, caught.value.tip)
    assert [] == [path for path in (tmp_path / "private").iterdir() if path.name.startswith("clone-")]


def test_a_branch_starts_at_the_present_commit_where_the_base_has_changed_its_files(fleet: ConflictFixture) -> None:
    """A change that merges by 3-way is rebased; one to other files keeps its base."""
    assert fleet.queue is not None
    lines = [f"{number}\n" for number in range(20)]
    base = fleet.move("".join(lines))
    tip = fleet.move("".join(["first\n", *lines[1:]]))
    same = Patch.parse(b"--- a/x.txt\n+++ b/x.txt\n@@ -17,4 +17,4 @@\n 16\n 17\n 18\n-19\n+last\n")
    other = Patch.parse(b"--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n")
    fitted = [fleet.queue.fit("acme/api", "main", patch, base, []) for patch in (same, other)]

    assert [tip, base] == [each.base for each in fitted]
    assert b"-19\n+last\n" in bytes(fitted[0].patch)


@pytest.mark.parametrize(
    ("sections", "is_sent_back"),
    [
        ({}, True),
        ({"task": {"prompt": "Lint {package}."}, "called": "ours"}, True),
        ({"task": {"prompt": "Lint {package}.", "base": "next"}}, False),
    ],
    ids=["same names", "default branch and other name", "other branch"],
)
def test_a_delivery_of_another_fleet_counts_as_merged(
    tmp_path: Path, sections: dict[str, Any], is_sent_back: bool
) -> None:
    """A change that conflicts with one that another fleet has delivered to the same branch is sent back."""
    first = ConflictFixture(tmp_path)
    arguments = ("commit-tree", "main^{tree}", "-p", "main", "-m", "next")
    commit = git(*arguments, folder=first.repository, settings=IDENTITY).decode().strip()
    git("update-ref", "refs/heads/next", commit, folder=first.repository)
    second = run_another(tmp_path, first, **sections)

    assert is_sent_back is ("<<<<<<< changes before it\ntwo" in second.messages[-1])
    assert ["delivered"] == [item.state for item in second.control.items("lint")]


def run_another(folder: Path, first: ConflictFixture, **sections: Any) -> ConflictFixture:
    """Run *first*, then another fleet whose change conflicts with it, and return that."""
    first.run()
    if sections.pop("is_closed", False):
        (ref,) = git("for-each-ref", "--format=%(refname)", "refs/heads/coatcheck", folder=first.repository).split()
        git("update-ref", "-d", ref.decode(), folder=first.repository)
    first.diffs = {"p0": DIFF.replace("two", "three")}
    second = ConflictFixture(folder, **{"is_first": False, "name": "lint", **sections})
    second.cloud = first.cloud
    second.run()
    first.queue.close()
    second.queue.close()
    return second


def test_a_delivery_whose_branch_is_gone_does_not_count(tmp_path: Path) -> None:
    """What another fleet has delivered was merged or closed where its branch was deleted."""
    second = run_another(tmp_path, ConflictFixture(tmp_path), is_closed=True)

    assert 2 == len(second.messages)


@pytest.mark.parametrize(
    ("gone", "count"),
    [
        pytest.param(None, 3, id="open"),
        pytest.param("refs/heads/coatcheck", 2, id="branch deleted", marks=pytest.mark.slow),
        pytest.param(".", 3, id="fork deleted", marks=pytest.mark.slow),
    ],
)
def test_a_delivery_of_another_fleet_to_a_fork_counts_as_merged(tmp_path: Path, gone: str | None, count: int) -> None:
    """A change that conflicts with an open pull request of another fleet is sent back, where a fork has its branch."""
    with serving_github(tmp_path) as forge:
        (tmp_path / "repositories").symlink_to(forge.root)

        class ForkFixture(ConflictFixture):
            targets: Mapping[str, Any] = {"pull_request": forge.target(fork=True)}

        first = ForkFixture(tmp_path, is_first=False, deliver={"to": "pull_request", "fork": True})
        first.run()
        if gone is not None:
            shutil.rmtree(forge.root / "octocat/api.git" / gone)
        first.diffs = {"p0": DIFF.replace("two", "three")}
        second = ConflictFixture(tmp_path, is_first=False, name="lint")
        second.cloud = first.cloud
        second.run()
        first.queue.close()
        second.queue.close()
        (delivery,) = first.control.deliveries.list(first.fleet.id)

    assert (f"{forge.origin}/octocat/api.git", count) == (delivery.fork, len(second.messages))


class QueueMeanwhile(MergeQueue):
    """A merge queue beside which another worker reserves the delivery of the other item, after the first merge."""

    fleet: ConflictFixture

    def fit(self, *arguments: Any) -> Any:
        fitted = super().fit(*arguments)
        control, fleet = self.fleet.control, self.fleet.fleet
        if not control.deliveries.before(fleet.id, control.items("typing")[0]):
            other = control.items("typing")[1]
            control.deliveries.begin(fleet.id, other, key=f"typing/{other.key}", kind="branch")
            control.deliveries.reserve(fleet.id, other, f"typing/{other.key}", after=())
        return fitted


def test_two_workers_do_not_deliver_overlapping_changes(tmp_path: Path) -> None:
    """A change that another worker delivers while this one is merged counts as merged before it."""
    fleet = ConflictFixture(tmp_path, ["p0", "p1"], diffs={"p1": DIFF.replace("two", "three")})
    fleet.queue = QueueMeanwhile(fleet.repositories)
    fleet.queue.fleet = fleet
    fleet.run()
    fleet.queue.close()
    items = fleet.control.items("typing")

    assert ["conflict", "delivered"] == [item.state for item in items]


VERIFY = {"checks": [{"name": "tests", "run": "make test"}], "sandbox": "none"}


class ChecksOf(FirstCandidate):
    """A review that chooses a change on the first commit, and on a later one if it *passes* there."""

    def __init__(self, *, passes: bool) -> None:
        super().__init__()
        self.bases: list[str | None] = []
        self._passes = passes

    def __call__(self, item: Any, candidates: Any, scope: Any) -> Any:
        self.bases.append(candidates[0].base)
        choice = candidates[0].name if self._passes or len(self.bases) == 1 else None
        return ItemReview(
            choice=choice, is_automatic=choice is not None, why="tests failed", document={"choice": choice}
        )


@pytest.mark.parametrize(("passes", "state"), [(True, "delivered"), (False, "conflict")])
def test_a_change_that_is_rebased_is_checked_again(tmp_path: Path, passes: bool, state: str) -> None:
    """What passed its checks on an earlier commit is delivered only where it passes on the present one."""
    fleet = ConflictFixture(
        tmp_path, text="".join(f"{number}\n" for number in range(20)), diffs={"p0": LAST}, verify=VERIFY
    )
    fleet.move("".join(["first\n", *(f"{number}\n" for number in range(1, 20))]))
    fleet.review = review = ChecksOf(passes=passes)
    fleet.run()
    assert fleet.queue is not None
    fleet.queue.close()
    (item,) = fleet.control.items("typing")

    assert (state, [fleet.started, fleet.resolve("acme/api", "main")]) == (item.state, review.bases)
