"""What goes between the daemon's processes arrives as it was; live sources drop their oldest frames, and count them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from poses import frame, person

from stream.daemon import outlet as outlets
from stream.daemon.frame_part import Stamp, encode_frame, stamp_of, stamped
from stream.daemon.links import (
    Status,
    Taken,
    WorkerState,
    decode,
    decode_taken,
    encode,
    encode_taken,
    numbered,
    numbers_of,
)
from stream.daemon.outlet import Outlet
from stream.query import PromptInfo
from stream.types import (
    NANOSECONDS,
    EndReason,
    Event,
    EventKind,
    Example,
    Phase,
    Scores,
    Severity,
    SkeletonFrame,
    Space,
    Tracked,
)

EVENT = Event(
    "01ARZ3NDEKTSV4RRFFQ69G5FAV", Phase.END, EventKind.ACTION, Severity.ALERT, "cam", 3, "kick", "a person kicks",
    5, 1, 4, 0.5, 0.9, 0.1, EndReason.BELOW_EXIT,
)  # fmt: skip
ROW = np.array([0.1, 0.2], np.float32)


@pytest.mark.parametrize(
    "message",
    [
        frame(2**62, person(), person(1.0), ids=(2**56 + 1, 7), seq=9),
        frame(0),
        Tracked("cam", 5, Space.IMAGE2D, np.array([4]), person()[None], np.ones((1, 25), np.float32)),
        Tracked(
            "cam", 5, Space.CAMERA3D, np.zeros(0, np.int64), np.zeros((0, 25, 3), np.float32), np.zeros((0, 25), "f4")
        ),
        Scores("cam", 3, 7, ROW, ROW, -ROW, None, 0.8, "digest"),
        Scores("cam", 3, 7, ROW, ROW, -ROW, 0.25, 0.8, "digest"),
        EVENT,
        Status("cam", "error", "gone", ("cam", "cam.a"), 5, 2, 29.97),
        WorkerState("running", "digest", (PromptInfo("kick", "a person kicks", "alert"),), (EVENT,)),
        Example("01ARZ3NDEKTSV4RRFFQ69G5FAV", "cam", "kick", 5, 0.9, "e" * 64, ROW),
    ],
)
def test_messages_arrive_as_they_were(message: object) -> None:
    arrived = decode(encode(message))
    assert type(arrived) is type(message)
    names = (
        message.__struct_fields__
        if isinstance(message, Status | WorkerState)
        else [field.name for field in fields(message)]
    )
    for name in names:
        one, other = getattr(message, name), getattr(arrived, name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
        else:
            assert one == other


def test_numbers_ride_beside_the_event() -> None:
    parts = encode(EVENT)
    assert numbers_of(parts) is None
    sent = numbered(parts[1], 2**62, 2**62 + 1)
    assert numbers_of(sent) == (2**62, 2**62 + 1)
    assert decode(sent) == EVENT
    assert decode_taken(encode_taken(Taken(2**62, 5, again=True))) == Taken(2**62, 5, again=True)


def test_unknown_messages_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown message tag"):
        decode([b"?", b""])
    with pytest.raises(ValueError, match="a frame of 30 bytes"):
        decode([b"F" * 30])
    whole = encode(frame(5, person()))[0]
    with pytest.raises(ValueError, match="buffer is smaller"):
        decode([whole[:200]])


@given(st.data())
def test_frames_of_any_form_arrive_under_another_name(data: st.DataObject) -> None:
    bodies, joints = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 40))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    whole = st.integers(-(2**63), 2**63 - 1)
    sent = SkeletonFrame(
        "own",
        data.draw(whole),
        data.draw(whole),
        data.draw(st.text(max_size=20)),
        random.normal(size=(bodies, joints, 3)).astype(np.float32),
        random.random((bodies, joints)).astype(np.float32),
        random.integers(-(2**62), 2**62, bodies),
        data.draw(st.sampled_from(Space)),
    )
    name = data.draw(st.text(max_size=20))
    part = encode_frame(sent, name)
    assert stamp_of(part) is None
    stamp = Stamp(data.draw(st.integers(1, 2**63 - 1)), *(data.draw(whole) for _ in range(3)))
    part = stamped(part, *stamp)
    assert stamp_of(part) == stamp
    arrived = decode([part])
    assert arrived.joints.flags.aligned
    assert arrived.confidence.flags.aligned
    assert arrived.track_ids.flags.aligned
    for field in fields(SkeletonFrame):
        one, other = getattr(sent, field.name), getattr(arrived, field.name)
        if field.name == "source":
            assert other == name
        elif isinstance(one, np.ndarray):
            assert (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())
        else:
            assert one == other


@pytest.fixture
def lonely() -> zmq.Socket:
    """A PUSH socket that nobody reads from."""
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, 1)
    socket.connect("inproc://nobody-binds-here")
    yield socket
    context.destroy(linger=0)


def frames(count: int) -> list[SkeletonFrame]:
    return [frame(i * NANOSECONDS // 30, person(), seq=i) for i in range(count)]


def test_a_live_source_drops_its_oldest_frames_and_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "QUEUE_FRAMES", 10)
    with zmq.Context() as context, context.socket(zmq.PUSH) as push, context.socket(zmq.PULL) as pull:
        push.setsockopt(zmq.SNDHWM, 1)
        push.setsockopt(zmq.LINGER, 0)
        pull.setsockopt(zmq.RCVHWM, 1)
        port = push.bind_to_random_port("tcp://127.0.0.1")
        outlet = Outlet(push, live=True)
        for each in frames(50):
            outlet.put(each)
        assert (outlet.frames, outlet.dropped) == (50, 40)
        pull.connect(f"tcp://127.0.0.1:{port}")
        seen = []
        while len(seen) < 10:
            outlet.flush()
            if pull.poll(100):
                seen.append(decode(pull.recv_multipart()).seq)
        assert seen == list(range(40, 50))


def test_a_recorded_source_waits_and_loses_nothing(lonely: zmq.Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "QUEUE_FRAMES", 10)
    outlet = Outlet(lonely, live=False)
    for each in frames(30):
        outlet.put(each)
    assert outlet.full
    assert outlet.dropped == 0
    assert not outlet.report("cam", "running")
    with lonely.context.socket(zmq.PULL) as pull:
        pull.bind("inproc://nobody-binds-here")
        seen = []
        while len(seen) < 30:
            outlet.flush()
            if pull.poll(100):
                seen.append(decode(pull.recv_multipart()).seq)
        assert seen == list(range(30))
        while not outlet.report("cam", "running"):
            pull.poll(10)
        assert pull.poll(10_000)
        assert decode(pull.recv_multipart()).frames == 30


def test_the_rate_is_measured_by_capture_time(lonely: zmq.Socket) -> None:
    outlet = Outlet(lonely, live=False)
    assert outlet.rate_hz == 0.0
    for i in range(100):
        outlet.put(frame(i * NANOSECONDS // 15, person()))
    assert outlet.rate_hz == pytest.approx(15.0)
