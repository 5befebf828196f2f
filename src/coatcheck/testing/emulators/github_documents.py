"""Documents of users, repositories and pull requests with every field that GitHub's OpenAPI description requires.

Clients generated from the description refuse a document that lacks one of these fields.
"""

from __future__ import annotations

from collections.abc import Mapping

API, SITE = "https://api.github.com", "https://github.com"
EPOCH = "1970-01-01T00:00:00Z"

_OF_PERSON = [
    "avatar",
    "events",
    "followers",
    "following",
    "gists",
    "organizations",
    "received_events",
    "repos",
    "starred",
    "subscriptions",
]
_OF_REPOSITORY = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
    "clone",
    "git",
    "ssh",
    "svn",
]
_COUNTS = [
    "forks",
    "forks_count",
    "network_count",
    "open_issues",
    "open_issues_count",
    "size",
    "stargazers_count",
    "subscribers_count",
    "watchers",
    "watchers_count",
]
_OF_PULL = ["comments", "commits", "diff", "issue", "patch", "review_comment", "review_comments", "statuses"]


def person(login: str) -> dict[str, object]:
    """Return a user."""
    at = f"{API}/users/{login}"
    urls: Mapping[str, object] = {f"{name}_url": f"{at}/{name}" for name in _OF_PERSON}
    facts = {"id": 1, "node_id": "U_1", "login": login, "type": "User", "site_admin": False, "gravatar_id": ""}
    return {**urls, **facts, "url": at, "html_url": f"{SITE}/{login}"}


def repository(full_name: str) -> dict[str, object]:
    """Return a repository."""
    owner, _, name = full_name.partition("/")
    at = f"{API}/repos/{full_name}"
    urls: Mapping[str, object] = {f"{name}_url": f"{at}/{name}" for name in _OF_REPOSITORY}
    flags = dict.fromkeys(("private", "fork", "archived", "disabled"), False)
    features = dict.fromkeys(
        ("has_issues", "has_projects", "has_wiki", "has_pages", "has_discussions", "has_downloads"), True
    )
    nothing = dict.fromkeys(("description", "homepage", "language", "license", "mirror_url"))
    times = dict.fromkeys(("created_at", "pushed_at", "updated_at"), EPOCH)
    facts = {"id": 1296269, "node_id": "R_1", "name": name, "full_name": full_name, "default_branch": "main"}
    places = {"url": at, "html_url": f"{SITE}/{full_name}", "owner": person(owner)}
    return {**urls, **flags, **features, **nothing, **times, **dict.fromkeys(_COUNTS, 0), **facts, **places}


def pull(number: int, full_name: str, *, branch: str, title: str) -> dict[str, object]:
    """Return an open pull request of *branch*."""
    owner, at = full_name.partition("/")[0], f"{API}/repos/{full_name}/pulls/{number}"
    urls: Mapping[str, object] = {f"{name}_url": f"{at}/{name}" for name in _OF_PULL}
    links = ("comments", "commits", "statuses", "html", "issue", "review_comments", "review_comment", "self")
    nothing = ("assignee", "auto_merge", "closed_at", "merge_commit_sha", "merged_at", "milestone")
    fields = {
        "number": number,
        "title": title,
        "body": "It says hello.",
        "state": "open",
        "author_association": "OWNER",
    }
    return {
        **urls,
        **dict.fromkeys(nothing),
        **fields,
        "id": number * 10,
        "node_id": f"PR_{number}",
        "url": at,
        "html_url": f"{SITE}/{full_name}/pull/{number}",
        "user": person(owner),
        "head": _end(branch, full_name, "2" * 40),
        "base": _end("main", full_name, "1" * 40),
        "labels": [],
        "locked": False,
        "draft": False,
        "created_at": EPOCH,
        "updated_at": EPOCH,
        "_links": {name: {"href": at} for name in links},
    }


def _end(ref: str, full_name: str, sha: str) -> dict[str, object]:
    owner = full_name.partition("/")[0]
    where = {"user": person(owner), "repo": repository(full_name)}
    return {"label": f"{owner}:{ref}", "ref": ref, "sha": sha, **where}
