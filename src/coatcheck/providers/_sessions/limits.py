"""What both services take and report in the same form: amounts of money in cents, and the newest file of each name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ...provider import ProviderSetting, Settings, errors

_DOLLARS = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?")


def read_cents(setting: ProviderSetting, settings: Settings, *, provider: str) -> int | None:
    """Return a setting in US dollars in cents, None where it is not set. Raises `ConfigurationError` for no amount."""
    value = setting.read(settings)
    if value is None:
        return None
    match = _DOLLARS.fullmatch(value)
    cents = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else 0
    if not cents:
        raise errors.ConfigurationError(
            f"{provider}.{setting.name} cannot be {value!r}", remedy="give US dollars, such as 5 or 2.50"
        )
    return cents


def newest_files(files: Iterable[tuple[str, float, str]]) -> Mapping[str, str]:
    """Return the id of the newest file of each name, without its folder; *files* are paths, times and ids."""
    newest: dict[str, tuple[float, str]] = {}
    for path, time, id in files:
        name = path.rpartition("/")[2]
        if name not in newest or time >= newest[name][0]:
            newest[name] = (time, id)
    return {name: id for name, (_, id) in newest.items()}
