"""Measure reading, verifying, repairing and applying patches beside git, unidiff and the standard library.

Everything is generated; git works on the same files. Every goal is a ratio of two measurements that take turns in the
same run: a large diff of many files is read 20 times as fast as by unidiff and as fast as by ``git apply --numstat``,
one of few files twice as fast as that, in less than 5 % of its size; a diff is repaired in 20 times the time of parsing
it; a patch of 5,000 files is verified and applied in 1.5 times the time of ``git apply``.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import unidiff

from coatcheck._patches.languages import language_of
from coatcheck._patches.parse import Patch

ROUNDS = 5
TURNS = 3  # of applying, each in two new checkouts
WHO = {f"GIT_{who}_{what}": "bench@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def hunk(lines: int, number: int, chance: random.Random) -> bytes:
    """Return a hunk of *lines* lines of code, half of them changed."""
    signs = chance.choices(b"  +-", k=lines)
    body = b"".join(b"%c    some = text.of_a(line, %d)\n" % (sign, at) for at, sign in enumerate(signs))
    old, new = (lines - signs.count(other) for other in b"+-")
    return b"@@ -%d,%d +%d,%d @@ def function():\n%s" % (number, old, number, new, body)


def diff(files: int, hunks: int, lines: int) -> bytes:
    """Return a diff of *files* files of *hunks* hunks of *lines* lines."""
    chance = random.Random(1)
    parts = []
    for number in range(files):
        name = b"src/module_%d/file_%d.py" % (number % 50, number)
        parts.append(
            b"diff --git a/%s b/%s\nindex 1234567..89abcde 100644\n--- a/%s\n+++ b/%s\n" % (name, name, name, name)
        )
        parts += [hunk(lines, 1 + at * 2 * lines, chance) for at in range(hunks)]
    return b"".join(parts)


def in_turns(**contestants: Callable[[], object]) -> dict[str, float]:
    """Return the median seconds of each contestant; all run in every round, so that other load slows all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(each) for name, each in seconds.items()}


def numstat(path: Path) -> Callable[[], object]:
    """Return how git counts the diff in the file *path*."""
    command = ["git", "apply", "--numstat", str(path)]
    return lambda: subprocess.run(command, cwd=path.parent, stdout=subprocess.DEVNULL, check=True)


def row(what: str, value: str, goal: str = "") -> None:
    """Print one figure."""
    print(f"  {what:<44} {value:>12}   {goal}")


def memory(data: bytes) -> float:
    """Return the peak while reading *data*, in percent of it."""
    tracemalloc.start()
    files = Patch(data).files
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return 100 * peak / len(data) if files else 0.0


def read(folder: Path, name: str, data: bytes, goal: float) -> None:
    """Measure reading *data*."""
    path = folder / "read.diff"
    path.write_bytes(data)
    contestants: dict[str, Callable[[], object]] = {
        "git": numstat(path),
        "ours": lambda: Patch(data).files,
        "proved": lambda: Patch.parse(data),
    }
    if len(data) < 20_000_000:
        contestants["unidiff"] = lambda: unidiff.PatchSet(data.decode())
    took = in_turns(**contestants)
    print(
        f"{name}: {len(data) / 1e6:.0f} MB, {len(Patch(data).files)} files, {len(data) / 1e6 / took['ours']:.0f} MB/s"
    )
    row("speed, git apply --numstat = 1", f"{took['git'] / took['ours']:.2f}", f"goal {goal:g}")
    row("the same with every hunk proved", f"{took['git'] / took['proved']:.2f}")
    if "unidiff" in took:
        row("speed, unidiff = 1", f"{took['unidiff'] / took['ours']:.1f}", "goal 20")
    row("peak memory", f"{memory(data):.1f} %", "goal < 5 %")


