"""An agent's process group begins and ends with its attempt."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from coatcheck._workspaces.command_process import (
    CommandProcess,
    OutputCapture,
    ProcessResult,
    arguments_of,
    end_strays,
    plain,
)


def run(
    code: str,
    tmp_path: Path,
    *,
    timeout: float | None = 240,
    input: Path | None = None,
    process: CommandProcess | None = None,
) -> ProcessResult:
    """Run a line of Python as the agent."""
    process = process or CommandProcess(grace=0.2)
    return process.run([sys.executable, "-c", code], cwd=tmp_path, environ=os.environ, input=input, timeout=timeout)


def has_ended(pid: int) -> bool:
    """Whether a process has ended, or ends soon: a signal is sent, not awaited."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 240)[0])
    finally:
        os.close(descriptor)


def test_a_command_returns_its_code_and_outputs(tmp_path: Path) -> None:
    """Both outputs, separately."""
    ending = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path)

    assert ProcessResult(exit_code=3, stdout="out\n", stderr="err\n") == ending


def test_the_prompt_is_sent_to_standard_input(tmp_path: Path) -> None:
    """The bytes are unchanged."""
    prompt = tmp_path / "prompt"
    prompt.write_text("Grüße\n$(touch x) `y`")

    assert "Grüße\n$(touch x) `y`" == run("import sys; print(sys.stdin.read(), end='')", tmp_path, input=prompt).stdout


def test_the_prompt_replaces_its_placeholder() -> None:
    """As one argument, or inside one; nothing of it is interpreted."""
    assert ["a", "--say=x; {y} 'z'", "x; {y} 'z'"] == arguments_of(["a", "--say={prompt}", "{prompt}"], "x; {y} 'z'")


SPAWN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("up", flush=True); signal.pause()'])
print(os.getpid(), child.pid, flush=True)
"""


def pids(ending: ProcessResult) -> list[int]:
    """Return the numbers that an agent printed."""
    return [int(word) for line in ending.stdout.splitlines() for word in line.split() if word.isdigit()]


@pytest.mark.skipif(sys.platform != "linux", reason="waits through a pidfd")
def test_children_end_with_an_agent_that_ends(tmp_path: Path) -> None:
    """Nothing is left behind by an agent that forgot its children."""
    ending = run(SPAWN, tmp_path)

    assert [True, True] == [has_ended(pid) for pid in pids(ending)]


@pytest.mark.skipif(sys.platform != "linux", reason="waits through a pidfd")
def test_a_timeout_ends_the_whole_group_also_one_that_ignores_it(tmp_path: Path) -> None:
    """TERM, a moment of grace, KILL."""
    ending = run(f"{SPAWN}\nsignal.pause()", tmp_path, timeout=2.0)

    assert (True, False) == (ending.is_timeout, ending.is_cancelled)
    assert [True, True] == [has_ended(pid) for pid in pids(ending)]


def test_cancelling_ends_it_from_another_thread(tmp_path: Path) -> None:
    """A cancellation before the start ends the command at once."""
    up = threading.Event()
    process = CommandProcess(on_line=lambda _name, _line: up.set(), grace=0.2)

    def cancel() -> None:
        up.wait(240)
        process.cancel()

    threading.Thread(target=cancel).start()
    ending = run("import signal; print('up', flush=True); signal.pause()", tmp_path, process=process)

    assert (True, False) == (ending.is_cancelled, ending.is_timeout)


def test_an_agent_cancelled_before_it_began_ends_at_once(tmp_path: Path) -> None:
    """The follow_up is not lost."""
    process = CommandProcess(grace=0.2)
    process.cancel()

    assert run("import signal; signal.pause()", tmp_path, process=process).is_cancelled


def test_an_agent_may_end_after_sigterm(tmp_path: Path) -> None:
    """SIGTERM is sent before SIGKILL."""
    code = "import os, signal\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(os.write(1, b'bye\\n')))\nos.write(1, b'up\\n')\nsignal.pause()"
    up = threading.Event()
    process = CommandProcess(on_line=lambda _name, _line: up.set(), grace=10)
    threading.Thread(target=lambda: (up.wait(240), process.cancel())).start()

    assert "up\nbye\n" == run(code, tmp_path, process=process).stdout


def test_much_output_is_cut_in_the_middle_with_a_mark(tmp_path: Path) -> None:
    """The beginning and the end are kept; memory is bounded."""
    text = run("import sys; sys.stdout.write('begin' + 'x' * 5_000_000 + 'end')", tmp_path).stdout

    assert (True, True, True) == (text.startswith("begin"), text.endswith("end"), "bytes were cut out here" in text)
    assert len(text) < 1_100_000


def test_output_is_read_to_its_end_however_long_its_lines_take() -> None:
    """Lines that were written before the end are reported, also after the time for a pipe that is still open."""
    reading, writing = os.pipe()
    lines: list[str] = []
    capture = OutputCapture(os.fdopen(reading, "rb"), lambda line: (os.sched_yield(), lines.append(line)))
    os.write(writing, b"x\n" * 9000)
    os.close(writing)

    assert ("x\n" * 9000, 9000) == (capture.finish(0.0), len(lines))


def test_what_is_in_an_open_pipe_is_read() -> None:
    """A pipe that a process holds open is read while it has content, and not waited for."""
    reading, writing = os.pipe()
    capture = OutputCapture(os.fdopen(reading, "rb"), lambda _: None)
    os.write(writing, b"x\n" * 9000)
    text = capture.finish(0.0)
    os.close(writing)

    assert "x\n" * 9000 == text


def test_what_was_just_read_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are no longer in the pipe, and not yet in the text, are output to come."""
    reading, writing = os.pipe()
    capture = OutputCapture(os.fdopen(reading, "rb"))
    read, is_expected = os.read, []

    def observed(descriptor: int, size: int) -> bytes:
        chunk = read(descriptor, size)
        if descriptor == reading:
            is_expected.append(capture._has_more(1))
        return chunk

    monkeypatch.setattr(os, "read", observed)
    os.write(writing, b"x")
    text = capture.finish(0.0)
    os.close(writing)

    assert ("x", [True]) == (text, is_expected[:1])


