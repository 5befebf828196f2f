"""How much an answer costs beyond decoding it: from the bytes of a details answer to a `Task` with its outcome.

A large answer (3.5 MB: 60 files, 2 MB of diff, the turn sent twice as the service does), a small one, and a page of
20 tasks; each is measured side by side with what msgspec alone needs for the same bytes, the two taking turns.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

import msgspec

from coatcheck._protocol.decode import decoder
from coatcheck._protocol.effects import Response
from coatcheck.providers.codex import extract, wire
from coatcheck.providers.codex.endpoints import Service

# What an answer may cost, in times of its decoding.
GOALS = {"details, large": 2.0, "details, once": 2.0, "details, small": 4.0, "page of 20": 5.0}

SERVICE = Service.at("https://chatgpt.com", name="codex")
TASK = "task_e_00000000000000000000000000000002"
LINE = '  const greeting = "Hello, " + name; // a line of ordinary length\n'


def turn(*, files: int, diff_bytes: int) -> dict[str, object]:
    """Return an assistant's turn with a message, a snapshot of each file, and one diff."""
    lines = [LINE.rstrip("\n")] * (170 if files > 1 else 4)
    added = max(1, diff_bytes // files // (len(LINE) + 1))
    diff = "".join(
        f"diff --git a/src/f{i}.js b/src/f{i}.js\n--- a/src/f{i}.js\n+++ b/src/f{i}.js\n@@ -0,0 +1,{added} @@\n"
        + f"+{LINE}" * added
        for i in range(files)
    )
    ranges = [{"line_range_start": 1, "line_range_end": len(lines), "content": lines, "contains_end_of_file": True}]
    snapshots = [{"path": f"src/f{i}.js", "contents": None, "line_range_contents": ranges} for i in range(files)]
    return {
        "type": "assistant",
        "id": f"{TASK}~assttrn_e_1",
        "turn_status": "completed",
        "output_items": [
            {"type": "message", "role": "assistant", "content": [{"content_type": "text", "text": "Done."}]},
            {"type": "partial_repo_snapshot", "files": snapshots},
            {
                "type": "pr",
                "pr_title": "Dark mode",
                "pr_message": "Done.",
                "output_diff": {"diff": diff, "files_modified": files},
            },
        ],
    }


def record(number: int = 0) -> dict[str, object]:
    """Return a task as lists and details show it."""
    status = {"turn_id": "t", "turn_status": "completed", "diff_stats": None, "sibling_turn_ids": [], "intent": "pr"}
    return {
        "id": f"{TASK}{number}",
        "title": "Add dark mode",
        "created_at": 1790723650.38,
        "updated_at": 1790723650.38,
        "archived": False,
        "has_unread_turn": False,
        "pull_requests": [],
        "task_status_display": {"latest_turn_status_display": status, "environment_label": "owner/repo"},
    }


def details(*, files: int, diff_bytes: int, is_repeated: bool = True) -> bytes:
    """Return a details answer; the diff turn repeats the assistant's, as the service does, or is null."""
    made = turn(files=files, diff_bytes=diff_bytes)
    again = made if is_repeated else None
    return msgspec.json.encode({"task": record(), "current_assistant_turn": made, "current_diff_task_turn": again})


def both(first: Callable[[], object], second: Callable[[], object], *, rounds: int, repeat: int) -> tuple[float, float]:
    """Return the best time of one call of each, in seconds; they take turns so that a busy machine harms both."""
    best = [float("inf")] * 2
    for _ in range(rounds):
        for i, function in enumerate((first, second)):
            start = time.process_time()
            for _ in range(repeat):
                function()
            best[i] = min(best[i], (time.process_time() - start) / repeat)
    return best[0], best[1]


def main() -> None:
    """Print each case with its ratio."""
    large = details(files=60, diff_bytes=1_000_000)
    once = details(files=60, diff_bytes=2_000_000, is_repeated=False)
    small = details(files=1, diff_bytes=200)
    page = msgspec.json.encode({"items": [record(i) for i in range(20)], "cursor": None})

    class Whole(wire.Details, frozen=True):
        """The details with both turns decoded: what the two answers' bytes cost as structs."""

        current_diff_task_turn: wire.Turn | None = None  # type: ignore[assignment]

    cases: Mapping[str, tuple[bytes, object, Callable[[Response], object], int]] = {
        "details, large": (large, Whole, lambda answer: extract.task_from_details(answer, SERVICE), 1),
        "details, once": (once, Whole, lambda answer: extract.task_from_details(answer, SERVICE), 1),
        "details, small": (small, Whole, lambda answer: extract.task_from_details(answer, SERVICE), 300),
        "page of 20": (page, wire.Page, lambda answer: extract.page(answer, SERVICE), 300),
    }
    gc.disable()
    for name, (body, shape, read, repeat) in cases.items():
        answer, plain = Response(200, body=body), decoder(shape)
        read(answer)
        decoding, reading = both(
            lambda plain=plain, body=body: plain.decode(body),
            lambda read=read, answer=answer: read(answer),
            rounds=30,
            repeat=repeat,
        )
        print(
            f"{name:15} {len(body) / 1e6:7.3f} MB  msgspec {decoding * 1e6:9.1f} us  ours {reading * 1e6:9.1f} us  ratio {reading / decoding:.2f}  goal {GOALS[name]:.1f}"
        )


if __name__ == "__main__":
    main()
