"""Every setting with its value and its origin, for people: without secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from .._protocol.urls import without_password
from .._runtime.config import SETTINGS

if TYPE_CHECKING:
    from .._runtime.config import Config, Setting

HIDDEN = "[hidden]"
# Names of settings that hold a secret: headers of a service that a file describes.
_SECRET = re.compile(r"(?:^|[._-])(?:authorization|api[_-]?key|token|secret|password|cookie)$", re.IGNORECASE)


def descriptions_of(config: Config) -> dict[str, str]:
    """Return every setting by its full name, with its description."""
    from .._runtime.provider_lookup import declared_settings

    described = {**SETTINGS} | {name: each.description for name, each in declared_settings(config).items()}
    return described | {name: "" for name in config.names_in_files() if name not in described}


def resolve_setting(config: Config, name: str) -> Setting:
    """Return the setting *name*, from the first of its variables that is set where no setting of ours is."""
    from .._runtime.provider_lookup import variables_of

    candidates = [config.resolve(name, variable=each) for each in variables_of(name, config) or (None,)]
    return without_secret(next((setting for setting in candidates if setting.value is not None), candidates[0]))


def without_secret(setting: Setting) -> Setting:
    """Return a setting without a secret in its value."""
    if setting.value and _SECRET.search(setting.name):
        return replace(setting, value=HIDDEN)
    return replace(setting, value=setting.value and without_password(setting.value))
