"""The review file: TOML with the checks and the rules of a review (`docs/guides/review.md`).

Invariants:
- a file is read only where a person names it: it names commands, and a repository's own file must not start any;
- a key that is not known is an error with a suggestion, and so is a value of the wrong type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar, get_args

from .._runtime.config import suggestion
from .._values.value import JsonFields, Value
from ..errors import ConfigurationError
from .checks import Check, Limits, SandboxKind, Verification
from .protected_paths import DEFAULT_PROTECTED
from .units import bytes_of, seconds_of

T = TypeVar("T")

KEYS = (
    *("checks", "setup", "setup_inputs", "protected", "allow_protected", "sandbox", "network", "readable", "limits"),
    *("policy", "scorer", "workers"),
)
CHECK_KEYS = ("run", "required", "weight", "timeout")
POLICY_KEYS = ("strict", "reject", "ignore")
DURATIONS = ("cpu", "wall")
COUNTS = ("processes",)


class ReviewFile(Value, frozen=True, kw_only=True):
    """What a review file sets: the verification, the rules of the policy, the scorer, and how many sandboxes run at once."""

    verification: Verification = Verification(protected=DEFAULT_PROTECTED)
    strict: bool = False
    reject: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_protected: bool = False
    scorer: str | None = None
    workers: int | None = None

    _json: ClassVar[JsonFields] = {
        "verification": "verification object",
        "strict": "whether the policy is strict",
        "reject": "rules of the policy that reject",
        "ignore": "rules of the policy that are not checked",
        "allow_protected": "whether a candidate that changes protected paths may be chosen",
        "scorer": "the command that returns scores",
        "workers": "how many sandboxes run at once",
    }


def read_review_file(path: str, *, folder: str = "") -> ReviewFile:
    """Return what the file at *path*, seen from *folder*, sets. Raises `ConfigurationError`."""
    import os
    import tomllib

    from .._files.reading import read_named_file

    try:
        tables = tomllib.loads(read_named_file(os.path.join(folder, path)).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(
            f"the review file {path} cannot be read: {error.strerror}", remedy="pass another file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}", remedy="correct the file") from None
    return review_file_of(tables, path)


def review_file_of(tables: Mapping[str, Any], path: str) -> ReviewFile:
    """Return what *tables*, the content of the file *path*, set. Raises `ConfigurationError` that names the key."""
    table = Table(tables, path, "")
    table.require_known(KEYS)
    policy = table.table("policy")
    policy.require_known(POLICY_KEYS)
    return ReviewFile(
        verification=verification_of(table),
        strict=policy.get("strict", bool, default=False),
        reject=policy.texts("reject"),
        ignore=policy.texts("ignore"),
        allow_protected=table.get("allow_protected", bool, default=False),
        scorer=table.text("scorer"),
        workers=table.count("workers"),
    )


def verification_of(table: Table) -> Verification:
    """Return the verification that *table* describes."""
    sandbox = table.get("sandbox", str, default="auto")
    if sandbox not in get_args(SandboxKind):
        raise table.wrong("sandbox", f"is one of {', '.join(get_args(SandboxKind))}, not {sandbox!r}")
    return Verification(
        checks=tuple(_checks(table)),
        setup=table.text("setup"),
        setup_inputs=table.texts("setup_inputs"),
        protected=table.texts("protected", default=DEFAULT_PROTECTED),
        sandbox=sandbox,  # type: ignore[arg-type]  # it is one of them
        network=table.get("network", bool, default=False),
        limits=_limits(table.table("limits")),
        **({"readable": readable} if (readable := table.texts("readable")) else {}),
    )


def _checks(table: Table) -> Iterable[Check]:
    """Yield the checks: ``[checks.NAME]`` with a command `run`, or ``NAME = "COMMAND"``."""
    checks = table.table("checks")
    for name, value in checks.values.items():
        if not name.strip():
            raise checks.wrong("", "is a check without a name")
        if isinstance(value, str):
            yield Check(name=name, run=checks.require_text(name))
            continue
        check = checks.table(name)
        check.require_known(CHECK_KEYS)
        weight = check.number("weight", default=1.0)
        timeout = check.values.get("timeout")
        yield Check(
            name=name,
            run=check.require_text("run"),
            required=check.get("required", bool, default=True),
            weight=weight,
            timeout=None if timeout is None else seconds_of(timeout, check.where("timeout")),
        )


def _limits(table: Table) -> Limits:
    table.require_known(Limits.__struct_fields__)
    return Limits(**{name: _limit(table, name, value) for name, value in table.values.items()})


def _limit(table: Table, name: str, value: object) -> Any:
    if name in DURATIONS:
        return seconds_of(value, table.where(name))
    return table.count(name) if name in COUNTS else bytes_of(value, table.where(name))


class Table:
    """A table of a file; errors name the file and the key."""

    def __init__(self, values: Mapping[str, Any], path: str, name: str) -> None:
        self.values, self._path, self._name = values, path, name

    def where(self, key: str) -> str:
        """Return how errors name *key*."""
        return f"{self._path}: {self._name}{key}"

    def wrong(self, key: str, reason: str) -> ConfigurationError:
        """Return the error of *key*."""
        return ConfigurationError(f"{self.where(key)} {reason}", remedy="correct the file")

    def require_known(self, known: Iterable[str]) -> None:
        """Raise for a key that is not among *known*."""
        names = tuple(known)
        for key in self.values:
            if key not in names:
                remedy = suggestion(key, names) or f"known keys: {', '.join(names)}"
                raise ConfigurationError(f"{self.where(key)} is no key of a review file", remedy=remedy)

    def get(self, key: str, kind: type[T], *, default: T) -> T:
        """Return the value of *key*, which is of type *kind*."""
        value = self.values.get(key, default)
        if not isinstance(value, kind):
            raise self.wrong(key, f"should be of type {kind.__name__}, not {value!r}")
        return value

    def table(self, key: str) -> Table:
        """Return the table *key*, an empty one where there is none."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "should be a table")
        return Table(value, self._path, f"{self._name}{key}.")

    def text(self, key: str) -> str | None:
        """Return the text of *key*, None where there is none. Raises for an empty one."""
        return self.require_text(key) if key in self.values else None

    def require_text(self, key: str) -> str:
        """Return the text of *key*, which must be there and not empty."""
        value = self.values.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "should be a text that is not empty")
        return value

    def texts(self, key: str, *, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the list of texts of *key*."""
        value = self.values.get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            raise self.wrong(key, "should be a list of texts")
        return tuple(value)

    def number(self, key: str, *, default: float) -> float:
        """Return the number of *key*, which is not negative."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self.wrong(key, f"should be a number from 0, not {value!r}")
        return float(value)

    def count(self, key: str) -> int | None:
        """Return the whole number of *key*, which is at least 1; None where there is none."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.wrong(key, f"should be a whole number from 1, not {value!r}")
        return value
