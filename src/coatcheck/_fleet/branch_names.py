"""Names of branches from a template with ``{fleet}`` and ``{key}`` (git-check-ref-format(1)).

Invariant: a name that git would refuse, or that is read as an option or as a full name of a ref, is refused before anything
is sent.
"""

from __future__ import annotations

import hashlib
import re

from .. import errors

_FIELD = re.compile(r"\{([^{}]*)\}")
_FORBIDDEN = re.compile(
    r"""[\x00-\x20\x7f~^:?*\[\\{}"'`$;&|<>()!]|\.\.|@\{|//|/\.|\.lock(?:/|$)|\.(?:/|$)|^[-./@]|/$|^refs/|^HEAD$""",
    re.IGNORECASE,
)


def branch_name(template: str, *, fleet: str, key: str) -> str:
    """Return the branch of an item. Raises `ConfigurationError` for a name that cannot be one."""
    values = {"fleet": fleet, "key": slug(key)}

    def value(field: re.Match[str]) -> str:
        if field[1] not in values:
            raise errors.ConfigurationError(
                f"deliver.branch has no value for {field[0]}", remedy="use {fleet} and {key} only"
            )
        return values[field[1]]

    name = _FIELD.sub(value, template)
    if _FORBIDDEN.search(name) or len(name) > 200:
        raise errors.ConfigurationError(
            f"deliver.branch: {name!r} is not a valid branch name",
            remedy="see the rules with: git help check-ref-format",
        )
    return name


def slug(key: str) -> str:
    """Return an item's key as the name of a file or a branch: with a part of its digest where characters are replaced."""
    text = re.sub(r"[^A-Za-z0-9_]+", "-", key).strip("-")[:80] or "item"
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return text if text == key else f"{text}-{digest}"
