"""The tables of a fleet file, as written (`docs/reference/fleet-file.md`).

Invariant: a key that is not declared here is an error. `file.py` reads them, `spec.py` makes values of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from .._review.checks import SandboxKind

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the file."""


class TaskSection(Section, frozen=True, kw_only=True):
    """What each item asks for; ``{name}`` is replaced by the item's variable.

    Exactly one of `prompt`, `prompt_file` (a path relative to the fleet file) and `template` (the name of a prompt
    template, whose arguments are variables of the items) is given. `base` is the branch that tasks start from.
    """

    prompt: _Text | None = None
    prompt_file: _Text | None = None
    template: _Text | None = None
    title: _Text | None = None
    base: _Text | None = None
    mode: Literal["code", "ask"] = "code"


class CandidateSection(Section, frozen=True, kw_only=True):
    """A service that every item is given to, `attempts` times; `accounts` share the work."""

    provider: _Text
    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    environment: _Text | None = None
    accounts: tuple[str, ...] = ()
    model: _Text | None = None


class LimitsSection(Section, frozen=True, kw_only=True):
    """What one check may use: durations such as "10m", sizes such as "2GiB"."""

    cpu: float | str | None = None
    wall: float | str | None = None
    memory: float | str | None = None
    file: float | str | None = None
    disk: float | str | None = None
    processes: _Count | None = None
    output: float | str | None = None


class CheckSection(Section, frozen=True, kw_only=True):
    """A command that is run on each candidate; one that is not required counts with its weight."""

    name: _Text
    run: _Text
    required: bool = True
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    timeout: float | str | None = None


class VerifySection(Section, frozen=True, kw_only=True):
    """How candidates are checked, in a sandbox. Without `protected` the paths of reviews are protected."""

    checks: tuple[CheckSection, ...] = ()
    setup: _Text | None = None
    setup_inputs: tuple[str, ...] = ()
    protected: tuple[str, ...] | None = None
    sandbox: SandboxKind = "auto"
    network: bool = False
    limits: LimitsSection = LimitsSection()


class AutoSection(Section, frozen=True, kw_only=True):
    """What is approved without a person: all of it must hold."""

    required: bool = True
    max_lines: _Count | None = None
    deny_paths: tuple[str, ...] = ()


class ApproveSection(Section, frozen=True, kw_only=True):
    """Who decides about the chosen candidate of an item; without this table a person decides each."""

    auto: AutoSection | None = None
    otherwise: Literal["person", "reject"] = "person"
    timeout: float | str | None = None
    on_expiry: Literal["hold", "reject"] = "hold"


class DeliverSection(Section, frozen=True, kw_only=True):
    """Where approved changes go: files in `folder`, a branch, or a pull request. `branch` may hold {fleet} and {key}.

    `fork` pushes branches to a fork of the login's owner; `max_open` is how many pull requests of the fleet may be open.
    """

    to: Literal["pull_request", "branch", "patch"] = "patch"
    folder: _Text | None = None
    branch: _Text = "coatcheck/{fleet}/{key}"
    draft: bool = True
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    max_open: _Count | None = None
    fork: bool = False


class BudgetSection(Section, frozen=True, kw_only=True):
    """Where the fleet stops: before the next submission that would exceed it. `spend` is in US dollars."""

    tasks: _Count | None = None
    concurrent: Annotated[int, msgspec.Meta(ge=1)] | Mapping[str, _Count] | None = None
    deadline: float | str | None = None
    spend: Annotated[float, msgspec.Meta(gt=0, lt=1e12)] | None = None


class RolloutSection(Section, frozen=True, kw_only=True):
    """In which steps items are submitted: each wave is a number of items or a share of all, so far."""

    waves: tuple[str | int, ...] = ("100%",)
    between: Literal["person", "auto"] = "person"
    stop_on_failure: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    stop_after: _Count = 10


class FleetSections(Section, frozen=True, kw_only=True):
    """A fleet file. `repositories` has the paths or URLs of repositories that are not known by name."""

    version: Literal[1] = 1
    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    task: TaskSection
    items: Mapping[str, Any] | Sequence[Mapping[str, Any]] = {}
    candidates: Annotated[tuple[CandidateSection, ...], msgspec.Meta(min_length=1)]
    repositories: Mapping[str, str] = {}
    verify: VerifySection = VerifySection()
    approve: ApproveSection | None = None
    deliver: DeliverSection = DeliverSection()
    budget: BudgetSection = BudgetSection()
    rollout: RolloutSection = RolloutSection()
