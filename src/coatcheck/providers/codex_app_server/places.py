"""Which attempt of a task a thread is: the folder of its checkout says so. Pure.

A folder never changes, while a person may rename a thread, and no list of the host reports what a thread was forked from
(docs/reference/protocols/codex-app-server.md, "3 Methods").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from . import wire

# More would be an accident: each costs what a task costs.
MAX_ATTEMPTS = 9
_FOLDER = re.compile(r"(?P<task>.*)\.(?P<number>[1-9])-of-(?P<total>[2-9])")


class Place(NamedTuple):
    """An attempt: the folder of its task, its number, and how many there are."""

    task: str
    number: int = 1
    total: int = 1

    @property
    def key(self) -> str:
        """The key of the attempt: that of its submission, with its number where it is not the first."""
        return key_of(self.task.rpartition("/")[2], self.number)

    @property
    def folders(self) -> Mapping[str, int]:
        """The numbers of all attempts, by their folders."""
        return {folder_of(self.task, number, self.total): number for number in range(1, self.total + 1)}


def key_of(key: str, number: int) -> str:
    """Return the key of an attempt of the submission *key*."""
    return key if number == 1 else f"{key}/{number}"


def folder_of(task: str, number: int, total: int) -> str:
    """Return the folder of an attempt; *task* is that of a task with one."""
    return task if total == 1 else f"{task}.{number}-of-{total}"


def place_of(thread: wire.Thread) -> Place:
    """Return which attempt a thread is; what a person forked from the first is a task of its own, with one attempt."""
    folder = thread.cwd or ""
    found = _FOLDER.fullmatch(folder)
    if found is None:
        return Place(folder)
    place = Place(found["task"], int(found["number"]), int(found["total"]))
    return Place(folder) if thread.forkedFromId and place.number == 1 else place
