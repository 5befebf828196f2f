"""The repository of a remote is the one that git and ssh use."""

from __future__ import annotations

import pytest

from coatcheck._protocol.remotes import Remote, read_remotes
from coatcheck._protocol.repositories import repository_of

ALIASES = {"gh": "github.com", "github-work": "ssh.github.com"}


def repository(*settings: tuple[str, str], url: str = "") -> str | None:
    """Return the repository of the remote ``origin``."""
    given = (("remote.origin.url", url),) if url else ()
    (remote,) = read_remotes((*given, *settings), host_of=lambda name: ALIASES.get(name, name))
    return remote.repository


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("gh:owner/repo", {"url.https://github.com/.insteadof": "gh:"}),
        ("gh:owner/repo", {"url.git@github.com:.insteadof": "gh:"}),
        ("hub:owner/repo.git", {"url.git@gh:.insteadof": "hub:"}),
        ("https://github.com/owner/repo", {"url.http://mirror.example/.insteadof": "https://github.com/"}),
        ("https://github.com/owner/repo", {"url.ssh://git@github.com/.pushinsteadof": "https://github.com/"}),
        ("m:owner/repo", {"url.http://mirror/.insteadof": "m:", "url.git@github.com:.pushinsteadof": "m:"}),
        ("gh:repo", {"url.https://github.com/.insteadof": "g", "url.https://github.com/owner/.insteadof": "gh:"}),
        ("https://mirror.example/x", {"remote.origin.pushurl": "git@github.com:owner/repo"}),
        ("https://mirror.example/x", {"url.git@github.com:.insteadof": "p:", "remote.origin.pushurl": "p:owner/repo"}),
        ("https://github.com/owner/repo", {"remote.origin.pushurl": "git@github.com:me/fork"}),
        ("o:x/y", {"url.https://github.com/owner/repo#.insteadof": "o:"}),
    ],
)
def test_rewritten_addresses_name_the_repository(url: str, settings: dict[str, str]) -> None:
    """Shorthands are expanded, the address as written comes after a mirror, and push addresses come last."""
    assert "owner/repo" == repository(*settings.items(), url=url)


def test_the_rewritten_address_comes_first() -> None:
    """An address that git rewrites to another repository on GitHub is that repository."""
    settings = ("url.https://github.com/fork/.insteadof", "https://github.com/owner/")

    assert "fork/repo" == repository(settings, url="https://github.com/owner/repo")


@pytest.mark.parametrize(
    "url",
    [
        "gh:owner/repo",
        "git@gh:owner/repo.git",
        "gh:/owner/repo",
        "ssh://git@gh/owner/repo",
        "ssh://gh:2222/owner/repo",
        "git+ssh://git@github-work/owner/repo.git",
    ],
)
def test_an_alias_of_ssh(url: str) -> None:
    """An alias of ssh is replaced by its host in every form of address that git accepts."""
    assert "owner/repo" == repository(url=url)


@pytest.mark.parametrize(
    "url",
    ["-oProxyCommand=x:owner/repo", "$(x):owner/repo", "https://gh/owner/repo", "/gh:owner/repo", "a b:owner/repo"],
)
def test_only_host_names_are_given_to_ssh(url: str) -> None:
    """Options, other characters, other protocols and paths are not passed to ssh."""
    asked: list[str] = []
    read_remotes([("remote.origin.url", url)], host_of=lambda name: asked.append(name) or name)

    assert [] == asked


def test_an_empty_address_drops_the_earlier_ones() -> None:
    """An empty address removes the earlier ones, as in git."""
    settings = [("remote.a.b.url", "https://github.com/o/one"), ("remote.a.b.url", ""), ("remote.a.b.url", "gh:o/two")]

    assert (Remote("a.b", "o/two"),) == read_remotes(settings, host_of=lambda _: "github.com")


def test_an_address_with_a_port_in_brackets() -> None:
    """The form ``[user@host:port]:path`` is read, as in git."""
    assert "owner/repo" == repository_of("[git@github.com:22]:owner/repo.git")
