"""Prompt templates on the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli
from tests.cli.test_completion import completed
from tests.cli.test_patch import checkout

__all__ = ["checkout"]
FIX = """\
---
description: Fix one issue, with a test
arguments:
  issue: {description: Text of the issue, required: true, tag: issue}
  area: {description: Folder, default: src}
title: "Fix: {{area}}"
attempts: 2
---
Fix the issue in {{area}}. ${{ secrets.X }} and {{other}} stay.

{{issue}}
"""
PROMPT = """\
Fix the issue in src. ${{ secrets.X }} and {{other}} stay.

<issue>
It fails {{area}}
</issue>
"""


@pytest.fixture
def cli(checkout: Path) -> Cli:
    """A command line in a checkout with a template."""
    folder = checkout / ".coatcheck/prompts"
    folder.mkdir(parents=True)
    (folder / "fix.md").write_text(FIX)
    return Cli(checkout)


def write_own(cli: Cli, name: str, text: str) -> None:
    """Write a template of the user."""
    folder = Path(cli.environ["HOME"], ".config/coatcheck/prompts")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_a_prompt_is_rendered(cli: Cli, checkout: Path) -> None:
    """Values are inserted once, from the argument, a file or standard input, and other text stays."""
    (checkout / "issue.md").write_text("It fails {{area}}")
    by_file = cli("templates", "render", "fix", "--arg", "issue=@issue.md")
    by_stdin = cli("templates", "render", "fix", "--arg", "issue=@-", stdin=b"It fails {{area}}")
    by_value = cli("templates", "render", "fix", "--arg", "issue=It fails {{area}}", "--arg", "area=src")
    escaped = cli("templates", "render", "fix", "--arg", "issue=@@home")

    assert [PROMPT] * 3 == [each.out for each in (by_file, by_stdin, by_value)]
    assert "<issue>\n@home\n</issue>" in escaped.out


def test_a_template_is_submitted_and_recorded(cli: Cli) -> None:
    """The prompt and the attempts are sent, and the history has the name and the digest."""
    done = cli("submit", "-e", "owner/repo", "--template", "fix", "--arg", "issue=It fails {{area}}")
    [sent] = [json.loads(request.body) for request in cli.cloud.seen("create_task")]
    direct = cli("submit", "-e", "owner/repo", "--attempts", "2", PROMPT)
    [_, sent_directly] = [json.loads(request.body) for request in cli.cloud.seen("create_task")]
    entries = cli("history", "--json").json["tasks"]
    templates = {each["ref"]: (each["template"], each["template_digest"]) for each in entries}

    assert sent == sent_directly
    assert {
        done.out.strip(): ("fix", hashlib.sha256(FIX.encode()).hexdigest()),
        direct.out.strip(): (None, None),
    } == templates
    assert "template  fix" in cli("history", "show", done.out.strip()).out


def test_a_held_submission_keeps_its_template(cli: Cli) -> None:
    """It is recorded when the gate is approved."""
    gate = cli("submit", "--gate", "-e", "owner/repo", "--template", "fix", "--arg", "issue=x").out.strip()
    cli("approve", gate)

    assert ["fix"] == [each["template"] for each in cli("history", "--json").json["tasks"]]


def test_an_option_has_precedence(cli: Cli) -> None:
    """What is given on the command line overrides what the template sets."""
    done = cli("run", "-e", "owner/repo", "--attempts", "1", "--template", "fix", "--arg", "issue=x")
    [one] = [json.loads(request.body) for request in cli.cloud.seen("create_task")]
    cli("submit", "-e", "owner/repo", cli("templates", "render", "fix", "--arg", "issue=x").out)

    assert (0, one) == (done.code, json.loads(cli.cloud.seen("create_task")[1].body))


def test_a_template_of_the_user_chooses_its_environment(cli: Cli) -> None:
    """A user's template may set where the task runs."""
    write_own(cli, "own.md", "---\nprovider: codex\nenvironment: owner/repo\nmode: ask\n---\nWhy?\n")
    done = cli("submit", "--template", "own")

    assert (0, 1) == (done.code, len(cli.cloud.tasks)), done


@pytest.mark.parametrize("name", ["theirs", ".coatcheck/prompts/theirs.md", "./other.md"])
def test_a_repositorys_template_chooses_no_provider(cli: Cli, checkout: Path, name: str) -> None:
    """However it is named: by its name, by its path, or in another folder of the checkout."""
    text = "---\nprovider: jules\n---\nx"
    (checkout / ".coatcheck/prompts/theirs.md").write_text(text)
    (checkout / "other.md").write_text(text)
    done = cli("submit", "--template", name)

    assert (2, []) == (done.code, cli.cloud.requests)
    assert "a template of a repository cannot set 'provider'" in done.line


