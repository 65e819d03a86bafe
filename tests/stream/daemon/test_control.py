"""The supervisor's end of the control socket: whom it asks for life, and how often."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import zmq

from stream.daemon.child import PING
from stream.daemon.control import STEADY_BEAT_S, Control
from stream.daemon.process import SILENCE_S, ChildProcess


def test_a_capture_that_gives_frames_is_asked_less_often(tmp_path: Path) -> None:
    children = [ChildProcess("worker", "worker"), ChildProcess("capture:a", "capture", 0)]
    children.append(ChildProcess("capture:b", "capture", 1))
    asked = {child.name: 0 for child in children}
    with zmq.Context() as context, Control(tmp_path, children, lambda *_: None) as control:
        sockets = {}
        for child in children:
            sockets[child.name] = context.socket(zmq.DEALER)
            sockets[child.name].setsockopt(zmq.ROUTING_ID, child.name.encode())
            sockets[child.name].setsockopt(zmq.LINGER, 0)
            sockets[child.name].connect(control.endpoint)
            beat = {"kind": "beat", "frames": 5 if child.name == "capture:b" else 0}
            sockets[child.name].send(msgspec.json.encode(beat))
        deadline = time.monotonic() + 30
        while not all(child.alive for child in children):
            assert time.monotonic() < deadline
            control.listen(20)
        assert [child.steady for child in children] == [False, False, True]
        while asked["capture:b"] < 3:
            assert time.monotonic() < deadline
            control.listen(20)
            for name, socket in sockets.items():
                while socket.poll(0):
                    assert socket.recv() == PING
                    asked[name] += 1
        for socket in sockets.values():
            socket.close()
    assert asked["worker"] > asked["capture:b"]
    assert asked["capture:a"] > asked["capture:b"]
    assert STEADY_BEAT_S < SILENCE_S / 5


def test_a_capture_that_started_again_is_asked_as_often_as_others() -> None:
    child = ChildProcess("capture:a", "capture", 0, counts={"frames": 5})
    assert child.steady
    child.counts = {}
    assert not child.steady
