"""Descriptions of the three interfaces of `Http202Emulator`, as a user would write them."""

from __future__ import annotations

import tomllib
from typing import Any

from coatcheck.providers.generic_http.description import read
from coatcheck.providers.generic_http.provider import Http202Provider

BASE = "http://127.0.0.1:9"

AZURE = """
preset = "azure"
token_variable = "ACME_KEY"

[submit]
path = "/jobs"
[submit.body]
prompt = "{prompt}"
repository = "{repository}"
branch = "{branch}"
title = "{title}"
labels = ["agent", "from {owner}"]
limits = { minutes = 30 }

[task]
id = "id"
prompt = "input.prompt"
branch = "input.branch"

[result]
message = "message"
patch = "patch"
pull_request = "pull_request.url"
pull_request_title = "pull_request.title"

[cancel]
method = "DELETE"
"""

# With a path, the id of the answer is the id of the ref, and a list's items have refs too.
BY_ID = (
    AZURE
    + """
[status]
path = "/operations/{id}"
query = { api-version = "1" }

[list]
path = "/operations"
items = "value"
cursor = "next"
cursor_parameter = "after"
"""
)

PLAIN = """
[submit]
path = "/plain"
[result]
message = "message"
patch = "patch"
"""

GOOGLE = """
preset = "google-operations"
[submit]
path = "/v1/jobs"
[task]
prompt = "metadata.value.prompt"
created_at = "metadata.value.createTime"
[list]
path = "/v1/projects/demo/operations"
[result]
message = "response.value.message"
"""


def provider(toml: str = BY_ID, *, base_url: str = BASE, **more: Any) -> Http202Provider:
    """Return the provider of a description."""
    return Http202Provider("acme", base_url, read("acme", tomllib.loads(toml) | more, origin="services.toml"))
