"""Agents that leave what no tool expects: the rest of their work is collected, and what is not is named."""

from __future__ import annotations

import os
import queue
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.checkouts import RepositoryCopies, git, init

from coatcheck._workspaces.cancellation import Cancelled, CancelScope, TimedOut
from coatcheck._workspaces.command_process import ProcessResult
from coatcheck._workspaces.git import Git, WorkspaceError, git_environment
from coatcheck._workspaces.mount_points import is_mount_point, mount_points
from coatcheck._workspaces.tree_removal import remove_tree
from coatcheck._workspaces.workspace import WorkspaceManager
from coatcheck.cloud.attempt_runner import PARTIAL, Agent, Runner, conclude, notes_message
from coatcheck.cloud.attempts import Conclusion, Job, Listener
from coatcheck.cloud.collect_changes import Changes, collect_changes, printable
from coatcheck.cloud.command_agent import ending_of
from coatcheck.cloud.models import CANCELLED, COMPLETED, FAILED
from coatcheck.cloud.result_index import ignore_pattern


@pytest.fixture
def repository(tmp_path: Path, repositories: RepositoryCopies) -> Path:
    """Return a repository with rules for encodings, line ends and ignored files."""
    return repositories.copy(make_repository, tmp_path / "repository")


def make_repository(path: Path) -> None:
    """Commit files of every encoding and with every end of line."""
    init(path)
    (path / "src").mkdir()
    (path / "f.txt").write_text("one\n")
    (path / "src/g.txt").write_text("g\n")
    (path / ".gitattributes").write_text("*.rc text working-tree-encoding=UTF-16\n*.crlf text eol=crlf\n")
    (path / ".gitignore").write_text("*.log\n")
    (path / "known.rc").write_bytes("é\n".encode("utf-16"))
    (path / "known.crlf").write_bytes(b"a\r\nb\r\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "First")


@pytest.fixture
def workspaces(tmp_path: Path) -> WorkspaceManager:
    """Return a workspace manager in a new folder."""
    (tmp_path / "data").mkdir()
    return WorkspaceManager(tmp_path / "data", environ=os.environ)


@pytest.fixture
def collect(workspaces: WorkspaceManager, repository: Path) -> Iterator[Callable[[str], Changes]]:
    """Return what is collected of a shell script's work; git ends at a deadline, so nothing hangs."""
    opened = []

    def collect(script: str) -> Changes:
        workspace = workspaces.open("a", mirror="m", source=repository, branch="main", scope=CancelScope(240))
        opened.append(workspace)
        environ = {**git_environment(os.environ), "PYTHON": sys.executable}
        subprocess.run(["bash", "-c", script], cwd=workspace.work, env=environ, capture_output=True, check=False)
        return collect_changes(workspace)

    yield collect
    for workspace in opened:
        workspace.remove()
        assert not workspace.folder.exists()


NESTED = "git init -q {0}; echo work >{0}/a; git -C {0} add a; git -C {0} commit -qm nested; "
DEEP = "import os\nfor _ in range({0}): os.mkdir('{1}'); os.chdir('{1}')\nopen('leaf', 'w').write('x')"
SOCKET = "import socket; socket.socket(socket.AF_UNIX).bind('socket')"
REPOSITORY = "a repository: its files are in the diff, its history is not"

# What an agent does, the files in the diff beside z.txt, and the notes.
AGENTS: dict[str, tuple[str, list[str], list[str]]] = {
    "a FIFO as its index": ("rm .git/index; mkfifo .git/index", [], []),
    "FIFOs all over its .git": (
        (
            "for f in config HEAD packed-refs info/attributes info/exclude objects/info/alternates refs/heads/main commondir;"
            " do rm -f .git/$f; mkdir -p .git/${f%/*}; mkfifo .git/$f; done"
        ),
        [],
        [],
    ),
    "FIFOs among its objects": (
        (
            "echo two >>f.txt; git commit -qam Two; mkdir -p .git/objects/pack .git/objects/info; cd .git/objects;"
            " mkfifo pack/pack-1.idx pack/pack-1.pack pack/multi-pack-index info/commit-graph info/packs;"
            " for d in ??; do mkfifo $d/00000000000000000000000000000000000000; done"
        ),
        ["f.txt"],
        [],
    ),
    "links to devices": ("rm .git/index .git/config; ln -s /dev/zero .git/index; ln -s /dev/zero .git/config", [], []),
    "FIFOs where git reads rules": (
        "rm .gitattributes .gitignore; mkfifo .gitattributes .gitignore .gitmodules; echo x >a.log",
        [],
        [f"{name}: left out: a FIFO" for name in (".gitattributes", ".gitignore", ".gitmodules")],
    ),
    "a FIFO for a file": ("rm f.txt; mkfifo f.txt a.log", [], ["f.txt: left out: a FIFO"]),
    "a socket": ('"$PYTHON" -c ' + shlex.quote(SOCKET), [], ["socket: left out: a socket"]),
    "a FIFO as the HEAD of a repository": (
        "git init -q n; rm n/.git/HEAD; mkfifo n/.git/HEAD; echo x >n/x",
        ["n/x"],
        [f"n: {REPOSITORY}"],
    ),
    "repositories": (
        NESTED.format("one") + "git init -q two; echo b >two/b",
        ["one/a", "two/b"],
        [f"one: {REPOSITORY}", f"two: {REPOSITORY}"],
    ),
    "a repository that it added": (
        NESTED.format("one") + "git add -A; git commit -qm All",
        ["one/a"],
        [f"one: {REPOSITORY}"],
    ),
    "a large repository": (
        NESTED.format("one") + "cd one; for i in {1..1001}; do echo >$i; done",
        [],
        ["one: left out: a large repository"],
    ),
    "a repository in a known folder": ("git init -q src; echo n >src/n", ["src/n"], []),
    "a linked working tree": (
        "git worktree add -q -b other tree; echo n >tree/n",
        [],
        ["tree: left out: a working tree of git worktree"],
    ),
    "its whole folder closed": ("chmod 000 .. ../..", [], []),
    "an ignored repository": ("echo '/one/' >>.git/info/exclude; git init -q x.log; echo >x.log/x", [], []),
    "a bad encoding": (
        "echo hi >app.rc; printf '\\xff\\xfe\\x00\\xd8' >bad.rc; echo more >>f.txt",
        ["app.rc", "bad.rc", "f.txt"],
        [
            "app.rc: taken byte for byte, because git cannot convert it: fatal: BOM is required in 'app.rc' if encoded as UTF-16",
            "bad.rc: taken byte for byte, because git cannot convert it: fatal: failed to encode 'bad.rc' from UTF-16 to UTF-8",
        ],
    ),
    "an encoding that nobody knows": (
        "echo '*.k working-tree-encoding=KLINGON' >>.gitattributes; echo x >x.k",
        [".gitattributes", "x.k"],
        [
            "x.k: taken byte for byte, because git cannot convert it: fatal: failed to encode 'x.k' from KLINGON to UTF-8",
        ],
    ),
    "good encodings": (
        "printf '\\xff\\xfeh\\x00\\n\\x00' >new.rc; printf 'x\\r\\n' >new.crlf",
        ["new.crlf", "new.rc"],
        [],
    ),
    "names that are not UTF-8": (
        "printf x >$'caf\\xe9'; mkdir $'d\\xff'; printf y >$'d\\xff/y'; printf z >$'a\\nb'",
        ["a\nb", "caf\ufffd", "d\ufffd/y"],
        [],
    ),
    "a link that is not UTF-8": (
        "ln -s $'t\\xff' odd; ln -s / root",
        [],
        ["odd: left out: a link whose target is not UTF-8"],
    ),
    "closed files and folders": ("mkdir c; echo x >c/x; echo y >s; chmod 000 c s f.txt src", ["c/x", "s"], []),
    "a closed clone": ("chmod 000 .git .", [], []),
    "1,500 folders": (f'"$PYTHON" -c "{DEEP.format(1500, "d")}"', ["d/" * 1500 + "leaf"], []),
    "a path that is too long": (
        f'"$PYTHON" -c "{DEEP.format(30, "n" * 200)}"',
        [],
        ["/".join(["n" * 200] * 20) + ": left out: its path is too long"],
    ),
    "huge files": (
        "truncate -s 1T sparse; truncate -s 1T f.txt; truncate -s 1T a.log",
        [],
        ["f.txt: left out: larger than 32 MiB", "sparse: left out: larger than 32 MiB"],
    ),
    "another branch and commits": (
        "git checkout -qb other; echo x >x; git add x; git commit -qm X; git checkout -q --detach",
        ["x"],
        [],
    ),
    "no .git": ("rm -rf .git", [], [".git: removed by the agent; its commits are not known"]),
    "another .git": (
        "rm -rf .git; echo 'gitdir: /nowhere' >.git",
        [],
        [".git: not a folder any more; the agent's commits are not known"],
    ),
    "locks": ("touch .git/index.lock .git/HEAD.lock .git/config.lock", [], []),
    "a broken index": (
        "echo nonsense >.git/index",
        [],
        [
            (
                ".git/index: not readable, so files that git ignores are not in the diff: "
                "the repository is damaged or incomplete; git fsck there shows where: fatal: .git/index: index file smaller than expected"
            )
        ],
    ),
    "a split index": ("echo l >a.log; git add -f a.log; git update-index --split-index", ["a.log"], []),
    "an index that hides changes": ("git update-index --assume-unchanged f.txt; echo more >>f.txt", ["f.txt"], []),
    "names for git's own folder": (
        "mkdir .GIT git~1; echo x >.GIT/x; echo x >git~1/x",
        [],
        [".GIT/x: left out: git does not take this name", "git~1/x: left out: git does not take this name"],
    ),
    "replaced and grafted commits": (
        (
            "echo q >f.txt; git commit -qam Q; git replace HEAD~ HEAD; mkdir -p .git/info;"
            " git rev-parse HEAD | tee .git/info/grafts .git/shallow"
        ),
        ["f.txt"],
        [],
    ),
    "links that lead in circles": ("ln -s loop loop; ln -s . self; ln -s .. up; ln -s a b; ln -s b a", [], []),
    "names that look like options and patterns": (
        "touch -- -rf --help ':(glob)x' '!x' '#x' 'x ' '*' '[x]' '\\' '?'",
        ["!x", "#x", "*", "--help", "-rf", ":(glob)x", "?", "[x]", "\\", "x "],
        [],
    ),
    "names that differ in case": ("echo a >A; echo b >a; mkdir D; echo x >D/x; echo y >d", ["A", "D/x", "a", "d"], []),
    "a file for a folder, and a folder for a file": (
        "rm -r src; echo s >src; rm f.txt; mkdir f.txt; echo x >f.txt/x",
        ["f.txt/x", "src"],
        [],
    ),
    "no HEAD": ("rm .git/HEAD", [], []),
    "a link as its .git": (
        'mv .git ../moved; ln -s ../moved .git; echo "x" >>f.txt',
        ["f.txt"],
        [".git: not a folder any more; the agent's commits are not known"],
    ),
    "a folder as its index": (
        "rm .git/index; mkdir .git/index; echo x >.git/index/x",
        [],
        [],
    ),
    "objects of others": (
        "mkdir -p .git/objects/info; printf '/\\n/proc\\n../../../..\\n' >.git/objects/info/alternates; echo x >x",
        ["x"],
        [],
    ),
    "a submodule with a name of git's own folder": (
        (
            "mkdir GIT~1 ok; printf '[submodule \"g\"]\\n\\tpath = GIT~1\\n\\turl = ext::x\\n' >.gitmodules;"
            " cp -r .git GIT~1/.git; echo x >ok/x"
        ),
        [".gitmodules", "ok/x"],
        ["GIT~1: left out: git does not take this name"],
    ),
    "an index with entries that are nowhere": (
        (
            "x=1111111111111111111111111111111111111111; git update-index --add --cacheinfo 160000,$x,mod"
            " --cacheinfo 100644,$x,ghost --cacheinfo 100644,$x,lost; git update-index --skip-worktree lost"
        ),
        [],
        ["lost: left out: outside the sparse checkout, and not readable"],
    ),
    "a git directory of ours that it changed": (
        (
            "cd ../base.git; git config core.fsmonitor 'touch ran'; mkdir -p info hooks; echo '*' >info/exclude;"
            " echo '* -diff' >info/attributes; rm HEAD config; mkfifo HEAD config; cd ../work"
        ),
        [],
        [],
    ),
}


@pytest.mark.parametrize("name", AGENTS)
def test_the_rest_is_collected_and_what_is_not_is_named(name: str, collect: Callable[[str], Changes]) -> None:
    """For anything an agent leaves beside it, z.txt is in the diff, and every path that is not is in the notes."""
    script, files, notes = AGENTS[name]
    changes = collect(f"echo z >z.txt; ({script})")
    found = [
        note if ".git/index" not in note else note.replace(note.split("fatal: ")[1].split(": ")[0], ".git/index")
        for note in changes.notes
    ]

    assert (sorted([*files, "z.txt"]), notes) == (sorted(file.path for file in changes.files), found)


def test_a_diff_of_odd_names_and_encodings_applies(repository: Path, collect: Callable[[str], Changes]) -> None:
    """`git apply` of the diff creates the agent's files."""
    names = "printf x >$'caf\\xe9'; printf z >$'a\\nb'; echo hi >app.rc; echo more >>f.txt; rm -r src; echo s >src"
    diff = collect(names).diff
    git(repository, "update-index", "--refresh")  # of the copied files
    apply = ["git", "-C", str(repository), "apply", "--index", "-"]
    subprocess.run(apply, input=diff.encode(), env=git_environment(os.environ), check=True)
    found = {entry: (os.fsencode(repository) + b"/" + entry) for entry in (b"caf\xe9", b"a\nb", b"src")}

    assert [b"x", b"z", b"s\n"] == [Path(os.fsdecode(path)).read_bytes() for path in found.values()]


def test_the_last_subject_is_read_when_objects_are_mixed_with_fifos(collect: Callable[[str], Changes]) -> None:
    """The agent's commit is read after everything but regular files was removed from its objects."""
    script = "echo two >>f.txt; git commit -qam Two; for d in .git/objects/??; do mkfifo $d/x; done"

    assert "Two" == collect(script).subject


def test_a_submodule_is_its_commit(collect: Callable[[str], Changes], repository: Path) -> None:
    """A submodule that the agent adds is a commit in the diff, and its other changes are named."""
    add = f"git -c protocol.file.allow=always submodule --quiet add {shlex.quote(str(repository))} sub; echo x >sub/x"
    changes = collect(add)

    assert ("sub: a submodule: only its commit is in the diff",) == changes.notes
    assert "+Subproject commit" in changes.diff


PROGRAMS = r"""
run="touch $PWD/../ran; cat"
for key in core.fsmonitor core.hooksPath core.pager core.editor core.sshCommand core.askPass core.alternateRefsCommand \
  diff.external diff.x.command diff.x.textconv filter.x.clean filter.x.smudge filter.x.process merge.x.driver \
  gpg.program log.showSignature uploadpack.packObjectsHook credential.helper sequence.editor; do git config $key "$run"; done
git config core.hooksPath "$PWD/hooks"; git config core.worktree /; git config include.path "$PWD/more"
mkdir -p hooks .git/hooks; for hook in post-index-change pre-commit post-checkout post-commit reference-transaction fsmonitor-watchman; do
  printf '#!/bin/sh\ntouch %s\n' "$PWD/../ran" | tee hooks/$hook >.git/hooks/$hook; chmod +x hooks/$hook .git/hooks/$hook; done
printf '[diff "x"]\n\tcommand = touch %s\n\ttextconv = touch %s\n[filter "x"]\n\tclean = touch %s\n\trequired\n' \
  "$PWD/../ran" "$PWD/../ran" "$PWD/../ran" | tee more >.gitconfig
printf '* filter=x diff=x merge=x text=auto\n' >.gitattributes; mkdir -p .git/info; cp .gitattributes .git/info/attributes
echo more >>f.txt
"""


def test_nothing_that_an_agent_configures_is_run(collect: Callable[[str], Changes], tmp_path: Path) -> None:
    """Hooks, filters, drivers, monitors and helpers of the agent's clone run nowhere while its changes are collected."""
    changes = collect(PROGRAMS)
    ran = list(tmp_path.rglob("ran"))

    assert ("+more\n" in changes.diff, []) == (True, ran)


SPARSE = {
    "a sparse checkout": ("git sparse-checkout set src; echo z >src/z", ["src/z"]),
    "patterns": ("git sparse-checkout set --no-cone '/*' '!/src/'; echo z >z", ["z"]),
    "a sparse index": ("git sparse-checkout set --sparse-index other; echo z >z", ["z"]),
    "skip-worktree": ("git update-index --skip-worktree f.txt; rm f.txt; echo z >z", ["z"]),
    "skip-worktree of a changed file": ("git update-index --skip-worktree f.txt; echo z >>f.txt", ["f.txt"]),
    "a new file outside": (
        "mkdir new; echo n >new/n; git add new; git commit -qm N; git sparse-checkout set src; echo z >z",
        ["new/n", "z"],
    ),
    "a changed file outside": (
        "echo more >>src/g.txt; git commit -qam M; git sparse-checkout set other; echo z >z",
        ["src/g.txt", "z"],
    ),
    "a file outside that it deleted": (
        "git sparse-checkout set other; git rm -q --sparse src/g.txt; git commit -qm D; echo z >z",
        ["src/g.txt", "z"],
    ),
    "a file outside that it staged": (
        (
            "git sparse-checkout set other; id=$(echo s | git hash-object -w --stdin);"
            " git update-index --cacheinfo 100644,$id,src/g.txt; git update-index --skip-worktree src/g.txt; echo z >z"
        ),
        ["src/g.txt", "z"],
    ),
    "disabled again": ("git sparse-checkout set src; git sparse-checkout disable; rm src/g.txt", ["src/g.txt"]),
    "a folder outside that is a file now": (
        "git sparse-checkout set other; rm -rf src; echo s >src",
        ["src", "src/g.txt"],
    ),
}


@pytest.mark.parametrize("name", SPARSE)
def test_what_is_outside_a_sparse_checkout_is_not_deleted(name: str, collect: Callable[[str], Changes]) -> None:
    """The diff has what the agent changed, in its tree or in its index, and no file that it only did not check out."""
    script, expected = SPARSE[name]
    changes = collect(script)
    actual = re.findall(r"^diff --git a/(\S+) b/", changes.diff, re.MULTILINE)

    assert (expected, ()) == (actual, changes.notes)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_mount_points_are_known_without_entering_them() -> None:
    """A folder that an agent binds into its tree cannot be distinguished by its files, so the system's list is used."""
    assert b"proc" in mount_points(Path("/"))


@pytest.mark.parametrize(
    ("path", "expected"), [(b"a b", rb"a\ b"), (b"[x]*", rb"\[x]\*"), (b"!a\\", rb"\!a\\"), (b"#?", rb"\#\?")]
)
def test_an_excluded_path_means_itself_alone(path: bytes, expected: bytes) -> None:
    """Characters that gitignore(5) interprets are escaped."""
    assert expected == ignore_pattern(path)


def test_a_path_in_a_note_is_one_line() -> None:
    """Control characters and bytes that are not UTF-8 are escaped."""
    assert "a\\nb\\x1b \\xe9 é" == printable(b"a\nb\x1b \xe9 \xc3\xa9")


def test_many_notes_are_counted() -> None:
    """A message has a maximum length."""
    (message,) = notes_message([str(number) for number in range(150)])

    assert ("Notes on this result:", "- and 50 more") == (message.splitlines()[0], message.splitlines()[-1])


# -- the deadline and the cancellation -------------------------------------------------------------------------------------


class Attempts:
    """A runner of one attempt at a time, and the conclusions that it reported."""

    def __init__(
        self,
        workspaces: WorkspaceManager,
        repository: Path,
        command: tuple[str, ...],
        timeout: float | None,
        *,
        refusals: Sequence[Exception] = (),
    ) -> None:
        self._repository, self._refusals = repository, list(refusals)
        self._conclusions: queue.SimpleQueue[tuple[str, Conclusion]] = queue.SimpleQueue()
        agent = Agent(command=command, timeout=timeout, environ={**os.environ, "PYTHON": sys.executable})
        self.listener = Listener(on_start=lambda _job: True, on_line=lambda *_: None, on_end=self._on_end)
        self.runner = Runner(agent, workspaces, self.listener, max_parallel=1, pauses=(0, 0))
        self.runner.start()

    def _on_end(self, job: Job, conclusion: Conclusion) -> None:
        if self._refusals:
            raise self._refusals.pop(0)
        self._conclusions.put((job.attempt_id, conclusion))

    def submit(self, id: str = "a") -> None:
        source = str(self._repository)
        self.runner.submit(
            Job(
                task_id="t",
                attempt_id=id,
                number=1,
                total=1,
                environment_id="e",
                source=source,
                branch="main",
                prompt="p",
            )
        )

    def next(self) -> tuple[str, Conclusion]:
        """Wait for the next conclusion, and return it with the attempt's ID."""
        return self._conclusions.get(timeout=240)

    def finish(self) -> Conclusion:
        """Wait for the next conclusion."""
        return self.next()[1]


FAKE_GIT = """#!/bin/sh
for word; do [ "$word" = "{verb}" ] && {{ echo $$ >"{folder}/hanging"; exec sleep 300; }}; done
exec {git} "$@"
"""


@pytest.fixture
def hanging_git(tmp_path: Path) -> Iterator[Callable[[str], WorkspaceManager]]:
    """Return a workspace manager whose git reports itself and hangs at one command."""
    os.mkfifo(tmp_path / "hanging")
    reader = os.open(tmp_path / "hanging", os.O_RDWR)  # so that reporting never waits

    def make(verb: str) -> WorkspaceManager:
        (tmp_path / "bin").mkdir()
        (tmp_path / "data").mkdir()
        program = tmp_path / "bin" / "git"
        program.write_text(FAKE_GIT.format(verb=verb, folder=tmp_path, git=shutil.which("git")))
        program.chmod(0o755)
        return WorkspaceManager(
            tmp_path / "data", environ={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
        )

    yield make
    os.close(reader)


@pytest.mark.parametrize("verb", ["clone", "fetch", "checkout", "read-tree", "add", "diff"])
def test_cancelling_ends_git_wherever_an_attempt_is(
    verb: str, hanging_git: Callable[[str], WorkspaceManager], repository: Path, tmp_path: Path
) -> None:
    """A git command that hangs, from the clone to collecting, is killed on cancellation, and the next attempt can run."""
    attempts = Attempts(hanging_git(verb), repository, ("sh", "-c", "echo z >z.txt"), None)
    attempts.submit()
    with (tmp_path / "hanging").open() as reports:
        pid = int(reports.readline())
    attempts.runner.cancel(["a"])
    conclusion = attempts.finish()
    attempts.runner.close()

    assert (CANCELLED, []) == (conclusion.state, list((tmp_path / "data" / "attempts").iterdir()))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_deadline_covers_the_clone(hanging_git: Callable[[str], WorkspaceManager], repository: Path) -> None:
    """A clone that hangs ends with the attempt's timeout, and the failure names when it happened."""
    attempts = Attempts(hanging_git("clone"), repository, ("true",), 0.3)
    attempts.submit()
    conclusion = attempts.finish()
    attempts.runner.close()

    assert conclusion.error is not None
    assert ("timed_out", "the attempt timed out after 0.3 s, while its clone was made") == (
        conclusion.error.code,
        conclusion.error.message,
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("echo x >new.txt", (f"Notes on this result:\n- {PARTIAL}", ["new.txt"])),
        ("true", ("", [])),
        (
            "cd ..; rm -rf work",
            (
                (
                    "Notes on this result:\n- the changes of the agent until it failed are not in this result: "
                    "the agent removed its own clone"
                ),
                [],
            ),
        ),
    ],
)
def test_the_changes_of_an_agent_that_timed_out_are_collected(
    change: str, expected: tuple[str, list[str]], workspaces: WorkspaceManager, repository: Path
) -> None:
    """Collecting a partial diff has a deadline of its own, because the attempt's has passed."""
    now = [0.0]
    scope = CancelScope(1000, monotonic=lambda: now[0])
    workspace = workspaces.open("a", mirror="m", source=repository, branch="main", scope=scope)
    subprocess.run(["sh", "-c", change], cwd=workspace.work, check=True)
    now[0] = 2000.0
    job = Job(
        task_id="t", attempt_id="a", number=1, total=1, environment_id="m", source="", branch="main", prompt="Do it"
    )
    ending = ending_of(ProcessResult(exit_code=-9, stdout="", stderr="", is_timeout=True))
    conclusion = conclude(job, ending, workspace, timeout=1000)
    workspace.remove()

    assert conclusion.error is not None
    assert conclusion.result is not None
    assert ("timed_out", *expected) == (
        conclusion.error.code,
        "".join(conclusion.result.messages),
        re.findall(r"^\+\+\+ b/(.*)$", conclusion.result.diff, re.MULTILINE),
    )


@pytest.mark.parametrize("place", ["folder", "work"])
def test_a_clone_with_a_file_system_mounted_on_it_is_not_touched(
    place: str, workspaces: WorkspaceManager, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is mounted on the clone may be another folder of the machine: nothing of it is read, changed or removed."""
    workspace = workspaces.open("a", mirror="m", source=repository, branch="main")
    mounted = getattr(workspace, place)
    mounted.chmod(0o755)
    monkeypatch.setattr("coatcheck.cloud.collect_changes.is_mount_point", lambda path: path == mounted)
    monkeypatch.setattr("coatcheck._workspaces.tree_removal.is_mount_point", lambda path: path == mounted)
    before = sorted(mounted.rglob("*"))
    with pytest.raises(WorkspaceError, match="a file system is mounted"):
        collect_changes(workspace)
    problems = remove_tree(mounted)

    assert (before, [f"{mounted}: a file system is mounted on it"], 0o755) == (
        sorted(mounted.rglob("*")),
        problems,
        mounted.stat().st_mode & 0o777,
    )


@pytest.mark.parametrize(("folder", "expected"), [("/data/a b", True), ("/data", False), ("/data/a b/c", False)])
def test_a_bind_mount_is_in_the_table(tmp_path: Path, folder: str, expected: bool) -> None:
    """A bind mount of the same file system is known by the system's table alone."""
    table = tmp_path / "mountinfo"
    table.write_text("36 35 8:1 /home /data/a\\040b rw - ext4 /dev/sda1 rw\n")

    assert expected == is_mount_point(Path(folder), table=table)


@pytest.mark.parametrize("verb", ["read-tree", "add", "diff"])
def test_the_deadline_covers_collecting(
    verb: str, hanging_git: Callable[[str], WorkspaceManager], repository: Path
) -> None:
    """A git command that hangs while the changes are collected ends at the deadline."""
    workspace = hanging_git("nothing hangs yet").open("a", mirror="m", source=repository, branch="main")
    program = workspace.folder.parents[2] / "bin" / "git"
    program.write_text(program.read_text().replace("nothing hangs yet", verb))
    workspace.scope = CancelScope(0.3)
    workspace.git = workspace.git.within(workspace.scope, {"PATH": f"{program.parent}:{os.environ['PATH']}"})
    with pytest.raises(TimedOut):
        collect_changes(workspace)
    workspace.remove()

    assert not workspace.folder.exists()


def test_a_scope_that_was_cancelled_cancels_what_comes_later() -> None:
    """A cancellation before the start is not lost, and has precedence over the deadline."""
    scope, calls = CancelScope(0.0), []
    with pytest.raises(TimedOut):
        scope.check()
    scope.cancel()
    with scope.on_cancel(lambda: calls.append(1)):
        pass
    with pytest.raises(Cancelled):
        scope.check()

    assert [1] == calls


def test_a_git_command_that_fails_half_way_is_an_error(repository: Path) -> None:
    """The status of a command counts also where its output is read in parts."""
    with pytest.raises(WorkspaceError, match="bad revision"):
        Git(os.environ).read_capped("-C", repository, "diff", "nothing", "--", limit=1000)


def test_a_command_that_is_read_in_parts_ends_with_its_attempt() -> None:
    """At the deadline of the attempt the attempt is out of time; it is no failure of git."""
    git = Git(os.environ, scope=CancelScope(0.5))
    with pytest.raises(TimedOut):
        git.read_capped("-c", "alias.wait=!sleep 30", "wait", limit=1000)


# -- clean-up and slots -----------------------------------------------------------------------------------------------------


def test_clean_up_that_fails_changes_no_result_and_is_tried_again(
    workspaces: WorkspaceManager,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The attempt completes, the folder is named in the log, and the next attempt removes it."""
    monkeypatch.setattr(
        "coatcheck._workspaces.workspace.remove_tree", lambda path: [f"{path.name}: Device or resource busy"]
    )
    attempts = Attempts(workspaces, repository, ("sh", "-c", "echo z >z.txt"), None)
    attempts.submit("a")
    first = attempts.finish()
    monkeypatch.undo()
    attempts.submit("b")
    second = attempts.finish()
    attempts.runner.close()

    assert (COMPLETED, COMPLETED) == (first.state, second.state)
    assert "Device or resource busy" in caplog.text
    assert [] == list((tmp_path / "data" / "attempts").iterdir())


def test_what_cannot_be_removed_does_not_stop_the_next_start(
    workspaces: WorkspaceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep reports, and returns."""
    monkeypatch.setattr("coatcheck._workspaces.workspace.remove_tree", lambda path: ["busy"])
    workspaces.sweep()


def test_a_runner_closes_before_it_starts(workspaces: WorkspaceManager) -> None:
    """A server that fails between making its runner and starting it ends as any other."""
    listener = Listener(on_start=lambda _job: True, on_line=lambda *_: None, on_end=lambda *_: None)
    Runner(Agent(command=("true",)), workspaces, listener).close()


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [
        ([FULL, FULL], COMPLETED),
        ([FULL, sqlite3.OperationalError("database is locked"), FULL], FAILED),
        ([FULL] * 6, FAILED),
        ([UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")], FAILED),
    ],
)
def test_an_attempt_whose_result_is_refused_ends(
    refusals: list[Exception],
    expected: str,
    workspaces: WorkspaceManager,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A result is offered again while the reason may pass; then the attempt fails with the reason, and holds no slot."""
    monkeypatch.setattr("coatcheck.cloud.attempt_runner.RETRY_INTERVAL", 0.01)
    attempts = Attempts(workspaces, repository, ("true",), None, refusals=refusals)
    attempts.submit("a")
    attempts.submit("b")
    conclusions = dict(attempts.next() for _ in range(2))
    attempts.runner.close()
    error = conclusions["a"].error

    assert (expected, COMPLETED, expected == FAILED) == (
        conclusions["a"].state,
        conclusions["b"].state,
        error is not None and error.code == "result_not_kept" and "cannot be kept" in (error.message or ""),
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ('echo "[]" >"$COATCHECK_RESULT"', "Expected `object`, got `array`"),
        ('mkfifo "$COATCHECK_RESULT"', "not a regular file"),
        ('ln -s /dev/zero "$COATCHECK_RESULT"', "not a regular file"),
        ('truncate -s 1T "$COATCHECK_RESULT"', "larger than 4 MiB"),
        ('printf "\\377" >"$COATCHECK_RESULT"', "cannot be read"),
    ],
)
def test_a_report_that_cannot_be_read_loses_no_diff(
    make: str, reason: str, workspaces: WorkspaceManager, repository: Path
) -> None:
    """The diff is there, and a message names the result file and the reason."""
    attempts = Attempts(workspaces, repository, ("sh", "-c", f"echo z >z.txt; {make}"), None)
    attempts.submit()
    result = attempts.finish().result
    attempts.runner.close()

    assert result is not None
    assert ("b/z.txt" in result.diff, True) == (
        True,
        "result file" in result.messages[1] and reason in result.messages[1],
    )
