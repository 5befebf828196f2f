"""What pages show and what their forms do, with a scripted cloud behind them and without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.checkouts import RepositoryCopies, git, make_checkout
from tests.web.web_support import Answer, Pages

from coatcheck._app.gate_decisions import Outcome
from coatcheck._app.held_reviews import hold_review
from coatcheck._app.held_work import HeldTask, hold_submission
from coatcheck._model import outcome as outcomes
from coatcheck._model.events import TaskMessage
from coatcheck._model.gates import Gate, GateOption
from coatcheck._model.outcome import Message
from coatcheck._model.states import TaskState
from coatcheck._model.tasks import Task, TaskRef, TaskSpec
from coatcheck._store.reviews import ReviewSubmission
from coatcheck._web.rendering import environment
from coatcheck._web.views.gates import SENTENCES
from coatcheck.cloud.faults import Refuse
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import DIFF, AttemptScript, ScriptedCloud
from coatcheck.testing.emulators import jules_scripts as lives
from coatcheck.testing.emulators.jules import JulesEmulator

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> \u202eevil\u2066 \x1b[31m\n\n"
    "[a](javascript:alert(1)) [b](https://example.com/?a&b) ![i](https://evil.example/p.png) <svg/onload=alert(1)>\n\n# Big"
)


@pytest.fixture
def checkout(tmp_path: Path, repositories: RepositoryCopies) -> Path:
    """A checkout that the diff fits."""
    return repositories.copy(make_checkout, tmp_path / "checkout")


@pytest.fixture
def done(tmp_path: Path, checkout: Path) -> Iterator[Pages]:
    """The page with a checkout, in front of a cloud whose tasks end with a diff."""
    script = AttemptScript(timeline=["completed"], result=CloudResult(diff=DIFF, messages=(HOSTILE,)))
    pages = Pages(tmp_path, ScriptedCloud(attempts=[script, script]), checkout=checkout)
    yield pages
    pages.site.close()


def test_the_list_shows_searches_and_filters_tasks(pages: Pages) -> None:
    """A task is found by its words and state, the empty results name the next step, an unknown state is an error."""
    empty = pages.browser.get("/").words
    ref = pages.submit("Add dark mode")
    shown, found = pages.browser.get("/").words, pages.browser.get("/?q=dark&state=queued&provider=codex").words
    nothing, wrong = pages.browser.get("/?q=light"), pages.browser.get("/?state=lost")

    assert "No task is recorded here yet" in empty
    assert ref in shown
    assert ref in found
    assert "No task matches" in nothing.words
    assert (400, True) == (wrong.status, "states: queued, running" in wrong.words)


def test_a_form_submits_once(pages: Pages) -> None:
    """The same form sent again leads to the same task, and one without its random name submits nothing."""
    hidden = pages.browser.get("/submit").fields("/submit")
    fields = {**hidden, "prompt": "One\r\ntwo", "environment": "owner/repo", "attempts": "2"}
    first, again = pages.browser.post("/submit", fields), pages.browser.post("/submit", fields)
    nameless = pages.browser.post("/submit", {**fields, "once": ""})
    sent = [request.body for request in pages.cloud.seen("create_task")]

    assert (303, first.location, 400) == (again.status, again.location, nameless.status)
    assert (1, True) == (len(sent), b"One\\ntwo" in sent[0])
    assert ("action.performed", first.location.removeprefix("/tasks/")) in pages.events()


def test_a_refused_form_keeps_what_was_written(pages: Pages) -> None:
    """An error is shown with the form, which has the text and can be sent again."""
    pages.cloud.faults.append(Refuse(on="create_task", times=2))
    page = pages.browser.submit("/submit", "/submit", prompt="Keep <me>", environment="owner/repo")
    retried = pages.browser.follow(
        pages.browser.post("/submit", {**page.fields("/submit"), "prompt": "Keep <me>", "environment": "owner/repo"})
    )

    assert (502, True, True) == (
        page.status,
        "refused" in page.words,
        "Keep &lt;me&gt;</textarea>" in page.text,
    )
    assert "The task was submitted" in retried.words


def test_what_others_wrote_is_shown_and_has_no_effect(done: Pages) -> None:
    """Markup, links to scripts, images and hidden characters of titles, prompts and messages become text."""
    ref = done.submit(HOSTILE)
    page = done.browser.get(f"/tasks/{ref}")
    listed = done.browser.get("/")
    markup = [
        part
        for part in ("<script>", "<img", "<svg/", 'javascript:alert(1)"', "\u202e", "\x1b", "onerror=alert(1)>")
        if part in page.text + listed.text
    ]

    assert [] == markup
    assert "\\u202eevil\\u2066 \\x1b[31m" in page.words
    assert '<a href="https://example.com/?a&amp;b" rel="noopener noreferrer nofollow">' in page.text
    assert "<h3>Big</h3>" in page.text


def test_a_patch_is_previewed_applied_and_undone(done: Pages, checkout: Path) -> None:
    """The preview changes nothing; the application and its undoing change the checkout, say so, and are recorded."""
    ref = done.submit(attempts="2")
    preview = done.browser.get(f"/tasks/{ref}/apply?attempt=2")
    before = git(checkout, "status", "--porcelain")
    applied = done.browser.submit(f"/tasks/{ref}/apply?attempt=2", f"/tasks/{ref}/apply")
    during = git(checkout, "status", "--porcelain")
    listed = done.browser.get("/checkout")
    undone = done.browser.submit("/checkout", "/checkout/undo")
    texts = [each.event.text for each in done.site.events.last(9, family="action.")][1:]

    assert ("would be applied" in preview.words, "", " M hello.txt\n", "") == (
        True,
        before,
        during,
        git(checkout, "status", "--porcelain"),
    )
    assert f"Applied 1 file to {checkout}" in applied.words
    assert (f"{ref} , attempt 2" in listed.words, "Undone: 1 file restored" in undone.words) == (True, True)
    assert [f"attempt 2: 1 file in {checkout}", "1 file restored"] == texts


def test_another_patch_than_the_previewed_one_is_not_applied(done: Pages, checkout: Path) -> None:
    """A digest that does not fit is a conflict, and nothing changes."""
    ref = done.submit()
    hidden = done.browser.get(f"/tasks/{ref}/apply").fields(f"/tasks/{ref}/apply")
    answer = done.browser.post(f"/tasks/{ref}/apply", {**hidden, "digest": "0" * 64})

    assert (409, "") == (answer.status, git(checkout, "status", "--porcelain"))
    assert "preview it again" in answer.words


def test_an_approved_review_is_submitted_to_its_services(pages: Pages) -> None:
    """One decision on the page submits to each service once, and names the service that refused."""
    spec = TaskSpec(prompt="Held", environment="owner/repo")
    submissions = [
        ReviewSubmission(number=number, provider=name, spec=spec) for number, name in ((1, "codex"), (2, "jules"))
    ]
    review = pages.site.reviews.create(iter(["dark"]), submissions, title="Held", is_held=True)
    gate = hold_review(pages.site.gates, review)
    hidden = pages.browser.get("/gates").fields(f"/gates/{gate.id}")
    page, again = (
        pages.browser.follow(pages.browser.post(f"/gates/{gate.id}", {**hidden, "option": "approve"})) for _ in range(2)
    )

    assert all("Approved, and submitted as codex:" in each.words for each in (page, again))
    assert all("Not submitted: jules: there is no login" in each.words for each in (page, again))
    assert 1 == len(pages.cloud.seen("create_task"))


def test_without_a_checkout_nothing_is_applied(pages: Pages) -> None:
    """The page names the command that names a checkout."""
    answer = pages.browser.submit("/settings", "/settings/link")
    undone = pages.browser.post("/checkout/undo", {"csrf": answer.fields("/settings/link")["csrf"]})

    assert (400, True) == (undone.status, "coatcheck web --checkout FOLDER" in undone.words)


def hold(pages: Pages) -> Gate:
    """Hold a submission, and return its gate."""
    spec = TaskSpec(prompt="Held", environment="owner/repo")
    return hold_submission(pages.site.gates, HeldTask("codex", spec))


def test_an_approved_submission_is_sent_once(pages: Pages) -> None:
    """The page says what a decision means; approving submits; a decision again and another one change nothing."""
    gate = hold(pages)
    shown = pages.browser.get("/gates")
    hidden = shown.fields(f"/gates/{gate.id}")
    page = pages.browser.follow(
        pages.browser.post(f"/gates/{gate.id}", {**hidden, "option": "approve", "why": "cheap"})
    )
    again = pages.browser.post(f"/gates/{gate.id}", {**hidden, "option": "approve"})
    other = pages.browser.post(f"/gates/{gate.id}", {**hidden, "option": "reject"})
    decision = pages.site.gates.store.get(gate.id).decision

    assert "the task is submitted once, and may cost money" in shown.words
    assert ("Approved, and submitted as codex:" in page.words, 303, 409) == (True, again.status, other.status)
    assert (1, "web", "cheap") == (
        len(pages.cloud.seen("create_task")),
        decision and decision.via,
        decision and decision.why,
    )


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"option": "reject", "why": "no"}, 303, ""),
        ({"option": "approve", "digest": "0" * 64}, 409, "is about something else by now"),
        ({"option": "launch"}, 400, "options: approve, reject"),
    ],
)
def test_a_gate_is_decided_as_the_form_says(pages: Pages, fields: dict[str, str], status: int, words: str) -> None:
    """A rejection sends nothing; a decision about something else and an option that does not exist are refused."""
    gate = hold(pages)
    hidden = pages.browser.get(f"/gates/{gate.id}").fields(f"/gates/{gate.id}")
    answer = pages.browser.post(f"/gates/{gate.id}", {**hidden, "back": "//evil.example/tasks/", **fields})

    assert (status, [], True) == (answer.status, pages.cloud.seen("create_task"), words in answer.words)
    assert answer.location in ("", "/gates")


def test_a_message_and_a_cancellation_are_sent_and_recorded(pages: Pages) -> None:
    """Both go to the service once, the page says so, and the timeline has who did it."""
    ref = pages.submit()
    cancelled = pages.browser.submit(f"/tasks/{ref}", f"/tasks/{ref}/cancel")
    told = pages.browser.submit(f"/tasks/{ref}", f"/tasks/{ref}/message", text="Use <b>tokens</b>")
    timeline = pages.browser.get(f"/tasks/{ref}/timeline").words

    assert "Requested the cancellation" in cancelled.words
    assert "The message was sent" in told.words
    assert "(web): Use <b>tokens</b>" in timeline


def test_a_service_that_cannot_be_used_is_an_error_with_a_remedy(pages: Pages) -> None:
    """A task of an unknown service, one that does not exist, and one that cannot be named are pages of errors."""
    answers = [pages.browser.get(f"/tasks/{ref}") for ref in ("nowhere:1", "codex:task_e_0", "codex", "a%2Fb:c")]

    assert [True] * 4 == [400 <= each.status < 500 and "List of tasks" in each.words for each in answers]


def jules_pages(folder: Path, **options: Any) -> Pages:
    """Return the page in front of an emulated Jules."""
    jules = JulesEmulator(**options)
    environ = {
        "COATCHECK_PROVIDER": "jules",
        "COATCHECK_LEARN": "off",
        "JULES_API_KEY": jules.token,
        "COATCHECK_JULES_BASE_URL": "http://127.0.0.1:9/v1alpha",
    }
    pages = Pages(folder, jules, **environ)
    jules.clock = pages.clock
    return pages


def waiting(pages: Pages, **fields: str) -> tuple[str, str]:
    """Submit a task to Jules and poll it until it waits; return its ref and its gate."""
    ref = pages.submit("Say hello", provider="jules", environment="", repository="owner/repo", **fields)
    for _ in range(20):
        pages.clock.sleep(60)
        pages.browser.submit(f"/tasks/{ref}", f"/tasks/{ref}/refresh")
        if gates := pages.site.gates.list(subject=ref):
            return ref, gates[0].id
    raise AssertionError(pages.browser.get(f"/tasks/{ref}").words)


def test_a_plan_is_approved_where_it_is_shown(tmp_path: Path) -> None:
    """The task's page has the plan and what a decision does; approving it reaches the service once."""
    pages = jules_pages(tmp_path)
    ref, gate = waiting(pages, plan="yes")
    shown = pages.browser.get(f"/tasks/{ref}")
    hidden = shown.fields(f"/gates/{gate}")
    pages.browser.post(f"/gates/{gate}", {**hidden, "option": "approve"})
    again = pages.browser.follow(pages.browser.post(f"/gates/{gate}", {**hidden, "option": "approve"}))

    assert ("1. Read the code" in shown.words, "the agent carries out this plan" in shown.words) == (True, True)
    assert (1, True) == (len(pages.cloud.seen("approve_plan")), "carried out before" in again.words)


