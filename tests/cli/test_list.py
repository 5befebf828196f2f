from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.cli.cli_support import Cli

from coatcheck import DiffStats, Task, TaskRef, TaskState, errors
from coatcheck._cli.commands.listing import moment_of
from coatcheck._cli.console import Console, Line, Styled, parts_of
from coatcheck._cli.hyperlinks import shows_links
from coatcheck._cli.task_table import task_table
from coatcheck._cli.text_width import columns, shorten
from coatcheck._protocol.effects import Request, Response
from coatcheck._protocol.safe_links import is_safe_url
from coatcheck.cloud.scripted_cloud import ScriptedCloud

NOW = 1_790_000_000.0


def texts(lines: list[Line]) -> list[str]:
    """Return lines without their styles."""
    return ["".join(part.text if isinstance(part, Styled) else part for part in parts_of(line)) for line in lines]


def task(title: str, *, id: str = "task_e_1", state: TaskState = TaskState.SUCCEEDED) -> Task:
    """Return a task that ran for 252 seconds and ended an hour ago."""
    return Task(
        ref=TaskRef("codex", id),
        state=state,
        title=title,
        environment_label="owner/repo",
        created_at=datetime.fromtimestamp(NOW - 3852, UTC),
        updated_at=datetime.fromtimestamp(NOW - 3600, UTC),
        stats=DiffStats(files=1, added=12, removed=3),
        url="https://chatgpt.com/codex/tasks/task_e_1",
    )


TASKS = [
    task("Add dark mode to the settings page, and to everything else that has colours"),
    task("予定表に暗い配色を追加する" * 8, id="task_e_2", state=TaskState.RUNNING),
    task("a\x1b[31m\u202eb", id="x" * 40, state=TaskState.FAILED),
]


@pytest.mark.parametrize("width", [20, 40, 60, 61, 80, 81, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """A table fits its width in columns, wide characters included; only a ref is never cut."""
    lines = texts(task_table(TASKS, NOW, width=width))

    assert [] == [line for line in lines if columns(line) > width and not line.startswith("codex:")]


def test_a_wide_table_has_every_column() -> None:
    """State, age, duration, size and environment are shown where there is enough width."""
    lines = texts(task_table(TASKS[:1], NOW, width=200))

    assert [
        "REF             STATE      AGE  TOOK    SIZE    ENVIRONMENT  TITLE",
        f"codex:task_e_1  succeeded  1h   4m 12s  +12/-3  owner/repo   {TASKS[0].title}",
    ] == lines


def test_a_pipe_gets_whole_titles() -> None:
    """Without a terminal nothing is cut."""
    assert texts(task_table(TASKS[:1], NOW, width=None))[1].endswith(str(TASKS[0].title))


@pytest.mark.parametrize(
    ("expected", "text", "width"),
    [("abc", "abc", 3), ("ab…", "abcd", 3), ("予…", "予定表", 4), ("", "abc", 0), ("e\u0301…", "e\u0301abc", 2)],
)
def test_text_is_cut_by_columns(expected: str, text: str, width: int) -> None:
    """Wide characters have two columns, combining ones none."""
    assert expected == shorten(text, width)


def test_a_list_is_filtered(cli: Cli) -> None:
    """State, words and time filter the tasks; the options can be combined."""
    dark, light = cli.submit(prompt="Add dark mode"), cli.submit(prompt="Add light mode")

    def refs(*options: str) -> list[str]:
        return [each["ref"] for each in cli("list", "--json", *options).json["tasks"]]

    assert [[dark], [light, dark], [], [light, dark], []] == [
        refs("--search", "MODE dark"),
        refs("--search", "mode", "--since", "1h"),
        refs("--state", "failed"),
        refs(*(word for state in TaskState for word in ("--state", state.value))),
        refs("--since", "2099-01-01"),
    ]


def test_a_filtered_list_continues_after_its_last_task(cli: Cli) -> None:
    """The limit counts the tasks that match, and the cursor continues after the last one: nothing is shown twice."""
    refs = [cli.submit(prompt=f"{'even' if number % 2 == 0 else 'odd'} {number}") for number in range(12)]
    found: list[str] = []
    cursor: list[str] = []
    for _ in range(4):
        page = cli("list", "--json", "--search", "even", "--limit", "2", *cursor).json
        found += [each["ref"] for each in page["tasks"]]
        if page["cursor"] is None:
            break
        cursor = ["--cursor", page["cursor"]]

    assert refs[::-2][:0] + [ref for number, ref in enumerate(refs) if number % 2 == 0][::-1] == found


class FailingSecondPage:
    """A scripted cloud whose second page of tasks raises *error*."""

    def __init__(self, cloud: ScriptedCloud, error: BaseException) -> None:
        self.cloud, self.error = cloud, error

    def handle(self, request: Request) -> Response:
        if "cursor" in dict(request.query):
            raise self.error
        return self.cloud.handle(request)


@pytest.mark.parametrize(
    ("code", "error"),
    [(130, KeyboardInterrupt()), (8, errors.TransportError("cannot reach 127.0.0.1"))],
    ids=["interrupted", "failed"],
)
def test_an_incomplete_list_is_printed(tmp_path: Path, code: int, error: BaseException) -> None:
    """A list that ends at a later page is printed as far as it is known, with the command that continues it."""
    cloud = ScriptedCloud()
    cli = Cli(tmp_path, cloud)
    refs = [cli.submit(prompt=f"number {number}") for number in range(21)]
    cli = Cli(tmp_path, FailingSecondPage(cloud, error), CODEX_ACCESS_TOKEN=cloud.tokens.access_token)
    table, document = cli("list", "--all", "--state", "queued", "--state", "running"), cli("list", "--all", "--json")
    rest = f"the first {len(document.json['tasks'])} tasks were listed; the others: coatcheck list --all --cursor="
    shown = [line.split()[0] for line in table.out.splitlines()[1:]]

    assert (code, code, refs[::-1][: len(shown)], shown, True, True) == (
        table.code,
        document.code,
        shown,
        [each["ref"] for each in document.json["tasks"]],
        rest in document.err,
        "coatcheck list --state queued --state running --all --cursor=" in table.err,
    )


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (NOW - 1800, "30m"),
        (NOW - 604_800, "7d"),
        (datetime(2026, 1, 2, tzinfo=UTC).timestamp(), "2026-01-02T00:00Z"),
        (0.0, "9999999999d"),
    ],
)
def test_since_takes_a_duration_or_a_date(expected: float, text: str) -> None:
    """--since is a duration before now, or a date."""
    assert expected == moment_of(text, NOW)


