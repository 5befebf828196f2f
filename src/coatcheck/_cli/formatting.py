"""How values look to people: pure functions from a value to lines. `render` cleans, paints and prints them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .._model.states import TaskState
from ..errors import PatchError
from .console import Line, Part, Styled, clean, indented, paragraph, table

if TYPE_CHECKING:
    from datetime import datetime

    from .._credentials.login_status import LoginStatus
    from .._model.catalogue import Environment, Model
    from .._model.events import TaskEvent
    from .._model.outcome import Attempt, DiffStats, FileSnapshot, Notice, Outcome, Plan, PullRequest
    from .._model.tasks import Task
    from .._model.usage import RateLimit, RateWindow, Usage

# States that need a person are yellow, ends are green or red.
STATE_STYLES: Mapping[TaskState, str] = {
    TaskState.QUEUED: "dim",
    TaskState.RUNNING: "cyan",
    TaskState.INPUT_REQUIRED: "yellow",
    TaskState.PAUSED: "yellow",
    TaskState.SUCCEEDED: "green",
    TaskState.FAILED: "red",
    TaskState.CANCELLED: "red",
    TaskState.EXPIRED: "red",
    TaskState.UNKNOWN: "yellow",
}

# What git diff --name-status calls each status (git-diff, "--diff-filter"); a changed mode is a modification there.
STATUS_LETTERS: Mapping[str, str] = {
    "added": "A",
    "deleted": "D",
    "modified": "M",
    "mode changed": "M",
    "renamed": "R",
    "copied": "C",
    "type changed": "T",
}

# The largest unit that fits, smallest first: (seconds in it, name, where the next one begins).
AGES = ((1, "s", 60), (60, "m", 3600), (3600, "h", 86_400))
# The same for lengths of time, which are not rounded down to one unit.
SPANS = ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def state_word(state: TaskState, raw_state: str | None) -> Styled:
    """Return a state's word, with the service's own where ours says nothing."""
    word = f"unknown: {raw_state}" if state is TaskState.UNKNOWN and raw_state else state.value.replace("_", " ")
    return Styled(word, STATE_STYLES[state])


def age(moment: datetime | None, now: float) -> str:
    """Return how long ago *moment* was, as the official client says it (codex-wham.md 8)."""
    if moment is None:
        return "no date"
    seconds = max(0, int(now - moment.timestamp()))
    for size, unit, end in AGES:
        if seconds < end:
            return f"{seconds // size}{unit} ago"
    return time.strftime("%b %d %H:%M", moment.astimezone().timetuple())


def span(seconds: float | None) -> str:
    """Return a length of time in its two largest units: "2 days 3 hours"."""
    if seconds is None:
        return "an unknown time"
    left, parts = max(0, int(seconds)), []
    for size, unit in SPANS:
        count, left = divmod(left, size)
        if count:
            parts.append(plural(count, unit))
    return " ".join(parts[:2]) or "0 seconds"


def plural(count: int, noun: str) -> str:
    """Return "1 file", "2 files"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size(stats: DiffStats | None) -> tuple[Part, ...]:
    """Return how big a change is: "+12/-3 • 2 files"."""
    if stats is None or not (stats.files or stats.added or stats.removed):
        return ("no diff",)
    files = plural(stats.files, "file")
    return (Styled(f"+{stats.added}", "green"), "/", Styled(f"-{stats.removed}", "red"), f" • {files}")


def summary(task: Task, now: float) -> list[Line]:
    """Return the three lines that tell most: state and title, where and when, how big."""
    where = task.environment_label or task.repository or task.environment
    total = task.attempt_total or 1
    attempts = f" • {total} attempts" if total > 1 else ""
    when = age(task.updated_at or task.created_at, now)
    return [
        ("[", state_word(task.state, task.raw_state), "] ", task.title or "<untitled>"),
        Styled(f"{where}  •  {when}" if where else when, "dim"),
        (*size(task.stats), attempts),
        *([("error: ", Styled(str(task.error), "red"))] if task.error else []),
    ]


def listed(tasks: Iterable[Task], now: float) -> list[Line]:
    """Return tasks as blocks: ref and page, then the summary; a blank line between two."""
    lines: list[Line] = []
    for task in tasks:
        lines += [""] if lines else []
        lines.append((Styled(str(task.ref), "bold"), f"  {task.url}" if task.url else ""))
        lines += indented(summary(task, now))
    return lines


def heading(text: str) -> list[Line]:
    """Return a heading with the blank line before it."""
    return ["", Styled(text, "bold")]


def notice_line(notice: Notice) -> Line:
    """Return what somebody should know that the state does not tell."""
    return Styled(f"note: {notice.text}", "yellow")


def plan(made: Plan) -> list[Line]:
    """Return a plan, a step a line."""
    return [
        (f"  {number}. {step.title}", Styled(f"  {step.description}" if step.description else "", "dim"))
        for number, step in enumerate(made.steps, 1)
    ]


