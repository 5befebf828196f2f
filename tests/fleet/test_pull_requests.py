from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fleet.forge_fixtures import BRANCH, DIFF, ForgeFixture, delivery, make_repository, serving_github

from coatcheck import errors
from coatcheck._fleet.branch_push import push_error
from coatcheck._fleet.pull_requests import marker_of
from coatcheck._fleet.repositories import Repositories
from coatcheck._fleet.target import TooManyOpenError
from coatcheck._patches.git import git
from coatcheck.cloud.faults import ResetAfterAccept, Status


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeFixture]:
    """A GitHub with the repository acme/api."""
    with serving_github(tmp_path) as fixture:
        yield fixture


def test_a_change_is_a_draft_with_labels_and_reviewers(forge: ForgeFixture) -> None:
    """The branch has one commit on the base, and the pull request what the file says."""
    forge.service.collaborators.add("ada")
    delivered = forge.target(labels=("types",), reviewers=("ada", "acme/core"))(delivery(forge.base))
    pull: dict[str, Any] = forge.service.pulls[1]

    assert pull["html_url"] == delivered.url
    assert "one\ntwo\n" == forge.branch()
    assert (True, "Add types", [{"name": "types"}], ["ada"]) == (
        pull["draft"], pull["title"], pull["labels"], [each["login"] for each in pull["requested_reviewers"]],
    )  # fmt: skip
    assert ("main", f"acme:{BRANCH}") == (pull["base"]["ref"], pull["head"]["label"])


def test_a_delivery_that_is_repeated_opens_no_second_one(forge: ForgeFixture) -> None:
    """A delivery whose row was lost finds its branch and its pull request by the marker."""
    urls = {forge.target()(delivery(forge.base)).url for _ in range(3)}

    assert (1, 1, 1) == (len(urls), len(forge.service.pulls), forge.git.pushes)


def test_a_branch_that_was_pushed_before_a_crash_is_used(forge: ForgeFixture) -> None:
    """A process that was killed between the push and the pull request pushes no second time."""
    forge.github.faults.append(Status(on="create_pull", status=500, times=9))
    with pytest.raises(errors.ProviderError):
        forge.target()(delivery(forge.base))
    forge.github.faults.clear()
    forge.target()(delivery(forge.base))

    assert (1, 1) == (len(forge.service.pulls), forge.git.pushes)


def test_a_lost_answer_opens_no_second_pull_request(forge: ForgeFixture) -> None:
    """A pull request whose creation was not answered is found again."""
    forge.github.faults.append(ResetAfterAccept(on="create_pull"))
    delivered = forge.target()(delivery(forge.base))

    assert [delivered.url] == [pull["html_url"] for pull in forge.service.pulls.values()]


def test_another_change_of_the_item_updates_branch_and_text(forge: ForgeFixture) -> None:
    """An item that was sent back is delivered into the same branch and pull request."""
    forge.target()(delivery(forge.base))
    forge.target()(delivery(forge.base, diff=DIFF.replace(b"two", b"2"), why="it conflicts with nothing"))

    assert ("one\n2\n", 1) == (forge.branch(), len(forge.service.pulls))
    assert "it conflicts with nothing" in str(forge.service.pulls[1]["body"])


def test_commits_of_people_are_never_overwritten(forge: ForgeFixture) -> None:
    """A branch on which somebody has worked is left as it is."""
    forge.target()(delivery(forge.base))
    bare = forge.root / "acme/api.git"
    tree = git("rev-parse", f"{BRANCH}^{{tree}}", folder=bare).decode().strip()
    settings = ("user.name=B", "user.email=b@example.com")
    theirs = git("commit-tree", tree, "-p", BRANCH, "-m", "mine", folder=bare, settings=settings).decode().strip()
    git("update-ref", f"refs/heads/{BRANCH}", theirs, folder=bare)
    with pytest.raises(errors.ConfigurationError, match="exists with another change"):
        forge.target()(delivery(forge.base, diff=DIFF.replace(b"two", b"2")))

    assert theirs == git("rev-parse", BRANCH, folder=bare).decode().strip()


def test_a_pull_request_of_somebody_else_is_left(forge: ForgeFixture) -> None:
    """One of the same branch without the marker is an error, and its text stays."""
    forge.target()(delivery(forge.base))
    forge.service.pulls[1]["body"] = "mine"
    with pytest.raises(errors.ConfigurationError, match="another pull request"):
        forge.target()(delivery(forge.base))

    assert ("mine", 1) == (forge.service.pulls[1]["body"], len(forge.service.pulls))


