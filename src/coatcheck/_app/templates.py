"""Prompt templates of a checkout and of the user, rendered with the arguments of a command line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import errors
from .._review.template_files import (
    Folder,
    hidden_names,
    is_path as is_path,  # noqa: PLC0414 - exported
    list_names,
    load_template,
    template_folders,
)
from .._runtime.config import config_dir
from .field_errors import FieldError

if TYPE_CHECKING:
    from .._review.templates import Rendered, Template

# An argument of more bytes than this is no part of a prompt.
MAX_ARGUMENT = 1024 * 1024
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class FoundTemplate(NamedTuple):
    """A template with its place; `error` is why it cannot be used.

    One of a repository `hides_own` of the user, which has the same name.
    """

    name: str
    path: str
    is_from_repository: bool
    template: Template | None
    error: errors.ConfigurationError | None = None
    hides_own: bool = False


def folders_of(root: str | None, environ: Mapping[str, str]) -> tuple[Folder, ...]:
    """Return the folders of templates: of the checkout at *root*, then the user's."""
    return template_folders(root=root, config_folder=config_dir(environ))


def list_templates(folders: tuple[Folder, ...]) -> Sequence[FoundTemplate]:
    """Return every template, also those that cannot be used, sorted by name."""
    hidden = hidden_names(folders)
    return [
        find_template(name, folders, folder)._replace(hides_own=name in hidden) for name, folder in list_names(folders)
    ]


def find_template(name: str, folders: tuple[Folder, ...], folder: Folder | None = None) -> FoundTemplate:
    """Return the template *name* of *folder*, or the file at that path, with its error where it cannot be used."""
    path = os.path.join(folder.path, f"{name}.md") if folder else name
    is_from_repository = folder is not None and not folder.is_trusted
    try:
        return FoundTemplate(name, path, is_from_repository, load_template(name, folders))
    except errors.ConfigurationError as error:
        return FoundTemplate(name, path, is_from_repository, None, error)


def check_templates(
    names: Sequence[str], folders: tuple[Folder, ...]
) -> Sequence[tuple[FoundTemplate, tuple[str, ...]]]:
    """Return templates, all of them without *names*, each with what is probably a mistake in it."""
    known = dict(list_names(folders))
    found = [find_template(name, folders, known.get(name)) for name in names] if names else list_templates(folders)
    return [(each, each.template.findings() if each.template else ()) for each in found]


def read_arguments(texts: Sequence[str], *, folder: str, stdin: Callable[[], bytes]) -> dict[str, str]:
    """Return the arguments in *texts*, each ``NAME=VALUE``; ``@PATH`` is the text of a file, ``@-`` standard input.

    ``@@`` begins a value with an @ of its own. Raises `ConfigurationError` that names the argument.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise FieldError(
                "{text} is no argument of a template",
                fields=("template_arguments",),
                remedy="pass {template_arguments} NAME=VALUE",
                text=repr(text),
            )
        if name in values:
            raise errors.ConfigurationError(f"the argument {name} is given twice", remedy="pass it once")
        values[name] = _value(name, value, folder=folder, stdin=stdin)
    if sum(text.partition("=")[2] == "@-" for text in texts) > 1:
        raise errors.ConfigurationError("two arguments are standard input", remedy="save one of them in a file")
    return values


def _value(name: str, value: str, *, folder: str, stdin: Callable[[], bytes]) -> str:
    if value.startswith("@@"):
        return _decoded(os.fsencode(value[1:]), name)
    if not value.startswith("@"):
        return _decoded(os.fsencode(value), name)
    if value == "@-":
        return _decoded(stdin(), name)
    path = os.path.join(folder, value[1:])
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_ARGUMENT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FieldError(
            "the argument {name} cannot be read from {path}: {reason}",
            fields=("template_arguments",),
            remedy="name a file; a value that begins with @ is written @@: {template_arguments} {name}=@@…",
            name=name,
            path=repr(value[1:]),
            reason=reason,
        ) from None
    return _decoded(data, name)


def _decoded(data: bytes, name: str) -> str:
    if len(data) > MAX_ARGUMENT:
        raise errors.ConfigurationError(
            f"the argument {name} has more than {MAX_ARGUMENT} bytes", remedy="pass a part of it"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise errors.ConfigurationError(f"the argument {name} is not UTF-8 text", remedy="give it in UTF-8") from None


def settings_of(template: Template) -> dict[str, Any]:
    """Return what a template sets of a submission, by the fields of options; the title is of the rendered prompt."""
    settings: dict[str, Any] = {**template.settings, "attempts": template.attempts}
    settings["mode"] = None if template.mode is None else template.mode == "ask"
    return {name: value for name, value in settings.items() if value is not None}


def render(name: str, folders: tuple[Folder, ...], values: Mapping[str, str]) -> tuple[Template, Rendered]:
    """Return the template *name* and its prompt with *values*. Raises `ConfigurationError`."""
    template = load_template(name, folders)
    rendered = template.render(values)
    if not rendered.prompt.strip():
        raise errors.ConfigurationError(f"the template {name} makes an empty prompt", remedy="write a text below ---")
    return template, rendered
