"""The router answers as the service does: shapes, pages, errors, doors."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck._protocol.effects import Request
from coatcheck.cloud.models import CloudEnvironment, CloudFile, CloudResult, CloudTask, count_changes, joint_state
from coatcheck.cloud.router import read_cursor, write_cursor
from coatcheck.cloud.scripted_cloud import DEFAULT_RESULT, AttemptScript, ScriptedCloud

from .conftest import Caller, create_body, load, read

DONE = ("completed",)
RICH = msgspec.structs.replace(
    DEFAULT_RESULT,
    files=(CloudFile(path="hello.txt", content="hello\nworld\n"), CloudFile(path="a.bin", missing_reason="binary")),
)


def key_paths(document: object, prefix: str = "$") -> Iterator[str]:
    """Every key of a document by its path, list positions left out."""
    if isinstance(document, dict):
        for name, value in document.items():
            # repo_map is keyed by ids; what a repository holds beyond these is GitHub's
            path = f"{prefix}.{'*' if name.startswith('github-') else name}"
            yield path
            yield from key_paths(value, path)
    if isinstance(document, list):
        for item in document:
            yield from key_paths(item, prefix)


# What only the live service can know, or what items of kinds that this cloud does not make hold.
NOT_OURS = (
    "repo_map.*.",
    "citation",
    "line_range",
    "terminal_chunk_id",
    ".content.path",
    "metadata.l1239dk1",
    ".pull_requests.",
    "asset_pointer",
    "external_storage_diff.",
)


@pytest.mark.parametrize(
    ("transcript", "ours"),
    [
        ("create_response", "create"),
        ("details_pending", "pending"),
        ("details_completed_pr_three_attempts", "completed"),
        ("details_ask_mode_message_only", "completed"),
        ("details_failed", "failed"),
        ("details_cancelled", "cancelled"),
        ("sibling_turns_of_three_attempts", "siblings"),
        ("list_page_1", "list"),
        ("environments", "environments"),
    ],
)
def test_responses_have_every_key_of_the_live_service(transcript: str, ours: str) -> None:
    """Every key of a recorded response is in ours."""
    answers = Answers()
    missing = {
        path
        for path in set(key_paths(load(transcript))) - set(key_paths(getattr(answers, ours)()))
        if not any(part in path for part in NOT_OURS)
    }

    assert set() == missing


class Answers:
    """Our answer to each kind of question."""

    def create(self) -> dict:
        return Caller(ScriptedCloud()).create()

    def details(self, *timeline: str, attempts: int = 3) -> dict:
        caller = Caller(ScriptedCloud(timeline, result=msgspec.structs.replace(RICH, worklog=("I looked around",))))
        return caller.get(f"/tasks/{caller.create(attempts=attempts)['task']['id']}")

    def pending(self) -> dict:
        return self.details("pending", attempts=1)

    def completed(self) -> dict:
        return self.details("completed")

    def failed(self) -> dict:
        return self.details("failed")

    def cancelled(self) -> dict:
        return self.details("cancelled")

    def siblings(self) -> dict:
        full = AttemptScript(timeline=DONE, result=msgspec.structs.replace(RICH, worklog=("I looked around",)))
        caller = Caller(ScriptedCloud(attempts=(full, full, AttemptScript(timeline=("failed",)))))
        created = caller.create(attempts=3)
        return caller.get(f"/tasks/{created['task']['id']}/turns/{created['turn']['id']}/sibling_turns")

    def list(self) -> dict:
        caller = Caller(ScriptedCloud(DONE))
        caller.create()
        return caller.get("/tasks/list")

    def environments(self) -> dict:
        return Caller(ScriptedCloud()).get("/environments")


def test_the_diff_turn_repeats_the_assistant_turn_once_there_is_a_diff() -> None:
    """Before the diff it is null, afterwards the very same turn."""
    caller = Caller(ScriptedCloud(("in_progress", "completed")))
    id = caller.create()["task"]["id"]
    before, after = caller.get(f"/tasks/{id}"), caller.get(f"/tasks/{id}")

    assert [None, after["current_assistant_turn"]] == [
        before["current_diff_task_turn"],
        after["current_diff_task_turn"],
    ]


def test_items_come_in_the_order_of_the_service() -> None:
    """message, partial_repo_snapshot, pr."""
    details = Answers().completed()

    assert ["message", "partial_repo_snapshot", "pr"] == [
        item["type"] for item in details["current_assistant_turn"]["output_items"]
    ]


def test_an_attempt_alone_has_no_siblings_and_no_placement() -> None:
    """Both are null, as the live service has them."""
    turn = Answers().pending()["current_assistant_turn"]

    assert [None, None] == [turn["sibling_turn_ids"], turn["attempt_placement"]]


def test_sibling_turns_leave_out_the_requested_turn() -> None:
    """Clients would count it twice."""
    siblings = Answers().siblings()["sibling_turns"]

    assert [1, 2] == [turn["attempt_placement"] for turn in siblings]


def test_a_file_snapshot_has_the_exact_content() -> None:
    """The last newline is neither lost nor doubled."""
    snapshot = Answers().completed()["current_assistant_turn"]["output_items"][1]

    assert ["hello\nworld\n", None] == [file["contents"] for file in snapshot["files"]]


def test_both_path_styles_reach_the_same_tasks() -> None:
    """/backend-api/wham and /api/codex are one router."""
    caller = Caller(ScriptedCloud())
    caller.create()
    other = Caller(caller.cloud, base="/api/codex")

    assert caller.get("/tasks/list")["items"][0]["id"] == other.get("/tasks/list")["items"][0]["id"]


@pytest.mark.parametrize("token", ["", "made-up", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"])
def test_only_issued_tokens_are_accepted(token: str) -> None:
    """Every other token is a 401 of the service's form, on every guarded route."""
    caller = Caller(ScriptedCloud())
    caller.token = token
    answers = [caller.ask("GET", path) for path in ("/tasks/list", "/usage", "/environments", "/tasks/x")]

    assert [(401, load("error_401"))] * 4 == [(answer.status, msgspec.json.decode(answer.body)) for answer in answers]


