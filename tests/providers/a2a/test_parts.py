"""Which part of an artifact is what."""

from __future__ import annotations

import base64

import msgspec
import pytest

from coatcheck import DiffStats, TaskDiff, TaskRef
from coatcheck.providers.a2a import extract, wire
from coatcheck.providers.a2a.parts import collect
from coatcheck.providers.a2a.service import Service, native_id
from coatcheck.providers.a2a.stream import Updates
from coatcheck.testing.emulators.generic_http import PATCH

RAW = base64.b64encode(PATCH.encode()).decode()


@pytest.mark.parametrize(
    "part",
    [
        wire.Part(text=PATCH, media_type="text/x-diff"),
        wire.Part(text=PATCH, media_type="Text/X-Patch; charset=utf-8"),
        wire.Part(text=PATCH, filename="work.patch"),
        wire.Part(text=PATCH),
        wire.Part(text=PATCH, media_type="text/plain"),
        wire.Part(raw=RAW, media_type="text/x-diff"),
        wire.Part(raw=RAW.rstrip("=").replace("+", "-").replace("/", "_"), filename="work.diff"),
        wire.Part(text=PATCH.rstrip("\n"), media_type="text/x-diff"),
    ],
)
def test_a_diff_is_recognized(part: wire.Part) -> None:
    """A diff is recognized by its type, its file name or its beginning, as text or as bytes of either alphabet."""
    patch = collect([wire.Artifact(parts=[part])]).patch()

    assert PATCH.encode() == (patch and bytes(patch))


def test_of_several_artifacts_the_last_diff_is_the_patch() -> None:
    """The parts of one artifact are one diff; the diff of an earlier artifact is named in a notice."""
    earlier = wire.Artifact(name="draft", parts=[wire.Part(text=PATCH)])
    last = wire.Artifact(
        artifact_id="final", parts=[wire.Part(text=PATCH), wire.Part(text=PATCH.replace("hello.txt", "b.txt"))]
    )
    made = collect([earlier, last])
    patch = made.patch()

    assert (["hello.txt", "b.txt"], ["the artifact 'draft'" in notice.text for notice in made.notices]) == (
        [change.path for change in patch.files] if patch else [],
        [True],
    )


def test_what_cannot_be_kept_has_a_notice() -> None:
    """What is no message, file or diff is named in a notice; a diff elsewhere is off-loaded."""
    parts = [
        wire.Part(url="https://files.example/a.diff", media_type="text/x-diff"),
        wire.Part(url="https://files.example/a.png", media_type="image/png"),
        wire.Part(raw="!", media_type="text/x-diff"),
        wire.Part(raw="iVBORw==", media_type="image/png"),
        wire.Part(raw="iVBORw==", filename="a.png"),
        wire.Part(data={"tests": 3}),
        wire.Part(),
    ]
    made = collect([wire.Artifact(artifact_id="x", parts=parts)])

    assert ("https://files.example/a.diff", 4, ["a.png"], ['{\n  "tests": 3\n}']) == (
        made.diff_url,
        len(made.notices),
        [file.path for file in made.files],
        [message.text for message in made.texts],
    )


def test_a_text_that_was_appended_piece_by_piece_is_one() -> None:
    """The pieces of a message, of a diff with a type and of a file are joined; an untyped diff has no further pieces."""
    half = len(PATCH) // 2
    parts = [
        *(wire.Part(text=piece, media_type="text/plain") for piece in ("Hel", "lo")),
        *(wire.Part(text=piece, media_type="text/x-diff") for piece in (PATCH[:half], PATCH[half:])),
        *(wire.Part(text=piece, filename="a.txt") for piece in ("a\n", "b\n")),
    ]
    contents = collect([wire.Artifact(parts=parts)])
    untyped = collect([wire.Artifact(parts=[wire.Part(text="Done"), wire.Part(text=PATCH), wire.Part(text="Bye")])])
    seen = [(each.patch(), [message.text for message in each.texts]) for each in (contents, untyped)]

    assert ([PATCH.encode()] * 2, [["Hello"], ["Done", "Bye"]], ["a\nb\n"]) == (
        [bytes(patch) for patch, _ in seen if patch],
        [texts for _, texts in seen],
        [file.content for file in contents.files],
    )


def test_a_diff_in_a_message_of_the_agent_is_a_patch_and_one_of_the_user_is_not() -> None:
    """What is attached to the agent's messages counts as an artifact; the starting diff in the user's does not."""
    diff = [{"text": PATCH, "mediaType": "text/x-diff"}]
    tasks = [
        extract.task(
            msgspec.convert({"id": "t", "history": [{"messageId": "m", "role": role, "parts": diff}]}, wire.Task),
            Service("http://127.0.0.1:9"),
        )
        for role in ("ROLE_AGENT", "ROLE_USER")
    ]

    assert [True, False] == [bool(task.outcome and task.outcome.patch) for task in tasks]


@pytest.mark.parametrize("id", ["task-1", "a/b", "50% ?#", "ä", "%2F"])
def test_any_id_of_an_agent_is_a_ref(id: str) -> None:
    """Ids that a ref cannot hold are encoded, and printed refs lead back to the id."""
    ref = Service("http://127.0.0.1:9").ref(id)

    assert (ref, id) == (TaskRef.parse(str(ref)), native_id(ref))


def test_what_is_appended_to_an_artifact_is_progress() -> None:
    """Chunks of a message are progress, chunks of a diff are counted together, and unreadable events are kept."""
    half = len(PATCH) // 2
    updates = Updates(TaskRef("a2a", "t"), Service("http://127.0.0.1:9"))
    sent = [
        {"artifactId": "m", "parts": [{"text": "Hel"}]},
        {"artifactId": "m", "parts": [{"text": "lo"}]},
        {"artifactId": "d", "parts": [{"text": PATCH[:half], "mediaType": "text/x-diff"}]},
        {"artifactId": "d", "parts": [{"text": PATCH[half:], "mediaType": "text/x-diff"}]},
    ]
    events = []
    for number, artifact in enumerate(sent):
        update = {"artifact": artifact, "append": bool(number % 2)}
        events += updates.events_in(msgspec.json.encode({"artifactUpdate": update}).decode())
    events += updates.events_in("{")
    *before, diff, unknown = events

    assert (["task.message", "task.progress"], DiffStats(files=1, added=1, removed=0), "unknown") == (
        [event.type for event in before if event.type != "task.diff"],
        isinstance(diff, TaskDiff) and diff.stats,
        unknown.type,
    )
