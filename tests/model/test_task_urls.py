from __future__ import annotations

import pytest

from coatcheck import TaskRef, errors
from coatcheck.provider import TaskPage

PAGE = "https://chatgpt.com/codex/tasks/task_e_1"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (PAGE, "codex:task_e_1"),
        ("HTTPS://ChatGPT.com/codex/tasks/task_e_1", "codex:task_e_1"),
        ("https://chatgpt.com:443/codex/tasks/task_e_1/", "codex:task_e_1"),
        ("https://chatgpt.com/codex/tasks/task_e_1?tab=diff#L1", "codex:task_e_1"),
        ("https://chat.openai.com/codex/tasks/task_e_1", "codex:task_e_1"),
        ("https://jules.google.com/session/77", "jules:77"),
        ("https://github.com/Owner/repo/actions/runs/5", "github_actions:Owner~repo~5"),
        ("https://github.com/owner/repo/actions/runs/5/job/6?pr=1", "github_actions:owner~repo~5"),
        ("https://github.com/owner/repo/copilot/tasks/a-b", "copilot:a-b"),
        ("https://cursor.com/agents?id=bc-1", "cursor:bc-1"),
        ("https://cursor.com/agents/?tab=diff&id=bc-1#L1", "cursor:bc-1"),
        ("https://cursor.com/agents/bc-1?tab=diff", "cursor:bc-1"),
        ("https://agents.example/own/tasks/x", "own:x"),
    ],
)
def test_the_provider_of_a_page(url: str, expected: str) -> None:
    """The origin of a page determines the provider; hosts are compared without case, and the default port may be given."""
    assert expected == str(TaskRef.parse(url, provider="own", origins=["https://agents.example/own"]))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/codex/tasks/task_e_1",
        "https://chatgpt.com.evil.example/codex/tasks/task_e_1",
        "https://notchatgpt.com/codex/tasks/task_e_1",
        "https://evil-chatgpt.com/codex/tasks/task_e_1",
        "https://sub.chatgpt.com/codex/tasks/task_e_1",
        "https://chatgpt.com@evil.example/codex/tasks/task_e_1",
        "https://user:pass@chatgpt.com/codex/tasks/task_e_1",
        "https://evil.example\\@chatgpt.com/codex/tasks/task_e_1",
        "https://evil.example#@chatgpt.com/codex/tasks/task_e_1",
        "https://evil.example?chatgpt.com/codex/tasks/task_e_1",
        "https://chatgpt.com:8443/codex/tasks/task_e_1",
        "https://chatgpt.com:/codex/tasks/task_e_1",
        "https://chatgpt.com:99999999/codex/tasks/task_e_1",
        "https://chatgpt.com./codex/tasks/task_e_1",
        "http://chatgpt.com/codex/tasks/task_e_1",
        "ftp://chatgpt.com/codex/tasks/task_e_1",
        "javascript://chatgpt.com/codex/tasks/task_e_1",
        "https://chat\u0261pt.com/codex/tasks/task_e_1",
        "https://chat\tgpt.com/codex/tasks/task_e_1",
        "https://chatgpt.com/",
        "https://chatgpt.com",
        "https:///codex/tasks/task_e_1",
        "https://github.com/owner/repo/pull/5",
        "https://cursor.com/agents",
        "https://cursor.com/agents?id=bc-1&id=bc-2",
        "https://cursor.com/agents?id=",
        "https://cursor.com/docs?id=bc-1",
        "https://cursor.com.evil.example/agents?id=bc-1",
        "https://evil.example/agents?id=bc-1#https://cursor.com/agents?id=bc-1",
        "https://127.0.0.1.evil.example:80/codex/tasks/task_e_1",
        "http://127.0.0.1:1/codex/tasks/task_e_1",
        "https://own.example:444/tasks/x",
    ],
)
def test_a_foreign_address_is_refused(url: str) -> None:
    """An address of an unknown site is an error that names the expected ones."""
    with pytest.raises(errors.ConfigurationError, match="no provider has tasks at this address") as caught:
        TaskRef.parse(url, provider="codex", origins=["https://own.example"])

    assert "https://chatgpt.com" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://acme.example/jobs?run=7", "own:7"),
        ("https://acme.example/jobs?run=a%7Eb", "own:a~b"),
        ("http://127.0.0.1:9/jobs?run=7", "own:7"),
        ("https://chatgpt.com/codex/tasks/task_e_1", "codex:task_e_1"),
    ],
)
def test_the_pages_that_a_provider_declares(url: str, expected: str) -> None:
    """A page that the configured provider declares is found at its site, and at the provider's own addresses."""
    origins = ["http://127.0.0.1:9", TaskPage("https://acme.example", "/jobs", query="run")]

    assert expected == str(TaskRef.parse(url, provider="own", origins=origins))
