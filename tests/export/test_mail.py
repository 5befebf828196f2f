from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.examples import examples
from tests.patches.conftest import Repository, make_repository

from coatcheck import Attempt, Message, Outcome, Patch, PullRequest, Task, TaskRef, TaskState
from coatcheck._export.mail import message
from coatcheck.errors import ConfigurationError, PatchError

WHEN = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
BEFORE = {
    "hello.txt": b"hello\n",
    "crlf.txt": b"one\r\ntwo\r\n",
    "latin.txt": b"caf\xe9\n",
    "image": b"\0\1\2",
    "old": b"x" * 99,
}
AFTER = {
    "hello.txt": b"hello\nFrom the world\n--- \n-- \n",
    "crlf.txt": b"one\r\n2\r\n",
    "latin.txt": b"caf\xe9s\n",
    "image": b"\0\2\3" * 50,
    "new/old": b"x" * 99,
    "no end": b"nothing at the end",
    "wei\u00df": b"wei\xc3\x9f = 1  \n\f\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository in which `BEFORE` is committed."""
    repository = make_repository(tmp_path / "repository")
    repository.commit(BEFORE)
    return repository


def patch_in(repository: Repository) -> Patch:
    """Return a diff with every kind of change, against the commit; the tree stays."""
    base = repository.git("rev-parse", "HEAD").decode().strip()
    after = repository.commit(AFTER)
    diff = repository.git("diff", "--binary", "--find-renames", base, after)
    repository.git("reset", "--quiet", "--hard", base)
    return Patch.parse(diff)


def made(
    patch: Patch | None, *, title: str | None = "Add dark mode", body: str | None = None, text: str = ""
) -> Outcome:
    """Return an outcome with a pull request."""
    pull = PullRequest(title=title, body=body) if title else None
    return Outcome(messages=(Message(text=text),) if text else (), patch=patch, pull_request=pull)


def committed(repository: Repository, mail: bytes, form: str = "%an <%ae>%n%at%n%B") -> str:
    """Create a commit of *mail* with git, and return its log entry."""
    repository.git("am", "--quiet", stdin=mail)
    return repository.git("log", "-1", f"--format={form}").decode().strip("\n")


def test_git_makes_the_same_tree(repository: Repository) -> None:
    """Git creates the same tree, with binary files, renames, carriage returns, other bytes and lines like headers."""
    committed(repository, made(patch_in(repository)).to_mail())
    expected = {name: ("file", content) for name, content in AFTER.items()}

    assert expected == repository.tree()


def test_git_makes_the_commit(repository: Repository) -> None:
    """The commit has author, date, title, text and trailer."""
    outcome = made(
        patch_in(repository),
        title="Füge Dunkelmodus hinzu\nund mehr — viel mehr, als in eine Zeile passt",
        body="Erst.\n\nDann.",
    )
    task = Task(ref=TaskRef("codex", "task_e_1"), state=TaskState.SUCCEEDED, outcome=outcome, updated_at=WHEN)
    log = committed(repository, task.to_mail(author="Nobody, Zoë <zoe@example.com>"))

    assert (
        "Nobody, Zoë <zoe@example.com>\n"
        f"{int(WHEN.timestamp())}\n"
        "Füge Dunkelmodus hinzu und mehr — viel mehr, als in eine Zeile passt\n\n"
        "Erst.\n\nDann.\n\nCoatcheck-Task: codex:task_e_1"
    ) == log


HOSTILE = """\
From: Somebody Else <else@example.com>
Date: Thu, 1 Jan 1970 00:00:00 +0000
Subject: Another title
---
diff --git a/evil b/evil
new file mode 100644
--- /dev/null
+++ b/evil
@@ -0,0 +1 @@
+evil
Index: evil
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: x <x@example.com>
Subject: [PATCH] second mail

>From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
-- \0\x1b[2J
The end."""


def test_text_stays_text(repository: Repository) -> None:
    """Headers, diffs and further mails in an agent's text stay text: there is one commit with our author and our diff."""
    outcome = made(patch_in(repository), body=HOSTILE)
    log = committed(repository, outcome.to_mail(date=WHEN), "%an%n%s%n%b")

    assert ("coatcheck", "Add dark mode", "The end.", True, "2") == (
        *log.splitlines()[:2],
        log.splitlines()[-1],
        "evil" not in repository.tree(),
        repository.git("rev-list", "--count", "HEAD").decode().strip(),
    )


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    title=st.text(max_size=200),
    lines=st.lists(
        st.sampled_from(
            [
                "---",
                "--- a/x",
                "diff -u",
                "From x",
                "Subject: x",
                "[PATCH] y",
                "Index: x",
                "",
                " ",
                "-- ",
                ">From x",
                "text",
                "@@ -1 +1 @@",
            ]
        )
    ),
)
def test_any_text_makes_one_commit_with_the_diff(repository: Repository, title: str, lines: list[str]) -> None:
    """For any title and text git applies our diff once and nothing else."""
    base = repository.git("rev-parse", "HEAD").decode().strip()
    diff = Patch(
        b"diff --git a/hello.txt b/hello.txt\n--- a/hello.txt\n+++ b/hello.txt\n@@ -1 +1,2 @@\n hello\n+world\n"
    )
    try:
        committed(repository, made(diff, title=f"x{title}", body="\n".join(lines)).to_mail())
        count = repository.git("rev-list", "--count", f"{base}..HEAD").decode().strip()
        changed = repository.git("diff", "--name-only", base, "HEAD").decode().split()
    finally:
        repository.git("reset", "--quiet", "--hard", base)

    assert ("1", ["hello.txt"]) == (count, changed)


