"""The scripts that run on a host, performed by a shell and git on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from coatcheck import TaskSpec, errors
from coatcheck._protocol.effects import Send
from coatcheck._protocol.json_rpc import JsonRpc
from coatcheck.providers.codex_app_server import wire
from coatcheck.providers.codex_app_server.checkouts import Change, check_out, name_of, read_change, remove
from coatcheck.providers.codex_app_server.endpoints import Service

SERVICE = Service(base_url="stdio:")


def git(folder: Path, *arguments: str) -> str:
    """Run git, and return what it prints."""
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Line:
    """A channel to this machine."""

    session: Any = None


def on_this_machine(exchange: Callable[[JsonRpc], Any]) -> Any:
    """Perform an exchange whose commands run here."""
    script, answer = exchange(JsonRpc(Line())), None
    try:
        effect = next(script)
        while True:
            if isinstance(effect, Send):
                answer = performed(msgspec.json.decode(effect.message))
                effect = script.send(None)
            else:
                effect = script.send(answer)
    except StopIteration as stop:
        return stop.value


def performed(call: Any) -> bytes:
    """Return the answer to ``command/exec``."""
    params = call["params"]
    done = subprocess.run(params["command"], cwd=params.get("cwd"), capture_output=True, text=True, check=False)
    result = {"exitCode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
    return msgspec.json.encode({"id": call["id"], "result": result})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two branches and a hook that must not run."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.txt").write_text("one\n")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    git(folder, "branch", "next")
    hook = folder / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    return folder


def checked_out(root: Path, spec: TaskSpec, service: Service = SERVICE) -> Path:
    """Return the checkout of a task."""
    return Path(on_this_machine(lambda rpc: check_out(rpc, spec, service, str(root))))


def change_in(folder: Path, sha: str | None = None) -> Change:
    """Return the change in a checkout."""
    thread = wire.Thread(id="t", cwd=str(folder), gitInfo=wire.GitInfo(sha=sha))
    result: Change = on_this_machine(lambda rpc: read_change(rpc, thread, SERVICE))
    return result


def test_a_change_is_what_git_sees_and_leaves_the_checkout_as_it_is(tmp_path: Path, repository: Path) -> None:
    """Edits of the same size, commits, any bytes, names and modes are in the change; index, objects and status are untouched."""
    spec = TaskSpec(prompt="p", environment=str(repository), key="k")
    folder = checked_out(tmp_path / "w", spec)
    (folder / "a.txt").write_text("two\n")  # within the second of the checkout, of the same size
    (folder / "committed").write_bytes(b"\xff\x00\n")
    git(folder, "add", "committed")
    git(folder, "commit", "-qm", "mine")
    (folder / "sub").mkdir()
    (folder / "sub" / 'a b\t"é').write_bytes(b"caf\xe9\n")
    (folder / "ignored.log").write_text("x")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("a.txt")
    states = []
    for _ in range(2):
        states.append((git(folder, "status", "--porcelain"), sorted(os.listdir(repository / ".git/objects"))))
        change = change_in(folder)
    git(repository, "checkout", "-q", "--detach")
    (tmp_path / "patch").write_bytes(bytes(change.patch or b""))
    git(repository, "apply", "--index", str(tmp_path / "patch"))

    assert states[0] == states[1]
    assert git(folder, "rev-parse", "main") == change.base
    git(folder, "add", "-A")
    assert git(folder, "write-tree") == git(repository, "write-tree")
    assert not (folder / "hooked").exists()


def test_a_checkout_is_made_once_and_removed_alone(tmp_path: Path, repository: Path) -> None:
    """The same key has the same checkout; nothing that was not made for a task is removed."""
    root = tmp_path / "w"
    first = checked_out(root, TaskSpec(prompt="p", environment=str(repository), key="k", branch="next"))
    (first / "kept").write_text("x")
    again = checked_out(root, TaskSpec(prompt="p", environment=str(repository), key="k", branch="next"))
    for folder in (repository, root, root / ".." / "repository", first):
        thread = wire.Thread(id="t", cwd=str(folder))
        on_this_machine(lambda rpc, thread=thread: remove(rpc, thread, str(root)))

    assert (first, False, True) == (again, first.exists(), (repository / "a.txt").exists())
    assert str(first) not in git(repository, "worktree", "list")


def test_checkouts_are_made_at_once(tmp_path: Path, repository: Path) -> None:
    """Tasks that begin at the same time each get a checkout, though git takes one worktree at a time."""
    specs = [TaskSpec(prompt="p", environment=str(repository), key=f"k{number}") for number in range(12)]
    with ThreadPoolExecutor(len(specs)) as pool:
        folders = list(pool.map(lambda spec: checked_out(tmp_path / "w", spec), specs))

    assert ["one\n"] * len(specs) == [(folder / "a.txt").read_text() for folder in folders]


def test_a_repository_is_cloned_once_and_fetched(tmp_path: Path, repository: Path) -> None:
    """A repository that is named by owner and name is cloned to the host, and fetched for the next task."""
    service = Service(base_url="stdio:", clone_url=f"file://{tmp_path}/{{repository}}")
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner/repo").symlink_to(repository)
    spec = TaskSpec(prompt="p", repository="owner/repo", branch="main", key="one")
    first = checked_out(tmp_path / "w", spec, service)
    (repository / "a.txt").write_text("pushed\n")
    git(repository, "commit", "-qam", "pushed")
    second = checked_out(tmp_path / "w", msgspec.structs.replace(spec, key="two"), service)

    assert ("one\n", "pushed\n") == ((first / "a.txt").read_text(), (second / "a.txt").read_text())


@pytest.mark.parametrize(
    ("environment", "branch", "message"),
    [
        ("/no/such/folder", None, "is not a git repository on the host"),
        (None, "no-such-branch", "has no branch 'no-such-branch' on the host"),
    ],
)
def test_what_cannot_be_checked_out_is_an_error(
    tmp_path: Path, repository: Path, environment: str | None, branch: str | None, message: str
) -> None:
    """A repository or a branch that is not there is one line, and no checkout."""
    spec = TaskSpec(prompt="p", environment=environment or str(repository), branch=branch, key="k")
    with pytest.raises(errors.ConfigurationError, match=message):
        checked_out(tmp_path / "w", spec)

    assert not (tmp_path / "w" / "k").exists()


def test_a_folder_without_git_has_a_problem(tmp_path: Path) -> None:
    """A thread that works elsewhere has no change, and the reason."""
    change = change_in(tmp_path)

    assert (None, True) == (change.patch, "not a git repository" in (change.problem or ""))


def test_a_thread_of_another_program_is_compared_with_its_first_commit(repository: Path) -> None:
    """Without a checkout of ours, the change is against the commit that the host reports."""
    (repository / "a.txt").write_text("changed\n")

    assert (1, None) == (
        len((change_in(repository, git(repository, "rev-parse", "HEAD")).patch or ()).files),  # type: ignore[union-attr]
        change_in(repository).patch,
    )


def test_keys_become_names_of_folders() -> None:
    """A key that is a plain word is the name; any other one is replaced by its digest."""
    names = [name_of(key) for key in ("0a1b", "../../etc", "a b", ".", "-x", "é" * 300)]

    assert ["0a1b"] == [name for name in names if len(name) != 40]
    assert all(name.isalnum() for name in names)


def test_a_worktree_that_meets_a_half_written_one_is_added_again(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git fails where it reads the files of another worktree that is not complete yet; the next try adds the worktree."""
    programs = tmp_path / "bin"
    programs.mkdir()
    real = shutil.which("git")
    failing = f'case "$*" in *"worktree add"*) [ -e {tmp_path}/tried ] || {{ : >{tmp_path}/tried; exit 128; }};; esac'
    for name, line in (("git", f'{failing}\nexec {real} "$@"'), ("sleep", "exit 0")):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    folder = checked_out(tmp_path / "w", TaskSpec(prompt="p", environment=str(repository), key="k"))

    assert (True, "one\n") == ((tmp_path / "tried").exists(), (folder / "a.txt").read_text())
