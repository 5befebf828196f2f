"""The rules of sandboxes as text: arguments, profiles, verdicts, and which sandbox is chosen."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from coatcheck._review import sandbox_choice
from coatcheck._review.bubblewrap import Bubblewrap, reveal
from coatcheck._review.check_runs import cheapest_first, judge
from coatcheck._review.checks import Check, Limits, Verdict, Verification
from coatcheck._review.sandbox import SandboxedCommand, script
from coatcheck._review.setups import SetupError, find_outputs
from coatcheck._review.unconfined import SandboxExec, Unconfined
from coatcheck._workspaces.command_process import ProcessResult
from coatcheck.errors import ConfigurationError

COMMAND = SandboxedCommand(
    words=("make", "test"), source=Path("/f/source"), repository=Path("/f/mirror.git"), limits=Limits(), timeout=5
)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"exit_code": 0}, (Verdict.PASSED, 0, None)),
        ({"exit_code": 0, "limit": "memory"}, (Verdict.PASSED, 0, None)),
        ({"exit_code": 2}, (Verdict.FAILED, 2, None)),
        ({"exit_code": 255}, (Verdict.FAILED, 255, None)),
        ({"exit_code": 139}, (Verdict.FAILED, -11, None)),
        ({"exit_code": -9}, (Verdict.FAILED, -9, None)),
        ({"exit_code": 137, "limit": "memory"}, (Verdict.ERROR, -9, "it was ended at the limit memory")),
        ({"exit_code": 152}, (Verdict.ERROR, -24, "it was ended at the limit cpu")),
        ({"exit_code": 127}, (Verdict.ERROR, 127, "make was not found")),
        ({"exit_code": 126}, (Verdict.ERROR, 126, "make cannot be run")),
        ({"exit_code": 125}, (Verdict.FAILED, 125, None)),
        (
            {"exit_code": 125, "stderr": "cp: No space left on device"},
            (Verdict.ERROR, 125, "the files could not be copied into the sandbox: cp: No space left on device"),
        ),
        (
            {"exit_code": 1, "stderr": "bwrap: no"},
            (Verdict.ERROR, 1, "the sandbox could not be started: bwrap: no"),
        ),
        ({"exit_code": -9, "is_timeout": True}, (Verdict.ERROR, None, "it was ended after 5 s")),
    ],
)
def test_the_exit_status_is_the_verdict(result: dict, expected: tuple[Verdict, int | None, str | None]) -> None:  # type: ignore[type-arg]
    """A verdict is the exit status; what could not be run, and what was ended at a limit, are errors with a reason."""
    judged = judge(ProcessResult(**{"stdout": "", "stderr": "", **result}), COMMAND)

    assert judged == expected


def test_checks_of_unknown_cost_keep_their_place() -> None:
    """Checks are ordered by known seconds; one that was never run stays behind the one before it."""
    order = [Check(name=name, run=name) for name in ("slow", "unknown", "fast")]
    known = {"slow": 9.0, "fast": 1.0}

    assert [each.name for each in cheapest_first(order, lambda check: known.get(check.name))] == [
        "fast",
        "slow",
        "unknown",
    ]


def test_the_command_is_an_argument_of_the_script() -> None:
    """What a command contains is never read as a script."""
    words = ("make", '$(reboot)"; reboot', "`reboot`")
    wrapped = script(_with(words=words), source="/s", processes=7)

    assert (wrapped[4:], "reboot" in wrapped[2]) == (["/s", *words], False)


def _with(**changes: object) -> SandboxedCommand:
    import msgspec

    return msgspec.structs.replace(COMMAND, **changes)


def test_bubblewrap_shares_the_network_only_where_it_is_permitted(tmp_path: Path) -> None:
    """Without permission there is a network namespace; every other namespace is there always."""
    sandbox = Bubblewrap(Path("/usr/bin/true"), folder=tmp_path, environ={})
    without, with_network = (sandbox.arguments(_with(network=network)) for network in (False, True))
    spaces = [f"--unshare-{name}" for name in ("user", "pid", "ipc", "uts")]

    assert ("--unshare-net" in without, "--unshare-net" in with_network, [each in with_network for each in spaces]) == (
        True,
        False,
        [True] * 4,
    )


def test_everything_that_can_be_written_has_a_size(tmp_path: Path) -> None:
    """Each tmpfs of a check has a size, and each path of the system is read-only."""
    arguments = Bubblewrap(Path("/usr/bin/true"), folder=tmp_path, environ={}).arguments(COMMAND)
    sized = [arguments[at - 2] for at, word in enumerate(arguments) if word == "--tmpfs"]

    assert (set(sized), "--bind" in arguments, arguments[arguments.index("--remount-ro") + 1]) == (
        {"--size"},
        False,
        "/dev",
    )


def test_links_of_a_setup_stay_links(tmp_path: Path) -> None:
    """An output that is a link is made again as a link: bubblewrap would bind what it points to."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work/stolen").symlink_to("/root")
    arguments = Bubblewrap(Path("/usr/bin/true"), folder=tmp_path, environ={}).arguments(
        _with(setup=tmp_path, outputs=("stolen",))
    )
    at = arguments.index("/coatcheck/work/stolen")

    assert arguments[at - 2 : at] == ["--symlink", "/root"]