def test_a_question_is_answered_with_a_text(tmp_path: Path) -> None:
    """An empty answer is refused; the text is sent once, and the gate is closed."""
    pages = jules_pages(tmp_path, life=lives.asking)
    ref, gate = waiting(pages)
    hidden = pages.browser.get(f"/tasks/{ref}").fields(f"/gates/{gate}")
    empty = pages.browser.post(f"/gates/{gate}", {**hidden, "option": "answer", "answer": " "})
    sent = pages.browser.follow(
        pages.browser.post(f"/gates/{gate}", {**hidden, "option": "answer", "answer": "The\r\nsecond"})
    )
    bodies = [request.body for request in pages.cloud.seen("send_message")]

    assert (400, True, []) == (empty.status, "the answer was sent" in sent.words, list(pages.site.gates.list()))
    assert [True] == [b"The\\nsecond" in body for body in bodies]


@pytest.mark.parametrize(
    ("query", "words"), [("q=%ff", "not UTF-8"), ("&".join(["a=1"] * 201), "more than 200 fields")]
)
def test_a_query_that_cannot_be_read_is_refused(pages: Pages, query: str, words: str) -> None:
    """Bytes that are no text are an error, and are not replaced; too many fields are not read."""
    answer = pages.browser.get(f"/?{query}")

    assert (400, True) == (answer.status, words in answer.words)


