"""Full-text search over the title, the prompt and the messages of tasks, with the same results on every database.

Texts are split into words here and not by the database: runs of letters and digits, without case and diacritics. A task
matches if for each word of the query it has a word that begins with it. The words of the first 200,000 characters of a
task count, the first 64 characters of each word.

SQLite has an index of FTS5 without the texts (https://www.sqlite.org/fts5.html#contentless_tables), PostgreSQL one of
``tsvector``. A Python whose SQLite lacks FTS5 reads the tasks one after the other (their texts are compressed, so LIKE
would not find them) and marks what it writes as not indexed; the next process with FTS5 indexes that.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .database import Transaction

LONGEST_TEXT = 200_000
LONGEST_WORD = 64
# So many matches are read first (`recent_matches`): a page has 20, and numbers are nearly in the order of time.
RECENT = 100
# A word of the query is replaced by the words that begin with it where they are at most so many.
MOST_WORDS = 64
_WORD = re.compile(r"[^\W_]+")

CREATE = {
    "sqlite": (
        "CREATE VIRTUAL TABLE IF NOT EXISTS task_words USING fts5(words, content='', detail=none, tokenize='ascii')",
    ),
    "postgres": (
        "CREATE TABLE IF NOT EXISTS task_words (task BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)",
        "CREATE INDEX IF NOT EXISTS task_words_words ON task_words USING gin (words)",
    ),
}
ADD = {
    "sqlite": "INSERT INTO task_words (rowid, words) VALUES (?, ?)",
    "postgres": (
        "INSERT INTO task_words (task, words) VALUES (?, array_to_tsvector(string_to_array(?, ' ')))"
        " ON CONFLICT (task) DO UPDATE SET words = excluded.words"
    ),
}
FIND = {
    # Of many matches a page needs few: with the plus, SQLite walks the tasks by time and does not sort all matches
    # (https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_). Where there are few, walking
    # all tasks takes 5 ms of 100,000 tasks; counting the matches first would take longer (bench/history.py).
    "sqlite": "+number IN (SELECT rowid FROM task_words WHERE task_words MATCH ?)",
    "postgres": "number IN (SELECT task FROM task_words WHERE words @@ CAST(? AS tsquery))",
}


def words_of(text: str) -> list[str]:
    """Return the different words of *text*, sorted."""
    plain = unicodedata.normalize("NFKD", text[:LONGEST_TEXT]).casefold()
    bare = plain if plain.isascii() else "".join(each for each in plain if not unicodedata.combining(each))
    return sorted({word[:LONGEST_WORD] for word in _WORD.findall(bare)})


def has_index(transaction: Transaction) -> bool:
    """Whether this process can use the index."""
    if transaction.dialect == "postgres":
        return True
    return bool(transaction.rows("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"))


def create_index(transaction: Transaction) -> None:
    """Create the index unless it exists."""
    for statement in CREATE[transaction.dialect]:
        transaction.change(statement)


def add_words(transaction: Transaction, number: int, text: str) -> None:
    """Index the words of the task with this number."""
    words = " ".join(words_of(text))
    if words:
        transaction.change(ADD[transaction.dialect], (number, words))


def remove_words(transaction: Transaction, number: int, text: str) -> None:
    """Remove the words of a task; *text* is the one that was indexed."""
    if transaction.dialect == "postgres":
        transaction.change("DELETE FROM task_words WHERE task = ?", (number,))
    elif words := " ".join(words_of(text)):
        transaction.change("INSERT INTO task_words (task_words, rowid, words) VALUES ('delete', ?, ?)", (number, words))


def condition(transaction: Transaction, text: str) -> tuple[str, str]:
    """Return the condition on tasks that match *text*, and its parameter. *text* has a word."""
    if transaction.dialect == "postgres":
        return FIND["postgres"], " & ".join(f"'{word}':*" for word in words_of(text))
    return FIND["sqlite"], " AND ".join(f'"{word}" *' for word in words_of(text))


def recent_matches(transaction: Transaction, text: str) -> list[int] | None:
    """Return the largest numbers of matching tasks, at most `RECENT`, the largest first; None where that takes long.

    SQLite merges the lists of all words with a prefix before it returns the first match (12 ms for 100,000 tasks), those
    of words alone while it returns them, so the prefixes are looked up in the vocabulary (2 ms).
    """
    if transaction.dialect == "postgres":
        return None
    transaction.change("CREATE VIRTUAL TABLE IF NOT EXISTS temp.task_terms USING fts5vocab(main, task_words, row)")
    expressions = [_words_with(transaction, word) for word in words_of(text)]
    if not all(expressions):
        return []
    query = "SELECT rowid FROM task_words WHERE task_words MATCH ? ORDER BY rowid DESC LIMIT ?"
    return [number for (number,) in transaction.rows(query, (" AND ".join(expressions), RECENT))]


def _words_with(transaction: Transaction, prefix: str) -> str:
    """Return an expression of FTS5 that matches the words with a prefix, "" where there are none."""
    query = "SELECT term FROM temp.task_terms WHERE term >= ? AND term < ? LIMIT ?"
    words = [word for (word,) in transaction.rows(query, (prefix, f"{prefix}\U0010ffff", MOST_WORDS + 1))]
    if len(words) > MOST_WORDS:
        return f'"{prefix}" *'
    quoted = " OR ".join(f'"{word}"' for word in words)
    return f"({quoted})" if words else ""


def matches(text: str, query: str) -> bool:
    """Whether *text* matches *query*, without an index."""
    words = words_of(text)
    return all(any(word.startswith(wanted) for word in words) for wanted in words_of(query))
