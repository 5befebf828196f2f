"""Policies: rules of the user that decide gates without a person. Pure.

Guarantees:
- the first policy that fits decides; a gate that none fits waits for a person;
- every condition that a policy has must hold, and one about something that is not known of a gate does not hold;
- a policy that approves has a condition, and none about a title, which an agent may have written;
- policies are read from the user's own file of settings only (docs/guides/approvals.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

from .._model.gates import KINDS, Gate
from .._patches.path_patterns import translate
from ..errors import ConfigurationError

DECISIONS = ("approve", "reject", "ask")
_LISTS = ("kinds", "subjects", "repositories", "paths", "titles")
_KEYS = ("decision", "why", "max_lines", *_LISTS)


class GatePolicy(NamedTuple):
    """A policy; an empty condition is none. `paths` are patterns as in a ``.gitignore``, the others glob patterns.

    `decision` "ask" leaves the gates that fit to a person.
    """

    name: str
    decision: Literal["approve", "reject", "ask"]
    kinds: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    max_lines: int | None = None
    why: str | None = None

    def fits(self, gate: Gate) -> bool:
        """Whether every condition holds for *gate*."""
        return (
            (not self.kinds or gate.kind in self.kinds)
            and _fits_any(self.subjects, gate.subject)
            and _fits_any(self.repositories, gate.repository)
            and _fits_any(self.titles, gate.title)
            and (self.max_lines is None or (gate.lines is not None and gate.lines <= self.max_lines))
            and (not self.paths or _all_fit(self.paths, gate.paths))
        )


def first_policy(policies: Sequence[GatePolicy], gate: Gate) -> GatePolicy | None:
    """Return the policy that decides *gate*, None where a person does."""
    policy = next((each for each in policies if each.fits(gate)), None)
    return None if policy is None or policy.decision == "ask" else policy


def parse_policies(tables: object, *, path: str) -> tuple[GatePolicy, ...]:
    """Return the policies in the table ``[gates]`` of the file *path*. Raises `ConfigurationError` that names the key."""
    if not isinstance(tables, Mapping):
        raise ConfigurationError(f"{path}: gates should be a table", remedy="write [gates.policies.NAME]")
    if unknown := [name for name in tables if name != "policies"]:
        raise ConfigurationError(
            f"{path}: there is no setting 'gates.{unknown[0]}'", remedy="write [gates.policies.NAME]"
        )
    policies = tables.get("policies", {})
    if not isinstance(policies, Mapping):
        raise ConfigurationError(f"{path}: gates.policies should be a table", remedy="write [gates.policies.NAME]")
    return tuple(_policy(name, table, f"{path}: gates.policies.{name}") for name, table in policies.items())


def _policy(name: str, table: object, where: str) -> GatePolicy:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} should be a table", remedy=f"write [gates.policies.{name}]")
    if unknown := sorted(set(table) - set(_KEYS)):
        raise ConfigurationError(f"{where} has no key {unknown[0]!r}", remedy=f"known keys: {', '.join(_KEYS)}")
    decision = table.get("decision")
    if decision not in DECISIONS:
        raise ConfigurationError(
            f"{where}.decision should be approve, reject or ask", remedy='write decision = "reject"'
        )
    lists = {key: _texts(table.get(key, []), f"{where}.{key}") for key in _LISTS}
    if wrong := [kind for kind in lists["kinds"] if kind not in KINDS]:
        raise ConfigurationError(f"{where}: there is no kind {wrong[0]!r}", remedy=f"kinds: {', '.join(KINDS)}")
    max_lines = _number(table.get("max_lines"), f"{where}.max_lines")
    if decision == "approve":
        _check_approval(lists, max_lines, where)
    why = table.get("why")
    if why is not None and not isinstance(why, str):
        raise ConfigurationError(f"{where}.why should be a text", remedy='write why = "the reason"')
    return GatePolicy(name=name, decision=decision, max_lines=max_lines, why=why, **lists)


def _check_approval(lists: Mapping[str, tuple[str, ...]], max_lines: int | None, where: str) -> None:
    if lists["titles"]:
        raise ConfigurationError(
            f"{where} cannot approve by title, which an agent may have written", remedy="use paths, kinds or subjects"
        )
    if not any(lists.values()) and max_lines is None:
        raise ConfigurationError(f"{where} approves everything", remedy='name kinds at least: kinds = ["plan"]')


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str) and each for each in value):
        return tuple(value)
    raise ConfigurationError(f"{where} should be a list of texts", remedy='write it as ["…", "…"]')


def _number(value: Any, where: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ConfigurationError(f"{where} should be a number of lines", remedy="write a whole number")


def _fits_any(patterns: Sequence[str], text: str | None) -> bool:
    return not patterns or (text is not None and any(fnmatchcase(text, pattern) for pattern in patterns))


def _all_fit(patterns: Sequence[str], paths: Sequence[str]) -> bool:
    is_fitting = re.compile("|".join(map(translate, patterns)), re.DOTALL).fullmatch
    return bool(paths) and all(map(is_fitting, paths))
