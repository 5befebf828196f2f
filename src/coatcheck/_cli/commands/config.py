"""`config` shows the settings and their origins, and changes the files that they come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ... import errors
from ..._app.setting_list import descriptions_of, resolve_setting, without_secret
from ..._protocol.urls import without_password
from ..._runtime.config import user_file
from ..command_group import CommandGroup
from ..console import Line
from ..context import CommandContext
from ..json_output import to_object
from ..tables import table
from ..time_options import seconds

if TYPE_CHECKING:
    from ..._runtime.config import Setting

# Setting -> the values that it can have, where these are a few words.
CHOICES = {
    "transport": ("pyreqwest", "httpx2"),
    "learn": ("true", "false"),
    "history": ("full", "metadata", "off"),
}

# What a new file of settings begins with.
TEMPLATE = """\
# Settings of coatcheck; `coatcheck config --all` lists and describes them.
# provider = "codex"
# environment = "owner/repo"
# attempts = 1
"""


config_command = CommandGroup(
    "config",
    default="list",
    help="""Print or change the settings of this folder.

    A setting comes from an option, else from the environment (COATCHECK_ and its name, then the variable of the
    service's own tools), else from coatcheck.toml in the checkout, else from config.toml in the user's folder.
    """,
)
name_argument = click.argument("name")
origin_option = click.option("--show-origin", is_flag=True, help="Show where each value comes from.")
project_option = click.option("--project", is_flag=True, help="The coatcheck.toml of this checkout, not your file.")


@config_command.subcommand(
    "list",
    examples="""
coatcheck config
coatcheck config --show-origin
coatcheck config --all
""",
)
@origin_option
@click.option("--all", "is_all", is_flag=True, help="Show every setting with its description, also those not set.")
def list_settings(run: CommandContext, *, show_origin: bool, is_all: bool) -> None:
    """Print the settings that are set."""
    from ..._runtime.setting_names import check_names

    check_names(run.config)
    descriptions = descriptions_of(run.config)
    settings = [resolve_setting(run.config, name) for name in descriptions]
    run.answer(
        lambda: {"settings": [to_object(setting) for setting in settings]},
        lambda: _table(run, settings, descriptions if is_all else None) if is_all or show_origin else _lines(settings),
    )


@config_command.subcommand(
    "get",
    examples="""
coatcheck config get timeout
coatcheck config get timeout --show-origin
""",
)
@name_argument
@origin_option
def get_setting(run: CommandContext, *, name: str, show_origin: bool) -> None:
    """Print the value of a setting."""
    from ..._runtime.setting_names import require_setting

    require_setting(name, run.config)
    setting = resolve_setting(run.config, name)
    if setting.value is None and not run.is_json:
        raise errors.ConfigurationError(f"{name} is not set", remedy=f"set it with: coatcheck config set {name} VALUE")
    text = f"{setting.value}  ({setting.origin})" if show_origin else f"{setting.value}"
    run.answer(lambda: {"settings": [to_object(setting)]}, lambda: [text])


@config_command.subcommand(
    "set",
    examples="""
coatcheck config set attempts 2
coatcheck config set environment owner/repo --project
""",
)
@name_argument
@click.argument("value")
@project_option
def set_setting(run: CommandContext, *, name: str, value: str, project: bool) -> None:
    """Change a setting in config.toml, whose comments are kept."""
    _change(run, name, value, _path(run, project=project), project=project)


@config_command.subcommand("unset", examples="coatcheck config unset attempts")
@name_argument
@project_option
def unset_setting(run: CommandContext, *, name: str, project: bool) -> None:
    """Remove a setting from config.toml, whose comments are kept."""
    _change(run, name, None, _path(run, project=project), project=project)


@config_command.subcommand(
    "edit",
    examples="""
coatcheck config edit
coatcheck config edit --project
""",
)
@project_option
def edit_settings(run: CommandContext, *, project: bool) -> None:
    """Open config.toml in your editor."""
    _edit(run, _path(run, project=project))


def _path(run: CommandContext, *, project: bool) -> str:
    """Return the path of the file to change."""
    from ..._runtime.config import PROJECT_FILE

    if project:
        return os.path.join(run.workspace.require_root(), PROJECT_FILE)
    return user_file(run.process_env.environ)


def _lines(settings: list[Setting]) -> list[Line]:
    return [f"{each.name} = {each.value}" for each in settings if each.value is not None]


def _table(run: CommandContext, settings: list[Setting], descriptions: dict[str, str] | None) -> list[Line]:
    """Return the settings as a table with their *descriptions*, or with their origins."""
    rows = [
        (each.name, each.value or "", descriptions[each.name] if descriptions else each.origin) for each in settings
    ]
    header = ("SETTING", "VALUE", "DESCRIPTION" if descriptions else "ORIGIN")
    return table(header, rows, width=run.console.max_width)


def _change(run: CommandContext, name: str, value: str | None, path: str, *, project: bool) -> None:
    """Set *name* to *value* in the file *path*, or remove it where *value* is None."""
    from ..._app import settings
    from ..._runtime.config import require_project_setting
    from ..._runtime.setting_names import require_setting

    if value is None:
        is_changed = settings.unset_setting(path, name)
        if not is_changed:
            require_setting(name, run.config)
        line = f"{name} is no longer set in {path}" if is_changed else f"{name} was not set in {path}"
    else:
        require_setting(name, run.config)
        if project:
            require_project_setting(name, path)
        value = _checked_value(name, value, run)
        settings.set_setting(path, name, value)
        line = f"{name} = {value} in {path}"
    run.answer(lambda: {"path": path, "settings": [{"name": name, "value": value, "origin": path}]}, lambda: [line])
    setting = without_secret(run.with_files_read_again().resolve(name))
    if value is not None and setting.origin != path and setting.value is not None:
        run.note(f"{setting.origin} overrides it: {name} = {setting.value}")


def _checked_value(name: str, value: str, run: CommandContext) -> str:
    """Return *value* as it is stored: a choice in small letters. Raises `ConfigurationError` for one that cannot be set."""
    from ..._runtime.provider_lookup import settings_of_provider

    if choices := CHOICES.get(name):
        return _checked_choice(name, value, choices)
    provider, dot, setting = name.partition(".")
    declared = settings_of_provider(provider, run.config).get(setting) if dot else None
    if declared is not None and declared.choices:
        return declared.check(value, of=provider)
    _check_value(name, value, run)
    return value


def _checked_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    word = value.strip().lower()
    if word not in choices:
        raise errors.ConfigurationError(f"{name} is {value!r}", remedy=f"use one of: {', '.join(choices)}")
    return word


def _check_value(name: str, value: str, run: CommandContext) -> None:
    """Raise `ConfigurationError` for a value that a setting without choices cannot have."""
    from ..._runtime.provider_lookup import require_provider

    if name == "poll_cost" or name.endswith(".rate"):
        _check_number(name, value)
    elif name == "timeout":
        seconds(value, "timeout")
    elif name == "database" and without_password(value) != value:
        raise errors.ConfigurationError(
            "the database has a password, which would be in the file and in the history of the shell",
            remedy="leave it out, and set PGPASSWORD or write ~/.pgpass",
        )
    elif name == "provider":
        require_provider(value, lambda: run.config)
    elif name == "attempts" and not (value.isascii() and value.isdecimal() and int(value) > 0):
        raise errors.ConfigurationError(f"attempts is {value!r}", remedy="use a whole number of at least 1")


def _check_number(name: str, value: str) -> None:
    """Raise `ConfigurationError` unless *value* is a number that is not negative, or "none"."""
    try:
        is_number = value.lower() == "none" or 0 <= float(value) < float("inf")
    except ValueError:
        is_number = False
    if not is_number:
        raise errors.ConfigurationError(f"{name} is {value!r}", remedy="use a number such as 0.5, or none")


def _edit(run: CommandContext, path: str) -> None:
    from ..._runtime.setting_names import check_names
    from ..editor import edit_file

    if not run.process_env.is_asking:
        raise errors.ConfigurationError(
            "config edit needs a terminal", remedy=f"write: coatcheck config set NAME VALUE, or change {path}"
        )
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path):
            with open(path, "x", encoding="utf-8") as file:
                file.write(TEMPLATE)
    except OSError as error:
        raise errors.ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    edit_file(path, run.process_env.environ)
    check_names(run.with_files_read_again())
    run.answer(lambda: {"path": path, "settings": []}, lambda: [path])
