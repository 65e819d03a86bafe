"""The publisher process: events in from the worker, numbered messages out to whoever subscribed.

It is a process of its own because its sockets face strangers, and because it outlives a worker that crashes: it then
ends the events that the worker had left open.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import msgspec
import zmq

from stream.config import Publish, parse_config
from stream.daemon.child import Child
from stream.daemon.links import Message, Status, decode
from stream.errors import PosewireError
from stream.pipeline import Tracked
from stream.publisher import Publisher
from stream.query import PromptInfo
from stream.sockets import PublisherSockets
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
    publisher = Publisher(config.node.name, epoch=orders.epoch)
    prompts = [entry.prompt() for entry in config.prompts]
    publisher.set_prompts([PromptInfo(prompt.name, prompt.text, prompt.severity.value) for prompt in prompts], "")
    inlet = child.context.socket(zmq.PULL)
    inlet.setsockopt(zmq.RCVHWM, 10_000)
    with inlet, public_sockets(publisher, config.publish) as sockets:
        inlet.bind(orders.outputs)
        outlet = Outlet(child, publisher, sockets, [prompt.name for prompt in prompts])
        sockets.send(publisher.publish_status(config.node.name, "running"))
        while True:
            child.beat(seqs=publisher.seqs())
            taken = 0
            while taken < MAX_MESSAGES and inlet.poll(10 if not taken else 0):
                outlet.put(decode(inlet.recv_multipart()))
                taken += 1
            sockets.serve()
            if child.stopping and not taken:
                break
        outlet.close_events(EndReason.SHUTDOWN)
        sockets.send(publisher.publish_status(config.node.name, "stopped"))
    return 0


class Outlet:
    """Publishes what the worker sends; one bad message never stops the others.

    Args:
        child: to tell the supervisor of events.
        publisher, sockets: the public end.
        names: the prompts' names, in the order of the scores' columns.
    """

    def __init__(self, child: Child, publisher: Publisher, sockets: PublisherSockets, names: list[str]) -> None:
        self._child = child
        self._publisher = publisher
        self._sockets = sockets
        self._names = names
        self._open: dict[str, Event] = {}

    def put(self, message: Message) -> None:
        """Publish one message of the worker."""
        try:
            self._publish(message)
        except PosewireError as error:
            log.error("not published: %s", error)  # the one line says it all

    def close_events(self, reason: EndReason) -> None:
        """End the events that are open, as nobody else will."""
        for event in list(self._open.values()):
            self.put(replace(event, phase=Phase.END, t_end=event.t, reason=reason))

    def _publish(self, message: Message) -> None:
        publisher, sockets = self._publisher, self._sockets
        if isinstance(message, Event):
            if message.phase is Phase.END:
                self._open.pop(message.id, None)
            else:
                self._open[message.id] = message
            sent = publisher.publish_event(message)
            sockets.send(sent)
            self._child.tell("event", source=message.source, event=msgspec.to_builtins(sent.envelope.data))
        elif isinstance(message, Tracked):
            joints = SkeletonFrame(
                message.source, 0, message.t, "kinect_v2", message.joints, message.confidence, message.track_ids,
                message.space,
            )  # fmt: skip
            sockets.send(publisher.publish_skeleton(joints))
        elif isinstance(message, Scores):
            sockets.send(publisher.publish_scores(message, self._names))
        elif isinstance(message, Status):
            self._status(message)

    def _status(self, status: Status) -> None:
        if status.state == "started":  # a worker that starts has no events: what is open belongs to a dead one
            self.close_events(EndReason.CRASH)
            return
        self._sockets.send(
            self._publisher.publish_status(
                status.source, status.state, detail=status.detail, frames=status.frames, dropped=status.dropped
            )
        )
        self._child.tell("status", source=status.source, state=status.state, detail=status.detail)
