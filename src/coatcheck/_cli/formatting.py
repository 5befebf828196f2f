"""Format values for people: pure functions from a value to lines, which `console` escapes, colours and prints."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from .._model.states import TaskState
from ..errors import PatchError
from .console import Line, Link, Part, Styled, clean, indented, paragraph
from .tables import table

if TYPE_CHECKING:
    from datetime import datetime

    from .._credentials.login_status import LoginStatus
    from .._model.catalogue import Environment, Model
    from .._model.events import AnyEvent
    from .._model.outcome import Attempt, DiffStats, FileSnapshot, Notice, Outcome, Plan, PullRequest
    from .._model.tasks import Task
    from .._model.usage import RateLimit, RateWindow, Usage


class Markdown(Protocol):
    """Formats a text that may be Markdown; *indent* begins each line."""

    def __call__(self, text: str, /, *, indent: str = "") -> list[Line]: ...


# States that need input are yellow, terminal states are green or red.
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

# The letter of git diff --name-status for each status (git-diff, "--diff-filter"); a changed mode is M there.
STATUS_LETTERS: Mapping[str, str] = {
    "added": "A",
    "deleted": "D",
    "modified": "M",
    "mode changed": "M",
    "renamed": "R",
    "copied": "C",
    "type changed": "T",
}

# So many lines of a prompt are shown with a result.
PROMPT_LINES = 6

# The largest unit that fits, smallest first: (seconds in it, name, where the next one begins).
AGES = ((1, "s", 60), (60, "m", 3600), (3600, "h", 86_400))
# The same for lengths of time, which are not rounded down to one unit.
SHORT_SPANS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
SPANS = ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def state_word(state: TaskState, raw_state: str | None) -> Styled:
    """Return a state's word; for an unknown state also the service's own."""
    word = f"unknown: {raw_state}" if state is TaskState.UNKNOWN and raw_state else state.value.replace("_", " ")
    return Styled(word, STATE_STYLES[state])


def age(moment: datetime | None, now: float) -> str:
    """Return how long ago *moment* was, in the official client's form (docs/reference/protocols/codex-wham.md, 8)."""
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
    remaining, parts = max(0, int(seconds)), []
    for size, unit in SPANS:
        count, remaining = divmod(remaining, size)
        if count:
            parts.append(plural(count, unit))
    return " ".join(parts[:2]) or "0 seconds"


