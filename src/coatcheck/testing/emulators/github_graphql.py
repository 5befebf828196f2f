"""The GraphQL queries about pull requests of the emulated GitHub: those of our client, and of ``gh pr list``, ``view`` and ``create``.

Every field that these queries may ask for is in each answer: clients read those that they asked for
(docs.github.com/graphql, "PullRequest").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import github_rest as rest

Pull = Mapping[str, Any]
# The ids of repositories begin with it.
REPOSITORY = "R_"
# Field -> the field of the REST document.
NAMES = {"id": "node_id", "number": "number", "title": "title", "body": "body", "url": "html_url", "isDraft": "draft"}


def pull_request_data(pulls: Iterable[Pull], variables: Mapping[str, Any]) -> dict[str, object]:
    """Return the answer to a query with these variables, about the pull requests of every repository."""
    if (id := variables.get("id")) is not None:
        pull = next((pull for pull in pulls if pull["node_id"] == id), None)
        error = {"errors": [{"type": "NOT_FOUND", "message": "no such node"}]}
        return {"data": {"node": None}, **error} if pull is None else {"data": {"node": node(pull)}}
    name = f"{variables.get('owner')}/{variables.get('repo')}"
    found = [pull for pull in pulls if (pull["base"].get("repo") or {}).get("full_name") == name]
    if (number := variables.get("pr_number")) is not None:
        pull = next((pull for pull in found if pull["number"] == number), None)
        error = {
            "errors": [{"type": "NOT_FOUND", "message": f"Could not resolve to a PullRequest of the number {number}."}]
        }
        return {"data": {"repository": {"pullRequest": pull and node(pull)}}, **({} if pull else error)}
    return {
        "data": {"repository": {"defaultBranchRef": {"name": "main"}, "pullRequests": _connection(found, variables)}}
    }


def repository_data(repository: Mapping[str, Any]) -> dict[str, object]:
    """Return the answer to a query about a repository, which is given as its REST document."""
    full_name = str(repository["full_name"])
    owner, _, name = full_name.partition("/")
    fields = {
        "id": f"{REPOSITORY}{full_name}",
        "name": name,
        "owner": {"login": owner},
        "defaultBranchRef": {"name": "main"},
        "viewerPermission": "WRITE" if repository["permissions"]["push"] else "READ",
        "parent": None,
    }
    return {"data": {"repository": fields}}


def new_pull_request(input: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the repository and the REST body of the mutation ``createPullRequest``."""
    names = {"title": "title", "body": "body", "headRefName": "head", "baseRefName": "base", "draft": "draft"}
    body = {ours: input[theirs] for theirs, ours in names.items() if theirs in input}
    return str(input.get("repositoryId", "")).removeprefix(REPOSITORY), body


def created_data(pull: Pull) -> dict[str, object]:
    """Return the answer to the mutation ``createPullRequest``."""
    return {"data": {"createPullRequest": {"pullRequest": node(pull)}}}


def _connection(pulls: Iterable[Pull], variables: Mapping[str, Any]) -> dict[str, object]:
    """Return the pull requests that the variables select, the newest first."""
    states, head = variables.get("state") or variables.get("states"), variables.get("headRefName")
    nodes = [node(pull) for pull in sorted(pulls, key=lambda pull: pull["number"], reverse=True)]
    chosen = [
        each
        for each in nodes
        if (states is None or each["state"] in states) and (head is None or each["headRefName"] == head)
    ]
    page = {"hasNextPage": False, "endCursor": None}
    return {"totalCount": len(chosen), "nodes": chosen, "pageInfo": page}


def node(pull: Pull) -> dict[str, Any]:
    """Return a pull request as GraphQL has it."""
    owner = str(pull["head"].get("label", "")).partition(":")[0]
    labels = [{"id": f"L_{each['name']}", "description": "", "color": "", **each} for each in pull.get("labels") or ()]
    is_merged = bool(pull.get("merged_at"))
    return {
        **{theirs: pull[ours] for theirs, ours in NAMES.items()},
        **{f"{end}RefName": rest.end_of(pull, end) for end in ("head", "base")},
        "state": "MERGED" if is_merged else str(pull["state"]).upper(),
        "merged": is_merged,
        "labels": {"nodes": labels, "totalCount": len(labels)},
        "isCrossRepository": False,
        "headRepositoryOwner": {"id": f"U_{owner}", "login": owner, "name": owner},
    }
