"""`demo`: every step from prompt to patch, with a local cloud that runs as long as the demo.

Three attempts are checked by the project's own tests, and the best one is applied. The checks run in a sandbox where
one can; elsewhere without one, because the agent is the script of this package.

Guarantee: it uses and changes nothing of the user's: no login, journal, server record or git setting. It leaves only
the folder that it names.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ... import errors
from ..._app.apply import ApplyReport, apply_patch
from ..._app.outcomes import ChosenPatch, choose_patch
from ..._app.wait import WaitOptions, wait_for_task
from ..._protocol.registry import LOCAL_PROVIDER
from ..apply import apply_document, apply_lines, print_warnings
from ..console import Line, Part, Styled, diff_lines, indented
from ..context import CommandContext, command
from ..formatting import attempts, changed_files, heading, message, pull_request, state_word, usage
from ..json_output import to_object
from ..process_env import ProcessEnv

if TYPE_CHECKING:
    from ..._model.tasks import Task
    from ..._review.checks import SandboxKind, Verification
    from ..._review.ranking import Ranking
    from ..._runtime.client import Client
    from ..._runtime.server_record import ServerRecord

ATTEMPTS = 3
# The project's own tests, run by Python.
TESTS = "-m unittest"
# Its agents take a fraction of a second each, so polls are frequent; more than two minutes is an error (seconds).
WAIT = WaitOptions(interval=0.2, timeout=120.0)
# The variables that the cloud, the agents and the client are given: no login, proxy or setting.
VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR")


@command(
    "demo",
    has_provider=False,
    examples="""
coatcheck demo
coatcheck demo --attempt 3 --folder ./demo
coatcheck demo --web
""",
)
@click.option(
    "--attempt",
    type=click.IntRange(1, ATTEMPTS),
    metavar="N",
    help=f"Which of the {ATTEMPTS} attempts to apply (default: the one that the checks choose).",
)
@click.option("--folder", metavar="FOLDER", help="Create the sample project there (default: a new temporary folder).")
@click.option("--web", "is_page", is_flag=True, help="Show the attempts on a page in the browser, until Ctrl-C.")
def demo_command(run: CommandContext, *, attempt: int | None, folder: str | None, is_page: bool) -> None:
    """Show every step from prompt to patch in a few seconds, with a local cloud.

    The cloud, HTTP, git and the sample web site are real. The agent is a small script with prepared changes: it needs
    no account, no model and no network. Nothing of yours is used or changed: the history does not record the demo.
    """
    if os.name != "posix":  # the cloud needs process groups and flock
        raise errors.UnsupportedError("the local cloud is not supported on Windows", remedy="run the demo in WSL")
    with (
        _sample_folder(run, folder) as (site, environ),
        _cloud(site, environ) as record,
        _client(record, environ) as client,
    ):
        process_env = ProcessEnv(environ=environ, folder=str(site), stdin=run.process_env.stdin, console=run.console)
        inner = CommandContext(process_env, is_json=run.is_json, provider=LOCAL_PROVIDER, base_url=None)
        if is_page:
            _show_page(inner, site, attempt)
            return
        Demo(inner, client, site).show(record.url, attempt)


def _show_page(run: CommandContext, site: Path, attempt: int | None) -> None:
    from ...cloud.demo.site import LABEL, PROMPT
    from ..demo_page import show_demo_page

    if attempt is not None:
        raise errors.ConfigurationError("--web and --attempt cannot be combined", remedy="leave out --attempt")
    show_demo_page(run, site, PROMPT, label=LABEL, attempts=ATTEMPTS, wait=WAIT)


@contextmanager
def _sample_folder(run: CommandContext, folder: str | None) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Yield an empty folder for the project, and the environment of all programs. The folder is deleted on an error."""
    site = _new_folder(run, folder)
    with tempfile.TemporaryDirectory(prefix="coatcheck-cloud-") as state:
        variables = {name: value for name in VARIABLES if (value := run.process_env.environ.get(name))}
        try:
            yield site, {**variables, "COATCHECK_STATE_HOME": state, "COATCHECK_CONFIG_HOME": state}
        except BaseException:
            shutil.rmtree(site, ignore_errors=True)
            raise


def _new_folder(run: CommandContext, folder: str | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="coatcheck-demo-"))
    path = Path(run.process_env.folder, folder).absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise errors.ConfigurationError(f"{path} is not empty", remedy="pass an empty folder: --folder FOLDER")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the folder {path} cannot be created: {error.strerror}"
        raise errors.ConfigurationError(message, remedy="pass another folder: --folder FOLDER") from None
    return path


@contextmanager
def _cloud(site: Path, environ: Mapping[str, str]) -> Iterator[ServerRecord]:
    """Create the project, and run a cloud whose only environment it is."""
    from ..._runtime.server_record import record_path
    from ...cloud.demo.site import LABEL, agent_command, make_site
    from ...cloud.launcher import ServeOptions, environment, running

    make_site(site, environ=environ)
    options = ServeOptions(
        environments=(environment(LABEL, site, environ=environ),),
        command=agent_command(),
        data=Path(environ["COATCHECK_STATE_HOME"], "cloud"),
        max_parallel=ATTEMPTS,
        record=Path(record_path(environ)),
        environ=environ,
    )
    with running(options) as record:
        yield record


@contextmanager
def _client(record: ServerRecord, environ: Mapping[str, str]) -> Iterator[Client]:
    from ..._runtime.client import Client

    with Client(
        LOCAL_PROVIDER, base_url=record.url, token=record.token, account_id=record.account_id, environ=environ
    ) as client:
        yield client


def _python(environ: Mapping[str, str]) -> str:
    """Return the command of Python, as a person writes it where that works."""
    return "python3" if shutil.which("python3", path=environ.get("PATH")) else shlex.quote(sys.executable)