def short_span(seconds: float) -> str:
    """Return a length of time in its two largest units, short: "4m 12s", "2h 5m", "3d"."""
    remaining = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in SHORT_SPANS:
        count, remaining = divmod(remaining, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return " ".join(filter(None, parts[:2])) or "0s"


def plural(count: int, noun: str) -> str:
    """Return "1 file", "2 files"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size(stats: DiffStats | None) -> tuple[Part, ...]:
    """Return how big a change is: "+12/-3 • 2 files"."""
    if stats is None or not (stats.files or stats.added or stats.removed):
        return ("no diff",)
    files = plural(stats.files, "file")
    return (Styled(f"+{stats.added}", "green"), "/", Styled(f"-{stats.removed}", "red"), f" • {files}")


def task_size(task: Task) -> tuple[Part, ...]:
    """Return how big the change of a task is, and that it is partial where the task has not succeeded."""
    if task.outcome is not None and task.outcome.patch_state.value == "unavailable":
        return ("diff not returned",)
    amount = size(task.stats)
    is_partial = task.state.is_unsuccessful and amount != size(None)
    return (Styled("partial diff: ", "yellow"), *amount) if is_partial else amount


def summary(task: Task, now: float) -> list[Line]:
    """Return a summary in three lines: state and title, environment and date, size of the change."""
    where = task.environment_label or task.repository or task.environment
    total = task.attempt_total or 1
    attempts = f" • {total} attempts" if total > 1 else ""
    when = age(task.updated_at or task.created_at, now) + taken(task, now)
    return [
        ("[", state_word(task.state, task.raw_state), "] ", task.title or "<untitled>"),
        Styled(f"{where}  •  {when}" if where else when, "dim"),
        (*task_size(task), attempts),
        *([("error: ", Styled(str(task.error), "red"))] if task.error else []),
    ]


def taken(task: Task, now: float) -> str:
    """Return how long a task took, or how long it has been running: "  •  took 4m 12s"; empty where that is unknown."""
    if task.duration is not None:
        return f"  •  took {short_span(task.duration)}"
    if task.state is TaskState.RUNNING and task.started_at is not None:
        return f"  •  running for {short_span(now - task.started_at.timestamp())}"
    return ""


def identity(task: Task) -> list[Line]:
    """Return what names a task and where it came from: ref, page, branch and prompt."""
    facts: dict[str, Part] = {"ref": Link(str(task.ref), task.url, "bold"), "page": Link(task.url or "", task.url)}
    facts |= {"branch": task.branch or "", "model": task.model or ""}
    lines: list[Line] = [(f"{name.ljust(6)}  ", fact) for name, fact in facts.items() if _length(fact)]
    if not task.prompt:
        return lines
    first, *others = task.prompt.strip().splitlines() or [""]
    shown = [("prompt  ", first), *(("        ", line) for line in others[: PROMPT_LINES - 1])]
    more = len(others) + 1 - PROMPT_LINES
    return [*lines, *shown, *([Styled(f"        … {plural(more, 'more line')}", "dim")] if more > 0 else [])]


def _length(part: Part) -> int:
    return len(part.text if isinstance(part, Styled) else part)


def heading(text: str) -> list[Line]:
    """Return a heading with the blank line before it."""
    return ["", Styled(text, "bold")]


def notice_line(notice: Notice) -> Line:
    """Return a notice as a line."""
    return Styled(f"note: {notice.text}", "yellow")


def plan(plan: Plan) -> list[Line]:
    """Return a plan, a step a line."""
    return [
        (f"  {number}. {step.title}", Styled(f"  {step.description}" if step.description else "", "dim"))
        for number, step in enumerate(plan.steps, 1)
    ]


def outcome(outcome: Outcome | None, markdown: Markdown = paragraph, *, task: Task | None = None) -> list[Line]:
    """Return an outcome: messages, formatted by *markdown*, error, pull request text, size and files.

    An error and a size that the `summary` of *task* has are left out, and a pull request's text that is a message.
    """
    if outcome is None:
        return ["", "The service sent no outcome."]
    lines = message(outcome, markdown)
    if outcome.error and (task is None or str(outcome.error) != str(task.error)):
        lines += ["", ("error: ", Styled(str(outcome.error), "red"))]
    if outcome.pull_request:
        printed = [each.text for each in outcome.messages]
        lines += [*heading("Pull request"), *pull_request(outcome.pull_request, markdown, printed)]
    return lines + _changes(outcome, task)


def _changes(outcome: Outcome, task: Task | None) -> list[Line]:
    """Return the section of the changes; nothing where the `summary` of *task* has all of it."""
    amount = change(outcome)
    is_new = task is None or amount != size(task.stats)
    lines = [*([("  ", *amount)] if is_new else []), *indented(changed_files(outcome))]
    return [*heading("Changes"), *lines] if lines else []


def message(outcome: Outcome | None, markdown: Markdown = paragraph) -> list[Line]:
    """Return the agent's messages, each formatted by *markdown*, a blank line before each."""
    messages = outcome.messages if outcome else ()
    return [line for each in messages for line in ("", *markdown(each.text))]


def change(outcome: Outcome) -> tuple[Part, ...]:
    """Return the size of an outcome's change, or where the service stores it."""
    if outcome.external_file_id and not outcome.patch:
        return (f"the service stores the diff in another place ({outcome.external_file_id})",)
    return size(outcome.stats)


def pull_request(pull: PullRequest, markdown: Markdown = paragraph, messages: Iterable[str] = ()) -> list[Line]:
    """Return a pull request: its URL, title and text, formatted by *markdown*; one of *messages* is not repeated."""
    where: list[Line] = [("  ", Link(pull.url, pull.url), f" ({pull.state or 'open'})")] if pull.url else []
    lines: list[Line] = [*where, f"  {pull.title or '<untitled>'}"]
    if pull.body and pull.body.strip() in {each.strip() for each in messages}:
        return [*lines, Styled("  (text: the message above)", "dim")]
    return [*lines, "", *markdown(pull.body, indent="  ")] if pull.body else lines


def changed_files(outcome: Outcome) -> list[Line]:
    """Return a line for each file of an outcome's diff: git's letter for its status, its path, its language.

    Files without a diff have no letter.
    """
    from .._patches.languages import language_of

    sent = {file.path: file for file in outcome.files}
    try:
        changes = outcome.patch.files if outcome.patch else ()
    except PatchError as error:
        return [Styled(f"the diff cannot be read: {error}", "yellow"), *files(outcome.files)]
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
    """Return each file with its language, and whether it is complete."""
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
            *(change(attempt.outcome) if attempt.outcome else ("not requested",)),
            *([f"  {attempt.outcome.error}"] if attempt.outcome and attempt.outcome.error else []),
        )
        for attempt in known
    ]


