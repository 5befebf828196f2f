"""The sources of every setting, in one order, and how to show it.

Explicit argument > ``COATCHECK_…`` > the service's own variable > project file > user file > default.
A repository may be hostile: its ``coatcheck.toml`` may set only what cannot move a secret, name a host or run a command.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from .. import errors
from .._files.reading import read_regular_file
from .._protocol.registry import DEFAULT_PROVIDER
from .._values.value import JsonFields, Value

PROJECT_FILE = "coatcheck.toml"
ALLOWED_IN_PROJECT = frozenset({"environment", "branch", "attempts", "timeout"})
DEFAULTS: Mapping[str, str] = {
    "provider": DEFAULT_PROVIDER,
    "attempts": "1",
    "timeout": "3600",
    "transport": "pyreqwest",
    "history": "full",
}
PREFIX = "COATCHECK_"

# The settings that no provider declares, each with what it is; `declared_settings` has those of the providers.
SETTINGS: Mapping[str, str] = {
    "provider": "the service that runs tasks, where no option and no ref names one",
    "environment": "the environment of tasks that name none, by id or label",
    "branch": "the branch that tasks start from (default: the checkout's)",
    "attempts": "how many attempts a task has",
    "timeout": "how long `wait` and `run` wait: 90s, 30m, 2h, none",
    "starting_diff": "a diff that is applied before the agent starts",
    "transport": "the HTTP library: pyreqwest or httpx2",
    "account": "which login of coatcheck, by the name given at `login`",
    "pager": "the program that shows long output (default: PAGER, else less)",
    "learn": "whether durations of tasks are kept to choose when to poll: true or false",
    "poll_cost": "seconds of delay that one poll is worth; less polls more often",
    "history": "what is recorded of tasks: full, metadata or off",
    "gate_timeout": "how long a decision may take before the gate is rejected (a plan is held): 30m, 2h, 3d (default: 72h)",
    "database": "where the store is: a folder, or postgresql://…",
    "services_file": "a further file with [services.NAME] tables",
}


class Setting(Value, frozen=True, kw_only=True):
    """A resolved setting and its origin."""

    name: str
    value: str | None
    origin: str

    _json: ClassVar[JsonFields] = {
        "name": "its name",
        "value": "its value; null where it is not set",
        "origin": "where it is set: an argument, a variable, a file, or the default",
    }


class Config:
    """The settings of one run. Reads nothing before the first access; files are read once."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        explicit: Mapping[str, str | None] | None = None,
        project: str | None = None,
        defaults: Mapping[str, str] = DEFAULTS,
    ) -> None:
        self.environ = environ
        self._defaults = defaults
        self._explicit = {name: value for name, value in (explicit or {}).items() if value is not None}
        self._project_path = project
        self._files: list[tuple[str, Mapping[str, str]]] | None = None

    def with_explicit(self, settings: Mapping[str, str | None]) -> Config:
        """Return a copy in which *settings* win over everything."""
        explicit = {**self._explicit, **settings}
        return Config(environ=self.environ, explicit=explicit, project=self._project_path, defaults=self._defaults)

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        """Return the setting *name* ("attempts", "codex.base_url"), None where it is not set."""
        return self.resolve(name, variable=variable).value

    def resolve(self, name: str, *, variable: str | None = None) -> Setting:
        """Return the setting *name* with its origin."""
        if name in self._explicit:
            return Setting(name=name, value=self._explicit[name], origin="argument")
        for candidate in filter(None, (PREFIX + name.upper().replace(".", "_").replace("-", "_"), variable)):
            if self.environ.get(candidate):
                return Setting(name=name, value=self.environ[candidate], origin=f"environment {candidate}")
        for path, values in self._read_files():
            if name in values:
                return Setting(name=name, value=values[name], origin=path)
        return Setting(
            name=name, value=self._defaults.get(name), origin="default" if name in self._defaults else "not set"
        )

    def number(self, name: str) -> float | None:
        """Return the setting *name* as a number; "none" is None. Raises `ConfigurationError` naming its origin."""
        setting = self.resolve(name)
        if setting.value is None or setting.value.lower() == "none":
            return None
        try:
            return float(setting.value)
        except ValueError:
            message = f"{name} should be a number, not {setting.value!r} ({setting.origin})"
            raise errors.ConfigurationError(message) from None

    def names_by_file(self) -> dict[str, tuple[str, ...]]:
        """Return the path of each file of settings, and the names that it sets."""
        return {path: tuple(values) for path, values in self._read_files()}

    def names_in_files(self) -> tuple[str, ...]:
        """Return every setting that a file names."""
        return tuple(dict.fromkeys(name for _, values in self._read_files() for name in values))

    def _read_files(self) -> list[tuple[str, Mapping[str, str]]]:
        if self._files is None:
            project = [] if self._project_path is None else [(self._project_path, read_project(self._project_path))]
            user = user_file(self.environ)
            self._files = [*project, (user, read_file(user))]
        return self._files


