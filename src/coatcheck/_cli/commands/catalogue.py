"""What an account can use: `usage`, `models`, `environments`."""

from __future__ import annotations

import click

from ..context import CommandContext, command
from ..formatting import environments as environment_lines, models as model_lines, usage as usage_lines
from ..json_output import to_object


@command(
    "usage",
    examples="""
coatcheck usage
coatcheck usage --json
""",
)
def usage_command(run: CommandContext) -> None:
    """Print the account's usage and when its limits reset."""
    with run.client() as client:
        current = client.get_usage()
    run.answer(lambda: to_object(current), lambda: usage_lines(current, run.now))


@command(
    "models",
    examples="""
coatcheck models
coatcheck models --all --json
""",
)
@click.option("--all", "is_all", is_flag=True, help="Also list models that the service hides.")
def models_command(run: CommandContext, *, is_all: bool) -> None:
    """List the known models, each with the date of its entry; no request is sent."""
    with run.client() as client:
        known = [model for model in client.list_models() if is_all or model.is_listed]
    run.answer(
        lambda: {"models": [to_object(each) for each in known]}, lambda: model_lines(known, width=run.console.max_width)
    )


@command(
    "environments",
    examples="""
coatcheck environments
coatcheck environments --json
coatcheck environments --repo owner/repo
""",
)
@click.option("--repo", "repository", metavar="OWNER/REPO", help="Only environments of a repository.")
def environments_command(run: CommandContext, *, repository: str | None) -> None:
    """List the environments in which tasks can run."""
    with run.client(environment=repository) as client:
        known = client.list_environments(repository=repository)
    run.answer(
        lambda: {"environments": [to_object(each) for each in known]},
        lambda: environment_lines(known, width=run.console.max_width) if known else ["No environments found."],
    )
