"""Requests about a repository: its default branch, the pull request of a branch, diffs.

A diff that the service does not return (too large, no permission) is left out; the rest of the result is kept.

See docs/reference/protocols/services.md, "1.5 Result, PR, diff" and "2 GitHub Copilot cloud agent".
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...provider import (
    Exchange,
    Patch,
    PullRequest,
    Request,
    Response,
    encoded,
    fields,
    flag,
    read_json,
    text,
    whole,
)
from . import http
from .location import repository_path


class Repository(msgspec.Struct, frozen=True, gc=False):
    """A repository."""

    default_branch: str | None = None


class Branch(msgspec.Struct, frozen=True, gc=False):
    """An end of a pull request."""

    ref: object = None


class Pull(msgspec.Struct, frozen=True, gc=False):
    """A pull request (docs/reference/protocols/services.md, "1.5 Result, PR, diff")."""

    number: int
    title: object = None
    body: object = None
    html_url: object = None
    state: object = None
    draft: object = None
    merged_at: object = None
    head: Branch | None = None
    base: Branch | None = None


READ_PULLS: Mapping[int, str] = {403: "the token needs the permission pull_requests=read"}

# A task names its pull request by node alone (docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent");
# REST has no way from there to the number.
PULL_OF_NODE = """\
query($id: ID!) { node(id: $id) { ... on PullRequest {
  number title body url state isDraft merged headRefName baseRefName
} } }"""


def default_branch(repository: str, *, version: str) -> Exchange[str]:
    """Return the default branch."""
    response = yield http.get(repository_path(repository), version=version, conditional=True)
    http.explained(response, {404: "there is no such repository, or the token may not see it"})
    return read_json(response.body, Repository, response=response).default_branch or "main"


def pull_of_branch(repository: str, branch: str, *, version: str) -> Exchange[PullRequest | None]:
    """Return the newest pull request of *branch*, None where it has none."""
    query = (("head", f"{repository.partition('/')[0]}:{branch}"), ("state", "all"))
    response = yield http.get(repository_path(repository, "/pulls"), query=query, version=version, conditional=True)
    http.explained(response, READ_PULLS)
    pulls = read_json(response.body, list[Pull], response=response)
    return pull_request(pulls[0]) if pulls else None


def pull_of_node(id: str, *, version: str) -> Exchange[PullRequest | None]:
    """Return the pull request with the GraphQL *id*, None for one that is not visible."""
    headers = (*http.headers(version), ("content-type", "application/json"))
    body = msgspec.json.encode({"query": PULL_OF_NODE, "variables": {"id": id}})
    response: Response = yield Request("POST", "/graphql", headers=headers, body=body, idempotent=True)
    http.explained(response, READ_PULLS)
    document = fields(fields(read_json(response.body, dict[str, object], response=response).get("data")).get("node"))
    number = whole(document.get("number"))
    if number is None:
        return None
    return PullRequest(
        title=text(document.get("title")),
        body=text(document.get("body")),
        branch=text(document.get("headRefName")),
        base=text(document.get("baseRefName")),
        number=number,
        url=text(document.get("url")),
        state=(text(document.get("state")) or "").lower() or None,
        draft=flag(document.get("isDraft")),
        is_merged=flag(document.get("merged")),
    )


def diff_of_pull(repository: str, number: int, *, version: str) -> Exchange[Patch | None]:
    """Return the diff of a pull request."""
    return (yield from _diff(repository_path(repository, f"/pulls/{number}"), version=version))


def diff_between(repository: str, base: str, head: str, *, version: str) -> Exchange[Patch | None]:
    """Return what *head* has that *base* had not when they parted."""
    path = repository_path(repository, f"/compare/{encoded(base)}...{encoded(head)}")
    return (yield from _diff(path, version=version))


def _diff(path: str, *, version: str) -> Exchange[Patch | None]:
    response: Response = yield http.get(path, version=version, accept=http.DIFF)
    if response.status >= 300 or not response.body.strip():
        return None
    return Patch(response.body)


def pull_request(pull: Pull) -> PullRequest:
    """Return a pull request from its REST document."""
    return PullRequest(
        title=text(pull.title),
        body=text(pull.body),
        branch=text(pull.head.ref) if pull.head else None,
        base=text(pull.base.ref) if pull.base else None,
        number=pull.number,
        url=text(pull.html_url),
        state=text(pull.state),
        draft=flag(pull.draft),
        is_merged=text(pull.merged_at) is not None,
    )
