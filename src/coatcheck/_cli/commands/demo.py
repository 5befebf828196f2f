"""`demo`: the whole way from prompt to patch, on a cloud of our own that lives as long as it takes.

Law: it touches nothing of the user's: no login, no journal, no record of servers, no git settings. What is left is the
folder that it names.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ... import errors
from ..apply import land
from ..console import Line, Part, Styled, diff_lines, indented
from ..context import CommandContext, command
from ..formatting import attempts, changed_files, heading, message, pull_request, usage
from ..json_output import to_object
from ..process_env import ProcessEnv
from ..wait_progress import wait_for, with_patch_of

if TYPE_CHECKING:
    from ..._model.outcome import Outcome
    from ..._model.tasks import Task
    from ..._runtime.client import Client
    from ..._runtime.server_record import ServerRecord
    from ..apply import ApplyReport

ATTEMPTS = 3
# The scripted agent's second way is the one with a button to press.
CHOSEN = 2
# Its agents take a fraction of a second each; a look every 0.2 s shows how they get on.
INTERVAL = 0.2
# A machine on which they take longer than two minutes has another problem (seconds).
TIMEOUT = 120.0
# All that the cloud, the agents and the client see of the environment: no login, no proxy, no setting.
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")


@command(
    "demo",
    has_provider=False,
    examples="""
coatcheck demo
coatcheck demo --attempt 3 --folder ./demo
""",
)
@click.option(
    "--attempt",
    type=click.IntRange(1, ATTEMPTS),
    default=CHOSEN,
    metavar="N",
    help=f"Which of the {ATTEMPTS} to apply.",
)
@click.option("--folder", metavar="FOLDER", help="Put the sample project there (default: a new temporary folder).")
def demo_command(run: CommandContext, *, attempt: int, folder: str | None) -> None:
    """Show the whole way from prompt to patch in a few seconds, on a cloud of your own.

    The cloud is real, and so are HTTP, git and the sample web site. The agent is a small script whose changes were
    prepared: no account, no model, no network.
    """
    if os.name != "posix":  # process groups and flock, which the cloud stands on
        raise errors.UnsupportedError("the local cloud is not supported on Windows", remedy="run the demo in WSL")
    with _stage(run, folder) as (site, environ), _cloud(site, environ) as record, _client(record, environ) as client:
        process_env = ProcessEnv(environ=environ, folder=str(site), stdin=run.process_env.stdin, console=run.console)
        inner = CommandContext(process_env, is_json=run.is_json, provider=None, base_url=None)
        Demo(inner, client, site).play(record.url, attempt)


@contextmanager
def _stage(run: CommandContext, folder: str | None) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Give an empty folder for the project, and the environment of everything. The folder stays if all goes well."""
    site = _new_folder(run, folder)
    with tempfile.TemporaryDirectory(prefix="coatcheck-cloud-") as backstage:
        kept = {name: value for name in KEPT if (value := run.process_env.environ.get(name))}
        try:
            yield site, {**kept, "COATCHECK_STATE_HOME": backstage, "COATCHECK_CONFIG_HOME": backstage}
        except BaseException:
            shutil.rmtree(site, ignore_errors=True)
            raise


def _new_folder(run: CommandContext, folder: str | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="coatcheck-demo-"))
    path = Path(run.process_env.folder, folder).absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise errors.ConfigurationError(f"{path} is not empty", remedy="give --folder a new one")
    return path


@contextmanager
def _cloud(site: Path, environ: Mapping[str, str]) -> Iterator[ServerRecord]:
    """Make the project and run a cloud whose only environment it is."""
    from ...cloud.demo.site import LABEL, agent_command, make_site
    from ...cloud.launcher import ServeOptions, environment, running

    make_site(site, environ=environ)
    options = ServeOptions(
        environments=(environment(LABEL, site, environ=environ),),
        command=agent_command(),
        data=Path(environ["COATCHECK_STATE_HOME"], "cloud"),
        max_parallel=ATTEMPTS,
        environ=environ,
    )
    with running(options) as record:
        yield record


