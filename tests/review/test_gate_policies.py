"""Policies decide gates by rules of the user, and refuse what would approve too much."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck import Gate, errors
from coatcheck._review.gate_policies import first_policy, parse_policies

CHANGE = Gate(
    subject="jules:1", kind="delivery", title="deliver", paths=("docs/a.md", "docs/b/c.md"), lines=20,
    repository="acme/api",
)  # fmt: skip
UNKNOWN = Gate(subject="jules:1", kind="delivery", title="deliver")


def policies(**tables: Any) -> Any:
    """Return the policies of a file."""
    return parse_policies({"policies": tables}, path="config.toml")


@pytest.mark.parametrize(
    ("conditions", "gate", "fits"),
    [
        ({"kinds": ["delivery", "apply"]}, CHANGE, True),
        ({"kinds": ["plan"]}, CHANGE, False),
        ({"subjects": ["jules:*"]}, CHANGE, True),
        ({"subjects": ["codex:*"]}, CHANGE, False),
        ({"repositories": ["acme/*"]}, CHANGE, True),
        ({"repositories": ["acme/*"]}, UNKNOWN, False),
        ({"paths": ["docs/**"]}, CHANGE, True),
        ({"paths": ["*.md"]}, CHANGE, True),
        ({"paths": ["docs/*.md"]}, CHANGE, False),
        ({"paths": ["docs/**"]}, UNKNOWN, False),
        ({"max_lines": 20}, CHANGE, True),
        ({"max_lines": 19}, CHANGE, False),
        ({"max_lines": 19}, UNKNOWN, False),
        ({"kinds": ["delivery"], "paths": ["src/**"]}, CHANGE, False),
    ],
)
def test_every_condition_must_hold(conditions: dict[str, Any], gate: Gate, fits: bool) -> None:
    """A condition about something that is not known does not hold."""
    policy = first_policy(policies(mine={"decision": "approve", **conditions}), gate)

    assert fits == (policy is not None)


def test_the_first_that_fits_decides() -> None:
    """The order is that of the file, and "ask" leaves a gate to a person."""
    rules = {
        "network": {"decision": "reject", "titles": ["*network*"]},
        "rest": {"decision": "approve", "kinds": ["permission"]},
    }
    asked = {"some": {"decision": "ask", "kinds": ["permission"]}, **rules}
    gates = [Gate(subject="local:1", kind="permission", title=title) for title in ("use the network", "read a file")]
    chosen = [first_policy(policies(**each), gate) for each in (rules, asked) for gate in gates]

    assert ["network", "rest", None, None] == [each and each.name for each in chosen]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"policies": {"all": {"decision": "approve"}}}, "approves everything"),
        ({"policies": {"t": {"decision": "approve", "kinds": ["plan"], "titles": ["*"]}}}, "cannot approve by title"),
        ({"policies": {"t": {"decision": "yes"}}}, "should be approve, reject or ask"),
        ({"policies": {"t": {}}}, "should be approve, reject or ask"),
        ({"policies": {"t": {"decision": "reject", "kinds": ["plans"]}}}, "no kind 'plans'"),
        ({"policies": {"t": {"decision": "reject", "path": ["a"]}}}, "no key 'path'"),
        ({"policies": {"t": {"decision": "reject", "paths": "docs"}}}, "should be a list of texts"),
        ({"policies": {"t": {"decision": "reject", "paths": [""]}}}, "should be a list of texts"),
        ({"policies": {"t": {"decision": "reject", "max_lines": True}}}, "should be a number"),
        ({"policies": {"t": {"decision": "reject", "why": 3}}}, "should be a text"),
        ({"policies": {"t": "reject"}}, "should be a table"),
        ({"policies": ["reject"]}, "should be a table"),
        ({"policy": {}}, "no setting 'gates.policy'"),
        (["x"], "gates should be a table"),
    ],
)
def test_what_cannot_be_used_is_named(tables: Any, message: str) -> None:
    """The error names the file and the key."""
    with pytest.raises(errors.ConfigurationError, match=message) as raised:
        parse_policies(tables, path="config.toml")

    assert str(raised.value).startswith("config.toml: ")
