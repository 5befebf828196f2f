from __future__ import annotations

import pytest

from coatcheck import errors
from coatcheck.providers.codex.endpoints import Service


@pytest.mark.parametrize(
    ("base", "origin", "path", "page"),
    [
        ("https://chatgpt.com", "https://chatgpt.com/backend-api", "/wham/usage", "https://chatgpt.com/codex/tasks/t"),
        (
            "https://chatgpt.com/backend-api///",
            "https://chatgpt.com/backend-api",
            "/wham/usage",
            "https://chatgpt.com/codex/tasks/t",
        ),
        (
            "https://chat.openai.com/",
            "https://chat.openai.com/backend-api",
            "/wham/usage",
            "https://chat.openai.com/codex/tasks/t",
        ),
        (
            "http://127.0.0.1:8/backend-api",
            "http://127.0.0.1:8/backend-api",
            "/wham/usage",
            "http://127.0.0.1:8/codex/tasks/t",
        ),
        ("http://h/backend-api/v2", "http://h/backend-api/v2", "/wham/usage", "http://h/backend-api/v2/codex/tasks/t"),
        ("http://h:8", "http://h:8", "/api/codex/usage", "http://h:8/codex/tasks/t"),
        ("http://h/x/api/codex/", "http://h/x", "/api/codex/usage", "http://h/x/codex/tasks/t"),
        (" https://[::1]:8/ ", "https://[::1]:8", "/api/codex/usage", "https://[::1]:8/codex/tasks/t"),
    ],
)
def test_bases_are_normalised_as_by_the_official_client(base: str, origin: str, path: str, page: str) -> None:
    """Slashes go, ChatGPT's hosts get their path, and the base decides the style; nothing is doubled.

    See docs/reference/protocols/codex-wham.md, "1.1 Base URL and path styles" and "8 CLI surface".
    """
    service = Service.at(base, name="codex")

    assert (origin, path, page) == (service.base_url, service.path("usage"), service.url_of("t"))


@pytest.mark.parametrize(
    "base",
    [
        "",
        "chatgpt.com",
        "ftp://h",
        "http://",
        "https://u:hunter2@h",
        "https://h?token=hunter2",
        "https://h#hunter2",
        "http://h /x",
    ],
)
def test_what_is_no_base_url_is_refused(base: str) -> None:
    """User information, a query or a fragment never get into a request, nor into the message."""
    with pytest.raises(errors.ConfigurationError) as raised:
        Service.at(base, name="codex")

    assert "hunter2" not in str(raised.value)