@pytest.mark.parametrize("text", ["", "soon", "none", "-1h", "2026-13-01"])
def test_other_times_are_refused(text: str) -> None:
    """What is neither a duration nor a date is refused with examples."""
    with pytest.raises(errors.ConfigurationError) as caught:
        moment_of(text, NOW)

    assert f"--since {text!r} is neither a duration nor a date" == str(caught.value)


def test_fields_are_chosen(cli: Cli) -> None:
    """``--json FIELDS`` prints an array of objects with these fields, in both spellings."""
    ref = cli.submit()
    expected = [{"ref": ref, "title": "Add dark mode"}]

    assert [expected] * 2 == [cli("list", *words).json for words in (["--json", "ref,title"], ["--json=ref,title"])]


def test_fields_of_one_task_are_an_object(cli: Cli) -> None:
    """Of one task the fields are one object; a ref after ``--json`` stays a ref."""
    ref = cli.submit()

    assert ({"state": "running"}, ref) == (
        {"state": cli("status", "--json", "state", ref).json["state"].replace("queued", "running")},
        cli("status", "--json", ref).json["ref"],
    )


@pytest.mark.parametrize("arguments", [("list", "--json", "titel"), ("status", "--json", "ref,titel", "x")])
def test_an_unknown_field_lists_the_known_ones(cli: Cli, arguments: tuple[str, ...]) -> None:
    """A field that does not exist is refused before any request."""
    error = cli(*arguments).error

    assert ("--json has no field 'titel'", True, []) == (
        error["message"],
        "title" in error["remedy"],
        cli.cloud.requests,
    )


def test_a_prompt_is_not_a_field(cli: Cli) -> None:
    """A one-word prompt after ``--json`` is a prompt."""
    done = cli("submit", "-e", "owner/repo", "--json", "state")

    assert (0, "state") == (done.code, done.json["title"])


def test_json_is_filtered_by_jq(cli: Cli) -> None:
    """``--jq`` prints a line per result, text without quotes."""
    pytest.importorskip("jq")
    ref = cli.submit()

    assert (f"{ref}\n", '["title"]\n') == (
        cli("list", "--jq", ".tasks[].ref").out,
        cli("list", "--json", "title", "--jq", "map(keys[])").out,
    )


