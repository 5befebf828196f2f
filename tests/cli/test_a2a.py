"""The command line with an A2A agent."""

from __future__ import annotations

from pathlib import Path

from tests.cli.services_support import ManyServices

from coatcheck.testing.emulators.a2a import A2AEmulator


def command_line(folder: Path, **options: bool) -> ManyServices:
    """Return the command line in a checkout, in front of an agent."""
    (folder / "checkout").mkdir()
    cli = ManyServices(folder / "checkout")
    agent = A2AEmulator(clock=cli.clock, **options)
    cli.services.handlers["a2a"] = agent
    cli.environ |= {
        "COATCHECK_A2A_BASE_URL": "https://a2a.example",
        "A2A_TOKEN": agent.token,
        "COATCHECK_PROVIDER": "a2a",
    }
    return cli


def test_a_patch_of_an_agent_is_applied_also_after_a_list(tmp_path: Path) -> None:
    """A list, which has no artifacts, does not replace the recorded result, which is then applied."""
    cli = command_line(tmp_path)
    ran = cli("run", "Say hello")
    listed = cli("list")
    shown = cli("show", "@last", "--json").json
    applied = cli("apply", "@last")

    assert (0, 0, "present", 0, "hello\n") == (
        ran.code,
        listed.code,
        shown["outcome"]["patch_state"],
        applied.code,
        (cli.folder / "hello.txt").read_text(),
    )


def test_an_answer_without_a_task_is_printed_by_run_and_by_show(tmp_path: Path) -> None:
    """`run` prints a result that came with the submission, and `show` prints it from the history."""
    cli = command_line(tmp_path, at_once=True)
    ran, shown, waited = cli("run", "Say hello"), cli("show", "@last"), cli("wait", "@last")

    assert (0, True, 0, True, 2) == (
        ran.code,
        b"Done: Say hello" in ran.data,
        shown.code,
        b"Done: Say hello" in shown.data,
        waited.code,
    )