def test_a_closed_folder_is_empty_but_for_what_is_revealed(tmp_path: Path) -> None:
    """What the unprivileged user cannot reach is shown in an empty folder, read-only except for our own folder."""
    closed = tmp_path / "closed"
    (closed / "python").mkdir(parents=True)
    (closed / "ours").mkdir()
    closed.chmod(0o700)
    for parent in closed.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    paths = [str(closed / "python"), str(closed / "ours")]
    words = reveal(Path("/usr/bin/env"), paths, writable=paths[1], user=65534) if shutil.which("setpriv") else None
    if words is None:
        pytest.skip("setpriv is not installed")
    tail = words[words.index("--tmpfs") :]

    assert (tail[1], "--ro-bind" in tail, tail[tail.index("--bind") + 1], words[-5:-1]) == (
        str(closed),
        True,
        paths[1],
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
    )


def test_the_profile_of_macos_denies_first() -> None:
    """Everything is denied, homes and the network are denied again after reading was allowed, and paths are parameters."""
    profile = SandboxExec.profile(has_network=False, readable=1).splitlines()
    order = [profile.index(line) for line in profile if "deny" in line]

    assert (
        profile[1],
        profile.index("(allow file-read*)") < order[1],
        profile[-1],
        '(allow file-read* (subpath (param "READABLE0")))' in profile,
        [line for line in profile if "file-write*" in line],
    ) == ("(deny default)", True, "(deny network*)", True, ['(allow file-write* (subpath (param "WORK")))'])


def test_paths_are_no_part_of_the_profile(tmp_path: Path) -> None:
    """A folder whose name contains the profile's own syntax changes no rule."""
    folder = tmp_path / '") (allow default) ("'
    words = SandboxExec(environ={}).prefix(COMMAND, folder)

    assert (words[0], "allow default" in words[2], f"-DWORK={os.path.realpath(folder)}" in words) == (
        "/usr/bin/sandbox-exec",
        False,
        True,
    )


def test_no_weaker_sandbox_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no sandbox works, checks are refused with the remedy; "none" is used only where it is written."""
    monkeypatch.setattr(sandbox_choice, "find_bwrap", lambda _path: iter([Path("/usr/bin/false")]))
    monkeypatch.setattr(sandbox_choice.sys, "platform", "linux")
    with pytest.raises(ConfigurationError) as refused:
        sandbox_choice.choose_sandbox(Verification(), folder=tmp_path, environ={})
    chosen = sandbox_choice.choose_sandbox(Verification(sandbox="none"), folder=tmp_path, environ={})

    assert (
        "/usr/bin/false" in str(refused.value),
        'sandbox = "none"' in (refused.value.remedy or ""),
        type(chosen),
    ) == (
        True,
        True,
        Unconfined,
    )


@pytest.mark.parametrize(("platform", "kind"), [("linux", "auto"), ("win32", "auto"), ("linux", "sandbox-exec")])
def test_a_sandbox_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, kind: str
) -> None:
    """No bubblewrap, another system, and another system's sandbox are errors with a remedy."""
    monkeypatch.setattr(sandbox_choice, "find_bwrap", lambda _path: iter(()))
    monkeypatch.setattr(sandbox_choice.sys, "platform", platform)
    with pytest.raises(ConfigurationError) as refused:
        sandbox_choice.choose_sandbox(Verification(sandbox=kind), folder=tmp_path, environ={})  # type: ignore[arg-type]

    assert 'write sandbox = "none"' in (refused.value.remedy or "")


def test_outputs_of_a_setup_are_found_without_git(tmp_path: Path) -> None:
    """Outputs are the uppermost files and folders that are not tracked; hooks that a package has written do not run."""
    for name in (
        "src/a.txt",
        "src/gen.txt",
        ".venv/bin/python",
        "node_modules/x/y",
        "src/__pycache__/z",
        ".git/config",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")

    assert find_outputs(tmp_path, {"src/a.txt"}) == [".venv", "node_modules", "src/gen.txt"]


def test_a_setup_may_not_replace_a_folder(tmp_path: Path) -> None:
    """A tracked folder that has become a link is an error: the files of candidates would be written through it."""
    (tmp_path / "src").symlink_to("/")
    with pytest.raises(SetupError) as refused:
        find_outputs(tmp_path, {"src/a.txt"})

    assert str(refused.value) == "the setup has replaced the folder src"


def test_the_script_runs_in_the_shell_of_the_system(tmp_path: Path) -> None:
    """The script copies the clone, sets the limits and becomes the command, with errors in the output."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_text("content\n")
    (tmp_path / "work").mkdir()
    words = ("/bin/sh", "-c", "cat file; ulimit -c; echo error >&2")
    done = subprocess.run(
        script(_with(words=words), source=str(tmp_path / "source"), processes=None),
        cwd=tmp_path / "work",
        env={"PATH": os.defpath, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "content\n0\nerror\n", "")