@pytest.mark.parametrize("program", [".[", "error", "nothing()"])
def test_a_wrong_jq_program_is_one_line(cli: Cli, program: str) -> None:
    """A program that jq cannot compile or run is bad usage."""
    pytest.importorskip("jq")
    done = cli("list", "--jq", program)

    assert (2, True) == (done.code, done.line.startswith("--jq: "))


def test_every_field_that_is_offered_is_in_the_document(cli: Cli) -> None:
    """The fields of ``--json FIELDS`` for `list` and `show` are those of their documents."""
    from coatcheck._cli.json_selection import fields_of

    ref = cli.submit()
    document = cli("show", "--json", ref).json

    assert set(document) == set(fields_of("show"))


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://evil.example/",
        "https://user@evil.example/",
        "https://evil.example/\x1b\\",
        "https://evil.example/\x07",
        "https://evil.example/ x",
        "https://evil.exämple/",
        "https:///x",
        "https://x/" + "a" * 3000,
        "http://127.0.0.1.evil.example/",
        "http://localhost@evil.example/",
        "http://[::1/",
        "vscode://x",
    ],
)
def test_hostile_urls_are_not_linked(url: str) -> None:
    """A URL of another scheme, host or alphabet is printed as text."""
    assert not is_safe_url(url)


@pytest.mark.parametrize("url", ["https://chatgpt.com/codex/x", "http://127.0.0.1:8080/x?y=1", "http://[::1]:1/"])
def test_pages_are_linked(url: str) -> None:
    """Pages of services and of this machine may be linked."""
    assert is_safe_url(url)


@pytest.mark.parametrize(
    ("expected", "environ"),
    [
        (False, {"TERM": "xterm-256color"}),
        (True, {"TERM": "xterm-256color", "VTE_VERSION": "7600"}),
        (False, {"TERM": "xterm-256color", "VTE_VERSION": "4999"}),
        (True, {"TERM_PROGRAM": "WezTerm"}),
        (False, {"TERM_PROGRAM": "Apple_Terminal"}),
        (False, {"TERM": "screen-256color", "TERM_PROGRAM": "WezTerm"}),
        (False, {"TERM": "dumb", "WT_SESSION": "1"}),
        (True, {"TERM": "dumb", "FORCE_HYPERLINK": "1"}),
        (False, {"TERM": "xterm-kitty", "FORCE_HYPERLINK": "0"}),
    ],
)
def test_links_are_for_terminals_that_show_them(expected: bool, environ: dict[str, str]) -> None:
    """Only a terminal that is known to show links gets them."""
    assert expected == shows_links(environ)


def test_a_ref_links_to_its_page() -> None:
    """On a terminal with links the ref in a table links to the page of its task, and a hostile page to nothing."""
    import io

    out = io.BytesIO()
    environ = {"FORCE_HYPERLINK": "1", "NO_COLOR": "1"}
    hostile = msgspec.structs.replace(TASKS[0], url="https://x/\x1b\\\x1b]0;title\x07")
    Console(out, io.BytesIO(), environ=environ, is_terminal=True).show_all(
        task_table([TASKS[0], hostile], NOW, width=80)
    )

    assert [1, 2] == [
        out.getvalue().count(b"\x1b]8;;https://chatgpt.com/codex/tasks/task_e_1\x1b\\codex:task_e_1\x1b]8;;\x1b\\"),
        out.getvalue().count(b"\x1b]"),
    ]


def test_fields_keep_their_order(cli: Cli) -> None:
    """Fields are printed in the order in which they were requested."""
    ref = cli.submit()

    assert ["title", "ref"] == list(json.loads(cli("status", "--json", "title,ref", ref).data))


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (["ref", "state"], ["--json", "ref", "--json", "state"]),
        (["ref", "state"], ["--json=ref", "--json=state"]),
        (["ref"], ["--json", "--json", "ref"]),
        (["ref"], ["--json=ref", "--json"]),
        (["ref", "id"], ["--json", "ref", "--limit", "1", "--json=id,ref"]),
    ],
    ids=" ".join,
)
def test_the_fields_of_several_json_options_are_added(cli: Cli, expected: list[str], words: list[str]) -> None:
    """Fields are chosen by every ``--json``, as with gh."""
    cli.submit()

    assert [expected] == [list(each) for each in cli("list", *words).json]


def test_quiet_prints_no_note_about_further_tasks(cli: Cli) -> None:
    """With --quiet `list` prints the tasks and nothing on stderr."""
    cli.submit()
    cli.submit()
    notes = [cli("list", "--limit", "1", *options).err for options in ((), ("-q",), ("-q", "--json", "ref"))]

    assert [True, False, False] == [bool(each) for each in notes]
