"""Hostile checks in the sandbox: each is contained, and reported."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
from pathlib import Path

import msgspec
import pytest
from tests.review.verification import FILES, LIMITS, Repository, Review, checks, git

from coatcheck._review.checks import Check, Verdict

pytestmark = [
    pytest.mark.usefixtures("sandboxed"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bubblewrap is for Linux"),
]
GOOD = {"main.txt": FILES["main.txt"] + "nine\n"}


def shell(script: str) -> str:
    """Return a check that runs a shell script."""
    return shlex.join(["sh", "-c", script])


def python(program: str) -> str:
    """Return a check that runs a Python program, with the Python of these tests."""
    return shlex.join([sys.executable, "-I", "-c", program])


def test_homes_and_secrets_are_not_there(review: Review, home: Path) -> None:
    """A check sees no home folder, no socket, no files of the person, and cannot read /etc/shadow."""
    (home / "secret").write_text("secret")
    places = f"{home} {review.repository.path} {review.folder} /home /run /var /sys"
    result = review.check(shell(f"ls -d {places} 2>/dev/null; cat /etc/shadow 2>/dev/null; echo end"))

    assert (result.verdict, result.log) == ("passed", "end\n")


def test_a_check_has_no_privileges(review: Review) -> None:
    """A check runs as an unprivileged user without capabilities, also when we are root."""
    result = review.check(shell("id -u; grep CapEff /proc/self/status; unshare -U true 2>/dev/null && echo nested"))
    user = os.geteuid() or 65534

    assert result.log == f"{user}\nCapEff:\t0000000000000000\n"


def test_there_is_no_network(review: Review) -> None:
    """A check reaches nothing: not even a server on this machine, by TCP or by an abstract socket."""
    with socket.socket() as server, socket.socket(socket.AF_UNIX) as abstract:
        server.bind(("127.0.0.1", 0))
        server.listen()
        name = f"coatcheck-{os.getpid()}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        result = review.check(
            python(
                "import socket\n"
                f"for family, address in ((socket.AF_INET, ('127.0.0.1', {server.getsockname()[1]})),"
                f" (socket.AF_UNIX, '\\0{name}')):\n"
                "    print(socket.socket(family).connect_ex(address) != 0)\n"
            )
        )

    assert result.log == "True\nTrue\n"


def test_the_network_is_there_where_it_is_permitted(review: Review) -> None:
    """A verification with a network reaches a server on this machine."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        result = review.check(
            python(f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"), network=True
        )

    assert result.verdict == "passed"


def test_no_other_process_is_visible(review: Review) -> None:
    """A check sees its own processes alone, and can signal no other."""
    result = review.check(shell(f"ls /proc | grep -c '^[0-9]*$'; kill -0 {os.getpid()} 2>/dev/null || echo none"))
    processes, signalled = result.log.split()

    assert (int(processes) < 8, signalled) == (True, "none")


def test_forks_without_end_are_bounded(review: Review) -> None:
    """A check gets no more processes than its limit, and all of them end with it."""
    mark = f"9{os.getpid()}"
    bomb = (
        "import os, time\nn = 0\ntry:\n    while n < 500:\n        if not os.fork(): time.sleep(%s)\n        n += 1\n"
    )
    result = review.check(python(f"{bomb % mark}except OSError:\n    print(n < 40)\n"))

    assert (result.log, _running(f"time.sleep({mark})")) == ("True\n", [])


def test_daemons_end_with_their_check(review: Review) -> None:
    """A process in a session of its own, and one that ignores signals, are gone when the check has ended."""
    seconds = f"8{os.getpid()}"
    result = review.check(
        shell(f"trap '' TERM INT HUP; setsid sleep {seconds} & (nohup sleep {seconds} &) ; echo left")
    )

    assert (result.verdict, _running(f"sleep\0{seconds}")) == ("passed", [])


def test_a_check_that_ignores_signals_is_ended(review: Review) -> None:
    """A check is killed when its time is up."""
    command = python("import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(1000)")
    candidate = review.repository.candidate(GOOD)
    (found,) = review.verify(candidate, checks=(Check(name="slow", run=command, timeout=1),), sandbox="auto")

    assert (found.checks[0].verdict, found.checks[0].reason) == ("error", "it was ended after 1 s")


