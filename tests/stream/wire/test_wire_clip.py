"""The joints around an event, from the worker to whoever asks for them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from wire_samples import make_end, make_event

from stream.answers import answer
from stream.clip_reply import MAX_CLIP_BYTES, MAX_CLIPS, MAX_RECORDING
from stream.daemon.links import decode, encode
from stream.messages import MessageError
from stream.publisher import Publisher
from stream.query import ClipReply, decode_reply
from stream.types import Clip, EventKind

SCHEMA = Path(__file__).parents[3] / "docs" / "schema" / "v1" / "query-clip.json"


def make_clip(number: int = 0, size: int = 8, **changes: object) -> Clip:
    return Clip(make_end(number, **changes), "e" * 64, bytes(size))


@pytest.fixture
def publisher() -> Publisher:
    return Publisher("n", epoch="e1")


def ask(publisher: Publisher, **request: object) -> dict[str, Any]:
    reply = answer(publisher, json.dumps({"v": 1, "type": "clip", **request}).encode())
    assert reply is not None
    decode_reply(reply)
    value: dict[str, Any] = json.loads(reply)
    return value


def test_a_clip_can_be_asked_for_by_the_id_of_its_event(publisher: Publisher) -> None:
    clip = make_clip(3)
    publisher.keep_clip(clip)
    reply = ask(publisher, id="7", event=clip.event.id)
    assert {key: reply[key] for key in ("id", "name", "source", "track", "kind", "t_start", "t_end", "peak")} == {
        "id": "7", "name": "fall", "source": "cam1", "track": 3, "kind": "action", "t_start": 2.0, "t_end": 3.0,
        "peak": 0.9,
    }  # fmt: skip
    assert base64.b64decode(reply["recording"]) == clip.recording
    decoded = decode_reply(json.dumps(reply).encode())
    assert isinstance(decoded, ClipReply)
    assert decoded.recording == clip.recording
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(reply)


def test_of_an_event_that_goes_on_for_long_there_is_no_end(publisher: Publisher) -> None:
    publisher.keep_clip(Clip(make_event(3, kind=EventKind.ANOMALY), "", b"x"))
    reply = ask(publisher, event=make_event(3).id)
    assert (reply["t_end"], reply["kind"]) == (None, "anomaly")


def test_the_oldest_clips_are_forgotten(publisher: Publisher) -> None:
    for number in range(MAX_CLIPS + 1):
        publisher.keep_clip(make_clip(number))
    assert ask(publisher, event=make_event(0).id)["type"] == "error"
    assert ask(publisher, event=make_event(1).id)["type"] == "clip"


def test_clips_take_so_many_bytes_and_no_more(publisher: Publisher) -> None:
    fit = MAX_CLIP_BYTES // MAX_RECORDING
    for number in range(fit + 1):
        publisher.keep_clip(make_clip(number, MAX_RECORDING))
    publisher.keep_clip(make_clip(fit, MAX_RECORDING))  # in place of itself
    assert ask(publisher, event=make_event(0).id)["type"] == "error"
    assert ask(publisher, event=make_event(1).id)["type"] == "clip"
    with pytest.raises(MessageError, match="expected at most 4194304 bytes"):
        publisher.keep_clip(make_clip(0, MAX_RECORDING + 1))


def test_what_is_not_kept_is_an_error(publisher: Publisher) -> None:
    assert "expected event, the id of an event" in ask(publisher)["error"]
    assert "'x' is unknown, goes on or is too old" in ask(publisher, event="x")["error"]


def test_clips_pass_between_processes() -> None:
    clip = make_clip(5)
    assert decode(encode(clip)) == clip
