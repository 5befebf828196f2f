"""What a gate holds until it is approved: a submission, or the application of a patch.

Guarantees:
- the digest of a gate changes with everything that would be sent or applied;
- a submission that is approved is sent once, by whichever process is first (`_store.held_submissions`);
- no token, base URL or environment is stored.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from .. import errors
from .._model.gates import Gate, Via, digest_of
from .._runtime.config import state_dir
from .._values.json_decode import decode as value_from
from .task_history import location_of

if TYPE_CHECKING:
    from .._model.tasks import TaskSpec
    from .._patches.parse import Patch
    from .._runtime.config import Config
    from .._store.held_submissions import HeldSubmission, HeldSubmissionJournal
    from .._store.journal import SubmissionJournal
    from .apply import ApplyOptions
    from .gates import Gates

DETAIL_LENGTH = 4000


class HeldTask(NamedTuple):
    """A submission that is held: the provider, the name of the login, the specification, and the prompt template."""

    provider: str
    spec: TaskSpec
    account: str | None = None
    template: tuple[str, str] | None = None


class HeldApplication(NamedTuple):
    """An application that is held: of a task's attempt or a patch file, to the checkout at `root`, with options."""

    root: str
    task: str
    attempt: int | None = None
    options: Mapping[str, Any] = {}


def hold_submission(gates: Gates, held: HeldTask, *, via: Via = "cli") -> Gate:
    """Store a submission and return its gate, which a policy may have decided."""
    from .._store.gates import new_gate_id

    id, spec = new_gate_id(), msgspec.json.encode(held.spec.to_dict(), order="sorted")
    where = held.spec.repository or held.spec.environment
    gate = Gate(
        id=id,
        subject=f"submission:{id}",
        kind="submission",
        title=f"submit a task to {held.provider}{f' for {where}' if where else ''}",
        detail=held.spec.prompt[:DETAIL_LENGTH],
        digest=digest_of(held.provider, held.account, spec),
        repository=held.spec.repository,
        submitted_via=via,
    )
    return gates.open(gate, request=_encode({**held._asdict(), "spec": held.spec.to_dict()}))


def held_task(gates: Gates, gate: Gate) -> HeldTask:
    """Return what the gate of a submission holds. Raises `ConfigurationError` where it holds nothing any more."""
    from .._model.tasks import TaskSpec

    document = _request(gates, gate)
    template = document.get("template")
    return HeldTask(
        provider=document["provider"],
        spec=value_from(TaskSpec, document["spec"]),
        account=document.get("account"),
        template=(template[0], template[1]) if template else None,
    )


def begun_submission(gates: Gates, gate: Gate) -> HeldSubmission | None:
    """Return what is known about the submission of an approved gate, None where it was not begun, or may be again."""
    from .._store.held_submissions import held_submission

    begun = held_submission(gates.database, gate.id)
    return begun if begun is not None and (begun.is_open or begun.ref is not None) else None


def journal_of(gates: Gates, gate: Gate, held: HeldTask, config: Config) -> HeldSubmissionJournal:
    """Return the journal of the client that submits what *gate* holds."""
    from .._store.held_submissions import HeldSubmissionJournal

    return HeldSubmissionJournal(gates.database, gate.id, old_folder=state_dir(config.environ), template=held.template)


def journal_with_template(config: Config, template: tuple[str, str]) -> SubmissionJournal:
    """Return the journal of a client that submits the prompt of a template."""
    from .._store.journal import SubmissionJournal
    from .._store.location import open_database

    database = open_database(location_of(config))
    return SubmissionJournal(database, old_folder=state_dir(config.environ), template=template)


def hold_application(
    gates: Gates, held: HeldApplication, patch: Patch, *, subject: str, repository: str | None = None
) -> Gate:
    """Store an application of *patch* and return its gate: the one of the same patch and options where there is one."""
    counted = patch.stats
    paths = {path for change in patch.files for path in (change.old_path, change.new_path) if path is not None}
    count = f"{counted.files} file{'' if counted.files == 1 else 's'}"
    gate = Gate(
        subject=subject,
        kind="apply",
        title=f"apply {subject}: {count}, +{counted.added} -{counted.removed}",
        detail="\n".join(sorted(paths)),
        digest=application_digest(patch, held),
        paths=tuple(sorted(paths)),
        lines=counted.added + counted.removed,
        repository=repository,
    )
    return gates.open(gate, request=_encode(held._asdict()))


def application_digest(patch: Patch, held: HeldApplication) -> str:
    """Return what an approval is of: the patch, the checkout, and the options."""
    options = msgspec.json.encode(dict(held.options), order="sorted")
    return digest_of(bytes(patch), held.root, options)


def held_application(gates: Gates, gate: Gate) -> HeldApplication:
    """Return what the gate of an application holds. Raises `ConfigurationError` where it holds nothing any more."""
    return HeldApplication(**_request(gates, gate))


def chosen_options(options: ApplyOptions) -> dict[str, Any]:
    """Return the options that were chosen, as plain data."""
    defaults = type(options)()
    names = [name for name in options.__struct_fields__ if getattr(options, name) != getattr(defaults, name)]
    return {name: getattr(options, name) for name in names}


def require_approved(gate: Gate) -> None:
    """Raise `ConflictError` for a gate that was not approved."""
    first = gate.decision
    if gate.state == "approved":
        return
    by = f" by {first.by}" if first else ""
    because = f": {first.why}" if first and first.why else ""
    raise errors.ConflictError(
        f"{gate.address} was {gate.state}{by}{because}", status=409, remedy="nothing was sent or applied"
    )


def _encode(document: Mapping[str, Any]) -> bytes:
    return zlib.compress(msgspec.json.encode(document))


def _request(gates: Gates, gate: Gate) -> dict[str, Any]:
    content = gates.store.request(gate.id)
    if content is None:
        raise errors.ConfigurationError(
            f"{gate.address} holds nothing any more", remedy="coatcheck gates lists those that are open"
        )
    document: dict[str, Any] = msgspec.json.decode(zlib.decompress(content))
    return document
