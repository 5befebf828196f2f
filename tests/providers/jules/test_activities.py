from __future__ import annotations

import msgspec
import pytest

from coatcheck import Artifact, Message, TaskRef, errors
from coatcheck._protocol.effects import Response
from coatcheck.providers.jules.activities import event_of, read_page

from .jules_support import recorded

REF = TaskRef("jules", "78")
PAGE, TOKEN = read_page(Response(200, body=recorded("activities_all_kinds")))
EVENTS = [event_of(happening, REF, cursor=str(number)) for number, happening in enumerate(PAGE)]


def test_every_kind_has_its_event() -> None:
    """Known kinds have our event, unknown ones their native name, "activity" where there is none."""
    assert [
        "activity",
        "task.plan",
        "task.plan",
        "task.tool",
        "task.message",
        "task.message",
        "task.progress",
        "riverCrossed",
        "task.progress",
        "task.progress",
    ] == [getattr(event, "kind", event.type) for event in EVENTS]


def test_events_have_the_texts() -> None:
    """Texts, plan and originator are read; an activity of an unknown kind keeps its data."""
    plan = EVENTS[1].plan

    assert "1788256080000010000" == TOKEN
    assert [("Read the code", None), ("Say hello", "In a file.")] == [(s.title, s.description) for s in plan.steps]
    assert "1. Read the code\n2. Say hello" == EVENTS[1].text
    assert [Message(text="Be polite.", role="user"), Message(text="I will.")] == [e.message for e in EVENTS[4:6]]
    assert ["Session started", None, "Code reviewed: Looks good."] == [EVENTS[n].text for n in (0, 3, 6)]
    assert {"width": 3} == EVENTS[7].data


def test_artifacts_are_reported() -> None:
    """Commands with their codes (zero is left out by the service), bytes of an image, changes, and unknown kinds."""
    assert (
        Artifact(kind="command", command="make test", output="3 passed\n", exit_code=0),
        Artifact(kind="command", command="make lint", output="oops\n", exit_code=2),
        Artifact(kind="media", media_type="image/png", content=b"hello"),
        Artifact(kind="change", media_type="text/x-diff"),
        Artifact(kind="hologram", data={"size": 1}),
    ) == EVENTS[3].artifacts


def test_only_a_change_with_a_diff_counts() -> None:
    """Empty change sets are frequent."""
    changes = [happening.change for happening in PAGE]

    assert [6] == [number for number, change in enumerate(changes) if change is not None]


def test_an_artifacts_repr_is_quiet_about_bytes() -> None:
    """Megabytes of an image do not belong into a log."""
    assert "Artifact(kind='media', media_type='image/png')" == repr(EVENTS[3].artifacts[2])


def test_media_that_is_no_base64_is_empty() -> None:
    """It is only shown."""
    body = msgspec.json.encode({"activities": [{"id": "1", "artifacts": [{"media": {"data": "!x"}}]}]})
    ((happening, *_), _) = read_page(Response(200, body=body))

    assert b"" == happening.artifacts[0].content


@pytest.mark.parametrize(
    ("activity", "path"),
    [
        ({"id": 7}, "$.activities[0].id"),
        ({"agentMessaged": {"agentMessage": 7}}, "$.activities[0].agentMessaged.agentMessage"),
        ({"artifacts": [{"changeSet": 7}]}, "$.activities[0].artifacts[0].changeSet"),
        ([], "$.activities[0]"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(activity: object, path: str) -> None:
    """From the root of the answer."""
    with pytest.raises(errors.UnreadableResponseError) as caught:
        read_page(Response(200, body=msgspec.json.encode({"activities": [activity]})))

    assert path == caught.value.path


@pytest.mark.parametrize("body", [b"{}", b'{"activities":null}', b'{"activities":[]}'])
def test_an_empty_page_may_have_no_list_at_all(body: bytes) -> None:
    """Proto3 leaves an empty list out."""
    assert ([], None) == read_page(Response(200, body=body))
