"""Prompt templates: Markdown with YAML front matter, declared arguments and ``{{name}}`` placeholders. Pure.

Invariants:
- text outside placeholders is kept byte for byte, and a placeholder that is not declared is text;
- placeholders are replaced in one pass: text that was inserted is not searched for placeholders;
- a value with a tag cannot end its tag;
- a template of a repository sets prompt, title, attempts and mode and nothing else, so that it cannot choose a
  provider, a host, a token or a command.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, cast

from .._values.value import JsonFields, Value
from ..errors import ConfigurationError

# Front matter beyond this is an accident, or an attack on the YAML parser.
MAX_FRONT_MATTER = 64 * 1024
MAX_DEPTH = 10

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TAG = re.compile(r"[a-z][a-z0-9_-]*")
_PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)

_REPOSITORY_KEYS = frozenset({"description", "arguments", "title", "attempts", "mode"})
_USER_KEYS = _REPOSITORY_KEYS | {"provider", "environment", "branch", "model"}
_ARGUMENT_KEYS = frozenset({"description", "required", "default", "tag"})


class Argument(Value, frozen=True, kw_only=True):
    """A declared argument of a template. One that is required has no default; `tag` encloses its value in the prompt."""

    name: str
    description: str | None = None
    is_required: bool = False
    default: str | None = None
    tag: str | None = None

    _json: ClassVar[JsonFields] = {
        "name": "its name, as in `--arg NAME=VALUE`",
        "description": "what to give",
        "is_required": "whether a value must be given",
        "default": "the value where none is given",
        "tag": "the tag that encloses the value in the prompt",
    }


class Rendered(Value, frozen=True, kw_only=True):
    """A prompt that a template made, with the name and the digest of the template."""

    prompt: str
    template: str
    digest: str
    title: str | None = None

    _json: ClassVar[JsonFields] = {
        "prompt": "the prompt",
        "template": "the name of the template",
        "digest": "the SHA-256 of the template",
        "title": "the title of the task",
    }


class Template(Value, frozen=True, kw_only=True):
    """A template. `settings` are fields of a submission that only a user's own template may set."""

    name: str
    body: str
    digest: str
    description: str | None = None
    arguments: tuple[Argument, ...] = ()
    title: str | None = None
    attempts: int | None = None
    mode: Literal["code", "ask"] | None = None
    settings: Mapping[str, str] = {}

    _json: ClassVar[JsonFields] = {
        "name": "its name",
        "description": "what it is for",
        "arguments": "argument objects",
        "title": "the title of the task, with placeholders",
        "attempts": "how many attempts",
        "mode": '"code" or "ask"',
        "settings": "further fields of the submission, in a user's own template",
        "body": "the text with placeholders",
        "digest": "the SHA-256 of the whole file",
    }

    def render(self, values: Mapping[str, str]) -> Rendered:
        """Return the prompt with *values* in place of the placeholders.

        Raises `ConfigurationError` for a value that is not declared, and for a required argument without one.
        """
        known = {argument.name: argument for argument in self.arguments}
        if unknown := sorted(set(values) - set(known)):
            raise ConfigurationError(
                f"the template {self.name} has no argument {unknown[0]!r}",
                remedy=f"its arguments: {', '.join(known) or 'none'}",
            )
        missing = [each.name for each in self.arguments if each.is_required and each.name not in values]
        if missing:
            raise ConfigurationError(
                f"the template {self.name} needs {', '.join(missing)}",
                remedy=" ".join(f"--arg {name}=VALUE" for name in missing),
            )
        given = {name: values.get(name, argument.default or "") for name, argument in known.items()}
        prompt = _replace(self.body, {name: _Tagged(given[name], known[name].tag) for name in known})
        title = _replace(self.title, {name: _Tagged(given[name], None) for name in known}) if self.title else None
        return Rendered(prompt=prompt, title=title and " ".join(title.split()), template=self.name, digest=self.digest)

    def findings(self) -> tuple[str, ...]:
        """Return what is probably a mistake: arguments without a placeholder, placeholders without an argument."""
        declared = {argument.name for argument in self.arguments}
        used = set(_PLACEHOLDER.findall(f"{self.title or ''}\n{self.body}"))
        unused = (f"the argument {name} is not used" for name in sorted(declared - used))
        undeclared = (f"{{{{{name}}}}} is not declared and stays as it is" for name in sorted(used - declared))
        empty = () if self.body.strip() else ("the prompt is empty",)
        return (*unused, *undeclared, *empty)


