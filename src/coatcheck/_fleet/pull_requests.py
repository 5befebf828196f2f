"""Deliver changes as pull requests.

Invariants:

- the text of a pull request has a marker with the delivery's key; one with the marker is found again, also after a crash,
  and updated: no second one is opened;
- the login is checked by a request to the API before git gets its token, and git gets it for the site of that API alone;
- what cannot be delivered (a repository that vanished or is archived, a missing permission, a protected branch) is one
  error with its remedy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from .. import errors
from .branch_push import RETRY, BranchPush, PushError
from .git_token import access_with_token
from .repositories import Repositories
from .target import Delivered, Delivery, TooManyOpenError

if TYPE_CHECKING:
    from .._model.outcome import PullRequest
    from ..providers._github.forge import PullRequestText, RepositoryAccess
    from .forge import Forge, ForgeClient
    from .sections import DeliverSection

MARKER = "<!-- coatcheck-delivery: "
# GitHub limits requests that make content to 80 a minute and 500 an hour (docs.github.com, "Rate limits for the REST
# API"): the pause after each pull request (seconds).
PAUSE = 1.0
# A new fork has no branches for some seconds; how often and how long it is waited for.
FORK_TRIES, FORK_PAUSE = 12, 5.0


class _Head(NamedTuple):
    """OWNER:BRANCH, the URL of the repository that has the branch, and whether that is a fork."""

    name: str
    place: str
    is_fork: bool

    def delivered(self, delivery: Delivery, pull: PullRequest, commit: str | None = None) -> Delivered:
        """Return where a change was delivered to."""
        fork = self.place if self.is_fork else None
        return Delivered(branch=delivery.branch, commit=commit, url=pull.url, fork=fork)


class PullRequests:
    """Delivers changes as pull requests of a forge; *open_forge* returns it with a client on first use."""

    def __init__(
        self,
        repositories: Repositories,
        section: DeliverSection,
        open_forge: Callable[[], tuple[Forge, ForgeClient]],
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._repositories, self._section, self._open_forge, self._sleep = repositories, section, open_forge, sleep
        self._opened: tuple[Forge, ForgeClient] | None = None
        # How many pull requests of the fleet are open, as they were last counted.
        self._count: int | None = None
        # How many deliveries of the fleet are in that count: other workers make some of them.
        self._delivered = 0

    def close(self) -> None:
        """Close the client."""
        if self._opened is not None:
            self._opened[1].close()

    @property
    def _forge(self) -> Forge:
        return self._connect()[0]

    @property
    def _client(self) -> ForgeClient:
        return self._connect()[1]

    def _connect(self) -> tuple[Forge, ForgeClient]:
        self._opened = self._opened or self._open_forge()
        return self._opened

    def check_names(self, names: Iterable[str | None]) -> None:
        """Raise `ConfigurationError` for a repository that is not on the forge. Sends nothing."""
        for name in dict.fromkeys(filter(None, names)):
            self._name(name)

    def __call__(self, delivery: Delivery) -> Delivered:
        """Push the branch and open the pull request, or find and update it."""
        repository = self._name(delivery.item.repository or "")
        access = self._client.perform(self._forge.get_repository(repository))
        base = delivery.item.base or access.default_branch
        self._check(access, delivery, base)
        head = self._head(access, delivery)
        marker = marker_of(delivery.key)
        known = self._find(repository, head, marker)
        if known is not None and known.is_merged:
            return head.delivered(delivery, known)
        if known is not None and known.state == "closed":
            raise errors.ConfigurationError(
                f"the pull request {known.url} was closed", remedy=f"reopen it, or delete its branch, {RETRY}"
            )
        if known is None:
            self._require_open_slot(delivery)
        commit = self._push(delivery, head)
        wanted = self._text(delivery, head, base)
        pull = self._open(repository, wanted, marker) if known is None else self._updated(repository, known, wanted)
        self._decorate(repository, pull)
        return head.delivered(delivery, pull, commit)

    def _name(self, name: str) -> str:
        """Return OWNER/NAME on the forge of a repository."""
        from .._protocol.repositories import repository_named

        place = self._repositories.place(name)
        for each in (name, place):
            host = urlsplit(each).netloc if "://" in each else ""
            is_here = not host or host.rpartition("@")[2] == urlsplit(self._forge.site).netloc
            if is_here and not each.startswith(("/", ".", "~")) and (found := repository_named(each)):
                return found
        raise errors.ConfigurationError(
            f"{name} is no repository of {self._forge.site}",
            remedy='write owner/name in items.repository, or deliver with to = "branch"',
        )

    def _check(self, access: RepositoryAccess, delivery: Delivery, base: str) -> None:
        """Raise for what is known to be refused."""
        if access.is_archived:
            raise errors.ConfigurationError(
                f"the repository {access.name} is archived", remedy=f"unarchive it, or reject the item, {RETRY}"
            )
        if delivery.branch in (base, access.default_branch):
            raise errors.ConfigurationError(
                f"deliver.branch: {delivery.branch!r} is the branch to merge into",
                remedy='set deliver.branch to another name, such as "coatcheck/{fleet}/{key}"',
            )
        if access.may_push is False and not self._section.fork:
            raise errors.ConfigurationError(
                f"the login may not push to {access.name}",
                remedy=f"get the permission to push, or set deliver.fork = true, {RETRY}",
            )

    def _head(self, access: RepositoryAccess, delivery: Delivery) -> _Head:
        repository = self._client.perform(self._forge.fork(access.name)) if self._section.fork else access.name
        return _Head(
            name=f"{repository.partition('/')[0]}:{delivery.branch}",
            place=f"{self._forge.site}/{repository}.git",
            is_fork=repository != access.name,
        )

    def _find(self, repository: str, head: _Head, marker: str) -> PullRequest | None:
        return self._client.perform(self._forge.find_pull_request(repository, head.name, marker=marker))

    def _push(self, delivery: Delivery, head: _Head) -> str:
        name = delivery.item.repository or ""
        with self._repositories.clone(name, delivery.base) as clone:
            push = BranchPush(clone, partial(access_with_token, head.place, self._token))
            for left in reversed(range(FORK_TRIES if self._section.fork else 1)):
                try:
                    return push.deliver(delivery)
                except PushError as error:
                    if not left or not error.is_missing:
                        raise
                self._sleep(FORK_PAUSE)
        raise AssertionError("unreachable")

    def _token(self) -> str:
        return self._client.tokens.get_token().access_token

    def _text(self, delivery: Delivery, head: _Head, base: str) -> PullRequestText:
        from ..providers._github.forge import PullRequestText

        body = body_of(delivery, marker_of(delivery.key))
        return PullRequestText(head=head.name, base=base, title=delivery.title, body=body, draft=self._section.draft)

    def _open(self, repository: str, wanted: PullRequestText, marker: str) -> PullRequest:
        """Open a pull request. One that may have been opened is searched for: a second one is never opened."""
        find = self._forge.find_pull_request
        try:
            pull = self._client.perform(self._forge.create_pull_request(repository, wanted))
        except errors.TransportError:
            pull = self._client.perform(find(repository, wanted.head, marker=marker))
            if pull is None:
                raise
        self._count = None if self._count is None else self._count + 1
        self._delivered += 1
        self._sleep(PAUSE)
        pull = pull or self._client.perform(find(repository, wanted.head, marker=marker))
        if pull is None:
            raise errors.ConfigurationError(
                f"another pull request of the branch {wanted.head.partition(':')[2]} of {repository} is open",
                remedy=f"close it, or set deliver.branch to another name, {RETRY}",
            )
        return pull

    def _updated(self, repository: str, pull: PullRequest, wanted: PullRequestText) -> PullRequest:
        """Return a pull request with the title and the text of now."""
        if (pull.title, pull.body) == (wanted.title, wanted.body):
            return pull
        return self._client.perform(self._forge.update_pull_request(repository, pull.number or 0, wanted))

    def _decorate(self, repository: str, pull: PullRequest) -> None:
        number = pull.number or 0
        if self._section.labels:
            self._client.perform(self._forge.add_labels(repository, number, self._section.labels))
        if self._section.reviewers:
            self._client.perform(self._forge.request_reviewers(repository, number, self._section.reviewers))

    def _require_open_slot(self, delivery: Delivery) -> None:
        """Raise `TooManyOpenError` where as many pull requests of the fleet are open as allowed."""
        limit = self._section.max_open
        if limit is None:
            return
        if self._count is not None:
            self._count += max(0, delivery.delivered - self._delivered)
        self._delivered = max(self._delivered, delivery.delivered)
        if self._count is None or self._count >= limit:
            self._count = self._count_open(delivery)
        if self._count >= limit:
            raise TooManyOpenError(
                f"{limit} pull requests of the fleet {delivery.fleet} are open, as many as deliver.max_open allows",
                remedy="merge or close some, then run the fleet again",
            )

    def _count_open(self, delivery: Delivery) -> int:
        """Return how many pull requests of the fleet are open where it has delivered."""
        prefix, count = marker_of(f"{delivery.fleet}/").removesuffix(" -->"), 0
        for repository in dict.fromkeys(map(self._name, delivery.repositories)):
            pulls = self._client.perform(self._forge.open_pull_requests(repository))
            count += sum(prefix in (pull.body or "") for pull in pulls)
        return count


def marker_of(key: str) -> str:
    """Return what the text of a pull request has, which people do not see; no key can end it."""
    return f"{MARKER}{quote(key, safe='/ ,=')} -->"


def body_of(delivery: Delivery, marker: str) -> str:
    """Return the text of a pull request."""
    reason = f"\n\nWhy this change was chosen: {delivery.why}" if delivery.why else ""
    return f"{delivery.title}\n\nTask: `{delivery.task}`{reason}\n\n{marker}\n"
