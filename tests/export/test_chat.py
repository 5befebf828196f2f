from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Literal

import msgspec
import pytest

from coatcheck import Attempt, Failure, Message, Outcome, Patch, Task, TaskRef, TaskState
from coatcheck.cloud.scripted_cloud import DIFF

# The response object as its documentation has it (platform.openai.com/docs/api-reference/chat/object): what the
# classes of Python tools for language models demand.


class ChatMessage(msgspec.Struct, forbid_unknown_fields=True):
    content: str | None
    refusal: str | None
    role: Literal["assistant"]


class ChatChoice(msgspec.Struct, forbid_unknown_fields=True):
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
    index: int
    message: ChatMessage
    logprobs: None


class ChatCompletion(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    choices: list[ChatChoice]
    created: int
    model: str
    object: Literal["chat.completion"]
    usage: None


def read(document: dict[str, object]) -> ChatCompletion:
    """Read a response with the types that its readers expect."""
    return msgspec.json.decode(json.dumps(document).encode(), type=ChatCompletion)


MADE = Outcome(messages=(Message(text="Done."), Message(text="Enjoy.")), patch=Patch.parse(DIFF))


def test_an_outcome_is_an_answer() -> None:
    """Messages and diff are the content; usage is null."""
    answer = read(MADE.to_chat_completion(model="gpt-5-codex"))

    assert (f"Done.\n\nEnjoy.\n\n```diff\n{DIFF}```", "stop", "gpt-5-codex", None, 0) == (
        answer.choices[0].message.content,
        answer.choices[0].finish_reason,
        answer.model,
        answer.usage,
        answer.created,
    )


@pytest.mark.parametrize(
    ("state", "reason"), [(state, "stop" if state is TaskState.SUCCEEDED else "length") for state in TaskState]
)
def test_the_state_is_the_reason(state: TaskState, reason: str) -> None:
    """Only success is "stop"; everything else is "length"."""
    answer = read(Task(ref=TaskRef("codex", "task_e_1"), state=state, outcome=MADE).to_chat_completion())

    assert reason == answer.choices[0].finish_reason


def test_a_failure_is_incomplete() -> None:
    """An outcome with an error is incomplete."""
    assert "length" == read(Outcome(error=Failure(message="x")).to_chat_completion(model="m")).choices[0].finish_reason


def test_the_completion_of_a_task() -> None:
    """Id, time and model are those of the task; attempts are choices in the order of their placement."""
    when = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
    attempts = tuple(
        Attempt(id="t", placement=at, state=TaskState.SUCCEEDED, outcome=outcome)
        for at, outcome in enumerate((None, MADE, Outcome()))
    )
    task = Task(ref=TaskRef("codex", "t_1"), state=TaskState.SUCCEEDED, model="m", updated_at=when, attempts=attempts)
    answer = read(task.to_chat_completion())

    assert ("chatcmpl-t_1", int(when.timestamp()), "m", [1, 2], "") == (
        answer.id,
        answer.created,
        answer.model,
        [choice.index for choice in answer.choices],
        answer.choices[1].message.content,
    )


def test_the_id_without_a_task() -> None:
    """Without a task the id depends on the content only."""
    same, again, other = (
        read(each.to_chat_completion(model="m")).id for each in (MADE, MADE, Outcome(messages=MADE.messages))
    )

    assert same == again != other


def test_bytes_that_are_not_utf_8() -> None:
    """A diff that is not UTF-8 is shown with replacement characters."""
    content = read(Outcome(patch=Patch(b"+\xff\n")).to_chat_completion(model="m")).choices[0].message.content

    assert "```diff\n+\\xff\n```" == content