def test_an_expired_token_is_refused() -> None:
    """A token expires at the time in its JWT."""
    caller = Caller(ScriptedCloud())
    caller.token = caller.cloud.book.issue(lifetime=-1).access_token

    assert caller.ask("GET", "/usage").status == 401


@pytest.mark.parametrize(
    "method_and_path", [("GET", "/tasks/nope"), ("POST", "/tasks/nope/cancel"), ("DELETE", "/tasks/nope")]
)
def test_an_unknown_task_is_the_services_404(method_and_path: tuple[str, str]) -> None:
    """The text is the service's."""
    response = Caller(ScriptedCloud()).ask(*method_and_path)

    assert (404, load("error_404")) == (response.status, msgspec.json.decode(response.body))


def test_a_page_holds_twenty_at_most_and_the_cursor_reaches_every_task_once() -> None:
    """For any limit, the cursors list all tasks, newest first, none twice."""
    caller = Caller(ScriptedCloud())
    ids = [caller.create()["task"]["id"] for _ in range(45)]
    pages, cursor = [], ""
    while cursor is not None:
        page = caller.get("/tasks/list", limit="50", cursor=cursor)
        pages.append([item["id"] for item in page["items"]])
        cursor = page["cursor"]

    assert [20, 20, 5] == [len(page) for page in pages]
    assert ids[::-1] == [id for page in pages for id in page]


def test_a_cursor_continues_although_the_list_changes() -> None:
    """It is a time and not a count."""
    caller = Caller(ScriptedCloud())
    ids = [caller.create()["task"]["id"] for _ in range(6)]
    first = caller.get("/tasks/list", limit="3")
    caller.create()
    caller.ask("DELETE", f"/tasks/{ids[3]}")  # the last one of the first page
    second = caller.get("/tasks/list", limit="3", cursor=first["cursor"])

    assert ids[2::-1] == [item["id"] for item in second["items"]]


