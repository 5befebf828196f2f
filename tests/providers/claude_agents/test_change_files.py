"""The convention of the files: its commands, run by git, return every change, and the patch applies to the commit."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from coatcheck.providers._sessions.change_files import BASE_FILE, PATCH_FILE, ChangeFiles, change_of, instructions

AUTHOR = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
ENVIRON = {**AUTHOR, "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


def run(script: str, folder: Path) -> str:
    """Run a shell script and return what it printed."""
    ran = subprocess.run(["sh", "-ec", script], cwd=folder, env=ENVIRON, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout + ran.stderr


def test_the_commands_of_the_instructions_return_the_whole_change(tmp_path: Path) -> None:
    """Edits, new, binary, deleted and committed files are in the patch, which git applies to the recorded commit."""
    folder, outputs = tmp_path / "repo", tmp_path / "outputs"
    folder.mkdir()
    run("git init -q . && printf 'a\\n' > kept && printf 'b\\n' > gone && git add . && git commit -qm base", folder)
    text = instructions(folder=str(folder), outputs=str(outputs))
    record, write, check = re.findall(r"^    (.+)$", text, re.MULTILINE)
    run(record, folder)
    run("printf 'more\\n' >> kept && git commit -qam one && printf 'new\\n' > new && rm gone", folder)
    (folder / "image").write_bytes(bytes(range(256)))
    run(write, folder)
    printed = run(check, folder)
    files = ChangeFiles((outputs / PATCH_FILE).read_bytes(), (outputs / BASE_FILE).read_bytes())
    change = change_of(files, outputs=str(outputs))
    run(f"git stash -qu && git checkout -q {change.base_commit} && git apply {outputs / PATCH_FILE}", folder)
    state = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    assert ("", ()) == (printed, change.notices)
    assert {"kept": b"a\nmore\n", "new": b"new\n", "image": bytes(range(256))} == state


def test_a_change_of_nothing_passes_the_check(tmp_path: Path) -> None:
    """An agent that changed nothing writes an empty patch, and the check prints nothing."""
    folder, outputs = tmp_path / "repo", tmp_path / "outputs"
    folder.mkdir()
    run("git init -q . && printf 'a\\n' > kept && git add . && git commit -qm base", folder)
    commands = re.findall(r"^    (.+)$", instructions(folder=str(folder), outputs=str(outputs)), re.MULTILINE)
    printed = "".join(run(command, folder) for command in commands)

    assert ("", b"") == (printed, (outputs / PATCH_FILE).read_bytes())


def test_the_commands_change_nothing_for_later_ones(tmp_path: Path) -> None:
    """An agent may keep one shell: after the check its commits use the repository's own index."""
    folder, outputs = tmp_path / "repo", tmp_path / "outputs"
    folder.mkdir()
    run("git init -q . && printf 'a\\n' > kept && git add . && git commit -qm base", folder)
    commands = re.findall(r"^    (.+)$", instructions(folder=str(folder), outputs=str(outputs)), re.MULTILINE)
    change = "printf 'b\\n' > new"
    commit = "git commit -qm new && git status --short && git show --format= --name-only"
    printed = run("\n".join([commands[0], change, *commands[1:], commit]), folder)

    assert "new\n" == printed