def parse_template(text: str, *, name: str, is_trusted: bool) -> Template:
    """Return the template in *text*, which may have front matter. Raises `ConfigurationError` that names the key.

    One that *is_trusted* is the user's; others may set only what a repository may.
    """
    match = _FRONT_MATTER.match(text)
    if match is None and re.match(r"---[ \t]*\r?\n", text):
        raise _invalid(name, "its front matter has no end", "end it with a line ---")
    fields = _read_yaml(match[1], name) if match else {}
    _check_keys(fields, _USER_KEYS if is_trusted else _REPOSITORY_KEYS, name)
    return Template(
        name=name,
        body=text[match.end() :] if match else text,
        digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        description=_text(fields, "description", name),
        arguments=_arguments(fields.get("arguments"), name),
        title=_text(fields, "title", name),
        attempts=_attempts(_text(fields, "attempts", name), name),
        mode=_mode(_text(fields, "mode", name), name),
        settings={key: _text(fields, key, name) or "" for key in fields if key not in _REPOSITORY_KEYS},
    )


# --- rendering --------------------------------------------------------------------------------------------------------


class _Tagged:
    """A value and the tag that encloses it."""

    def __init__(self, value: str, tag: str | None) -> None:
        self._value, self._tag = value, tag

    def text(self, *, starts_line: bool, ends_line: bool) -> str:
        """Return the value, enclosed by its tag on separate lines."""
        if self._tag is None:
            return self._value
        tag = _free_tag(self._tag, self._value)
        before, after = "" if starts_line else "\n", "" if ends_line else "\n"
        return f"{before}<{tag}>\n{self._value.rstrip()}\n</{tag}>{after}"


def _free_tag(tag: str, value: str) -> str:
    """Return *tag*, with the first number that makes it differ from every closing tag in *value*."""
    closing = {match.lower() for match in re.findall(r"<\s*/\s*([A-Za-z0-9_-]+)", value)}
    if tag not in closing:
        return tag
    return next(f"{tag}-{number}" for number in range(2, len(closing) + 3) if f"{tag}-{number}" not in closing)


def _replace(text: str, values: Mapping[str, _Tagged]) -> str:
    def insert(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        starts_line = text[: match.start()].endswith("\n") or match.start() == 0
        ends_line = text[match.end() :][:1] in ("", "\n", "\r")
        return values[match[1]].text(starts_line=starts_line, ends_line=ends_line)

    return _PLACEHOLDER.sub(insert, text)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read_yaml(text: str, name: str) -> Mapping[str, Any]:
    """Return the mapping in *text*, every scalar as text, so that ``yes`` and ``1.10`` stay what was written."""
    import yaml  # 20 ms, and only templates need it

    if len(text) > MAX_FRONT_MATTER:
        raise _invalid(name, f"its front matter has more than {MAX_FRONT_MATTER} characters", "move text to the body")
    try:
        _check_tokens(yaml.scan(text, Loader=yaml.BaseLoader), name)
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        fields = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - the loader that knows no types but text
    except yaml.reader.ReaderError as error:
        raise _invalid(name, f"its front matter has the character U+{error.character:04X}", "remove it") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 2})" if mark else ""
        reason = getattr(error, "problem", None) or "it is nested too deeply"
        raise _invalid(name, f"its front matter is not YAML: {reason}{line}", "quote texts with : or #") from None
    if fields is None or fields == "":
        return {}
    if not isinstance(fields, dict):
        raise _invalid(name, "its front matter is not a mapping", "write lines KEY: VALUE")
    _check_duplicates(node, name)
    return cast("Mapping[str, Any]", fields)