def _verification(command: str, *, sandbox: SandboxKind = "auto") -> Verification:
    from ..._review.checks import Check, Verification
    from ..._review.protected_paths import DEFAULT_PROTECTED

    return Verification(checks=(Check(name="tests", run=command),), protected=DEFAULT_PROTECTED, sandbox=sandbox)


class Demo:
    """One run of the demo: each step prints the command that does the same."""

    def __init__(self, run: CommandContext, client: Client, site: Path) -> None:
        self._run, self._client, self._site = run, client, site

    def show(self, url: str, number: int | None) -> None:
        """Show all steps, or with ``--json`` print their results."""
        from ...cloud.demo.site import LABEL, PROMPT

        self._print_line("A local cloud runs at: ", Styled(url, "bold"))
        self._print_line("Its agent is a small script with prepared changes; no model is used.")
        task = self._submit(LABEL, PROMPT)
        task = self._wait(task)
        ranking = self._review(task)
        number = number or self._chosen(ranking)
        self._show_command(f"coatcheck usage --provider {LOCAL_PROVIDER}")
        current = self._client.get_usage()
        self._show(usage(current, self._run.now))
        chosen = choose_patch(task, task.attempts, number)
        self._show_result(task, chosen)
        report = self._apply(task, chosen)
        status = self._git_status()
        if self._run.is_json:
            applied = {
                "ranking": to_object(ranking),
                "usage": to_object(current),
                "applied": apply_document(report),
                "git_status": status,
            }
            self._print(task, number, applied)

    def _submit(self, label: str, prompt: str) -> Task:
        self._show_command(
            f'coatcheck submit --provider {LOCAL_PROVIDER} --environment {label} --attempts {ATTEMPTS} "{prompt}"'
        )
        task = self._client.create_task(prompt, environment=label, attempts=ATTEMPTS)
        self._print_line(f"Step 1/2: the ticket is returned at once: {task.ref}")
        return task

    def _wait(self, task: Task) -> Task:
        self._show_command(f"coatcheck wait {task.ref}")
        progress = self._run.start_progress(task.ref)
        ended = wait_for_task(self._client, task.ref, WAIT, on_change=progress.update)
        self._print_line("Step 2/2: the task ended: ", state_word(ended.state, ended.raw_state), ".")
        self._show(attempts(ended.attempts))
        return ended

    def _review(self, task: Task) -> Ranking:
        """Check the attempts by the project's own tests, and show the score cards."""
        from ..._review.candidate_sources import task_candidates
        from ..._review.review import ReviewRequest, ReviewTools, check_verification, review_candidates
        from ..review_formatting import ranking_lines
        from ..review_progress import with_progress

        environ = self._run.process_env.environ
        command = f"{_python(environ)} {TESTS}"
        line = f'coatcheck review {task.ref} --check "{command}"'
        tools = ReviewTools(Path(environ["COATCHECK_STATE_HOME"]) / "reviews", environ)
        request = ReviewRequest(task_candidates(task), self._site, _verification(command))
        try:
            check_verification(request, tools)
            self._show_command(line)
        except errors.ConfigurationError as error:
            self._show_command(f"{line} --sandbox none")
            self._print_line(f"Here the tests run without a sandbox, because the agent is part of coatcheck: {error}.")
            request = request._replace(verification=_verification(command, sandbox="none"))
        ranking = with_progress(
            self._run, lambda report, scope: review_candidates(request, tools, on_progress=report, scope=scope)
        )
        self._show(ranking_lines(ranking, width=None))
        return ranking

    @staticmethod
    def _chosen(ranking: Ranking) -> int:
        """Return the attempt that is chosen. Raises `TaskError` where none is."""
        if ranking.chosen is None:
            raise errors.TaskError(f"no attempt is chosen: {ranking.reason}", remedy="pass --attempt N")
        return ranking.chosen.candidate.attempt or 1

    def _show_result(self, task: Task, chosen: ChosenPatch) -> None:
        number, outcome, _ = chosen
        self._show([*heading(f"Message of attempt {number}"), *message(outcome, self._run.markdown)])
        self._show_command(f"coatcheck diff {task.ref} --attempt {number}")
        self._show(list(diff_lines(bytes(outcome.patch or b""))))
        self._show_command(f"coatcheck show {task.ref} --attempt {number}")
        if outcome.pull_request:
            self._show([Styled("Pull request", "bold"), *pull_request(outcome.pull_request, self._run.markdown)])
        self._show([*heading("Files"), *indented(changed_files(outcome))])

    def _apply(self, task: Task, chosen: ChosenPatch) -> ApplyReport:
        self._show_command(f"cd {self._site}; coatcheck apply {task.ref} --attempt {chosen.number}")
        root = self._run.workspace.require_root()
        report = apply_patch(root, chosen, task=task, on_findings=lambda findings: print_warnings(self._run, findings))
        self._show(apply_lines(report))
        return report

    def _git_status(self) -> str:
        from ..._patches.git import git

        self._show_command("git status --short")
        status = git("status", "--short", folder=self._site).decode("utf-8", "replace")
        self._show([*status.splitlines()])
        self._show(["", ("The project is in ", Styled(str(self._site), "bold"), "; the cloud was stopped.")])
        return status

    def _print(self, task: Task, number: int, rest: Mapping[str, object]) -> None:
        self._run.answer(lambda: {"folder": str(self._site), "attempt": number, "task": to_object(task), **rest}, list)

    def _show_command(self, command_line: str) -> None:
        self._show(["", Styled(f"$ {command_line}", "cyan")])

    def _print_line(self, *parts: Part) -> None:
        self._show([parts])

    def _show(self, lines: list[Line]) -> None:
        if not self._run.is_json:
            self._run.console.show_all(lines)
