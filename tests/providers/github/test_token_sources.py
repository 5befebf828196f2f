"""Whose token goes to GitHub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coatcheck import errors
from coatcheck.providers._github import token_sources as github
from coatcheck.providers.github_actions import github_actions
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.emulators.github import GithubEmulator

HOSTS = """\
github.example.com:
    oauth_token: ghe_other
github.com:
    users:
        octocat:
            oauth_token: gho_octocat
        hubot:
            oauth_token: gho_hubot
    git_protocol: https
    oauth_token: "gho_hubot"
    user: hubot
"""


@pytest.mark.parametrize(
    ("text", "token"),
    [
        (HOSTS, "gho_hubot"),
        ("github.com:\n    user: x\n    oauth_token: gho_old # mine\n", "gho_old"),
        ("\"github.com\":\n  oauth_token: 'gho_quoted'\nother:\n  oauth_token: x\n", "gho_quoted"),
        ("github.com:\n    user: in-a-keyring\nghe.example:\n    oauth_token: not-this\n", None),
        ("", None),
        ("- a list", None),
    ],
)
def test_the_file_of_gh_is_read(text: str, token: str | None) -> None:
    """The token in use for github.com, and no other host's."""
    assert token == github.token_in(text)


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({"GH_TOKEN": "a", "GITHUB_TOKEN": "b"}, "GH_TOKEN"),
        ({"GH_TOKEN": " ", "GITHUB_TOKEN": "b"}, "GITHUB_TOKEN"),
        ({}, "hosts.yml"),
    ],
)
def test_the_order_is_that_of_gh(tmp_path: Path, environ: dict[str, str], source: str) -> None:
    """Variables, then its file; a file's token counts as stored, and is sent to GitHub only."""
    (tmp_path / "hosts.yml").write_text(HOSTS)
    secret = github.tools_of({"GH_CONFIG_DIR": str(tmp_path), **environ})()

    assert secret is not None
    assert (source, source == "hosts.yml") == (Path(secret.source).name, secret.is_stored)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"GH_CONFIG_DIR": "/c", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/c/hosts.yml"),
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/gh/hosts.yml"),
        ({"HOME": "/h"}, "/h/.config/gh/hosts.yml"),
    ],
)
def test_the_file_of_gh_is_found(environ: dict[str, str], path: str) -> None:
    """By gh's variable, or in the folder of settings."""
    assert path == github.hosts_file(environ)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"github.com: {}", None])
def test_a_file_without_a_token_is_no_login(tmp_path: Path, content: bytes | None) -> None:
    """The error is "not logged in"."""
    if content is not None:
        (tmp_path / "hosts.yml").write_bytes(content)

    assert None is github.tools_of({"GH_CONFIG_DIR": str(tmp_path)})()


class Settings:
    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        del variable
        return {"base_url": self.base_url, "repository": "owner/repo"}.get(name)


def client(
    variant: str, environ: dict[str, str], *, base_url: str = "http://127.0.0.1:9"
) -> tuple[Any, GithubEmulator]:
    """Return a client and its emulator."""
    service = GithubEmulator()
    provider = github_actions(Settings(base_url))
    return Both(variant, provider, service, token=None, environ={"COATCHECK_LEARN": "off", **environ}), service


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("variable", ["COATCHECK_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"])
def test_a_variable_is_a_login(variant: str, variable: str) -> None:
    """Ours, and those of GitHub's own tools."""
    both, service = client(variant, {variable: GithubEmulator().token, "GH_CONFIG_DIR": "/nowhere"})
    both.get_usage()

    assert [f"Bearer {service.token}"] == [dict(each.headers)["authorization"] for each in service.requests]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_file_of_gh_goes_to_no_other_server(tmp_path: Path, variant: str) -> None:
    """Its token is for github.com alone; nothing is sent."""
    (tmp_path / "hosts.yml").write_text(HOSTS)
    both, service = client(variant, {"GH_CONFIG_DIR": str(tmp_path)}, base_url="https://github.example.com")
    with pytest.raises(errors.ConfigurationError, match=r"never sent to github\.example\.com"):
        both.get_usage()

    assert [] == service.requests


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_login_has_a_remedy(tmp_path: Path, variant: str) -> None:
    """One line with the variable, the permission and the command."""
    both, _ = client(variant, {"GH_CONFIG_DIR": str(tmp_path)})
    with pytest.raises(errors.NotLoggedInError) as caught:
        both.get_usage()

    assert "set GITHUB_TOKEN to a token that may read and write Actions" in (caught.value.remedy or "")
