from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_samples import make_end, make_event, make_example

from stream.answers import answer
from stream.journal import Journal
from stream.messages import MessageError
from stream.publisher import Publisher
from stream.query import MAX_EXAMPLES, PAGE_MESSAGES, PromptInfo, decode_reply
from stream.structs import SourceState
from stream.topics import Kind


def ask(publisher: Publisher, **request: object) -> dict[str, object]:
    reply = answer(publisher, json.dumps({"v": 1, **request}).encode())
    decode_reply(reply)
    value: dict[str, object] = json.loads(reply)
    return value


@pytest.fixture
def publisher() -> Publisher:
    publisher = Publisher("n", epoch="e1", journal=Journal(4))
    for number in range(6):
        publisher.publish_event(make_event(number))
        if number % 2:
            publisher.publish_event(make_end(number))
    publisher.publish_status("cam1", "running", frames=7)
    publisher.set_prompts([PromptInfo("fall", "a person falls", "critical")], "d1")
    return publisher


def test_ping(publisher: Publisher):
    assert ask(publisher, type="ping", id="x") == {"v": 1, "type": "pong", "id": "x", "node": "n", "epoch": "e1"}


def test_snapshot(publisher: Publisher):
    reply = ask(publisher, type="snapshot", id="7")
    assert reply["epoch"] == "e1"
    assert reply["seqs"] == publisher.seqs()
    assert [event["data"]["id"][-1] for event in reply["open"]] == ["0", "2", "4"]
    assert reply["sources"]["cam1"]["frames"] == 7
    assert reply["prompts"] == [{"name": "fall", "prompt": "a person falls", "severity": "critical"}]
    assert reply["prompts_digest"] == "d1"


def test_after(publisher: Publisher):
    reply = ask(publisher, type="after", kind="alarm", seq=7)
    assert [message["seq"] for message in reply["messages"]] == [8, 9]
    assert (reply["gap"], reply["first"], reply["newest"], reply["more"]) == (False, 8, 9, False)
    reply = ask(publisher, type="after", kind="alarm", seq=5, limit=1)
    assert [message["seq"] for message in reply["messages"]] == [6]
    assert reply["more"]


def test_after_past_retention(publisher: Publisher):
    reply = ask(publisher, type="after", kind="alarm", seq=2)
    assert (reply["gap"], reply["first"], reply["newest"], reply["messages"]) == (True, 6, 9, [])


def test_after_what_is_not_there_yet(publisher: Publisher):
    reply = ask(publisher, type="after", kind="anomaly", seq=0)
    assert (reply["gap"], reply["first"], reply["newest"], reply["messages"]) == (False, 0, 0, [])


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"type": "prompts.add", "id": "9"}, "unknown request type 'prompts.add'"),
        ({"type": "prompt_add", "id": "9"}, "expected the role control, but this socket gives read"),
        ({"type": "prompt_list", "id": "9"}, "expected a running daemon"),
        ({"type": "prompt_add", "prompt": [], "id": "9"}, "prompt: expected an object"),
        ({"type": "prompt_remove", "name": "", "id": "9"}, "name: expected the name of a prompt"),
        ({"type": "reboot", "id": "9"}, "unknown request type 'reboot'"),
        ({"type": "after", "id": "9"}, "expected kind and seq"),
        ({"type": "example", "id": "9"}, "expected event, the id of an event"),
        ({"type": "example", "event": "", "id": "9"}, "event: expected the id of an event, 1 to 64 characters"),
        ({"type": "example", "event": "x", "id": "9"}, "event 'x' is unknown or too old"),
        ({"type": "after", "kind": "skeleton", "seq": 0}, "kind: expected alarm, action, anomaly or status"),
        ({"type": "after", "kind": "alarm", "seq": -1, "id": "9"}, "seq: expected a whole number from 0"),
        (
            {"type": "after", "kind": "alarm", "seq": 0, "limit": PAGE_MESSAGES + 1, "id": "9"},
            "limit: expected a whole number from 1 to 500",
        ),
        ({"type": "ping", "v": 2, "id": "9"}, "v: expected 1"),
        ({"id": "9"}, "type: expected ping, snapshot, after, example, clip, withheld, prompt_list"),
        ({"type": 5, "id": "9"}, "type: expected ping, snapshot, after, example, clip, withheld, prompt_list"),
    ],
)
def test_errors_say_what_is_wrong_and_repeat_the_id(publisher: Publisher, request_: dict[str, object], error: str):
    reply = ask(publisher, **request_)
    assert reply["type"] == "error"
    assert reply["id"] == request_.get("id", "")
    assert error in str(reply["error"])


