"""The options of `run` and `submit` that begin a review: several services, checks, and the choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

# `SandboxKind`, which a test compares: importing it takes 10 ms.
SANDBOXES = ("auto", "bubblewrap", "sandbox-exec", "none")


def best_of_options(*, applies: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options of reviews to a command; *applies* adds ``--apply-best``."""
    options = [
        click.option(
            "--on",
            multiple=True,
            metavar="PROVIDER[:N]",
            help="Submit the task to this service, with N attempts; may be repeated, and the results compete.",
        ),
        click.option(
            "--check",
            "checks",
            multiple=True,
            metavar="COMMAND",
            help="Run this on each result in a sandbox; a result that fails it is not chosen. May be repeated.",
        ),
        click.option("--review-file", metavar="FILE", help="A review file with further checks and rules (TOML)."),
        click.option("--sandbox", type=click.Choice(SANDBOXES), help="What encloses the checks (default: auto)."),
        click.option("--name", metavar="NAME", help="Name of the review (default: words of the prompt)."),
    ]
    if applies:
        options.append(
            click.option("--apply-best", is_flag=True, help="Apply the result that the checks and the ranking choose.")
        )

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def is_review(options: Mapping[str, Any]) -> bool:
    """Whether the options of a submission begin a review."""
    names = ("on", "checks", "review_file", "sandbox", "name", "apply_best")
    return any(options.get(name) for name in names)
