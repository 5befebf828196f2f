"""The comparison of candidates, with a scripted cloud behind it and without a script."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.checkouts import RepositoryCopies, git, init
from tests.web.web_support import Pages

from coatcheck import errors
from coatcheck._model.tasks import TaskRef, TaskSpec
from coatcheck._protocol.intents import Intent
from coatcheck._review.ranking import Ranking
from coatcheck._review.score_card import ScoreCard
from coatcheck._review.verification_results import CheckProgress
from coatcheck._store.reviews import ReviewSubmission
from coatcheck._web.check_jobs import KEPT, CheckJob, CheckJobs
from coatcheck._web.comparison import comparisons
from coatcheck._workspaces.cancellation import CancelScope
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud

BASE = "".join(f"line {number}\n" for number in range(1, 61))
CHANGED = "diff --git a/f.txt b/f.txt\n--- a/f.txt\n+++ b/f.txt\n@@ -29,3 +29,3 @@\n line 29\n-line 30\n+{}\n line 31\n"
ADDED = "diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+<b>\n"
DIFFS = (ADDED + CHANGED.format("thirty"), ADDED + CHANGED.format("THIRTY"), ADDED)


def make_base(folder: Path) -> None:
    """Commit the file that the attempts change."""
    init(folder)
    (folder / "f.txt").write_text(BASE)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")


@pytest.fixture
def pages(tmp_path: Path, repositories: RepositoryCopies) -> Iterator[Pages]:
    """The page with a checkout, in front of a cloud whose three attempts have ended."""
    scripts = [AttemptScript(timeline=["completed"], result=CloudResult(diff=diff, messages=())) for diff in DIFFS]
    made = Pages(
        tmp_path, ScriptedCloud(attempts=scripts), checkout=repositories.copy(make_base, tmp_path / "checkout")
    )
    yield made
    made.site.close()


def links(text: str, attribute: str) -> list[str]:
    """Return the addresses in an attribute."""
    return [html.unescape(found) for found in re.findall(rf'{attribute}="([^"]*)"', text)]


def test_attempts_are_side_by_side(pages: Pages) -> None:
    """The page has each attempt, the files in which they differ, and the diff of one; another one is a link."""
    ref = pages.submit(attempts="3")
    page = pages.browser.get(f"/tasks/{ref}/compare")
    second = pages.browser.get(f"/tasks/{ref}/compare?candidate=2&view=split&only=differing")
    words = page.words

    assert [True] * 6 == [
        "Files that differ: 1 of 2" in words,
        "the same in all 3 candidates" in words,
        "different in 2, not changed by 3" in words,
        "&lt;b&gt;" in page.text,
        "THIRTY" in second.text,
        "1 file that all candidates change in the same way is not shown" in second.words,
    ]
    assert f"/tasks/{ref}/apply?attempt=2" in links(second.text, "href")


def test_a_candidate_is_compared_with_another(pages: Pages) -> None:
    """The difference of two attempts is that of their results: one line, computed from the base."""
    ref = pages.submit(attempts="3")
    page = pages.browser.get(f"/tasks/{ref}/compare?candidate=2&against=1")
    same = pages.browser.get(f"/tasks/{ref}/compare?candidate=1&against=1")

    assert [True] * 4 == [
        "What candidate 2 has (+) and candidate 1 has not" in page.words,
        'class="r"><td class="n" data-n="30"' in page.text,
        "THIRTY" in page.text,
        "What candidate" not in same.words,
    ]


def test_every_address_of_a_diff_answers(pages: Pages) -> None:
    """Parts, lines of the base and texts that the page links to are there; what does not exist is an error."""
    ref = pages.submit(attempts="3")
    path = f"/tasks/{ref}/compare"
    page = pages.browser.get(path).text
    expanded = [pages.browser.get(link) for link in links(page, "data-lines")]
    name = re.findall(r'<details class="file" id="([^"]*)"', page)[-1]
    part, raw = (pages.browser.get(f"{path}/{what}?candidate=1&file={name}") for what in ("part", "raw"))
    wrong = [
        pages.browser.get(f"{path}{query}").status
        for query in (
            "?candidate=4",
            "/part?file=f0",
            "/lines?file=" + name,
            "/raw",
            "?candidate=x",
            "/lines?lines=1-2",
        )
    ]

    assert {200} == {each.status for each in expanded}
    assert any("line 20" in each.text for each in expanded)
    assert ("thirty" in part.text, raw.text) == (True, CHANGED.format("thirty"))
    assert "text/plain; charset=utf-8" == raw.headers["content-type"]
    assert [400, 404, 400, 404, 400, 404] == wrong


def test_candidates_of_a_review(pages: Pages) -> None:
    """A review shows the candidates of all its tasks, and one that was not submitted with its reason."""
    pages.site.reviews.create(
        iter(["dark-mode"]),
        [
            ReviewSubmission(number=1, provider="codex", attempts=3),
            ReviewSubmission(number=2, provider="jules", error="there is no login"),
        ],
        title="Add <dark> mode",
        root=pages.site.checkout,
        base=None,
        settings={},
    )
    journal = pages.site.reviews.journal()
    with journal.submitting("dark-mode", 1), pages.site.client("codex", journal=journal) as client:
        task = client.create_task(TaskSpec(prompt="Add dark mode", environment="owner/repo", branch="main", attempts=3))
    empty, missing = pages.browser.get("/reviews/other-name"), pages.browser.get("/reviews/none")
    listed = pages.browser.get("/reviews")
    refused = pages.browser.post("/reviews/dark-mode/choose", {"candidate": "1"})
    page = pages.browser.submit("/reviews/dark-mode?candidate=2", "/reviews/dark-mode/choose")
    stored = pages.site.reviews.get("dark-mode")

    assert 404 == empty.status
    assert [True] * 4 == [
        part in page.words for part in ("Add <dark> mode", "review dark-mode", "there is no login", f"{task.ref}/3")
    ]
    assert ("Files that differ: 1 of 2" in page.words, "dark-mode" in listed.words) == (True, True)
    assert (403, f"{task.ref}/2") == (refused.status, stored and stored.choice)
    assert ("action.performed", "review:dark-mode") in pages.events()
    assert (404, True) == (missing.status, "coatcheck review --list" in missing.words)


@pytest.mark.parametrize(
    ("rejections", "words"), [((), "It has passed the checks."), (("it fails make test",), "it fails make test.")]
)
def test_the_preview_says_what_the_checks_found(pages: Pages, rejections: tuple[str, ...], words: str) -> None:
    """Whoever applies a candidate sees whether the checks reject it; what was found about another attempt is not shown."""
    ref = pages.submit(attempts="3")
    second = comparisons(pages.site).sets.of_task(TaskRef.parse(ref)).at(2).candidate
    ranking = Ranking(cards=(ScoreCard(candidate=second, applies=True, rejections=rejections),), places=(1,))
    job = CheckJob(["make test"], 1)
    pages.site.check_jobs.start("/a", job, lambda *_: ranking)
    pages.site.check_jobs.stop()
    shown = [pages.browser.get(f"/tasks/{ref}/apply?attempt={number}").words for number in (1, 2)]

    assert [False, True] == [words in each for each in shown]


def test_a_submission_without_a_task_says_why(pages: Pages) -> None:
    """What was not submitted, and what may have been, is said in words, with the command that finds out."""
    submissions = [ReviewSubmission(number=number, provider="codex") for number in (1, 2)]
    pages.site.reviews.create(iter(["typing"]), submissions, title="Add types")
    journal = pages.site.reviews.journal()
    with journal.submitting("typing", 2):
        journal.begin(Intent(id="1", provider="codex", digest="0", at=0.0, summary="Add types"))
    words = pages.browser.get("/reviews/typing").words

    assert [True] * 2 == [part in words for part in ("it is not submitted yet", "with: coatcheck review typing")]


def test_programs_compare_attempts(pages: Pages) -> None:
    """The API has the comparison of attempts, and the difference between two as a diff that git reads."""
    ref = pages.submit(attempts="3")
    pages.browser.post(f"/tasks/{ref}/refresh", pages.browser.get(f"/tasks/{ref}").fields(f"/tasks/{ref}/refresh"))
    compared = pages.api("GET", f"/tasks/{ref}/comparison").json
    diff = pages.api("GET", f"/tasks/{ref}/difference?left=1&right=2")
    wrong = [pages.api("GET", f"/tasks/{ref}/difference{query}").status for query in ("?left=1", "?left=1&right=9")]

    assert [(1, 2), (2, 2), (3, 1)] == [(each["number"], each["files"]) for each in compared["changes"]]
    assert ("text/x-diff", True) == (diff.headers["content-type"], b"-thirty\n+THIRTY\n" in diff.body)
    assert [422, 400] == wrong


def test_checks_need_a_command(pages: Pages) -> None:
    """A form without a command, and one with a command that needs a shell, start nothing and say what is wrong."""
    ref = pages.submit(attempts="3")
    path, action = f"/tasks/{ref}/compare", f"/tasks/{ref}/compare/check"
    empty, shell = (pages.browser.submit(path, action, checks=commands) for commands in (" \n", "make test | tail"))

    assert [True] * 2 == ["there is no command to run" in empty.words, "shell" in shell.words]


def test_a_run_is_kept_until_it_has_ended() -> None:
    """However many runs of other comparisons begin meanwhile, it is found and stopped, and shows what is running."""
    jobs, started, stopped = CheckJobs(), threading.Event(), threading.Event()
    job = CheckJob(["make test"], 1)

    def review(on_progress: Callable[[CheckProgress], None], scope: CancelScope) -> Ranking:
        with scope.on_cancel(stopped.set):
            for name in ("test", "lint"):
                on_progress(CheckProgress(candidate=None, check=name, state="running"))
            shown = iter(job.running)
            next(shown)
            on_progress(CheckProgress(candidate=None, check="lint", state="passed"))
            rest.extend(shown)
            started.set()
            stopped.wait(240)
        return Ranking()

    rest: list[tuple[str | None, str]] = []
    jobs.start("/a", job, review)
    started.wait(240)
    for number in range(KEPT + 5):
        other = CheckJob(["true"], number)
        jobs.start(f"/{number}", other, lambda *_: Ranking())
        while other.is_running:
            other.thread.join()
    is_kept = jobs.get("/a") is job
    jobs.stop()

    assert (True, True, 1, [(None, "lint")]) == (is_kept, stopped.is_set(), job.ended, rest)


def test_checks_run_once_at_a_time() -> None:
    """A second run of the same comparison starts when the first has ended, and stopping ends it."""
    jobs, started, stopped = CheckJobs(), threading.Event(), threading.Event()

    def review(_: Callable[[CheckProgress], None], scope: CancelScope) -> Ranking:
        with scope.on_cancel(stopped.set):
            started.set()
            stopped.wait(240)
            scope.check()
        return Ranking()

    first, again = CheckJob(["make test"], 1), CheckJob(["true"], 1)
    is_started = jobs.start("/a", first, review), jobs.start("/a", CheckJob(["make"], 1), review)
    started.wait(240)
    jobs.stop()
    jobs.start("/a", again, lambda *_: Ranking())
    jobs.stop()

    assert (True, False) == is_started
    assert isinstance(first.error, errors.CoatcheckError)
    assert (again, False, Ranking()) == (jobs.get("/a"), again.is_running, again.ranking)