def test_the_disk_is_bounded(review: Review) -> None:
    """A check fills the space that it has, wherever it may write, and no more; the system is read-only."""
    script = (
        "fill() { i=0; while head -c 500000 /dev/zero > $1/f$i 2>/dev/null && test $i -lt 40; do i=$((i+1)); done; }\n"
        "fill .; fill /dev/shm; fill /tmp; du -sk /coatcheck/work /dev/shm | cut -f1; "
        "for place in / /usr /etc /dev /coatcheck/source /coatcheck/repository.git; do "
        "touch $place/x 2>/dev/null && echo $place; done; true"
    )
    result = review.check(shell(script))
    sizes = [int(line) for line in result.log.split()]

    assert [size <= LIMITS.disk // 1024 for size in sizes] == [True, True]


def test_a_file_has_a_limit(review: Review) -> None:
    """A process that writes a longer file is ended, with the reason."""
    result = review.check(shell("exec head -c 2000000 /dev/zero > big"))

    assert (result.verdict, result.exit_code, result.reason) == (
        "error",
        -signal.SIGXFSZ,
        "it was ended at the limit file",
    )


def test_memory_has_a_limit(review: Review) -> None:
    """A process gets no more memory than its limit."""
    result = review.check(python("bytearray(300 * 2**20)"))

    assert (result.verdict, "MemoryError" in result.log) == ("failed", True)


@pytest.mark.slow
def test_cpu_time_has_a_limit(review: Review) -> None:
    """A process that computes without end is ended, with the reason."""
    limits = msgspec.structs.replace(LIMITS, cpu=1)
    result = review.check(python("while True: pass"), limits=limits)

    assert (result.verdict, result.exit_code, result.reason) == (
        "error",
        -signal.SIGXCPU,
        "it was ended at the limit cpu",
    )


def test_output_is_cut(review: Review) -> None:
    """Of a long output the beginning and the end are kept, without control sequences."""
    result = review.check(shell(r"printf 'first\n'; yes | head -c 5000000; printf '\033[31mlast\n'"))

    assert ("bytes were cut out here" in result.log, result.log.endswith("y\nlast\n")) == (True, True)


def test_a_check_changes_only_its_own_copy(repository: Repository, review: Review) -> None:
    """What a check does to files, the git configuration, hooks and index is gone before the next check."""
    harm = shell(
        "echo ONE > main.txt; echo true > tests/test.sh; git config core.fsmonitor /bin/false; rm .git/index;"
        "printf '#!/bin/sh\\nfalse\\n' > .git/hooks/post-checkout; git update-ref -d refs/heads/coatcheck"
    )
    (found,) = review.verify(
        repository.candidate(GOOD),
        checks=checks(harm, "sh tests/test.sh", "git diff --exit-code HEAD", "test ! -e .git/hooks/post-checkout"),
        sandbox="auto",
    )

    assert [each.verdict for each in found.checks] == ["passed"] * 4


def test_the_clone_is_a_repository(repository: Repository, review: Review) -> None:
    """A check sees the base as a commit, the candidate as one on top of it, and nothing uncommitted."""
    head = git(repository.path, "rev-parse", "HEAD").strip()
    result = review.check(shell("git rev-parse HEAD~1; git status --porcelain; git diff --stat HEAD~1 | tail -1"), GOOD)

    assert result.log == f"{head}\n 1 file changed, 1 insertion(+)\n"


def test_a_setup_is_read_only_at_its_path(repository: Repository, review: Review) -> None:
    """Checks find a setup's files where it has written them, and can change none of them."""
    setup = shell("mkdir -p .venv/bin /coatcheck/setup/bin; ln -s /etc linked; echo ok > .venv/state; "
                  "printf '#!/bin/sh\\necho tool\\n' > /coatcheck/setup/bin/tool; chmod +x /coatcheck/setup/bin/tool")  # fmt: skip
    script = "tool; cat .venv/state; readlink linked; rm -rf .venv 2>/dev/null; (echo x > /coatcheck/setup/bin/tool) 2>&1 | wc -l"
    result = review.check(shell(script), GOOD, setup=setup)

    assert result.log == "tool\nok\n/etc\n1\n"


def test_a_link_of_a_setup_shows_no_folder_of_ours(repository: Repository, review: Review, home: Path) -> None:
    """A package that puts a link to a home into the clone gives the checks a link, and not the home."""
    (home / "secret").write_text("secret")
    result = review.check(shell("cat stolen/secret 2>/dev/null || echo no"), GOOD, setup=f"ln -s {home} stolen")

    assert result.log == "no\n"


def test_a_named_path_can_be_read(review: Review) -> None:
    """A path of `readable` is there, read-only."""
    shown = review.folder.parent / "tool"
    shown.mkdir(mode=0o755)
    (shown / "data").write_text("data\n")
    (shown / "data").chmod(0o644)
    result = review.check(shell(f"cat {shown}/data; touch {shown}/x 2>/dev/null || echo no"), readable=(str(shown),))

    assert result.log == "data\nno\n"


def test_a_folder_that_an_unprivileged_user_cannot_enter(repository: Repository, review: Review) -> None:
    """Checks run as well where only we can enter the folder: as root they get another one."""
    review.folder.parent.chmod(0o700)
    result = review.check("sh tests/test.sh", GOOD)

    assert result.verdict == Verdict.PASSED


def test_a_strict_umask_changes_nothing(repository: Repository, review: Review) -> None:
    """Checks and setups run as well where files that we create are ours alone."""
    before = os.umask(0o077)
    try:
        result = review.check("test -d deps", GOOD, setup="mkdir deps")
    finally:
        os.umask(before)

    assert result.verdict == Verdict.PASSED


def _running(argument: str) -> list[str]:
    """Return the processes whose command line contains *argument*."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if argument.encode() in command and b"pytest" not in command:
            found.append(str(path))
    return found


def test_the_first_process_is_our_shell(review: Review) -> None:
    """The first process is the one that confirms the start, it waits for orphans, and reports nothing of its own."""
    orphans = "for i in 1 2 3; do (sh -c : &); done"
    zombies = "while grep -sq '^State:.Z' /proc/[0-9]*/status; do sleep 0.01; done"
    result = review.check(shell(f"cat /proc/1/comm; {orphans}; {zombies}; kill -TERM 1; kill -SEGV $$"))

    assert ("sh\n", "failed", -signal.SIGSEGV) == (result.log, result.verdict, result.exit_code)