def test_merged_and_closed_pull_requests_are_not_opened_again(forge: ForgeFixture) -> None:
    """One that was merged is the delivery; one that was closed is an error with its address."""
    target = forge.target()
    url = target(delivery(forge.base)).url
    forge.service.pulls[1] |= {"state": "closed", "merged_at": "2026-01-01T00:00:00Z"}
    merged = target(delivery(forge.base)).url
    forge.service.pulls[1]["merged_at"] = None
    with pytest.raises(errors.ConfigurationError, match="was closed") as caught:
        target(delivery(forge.base))

    assert url == merged
    assert caught.value.remedy
    assert 1 == len(forge.service.pulls)


def test_no_more_are_open_than_allowed(forge: ForgeFixture) -> None:
    """Above max_open nothing is pushed until one was merged or closed."""
    target = forge.target(max_open=1)
    target(delivery(forge.base))
    other = delivery(forge.base, key="http", diff=DIFF.replace(b"two", b"2"))
    with pytest.raises(TooManyOpenError):
        target(other)
    pushes = forge.git.pushes
    forge.service.pulls[1]["state"] = "closed"
    target(other)

    assert (1, 2) == (pushes, len(forge.service.pulls))


def test_workers_count_what_others_have_opened(forge: ForgeFixture) -> None:
    """What another worker has delivered meanwhile counts against max_open."""
    ours, theirs = forge.target(max_open=2), forge.target(max_open=2)
    ours(delivery(forge.base))
    changes = [delivery(forge.base, key=key, diff=DIFF.replace(b"two", key.encode())) for key in ("http", "web")]
    theirs(msgspec.structs.replace(changes[0], delivered=1))
    with pytest.raises(TooManyOpenError):
        ours(msgspec.structs.replace(changes[1], delivered=2))

    assert 2 == len(forge.service.pulls)


def refuse_push(forge: ForgeFixture) -> None:
    """Let the login only read."""
    forge.service.read_only.add("acme/api")


def archive(forge: ForgeFixture) -> None:
    """Archive the repository."""
    forge.service.archived.add("acme/api")


def remove(forge: ForgeFixture) -> None:
    """Delete the repository."""
    forge.service.gone.add("acme/api")


def forbid_drafts(forge: ForgeFixture) -> None:
    """Have a plan without drafts."""
    forge.service.has_drafts = False


def revoke_token(forge: ForgeFixture) -> None:
    """Revoke the token."""
    forge.github.token = "ghp_" + "1" * 36


@pytest.mark.parametrize(
    ("prepare", "section", "remedy"),
    [
        (refuse_push, {}, "set deliver.fork = true"),
        (archive, {}, "unarchive it"),
        (remove, {}, "check its name"),
        (forbid_drafts, {}, "set deliver.draft = false"),
        (revoke_token, {}, "GITHUB_TOKEN"),
        (refuse_push, {"reviewers": ("stranger",), "fork": True}, "correct deliver.reviewers"),
        (lambda _: None, {"branch": "main"}, "another name"),
    ],
)
def test_what_is_refused_is_one_line_with_a_remedy(
    forge: ForgeFixture, prepare: Any, section: dict[str, Any], remedy: str
) -> None:
    """A missing permission, a vanished repository and a wrong setting each have their remedy, and show no token."""
    prepare(forge)
    branch = section.pop("branch", BRANCH)
    with pytest.raises(errors.CoatcheckError) as caught:
        forge.target(**section)(delivery(forge.base, branch=branch))
    text = f"{caught.value}; {caught.value.remedy}"

    assert remedy in text
    assert "\n" not in text
    assert "ghp_" not in text


def test_a_fork_has_the_branch(forge: ForgeFixture) -> None:
    """With deliver.fork the branch is pushed to the fork alone, and the pull request names it."""
    forge.service.read_only.add("acme/api")
    forge.target(fork=True)(delivery(forge.base))
    pull: Any = forge.service.pulls[1]

    assert f"octocat:{BRANCH}" == pull["head"]["label"]
    assert "one\ntwo\n" == forge.branch(repository="octocat/api")
    assert b"" == git("for-each-ref", "refs/heads/coatcheck", folder=forge.root / "acme/api.git")


def test_a_repository_elsewhere_is_refused_before_a_request(forge: ForgeFixture) -> None:
    """A repository that is not on the forge gets no request, and no token."""
    with pytest.raises(errors.ConfigurationError, match="is no repository of"):
        forge.target()(delivery(forge.base, repository="https://example.com/acme/api.git"))

    assert [] == forge.github.requests


