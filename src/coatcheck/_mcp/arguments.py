"""The arguments of the tools: structs, of which the schemas are made and by which calls are checked."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

# The longest text of one answer: clients cut answers of more than 25,000 tokens, or put them into files.
MAX_TEXT = 40_000
DEFAULT_TEXT = 20_000
# Below the limits of calls of clients: 300 s in Codex 0.171, 60 s in the TypeScript SDK 1.32.
MAX_WAIT = 50.0
DEFAULT_WAIT = 45.0
MAX_PAGE = 100

Ref: TypeAlias = Annotated[
    str,
    Meta(
        description="The task: its ref PROVIDER:ID as submit_task returned it, its id, or its URL.",
        min_length=1,
        max_length=2000,
    ),
]
Positive: TypeAlias = Annotated[int, Meta(ge=1)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
AttemptNumber: TypeAlias = Annotated[
    Positive | None, Meta(description="Which attempt, from 1. Without it, the first with a result.")
]


class Arguments(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The base of all arguments."""


class SubmitTask(Arguments, kw_only=True, frozen=True):
    """The arguments of `submit_task`."""

    prompt: Annotated[
        str | None,
        Meta(description="What the remote agent should do. It sees the repository and nothing of this conversation."),
    ] = None
    provider: Annotated[
        str | None, Meta(description="The service to use, one of list_providers. Without it, the configured one.")
    ] = None
    repository: Annotated[
        str | None, Meta(description="The repository, owner/repo. Without it, that of the working directory.")
    ] = None
    environment: Annotated[
        str | None, Meta(description="The id or label of an environment of the service, in place of a repository.")
    ] = None
    branch: Annotated[
        str | None, Meta(description="The branch to start from. Without it, that of the working directory.")
    ] = None
    attempts: Annotated[Positive | None, Meta(description="How many attempts the service makes.")] = None
    mode: Annotated[
        Literal["code", "ask"] | None, Meta(description='"code" makes a change; "ask" answers a question.')
    ] = None
    model: Annotated[str | None, Meta(description="The model to use, where the service has a choice.")] = None
    title: Annotated[str | None, Meta(description="A title for people.")] = None
    template: Annotated[Name | None, Meta(description="The name of a prompt template, in place of a prompt.")] = None
    arguments: Annotated[dict[str, str], Meta(description="The arguments of the template.")] = {}
    key: Annotated[
        Name | None,
        Meta(
            description="A name that you choose for this submission. A call with the same key returns the same task and sends"
            " nothing. Give a new key to submit the same prompt again.",
        ),
    ] = None


class WaitForTask(Arguments, kw_only=True, frozen=True):
    """The arguments of `wait_for_task`."""

    ref: Annotated[Ref | None, Meta(description="The task to wait for.")] = None
    refs: Annotated[
        list[Ref], Meta(description="Several tasks, in place of ref. It returns when all have ended.", max_length=50)
    ] = []
    max_seconds: Annotated[
        float,
        Meta(description="How long this call waits; then call it again.", ge=0, le=MAX_WAIT),
    ] = DEFAULT_WAIT


class GetTask(Arguments, kw_only=True, frozen=True):
    """The arguments of `get_task`."""

    ref: Ref


class ListTasks(Arguments, kw_only=True, frozen=True):
    """The arguments of `list_tasks`."""

    provider: Annotated[str | None, Meta(description="The service. Without it, the configured one.")] = None
    filter: Annotated[Literal["current", "archived", "all"], Meta(description="Which tasks of the service's list.")] = (
        "current"
    )
    environment: Annotated[str | None, Meta(description="Only tasks of this environment.")] = None
    limit: Annotated[int, Meta(description="At most so many.", ge=1, le=MAX_PAGE)] = 20
    cursor: Annotated[str | None, Meta(description="The cursor of the answer that this call continues.")] = None


class GetResult(Arguments, kw_only=True, frozen=True):
    """The arguments of `get_result`."""

    ref: Ref
    attempt: AttemptNumber = None
    what: Annotated[
        Literal["message", "files", "diff", "log"],
        Meta(
            description='"message": the message of the agent; "files": the files that it changed; "diff": the change as a'
            ' git diff; "log": what its environment printed.'
        ),
    ] = "message"
    path: Annotated[
        str | None, Meta(description='With "diff", only this file; with "files", the file as the agent left it.')
    ] = None
    offset: Annotated[int, Meta(description="Begin at this character: a next_offset.", ge=0)] = 0
    limit: Annotated[int, Meta(description="At most so many characters.", ge=1, le=MAX_TEXT)] = DEFAULT_TEXT


class ApplyPatch(Arguments, kw_only=True, frozen=True):
    """The arguments of `apply_patch`."""

    ref: Ref
    attempt: AttemptNumber = None
    directory: Annotated[
        str, Meta(description="The git checkout to change, in a folder that the server may change.", min_length=1)
    ]
    check_only: Annotated[bool, Meta(description="Only find out whether the patch fits; false changes the files.")] = (
        True
    )


class SendMessage(Arguments, kw_only=True, frozen=True):
    """The arguments of `send_message`."""

    ref: Ref
    text: Annotated[str, Meta(description="The message. The task runs again.", min_length=1)]
    mode: Annotated[Literal["code", "ask"], Meta(description='"ask" makes no change.')] = "code"


class Decide(Arguments, kw_only=True, frozen=True):
    """The arguments of `decide`."""

    ref: Ref
    gate: Annotated[str, Meta(description="The gate of waiting_for.", min_length=1, max_length=100)]
    decision: Literal["approve", "reject"]
    comment: Annotated[str | None, Meta(description="The reason, or the answer to a question.")] = None


class CancelTask(Arguments, kw_only=True, frozen=True):
    """The arguments of `cancel_task`."""

    ref: Ref


class ListProviders(Arguments, kw_only=True, frozen=True):
    """The arguments of `list_providers`: none."""


@cache
def schema_of(struct: type[msgspec.Struct], *, has_null: bool = True) -> dict[str, Any]:
    """Return the JSON Schema of *struct* with its object at the root, as MCP requires, and without its title.

    Without *has_null* a field that may be None is described as one that may be missing.
    """
    document = msgspec.json.schema(struct)
    definitions: dict[str, Any] = document["$defs"]
    root: dict[str, Any] = definitions.pop(struct.__name__)
    for each in (root, *definitions.values()):
        for name in ("title", "description"):
            each.pop(name, None)
        if not has_null:
            each["properties"] = {name: _without_null(field) for name, field in each.get("properties", {}).items()}
    return {**root, **({"$defs": definitions} if definitions else {})}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field that is missing where it would be null."""
    kinds = [each for each in field.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) != 1:
        return field
    return {**kinds[0], **{name: value for name, value in field.items() if name not in ("anyOf", "default")}}
