"""Where a GitHub is, and which repository is meant (docs/reference/protocols/services.md, "1 GitHub Actions"). Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from ...provider import base_url, encoded, errors, is_loopback, repository_named

HOST = "api.github.com"
DEFAULT_BASE_URL = f"https://{HOST}"
# GitHub Enterprise Cloud with data residency has its API at api.SUBDOMAIN.ghe.com (docs.github.com, "Network details").
CLOUD_SUFFIX = ".ghe.com"
ENTERPRISE_PATH = "/api/v3"

# The newest of the cloud; servers have 2022-11-28 and reject other versions (docs/reference/protocols/services.md, "1.1
# Endpoints" and "1.2 The id of a dispatched run").
CLOUD_VERSION = "2026-03-10"
SERVER_VERSION = "2022-11-28"


def base_of(text: str | None, *, of: str) -> str:
    """Return the API's base URL: *text*, a server's or github.com's own address with what it lacks, or the cloud's.

    Raises `ConfigurationError` for what is no address; *of* is the provider.
    """
    base = base_url(text or DEFAULT_BASE_URL, of=of)
    parts = urlsplit(base)
    host = (parts.hostname or "").lower()
    if parts.path or is_loopback(host):
        return base
    if host in ("github.com", "www.github.com", HOST):
        return DEFAULT_BASE_URL
    if host.endswith(CLOUD_SUFFIX):
        return base if host.startswith("api.") else base.replace("://", "://api.", 1)
    return base + ENTERPRISE_PATH


def is_server(base: str) -> bool:
    """Whether *base* is of a GitHub Enterprise Server."""
    return urlsplit(base).path.endswith(ENTERPRISE_PATH)


def site_of(base: str) -> str:
    """Return the base URL of the web pages that belong to the API at *base*."""
    parts = urlsplit(base)
    host = parts.netloc.removeprefix("api.")
    return f"{parts.scheme}://{host}"


def repository_path(repository: str, rest: str = "") -> str:
    """Return the path of *repository* (``owner/repo``) in the API."""
    return "/repos/" + "/".join(map(encoded, repository.split("/"))) + rest


def repository_in(text: str) -> str:
    """Return the ``owner/repo`` that *text* names; raises `ConfigurationError`."""
    name = repository_named(text)
    if name is None:
        raise errors.ConfigurationError(f"{text!r} names no repository on GitHub", remedy="give OWNER/REPO")
    return name