def test_a_template_makes_the_prompt(pages: Pages) -> None:
    """The form has a field for each argument; a missing one is an error, and a path is no template."""
    folder = Path(pages.environ["HOME"], ".config", "coatcheck", "prompts")
    folder.mkdir(parents=True)
    (folder / "fix.md").write_text("---\narguments:\n  issue:\n    required: true\n---\nFix {{issue}} now\n")
    form = pages.browser.get("/submit?template=fix")
    fields = {**form.fields("/submit"), "environment": "owner/repo"}
    missing = pages.browser.post("/submit", {**fields, "arg.issue": " "})
    path = pages.browser.post("/submit", {**fields, "template": str(folder / "fix.md"), "arg.issue": "x"})
    done = pages.browser.post("/submit", {**missing_again(missing, fields), "arg.issue": "<b>\r\nline"})
    [sent] = pages.cloud.seen("create_task")

    assert ('name="arg.issue"' in form.text, 400, 400, 303) == (True, missing.status, path.status, done.status)
    assert b"Fix <b>\\nline now" in sent.body


def missing_again(answer: Answer, fields: dict[str, str]) -> dict[str, str]:
    """Return the fields of the form that an error shows again."""
    return {**fields, **answer.fields("/submit")}


def test_a_long_list_has_pages(pages: Pages) -> None:
    """Each task is on one page, a page leads to the next and back to the first, and filters stay."""
    tasks = [
        Task(ref=TaskRef("codex", f"task_{number}"), state=TaskState.RUNNING, title=f"Dark {number}")
        for number in range(120)
    ]
    pages.site.history.record_all(tasks)
    seen, target, count = [], "/?q=dark", 0
    while target:
        page = pages.browser.get(target)
        seen += re.findall(r'data-key="([^"]*)"', page.text)
        target = "".join(re.findall(r'rel="next" href="([^"]*)"', page.text)).replace("&amp;", "&")
        count += 1

    assert (3, 120, 120) == (count, len(seen), len(set(seen)))
    assert '<a href="/?q=dark">Newest tasks</a>' in page.text


