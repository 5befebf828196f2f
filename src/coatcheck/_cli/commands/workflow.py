"""`workflow init` writes a GitHub Actions workflow that runs an agent."""

from __future__ import annotations

import os

import click

from ..command_group import CommandGroup
from ..context import CommandContext

workflow_command = CommandGroup("workflow", help="Write a workflow for GitHub Actions that runs an agent.")


@workflow_command.subcommand(
    "init",
    examples="""
coatcheck workflow init --agent 'claude -p "$PROMPT"' --setup 'npm install -g @anthropic-ai/claude-code' \\
    --secret ANTHROPIC_API_KEY
coatcheck workflow init --file agent.yml
""",
)
@click.option(
    "--agent",
    metavar="COMMAND",
    help='Command of the agent: the prompt is in "$PROMPT", and its stdout is the message.',
)
@click.option("--setup", metavar="COMMAND", help="Command that installs the agent.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME",
    help="A secret of the repository to pass to the agent; may be repeated.",
)
@click.option("--file", metavar="NAME", default="coatcheck.yml", help="File name (default: coatcheck.yml).")
@click.option("--force", "is_forced", is_flag=True, help="Overwrite an existing file.")
def write_workflow(
    run: CommandContext,
    *,
    agent: str | None,
    setup: str | None,
    secrets: tuple[str, ...],
    file: str,
    is_forced: bool,
) -> None:
    """Write a workflow for GitHub Actions that runs an agent on a prompt and stores its result for coatcheck.

    The agent has read access to the repository; a second job, which runs no code of the agent's, opens a pull request
    where a task requests one.
    """
    from .. import workflows

    root = run.root or run.process_env.folder
    path = workflows.write(
        workflows.rendered(agent=agent, setup=setup, secrets=secrets), root, file=file, is_forced=is_forced
    )
    shown = os.path.relpath(path, run.process_env.folder)
    run.answer(lambda: {"path": path}, lambda: [shown])
    if agent is None:
        run.note(f"It fails until it has the command of your agent: edit {shown}, or pass --agent and --force.")
    run.note(
        "Commit it to the default branch, then: coatcheck run --provider github_actions --repo OWNER/REPO 'PROMPT'"
    )
