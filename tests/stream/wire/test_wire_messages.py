from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_samples import make_end, make_event, make_frame, make_scores

from stream import types
from stream.messages import MAX_BODY, Message, MessageError, decode, encode
from stream.publisher import Publisher
from stream.structs import EventData, SkeletonData, UnknownData

ROOT = Path(__file__).parents[3]


def messages() -> list[Message]:
    publisher = Publisher("node", epoch="e1", replay=True, clock=lambda: 1_700_000_000.25)
    return [
        publisher.publish_event(make_event(1)),
        publisher.publish_event(make_end(1)),
        publisher.publish_status("cam1", "running", frames=10, rate_hz=29.97, t=1),
        publisher.publish_skeleton(make_frame()),
        publisher.publish_skeleton(make_frame(0)),
        publisher.publish_scores(make_scores(), ["a", "b", "c"]),
        publisher.heartbeat(),
    ]


SAMPLES = messages()


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: message.envelope.type)
def test_reads_back(message: Message):
    again = decode(message.frames())
    assert again == message
    assert encode(again.envelope, again.payload) == message


def test_bytes_of_an_event():
    """The order of keys and the form of numbers are part of what makes two replays byte-identical."""
    assert SAMPLES[1].body == (
        b'{"v":1,"type":"event","node":"node","epoch":"e1","source":"cam1","seq":2,"t":1.0,"t_pub":1700000000.25,'
        b'"replay":true,"data":{"id":"01J00000000000000000000001","phase":"end","kind":"action","severity":"alert",'
        b'"track":3,"name":"fall","prompt":"a person falls to the floor","t":1.0,"t_start":0.0,"t_end":1.0,'
        b'"score":0.875,"peak":0.9,"margin":0.125,"reason":"below_exit"}}'
    )


def test_skeleton_array_needs_no_posewire_to_read():
    message = SAMPLES[3]
    frame = make_frame()
    data = message.envelope.data
    assert isinstance(data, SkeletonData)
    array = np.frombuffer(message.frames()[2], "<f4").reshape(data.shape)
    assert np.array_equal(array[:, :24, :3], frame.joints[:, :24])
    assert np.array_equal(array[..., 3], frame.confidence)
    assert not array[:, 24].any(), "unseen joints are zero"
    assert np.array_equal(message.joints(), array)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_skeleton_array_that_is_not_finite(value: float):
    topic, body, payload = SAMPLES[3].frames()
    array = np.frombuffer(payload, "<f4").copy()
    array[7] = value
    with pytest.raises(MessageError, match="finite"):
        decode([topic, body, array.tobytes()]).joints()


def test_message_without_array_has_no_joints():
    with pytest.raises(MessageError, match="no skeleton array"):
        SAMPLES[0].joints()


def test_unknown_fields_are_ignored_and_unknown_types_skipped():
    topic, body = SAMPLES[0].frames()
    value = json.loads(body)
    value["colour"], value["data"]["mood"] = "blue", {"x": [1]}
    assert decode([topic, json.dumps(value).encode()]).envelope == SAMPLES[0].envelope
    value["type"] = "parade"
    assert decode([topic, json.dumps(value).encode()]).envelope.data == UnknownData()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("v", 2),
        ("seq", 0),
        ("seq", 2**60),
        ("seq", 1.5),
        ("source", "cam/1"),
        ("source", "cam2"),
        ("epoch", ""),
        ("t", 1e300),
        ("t", None),
        ("node", 3),
        ("type", ""),
        ("data", None),
        ("data", []),
        ("replay", 1),
        ("data.score", 1.1),
        ("data.score", -1),
        ("data.margin", 3),
        ("data.track", -2),
        ("data.phase", "middle"),
        ("data.name", "fall\n"),
        ("data.name", "run"),
        ("data.prompt", "x" * 2001),
        ("data.severity", "info"),
        ("data.t_end", 3.0),
        ("data.reason", "gap"),
        ("data.phase", "end"),
        ("data.id", ""),
    ],
)
def test_value_out_of_contract(path: str, value: object):
    topic, body = SAMPLES[0].frames()
    message = json.loads(body)
    *parents, key = path.split(".")
    place = message
    for parent in parents:
        place = place[parent]
    place[key] = value
    with pytest.raises(MessageError):
        decode([topic, json.dumps(message).encode()])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"v":1}',
        b"{" * 10,
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"\0" * 99,
        b" " * (MAX_BODY + 1),
        SAMPLES[0].body.replace(b"0.875", b"NaN"),
        SAMPLES[0].body.replace(b"0.875", b"1e999"),
        SAMPLES[0].body.replace(b"person", b"\xff\xff"),
        SAMPLES[0].body.replace(b"person", b"\\ud800"),
        SAMPLES[0].body.replace(b'"v":1', b'"v":1,"x":' + b"[" * 100_000),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_malformed_body(body: bytes):
    with pytest.raises(MessageError):
        decode([SAMPLES[0].topic.encode(), body])


@pytest.mark.parametrize("count", [0, 1, 4, 1000])
def test_wrong_number_of_frames(count: int):
    with pytest.raises(MessageError, match="frames"):
        decode([b"x"] * count)


@pytest.mark.parametrize("payload", [None, b"", b"\0" * 799, b"\0" * 801])
def test_skeleton_array_of_wrong_size(payload: bytes | None):
    frames = SAMPLES[3].frames()[:2] + ([] if payload is None else [payload])
    with pytest.raises(MessageError, match="expected 800 bytes"):
        decode(frames)


def decodes_or_refuses(frames: list[bytes]) -> None:
    try:
        message = decode(frames)
        if isinstance(message.envelope.data, SkeletonData):
            message.joints()
    except MessageError:
        return


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_any_bytes_are_a_message_or_an_error(frames: list[bytes]):
    decodes_or_refuses(frames)


@given(st.sampled_from(SAMPLES), st.data())
def test_any_damage_is_a_message_or_an_error(message: Message, data: st.DataObject):
    frames = message.frames()
    which = data.draw(st.integers(0, len(frames) - 1))
    damaged = bytearray(frames[which])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    frames[which] = bytes(damaged)
    decodes_or_refuses(frames)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(st.sampled_from(SAMPLES), JSON, st.data())
def test_any_json_in_any_place_is_a_message_or_an_error(message: Message, value: object, data: st.DataObject):
    body = json.loads(message.body)
    place = data.draw(st.sampled_from([body, body["data"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = value
    decodes_or_refuses([message.frames()[0], json.dumps(body).encode(), *message.frames()[2:]])


@pytest.mark.parametrize(
    ("field", "enum"), [("phase", types.Phase), ("kind", types.EventKind), ("severity", types.Severity)]
)
def test_wire_words_are_those_of_the_pipeline(field: str, enum: type):
    hint = get_type_hints(EventData)[field]
    assert set(get_args(hint)) == {member.value for member in enum}


def test_a_subscriber_loads_nothing_heavy():
    heavy = {"numpy", "torch", "pydantic", "scipy", "rich", "typer"}
    script = f"import sys, stream.subscriber; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
