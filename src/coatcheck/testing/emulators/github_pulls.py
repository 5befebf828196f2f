"""Pull requests and forks of the emulated GitHub (docs.github.com, "REST API endpoints for pull requests").

Invariant: one pull request of a head and a base is open at a time; a second one is refused as GitHub refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._protocol.effects import Request, Response
from . import github_documents as documents, github_rest as rest
from .github_git import GitServer

OWNER = "octocat"


class PullService:
    """The pull requests by number, of any repository.

    `archived`, `gone` and `read_only` are repositories; `collaborators` may review. `git` has the branches, where it is
    served; without it each branch exists.
    """

    def __init__(self, pulls: dict[int, dict[str, object]]) -> None:
        self.pulls = pulls
        self.archived, self.gone, self.read_only = set[str](), set[str](), set[str]()
        self.collaborators = {OWNER}
        self.git: GitServer | None = None
        self.has_drafts = True

    def repository(self, name: str) -> dict[str, object]:
        """Return the document of a repository, or refuse one that is not there."""
        if name in self.gone:
            raise rest.NOT_FOUND
        may_push = name not in self.read_only
        permissions = {"admin": False, "maintain": False, "push": may_push, "triage": may_push, "pull": True}
        return {**documents.repository(name), "archived": name in self.archived, "permissions": permissions}

    def list(self, request: Request, repository: str) -> list[dict[str, object]]:
        """Return the pull requests that the query asks for, the newest first."""
        query = dict(request.query)
        head, state = query.get("head"), query.get("state", "open")
        return [
            pull
            for _, pull in sorted(self.pulls.items(), reverse=True)
            if (head is None or label_of(pull) == head or rest.end_of(pull, "head") == head.partition(":")[2])
            and (state == "all" or pull["state"] == state)
            and _repository_of(pull) in (repository, None)
        ]

    def create(self, body: Mapping[str, Any], repository: str) -> Response:
        """Open a pull request."""
        self._require_writable(repository)
        for name in ("title", "head", "base"):
            if not body.get(name):
                raise refused([{"resource": "PullRequest", "code": "missing_field", "field": name}])
        owner, _, branch = str(body["head"]).rpartition(":")
        source = f"{owner or repository.partition('/')[0]}/{repository.partition('/')[2]}"
        for field, name, place in (("head", branch, source), ("base", str(body["base"]), repository)):
            if self.git is not None and not self.git.has_branch(place, name):
                raise refused([{"resource": "PullRequest", "field": field, "code": "invalid"}])
        if body.get("draft") and not self.has_drafts:
            raise rest.refusal(422, "Draft pull requests are not supported in this repository.")
        label = f"{source.partition('/')[0]}:{branch}"
        for pull in self.pulls.values():
            if pull["state"] == "open" and label_of(pull) == label and _repository_of(pull) == repository:
                message = f"A pull request already exists for {label}."
                raise refused([{"resource": "PullRequest", "code": "custom", "message": message}])
        number = max(self.pulls, default=0) + 1
        pull = documents.pull(number, repository, branch=branch, title=str(body["title"]))
        head = {**_fields(pull["head"]), "label": label, "repo": documents.repository(source)}
        base = {**_fields(pull["base"]), "ref": str(body["base"]), "label": f"{OWNER}:{body['base']}"}
        pull |= {"body": body.get("body"), "draft": bool(body.get("draft")), "head": head, "base": base}
        self.pulls[number] = pull
        return rest.reply(pull, status=201)

    def update(self, body: Mapping[str, Any], repository: str, number: str) -> Response:
        """Change a pull request."""
        self._require_writable(repository)
        pull = self._find(number)
        pull |= {name: body[name] for name in ("title", "body", "state") if name in body}
        return rest.reply(pull)

    def label(self, body: Mapping[str, Any], repository: str, number: str) -> Response:
        """Add labels."""
        self._require_writable(repository)
        pull = self._find(number)
        known = pull["labels"] if isinstance(pull["labels"], list) else []
        names = [each["name"] for each in known]
        pull["labels"] = [*known, *({"name": name} for name in body["labels"] if name not in names)]
        return rest.reply(pull["labels"])

    def request_reviewers(self, body: Mapping[str, Any], repository: str, number: str) -> Response:
        """Request reviews of collaborators."""
        self._require_writable(repository)
        pull = self._find(number)
        if unknown := [name for name in body.get("reviewers", ()) if name not in self.collaborators]:
            raise rest.refusal(
                422,
                "Reviews may only be requested from collaborators. One or more of the users or teams you specified is "
                f"not a collaborator of the {repository} repository.",
            ) from KeyError(unknown[0])
        pull["requested_reviewers"] = [documents.person(name) for name in body.get("reviewers", ())]
        return rest.reply(pull, status=201)

    def fork(self, repository: str) -> Response:
        """Make a fork, or return the one that there is."""
        self.repository(repository)
        name = f"{OWNER}/{repository.partition('/')[2]}"
        if self.git is not None:
            self.git.fork(repository, name)
        return rest.reply(documents.repository(name), status=202)

    def _find(self, number: str) -> dict[str, object]:
        if int(number) not in self.pulls:
            raise rest.NOT_FOUND
        return self.pulls[int(number)]

    def _require_writable(self, repository: str) -> None:
        if repository in self.gone:
            raise rest.NOT_FOUND
        if repository in self.archived:
            raise rest.refusal(403, "Repository was archived so is read-only.")


def refused(problems: list[dict[str, str]]) -> rest.RefusalError:
    """Return the refusal of a document with these problems."""
    fields = {"message": "Validation Failed", "errors": problems, "documentation_url": "https://docs.github.com/rest"}
    return rest.RefusalError(rest.reply({**fields, "status": "422"}, status=422))


def label_of(pull: Mapping[str, object]) -> object:
    """Return OWNER:BRANCH of the head of a pull request."""
    return _fields(pull["head"]).get("label")


def _repository_of(pull: Mapping[str, object]) -> object:
    return _fields(_fields(pull["base"]).get("repo")).get("full_name")


def _fields(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
