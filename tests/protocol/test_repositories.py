from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from coatcheck._protocol.repositories import repository_named, repository_of

OFFICIAL = [
    "git@github.com:o/r",
    "git@github.com:o/r.git",
    "git@github.com:/o/r",
    "anyuser@github.com:o/r",
    "github.com:o/r",
    "github.com/o/r",
    "http://github.com/o/r",
    "https://github.com/o/r.git",
    "https://user@github.com/o/r.git",
    "https://user:p@ss@github.com/o/r.git",
    "git://github.com/o/r",
    "ssh://github.com/o/r",
    "ssh://git@github.com:o/r",
]
MISSED = [
    "ssh://git@github.com/o/r.git",
    "ssh://git@github.com:22/o/r.git",
    "ssh://git@ssh.github.com:443/o/r.git",
    "https://www.github.com/o/r",
    "https://GitHub.com/o/r",
    "git@GITHUB.COM:o/r.git",
    "https://github.com:443/o/r.git",
    "https://github.com/o/r/",
    "https://github.com/o/r.git/",
    "https://github.com/o/r?x=1",
    "https://github.com/o/r#readme",
    "git+ssh://git@github.com/o/r",
    " https://github.com/o/r.git.git\n",
    "HTTPS://github.com/o/r",
]
OTHERS = [
    "https://gitlab.com/o/r",
    "https://ghe.example.com/o/r",
    "git@github.example.com:o/r",
    "https://github.com.evil.example/o/r",
    "https://evil.example/github.com/o/r",
    "https://github.com@evil.example/o/r",
    "git@github.com-work:o/r",
    "https://tenant.ghe.com/o/r",
    "file:///github.com/o/r",
    "/srv/github.com/o/r",
    "../r",
    "https://github.com/o",
    "https://github.com/o/r/tree/main",
    "https://github.com/o/..",
    "https://github.com/o/.git",
    "https://github.com/o/%2e%2e",
    "git@github.com:22/o/r",
    "github.com",
    "o/r",
    "",
]


@pytest.mark.parametrize("url", OFFICIAL + MISSED)
def test_every_form_of_a_github_remote_is_recognised(url: str) -> None:
    """The forms that the official client reads, and common ones that it does not, give the same repository (docs/reference/protocols/codex-wham.md, 5)."""
    assert "o/r" == repository_of(url)


@pytest.mark.parametrize("url", OTHERS)
def test_other_hosts_are_not_github(url: str) -> None:
    """A repository of another host, or text that is no repository, gives none."""
    assert repository_of(url) is None


@given(st.text(alphabet="github.com:/@o-r%2e?#\\ \n", max_size=60) | st.text(max_size=40))
def test_a_repository_has_two_segments(url: str) -> None:
    """The result has two segments, or there is none."""
    name = repository_of(url)

    assert name is None or (2 == len(name.split("/")) and not {"", ".", ".."} & set(name.split("/")))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("o/r", "o/r"),
        (" o/r.git ", "o/r"),
        ("git@github.com:o/r", "o/r"),
        ("github.com/o/r", "o/r"),
        ("o", None),
        ("a b/c", None),
    ],
)
def test_a_repository_is_named_either_way(text: str, name: str | None) -> None:
    """``owner/repo`` and remote URLs both give a repository."""
    assert name == repository_named(text)
