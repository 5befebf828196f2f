from __future__ import annotations

import subprocess

import pytest

from coatcheck import errors
from coatcheck._review.checks import Check, Verification
from coatcheck._review.command_words import require_commands, words_of


@pytest.mark.parametrize(
    ("command", "syntax"),
    [
        ("npm ci; npm test", "';'"),
        ("make lint&&make test", "'&&'"),
        ("make || true", "'||'"),
        ("make|tee log", "'|'"),
        ("make & make test", "'&'"),
        ("make >log", "'>'"),
        ("make 2>&1", "'2>&1'"),
        ("make >&2", "'>&2'"),
        ("make &>log", "'&>'"),
        ("sh <check.sh", "'<'"),
        ("(make)", "'('"),
        ("make $TARGET", "'$TARGET'"),
        ("make ${TARGET}", "'${'"),
        ("make $(cat target)", "'$('"),
        ("make `cat target`", "'`'"),
        ("make lint\nmake test", "a line break"),
        ("make \\\n test", "a line break"),
    ],
)
def test_what_only_a_shell_understands_is_refused(command: str, syntax: str) -> None:
    """An operator that is passed on as an argument would let a check pass that its author meant to fail."""
    with pytest.raises(errors.ConfigurationError) as caught:
        words_of(command, "the check")

    assert f"the check {command!r} has {syntax}, and no shell runs it" == str(caught.value).partition("; pass: ")[0]


@pytest.mark.parametrize(
    "command",
    [
        'printf %s \'a; b\' "c && d" "e $((1))"',
        "printf %s \\; \\$HOME \\| x\\&y",
        "printf %s 'a\nb' a$ \"it's\" 'say \"$X\"'",
        "\n printf %s --key=value {prompt} a=b *.none \n",
    ],
)
def test_quoted_syntax_is_text(command: str) -> None:
    """What is quoted is passed on, as a shell does it without its expansions."""
    done = subprocess.run(words_of(command, "the check"), capture_output=True, check=True)
    shell = subprocess.run(["sh", "-c", command.replace("$((1))", "\\$((1))")], capture_output=True, check=True)

    assert shell.stdout == done.stdout


@pytest.mark.parametrize(
    "verification",
    [Verification(checks=(Check(name="all", run="make; make test"),)), Verification(setup="npm ci; npm test")],
)
def test_checks_and_setups_of_files_are_the_same_commands(verification: Verification) -> None:
    """A check or a setup that needs a shell is refused wherever it comes from."""
    with pytest.raises(errors.ConfigurationError) as caught:
        require_commands(verification)

    assert "has ';', and no shell runs it" in str(caught.value)
