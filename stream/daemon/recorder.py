"""The recorder process: frames of all sources into one recording, in place of a worker."""

from __future__ import annotations

import time
from pathlib import Path

import zmq

from stream.daemon.child import Child
from stream.daemon.links import Status, decode
from stream.sources.recording import RecordingWriter
from stream.types import SkeletonFrame


def main(child: Child) -> int:
    """Record until stopped and the inlet is empty."""
    orders = child.orders
    running = {source["name"] for source in orders.config["sources"]}
    inlet = child.context.socket(zmq.PULL)
    inlet.setsockopt(zmq.RCVHWM, 16)
    with inlet, RecordingWriter(Path(orders.recording), overwrite=True) as writer:
        inlet.bind(orders.frames)
        child.tell("ready", description=f"recording to {orders.recording}")
        while not child.stopping or (running and time.monotonic() < child.deadline):
            child.beat(frames=writer.records)
            running.difference_update(child.lost)
            if not inlet.poll(20):
                continue
            message = decode(inlet.recv_multipart())
            if isinstance(message, SkeletonFrame):
                writer.write(message)
            elif isinstance(message, Status) and message.state != "running":
                child.tell("source_ended", source=message.source)
                if message.source in running:  # else it is said again
                    child.tell("status", source=message.source, state=message.state, detail=message.detail)
                running.discard(message.source)
        child.tell("beat", frames=writer.records)
        child.tell("recorded", frames=writer.records)
    return 0
