from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

COMMANDS = [("open",), ("show", "--web"), ("status", "--web")]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that the browser opened."""
    urls: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: urls.append(url) or True)
    return urls


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_is_opened(tmp_path: Path, command: tuple[str, ...], opened: list[str]) -> None:
    """`open` and --web open the page of the task on a desktop, and print its URL."""
    cli = Cli(tmp_path, DISPLAY=":0")
    ref = cli.submit()
    done = cli(*command, ref)
    url = f"https://chatgpt.com/codex/tasks/{cli.cloud.tasks[0].id}"

    assert (0, f"{url}\n", [url]) == (done.code, done.out, opened)


@pytest.mark.parametrize("environ", [{}, {"DISPLAY": ":0", "SSH_CONNECTION": "x"}], ids=["no desktop", "ssh"])
def test_without_a_browser_the_url_is_printed(tmp_path: Path, environ: dict[str, str], opened: list[str]) -> None:
    """Without a desktop only the URL is printed."""
    cli = Cli(tmp_path, **environ)
    done = cli("open", cli.submit())

    assert ([], True) == (opened, done.out.startswith("https://chatgpt.com/codex/tasks/"))


def test_json_opens_nothing(tmp_path: Path, opened: list[str]) -> None:
    """With --json the URL is a field, and no browser is started."""
    cli = Cli(tmp_path, DISPLAY=":0")
    ref = cli.submit()
    document = cli("open", "--json", ref).json

    assert ([], ref, True) == (opened, document["ref"], document["url"].startswith("https://"))


def test_web_excludes_other_forms(cli: Cli) -> None:
    """--web and --format cannot be combined."""
    assert "--format and --web cannot be combined" in cli("show", "--web", "--format", "mail", "x").line