def git(folder: Path, *arguments: str) -> bytes:
    """Run git and return what it wrote."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | WHO, check=True, stdout=subprocess.PIPE
    ).stdout


def large_patch(folder: Path, files: int) -> bytes:
    """Make a repository of *files* files in *folder* and return a patch that changes each."""
    for number in range(files):
        path = folder / f"d{number % 100}" / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"line {line} of file {number} some words\n" for line in range(60)))
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=x"]):
        git(folder, *command)
    for path in folder.glob("d*/*"):
        path.write_text(path.read_text().replace("line 20 ", "LINE 20 ").replace("line 50 ", "line fifty "))
    patch = git(folder, "diff")
    git(folder, "checkout", "--quiet", ".")
    return patch


def apply(folder: Path, files: int) -> None:
    """Measure verifying and applying a patch of *files* files, each time in a new checkout.

    After files are deleted, creating files is slower (ext4 does not use such inodes again at once), so no application
    is undone and repeated.
    """
    patch = large_patch(folder / "0", files)
    (folder / "large.patch").write_bytes(patch)
    contestants: dict[str, Callable[[Path], object]] = {
        "git": lambda checkout: git(checkout, "apply", str(folder / "large.patch")),
        "ours": lambda checkout: Patch(patch).verify(base=checkout).apply(checkout),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(TURNS):
        checkouts = {name: copied(folder / "0", folder / f"{turn}-{name}") for name in contestants}
        for name, run in sorted(contestants.items(), reverse=turn % 2 == 1):
            os.sync()
            began = time.perf_counter()
            run(checkouts[name])
            seconds[name].append(time.perf_counter() - began)
        assert tree(checkouts["git"]) == tree(checkouts["ours"])
    theirs, ours = (statistics.median(seconds[name]) for name in ("git", "ours"))
    print(f"A patch of {files} files, verified and applied: {ours:.2f} s, git apply {theirs:.2f} s")
    row("time, git apply = 1", f"{ours / theirs:.2f}", "goal 1.5")


def copied(checkout: Path, target: Path) -> Path:
    """Return a copy with a refreshed index."""
    shutil.copytree(checkout, target)
    git(target, "update-index", "-q", "--refresh")
    return target


def tree(checkout: Path) -> bytes:
    """Return the id of the work tree's content."""
    git(checkout, "add", "--all")
    return git(checkout, "write-tree")


def repair() -> None:
    """Measure repairing a diff with wrong counts, and one without damage, beside parsing it."""
    good = diff(files=200, hunks=4, lines=58)
    damaged = re.sub(rb"^@@ -(\d+),\d+ \+(\d+),\d+ @@", rb"@@ -\1,7 +\2,9 @@", good, flags=re.MULTILINE)
    took = in_turns(
        parse=lambda: Patch.parse(good), good=lambda: Patch.repair(good), damaged=lambda: Patch.repair(damaged)
    )
    print(f"Repair: {len(good) / 1e6:.1f} MB")
    row("time of a good diff, Patch.parse = 1", f"{took['good'] / took['parse']:.1f}", "goal 10")
    row("time of wrong counts, Patch.parse = 1", f"{took['damaged'] / took['parse']:.1f}", "goal 20")


def frequent_calls() -> None:
    """Measure what is called often, beside functions of the standard library."""
    language_of("warm.py")
    print("Frequent calls")
    for path in ("src/coatcheck/_patches/parse.py", "Makefile", "types/index.d.ts"):
        took = in_turns(
            ours=lambda path=path: timeit.timeit(lambda: language_of(path), number=50_000),  # type: ignore[misc]
            splitext=lambda path=path: timeit.timeit(lambda: os.path.splitext(path), number=50_000),  # type: ignore[misc]
        )
        row(f"language of {path}, splitext = 1", f"{took['ours'] / took['splitext']:.2f}", "goal 2")
    modules = {
        "nothing": "sys",
        "json": "json",
        "patch": "coatcheck._patches.parse",
        "parser": "coatcheck._patches.scan",
    }
    starts = in_turns(**{name: importing(module) for name, module in modules.items()})
    unit = starts["json"] - starts["nothing"]
    row("import of Patch, json = 1", f"{(starts['patch'] - starts['nothing']) / unit:.1f}", "goal 2")
    row("the same, and the parser", f"{(starts['parser'] - starts['nothing']) / unit:.1f}")


def importing(module: str) -> Callable[[], object]:
    """Return a start of Python that imports *module*."""
    return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


def main() -> None:
    """Print every figure."""
    folder = Path(tempfile.mkdtemp())
    try:
        read(folder, "Many files", diff(files=1_800, hunks=4, lines=58), goal=1)
        read(folder, "Few files", diff(files=20, hunks=50, lines=2_600), goal=2)
        (folder / "repository").mkdir()
        apply(folder / "repository", 5_000)
        repair()
        frequent_calls()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
