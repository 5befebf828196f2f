"""Pull requests of a GitHub: find, open and update them, and make forks (docs.github.com, "REST API endpoints for pull requests").

Invariants:

- each method that writes is one request; none of them is sent twice (`POST` is not retried, `_engine/retry.py`), and a
  pull request whose creation was not answered is found by `find_pull_request`: GitHub opens one for a head and a base;
- a refusal is one line with what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ...provider import (
    Capabilities,
    Exchange,
    PullRequest,
    Request,
    Response,
    errors,
    fields,
    flag,
    read_json,
    text,
)
from . import http
from .github_provider import GithubProvider
from .location import repository_path, site_of
from .repository_requests import Pull, pull_request
from .token_sources import App, login

if TYPE_CHECKING:
    from ...provider import Login

NAME = "github"
GONE = "check its name, and that the token may see it; without a token: set GITHUB_TOKEN, or run gh auth login"
WRITE = "the token needs the permission pull_requests=write"
REMEDIES: Mapping[int, str] = {403: WRITE, 404: GONE, 410: GONE}
# Reasons of a refused request, in lower case, and their remedies.
WORDS: Mapping[str, str] = {
    "draft pull requests are not supported": "set deliver.draft = false",
    "no commits between": "the change is in the base branch already",
    "not a collaborator": "correct deliver.reviewers, or leave them out",
    "could not resolve to a user": "correct deliver.reviewers, or leave them out",
    "archived": "unarchive the repository, or leave it out of the items",
    "disabled": "enable pull requests in the settings of the repository",
    "forking": "allow forks in the settings of the repository, or set deliver.fork = false",
}
EXISTS = "already exists"


class PullRequestText(msgspec.Struct, frozen=True, kw_only=True):
    """A pull request to open or to update: from `head` (``owner:branch``) into `base`."""

    head: str
    base: str
    title: str
    body: str
    draft: bool = True


class RepositoryAccess(msgspec.Struct, frozen=True, kw_only=True):
    """A repository as the token sees it; `may_push` is None where GitHub does not say."""

    name: str
    default_branch: str = "main"
    is_archived: bool = False
    may_push: bool | None = None


class ForgeService(msgspec.Struct, frozen=True, kw_only=True):
    """One GitHub, and the login to it."""

    base_url: str
    api_version: str
    app: App = App()

    @property
    def login(self) -> Login:
        """The source of the token."""
        return login(NAME, needs="push and write pull requests", base_url=self.base_url, app=self.app)


CAPABILITIES = Capabilities(verbs={}, write_pause=1.0, rate=14.0)


class GithubForge(GithubProvider, frozen=True):
    """The pull requests of one GitHub. It is a provider without tasks."""

    service: ForgeService

    @property
    def name(self) -> str:
        """The name of the login."""
        return NAME

    @property
    def capabilities(self) -> Capabilities:
        """It has no verbs, and the pauses that GitHub asks for."""
        return CAPABILITIES

    @property
    def site(self) -> str:
        """The base URL of its web pages and repositories."""
        return site_of(self.service.base_url)

    def get_repository(self, repository: str) -> Exchange[RepositoryAccess]:
        """Return a repository. Raises `NotFoundError` for one that vanished or that the token may not see."""
        response = yield self._get(repository_path(repository))
        http.explained(response, REMEDIES)
        document = read_json(response.body, dict[str, object], response=response)
        return RepositoryAccess(
            name=text(document.get("full_name")) or repository,
            default_branch=text(document.get("default_branch")) or "main",
            is_archived=flag(document.get("archived")) is True,
            may_push=flag(fields(document.get("permissions")).get("push")),
        )

    def find_pull_request(self, repository: str, head: str, *, marker: str) -> Exchange[PullRequest | None]:
        """Return the newest pull request of *head* (``owner:branch``) whose text has *marker*, None where there is none."""
        for pull in (yield from self._pulls(repository, (("head", head), ("state", "all")))):
            if marker in (pull.body or ""):
                return pull
        return None

    def open_pull_requests(self, repository: str) -> Exchange[tuple[PullRequest, ...]]:
        """Return the open pull requests of a repository."""
        return (yield from self._pulls(repository, (("state", "open"),)))

    def create_pull_request(self, repository: str, wanted: PullRequestText) -> Exchange[PullRequest | None]:
        """Open a pull request: one POST. None where one of this head and base is open."""
        response = yield self._write("POST", repository_path(repository, "/pulls"), msgspec.to_builtins(wanted))
        reasons = _reasons(response)
        if response.status == 422 and EXISTS in reasons:
            return None
        self._check(response, reasons)
        return pull_request(read_json(response.body, Pull, response=response))

    def update_pull_request(self, repository: str, number: int, wanted: PullRequestText) -> Exchange[PullRequest]:
        """Give a pull request another title and text."""
        changes = {"title": wanted.title, "body": wanted.body}
        response = yield self._write("PATCH", repository_path(repository, f"/pulls/{number}"), changes)
        self._check(response, _reasons(response))
        return pull_request(read_json(response.body, Pull, response=response))

    def add_labels(self, repository: str, number: int, labels: Sequence[str]) -> Exchange[None]:
        """Add labels, which GitHub makes where they are new; those that it has are kept."""
        path = repository_path(repository, f"/issues/{number}/labels")
        response = yield self._write("POST", path, {"labels": [*labels]})
        self._check(response, _reasons(response))

    def request_reviewers(self, repository: str, number: int, reviewers: Sequence[str]) -> Exchange[None]:
        """Request reviews of users, and of teams written as ``org/team``."""
        teams = [each.partition("/")[2] for each in reviewers if "/" in each]
        users = [each for each in reviewers if "/" not in each]
        path = repository_path(repository, f"/pulls/{number}/requested_reviewers")
        response = yield self._write("POST", path, {"reviewers": users, "team_reviewers": teams})
        self._check(response, _reasons(response))

    def fork(self, repository: str) -> Exchange[str]:
        """Return the name of the token's owner's fork; it is made where there is none, which GitHub does in seconds."""
        response = yield self._write("POST", repository_path(repository, "/forks"), {})
        self._check(response, _reasons(response))
        document = read_json(response.body, dict[str, object], response=response)
        name = text(document.get("full_name"))
        if name is None:
            raise errors.UnreadableResponseError("GitHub did not return the name of the fork", path="$.full_name")
        return name

    def _pulls(self, repository: str, query: tuple[tuple[str, str], ...]) -> Exchange[tuple[PullRequest, ...]]:
        pulls: list[PullRequest] = []
        cursor: str | None = None
        while True:
            first = {**dict(query), "per_page": str(http.PAGE_SIZE)}
            response = yield self._get(repository_path(repository, "/pulls"), http.query_of(cursor, first))
            http.explained(response, REMEDIES)
            pulls += map(pull_request, read_json(response.body, list[Pull], response=response))
            cursor = http.next_page(response)
            if cursor is None:
                return tuple(pulls)

    def _get(self, path: str, query: tuple[tuple[str, str], ...] = ()) -> Request:
        return http.get(path, query=query, version=self.service.api_version)

    def _write(self, method: str, path: str, document: object) -> Request:
        headers = (*http.headers(self.service.api_version), ("content-type", "application/json"))
        return Request(method, path, headers=headers, body=msgspec.json.encode(document))

    def _check(self, response: Response, reasons: str) -> None:
        """Raise the error of the status, with the reasons that GitHub gives beside it."""
        try:
            http.explained(response, REMEDIES)
        except errors.ProviderError as error:
            remedy = next((remedy for word, remedy in WORDS.items() if word in reasons), None)
            if remedy is not None:
                error.remedy = remedy
            raise


def _reasons(response: Response) -> str:
    """Return what GitHub says about a request that it refuses, in lower case: `message`, and that of each of `errors`."""
    if response.status < 400:
        return ""
    try:
        document = msgspec.json.decode(response.body, type=dict[str, object])
    except msgspec.MsgspecError:
        return ""
    listed = document.get("errors")
    each = (
        [fields(one).get("message") if isinstance(one, dict) else one for one in listed or ()]
        if isinstance(listed, list)
        else []
    )
    return "; ".join(text(one) or "" for one in (document.get("message"), *each)).lower()