@pytest.mark.parametrize("level", ["off", "metadata"])
def test_what_is_not_recorded_is_read_from_the_service(tmp_path: Path, level: str) -> None:
    """With the setting history off or metadata, the page of a task shows its messages all the same, and stores none."""
    script = AttemptScript(timeline=["completed"], result=CloudResult(diff=DIFF, messages=("Dark mode is there",)))
    pages = Pages(tmp_path, ScriptedCloud(attempts=[script]), COATCHECK_HISTORY=level)
    ref = pages.submit()
    shown = pages.browser.get(f"/tasks/{ref}").words
    stored = pages.site.history.get(TaskRef.parse(ref))

    assert "Dark mode is there" in shown
    assert stored is None or stored.task.outcome is None or not stored.task.outcome.messages


def test_every_event_can_be_reached_where_messages_repeat(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is shown once ends neither the list of a page nor the pages of the timeline."""
    monkeypatch.setattr("coatcheck._web.views.task.TIMELINE_PAGE", 3)
    monkeypatch.setattr("coatcheck._web.views.task.LAST_EVENTS", 4)
    ref = pages.submit()
    texts = ["the same", "the same", "another", "the last"]
    pages.site.events.append(
        TaskMessage(ref=TaskRef.parse(ref), message=Message(text=text), text=text) for text in texts
    )
    url, shown = f"/tasks/{ref}/timeline", []
    while url:
        page = pages.browser.get(url)
        shown.append(page.words)
        url = next(iter(re.findall(rf'href="(/tasks/{ref}/timeline\?after=\d+)"', page.text)), "")

    has_link = "All events, earlier ones included" in pages.browser.get(f"/tasks/{ref}").words

    assert (True, True) == ("the last" in shown[-1], has_link)


def test_each_outcome_of_a_decision_has_a_sentence() -> None:
    """The page has words for whatever a decision did; a submission and an application have their own."""
    without = set(get_args(Outcome)) - set(SENTENCES)

    assert {"submitted", "applied"} == without


def test_a_lasting_permission_is_no_default() -> None:
    """The option that also permits later requests is the last button, and the key for approval does not press it."""
    options = (
        GateOption(id="always", label="Always", effect="approve", is_lasting=True),
        GateOption(id="yes", label="Allow", effect="approve"),
        GateOption(id="no", label="Reject", effect="reject"),
    )
    gate = Gate(id="1", subject="local:t", kind="permission", title="execute make test", options=options)
    panel: Any = environment().get_template("parts.html").module
    buttons = re.findall(r'<button name="option" value="(\w+)"([^>]*)>', str(panel.gate_panel(gate, None, "/gates")))
    actual = [(id, "".join(re.findall('data-press="(.)"', rest))) for id, rest in buttons]

    assert [("yes", "a"), ("no", "r"), ("always", "")] == actual


def test_a_prompt_that_is_also_a_message_is_shown_once(pages: Pages) -> None:
    """A service that reports the prompt as the first message does not repeat it, and its lines are kept."""
    prompt = "Make it louder\nand longer"
    messages = (
        Message(role="user", text=prompt),
        Message(role="assistant", text="Done"),
        Message(role="user", text=prompt),
    )
    outcome = outcomes.Outcome(messages=messages)
    task = Task(ref=TaskRef("codex", "task_e_1"), state=TaskState.SUCCEEDED, prompt=prompt, outcome=outcome)
    pages.site.history.record(task)
    shown = pages.browser.get(f"/tasks/{task.ref}").text

    assert 2 == shown.count("Make it louder<br>")
