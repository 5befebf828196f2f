"""The JSON API of candidates and reviews; each answer is compared with the OpenAPI description."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from tests.web.described_api import DOCUMENT, DescribedApi
from tests.web.test_compare import DIFFS, links, pages
from tests.web.test_fleet_api import everything
from tests.web.test_fleets import FleetPages, fleet
from tests.web.web_support import Pages

from coatcheck._model.tasks import TaskSpec
from coatcheck._review.checks import Check, Verification
from coatcheck._review.ranking import Ranking
from coatcheck._review.review_file import ReviewFile
from coatcheck._store.reviews import ReviewSubmission
from coatcheck._web.check_jobs import CheckJob
from coatcheck._web.views import VIEWS

__all__ = ["fleet", "pages"]
DARK = "/reviews/dark-mode"
CHECKS = Verification(checks=(Check(name="added", run="test -f new"),), sandbox="none")
SETTINGS = ReviewFile(verification=CHECKS).to_dict()


def begin(pages: Pages, name: str = "dark-mode") -> str:
    """Store a review with a task of three attempts and a submission that failed; return the ref of the task."""
    submissions = [
        ReviewSubmission(number=1, provider="codex", attempts=3),
        ReviewSubmission(number=2, provider="jules", error="there is no login"),
    ]
    root = pages.site.checkout
    pages.site.reviews.create(iter([name]), submissions, title="Add dark mode", root=root, settings=SETTINGS)
    journal = pages.site.reviews.journal()
    with journal.submitting(name, 1), pages.site.client("codex", journal=journal) as client:
        task = client.create_task(TaskSpec(prompt="Add dark mode", environment="owner/repo", branch="main", attempts=3))
    return str(task.ref)


def join(pages: Pages, path: str) -> None:
    """Wait until the checks of *path* have ended."""
    job = pages.site.check_jobs.get(path)
    assert job is not None
    assert job.thread is not None
    job.thread.join()


def ways(pages: Pages) -> list[tuple[Any, Any, str]]:
    """Return the actions in the log: what, by which way, and about what."""
    events = [each.event for each in pages.site.events.last(20, family="action.")]
    return [(each.action, each.via, each.subject) for each in events]  # type: ignore[union-attr]


def test_a_program_reads_a_review(pages: Pages) -> None:
    """It has the candidates with their diffs, what each does to every file, the choice, and the commands of its checks."""
    ref, api = begin(pages), DescribedApi(pages)
    (listed,), shown = api.get("/reviews")["reviews"], api.get(DARK)
    patch = pages.api("GET", f"{DARK}/candidates/2/patch")
    difference = pages.api("GET", f"{DARK}/difference?left=1&right=2")
    changes = {each["path"]: [(made["number"], made["version"]) for made in each["changes"]] for each in shown["files"]}

    assert ([f"{ref}/1", f"{ref}/2", f"{ref}/3", "jules 2"], listed) == (
        [each["name"] for each in shown["candidates"]],
        shown["review"],
    )
    assert {"f.txt": [(1, 1), (2, 2)], "new": [(1, 1), (2, 1), (3, 1)]} == changes
    assert (["test -f new"], None, DIFFS[1].encode(), True) == (
        shown["commands"],
        shown["checks"],
        patch.body,
        b"-thirty\n+THIRTY\n" in difference.body,
    )


def test_reviews_are_listed_by_pages(pages: Pages) -> None:
    """Each review is there once, the newest first; also those that were begun in the same second."""
    names = [f"review-{number}" for number in range(5)]
    for name in names:
        pages.site.reviews.create(iter([name]), [], title=name)

    assert names[::-1] == [each["name"] for each in everything(DescribedApi(pages), "/reviews", "reviews", 2)]


def test_a_program_checks_candidates_and_chooses_one(pages: Pages) -> None:
    """Checks are started with the commands of the review, their ranking and logs are read, and a choice is recorded."""
    begin(pages)
    api = DescribedApi(pages)
    started = api.call("POST", f"{DARK}/checks", {})
    join(pages, DARK)
    ended = api.get(f"{DARK}/checks")["checks"]
    again = api.call("POST", f"{DARK}/checks", {"commands": ["echo hello"]})
    join(pages, DARK)
    ranking = api.get(DARK)["checks"]["ranking"]
    log = pages.api("GET", f"{DARK}/checks/log?candidate=2&check=echo+hello")
    (link, *_) = [each for each in links(pages.browser.get(DARK).text, "href") if "/log?candidate=2" in each]
    candidate = api.get(f"{DARK}/candidates")["candidates"][1]
    chosen = api.post(f"{DARK}/candidates/2/choose", {"digest": candidate["digest"]})

    assert (202, 202, ["test -f new"], False) == (
        started.status,
        again.status,
        ended["commands"],
        ended["is_running"],
    )
    assert (["passed"] * 3, 2, b"hello\n", "hello\n", candidate["name"]) == (
        [each["result"] for each in ended["ranking"]["cards"]][:3],
        len(ranking["steps"]) - 1,
        log.body,
        pages.browser.get(link).text,
        chosen["choice"],
    )
    assert [("check", "api"), ("check", "api"), ("choose", "api")] == [each[:2] for each in ways(pages)]


def test_checks_that_run_are_shown_and_stopped(pages: Pages) -> None:
    """A second run is a conflict; stopping ends the first, whose error and remedy are read."""
    begin(pages)
    api, stopped = DescribedApi(pages), threading.Event()

    def review(_: Any, scope: Any) -> Ranking:
        with scope.on_cancel(stopped.set):
            stopped.wait(240)
            scope.check()
        return Ranking()

    pages.site.check_jobs.start(DARK, CheckJob(["make test"], 1), review)
    running, again = api.get(f"{DARK}/checks")["checks"], api.call("POST", f"{DARK}/checks", {})
    api.call("POST", f"{DARK}/checks/stop")
    join(pages, DARK)
    ended = api.get(f"{DARK}/checks")["checks"]

    assert (True, ["make test"], 409) == (running["is_running"], running["commands"], again.status)
    assert (False, "the checks were stopped", "run them again") == (
        ended["is_running"],
        ended["error"],
        ended["remedy"],
    )


def test_a_program_applies_a_candidate_after_a_preview(pages: Pages, tmp_path: Path) -> None:
    """The preview changes nothing; with its digest the candidate is applied, and the log has the task."""
    ref, api, changed = begin(pages), DescribedApi(pages), tmp_path / "checkout" / "f.txt"
    preview = api.post(f"{DARK}/candidates/2/apply", {"check": True})
    before = "THIRTY" in changed.read_text()
    other = api.call("POST", f"{DARK}/candidates/1/apply", {"digest": preview["digest"]})
    applied = api.post(f"{DARK}/candidates/2/apply", {"digest": preview["digest"]})

    assert (True, False, 409, False) == (preview["is_check"], before, other.status, applied["is_check"])
    assert ("THIRTY" in changed.read_text(), [("apply", "api", ref)]) == (True, ways(pages))


def test_the_attempts_of_a_task_have_the_same(pages: Pages) -> None:
    """Attempts are candidates, with checks that a program starts; what the page has started a program reads."""
    ref, api = pages.submit(attempts="3"), DescribedApi(pages)
    listed = api.get(f"/tasks/{ref}/candidates")
    path = f"/tasks/{ref}/compare"
    pages.site.check_jobs.start(path, CheckJob(["make"], None), lambda *_: Ranking(reason="none"))
    join(pages, path)
    checks = api.get(f"/tasks/{ref}/checks")["checks"]
    missing = api.call("POST", f"/tasks/{ref}/checks", {})

    assert ([1, 2, 3], True, "none") == (
        [each["attempt"] for each in listed["candidates"]],
        checks["is_outdated"],
        checks["ranking"]["reason"],
    )
    assert (400, "there is no command to run") == (missing.status, missing.json["detail"])


def test_the_candidates_of_an_item_have_the_same(fleet: FleetPages) -> None:
    """The diffs that a fleet has stored are read; without a checkout checks and applying are refused with a remedy."""
    api = DescribedApi(fleet)
    item = fleet.item("p0")
    (candidate,) = api.get(f"{item}/candidates")["candidates"]
    patch = fleet.api("GET", f"{item}/candidates/1/patch").body
    refused = [
        api.call("POST", f"{item}/{what}", body)
        for what, body in (("checks", {"commands": ["make"]}), ("candidates/1/apply", {"check": True}))
    ]

    assert (candidate["patch"].encode(), [400, 400]) == (patch, [each.status for each in refused])
    assert ["checks need a checkout of the repository", True] == [
        refused[0].json["detail"],
        bool(refused[1].json["remedy"]),
    ]


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (("GET", "/reviews/none", None), 404, "there is no review none"),
        (("GET", "/reviews?cursor=none", None), 400, "is not the cursor of a page"),
        (("GET", f"{DARK}/candidates/4/patch", None), 404, "there is no login"),
        (("GET", f"{DARK}/candidates/x/patch", None), 404, "there is no candidate x"),
        (("GET", f"{DARK}/candidates/9/patch", None), 400, "there is no candidate 9"),
        (("GET", f"{DARK}/checks/log?candidate=1&check=make", None), 404, "has no result of the check"),
        (("GET", f"{DARK}/difference?left=1", None), 422, "right"),
        (("POST", f"{DARK}/checks", {"commands": ["make | tail"]}), 400, "shell"),
        (("POST", f"{DARK}/candidates/1/choose", {"digest": "0"}), 409, "has changed since it was read"),
        (("POST", f"{DARK}/candidates/4/choose", {}), 400, "has no diff"),
        (("POST", f"{DARK}/candidates/4/apply", {}), 404, "there is no login"),
        (("POST", f"{DARK}/candidates/1/choose", None), 422, "the body is of no type"),
    ],
)
def test_what_is_wrong_changes_nothing(pages: Pages, call: Any, status: int, words: str) -> None:
    """Each error has its documented status and names what is wrong; nothing is chosen, applied or recorded by it."""
    begin(pages)
    answer = DescribedApi(pages).call(*call)
    review = pages.site.reviews.get("dark-mode")

    assert (status, True, None, []) == (
        answer.status,
        words in answer.json["detail"],
        review and review.choice,
        ways(pages),
    )


def test_a_program_gets_a_link_for_a_browser(pages: Pages) -> None:
    """The link opens the page of this server, once."""
    link = DescribedApi(pages).post("/links")["link"]
    path = link.removeprefix("http://127.0.0.1:8700")
    answers = [pages.browser.get(path).status for _ in range(2)]

    assert ([303, 403], True) == (answers, path.startswith("/open?token="))


# The forms of the page, and what a program sends instead.
ACTIONS = {
    "/submit": {"createTask"},
    "/tasks/{ref}/message": {"sendMessage"},
    "/tasks/{ref}/cancel": {"cancelTask"},
    "/tasks/{ref}/refresh": {"refreshTask"},
    "/tasks/{ref}/apply": {"applyTask"},
    "/tasks/{ref:path}/compare/check": {"startTaskChecks"},
    "/tasks/{ref:path}/compare/stop": {"stopTaskChecks"},
    "/tasks/{ref:path}/compare/choose": {"applyTask"},  # a choice is of a review: the page refuses it here
    "/reviews/{name}/check": {"startReviewChecks"},
    "/reviews/{name}/stop": {"stopReviewChecks"},
    "/reviews/{name}/choose": {"chooseCandidate"},
    "/fleets/{name}/items/{id}/compare/check": {"startItemChecks"},
    "/fleets/{name}/items/{id}/compare/stop": {"stopItemChecks"},
    "/fleets/{name}/items/{id}/compare/choose": {"applyItemCandidate"},  # as for tasks
    "/fleets/{name}/items/{id}/{action}": {"approveFleetItem", "rejectFleetItem", "retryFleetItem"},
    "/fleets/{name}/chosen": {"approveFleetItems", "rejectFleetItems", "retryFleetItems"},
    "/fleets/{name}/actions/{action}": {"pauseFleet", "resumeFleet", "cancelFleet", "deliverFleet"},
    "/gates/{id}": {"decideGate"},
    "/checkout/undo": {"undo"},
    "/hooks/replay": {"replayDelivery"},
    "/hooks/{id}/switch": {"switchHook"},
    "/hooks/{id}/test": {"testHook"},
    "/settings/link": {"createLink"},
}


def test_programs_have_every_action_of_the_page(pages: Pages) -> None:
    """For each form that the page takes there is an operation; a new form needs one here."""
    operations = {each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()}
    routes = [register(pages.site) for view in VIEWS for register in view.ROUTES]
    forms = {each.path for each in routes if isinstance(each, Route) and "POST" in (each.methods or ())}

    assert (forms, set()) == ({*ACTIONS}, {each for names in ACTIONS.values() for each in names} - operations)