@pytest.mark.parametrize("id_", ["x" * 129, 7, None])
def test_an_id_that_cannot_be_is_not_repeated(publisher: Publisher, id_: object):
    reply = ask(publisher, type="ping", id=id_)
    assert reply["id"] == ""
    assert "id: expected a string of at most 128 characters" in str(reply["error"])


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"v":1,', b'"ping"'])
def test_what_is_no_object_is_told_so(publisher: Publisher, body: bytes):
    assert json.loads(answer(publisher, body))["error"] == "malformed request: expected one JSON object in UTF-8"


def test_the_example_of_an_event_is_the_last_one_told(publisher: Publisher):
    first, last = make_example(3), make_example(3, embedding=make_example(4).embedding, score=0.95)
    for example in (first, last):
        publisher.keep_example(example)
    reply = ask(publisher, type="example", id="7", event=first.event)
    embedding = reply.pop("embedding")
    np.testing.assert_allclose(embedding, last.embedding, atol=1e-6)
    assert reply == {
        "v": 1, "type": "example", "id": "7", "node": "n", "epoch": "e1", "event": first.event, "source": "cam1",
        "name": "fall", "t": 3.0, "score": 0.95, "model": "e" * 64,
    }  # fmt: skip


def test_the_oldest_examples_are_forgotten(publisher: Publisher):
    for number in range(MAX_EXAMPLES + 1):
        publisher.keep_example(make_example(number))
    assert ask(publisher, type="example", event=make_example(0).event)["type"] == "error"
    assert ask(publisher, type="example", event=make_example(1).event)["type"] == "example"


@pytest.mark.parametrize("embedding", [np.full(4, np.nan, np.float32), np.ones(4, np.float32)])
def test_an_example_that_is_no_unit_vector_is_refused(publisher: Publisher, embedding: np.ndarray):
    with pytest.raises(MessageError, match="expected a unit vector"):
        publisher.keep_example(make_example(embedding=embedding))


def test_rates_have_two_decimals(publisher: Publisher):
    publisher.publish_status("cam1", "running", rate_hz=29.970029)
    assert publisher.journal.after(Kind.STATUS, 1, 1, 1).messages[0].count(b'"rate_hz":29.97}') == 1
    publisher.sources["cam1"] = SourceState("running", "", 8, 0, 12.345678)  # as the daemon does between two statuses
    assert ask(publisher, type="snapshot")["sources"]["cam1"]["rate_hz"] == 12.35
    assert b'"rate_hz":12.35}' in publisher.heartbeat().body


@given(st.binary(max_size=200))
def test_any_bytes_get_a_reply(body: bytes):
    assert json.loads(answer(Publisher("n"), body))["type"] == "error"


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"v":' * 12_000, b'{"v":1,"type":"ping","x":' + b"[" * 50_000])
def test_deep_nesting_gets_a_reply(body: bytes):
    assert json.loads(answer(Publisher("n"), body))["type"] == "error"


@given(st.binary(max_size=200) | st.sampled_from([b'{"type":"after"}', b'{"type":"x"}', b"[" * 50_000]))
def test_any_reply_is_read_or_refused(body: bytes):
    with pytest.raises(MessageError):
        decode_reply(body)
