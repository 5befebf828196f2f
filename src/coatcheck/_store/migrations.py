"""The tables of the store, and how a database of an older version gets them.

Invariants:

- migrations are numbered from 1 and only add; each runs in one transaction, which also records its number;
- of several processes that start at once, one runs a migration and the others find it done;
- `schema.oldest_writer` is the oldest version that may still write; an older one refuses the database and changes nothing;
- statements are the same on both databases: DOUBLE PRECISION, BIGINT and BYTEA are names that SQLite accepts as well
  (https://www.sqlite.org/datatype3.html#determination_of_column_affinity). ``{identity}`` is a key that the database
  assigns, growing and never used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from .. import errors

if TYPE_CHECKING:
    from .database import Database, Transaction

IDENTITY = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgres": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """The statements that lead to one version; `oldest_writer` is the oldest version that may write after them."""

    statements: tuple[str, ...]
    oldest_writer: int = 1


FIRST = Migration(
    statements=(
        """CREATE TABLE submission (
            id TEXT PRIMARY KEY, provider TEXT NOT NULL, digest TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,
            summary TEXT NOT NULL, environment TEXT, branch TEXT,
            pid BIGINT NOT NULL, host TEXT, boot TEXT, started TEXT, task TEXT, state TEXT NOT NULL
        )""",
        "CREATE UNIQUE INDEX submission_task ON submission (provider, task) WHERE task IS NOT NULL",
        "CREATE INDEX submission_open ON submission (provider, at) WHERE state = 'open'",
        "CREATE INDEX submission_time ON submission (provider, at)",
        # Journals of versions before the store (`old_journal.py`), and how they were when they were last read.
        "CREATE TABLE old_journal (path TEXT PRIMARY KEY, mark TEXT NOT NULL)",
        """CREATE TABLE blob (
            number {identity}, digest BYTEA NOT NULL, is_compressed SMALLINT NOT NULL, data BYTEA NOT NULL
        )""",
        "CREATE UNIQUE INDEX blob_digest ON blob (digest)",
        """CREATE TABLE task (
            number {identity}, provider TEXT NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, repository TEXT,
            submitted_at DOUBLE PRECISION NOT NULL, recorded_at DOUBLE PRECISION NOT NULL,
            version BIGINT NOT NULL, is_stale SMALLINT NOT NULL, is_indexed SMALLINT NOT NULL,
            document TEXT NOT NULL, seen TEXT NOT NULL, prompt BIGINT, result BIGINT
        )""",
        "CREATE UNIQUE INDEX task_ref ON task (provider, id)",
        "CREATE INDEX task_time ON task (submitted_at, number)",
        "CREATE INDEX task_unindexed ON task (number) WHERE is_indexed = 0",
        # Every blob that a task refers to: its prompt, its result, and the patches that the result names by digest.
        "CREATE TABLE task_blob (task BIGINT NOT NULL, blob BIGINT NOT NULL)",
        "CREATE INDEX task_blob_task ON task_blob (task)",
        "CREATE INDEX task_blob_blob ON task_blob (blob)",
        """CREATE TABLE event (
            id {identity}, at DOUBLE PRECISION NOT NULL, kind TEXT NOT NULL, subject BIGINT NOT NULL, data BYTEA NOT NULL
        )""",
        "CREATE INDEX event_subject ON event (subject, id)",
        # What events are about: the refs of tasks, once each.
        "CREATE TABLE subject (number {identity}, name TEXT NOT NULL)",
        "CREATE UNIQUE INDEX subject_name ON subject (name)",
        """CREATE TABLE hook (
            id TEXT PRIMARY KEY, direction TEXT NOT NULL, scheme TEXT NOT NULL, url TEXT, kinds TEXT NOT NULL,
            state TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, failures BIGINT NOT NULL
        )""",
        """CREATE TABLE hook_delivery (
            hook TEXT NOT NULL, id TEXT NOT NULL, event BIGINT, state TEXT NOT NULL, tries BIGINT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL, due_at DOUBLE PRECISION, status BIGINT, detail TEXT,
            PRIMARY KEY (hook, id)
        )""",
        "CREATE INDEX hook_delivery_due ON hook_delivery (due_at) WHERE state = 'due'",
    )
)
# Whether the task of a submission is in the table of tasks, or was deleted from it.
SECOND = Migration(
    statements=(
        "ALTER TABLE submission ADD COLUMN is_recorded SMALLINT NOT NULL DEFAULT 0",
        "CREATE INDEX submission_unrecorded ON submission (at) WHERE is_recorded = 0 AND task IS NOT NULL",
    )
)
WEBHOOKS = Migration(
    statements=(
        # Waits read the deliveries that arrived last; `hooks serve` reads those that it has not handled.
        "CREATE INDEX hook_delivery_received ON hook_delivery (created_at) WHERE state = 'received'",
        "CREATE INDEX hook_delivery_unhandled ON hook_delivery (due_at) WHERE state = 'received' AND due_at IS NOT NULL",
        # Processes that receive deliveries, and when each was seen last.
        "CREATE TABLE hook_server (id TEXT PRIMARY KEY, seen_at DOUBLE PRECISION NOT NULL)",
        # When a delivery about a provider's tasks arrived last, and when an end was found that none had announced.
        """CREATE TABLE hook_health (
            provider TEXT PRIMARY KEY, delivered_at DOUBLE PRECISION NOT NULL, missed_at DOUBLE PRECISION NOT NULL
        )""",
        # Tasks that processes wait for, and when each process last read the deliveries.
        """CREATE TABLE hook_waiter (
            task TEXT NOT NULL, process TEXT NOT NULL, seen_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (task, process)
        )""",
    )
)
CHECKS = Migration(
    statements=(
        # `log` is the digest of the blob with the whole output, `log_tail` its end.
        """CREATE TABLE check_result (
            patch TEXT NOT NULL, base TEXT NOT NULL, command TEXT NOT NULL, setup TEXT NOT NULL,
            at DOUBLE PRECISION NOT NULL, verdict TEXT NOT NULL, exit_code BIGINT, seconds DOUBLE PRECISION NOT NULL,
            reason TEXT, log_tail TEXT NOT NULL, log BYTEA, PRIMARY KEY (patch, base, command, setup)
        )""",
        "CREATE INDEX check_result_command ON check_result (command, at)",
        "CREATE INDEX check_result_log ON check_result (log) WHERE log IS NOT NULL",
    )
)
FLEETS = Migration(
    statements=(
        """CREATE TABLE fleet (
            id {identity}, name TEXT NOT NULL, spec BIGINT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL, stopped_because TEXT, submitted BIGINT NOT NULL, wave BIGINT NOT NULL
        )""",
        "CREATE UNIQUE INDEX fleet_name ON fleet (name)",
        # Texts that fleets refer to: their files, prompts and patches.
        "CREATE TABLE fleet_blob (fleet BIGINT NOT NULL, blob BIGINT NOT NULL, PRIMARY KEY (fleet, blob))",
        "CREATE INDEX fleet_blob_blob ON fleet_blob (blob)",
        """CREATE TABLE fleet_item (
            id {identity}, fleet BIGINT NOT NULL, item_key TEXT NOT NULL, repository TEXT, base TEXT, base_commit TEXT,
            title TEXT, wave BIGINT NOT NULL, state TEXT NOT NULL, chosen BIGINT, why TEXT, variables TEXT NOT NULL,
            prompt BIGINT NOT NULL, prompt_digest TEXT NOT NULL, review BIGINT,
            changed_at DOUBLE PRECISION NOT NULL, version BIGINT NOT NULL
        )""",
        "CREATE UNIQUE INDEX fleet_item_key ON fleet_item (fleet, item_key)",
        "CREATE INDEX fleet_item_state ON fleet_item (fleet, state, wave)",
        """CREATE TABLE fleet_candidate (
            id {identity}, fleet BIGINT NOT NULL, item BIGINT NOT NULL, candidate_key TEXT NOT NULL,
            provider TEXT NOT NULL, account TEXT, environment TEXT, attempt BIGINT NOT NULL, state TEXT NOT NULL,
            task TEXT, patch TEXT, base_commit TEXT, submitted_at DOUBLE PRECISION, ended_at DOUBLE PRECISION,
            error TEXT, version BIGINT NOT NULL
        )""",
        "CREATE UNIQUE INDEX fleet_candidate_key ON fleet_candidate (candidate_key)",
        "CREATE INDEX fleet_candidate_item ON fleet_candidate (item)",
        "CREATE INDEX fleet_candidate_state ON fleet_candidate (fleet, state, provider)",
        """CREATE TABLE fleet_patch (
            digest TEXT PRIMARY KEY, blob BIGINT NOT NULL, files BIGINT NOT NULL, insertions BIGINT NOT NULL,
            deletions BIGINT NOT NULL, hunks TEXT NOT NULL
        )""",
        """CREATE TABLE fleet_delivery (
            delivery_key TEXT PRIMARY KEY, fleet BIGINT NOT NULL, item BIGINT NOT NULL, kind TEXT NOT NULL,
            state TEXT NOT NULL, branch TEXT, commit_id TEXT, url TEXT, error TEXT, at DOUBLE PRECISION NOT NULL
        )""",
        "CREATE INDEX fleet_delivery_fleet ON fleet_delivery (fleet)",
        # The pace of an account: `next_at` is the time of the next request that keeps its rate.
        """CREATE TABLE fleet_account (
            provider TEXT NOT NULL, name TEXT NOT NULL, next_at DOUBLE PRECISION NOT NULL,
            parked_until DOUBLE PRECISION, parked_at DOUBLE PRECISION, refused_in_a_row BIGINT NOT NULL, reason TEXT,
            PRIMARY KEY (provider, name)
        )""",
    )
)
REVIEWS = Migration(
    statements=(
        # Named groups of submissions whose candidates compete; `root` is a checkout, `base` its commit.
        """CREATE TABLE review (
            name TEXT PRIMARY KEY, state TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, title TEXT NOT NULL,
            root TEXT, base TEXT, settings TEXT NOT NULL, choice TEXT
        )""",
        # `submission` is the id of the intent, NULL until it is written.
        """CREATE TABLE review_submission (
            review TEXT NOT NULL, number BIGINT NOT NULL, provider TEXT NOT NULL, attempts BIGINT NOT NULL,
            spec TEXT, submission TEXT, error TEXT, PRIMARY KEY (review, number)
        )""",
    )
)
GATES = Migration(
    statements=(
        # `data` is the gate without what may change; `request` is what an approval carries out; `intent` is the
        # submission that carried it out.
        """CREATE TABLE gate (
            id TEXT PRIMARY KEY, subject TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
            opened_at DOUBLE PRECISION NOT NULL, expires_at DOUBLE PRECISION, is_done SMALLINT NOT NULL,
            data BYTEA NOT NULL, decision BYTEA, request BYTEA, intent TEXT
        )""",
        "CREATE INDEX gate_subject ON gate (subject, state)",
        "CREATE INDEX gate_state ON gate (state, opened_at)",
        "CREATE INDEX gate_due ON gate (expires_at) WHERE state = 'open'",
        # How subjects of gates were submitted, where that limits who decides.
        "CREATE TABLE submitted_via (subject TEXT PRIMARY KEY, via TEXT NOT NULL)",
        # The prompt template of a submission.
        "ALTER TABLE submission ADD COLUMN template TEXT",
        "ALTER TABLE submission ADD COLUMN template_digest TEXT",
    )
)
FLEET_SWEEPS = Migration(
    statements=(
        # When the running tasks of an account are polled next, and when that was decided.
        """CREATE TABLE fleet_sweep (
            fleet BIGINT NOT NULL, provider TEXT NOT NULL, account TEXT NOT NULL, due_at DOUBLE PRECISION NOT NULL,
            planned_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (fleet, provider, account)
        )""",
    )
)
FLEET_ROUNDS = Migration(
    statements=(
        # How often the change of an item was sent back because of a conflict; the prompt of such a candidate, and the
        # task that it follows where it is a message to that task.
        "ALTER TABLE fleet_candidate ADD COLUMN round BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE fleet_candidate ADD COLUMN prompt BIGINT",
        "ALTER TABLE fleet_candidate ADD COLUMN follows TEXT",
    )
)
FLEET_WORKERS = Migration(
    statements=(
        # The processes that work on a fleet, and when they last recorded that (`fleet_workers.py`).
        """CREATE TABLE fleet_worker (
            fleet BIGINT NOT NULL, host TEXT NOT NULL, pid BIGINT NOT NULL, boot TEXT, started TEXT,
            seen_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (fleet, host, pid)
        )""",
    )
)
# The trace context of a submission (https://www.w3.org/TR/trace-context/).
TRACES = Migration(statements=("ALTER TABLE submission ADD COLUMN traceparent TEXT",))
SUBMISSION_KEYS = Migration(
    statements=(
        # What identifies submissions that callers may repeat: a digest of the content and a name; `submission` is the
        # id of the intent, `via` the way by which it came.
        """CREATE TABLE submission_key (
            number {identity}, digest TEXT NOT NULL, name TEXT, at DOUBLE PRECISION NOT NULL, submission TEXT NOT NULL,
            via TEXT NOT NULL
        )""",
        "CREATE INDEX submission_key_digest ON submission_key (digest)",
        "CREATE INDEX submission_key_name ON submission_key (name) WHERE name IS NOT NULL",
        "CREATE INDEX submission_key_submission ON submission_key (submission)",
    )
)
FLEET_COSTS = Migration(
    statements=(
        # What the task of a candidate has cost, in US dollars, where its service reports that.
        "ALTER TABLE fleet_candidate ADD COLUMN cost DOUBLE PRECISION",
        "CREATE INDEX fleet_candidate_cost ON fleet_candidate (fleet, cost) WHERE cost IS NOT NULL",
    )
)
PAGE_ORDERS = Migration(
    statements=(
        # The order of the pages of the audit log, and of those of deliveries.
        "CREATE INDEX event_kind ON event (kind, id)",
        "CREATE INDEX hook_delivery_time ON hook_delivery (created_at, id, hook)",
    )
)
# The blob with the text of a message that is long; versions before do not know texts that are kept so.
LONG_TEXTS = Migration(
    statements=(
        "ALTER TABLE event ADD COLUMN text_blob BIGINT",
        "CREATE INDEX event_text_blob ON event (text_blob) WHERE text_blob IS NOT NULL",
    ),
    oldest_writer=15,
)
# The URL of the fork that has the branch of a delivery; NULL where the repository has it itself.
FLEET_FORKS = Migration(statements=("ALTER TABLE fleet_delivery ADD COLUMN fork TEXT",))
# What the last plan of a fleet left out: a JSON object of keys of items and reasons; NULL for nothing.
FLEET_LEFT_OUT = Migration(statements=("ALTER TABLE fleet ADD COLUMN left_out TEXT",))
MIGRATIONS: Sequence[Migration] = (
    *(FIRST, SECOND, WEBHOOKS, CHECKS, FLEETS, REVIEWS, GATES, FLEET_SWEEPS, FLEET_ROUNDS, TRACES),
    SUBMISSION_KEYS,
    FLEET_WORKERS,
    FLEET_COSTS,
    PAGE_ORDERS,
    LONG_TEXTS,
    FLEET_FORKS,
    FLEET_LEFT_OUT,
)


def migrate(transaction: Transaction, database: Database, *, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the schema up to date; what the last step has committed is on the disk, and with it those before.

    Raises `StoreError` for a database that only a newer version may write.
    """
    version, oldest_writer = schema_version(transaction, database)
    if oldest_writer > len(migrations):
        from .._installation import upgrade_command  # only for this message

        raise errors.StoreError(
            f"the store {database.location} was changed by a newer coatcheck (schema {version}; this one writes "
            f"schema {len(migrations)})",
            location=database.location,
            remedy=f"upgrade coatcheck: {upgrade_command()}",
        )
    for number in range(version + 1, len(migrations) + 1):
        with database.migrating(transaction, is_durable=number == len(migrations)):
            if schema_version(transaction, database)[0] < number:
                _apply(transaction, number, migrations[number - 1])


def schema_version(transaction: Transaction, database: Database) -> tuple[int, int]:
    """Return the version of the schema, 0 for an empty database, and the oldest version that may still write."""
    if not database.has_table(transaction, "schema"):
        return 0, 0
    ((version, oldest_writer),) = transaction.rows("SELECT version, oldest_writer FROM schema")
    return version, oldest_writer


def _apply(transaction: Transaction, number: int, migration: Migration) -> None:
    if number == 1:
        transaction.change("CREATE TABLE schema (version BIGINT NOT NULL, oldest_writer BIGINT NOT NULL)")
        transaction.change("INSERT INTO schema (version, oldest_writer) VALUES (0, 1)")
    for statement in migration.statements:
        transaction.change(statement.replace("{identity}", IDENTITY[transaction.dialect]))
    transaction.change(
        "UPDATE schema SET version = ?, oldest_writer = ?",
        (number, migration.oldest_writer),
    )