def test_an_open_pipe_does_not_prolong_an_attempt(tmp_path: Path) -> None:
    """A daemon that left the process group does not prolong an attempt."""
    code = "import os, sys, time\nprint('parent', flush=True)\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(3)\n    os._exit(0)\n"

    assert "parent\n" == run(code, tmp_path).stdout


def test_a_program_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    """A command that cannot be started is an error of the runner."""
    with pytest.raises(FileNotFoundError):
        CommandProcess().run(["/no/such/program"], cwd=tmp_path, environ=os.environ, input=None, timeout=1)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]8;;http://x\x07link\x1b]8;;\x1b\\", "link"),
        (b"a\r\nb", "a\nb"),
        (b"\xff", "\ufffd"),
        (b"\0", ""),
    ],
)
def test_output_is_shown_without_control_sequences(raw: bytes, expected: str) -> None:
    """Control sequences of an agent's output are removed."""
    assert expected == plain(raw)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_is_found_by_its_environment_with_what_it_started(tmp_path: Path) -> None:
    """`end_strays` ends the processes that carry the folder, their descendants with another environment, and no others."""
    code = (
        "import subprocess, sys\n"
        "inner = [sys.executable, '-c', 'import signal; print(1, flush=True); signal.pause()']\n"
        "process = subprocess.Popen(inner, env={}, start_new_session=True, stdout=subprocess.PIPE)\n"
        "process.stdout.read(1)\n"
        "print(process.pid, flush=True)\n"
        "process.wait()"
    )
    processes = {}
    for name in ("mine", "other"):
        environ = {**os.environ, "COATCHECK_RESULT": f"{tmp_path}/{name}/result.json"}
        processes[name] = subprocess.Popen(
            [sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
    inner = {name: int(process.stdout.readline()) for name, process in processes.items()}
    try:
        end_strays(tmp_path / "mine")

        assert (True, True) == (has_ended(processes["mine"].pid), has_ended(inner["mine"]))
        assert (None, None) == (processes["other"].poll(), os.kill(inner["other"], 0))
    finally:
        os.kill(inner["other"], signal.SIGKILL)
        for process in processes.values():
            process.kill()
            process.communicate()
