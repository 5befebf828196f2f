"""`workflow init` writes the file that makes an agent of a repository's GitHub Actions."""

from __future__ import annotations

import os

import click

from ..context import CommandContext, command


@command(
    "workflow",
    has_provider=False,
    examples="""
coatcheck workflow init --agent 'claude -p "$PROMPT"' --setup 'npm install -g @anthropic-ai/claude-code' \\
    --secret ANTHROPIC_API_KEY
coatcheck workflow init --file agent.yml
""",
)
@click.argument("action", type=click.Choice(["init"]))
@click.option(
    "--agent",
    metavar="COMMAND",
    help='What runs the agent: it finds the prompt in "$PROMPT", and stdout is its message.',
)
@click.option("--setup", metavar="COMMAND", help="What installs the agent.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME", help="A secret of the repository that it is given.")
@click.option("--file", metavar="NAME", default="coatcheck.yml", help="What to call it (default: coatcheck.yml).")
@click.option("--force", "is_forced", is_flag=True, help="Write over a file that is there.")
def workflow_command(
    run: CommandContext,
    *,
    action: str,
    agent: str | None,
    setup: str | None,
    secrets: tuple[str, ...],
    file: str,
    is_forced: bool,
) -> None:
    """Write a workflow for GitHub Actions that runs an agent on a prompt, and leaves its result for coatcheck.

    The agent may read the repository and change nothing in it; a second job, which runs nothing of the agent's, opens
    a pull request where a task asks for one.
    """
    from .. import workflows

    del action
    root = run.root or run.process_env.folder
    path = workflows.write(
        workflows.rendered(agent=agent, setup=setup, secrets=secrets), root, file=file, is_forced=is_forced
    )
    shown = os.path.relpath(path, run.process_env.folder)
    run.answer(lambda: {"path": path}, lambda: [shown])
    if agent is None:
        run.note(f"It fails until it knows what runs your agent: edit {shown}, or give --agent and --force.")
    run.note(
        "Commit it to the default branch, then: coatcheck run --provider github_actions --repo OWNER/REPO 'PROMPT'"
    )