def outcome(made: Outcome | None) -> list[Line]:
    """Return what an attempt made: messages, pull request text, size and files."""
    if made is None:
        return ["", "The service sent no outcome."]
    lines = message(made)
    if made.error:
        lines += ["", ("error: ", Styled(str(made.error), "red"))]
    if made.pull_request:
        lines += [*heading("Pull request"), *pull_request(made.pull_request)]
    lines += [*heading("Changes"), ("  ", *change(made))]
    return lines + indented(changed_files(made))


def message(made: Outcome | None) -> list[Line]:
    """Return what the agent said, a blank line before each message."""
    said = made.messages if made else ()
    return [line for each in said for line in ("", *paragraph(each.text))]


def change(made: Outcome) -> tuple[Part, ...]:
    """Return how big an outcome's change is, or where it went."""
    if made.external_file_id and not made.patch:
        return (f"the service keeps the diff elsewhere ({made.external_file_id})",)
    return size(made.stats)


def pull_request(pull: PullRequest) -> list[Line]:
    """Return a pull request: where it is, its title, its text."""
    where = [f"  {pull.url} ({pull.state or 'open'})"] if pull.url else []
    return [*where, f"  {pull.title or '<untitled>'}", *([""] if pull.body else []), *_indented(pull.body)]


def _indented(text: str | None) -> list[Line]:
    return paragraph(text, indent="  ") if text else []


def changed_files(made: Outcome) -> list[Line]:
    """Return a line for each file of an outcome's diff: git's letter for its status, its path, its language.

    Files that the service sent without a diff of them have no letter.
    """
    from .._patches.languages import language_of

    sent = {file.path: file for file in made.files}
    try:
        changes = made.patch.files if made.patch else ()
    except PatchError as error:
        return [Styled(f"the diff cannot be read: {error}", "yellow"), *files(made.files)]
    rows = []
    for each in changes:
        name = f"{each.moved_from} => {each.path}" if each.moved_from else each.path
        language = language_of(each.path)
        file = sent.pop(each.path, None)
        about = f"{language.name if language else 'unknown language'}{_part(file) if file else ''}"
        rows.append((STATUS_LETTERS[each.status.value], name, about))
    rows += [(" ", file.path, f"{file.language or 'unknown language'}{_part(file)}") for file in sent.values()]
    width = max((len(clean(name)) for _, name, _ in rows), default=0)
    is_lettered = any(letter != " " for letter, _, _ in rows)
    return [
        ((f"{letter}  " if is_lettered else ""), f"{clean(name).ljust(width)}  {about}") for letter, name, about in rows
    ]


def files(snapshots: Iterable[FileSnapshot]) -> list[str]:
    """Return each file with its language and how much of it there is."""
    known = list(snapshots)
    width = max((len(file.path) for file in known), default=0)
    return [f"{file.path.ljust(width)}  {file.language or 'unknown language'}{_part(file)}" for file in known]


def _part(file: FileSnapshot) -> str:
    if file.is_whole:
        return ""
    return f" ({file.missing_reason or 'in parts'})"


def attempts(known: Iterable[Attempt]) -> list[Line]:
    """Return one line per attempt."""
    return [
        (
            Styled(f"attempt {attempt.number}", "bold"),
            "  [",
            state_word(attempt.state, attempt.raw_state),
            "]  ",
            *(change(attempt.outcome) if attempt.outcome else ("not asked for",)),
            *([f"  {attempt.outcome.error}"] if attempt.outcome and attempt.outcome.error else []),
        )
        for attempt in known
    ]


def event(happened: TaskEvent, *, is_named: bool = False) -> list[Line]:
    """Return an event as a line, a message as a paragraph; with *is_named* the ref comes first."""
    name = (Styled(f"{happened.ref}  ", "dim"),) if is_named else ()
    if happened.type == "task.message":
        return ["", *((name,) if name else ()), *paragraph(happened.message.text), ""]
    detail = _event_detail(happened)
    return [(*name, _event_name(happened), *(("  ", *detail) if detail else ()))]


def _event_name(happened: TaskEvent) -> Part:
    if happened.type == "unknown":
        return Styled(happened.kind, "dim")
    word = happened.type.removeprefix("task.")
    state = getattr(happened, "state", None)
    return (
        Styled(word, "dim") if state is None or happened.type == "task.attempt" else Styled(word, STATE_STYLES[state])
    )


def _event_detail(happened: TaskEvent) -> tuple[Part, ...]:
    if happened.type == "task.diff":
        return size(happened.stats)
    if happened.type == "task.attempt":
        return (f"attempt {happened.attempt}: ", state_word(happened.state, happened.raw_state))
    if happened.type == "task.failed" and happened.error:
        return (Styled(str(happened.error), "red"),)
    return (happened.text,) if happened.text else ()


