"""Values as a notebook shows them: what ``_repr_markdown_`` of tasks, outcomes and comparisons returns.

An agent's text is hostile: titles, names and errors are escaped, and messages and diffs are in code blocks, so that none
of their HTML, images, links and formulas is rendered. Control and bidirectional characters are written as escapes.
Values are typed `Any`, because they import this module.
"""

from __future__ import annotations

from typing import Any

from .._patches.hidden_characters import escape
from .._patches.notebook_text import block
from .._values.markdown_text import escaped, table


def safe(text: str) -> str:
    """Return *text* on one line without any effect."""
    return escaped(escape(" ".join(text.split())))


def of_task(task: Any) -> str:
    """Return a task's title, its facts and its outcome."""
    facts = {
        "State": task.state.value.replace("_", " "),
        "Task": str(task.ref),
        "Page": task.url,
        "Repository": task.repository,
        "Branch": task.branch,
        "Took": None if task.duration is None else f"{task.duration:,.0f} s",
        "Error": str(task.error) if task.error else None,
    }
    lines = "\n".join(f"- {name}: {safe(value)}" for name, value in facts.items() if value)
    outcome = of_outcome(task.outcome) if task.outcome else ""
    return _joined(f"### {safe(task.title or str(task.ref))}", lines, outcome)


def of_outcome(outcome: Any) -> str:
    """Return an outcome's messages, pull request, error and diff."""
    pull = outcome.pull_request
    return _joined(
        block(outcome.text, "markdown") if outcome.text else "",
        f"**Error:** {safe(str(outcome.error))}" if outcome.error else "",
        f"**Pull request:** {safe(' '.join(filter(None, (pull.title, pull.url))))}" if pull else "",
        outcome.patch._repr_markdown_() if outcome.patch else "",
    )


def of_comparison(comparison: Any) -> str:
    """Return a table of what each attempt changes, and sentences about what they have in common."""
    rows = [
        (str(each.number), str(each.files), f"+{each.added}/-{each.removed}", safe(", ".join(each.only)) or "—")
        for each in comparison.changes
    ]
    same = [f"- attempts {', '.join(map(str, group))} are the same change" for group in comparison.same]
    shares = [f"- attempts {each.left} and {each.right} share {each.share:.0%}" for each in comparison.pairs]
    unreadable = [f"- the diff of attempt {number} cannot be read" for number in comparison.unreadable]
    return _joined(
        table(("Attempt", "Files", "Lines", "Only this attempt changes"), rows),
        "\n".join((*same, *shares, *unreadable)),
    )


def _joined(*parts: str) -> str:
    return "\n\n".join(filter(None, parts)) + "\n"