@contextmanager
def _client(record: ServerRecord, environ: Mapping[str, str]) -> Iterator[Client]:
    from ..._runtime.client import Client

    with Client(
        "local", base_url=record.url, token=record.token, account_id=record.account_id, environ=environ
    ) as client:
        yield client


class Demo:
    """One performance: each act says which command does the same."""

    def __init__(self, run: CommandContext, client: Client, site: Path) -> None:
        self._run, self._client, self._site = run, client, site

    def play(self, url: str, number: int) -> None:
        """Play all acts, or with ``--json`` print what came of them."""
        from ...cloud.demo.site import LABEL, PROMPT

        self._say("A cloud of your own: ", Styled(url, "bold"))
        self._say("Its agent is a small script with prepared changes; no model is asked.")
        task = self._submitted(LABEL, PROMPT)
        task = self._waited(task, number)
        self._act("coatcheck usage --provider local")
        used = self._client.get_usage()
        self._show(usage(used, self._run.now))
        _, made = with_patch_of(task, task.attempts, number)
        self._shown(task, made, number)
        landed = self._landed(task, made, number)
        status = self._status()
        if self._run.is_json:
            self._print(task, number, {"usage": to_object(used), "applied": landed.document(), "git_status": status})

    def _submitted(self, label: str, prompt: str) -> Task:
        self._act(f'coatcheck submit --provider local --environment {label} --attempts {ATTEMPTS} "{prompt}"')
        task = self._client.create_task(prompt, environment=label, attempts=ATTEMPTS)
        self._say(f"Step 1/2: here is the ticket, at once: {task.ref}")
        return task

    def _waited(self, task: Task, number: int) -> Task:
        self._act(f"coatcheck wait {task.ref}")
        ended = wait_for(self._run, self._client, task.ref, timeout=TIMEOUT, interval=INTERVAL, first=False)
        self._say("Step 2/2: it came back. ", *_told(ended))
        self._show(attempts(ended.attempts))
        self._show([*heading(f"What attempt {number} says"), *message(ended.attempt(number).outcome)])
        return ended

    def _shown(self, task: Task, made: Outcome, number: int) -> None:
        self._act(f"coatcheck diff {task.ref} --attempt {number}")
        self._show(list(diff_lines(bytes(made.patch or b""))))
        self._act(f"coatcheck show {task.ref} --attempt {number}")
        if made.pull_request:
            self._show([Styled("Pull request", "bold"), *pull_request(made.pull_request)])
        self._show([*heading("Files"), *indented(changed_files(made))])

    def _landed(self, task: Task, made: Outcome, number: int) -> ApplyReport:
        self._act(f"cd {self._site}; coatcheck apply {task.ref} --attempt {number}")
        landed = land(self._run, made, task=task, attempt=number)
        self._show(landed.lines())
        return landed

    def _status(self) -> str:
        from ..._patches.git import git

        self._act("git status --short")
        status = git("status", "--short", folder=self._site).decode("utf-8", "replace")
        self._show([*status.splitlines()])
        self._show(["", ("The project is in ", Styled(str(self._site), "bold"), "; the cloud is gone.")])
        return status

    def _print(self, task: Task, number: int, rest: Mapping[str, object]) -> None:
        self._run.answer(lambda: {"folder": str(self._site), "attempt": number, "task": to_object(task), **rest}, list)

    def _act(self, command_line: str) -> None:
        self._show(["", Styled(f"$ {command_line}", "cyan")])

    def _say(self, *parts: Part) -> None:
        self._show([parts])

    def _show(self, lines: list[Line]) -> None:
        if not self._run.is_json:
            self._run.console.show_all(lines)


def _told(task: Task) -> tuple[Part, ...]:
    from ..formatting import state_word

    return "It ", state_word(task.state, task.raw_state), "."
