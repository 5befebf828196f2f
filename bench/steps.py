"""Count the files of the package and the nested generators between a call and its requests; no time is measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import coatcheck
from coatcheck import Client
from coatcheck._protocol.effects import Request, Response
from coatcheck._store.journal import NoJournal
from coatcheck.testing import FakeClock

PACKAGE = str(Path(coatcheck.__file__).parent)
GENERATOR = 0x20
ANSWER = (
    b'{"task":{"id":"task_e_1"},"current_assistant_turn":{"id":"t~assttrn_e_1","turn_status":"completed"},"items":[]}'
)


class Canned:
    """A transport that returns one answer."""

    def send(self, request: Request) -> Response:
        """Return the answer."""
        body = b'[{"id":"%s","label":"o/r"}]' % (b"e" * 32) if "environments" in request.url else ANSWER
        return Response(200, {"content-type": "application/json"}, body, url=request.url)

    def close(self) -> None:
        """Do nothing."""


def count(call: Callable[[Client], Any]) -> tuple[int, int]:
    """Return how many files of the package *call* enters, and the most generators that are active at once."""
    files, deepest = set(), 0
    client = Client("codex", token="t", environ={"COATCHECK_LEARN": "off"}, journal=NoJournal(), transport=Canned(), clock=FakeClock())  # fmt: skip
    call(client)  # imports are not counted

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal deepest
        if event != "call" or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        files.add(frame.f_code.co_filename)
        generators, outer = 0, frame
        while outer is not None:
            generators += bool(outer.f_code.co_flags & GENERATOR) and outer.f_code.co_filename.startswith(PACKAGE)
            outer = outer.f_back  # type: ignore[assignment]
        deepest = max(deepest, generators)

    sys.setprofile(profile)
    call(client)
    sys.setprofile(None)
    client.close()
    return len(files), deepest


def main() -> None:
    """Print the counts."""
    calls: dict[str, Callable[[Client], Any]] = {
        "submit": lambda client: client.create_task("p", environment="e" * 32, branch="main"),
        "details": lambda client: client.get_task("task_e_1"),
        "poll_tasks(1,000)": lambda client: list(client.poll_tasks([f"task_e_{n}" for n in range(1000)])),
    }
    for name, call in calls.items():
        try:
            files, generators = count(call)
        except coatcheck.errors.CoatcheckError as error:
            sys.setprofile(None)
            print(f"{name}: {error}")
        else:
            print(f"{name}: {files} files, {generators} nested generators")


if __name__ == "__main__":
    main()
