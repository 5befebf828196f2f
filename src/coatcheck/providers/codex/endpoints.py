"""The base URL and the addresses of tasks.

See docs/reference/protocols/codex-wham.md, "1.1 Base URL and path styles" and "8 CLI surface".
"""

from __future__ import annotations

import msgspec

from ...provider import ProviderSetting, TaskRef, base_url as plain_base_url, encoded

DEFAULT_BASE_URL = "https://chatgpt.com/backend-api"

# Only these get the missing path appended; the official client compares the start of the text
# (docs/reference/protocols/codex-wham.md, "1.1 Base URL and path styles").
_HOMES = ("https://chatgpt.com", "https://chat.openai.com")

# What the base URL contains decides how paths begin (docs/reference/protocols/codex-wham.md, "1.1 Base URL and path
# styles").
_BACKEND, _API = "/backend-api", "/api/codex"


CODEX_BASE_URL = ProviderSetting("base_url", "where Codex Cloud is", DEFAULT_BASE_URL, ("CODEX_CLOUD_TASKS_BASE_URL",))
LOCAL_BASE_URL = ProviderSetting("base_url", "where the local cloud is; unset: the one that runs on this machine")

# What `coatcheck serve` prints; newer releases of the Codex CLI have another protocol (docs/guides/local-cloud.md).
LOCAL_SERVER_HINTS = (
    "Submit to it with: coatcheck submit --provider local …",
    "The Codex CLI (up to 0.151) with: CODEX_HOME={codex_home} CODEX_CLOUD_TASKS_BASE_URL={url} codex cloud list",
)


class Service(msgspec.Struct, frozen=True):
    """One deployment of the service.

    `name` is the provider of its refs, `prefix` the beginning of its paths, `pages` that of the URLs of tasks' pages.
    """

    name: str
    base_url: str
    prefix: str
    pages: str

    @classmethod
    def at(cls, base_url: str, *, name: str) -> Service:
        """Return the service at *base_url*, normalised as the official client does.

        One difference: a base that ends in ``/api/codex`` is taken for what it means and not doubled.
        Raises `ConfigurationError` for what is no plain http or https URL.

        See docs/reference/protocols/codex-wham.md, "1.1 Base URL and path styles".
        """
        base = plain_base_url(base_url, of=name)
        if base.startswith(_HOMES) and _BACKEND not in base:
            base += _BACKEND
        is_backend = _BACKEND in base
        if not is_backend:
            base = base.removesuffix(_API).rstrip("/")
        pages = f"{base.removesuffix(_BACKEND).removesuffix(_API)}/codex/tasks/"
        return cls(name, base, "/wham" if is_backend else _API, pages)

    def path(self, *segments: str) -> str:
        """Return the path of a route; each segment is encoded where it must be."""
        return "/".join((self.prefix, *map(encoded, segments)))

    def ref(self, id: str) -> TaskRef:
        """Return the ref of the task *id*."""
        return TaskRef(self.name, id)

    def url_of(self, id: str) -> str:
        """Return the page of the task *id* (docs/reference/protocols/codex-wham.md, "8 CLI surface")."""
        return self.pages + encoded(id)
