"""Where the store is: a folder of the user, or the URL of a PostgreSQL database."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .. import errors
from .migrations import migrate
from .sqlite import FILE, SqliteDatabase

if TYPE_CHECKING:
    from .database import Database, Transaction

# A folder of this name would hold the password in its name.
_CONNINFO = r"(?i)(?:^|\s)(?:host|hostaddr|dbname|user|password)\s*="
SCHEMES = ("postgres://", "postgresql://")


def open_database(location: str) -> Database:
    """Return the database at *location*: ``postgresql://…``, or a folder, whose database is created when it is needed.

    Does no I/O. Raises `ConfigurationError` for another URL.
    """
    database: Database

    def prepare(transaction: Transaction) -> None:
        migrate(transaction, database)

    if location.startswith(SCHEMES):
        from .postgres import PostgresDatabase

        database = PostgresDatabase(location, prepare=prepare)
    elif "://" in location:
        from .._protocol.urls import without_password

        raise errors.ConfigurationError(
            f"{without_password(location)} is no store: its scheme is not known",
            remedy="give postgresql://USER@HOST/DATABASE or a folder",
        )
    elif "=" in location and re.search(_CONNINFO, location):
        raise errors.ConfigurationError(
            "the database is given as parameters of libpq", remedy="give postgresql://USER@HOST/DATABASE or a folder"
        )
    else:
        database = SqliteDatabase(os.path.join(os.path.abspath(location), FILE), prepare=prepare)
    return database


def is_missing(location: str) -> bool:
    """Whether *location* is a folder without a store."""
    return "://" not in location and not os.path.exists(os.path.join(location, FILE))
