"""The publisher process: events in from the worker, numbered messages out to whoever subscribed.

It is a process of its own because its sockets face strangers, and because it outlives a worker that crashes: it then
ends the events that the worker had left open.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import zmq

from stream import messages as wire
from stream.config import Publish
from stream.config_file import parse_config
from stream.daemon.child import Child
from stream.daemon.links import Message, Status, WorkerState, decode
from stream.errors import PosewireError
from stream.prompts import prompt_infos
from stream.publisher import Publisher
from stream.query import PromptInfo
from stream.sinks import WireSink
from stream.sockets import PublisherSockets
from stream.structs import EventData, SourceState
from stream.types import EndReason, Event, Phase, Scores, SkeletonFrame

MAX_MESSAGES = 500
"""Messages taken before the public sockets are looked after again."""

log = logging.getLogger(__name__)


def public_sockets(publisher: Publisher, settings: Publish) -> PublisherSockets:
    """The sockets that a configuration asks for; not yet bound."""
    return PublisherSockets(
        publisher,
        events=settings.events,
        query=settings.query,
        skeletons=settings.skeletons or None,
        heartbeat_s=settings.heartbeat_s,
    )


def main(child: Child) -> int:
    """Run the publisher until it is stopped and its inlet is empty."""
    orders = child.orders
    config = parse_config(orders.config, Path(orders.config_path))
    publisher = Publisher(config.node.name)
    prompts = prompt_infos([entry.prompt() for entry in config.prompts])
    publisher.set_prompts(prompts, "")  # the worker tells the digest when it has embedded them
    inlet = child.context.socket(zmq.PULL)
    inlet.setsockopt(zmq.RCVHWM, 10_000)
    with inlet, public_sockets(publisher, config.publish) as sockets:
        inlet.bind(orders.outputs)
        outlet = Outlet(child, publisher, sockets, prompts)
        sockets.send(publisher.publish_status(config.node.name, "running"))
        while True:
            child.beat(seqs=publisher.seqs())
            taken = 0
            while taken < MAX_MESSAGES and inlet.poll(10 if not taken else 0):
                outlet.put(decode(inlet.recv_multipart()))
                taken += 1
            sockets.serve()
            # The worker's last word can still be on its way when its process is gone.
            if child.stopping and (outlet.worker_stopped or time.monotonic() > child.deadline) and not taken:
                break
        outlet.close_events(EndReason.SHUTDOWN)
        sockets.send(publisher.publish_status(config.node.name, "stopped"))
    return 0


class Outlet:
    """Publishes what the worker sends; one bad message never stops the others.

    Args:
        child: to tell the supervisor of events.
        publisher, sockets: the public end.
        prompts: in the order of the scores' columns, until the worker tells others.

    Attributes:
        worker_stopped: the worker has sent everything.
    """

    def __init__(
        self, child: Child, publisher: Publisher, sockets: PublisherSockets, prompts: Sequence[PromptInfo]
    ) -> None:
        self._child = child
        self._publisher = publisher
        self._wire = WireSink(publisher, prompts, [sockets.send, self._tell], skeletons=True)
        self._open: dict[str, Event] = {}
        self.worker_stopped = False

    def put(self, message: Message) -> None:
        """Publish one message of the worker."""
        try:
            if isinstance(message, Status):
                self._status(message)
            elif isinstance(message, WorkerState):
                self._worker(message)
            elif not isinstance(message, SkeletonFrame) and not self._foreign(message):
                self._wire.put(message)
        except PosewireError as error:
            log.error("not published: %s", error)  # the one line says it all
        if isinstance(message, Event):
            if message.phase is Phase.END:
                self._open.pop(message.id, None)
            else:
                self._open[message.id] = message

    def close_events(self, reason: EndReason) -> None:
        """End the events that are open, as nobody else will."""
        for event in list(self._open.values()):
            self.put(replace(event, phase=Phase.END, t_end=event.t, reason=reason))

    def _worker(self, worker: WorkerState) -> None:
        self.worker_stopped = worker.state == "stopped"
        if worker.state == "started":  # one that starts has no events: what is open belongs to a dead one
            self.close_events(EndReason.CRASH)
        if self._publisher.prompts_digest != worker.digest:
            self._publisher.set_prompts(worker.prompts, worker.digest)
            self._wire.set_prompts(worker.prompts)

    def _foreign(self, message: Message) -> bool:
        """Whether these are scores of prompts that the worker, older than this process, has yet to tell of."""
        return isinstance(message, Scores) and message.prompts_digest != self._publisher.prompts_digest

    def _status(self, status: Status) -> None:
        known = self._publisher.sources.get(status.source)
        if known is not None and (known.state, known.detail) == (status.state, status.detail):
            # Nothing happened: heartbeats and snapshots carry the new counts.
            self._publisher.sources[status.source] = msgspec.structs.replace(
                known, frames=status.frames, dropped=status.dropped, rate_hz=status.rate_hz
            )
            return
        self._wire.status(
            status.source,
            status.state,
            detail=status.detail,
            frames=status.frames,
            dropped=status.dropped,
            rate_hz=status.rate_hz,
        )

    def _tell(self, message: wire.Message) -> None:
        """Let the supervisor show what people want to see."""
        envelope = message.envelope
        if isinstance(envelope.data, EventData | SourceState):
            self._child.tell(envelope.type, source=envelope.source, data=msgspec.to_builtins(envelope.data))
