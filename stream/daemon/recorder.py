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
    inlet.setsockopt(zmq.RCVHWM, 1000)
    with inlet, RecordingWriter(Path(orders.recording), overwrite=True) as writer:
        inlet.bind(orders.frames)
        child.tell("ready", description=f"recording to {orders.recording}")
        while not child.stopping or (running and time.monotonic() < child.deadline):
            child.beat(frames=writer.records)
            if not inlet.poll(20):
                continue
            message = decode(inlet.recv_multipart())
            if isinstance(message, SkeletonFrame):
                writer.write(message)
            elif isinstance(message, Status) and message.state != "running":
                running.discard(message.source)
                child.tell("status", source=message.source, state=message.state, detail=message.detail)
        child.tell("recorded", frames=writer.records)
    return 0
