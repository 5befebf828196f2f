from __future__ import annotations

import json
from typing import Any

import pytest

from coatcheck import Citation, Outcome, PatchState, PullRequest

from .exchange_support import DATA, PROVIDER, recorded

DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


def outcome_of(name: str) -> Outcome:
    """Return the outcome in a transcript."""
    outcome = PROVIDER.extract_response(recorded(name)).outcome
    assert outcome is not None
    return outcome


def made(*items: object, diff_turn: object = None, **turn: object) -> Outcome:
    """Return the outcome of a turn with these items."""
    details = {"task": {"id": "t"}, "current_assistant_turn": {"id": "a", "output_items": items, **turn}}
    outcome = PROVIDER.extract_response(json.dumps(details | {"current_diff_task_turn": diff_turn}).encode()).outcome
    assert outcome is not None
    return outcome


def said(*parts: object, **item: object) -> dict[str, Any]:
    """Return a message item."""
    return {"type": "message", "role": "assistant", "content": parts, **item}


def snapshot(*ranges: tuple[int, list[str], bool], **file: object) -> dict[str, Any]:
    """Return a snapshot item of one file."""
    parts = [
        {
            "line_range_start": start,
            "line_range_end": start + len(lines) - 1,
            "content": lines,
            "contains_end_of_file": end,
        }
        for start, lines, end in ranges
    ]
    return {"type": "partial_repo_snapshot", "files": [{"path": "a.css", "line_range_contents": parts, **file}]}


# -- messages ----------------------------------------------------------------------------------------------------------


def test_citations_are_data_beside_the_text() -> None:
    """The text continues at a citation; the citation has its position."""
    message = outcome_of("details_ask_mode_message_only").messages[0]

    assert "### Summary\n\n* Done in `hello.txt`. \n* Testing: none" == message.text
    assert (
        Citation(kind="repo_file_citation", target="hello.txt", start=1, offset=36),
        Citation(kind="terminal_chunk_citation", target="7dd543", start=1, end=5, offset=52),
    ) == message.citations
    assert message.text[36:].startswith("\n* Testing")


def test_a_repeated_turn_is_read_once() -> None:
    """The diff turn repeats the assistant's turn once there is a diff: one message, one set of files.

    See docs/reference/protocols/codex-wham.md, "4 Extraction rules".
    """
    outcome = outcome_of("details_completed_pr_three_attempts")

    assert (1, 4) == (len(outcome.messages), len(outcome.files))


def test_repeated_content_of_another_turn_is_read_once() -> None:
    """A diff turn with another id and the same content adds only what is new, in the official client's order."""
    earlier = {"id": "b", "output_items": [said("Hello"), said("Before")]}

    assert ["Before", "Hello"] == [message.text for message in made(said("Hello"), diff_turn=earlier).messages]


def test_repetition_inside_a_turn_is_kept() -> None:
    """Repeated messages of one turn are the agent's."""
    assert "Done.\n\nDone." == made(said("Done."), said("Done.")).text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (["One.", {"content_type": "TEXT", "text": "Two."}], "One.\n\nTwo."),
        ("as one string", "as one string"),
        ([{"content_type": "a_new_word", "text": "still said"}], "still said"),
        ([{"text": "a"}, {"content_type": "c", "path": "p"}, {"text": "b"}, None, {"text": ""}], "ab"),
    ],
)
def test_parts_make_one_text(content: object, text: str) -> None:
    """Texts beside one another are paragraphs, a citation stands inside a text, new kinds of text are still text."""
    assert text == made({"type": "message", "content": content}).text


@pytest.mark.parametrize("content", [None, [], [""], [None], [{"content_type": "text"}]])
def test_an_empty_item_is_no_message(content: object) -> None:
    """An item without text and citation is no message."""
    assert () == made({"type": "message", "content": content}).messages


