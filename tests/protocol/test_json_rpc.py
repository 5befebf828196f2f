"""JSON-RPC over a channel: calls and answers, calls of the other side, and what is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coatcheck import errors
from coatcheck._protocol.effects import Receive, Send
from coatcheck._protocol.json_rpc import MAX_KEPT, JsonRpc, Notification, RpcAnswer, ServerRequest


class Line:
    """A channel without anything behind it."""

    session: Any = None


def run(script: Any, *incoming: bytes | Exception | None) -> tuple[Any, list[Any]]:
    """Perform a script that receives *incoming*; return its result and what it sent."""
    sent, messages = [], list(incoming)
    try:
        effect = next(script)
        while True:
            if isinstance(effect, Send):
                sent.append(msgspec.json.decode(effect.message))
                effect = script.send(None)
            else:
                assert isinstance(effect, Receive)
                message = messages.pop(0)
                effect = script.throw(message) if isinstance(message, Exception) else script.send(message)
    except StopIteration as stop:
        assert not messages
        return stop.value, sent


def answer(id: int, result: object) -> bytes:
    """Return the answer to a call."""
    return msgspec.json.encode({"id": id, "result": result})


def test_a_call_has_the_answer_with_its_id() -> None:
    """Answers come in any order, between notifications, calls and answers that nobody waits for."""
    rpc = JsonRpc(Line())
    calls = rpc.call_all([("first", {"a": 1}), ("second", {})])
    answers, sent = run(
        calls,
        answer(2, "two"),
        b'{"method":"note","params":[1]}',
        b'{"id":9,"result":0}',
        b'{"id":true}',
        answer(1, "one"),
    )

    assert ["one", "two"] == [each.decode(str) for each in answers]
    assert [
        {"jsonrpc": "2.0", "id": 1, "method": "first", "params": {"a": 1}},
        {"jsonrpc": "2.0", "id": 2, "method": "second", "params": {}},
    ] == sent
    assert (Notification,) == tuple(map(type, rpc.take_messages()))


def test_messages_of_the_other_side_are_kept_in_order() -> None:
    """Notifications and calls that come during a call are read afterwards, in their order; then later ones."""
    rpc = JsonRpc(Line())
    run(rpc.call("m"), b'{"method":"a"}', b'{"id":"x","method":"ask","params":{"q":1}}', answer(1, None))
    first, _ = run(rpc.next_message())
    second, _ = run(rpc.next_message())
    third, _ = run(rpc.next_message(1.0), b'{"method":"b"}')
    silence, _ = run(rpc.next_message(1.0), errors.TransportTimeoutError("no message in time"))

    assert ("a", ("x", "ask", b'{"q":1}'), "b", None) == (
        first.method,
        (second.id, second.method, bytes(second.params)),
        third.method,
        silence,
    )


def test_calls_of_the_other_side_are_answered_with_their_id() -> None:
    """A call is answered by a result or refused by an error, with its id as it was sent."""
    rpc = JsonRpc(Line())
    request = ServerRequest("id-7", "ask")
    _, answered = run(rpc.respond(request, {"decision": "accept"}))
    _, refused = run(rpc.refuse(request, "not known here"))
    _, notified = run(rpc.notify("initialized"))

    assert [
        {"jsonrpc": "2.0", "id": "id-7", "result": {"decision": "accept"}},
        {"jsonrpc": "2.0", "id": "id-7", "error": {"code": -32601, "message": "not known here"}},
        {"jsonrpc": "2.0", "method": "initialized"},
    ] == answered + refused + notified


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-32600, errors.InvalidRequestError),
        (-32601, errors.InvalidRequestError),
        (-32603, errors.ProviderUnavailableError),
    ],
)
def test_an_error_of_an_answer_is_raised_when_it_is_read(code: int, kind: type[errors.ProviderError]) -> None:
    """A refusal was not performed, any other error may have been; the message names the method and hides secrets."""
    error = {"code": code, "message": "no\nsk-abcdefghijklmnop1234"}
    reply, _ = run(JsonRpc(Line()).call("thread/read"), msgspec.json.encode({"id": 1, "error": error}))
    with pytest.raises(kind) as caught:
        reply.decode(dict)

    assert ("thread/read", "no [hidden]") == (reply.method, caught.value.detail)


@pytest.mark.parametrize("message", [b"", b"no JSON", b"[]", b'"text"', b'{"id":1,"error":"text"}', b"\xff\xfe{\x00"])
def test_what_is_no_message_is_unreadable(message: bytes) -> None:
    """A message that is not a JSON object of the protocol's shape ends the call."""
    with pytest.raises(errors.UnreadableResponseError) as caught:
        run(JsonRpc(Line()).call("m"), message)

    assert caught.value.path.startswith("$")


def test_a_byte_order_mark_before_a_message_is_ignored() -> None:
    """A byte-order mark is no part of a JSON text (RFC 8259, section 8.1)."""
    reply, _ = run(JsonRpc(Line()).call("m"), b"\xef\xbb\xbf" + answer(1, 5))

    assert 5 == reply.decode(int)


def test_an_end_before_the_answer_is_a_lost_answer() -> None:
    """The end of the channel leaves open whether the call was performed; so does an error that names no call."""
    with pytest.raises(errors.TransportError) as caught:
        run(JsonRpc(Line()).call("m"), None)
    with pytest.raises(errors.InvalidRequestError):
        run(JsonRpc(Line()).call("m"), b'{"id":null,"error":{"code":-32700,"message":"parse error"}}')

    assert caught.value.request_sent


def test_a_connection_goes_on_over_a_shared_channel() -> None:
    """Over one channel ids grow from script to script, and an answer to an earlier script is dropped."""
    line = Line()
    with pytest.raises(errors.TransportTimeoutError):
        run(JsonRpc.over(line).call("lost"), errors.TransportTimeoutError("no message in time"))
    reply, sent = run(JsonRpc.over(line).call("next"), answer(1, "late"), answer(2, "mine"))

    assert (2, "mine") == (sent[0]["id"], reply.decode(str))


def test_a_service_that_only_notifies_does_not_answer() -> None:
    """A call ends with an error where notifications without end come in place of its answer."""
    rpc = JsonRpc(Line())
    with pytest.raises(errors.UnreadableResponseError, match="in place of an answer"):
        run(rpc.call("m"), *[b'{"method":"n"}'] * (MAX_KEPT + 1))

    assert MAX_KEPT == len(rpc.take_messages())


def test_an_answer_without_a_result_is_null() -> None:
    """A missing result reads as null."""
    reply, _ = run(JsonRpc(Line()).call("m"), b'{"id":1}')

    assert (RpcAnswer, None) == (type(reply), reply.decode(type(None)))
