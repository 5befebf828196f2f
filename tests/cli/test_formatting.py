from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coatcheck._cli import formatting
from coatcheck._cli.console import Line, Link, Styled, parts_of
from coatcheck._model.events import (
    TaskAttempt,
    TaskDiff,
    TaskEvent,
    TaskFailed,
    TaskProgress,
    TaskStarted,
    UnknownEvent,
)
from coatcheck._model.outcome import Attempt, DiffStats, Failure, FileSnapshot, Message, Outcome, PullRequest
from coatcheck._model.states import TaskState
from coatcheck._model.tasks import Task, TaskRef
from coatcheck._model.usage import Credits, RateLimit, RateWindow, SpendControl, Usage

REF = TaskRef("codex", "task_e_1")
NOW = 1_790_000_000.0


def texts(lines: list[Line]) -> list[str]:
    """Return lines without their paint."""
    return ["".join(part.text if isinstance(part, Styled) else part for part in parts_of(line)) for line in lines]


def moment(seconds: float) -> datetime:
    """Return the time so many seconds before now."""
    return datetime.fromtimestamp(NOW - seconds, UTC)


def test_every_state_has_a_style() -> None:
    """A new state cannot be forgotten here."""
    assert set(TaskState) == set(formatting.STATE_STYLES)


@pytest.mark.parametrize(
    ("expected", "seconds"), [("0s ago", -5), ("59s ago", 59.9), ("1m ago", 60), ("59m ago", 3599), ("23h ago", 86399)]
)
def test_ages_have_one_unit(expected: str, seconds: float) -> None:
    """Ages have the form of the official client."""
    assert expected == formatting.age(moment(seconds), NOW)


def test_old_tasks_have_a_date() -> None:
    """After a day the date is printed."""
    assert moment(100_000).astimezone().strftime("%b %d %H:%M") == formatting.age(moment(100_000), NOW)


@pytest.mark.parametrize(
    ("expected", "seconds"),
    [("5 hours", 18_000), ("1 week", 604_800), ("1 day 1 hour", 90_061), ("0 seconds", 0), ("an unknown time", None)],
)
def test_spans_have_two_units(expected: str, seconds: float | None) -> None:
    """Windows are named by their length."""
    assert expected == formatting.span(seconds)


def test_a_summary_has_the_facts_of_the_official_client() -> None:
    """State and title, where and when, how big: the three lines of `codex cloud status`."""
    task = Task(
        ref=REF,
        state=TaskState.SUCCEEDED,
        title="Add dark mode",
        environment_label="owner/repo",
        created_at=moment(7200),
        stats=DiffStats(files=2, added=10, removed=3),
        attempt_total=3,
    )

    assert [
        "[succeeded] Add dark mode",
        "owner/repo  •  2h ago",
        "+10/-3 • 2 files • 3 attempts",
    ] == texts(formatting.summary(task, NOW))


def test_an_unknown_state_keeps_the_native_word() -> None:
    """For an unknown state the word of the service is shown."""
    task = Task(ref=REF, state=TaskState.UNKNOWN, raw_state="reticulating")

    assert "[unknown: reticulating] <untitled>" == texts(formatting.summary(task, NOW))[0]


def test_a_failure_is_told() -> None:
    """The summary of a failed task has the error of the service."""
    task = Task(ref=REF, state=TaskState.FAILED, error=Failure(code="oom", message="out of memory"))

    assert "error: oom: out of memory" == texts(formatting.summary(task, NOW))[-1]


def test_an_outcome_shows_all_parts() -> None:
    """Messages, pull request, size, files with their languages."""
    made = Outcome(
        messages=(Message(text="Done.\nTwice."),),
        stats=DiffStats(files=1, added=1),
        pull_request=PullRequest(title="Dark mode", body="Why.\n\nHow."),
        files=(
            FileSnapshot(path="app.js", is_whole=True, language="JavaScript"),
            FileSnapshot(path="x", missing_reason="too large"),
        ),
    )

    assert [
        "",
        "Done.",
        "Twice.",
        "",
        "Pull request",
        "  Dark mode",
        "",
        "  Why.",
        "  ",
        "  How.",
        "",
        "Changes",
        "  +1/-0 • 1 file",
        "  app.js  JavaScript",
        "  x       unknown language (too large)",
    ] == texts(formatting.outcome(made))