def usage(used: Usage, now: float) -> list[Line]:
    """Return every window with what is used and when it resets, then credits and ceilings."""
    lines: list[Line] = [("plan ", Styled(used.plan or "unknown", "bold"))]
    for limit in (used.rate_limit, *used.extra_limits):
        lines += _limit(limit, now) if limit else []
    if used.rate_limit is None:
        lines.append("the service names no limit")
    if used.credits:
        lines.append(f"credits {_credits(used)}")
    if used.spend_control and used.spend_control.limit:
        spend = used.spend_control
        lines.append(f"spending {spend.used or '?'} of {spend.limit}")
    if used.reached:
        lines.append(Styled(f"stopped by {used.reached}", "red"))
    if used.reset_credits:
        lines.append(plural(used.reset_credits, "limit reset") + " available")
    return lines


def _credits(used: Usage) -> str:
    if used.credits is None or used.credits.has_credits is False:
        return "none"
    return "unlimited" if used.credits.is_unlimited else (used.credits.balance or "unknown")


def _limit(limit: RateLimit, now: float) -> list[Line]:
    name = limit.name or limit.feature or "account"
    reached: tuple[Part, ...] = ("  ", Styled("reached", "red")) if limit.is_reached else ()
    head: list[Line] = [(Styled(name, "bold"), *reached)]
    if not limit.windows:
        head.append("  no window: nothing is counted")
    return [*head, *(_window(window, now) for window in limit.windows)]


def _window(window: RateWindow, now: float) -> Line:
    percent = "?" if window.used_percent is None else f"{window.used_percent:g}"
    style = "red" if (window.used_percent or 0) >= 90 else "yellow" if (window.used_percent or 0) >= 75 else "green"
    return (
        f"  {window.name} ({span(window.seconds)}): ",
        Styled(f"{percent} % used", style),
        f", {_reset(window, now)}",
    )


def _reset(window: RateWindow, now: float) -> str:
    if window.is_counted_here:
        limit = "" if window.limit is None else f" of {window.limit:g}"
        return f"{window.used or 0:g}{limit} submitted from here; the service tells nothing"
    if window.resets_at is None:
        return f"resets in {span(window.resets_after)}"
    left = window.resets_at.timestamp() - now
    moment = time.strftime("%b %d %H:%M", window.resets_at.astimezone().timetuple())
    return f"resets at {moment} (in {span(left)})" if left > 0 else f"was to reset at {moment}"


def environments(known: Iterable[Environment]) -> list[Line]:
    """Return environments as a table: pinned first, then by label, as the official client sorts them."""
    ordered = sorted(known, key=lambda e: (not e.is_pinned, (e.label or "").lower(), e.id))
    rows = [
        (
            e.id,
            e.label or "-",
            ", ".join(e.repositories) or "-",
            e.default_branch or "-",
            "pinned" if e.is_pinned else "",
        )
        for e in ordered
    ]
    return table(("ID", "LABEL", "REPOSITORIES", "BRANCH", ""), rows)


def models(known: Iterable[Model]) -> list[Line]:
    """Return models as a table."""
    rows = [
        (m.id, _tokens(m.context), _tokens(m.max_output), m.price or "-", m.successor or "", m.as_of) for m in known
    ]
    return table(("MODEL", "CONTEXT", "OUTPUT", "PRICE", "USE INSTEAD", "AS OF"), rows)


def _tokens(count: int | None) -> str:
    return "-" if count is None else f"{count / 1000:g}K"


def login_status(status: LoginStatus, now: float) -> list[Line]:
    """Return whose login it is, where it comes from, how long it lasts, and what is wrong."""
    word = Styled("logged in", "green") if status.is_logged_in else Styled("not logged in", "red")
    facts = {
        "account": " ".join(filter(None, (status.account_id, status.plan and f"({status.plan})"))),
        "source": f"{status.source}, {status.place}" if status.place else status.source,
        "chosen by": status.origin,
        "name": status.account or "",
        "access token": _ending(status.expires_at, now) if status.is_logged_in else "",
        "last refresh": age(status.last_refresh, now),
        "refreshed": "here" if status.can_refresh else "not here",
        "lock": status.lock or "",
    }
    width = max(map(len, facts))
    lines: list[Line] = [(f"{status.provider}: ", word)]
    lines += [f"  {name.ljust(width)}  {fact}" for name, fact in facts.items() if fact]
    return [*lines, *(("  ", Styled(problem, "yellow")) for problem in status.problems)]


def _ending(moment: datetime | None, now: float) -> str:
    if moment is None:
        return "does not say when it ends"
    left = moment.timestamp() - now
    shown = time.strftime("%b %d %H:%M", moment.astimezone().timetuple())
    return f"until {shown} (in {span(left)})" if left > 0 else f"ended {shown}"
