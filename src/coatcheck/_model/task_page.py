"""How the address of a task's page has the task's id."""

from __future__ import annotations

import re
from typing import NamedTuple

# What joins the parts of an id that a page has in several places.
_SEPARATOR = "~"


class TaskPage(NamedTuple):
    """How the address of a task's page has its id, as a provider declares it.

    `site` is the origin of the page. `path` is a regular expression of the whole path, whose groups are the parts of the
    id; where `query` is given, the id is that parameter of the query.
    """

    site: str
    path: str = r".*?/([^/]+)"
    query: str | None = None

    def find_id(self, path: str, query: str) -> str | None:
        """Return the id in the *path* and the *query* of an address, None where it is no page of a task."""
        match = re.fullmatch(self.path, path)
        if match is None:
            return None
        return _SEPARATOR.join(match.groups()) if self.query is None else _parameter(query, self.query)


def _parameter(query: str, name: str) -> str | None:
    """Return the one value of the parameter *name*, None where there is none or several."""
    from urllib.parse import parse_qsl  # most pages have the id in the path

    values = [value for key, value in parse_qsl(query) if key == name]
    return values[0] if len(values) == 1 else None
