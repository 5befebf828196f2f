"""Messages as lines, whatever an agent writes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from coatcheck.cloud.acp import lines
from coatcheck.cloud.acp.lines import LineTransport


def read(data: bytes, *, chunk: int = 1000) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the messages in an agent's output, and the lines that are none."""

    async def run() -> tuple[list[dict[str, Any]], list[str]]:
        reader, texts, messages = asyncio.StreamReader(limit=2**30), list[str](), list[dict[str, Any]]()
        for start in range(0, len(data), chunk):
            reader.feed_data(data[start : start + chunk])
        reader.feed_eof()
        transport = LineTransport(reader, None, texts.append)  # type: ignore[arg-type] # nothing is written
        while (message := await transport.receive()) is not None:
            messages.append(message)
        return messages, texts

    return asyncio.run(run())


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"id": 1}',
        b'{"method": 1}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": {}, "result": 1}',
    ],
)
def test_a_line_that_is_no_message_is_text(line: bytes) -> None:
    """Text, broken and deep JSON, and objects that are no JSON-RPC message; the message after it is read."""
    messages, texts = read(line + b'\n\n{"method": "m"}\n')

    assert ([{"method": "m"}], [line.decode("utf-8", "replace")[:10_000]]) == (messages, texts)


@pytest.mark.parametrize(
    ("id", "expected"), [("3", 3), ('"3"', 3), ("3.0", 3), ('"x"', "x"), ("3.5", 3.5), ("null", None)]
)
def test_the_id_of_a_response_is_the_number_that_was_sent(id: str, expected: object) -> None:
    """Also where an agent repeats it as a text or with a fraction; that of a request of the agent stays as it is."""
    messages, _ = read(f'{{"id": {id}, "result": 1}}\n{{"id": {id}, "method": "m"}}\n'.encode())
    given: object = json.loads(id)

    assert [(expected, type(expected)), (given, type(given))] == [(each["id"], type(each["id"])) for each in messages]


def test_text_has_no_control_sequences() -> None:
    """Agents colour what they write for terminals."""
    assert ([], ["a warning"]) == read(b"\x1b[33ma warning\x1b[0m\r\n")


def test_half_a_surrogate_pair_is_replaced() -> None:
    """An agent in JavaScript sends one where it has cut a text between the halves."""
    messages, texts = read(b'{"method": "m", "params": {"text": "a\\ud83d"}}\n')

    assert ([{"method": "m", "params": {"text": "a\ufffd"}}], []) == (messages, texts)


def test_a_line_that_is_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is kept, and what follows it is read; the last line needs no end."""
    monkeypatch.setattr(lines, "MAX_LINE", 50_000)
    monkeypatch.setattr(lines, "CHUNK", 1000)
    messages, texts = read(b"x" * 200_000 + b'\n{"id": 1, "result": null}\n{"method": "n", "id": "a"}')

    assert ([{"id": 1, "result": None}, {"method": "n", "id": "a"}], 1) == (messages, len(texts))