def test_the_worklog_is_the_message_where_there_is_no_other() -> None:
    """Without message items the assistant's worklog is the message; it is kept as worklog too.

    See docs/reference/protocols/codex-wham.md, "4 Extraction rules".
    """
    outcome = outcome_of("details_worklog_only")

    assert "Only the worklog speaks.\n\nTwice." == outcome.text == outcome.worklog[0].text


def test_the_worklog_is_no_message_otherwise() -> None:
    """Where the agent spoke, the worklog is beside it, with the roles."""
    outcome = outcome_of("details_ask_mode_message_only")

    assert [("user", "do it")] == [(entry.role, entry.text) for entry in outcome.worklog]
    assert 1 == len(outcome.messages)


# -- the change --------------------------------------------------------------------------------------------------------


def test_the_patch_is_the_services_bytes() -> None:
    """The diff is returned byte by byte, binary parts, CRLF and odd names included."""
    outcome = outcome_of("details_completed_pr_three_attempts")

    assert (DATA / "dark_mode.patch").read_bytes() == bytes(outcome.patch)
    assert (PatchState.PRESENT, "698265759f83372d986544627ea1084e7911b63a", 12) == (
        outcome.patch_state,
        outcome.base_commit,
        outcome.stats.files,
    )


def test_an_empty_diff_does_not_hide_an_off_loaded_one() -> None:
    """An empty item before it does not make an off-loaded diff absent."""
    kept = {"type": "output_diff", "diff": None, "external_storage_diff": {"file_id": "f"}}

    assert (PatchState.OFFLOADED, "f") == ((outcome := made(EMPTY, kept)).patch_state, outcome.external_file_id)


OUTPUT_DIFF = {"type": "output_diff", "diff": DIFF}
PR = {"type": "pr", "output_diff": {"diff": DIFF}}
EMPTY = {"type": "pr", "output_diff": {"diff": ""}}


@pytest.mark.parametrize("item", [OUTPUT_DIFF, PR])
@pytest.mark.parametrize("id", ["a", "b", None])
def test_a_diff_is_found_in_either_turn_and_either_item(item: object, id: str | None) -> None:
    """`output_diff` or `pr`, in the assistant's turn or the diff turn, even where that has the same id.

    See docs/reference/protocols/codex-wham.md, "4 Extraction rules".
    """
    for outcome in (made(item), made(EMPTY, item), made(diff_turn={"id": id, "output_items": [EMPTY, item]})):
        assert DIFF.encode() == bytes(outcome.patch)


def test_the_diff_turn_has_precedence() -> None:
    """Where both turns have a diff, the official client's choice is used.

    See docs/reference/protocols/codex-wham.md, "4 Extraction rules".
    """
    theirs = {"id": "b", "output_items": [{"type": "output_diff", "diff": DIFF + " more"}]}

    assert (DIFF + " more").encode() == bytes(made(OUTPUT_DIFF, diff_turn=theirs).patch)


def test_an_off_loaded_diff_names_its_file() -> None:
    """A null diff with a storage entry is off-loaded, not absent, and its file is named."""
    outcome = outcome_of("details_diff_off_loaded")

    assert (None, PatchState.OFFLOADED, "file_0", False) == (
        outcome.patch,
        outcome.patch_state,
        outcome.external_file_id,
        outcome.is_empty,
    )


@pytest.mark.parametrize(
    "items", [[], [EMPTY], [{"type": "pr", "output_diff": None}], [{"type": "a_new_word", "diff": DIFF}]]
)
def test_no_diff_is_none(items: list[object]) -> None:
    """An agent without changes has no patch; a diff in an item of an unknown kind is ignored."""
    outcome = made(*items)

    assert (None, PatchState.NONE) == (outcome.patch, outcome.patch_state)


# -- pull requests -----------------------------------------------------------------------------------------------------


def test_a_pull_request_is_a_text_before_it_exists() -> None:
    """Title, body, base and size are known as soon as the agent wrote them; number and URL are the host's."""
    pull_request = outcome_of("details_completed_pr_three_attempts").pull_request

    assert ("Add dark mode", "main", "Add dark mode", 20, None, None) == (
        pull_request.title,
        pull_request.base,
        pull_request.commit_message,
        pull_request.stats.added,
        pull_request.number,
        pull_request.url,
    )


