"""The models of the service: a dated data file.

Which model a cloud task uses is the service's choice; `Task.model` says which one it was.

See docs/reference/protocols/codex-wham.md, "9 The first release of this protocol" and "10 Models, 0.169.0".
"""

from __future__ import annotations

import pkgutil
from functools import cache

from ...provider import Model, read_json


@cache
def models() -> tuple[Model, ...]:
    """Return the catalogue in the service's order, the models of the protocol's first release last."""
    data = pkgutil.get_data(__package__ or "", "models.json") or b""
    return tuple(Model.from_dict(entry) for entry in read_json(data, list[dict[str, object]]))
