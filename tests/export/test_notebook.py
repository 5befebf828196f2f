from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from coatcheck import Attempt, Outcome, Patch, Task, TaskRef, TaskState
from coatcheck._model.comparison import AttemptChange, Comparison
from coatcheck._model.outcome import Failure, Message, PullRequest

HOSTILE = "<script>x</script> ![i](https://evil.example/i) [l](javascript:x) $\\href{javascript:x}{y}$ \x1b]8;;a\x07 \u202e ``` |"
DIFF = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b ``` <img src=x>\n"


def rendered(markdown: str) -> str:
    """Return the HTML of *markdown*, raw HTML kept as a notebook that trusts it would."""
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)


OUTCOME = Outcome(
    messages=(Message(text=HOSTILE),),
    error=Failure(message=HOSTILE),
    pull_request=PullRequest(title=HOSTILE, url="javascript:x"),
    patch=Patch(DIFF),
)
VALUES = (
    Task(ref=TaskRef("codex", "t"), state=TaskState.FAILED, title=HOSTILE, branch=HOSTILE, outcome=OUTCOME),
    OUTCOME,
    Patch(DIFF),
    Patch(HOSTILE.encode()),
    Comparison(changes=(AttemptChange(number=1, only=(HOSTILE,)),), same=((1, 2),)),
)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_notebook_renders_nothing_of_an_agents_text(value: Task | Outcome | Patch | Comparison) -> None:
    """No HTML, image, link or formula of an agent's text is rendered, and no control character is left."""
    html = rendered(value._repr_markdown_())
    without_code = re.sub(r"<(pre|code)>.*?</\1>", "", html, flags=re.DOTALL)
    harmful = re.findall(r"<(?:script|img|a)\b|[\x00-\x08\x0b-\x1f\u202e]", html)

    assert [] == harmful + re.findall(r"\$|\\", without_code)


def test_a_notebook_shows_the_facts() -> None:
    """A task's title, state, messages and diff are in its Markdown."""
    task = Task(
        ref=TaskRef("codex", "t"),
        state=TaskState.SUCCEEDED,
        title="Dark *mode*",
        outcome=Outcome(messages=(Message(text="Done."),), patch=Patch(DIFF)),
    )
    html = rendered(task._repr_markdown_())

    assert [True] * 4 == [part in html for part in ("Dark *mode*", "State: succeeded", "Done.", "+b ```")]


def test_a_path_does_not_break_the_table() -> None:
    """A bar in a path stays in its cell."""
    html = rendered(Comparison(changes=(AttemptChange(number=1, only=("a|b",)),))._repr_markdown_())

    assert "<td>a|b</td>" in html


def test_a_required_patch_is_returned() -> None:
    """`require_patch` returns the patch of the task, or of the first attempt that has one."""
    attempts = (
        Attempt(id="a", placement=0, state=TaskState.FAILED, outcome=Outcome()),
        Attempt(id="b", placement=1, state=TaskState.SUCCEEDED, outcome=Outcome(patch=Patch(DIFF))),
    )
    task = Task(ref=TaskRef("codex", "t"), state=TaskState.SUCCEEDED, attempts=attempts)

    assert [Patch(DIFF)] * 2 == [task.require_patch(), task.require_patch(attempt=2)]
