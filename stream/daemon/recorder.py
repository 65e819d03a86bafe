"""The recorder process: frames of all sources into one recording, in place of a worker."""

from __future__ import annotations

import time
from pathlib import Path

import zmq

from stream.daemon.child import Child
from stream.daemon.links import FINAL, Status, decode
from stream.sources.recording import RecordingWriter
from stream.types import SkeletonFrame


def main(child: Child) -> int:
    """Record until stopped and the inlet is empty."""
    orders = child.orders
    running = {source["name"] for source in orders.config["sources"]} - set(orders.ended)
    states: dict[str, str] = {}
    inlet = child.context.socket(zmq.PULL)
    inlet.setsockopt(zmq.RCVHWM, 16)
    with inlet, RecordingWriter(Path(orders.recording), overwrite=True) as writer:
        inlet.bind(orders.frames)
        child.tell("ready", description=f"recording to {orders.recording}")
        while not child.stopping or (running and time.monotonic() < child.deadline):
            child.beat(frames=writer.records)
            running.difference_update(child.lost)
            child.lost.clear()
            if not inlet.poll(20):
                continue
            message = decode(inlet.recv_multipart())
            if isinstance(message, SkeletonFrame):
                writer.write(message)
            elif isinstance(message, Status):
                _status(child, message, running, states)
        child.tell("beat", frames=writer.records)
        child.tell("recorded", frames=writer.records)
    return 0


def _status(child: Child, status: Status, running: set[str], states: dict[str, str]) -> None:
    """Tell people what became of a source, once for each state; of one that ended the capture may leave."""
    if status.state in FINAL:
        child.tell("source_ended", source=status.source)
        running.discard(status.source)
    else:
        running.add(status.source)
    if states.get(status.source, "running") != status.state:
        child.tell("status", source=status.source, state=status.state, detail=status.detail)
    states[status.source] = status.state