def event(event: AnyEvent, now: float, *, is_named: bool = False, markdown: Markdown = paragraph) -> list[Line]:
    """Return an event as a line that begins with its time, a message as a paragraph below that.

    The time is the service's, else *now*. With *is_named* the subject follows; *markdown* formats a message. A line of an
    attempt's output is shown on the line of its time.
    """
    moment = event.at.timestamp() if event.at else now
    name = (Styled(f"{clock_time(moment, now)}  {f'{event.subject}  ' if is_named else ''}", "dim"),)
    if event.type == "task.message" and event.attempt is not None and "\n" not in event.message.text:
        return [(*name, Styled("message", "dim"), "  ", event.message.text)]
    if event.type == "task.message":
        return [(*name, Styled("message", "dim")), *markdown(event.message.text), ""]
    detail = _event_detail(event)
    return [(*name, _event_name(event), *(("  ", *detail) if detail else ()))]


def clock_time(moment: float, now: float) -> str:
    """Return a time of day in the local time zone, with the date where it is another day than *now*."""
    local, today = time.localtime(moment), time.localtime(now)
    return time.strftime("%H:%M:%S" if local[:3] == today[:3] else "%b %d %H:%M", local)


def _event_name(event: AnyEvent) -> Part:
    if event.type == "unknown":
        return Styled(event.kind, "dim")
    word = event.type.removeprefix("task.")
    state = getattr(event, "state", None)
    has_style = isinstance(state, TaskState) and event.type != "task.attempt"
    return Styled(word, STATE_STYLES[state]) if has_style else Styled(word, "dim")  # type: ignore[index] # a TaskState


def _event_detail(event: AnyEvent) -> tuple[Part, ...]:
    if event.type == "task.diff":
        return size(event.stats)
    if event.type == "task.attempt":
        return (f"attempt {event.attempt}: ", state_word(event.state, event.raw_state))
    if event.type == "task.failed" and event.error:
        return (Styled(str(event.error), "red"),)
    return (event.text,) if event.text else _fleet_detail(event)


def _fleet_detail(event: AnyEvent) -> tuple[Part, ...]:
    """Return the item, the task, who decided and why, of an event of a fleet or a gate."""
    if event.type.startswith("task."):
        return ()
    by = getattr(event, "by", None)
    names = (getattr(event, name, None) for name in ("item", "candidate", "ref"))
    words = [*(str(name) for name in names if name), f"by {by}" if by else None, getattr(event, "why", None)]
    text = "  ".join(word for word in words if word)
    return (text,) if text else ()


def usage(usage: Usage, now: float) -> list[Line]:
    """Return every window with its use and reset, then credits and spending limits."""
    lines: list[Line] = [("plan ", Styled(usage.plan or "unknown", "bold"))]
    for limit in (usage.rate_limit, *usage.extra_limits):
        lines += _limit(limit, now) if limit else []
    if usage.rate_limit is None:
        lines.append("the service reports no limit")
    if usage.credits:
        lines.append(f"credits {_credits(usage)}")
    if usage.spend_control and usage.spend_control.limit:
        spend = usage.spend_control
        lines.append(f"spending {spend.used or '?'} of {spend.limit}")
    if usage.reached:
        lines.append(Styled(f"stopped by {usage.reached}", "red"))
    if usage.reset_credits:
        lines.append(plural(usage.reset_credits, "limit reset") + " available")
    return lines