def test_the_title_of_a_message() -> None:
    """The title is that of the pull request, else the first line of the messages, else a default."""
    assert ["T\n\nB\n", "Said.\n\nMore.\n", "Changes of an agent\n"] == [
        made(None, title="T", body="B", text="Said.").commit_message(),
        made(None, title=None, text="Said.\n\nMore.").commit_message(),
        made(None, title=None).commit_message(),
    ]


def test_messages_have_no_control_characters() -> None:
    """A title is one line, and a message has no control characters."""
    assert "a b c\n\n[2Jtext\n\nX: y\n" == message("a\n\0b\tc", "\x1b[2J\0text\r\n", trailers=("X: y",))


def test_an_attempt_is_chosen() -> None:
    """A mail contains the requested attempt."""
    diffs = [Patch(f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+{number}\n".encode()) for number in (2, 3)]
    attempts = tuple(
        Attempt(id=str(at), placement=at, state=TaskState.SUCCEEDED, outcome=made(diff))
        for at, diff in enumerate(diffs)
    )
    task = Task(ref=TaskRef("codex", "t"), state=TaskState.SUCCEEDED, attempts=attempts, outcome=attempts[0].outcome)

    assert [b"\n+3\n" in task.to_mail(attempt=2), b"\n+2\n" in task.to_mail()] == [True, True]


@pytest.mark.parametrize("author", ["", "Nobody", "A <b", "A <b>\nBcc: x", "<>", "A <ä@example.com>"])
def test_authors_have_a_form(author: str) -> None:
    """Text that is not an author is refused, also one with line ends."""
    diff = Patch(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n")

    if author:
        with pytest.raises(ConfigurationError, match="is not an author"):
            made(diff).to_mail(author=author)
    else:
        assert b"\nFrom: coatcheck <coatcheck@localhost>\n" in made(diff).to_mail(author=author)


@pytest.mark.parametrize("patch", [None, Patch(b"")])
def test_no_diff_is_no_mail(patch: Patch | None) -> None:
    """An outcome without a diff has no mail."""
    with pytest.raises(PatchError, match="no diff"):
        made(patch).to_mail()
