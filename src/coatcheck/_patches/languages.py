"""Which language a file is in, in GitHub Linguist's names: by its name, its first line, its extension.

Where several languages share an extension, Linguist's rules search the beginning of the file; where there is no
text or no rule, the most common language is named and `Language.is_ambiguous` is True. The tables are generated
(docs/project/tools/make_languages.py) and loaded by the first look-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    _Conditions: TypeAlias = tuple[tuple[bool, str], ...]

# Linguist reads 50 KiB (heuristics.rb, HEURISTICS_CONSIDER_BYTES). The rules were checked against hostile text of
# this many characters (make_languages.py), so no more is shown to them.
_BYTES_READ = 4096


class Language(Value, frozen=True, kw_only=True):
    """A language by its Linguist name. `kind` is "programming", "data", "markup" or "prose".

    `candidates` are all the languages that the file's name may mean, the most common first.
    """

    name: str
    kind: str
    candidates: tuple[str, ...]

    _json: ClassVar[JsonFields] = {
        "name": "its name, as GitHub Linguist calls it",
        "kind": '"programming", "data", "markup" or "prose"',
        "candidates": "all languages that the file's name may mean, the most common first",
    }

    @property
    def is_ambiguous(self) -> bool:
        """Whether other languages share the file's name and nothing decided between them."""
        return len(self.candidates) > 1

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Language({self.name!r}{', is_ambiguous=True' if self.is_ambiguous else ''})"


class _Tables:
    """The generated tables, one `Language` for each distinct entry."""

    def __init__(self) -> None:
        from . import language_table as table

        self._kinds = table.KINDS
        self._known: dict[str, Language] = {}
        self.filenames = self._index(table.FILENAMES)
        self.extensions = self._index(table.EXTENSIONS)
        self.interpreters = self._index(table.INTERPRETERS)

    def _index(self, table: Mapping[str, str]) -> dict[str, Language]:
        return {word: self.language(entry) for word, entry in table.items()}

    def language(self, entry: str) -> Language:
        if entry not in self._known:
            candidates = tuple(entry.split("|"))
            self._known[entry] = Language(name=candidates[0], kind=self._kinds[candidates[0]], candidates=candidates)
        return self._known[entry]


_tables: _Tables | None = None


def language_of(path: str, content: bytes | str | None = None) -> Language | None:
    """Return the language of the file at *path*, None when Linguist has none.

    *content*, or the beginning of it, decides between languages that share an extension.
    """
    global _tables  # noqa: PLW0603 - a look-up has a microsecond; functools.cache would take a quarter of it
    tables = _tables
    if tables is None:
        tables = _tables = _Tables()
    name = path[path.rfind("/") + 1 :]
    if (language := tables.filenames.get(name)) is not None:
        return language
    extension, language = _by_extension(tables, name)
    return language if content is None else _by_content(tables, extension, language, _beginning(content))


def _by_extension(tables: _Tables, name: str) -> tuple[str, Language | None]:
    """Look up the longest extension that is known: ``.d.ts`` may mean more than ``.ts``."""
    at = name.find(".")
    while at >= 0:
        extension = name[at:].lower()
        if (language := tables.extensions.get(extension)) is not None:
            return extension, language
        at = name.find(".", at + 1)
    return "", None


def _beginning(content: bytes | str) -> str:
    start = content[:_BYTES_READ]
    return start.decode("utf-8", "replace") if isinstance(start, bytes) else start


def _by_content(tables: _Tables, extension: str, language: Language | None, text: str) -> Language | None:
    if text.startswith("#!") and (language_of_program := tables.interpreters.get(_interpreter(text))) is not None:
        return language_of_program
    if language is None or not language.is_ambiguous:
        return language
    decided = _decide(extension, text)
    return tables.language(decided) if decided in language.candidates else language


def _interpreter(text: str) -> str:
    """Return the program a ``#!`` line runs: ``env`` and its options and variables are skipped."""
    words = text[2:].partition("\n")[0].split()
    programs = [word.rpartition("/")[2] for word in words if not word.startswith("-") and "=" not in word]
    program = next((program for program in programs if program != "env"), "")
    return program if program in ("python2", "python3", "pypy3", "perl6") else program.rstrip("0123456789.")


def _decide(extension: str, text: str) -> str:
    from .language_rules import RULES

    rules: Iterable[tuple[str, _Conditions]] = RULES.get(extension, ())
    return next((language for language, conditions in rules if _holds(conditions, text)), "")


def _holds(conditions: _Conditions, text: str) -> bool:
    import re

    return all((re.search(pattern, text, re.MULTILINE) is not None) is wanted for wanted, pattern in conditions)
