from __future__ import annotations

import re

from hypothesis import given, strategies as st

from coatcheck import Failure, Message, Outcome, Patch, PullRequest, Task, TaskRef, TaskState
from coatcheck._export.markdown import fenced
from coatcheck.cloud.scripted_cloud import DIFF

MADE = Outcome(
    messages=(Message(text="Done in `hello.txt`."),),
    patch=Patch.parse(DIFF),
    pull_request=PullRequest(title="Say\nhello", body="### What\nIt says hello.\n", url="https://example.com/1"),
)

PAGE = f"""\
Done in `hello.txt`.

## Pull request

**Say hello**

### What
It says hello.

https://example.com/1

## Changes

```text
 hello.txt | 1 +
 1 file changed, 1 insertion(+)
```

```diff
{DIFF}```
"""


def test_an_outcome_is_a_page() -> None:
    """The page has messages, pull request, summary and diff, in this order."""
    assert PAGE == MADE.to_markdown()


def test_a_task_has_a_title_and_facts() -> None:
    """Unknown facts are left out."""
    task = Task(
        ref=TaskRef("codex", "task_e_1"), state=TaskState.SUCCEEDED, title="Say hello", branch="main", outcome=MADE
    )

    assert (
        f"# Say hello\n\n- State: succeeded\n- Task: `codex:task_e_1`\n- Branch: main\n\n{PAGE}" == task.to_markdown()
    )


def test_missing_parts_have_no_heading() -> None:
    """An empty outcome is an empty page; an error is shown."""
    assert ["\n", "**Error:** c: it broke\n"] == [
        each.to_markdown() for each in (Outcome(), Outcome(error=Failure(code="c", message="it\nbroke")))
    ]


def test_a_broken_diff_is_shown() -> None:
    """A diff that cannot be parsed is shown without a summary."""
    assert "## Changes\n\n```diff\n@@ -1 +1 @@\n```\n" == Outcome(patch=Patch(b"@@ -1 +1 @@\n")).to_markdown()


@given(st.text(alphabet="`\na ", max_size=60))
def test_code_cannot_end_its_block(text: str) -> None:
    """A fence is longer than any run of backticks in its block."""
    first, *inside, last = fenced(text, "x").split("\n")

    assert first == f"{last}x"
    assert set(last) == {"`"}
    assert not any(re.match(rf" {{0,3}}{last}", line) for line in inside)
