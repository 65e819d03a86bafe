"""The worker process: frames of all sources in, scores and events out, one encoder for all."""

from __future__ import annotations

import time
from pathlib import Path

import zmq

from stream.config import Config
from stream.config_file import parse_config
from stream.console import unfamiliar_prompts
from stream.daemon.child import LINGER_MS, Child
from stream.daemon.links import Status, WorkerState, decode, encode
from stream.pipeline import Output, Pipeline, Tracked
from stream.service import load_service
from stream.types import EndReason, Event, Scores, SkeletonFrame

MAX_FRAMES = 256
"""Frames taken in one turn: bounds the latency of a stop and the memory of a batch."""
DIGEST_S = 1.0
"""Seconds between two reminders of the prompts' digest, for a publisher that was started again."""


def main(child: Child) -> int:
    """Run the worker until it is stopped and its inlet is empty."""
    orders = child.orders
    config = parse_config(orders.config, Path(orders.config_path))
    service = load_service(config, salt=orders.salt)
    inlet, outlet = child.context.socket(zmq.PULL), child.context.socket(zmq.PUSH)
    inlet.setsockopt(zmq.RCVHWM, 16)  # what waits longer must wait where the oldest can be dropped
    outlet.setsockopt(zmq.SNDHWM, 10_000)
    outlet.setsockopt(zmq.LINGER, LINGER_MS)
    with inlet, outlet:
        inlet.bind(orders.frames)
        outlet.connect(orders.outputs)
        Worker(child, config, service.pipeline, inlet, outlet).run(service.description)
    return 0


class Worker:
    """The worker's loop around the pure pipeline.

    Args:
        child: the process's life line.
        config: what to publish.
        pipeline: what to run.
        inlet: bound PULL socket of frames and source statuses.
        outlet: PUSH socket to the publisher.
    """

    def __init__(
        self, child: Child, config: Config, pipeline: Pipeline, inlet: zmq.Socket[bytes], outlet: zmq.Socket[bytes]
    ) -> None:
        self._child = child
        self._pipeline = pipeline
        self._inlet = inlet
        self._outlet = outlet
        self._names: dict[str, tuple[str, ...]] = {}
        self._running = {source.name for source in config.sources}
        self._sent = (Tracked, Scores, Event) if config.publish.skeletons else (Event,)
        self._lost = 0

    def run(self, description: str) -> None:
        """Work until stopped and empty; then end all open events."""
        digest = self._pipeline.prompts.digest
        self._send(WorkerState("started", digest))
        self._child.tell("ready", description=description, unfamiliar=unfamiliar_prompts(self._pipeline.prompts))
        next_digest = 0.0
        # The last word of a source can still be on its way when its process is gone: its end is waited for.
        while not self._child.stopping or (self._running and time.monotonic() < self._child.deadline):
            self._child.beat(**self._pipeline.counts, unsent=self._lost)
            self._turn(timeout_ms=20)
            for source in self._child.lost:
                self._lose(source)
            self._child.lost.clear()
            if (now := time.monotonic()) >= next_digest:
                next_digest = now + DIGEST_S
                self._send(WorkerState("running", digest))
        self._emit(self._pipeline.finish(EndReason.SHUTDOWN))
        self._send(WorkerState("stopped", digest))
        self._child.tell("beat", **self._pipeline.counts, unsent=self._lost)

    def _turn(self, timeout_ms: int) -> None:
        """Take what has arrived as one batch, in order."""
        frames: list[SkeletonFrame] = []
        taken = 0
        while taken < MAX_FRAMES and self._inlet.poll(timeout_ms if not taken else 0):
            message = decode(self._inlet.recv_multipart())
            taken += 1
            if isinstance(message, SkeletonFrame):
                frames.append(message)
            elif isinstance(message, Status):
                self._emit(self._pipeline.push(frames))
                frames = []
                self._status(message)
        self._emit(self._pipeline.push(frames))

    def _status(self, status: Status) -> None:
        """Pass on how a source is; one that ended ends its events, and its capture may leave."""
        self._names[status.source] = status.sources
        if status.state == "running":
            self._running.add(status.source)
        else:
            self._child.tell("source_ended", source=status.source)
            if status.source not in self._running:  # said again
                return
            self._running.discard(status.source)
            for source in status.sources:
                self._emit(self._pipeline.end_source(source))
        self._send(status)

    def _lose(self, source: str) -> None:
        """End the events of a source whose capture died without a word."""
        self._running.discard(source)
        for name in self._names.get(source, ()):
            self._emit(self._pipeline.end_source(name, EndReason.GAP))
        self._send(Status(source, "lost", "its capture process died"))

    def _emit(self, outputs: list[Output] | list[Event]) -> None:
        for output in outputs:
            if isinstance(output, self._sent):
                self._send(output)

    def _send(self, message: Output | Status | WorkerState) -> None:
        """Send to the publisher; while it restarts, the socket holds 10,000 messages, and what is beyond is counted."""
        deadline = time.monotonic() + (1.0 if isinstance(message, Event) else 0.0)
        while True:
            try:
                self._outlet.send_multipart(encode(message), zmq.NOBLOCK)
                return
            except zmq.Again:
                if time.monotonic() >= deadline:
                    self._lost += 1
                    return
                time.sleep(0.005)