def _check_tokens(tokens: Iterable[Any], name: str) -> None:
    """Raise for an alias, for half a character, and for nesting that no template needs and that parsers are slow to read."""
    depth = 0
    for token in tokens:
        kind = type(token).__name__
        depth += kind.endswith("StartToken") - (kind.endswith("EndToken") and not kind.startswith("Stream"))
        if kind == "AliasToken":
            raise _invalid(name, "its front matter has an alias (*name)", "write the value itself")
        if kind == "ScalarToken" and (half := _SURROGATE.search(token.value)):
            raise _invalid(name, f"its front matter has {half[0]!r}, which is half a character", "write the character")
        if depth > MAX_DEPTH:
            raise _invalid(name, f"its front matter has more than {MAX_DEPTH} levels", "write plain values")


def _check_duplicates(node: Any, name: str) -> None:
    """Raise for a key that is written twice, of which YAML parsers take the last."""
    if getattr(node, "id", None) != "mapping":
        return
    seen: set[str] = set()
    for key, value in node.value:
        if str(key.value) in seen:
            raise _invalid(name, f"the key {key.value!r} is written twice", "remove one of them")
        seen.add(str(key.value))
        _check_duplicates(value, name)


def _check_keys(fields: Mapping[str, Any], known: frozenset[str], name: str) -> None:
    unknown = sorted(str(key) for key in fields if key not in known)
    if not unknown:
        return
    if unknown[0] in _USER_KEYS:
        raise _invalid(
            name,
            f"a template of a repository cannot set {unknown[0]!r}",
            "set it on the command line, or copy the template",
        )
    raise _invalid(name, f"there is no key {unknown[0]!r}", f"known keys: {', '.join(sorted(known))}")


def _text(fields: Mapping[str, Any], key: str, name: str) -> str | None:
    value = fields.get(key)
    if value is None or (isinstance(value, str) and value):
        return value
    raise _invalid(name, f"{key} should be a text", f"write {key}: TEXT")


def _arguments(value: object, name: str) -> tuple[Argument, ...]:
    if value in (None, ""):
        return ()
    if not isinstance(value, dict):
        raise _invalid(name, "arguments should be a mapping", "write each as NAME: {description: TEXT}")
    return tuple(_argument(str(key), fields, name) for key, fields in value.items())


def _argument(key: str, value: object, name: str) -> Argument:
    if not _NAME.fullmatch(key):
        raise _invalid(name, f"{key!r} cannot be an argument", "use lower-case letters, digits and _")
    fields: Mapping[str, Any] = {"description": value} if isinstance(value, str) and value else value or {}  # type: ignore[assignment]
    if not isinstance(fields, dict):
        raise _invalid(name, f"the argument {key} should be a mapping", f"write {key}: {{description: TEXT}}")
    if unknown := sorted(set(map(str, fields)) - _ARGUMENT_KEYS):
        raise _invalid(
            name,
            f"the argument {key} has an unknown key {unknown[0]!r}",
            f"known keys: {', '.join(sorted(_ARGUMENT_KEYS))}",
        )
    default = fields.get("default")
    if default is not None and not isinstance(default, str):
        raise _invalid(name, f"the default of {key} should be a text", "quote it")
    is_required = _flag(fields.get("required"), key, name)
    if is_required and default is not None:
        raise _invalid(name, f"the argument {key} is required and has a default", "remove one of them")
    tag = _text(fields, "tag", name)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _invalid(name, f"{tag!r} cannot be a tag", "use lower-case letters, digits, - and _")
    return Argument(
        name=key, description=_text(fields, "description", name), is_required=is_required, default=default, tag=tag
    )


def _flag(value: object, key: str, name: str) -> bool:
    if value in (None, "true", "false"):
        return value == "true"
    raise _invalid(name, f"required of {key} should be true or false", "write required: true")


def _attempts(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]?", text):
        raise _invalid(name, f"attempts should be a number from 1 to 99, not {text!r}", "write attempts: 3")
    return int(text)


def _mode(text: str | None, name: str) -> Literal["code", "ask"] | None:
    if text in (None, "code", "ask"):
        return cast('Literal["code", "ask"] | None', text)
    raise _invalid(name, f"mode should be code or ask, not {text!r}", "write mode: code")


def _invalid(name: str, reason: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"the template {name} is not usable: {reason}", remedy=remedy)