class ProviderSettings:
    """The settings of one provider: what its factory is given."""

    def __init__(self, config: Config, provider: str) -> None:
        self._config, self._provider = config, provider

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        """Return this provider's setting *name*."""
        return self._config.get(f"{self._provider}.{name}", variable=variable)


def read_file(path: str) -> Mapping[str, str]:
    """Read a TOML file of settings, tables joined by dots; a missing file is an empty one."""
    return flat_settings(read_tables(path) or {})


def flat_settings(tables: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings in *tables* by full name, as text."""
    return dict(_flat(tables))


def read_tables(path: str) -> Mapping[str, Any] | None:
    """Read a TOML file as it is, None where there is none. Raises `ConfigurationError` for what cannot be read."""
    try:
        data = read_regular_file(path)
        import tomllib  # 4 ms, and most runs have no file

        return tomllib.loads(data.decode("utf-8-sig"))  # editors of Windows write a byte-order mark
    except FileNotFoundError:
        return None
    except OSError as error:
        raise errors.ConfigurationError(
            f"{path} cannot be read: {error.strerror}", remedy="move it away, or fix its permissions"
        ) from None
    except ValueError as error:
        raise errors.ConfigurationError(f"{path} cannot be read: {error}", remedy="correct the TOML") from None


def read_project(path: str) -> Mapping[str, str]:
    """Read a project's file; raises `ConfigurationError` for a setting that a repository must not make."""
    values = read_file(path)
    for name in values:
        require_project_setting(name, path)
    return values


def require_project_setting(name: str, path: str) -> None:
    """Raise `ConfigurationError` unless a project's file may set *name*."""
    if name in ALLOWED_IN_PROJECT:
        return
    near = suggestion(name, ALLOWED_IN_PROJECT) if name not in SETTINGS else ""
    allowed = ", ".join(sorted(ALLOWED_IN_PROJECT))
    raise errors.ConfigurationError(
        f"{path} sets {name!r}, which a project file may not (it may set {allowed})",
        remedy=near or "set it for yourself with: coatcheck config set NAME VALUE",
    )


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a question that names the most similar of *known*, "" where none is similar."""
    from difflib import get_close_matches  # only a misspelling needs it

    near = get_close_matches(name, [*known], n=1)
    return f"did you mean {near[0]}?" if near else ""


def user_file(environ: Mapping[str, str]) -> str:
    """Return the path of the user's file of settings."""
    return os.path.join(config_dir(environ), "config.toml")


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}.")
        else:
            pairs.append((prefix + name, str(value).lower() if isinstance(value, bool) else str(value)))
    return pairs


def config_dir(environ: Mapping[str, str]) -> str:
    """Return the folder of the user's settings and own logins (XDG, also on macOS)."""
    return _dir(environ, "COATCHECK_CONFIG_HOME", "XDG_CONFIG_HOME", os.path.join("~", ".config"))


def state_dir(environ: Mapping[str, str]) -> str:
    """Return the folder of journals, the local cloud's data and running servers (XDG, also on macOS)."""
    return _dir(environ, "COATCHECK_STATE_HOME", "XDG_STATE_HOME", os.path.join("~", ".local", "state"))


def store_location(config: Config) -> str:
    """Return where the store is: the URL or the folder of the setting ``database``, else the state folder."""
    location = config.get("database")
    return with_home(location, config.environ) if location else state_dir(config.environ)


def with_home(path: str, environ: Mapping[str, str]) -> str:
    """Return *path* with the home folder for a "~" that it begins with: no shell has replaced it in files and services."""
    first, separator, rest = path.partition("/")
    home = environ.get("HOME") or os.path.expanduser("~")
    return f"{home}{separator}{rest}" if first == "~" else path


def _dir(environ: Mapping[str, str], own: str, xdg: str, default: str) -> str:
    if environ.get(own):
        return with_home(environ[own], environ)
    base = environ.get(xdg, "")
    return os.path.join(base if os.path.isabs(base) else with_home(default, environ), "coatcheck")