def test_a_link_out_of_the_repository_is_not_read(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    """Neither a linked file nor a file in a linked folder, by name or by path."""
    (tmp_path / "secret.md").write_text("a secret")
    (checkout / ".coatcheck/prompts/linked.md").symlink_to(tmp_path / "secret.md")
    (checkout / "folder").symlink_to(tmp_path)
    names = ("linked", ".coatcheck/prompts/linked.md", "folder/secret.md")
    results = [cli("templates", "render", name) for name in names]

    assert [2, 2, 2] == [each.code for each in results]
    assert not any("a secret" in each.out + each.err for each in results)


def test_templates_are_listed_and_shown(cli: Cli) -> None:
    """The list has the arguments, and one that cannot be used has its error; both with --json."""
    write_own(cli, "bad.md", "---\nattempts: many\n---\nx")
    lines = cli("templates").out.splitlines()
    listed = cli("templates", "--json").json["templates"]
    shown = cli("templates", "show", "fix").out

    assert lines[1].split("  ")[0].strip() == "fix"
    assert lines[1].endswith("issue [area]")
    assert "attempts should be a number" in lines[0]
    assert [("bad", False, True), ("fix", True, False)] == [
        (each["name"], each["is_from_repository"], each["error"] is not None) for each in listed
    ]
    assert "(default: src)" in shown


def test_a_check_finds_mistakes(cli: Cli, checkout: Path) -> None:
    """The exit code is 2 for a template that cannot be used and for a probable mistake, else 0."""
    (checkout / "good.md").write_text("---\narguments: {a: one}\n---\n{{a}}\n")
    good, all_of_them = cli("templates", "check", "good.md"), cli("templates", "check")
    write_own(cli, "bad.md", "---\nattempts: [\n---\nx")
    bad = cli("templates", "check", "bad", "--json")

    assert (0, 2, 2) == (good.code, all_of_them.code, bad.code)
    assert "{{other}} is not declared" in all_of_them.out
    assert "is not YAML" in bad.json["templates"][0]["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("submit", "--template", "fix"), "the template fix needs issue; --arg issue=VALUE"),
        (("submit", "--template", "fix", "--arg", "issue=x", "--arg", "isue=y"), "has no argument 'isue'"),
        (("submit", "--template", "fix", "--arg", "issue=x", "--arg", "issue=y"), "is given twice"),
        (("submit", "--template", "fix", "--arg", "issue"), "'issue' is no argument of a template"),
        (("submit", "--template", "fix", "--arg", "issue=@missing.md"), "cannot be read from 'missing.md'"),
        (("submit", "--template", "fix", "--arg", "issue=@."), "cannot be read from '.'"),
        (("submit", "--template", "fix", "--arg", "issue=@loop.md"), "cannot be read from 'loop.md'"),
        (("submit", "--template", "loop.md"), "loop.md"),
        (("submit", "--template", "fix", "--arg", "issue=@bytes"), "is not UTF-8"),
        (("submit", "--template", "fix", "--arg", "issue=@-", "--arg", "area=@-"), "two arguments are standard input"),
        (("submit", "--template", "fix", "--arg", "issue=x", "A prompt"), "the prompt is given twice"),
        (("submit", "--arg", "issue=x", "A prompt"), "--arg needs --template"),
        (("submit", "--template", "fxi"), "there is no template 'fxi'; templates here: fix"),
        (("submit", "--template", "none.md"), "none.md cannot be read"),
        (("submit", "--template", "empty.md"), "makes an empty prompt"),
        (("submit", "--template", "fix", "--resume"), "--template and --resume"),
        (("submit", "--template", "fix", "--batch", "x.jsonl"), "--template and --batch"),
        (("templates", "show"), "coatcheck templates show needs NAME"),
        (("templates", "list", "x"), "coatcheck templates list does not expect 'x'"),
        (
            ("templates", "check", "--arg", "a=b"),
            "coatcheck templates check has no option --arg; it is an option of: coatcheck templates render",
        ),
        (("templates", "render", "."), "there is no template '.'"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, checkout: Path, arguments: tuple[str, ...], message: str) -> None:
    """The exit code is 2, and nothing is sent."""
    (checkout / "loop.md").symlink_to("loop.md")
    (checkout / "bytes").write_bytes(b"\xff")
    (checkout / "empty.md").write_text("---\ntitle: x\n---\n\n")
    done = cli(*arguments)

    assert (2, []) == (done.code, cli.cloud.requests), done
    assert message in done.line


def test_names_and_arguments_are_completed(cli: Cli) -> None:
    """After --template the names, and after --arg the arguments of the template that was named."""
    lines = ("submit --template f", "submit --template fix --arg a", "templates show f", "templates render fix --arg i")
    answers = [completed(cli, f"coatcheck {line}") for line in lines]

    assert [["fix"], ["area="], ["fix"], ["issue="]] == answers