@given(st.floats(min_value=0, max_value=4e9), st.text("0123456789abcdef_tske", min_size=1))
def test_a_cursor_reads_back_as_the_place_it_was_written_for(created_at: float, id: str) -> None:
    """write_cursor and read_cursor are each other's inverse, to the microsecond."""
    created_at = round(created_at, 6)
    task = CloudTask(
        id=id, title="", environment_id="", environment_label="", branch="", created_at=created_at, updated_at=0.0
    )

    assert (created_at, id) == read_cursor(write_cursor(task))


@pytest.mark.parametrize(
    "query", [{"cursor": "nonsense"}, {"limit": "0"}, {"limit": "-1"}, {"limit": "x"}, {"task_filter": "weird"}]
)
def test_a_list_refuses_what_it_does_not_understand(query: dict[str, str]) -> None:
    """With a validation error, and not with a page."""
    response = Caller(ScriptedCloud()).ask("GET", "/tasks/list", **query)

    assert (400, "invalid_request_error") == (response.status, msgspec.json.decode(response.body)["error"]["type"])


def test_filters_and_environments_narrow_a_list() -> None:
    """current, archived, all; and one environment."""
    environments = [CloudEnvironment(id=id, label=id) for id in ("a", "b")]
    caller = Caller(ScriptedCloud(environments=environments))
    first, second = (caller.create(environment_id=id)["task"]["id"] for id in ("a", "b"))
    caller.ask("POST", f"/tasks/{first}/archive")
    listed = [
        [item["id"] for item in caller.get("/tasks/list", **query)["items"]]
        for query in (
            {},
            {"task_filter": "archived"},
            {"task_filter": "all"},
            {"task_filter": "all", "environment_id": "a"},
        )
    ]

    assert [[second], [first], [second, first], [first]] == listed


def test_archive_recover_read_and_delete() -> None:
    """Each route changes the one thing it names."""
    caller = Caller(ScriptedCloud())
    id = caller.create()["task"]["id"]
    archived = []
    for verb in ("archive", "recover", "archive", "unarchive", "mark_read"):
        assert {"success": True} == caller.post(f"/tasks/{id}/{verb}")
        archived.append(caller.get(f"/tasks/{id}")["task"]["archived"])
    assert [True, False, True, False, False] == archived
    caller.ask("DELETE", f"/tasks/{id}")

    assert caller.ask("GET", f"/tasks/{id}").status == 404


def test_cancel_ends_every_attempt_that_still_runs() -> None:
    """And leaves what has ended as it is."""
    attempts = (AttemptScript(timeline=DONE), AttemptScript(timeline=("in_progress",)))
    caller = Caller(ScriptedCloud(attempts=attempts))
    created = caller.create(attempts=2)
    id = created["task"]["id"]
    before = caller.get(f"/tasks/{id}")["task"]["task_status_display"]["latest_turn_status_display"]["turn_status"]
    caller.post(f"/tasks/{id}/cancel")
    turns = [
        node["turn"]
        for node in caller.get(f"/tasks/{id}/turns")["turn_mapping"].values()
        if node["turn"]["type"] == "assistant"
    ]

    assert "in_progress" == before
    assert [("completed", False), ("cancelled", True)] == [
        (turn["turn_status"], turn["cancellation_requested_at"] is not None) for turn in turns
    ]


def test_a_follow_up_adds_a_turn_to_the_same_task() -> None:
    """New turn ids, the same task id, and the tree has the order."""
    caller = Caller(ScriptedCloud(DONE))
    created = caller.create()
    id, turn = created["task"]["id"], created["turn"]["id"]
    body = {**create_body("And in German"), "follow_up": {"task_id": id, "turn_id": turn, "environment_mode": "ask"}}
    body.pop("new_task")
    followed = caller.post("/tasks", body)
    tree = caller.get(f"/tasks/{id}/turns")["turn_mapping"]

    assert (id, 1) == (followed["task"]["id"], followed["task"]["denormalized_metadata"]["num_follow_ups"])
    assert [followed["user_turn"]["id"]] == tree[turn]["children"]


