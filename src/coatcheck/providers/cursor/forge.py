"""Read the diff of a pushed branch from GitHub, without a login.

Cursor returns no diff, only the branch and the pull request (docs/reference/protocols/cursor.md, "8 Outcome"), and its
key is of no use at GitHub. GitHub serves the diffs of public repositories to everybody
(https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request,
https://docs.github.com/en/rest/commits/commits#compare-two-commits). A diff that is not served is left where it is, with
a notice of the command that reads it.
"""

from __future__ import annotations

import shlex
from codecs import BOM_UTF8
from typing import TYPE_CHECKING

import msgspec

from ...provider import USER_AGENT, Notice, Pairs, Patch, Request, decode, encoded, errors, repository_named
from . import extract, wire

if TYPE_CHECKING:
    from ...provider import Exchange

HEADERS: Pairs = (("user-agent", USER_AGENT), ("x-github-api-version", "2022-11-28"))
JSON = "application/vnd.github+json"
DIFF = "application/vnd.github.diff"


class Diff(msgspec.Struct, frozen=True):
    """The diff of a branch, None where there is none or it was not served; *notices* say why."""

    patch: Patch | None = None
    is_read: bool = False
    notices: tuple[Notice, ...] = ()


class _Repository(msgspec.Struct, frozen=True):
    default_branch: str = "main"


def read_diff(agent: wire.Agent, run: wire.Run) -> Exchange[Diff]:
    """Return the diff of the branch of *run* against where the agent started."""
    branch = extract.branch_of(run)
    if branch is None:
        return Diff()
    repository = repository_named(_url(branch.repo_url or ""))
    if repository is None:
        return _elsewhere(branch, "it is not on github.com")
    try:
        return (yield from _requested(repository, agent, branch))
    except errors.CoatcheckError as error:  # the task is complete without its diff
        status = getattr(error, "status", None)
        return _elsewhere(branch, f"GitHub does not serve it without a login ({f'HTTP {status}' if status else error})")


def _requested(repository: str, agent: wire.Agent, branch: wire.Branch) -> Exchange[Diff]:
    path = "/repos/" + "/".join(map(encoded, repository.split("/")))
    number = extract.pull_number(branch)
    if number is not None:
        path += f"/pulls/{number}"
    else:
        base = (agent.repos[0].starting_ref if agent.repos else None) or (yield from _default_branch(path))
        path += f"/compare/{encoded(base)}...{encoded(branch.branch or '')}"
    response = yield _request(path, DIFF)
    if response.status != 200:
        decode(response, object)
    body = response.body.removeprefix(BOM_UTF8)
    return Diff(Patch(body) if body.strip() else None, is_read=True)


def _default_branch(path: str) -> Exchange[str]:
    response = yield _request(path, JSON)
    return decode(response, _Repository).default_branch


def _request(path: str, media_type: str) -> Request:
    return Request("GET", path, headers=(*HEADERS, ("accept", media_type)), origin="github", is_public=True)


def _url(repository: str) -> str:
    """Return the URL of a repository, which the service sends without a scheme."""
    return repository if "://" in repository else f"https://{repository}"


def _elsewhere(branch: wire.Branch, reason: str) -> Diff:
    command = f"git fetch origin {shlex.quote(branch.branch)}" if branch.branch else f"open {branch.pr_url}"
    text = f"the change is on the branch {branch.branch or branch.pr_url} of {branch.repo_url}; {reason}: {command}"
    return Diff(notices=(Notice(kind="no_result", text=text),))