def test_the_turns_record_of_the_pull_request_is_used() -> None:
    """`pull_request_data` gives number and URL, with or without the agent's text."""
    data = {"number": 7, "url": "https://github.com/o/r/pull/7", "head": "codex/x"}

    assert (
        PullRequest(number=7, url="https://github.com/o/r/pull/7", branch="codex/x")
        == made(pull_request_data=data).pull_request
    )
    assert (7, "T") == (
        (pull_request := made({"type": "pr", "pr_title": "T"}, pull_request_data=data).pull_request).number,
        pull_request.title,
    )


@pytest.mark.parametrize("data", [None, "x", [], {}, {"title": "only"}])
def test_what_is_no_pull_request_is_none(data: object) -> None:
    """Without a number or a URL there is no pull request on the host."""
    assert made(pull_request_data=data).pull_request is None


# -- files -------------------------------------------------------------------------------------------------------------


def test_files_are_joined_with_their_gaps_marked() -> None:
    """Line ranges become one text; missing lines are marked; whole and binary files are distinguished."""
    css, js, makefile, logo = outcome_of("details_completed_pr_three_attempts").files

    assert "  background: #fff;\n}\n[… line 5: not sent]\n@media" in css.content
    assert [("CSS", False), ("JavaScript", True), ("Makefile", True)] == [
        (f.language, f.is_whole) for f in (css, js, makefile)
    ]
    assert (None, "binary", False) == (logo.content, logo.missing_reason, logo.is_whole)


@pytest.mark.parametrize(
    ("ranges", "content", "is_whole"),
    [
        ([(1, ["a", "b"], True)], "a\nb\n", True),
        ([(1, ["a", "b"], False)], "a\nb\n[… from line 3 on: not sent]\n", False),
        ([(3, ["c"], True)], "[… lines 1 to 2: not sent]\nc\n", False),
        ([(3, ["c"], True), (1, ["a", "b"], False)], "a\nb\nc\n", True),
        ([(1, ["a", "b"], False), (2, ["b", "c"], True)], "a\nb\nc\n", True),
        ([(1, ["a", "b", "c"], True), (2, ["b"], False)], "a\nb\nc\n", True),
        ([(1, [""], True)], "\n", True),
        ([], None, False),
    ],
)
def test_ranges_make_a_file(ranges: list[tuple[int, list[str], bool]], content: str | None, is_whole: bool) -> None:
    """Any order, overlaps once, gaps shown; whole only from the first line to the end without a gap."""
    file = made(snapshot(*ranges)).files[0]

    assert (content, is_whole) == (file.content, file.is_whole)


def test_an_overlap_is_cut_off_the_later_part() -> None:
    """Each part has its first line number; no line is in two parts."""
    parts = made(snapshot((1, ["a", "b"], False), (2, ["b", "c"], True))).files[0].parts

    assert [(1, "a\nb\n"), (3, "c\n")] == [(part.start, part.text) for part in parts]


@pytest.mark.parametrize(
    "files",
    [
        None,
        "x",
        {},
        [5],
        [{"path": 5}],
        [{"path": "a", "line_range_contents": [{"line_range_start": 1, "content": [5]}]}],
    ],
)
def test_invalid_snapshots_lose_no_task(files: object) -> None:
    """A file that cannot be read is left out or left empty."""
    outcome = made(said("Done."), {"type": "partial_repo_snapshot", "files": files})

    assert ("Done.", [None]) >= (outcome.text, [file.content for file in outcome.files])


def test_error_as_a_bare_text_is_kept() -> None:
    """A turn's error is `code: message`, and a bare text where the service sends one."""
    assert ["c: m", "m", "boom", "None"] == [
        str(made(error=error).error) for error in ({"code": "c", "message": "m"}, {"message": "m"}, "boom", {})
    ]