def test_the_token_is_given_to_git_by_askpass_alone(
    forge: ForgeFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No git process has the token in its arguments, its environment or a file that it reads."""
    real = next(folder for folder in os.environ["PATH"].split(":") if Path(folder, "git").exists())
    log, programs = tmp_path / "log", tmp_path / "programs"
    programs.mkdir()
    git_program = programs / "git"
    git_program.write_text(f'#!/bin/sh\n{{ echo "$@"; env; cat .git/config; }} >> "{log}" 2>&1\nexec {real}/git "$@"\n')
    git_program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    forge.target()(delivery(forge.base))
    logged = log.read_text()
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and forge.github.token.encode() in path.read_bytes()]

    assert "push --quiet" in logged
    assert ([], True) == ([line for line in logged.splitlines() if forge.github.token in line], not kept)


def test_another_host_gets_no_token(forge: ForgeFixture, tmp_path: Path) -> None:
    """A rewritten address is asked without the token, and the delivery fails."""
    with serving_github(tmp_path / "other") as other:
        config = tmp_path / ".gitconfig"
        origin = forge.origin.replace("://", "://x-access-token@")
        config.write_text(f'[url "{other.origin}"]\n\tinsteadOf = "{origin}"\n')
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GIT_CONFIG_GLOBAL", str(config))
            with pytest.raises(errors.ConfigurationError):
                forge.target()(delivery(forge.base))
        headers = [dict(request.headers) for request in other.github.requests]

    assert (True, []) == (bool(headers), [each for each in headers if "authorization" in each])


@pytest.mark.parametrize(
    ("stderr", "remedy"),
    [
        ("remote: error: GH006: Protected branch update failed for refs/heads/x.", "the branch is protected"),
        ("remote: error: GH013: Repository rule violations found for refs/heads/x.", "a rule of the repository"),
        (" ! [remote rejected] x -> x (refusing to allow an OAuth App to create or update workflow", "scope workflow"),
        ("remote: Permission to a/b.git denied to me.\nfatal: unable to access: error: 403", "permission to push"),
        ("remote: Repository not found.\nfatal: repository 'https://github.com/a/b/' not found", "check the name"),
        ("fatal: could not read Password for 'https://x-access-token@github.com': terminal", "gh auth login"),
    ],
)
def test_refusals_of_pushes_have_their_remedies(stderr: str, remedy: str) -> None:
    """What GitHub says about a refused push is one line with what to do."""
    error = push_error("x", stderr)

    assert remedy in (error.remedy or "")
    assert "\n" not in f"{error}{error.remedy}"


def test_no_key_ends_the_marker() -> None:
    """A hostile key of an item stays inside of the comment."""
    markers = [marker_of(key) for key in ("f/a --> @all", "f/<b>\n", "f/é")]

    assert [1, 1, 1] == [marker.count(">") for marker in markers]


def test_pull_requests_beyond_the_first_page_are_counted(forge: ForgeFixture) -> None:
    """The limit counts every open pull request of the fleet, and none of another one."""
    make_repository(forge.root, "acme/web")
    for number in range(1, 151):
        forge.github.add_pull(number, branch=f"b{number}")
        forge.service.pulls[number]["base"]["repo"]["full_name"] = "acme/api"  # type: ignore[index]
        forge.service.pulls[number]["body"] = marker_of(f"{'typing' if number < 3 else 'other'}/{number}")
    with pytest.raises(TooManyOpenError):
        forge.target(max_open=2)(delivery(forge.base))

    assert 150 == len(forge.service.pulls)


def test_a_private_repository_is_read_with_the_token(forge: ForgeFixture, tmp_path: Path) -> None:
    """What the user's own credentials do not reach is read with the forge's token; one without a login names the error."""
    forge.git.private.add("acme/api")
    delivered = forge.target()(delivery(forge.base))
    places = {"acme/api": f"{forge.origin}/acme/api.git"}
    without = Repositories(tmp_path / "other", places=places, checkouts={}, site=forge.origin, token=no_login)

    assert delivered.commit
    with pytest.raises(errors.ConfigurationError, match=r"acme/api cannot be read: .*could not read Username"):
        without.resolve("acme/api", "main")
    assert [] == [
        path for path in (tmp_path / "private").rglob("*") if path.is_file() and has(path, forge.github.token)
    ]


def no_login() -> str:
    """Raise as a forge without a login does."""
    raise errors.NotLoggedInError("there is no login for github")


def has(path: Path, text: str) -> bool:
    """Whether a file has *text*."""
    return text.encode() in path.read_bytes()
