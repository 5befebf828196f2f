"""The policies in the user's file of settings, and deciding a gate by them (`gate_policies.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .._model.gates import Gate
from .._runtime.config import read_tables, user_file
from .gate_policies import GatePolicy, first_policy, parse_policies

if TYPE_CHECKING:
    from .._store.gates import GateStore


def user_policies(environ: Mapping[str, str]) -> Sequence[GatePolicy]:
    """Return the user's policies, in their order. Raises `ConfigurationError` for one that cannot be used."""
    path = user_file(environ)
    return parse_policies((read_tables(path) or {}).get("gates", {}), path=path)


def decide_by_policy(store: GateStore, gate: Gate, policies: Sequence[GatePolicy]) -> Gate:
    """Decide an open gate by the first policy that fits, and return it as it is afterwards."""
    policy = first_policy(policies, gate)
    option = None if policy is None or policy.decision == "ask" else gate.first_option(policy.decision)
    if policy is None or option is None:
        return gate
    store.decide(gate.id, option.id, by=f"policy:{policy.name}", via="policy", why=policy.why, digest=gate.digest)
    return store.get(gate.id)
