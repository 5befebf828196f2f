"""The errors of Cursor with their remedies, by the code of the response.

See docs/reference/protocols/cursor.md, "6 Errors and limits".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from ...provider import UNREADABLE, Response, check, decode_json, errors, read_json, text
from . import wire
from .endpoints import LOGIN, SITE

T = TypeVar("T")

CONFLICT = "agent_id_conflict"
REMEDIES: Mapping[str, str] = {
    "unauthorized": LOGIN.remedy,
    "api_key_not_found": LOGIN.remedy,
    "plan_required": f"cloud agents need a paid plan: {SITE}/dashboard",
    "role_forbidden": "use the key of a member whose role may start agents",
    "feature_unavailable": f"enable it for the account: {SITE}/dashboard",
    "integration_not_connected": f"connect the code host of the repository: {SITE}/dashboard",
    "repository_access": "give Cursor access to the repository; see: coatcheck environments --provider cursor",
    "service_account_required": "use the key of a service account",
    "invalid_model": "choose one of: coatcheck models --provider cursor",
    "invalid_branch_name": "name a branch that exists: --branch BRANCH",
    "repository_required": "name a repository: --repo OWNER/REPO",
    "agent_not_found": "it was deleted, or it belongs to another account; see: coatcheck list --provider cursor",
    "run_not_found": "see: coatcheck list --provider cursor",
    "agent_busy": "wait for its run to end, or stop it: coatcheck cancel REF",
    "agent_archived": "take it back first: coatcheck unarchive REF",
    "run_not_cancellable": "its run has ended; see: coatcheck show REF",
    "stream_expired": "its events are not kept any more; watch it without --stream",
    "usage_limit_exceeded": f"the limit of the plan is reached; raise it at {SITE}/dashboard, or wait for the next period",
}


def code_of(response: Response) -> str | None:
    """Return the code of a refusal, None where there is none."""
    try:
        document = decode_json(response.body, wire.ErrorDocument)
    except UNREADABLE:
        return None
    return text(document.error.reason) if document.error else None


def checked(response: Response, *, ref: object = None) -> Response:
    """Return *response*, or raise the error of its status, with the remedy of its code."""
    try:
        check(response)
    except errors.ProviderError as error:
        if remedy := _remedy_of(response):
            error.remedy = remedy.replace("REF", str(ref)) if ref else remedy
        raise
    return response


def read(response: Response, shape: type[T], *, ref: object = None) -> T:
    """Return the body of *response* as *shape*, or raise the error of its status."""
    return read_json(checked(response, ref=ref).body, shape, response=response)


def _remedy_of(response: Response) -> str | None:
    """Return the page that the service names, else what is known of the code."""
    try:
        detail = decode_json(response.body, wire.ErrorDocument).error
    except UNREADABLE:
        return None
    if detail is None:
        return None
    url = text(detail.help_url)
    if url is not None and url.startswith("https://") and url.isprintable() and " " not in url:
        return f"see {url}"
    return REMEDIES.get(text(detail.reason) or "")