def test_an_off_loaded_diff_is_not_called_none() -> None:
    """A diff that the service keeps elsewhere is something else than no diff."""
    made = Outcome(external_file_id="file_1")

    assert "  the service stores the diff in another place (file_1)" == texts(formatting.outcome(made))[-1]


def test_attempts_have_a_line_each() -> None:
    """Number, state, size and error of each attempt."""
    known = [
        Attempt(id="a", placement=0, state=TaskState.SUCCEEDED, outcome=Outcome(stats=DiffStats(files=1, added=2))),
        Attempt(id="b", placement=1, state=TaskState.FAILED, outcome=Outcome(error=Failure(message="no"))),
        Attempt(id="c", placement=2, state=TaskState.RUNNING),
    ]

    assert [
        "attempt 1  [succeeded]  +2/-0 • 1 file",
        "attempt 2  [failed]  no diff  no",
        "attempt 3  [running]  not requested",
    ] == texts(formatting.attempts(known))


@pytest.mark.parametrize(
    ("expected", "event"),
    [
        ("started", TaskStarted(ref=REF, state=TaskState.RUNNING)),
        ("failed  no disk", TaskFailed(ref=REF, state=TaskState.FAILED, error=Failure(message="no disk"))),
        ("attempt  attempt 2: failed", TaskAttempt(ref=REF, attempt=2, state=TaskState.FAILED)),
        ("progress  Reading", TaskProgress(ref=REF, text="Reading")),
        ("diff  +1/-0 • 1 file", TaskDiff(ref=REF, stats=DiffStats(files=1, added=1))),
        ("StepStarted  build", UnknownEvent(ref=REF, kind="StepStarted", text="build")),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_events_have_a_line_each(expected: str, event: TaskEvent) -> None:
    """An event is one line, which begins with its time."""
    assert [f"{formatting.clock_time(NOW, NOW)}  {expected}"] == texts(formatting.event(event, NOW))


def test_usage_shows_every_limit() -> None:
    """Windows by their own length with the time they reset, extra limits, credits, ceilings, what stops the account."""
    used = Usage(
        plan="pro",
        rate_limit=RateLimit(windows=(RateWindow(name="primary", used_percent=42, seconds=604_800, resets_after=60),)),
        extra_limits=(RateLimit(name="code review", is_reached=True),),
        credits=Credits(has_credits=True, balance="9.99"),
        spend_control=SpendControl(limit="50", used="12"),
        reached="rate_limit_reached",
        reset_credits=1,
    )

    assert [
        "plan pro",
        "account",
        "  primary (1 week): 42 % used, resets in 1 minute",
        "code review  reached",
        "  no window: the service counts nothing",
        "credits 9.99",
        "spending 12 of 50",
        "stopped by rate_limit_reached",
        "1 limit reset available",
    ] == texts(formatting.usage(used, NOW))


def test_usage_without_limits_is_stated() -> None:
    """Nothing is estimated: an account without limits shows none."""
    assert ["plan unknown", "the service reports no limit"] == texts(formatting.usage(Usage(), NOW))


def test_the_text_of_a_pull_request_is_formatted() -> None:
    """It is passed to the formatter of Markdown with its indent, and its URL is a link."""
    pull = PullRequest(title="Dark mode", body="**Why**", url="https://example.com/1")
    lines = formatting.pull_request(pull, lambda text, indent="": [f"{indent}<{text}>"])

    assert "  <**Why**>" == lines[-1]
    assert "https://example.com/1" == next(part.url for part in lines[0] if isinstance(part, Link))