def _credits(usage: Usage) -> str:
    if usage.credits is None or usage.credits.has_credits is False:
        return "none"
    return "unlimited" if usage.credits.is_unlimited else (usage.credits.balance or "unknown")


def _limit(limit: RateLimit, now: float) -> list[Line]:
    name = limit.name or limit.feature or "account"
    reached: tuple[Part, ...] = ("  ", Styled("reached", "red")) if limit.is_reached else ()
    head: list[Line] = [(Styled(name, "bold"), *reached)]
    if not limit.windows:
        head.append("  no window: the service counts nothing")
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
        return f"{window.used or 0:g}{limit} submitted from here; the service reports nothing"
    if window.resets_at is None:
        return f"resets in {span(window.resets_after)}"
    left = window.resets_at.timestamp() - now
    moment = time.strftime("%b %d %H:%M", window.resets_at.astimezone().timetuple())
    return f"resets at {moment} (in {span(left)})" if left > 0 else f"was to reset at {moment}"


def environments(known: Iterable[Environment], *, width: int | None) -> list[Line]:
    """Return environments as a table of at most *width* columns: pinned first, then by label, as the official client sorts them."""
    ordered = sorted(known, key=lambda e: (not e.is_pinned, (e.label or "").lower(), e.id))
    has_pinned = any(e.is_pinned for e in ordered)
    rows = [
        (
            e.id,
            e.label or "-",
            ", ".join(e.repositories) or "-",
            e.default_branch or "-",
            *(("yes" if e.is_pinned else "",) if has_pinned else ()),
        )
        for e in ordered
    ]
    header = ("ID", "LABEL", "REPOSITORIES", "BRANCH", *(("PINNED",) if has_pinned else ()))
    return table(header, rows, width=width)


def models(known: Iterable[Model], *, width: int | None) -> list[Line]:
    """Return models as a table of at most *width* columns."""
    rows = [
        (m.id, _tokens(m.context), _tokens(m.max_output), m.price or "-", m.successor or "", m.as_of) for m in known
    ]
    return table(("MODEL", "CONTEXT", "OUTPUT", "PRICE", "USE INSTEAD", "AS OF"), rows, width=width)


def _tokens(count: int | None) -> str:
    return "-" if count is None else f"{count / 1000:g}K"


def login_status(status: LoginStatus, now: float) -> list[Line]:
    """Return a login's account, source, expiry and problems."""
    # The command line has no option for a token: only the record of a running server passes one.
    source = "the record of the local cloud" if status.source == "argument" else status.source
    word = Styled("logged in", "green") if status.is_logged_in else Styled("not logged in", "red")
    facts = {
        "account": " ".join(filter(None, (status.account_id, status.plan and f"({status.plan})"))),
        "source": f"{source}, {status.place}" if status.place not in (None, status.source) else source,
        "chosen by": status.origin,
        "name": status.account or "",
        "access token": _ending(status.expires_at, now) if status.is_logged_in else "",
        "last refresh": age(status.last_refresh, now) if status.last_refresh else "",
        "refreshed": "by coatcheck" if status.can_refresh else "not by coatcheck",
        "lock": status.lock or "",
    }
    width = max(map(len, facts))
    lines: list[Line] = [(f"{status.provider}: ", word)]
    lines += [f"  {name.ljust(width)}  {fact}" for name, fact in facts.items() if fact]
    return [*lines, *(("  ", Styled(problem, "yellow")) for problem in status.problems)]


def _ending(moment: datetime | None, now: float) -> str:
    if moment is None:
        return "valid, with no known expiry"
    left = moment.timestamp() - now
    shown = time.strftime("%b %d %H:%M", moment.astimezone().timetuple())
    return f"until {shown} (in {span(left)})" if left > 0 else f"ended {shown}"