@pytest.mark.parametrize(
    "change",
    [
        {"input_items": []},
        {"input_items": None},
        {"new_task": None},
        {"new_task": {"branch": "main"}},
        {"new_task": {"environment_id": "unknown"}},
        {"metadata": {"best_of_n": 5}},
        {"metadata": {"best_of_n": 0}},
        {"input_items": [{"type": "message", "content": [{"content_type": "text", "text": "  "}]}]},
    ],
)
def test_an_invalid_request_is_a_400_and_no_task(change: dict) -> None:
    """The service validates as well."""
    caller = Caller(ScriptedCloud())
    response = caller.ask("POST", "/tasks", {**create_body(), **change})

    assert (400, ()) == (response.status, caller.cloud.tasks)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"[" * 100_000])
def test_a_body_of_any_bytes_has_a_response(body: bytes) -> None:
    """Any bytes are answered with a 400."""
    cloud = ScriptedCloud()
    headers = (("authorization", f"Bearer {cloud.tokens.access_token}"),)

    assert cloud.handle(Request("POST", "/wham/tasks", headers=headers, body=body)).status == 400


def test_the_prompt_the_patch_and_the_model_are_kept() -> None:
    """All fields of the request can be read back."""
    caller = Caller(ScriptedCloud())
    body = create_body("Do it")
    body["input_items"].append({"type": "pre_apply_patch", "output_diff": {"diff": "diff --git a/x b/x\n"}})
    created = caller.post("/tasks", {**body, "metadata": {"model_slug": "gpt-6-sol"}})

    assert body["input_items"] == created["user_turn"]["input_items"]
    assert "gpt-6-sol" == created["user_turn"]["user_model_slug"]


def test_environments_are_found_by_repository_in_any_case() -> None:
    """An unknown repository is an empty list."""
    caller = Caller(ScriptedCloud())
    found = [caller.get(f"/environments/by-repo/github/{name}") for name in ("Owner/Repo", "owner/other")]

    assert [1, 0] == [len(each) for each in found]


def test_a_turn_is_streamed_as_server_sent_events() -> None:
    """A finished turn is replayed, and then the stream just ends."""
    caller = Caller(ScriptedCloud(DONE))
    created = caller.create()
    id, turn = created["task"]["id"], created["turn"]["id"]
    stream = caller.ask("GET", f"/tasks/{id}/turns/{turn}/stream", item_type="thread_event").stream
    text, end = stream.read(), stream.read()
    methods = [msgspec.json.decode(line[6:])["event"]["method"] for line in text.split(b"\n\n") if line]

    assert ["thread/started", "turn/started", "item/completed", "item/completed", "turn/completed"] == methods
    assert b"" == end


def test_a_task_runs_until_all_its_attempts_have_ended() -> None:
    """One success is success; the state of a mixed task that still runs is in_progress."""
    cases = {
        ("pending", "pending"): "pending",
        ("pending", "completed"): "in_progress",
        ("in_progress", "failed"): "in_progress",
        ("failed", "completed"): "completed",
        ("failed", "cancelled"): "failed",
        ("cancelled",): "cancelled",
    }

    assert list(cases.values()) == [joint_state(states) for states in cases]


def test_changes_are_counted_by_hunk() -> None:
    """A removed line may begin with "-- " and an added one with "++ "."""
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a comment\n+++ a counter\n same\ndiff --git a/y b/y\nnew file mode 100644\n"
    stats = count_changes(diff)

    assert stats is not None
    assert (2, 1, 1) == (stats.files, stats.added, stats.removed)


def test_no_diff_counts_nothing() -> None:
    """A completed task without one has null."""
    caller = Caller(ScriptedCloud(DONE, result=CloudResult(messages=("An answer",))))
    caller.create()
    item = read(caller.ask("GET", "/tasks/list"))["items"][0]

    assert None is item["task_status_display"]["latest_turn_status_display"]["diff_stats"]
