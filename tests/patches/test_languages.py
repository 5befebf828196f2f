from __future__ import annotations

import pytest

from coatcheck._patches import language_rules, language_table
from coatcheck._patches.languages import language_of


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/main.py", "Python"),
        ("Makefile", "Makefile"),
        ("deep/down/Dockerfile", "Dockerfile"),
        ("types/index.d.ts", "TypeScript"),
        ("PAGE.HTML", "HTML"),
        (".bashrc", "Shell"),
        ("CMakeLists.txt", "CMake"),
        ("x.cpp", "C++"),
        ("x.rs", "Rust"),
        ("no-extension", None),
        ("", None),
        ("trailing.", None),
    ],
)
def test_names_tell(path: str, expected: str | None) -> None:
    """A file's name is usually enough, whole names before extensions and long extensions before short ones."""
    language = language_of(path)

    assert expected == (language and language.name)


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("a.h", "class X {\npublic:\n", "C++"),
        ("a.h", "#import <Foundation/Foundation.h>\n@interface X\n", "Objective-C"),
        ("a.m", "function y = f(x)\n% comment\n", "MATLAB"),
        ("a.m", b"@implementation X\n", "Objective-C"),
        ("a.pl", ":- use_module(library(lists)).\n", "Prolog"),
        ("a.pl", "use strict;\n", "Perl"),
        ("a.sql", "CREATE PROCEDURE x BEGIN\nDECLARE @a int\nGO\n", "TSQL"),
    ],
)
def test_content_decides(path: str, content: bytes | str, expected: str) -> None:
    """Linguist's rules read a file whose extension several languages share, and then there is no doubt."""
    language = language_of(path, content)

    assert language is not None
    assert (expected, False) == (language.name, language.is_ambiguous)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("#!/bin/sh", "Shell"),
        ("#!/usr/bin/env python3", "Python"),
        ("#!/usr/bin/env -S python3.11 -u", "Python"),
        ("#!/usr/bin/env A=1 node", "JavaScript"),
        ("#!/usr/bin/perl -w", "Perl"),
        ("#!", None),
        ("#!/opt/unheard-of", None),
    ],
)
def test_first_lines_tell(line: str, expected: str | None) -> None:
    """A program without an extension names its interpreter on its first line."""
    language = language_of("tool", f"{line}\nx\n")

    assert expected == (language and language.name)


@pytest.mark.parametrize(
    ("path", "expected"), [("a.h", "C"), ("a.m", "Objective-C"), ("a.pl", "Perl"), ("a.ts", "TypeScript")]
)
def test_doubt_is_said(path: str, expected: str) -> None:
    """Without content the most common language is named, with a flag."""
    language = language_of(path)

    assert language is not None
    assert (expected, True) == (language.name, language.is_ambiguous)


def test_every_name_in_the_tables_is_a_language() -> None:
    """Tables and rules name the same languages."""
    tables = (language_table.FILENAMES, language_table.EXTENSIONS, language_table.INTERPRETERS)
    named = {name for table in tables for entry in table.values() for name in entry.split("|")}
    ruled = {rule[0] for rules in language_rules.RULES.values() for rule in rules}

    assert (set(), set()) == (named - set(language_table.KINDS), ruled - set(language_table.KINDS))


@pytest.mark.parametrize("piece", [" ", "a", "\n", "(", "a.", "/*", "function "])
def test_rules_end_on_hostile_text(piece: str) -> None:
    """Each rule reads any content; in cubic time the test would be ended."""
    content = piece * 100_000
    names = {extension: language_of("x" + extension, content) for extension in language_rules.RULES}

    assert language_rules.RULES.keys() == names.keys()
