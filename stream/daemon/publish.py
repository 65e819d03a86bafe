"""The publisher process: events in from the worker, numbered messages out to whoever subscribed.

It is a process of its own because its sockets face strangers, and because it outlives a worker that crashes: it then
ends the events that the worker had left open, and tells of cameras that stay away.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq

from stream import messages as wire
from stream.config import Config
from stream.config_file import parse_config
from stream.daemon.child import BEAT_S, Child, SourceNote, is_live
from stream.daemon.flow import Flow
from stream.daemon.intake import Intake
from stream.daemon.jobs import Answer
from stream.daemon.links import Measured, Message, Status, Taken, Turn, WorkerState, decode, encode_taken, numbers_of
from stream.daemon.open_events import OpenEvents, end
from stream.daemon.state_folder import state_path
from stream.daemon.waiting import Waiting
from stream.durable_journal import DurableJournal
from stream.errors import PosewireError
from stream.events import Suppression
from stream.faults import EVENTS_LOST, FaultWatch, JournalFault
from stream.journal_store import JournalStore
from stream.pipeline import Output
from stream.prompts import prompt_infos
from stream.publisher import Publisher
from stream.query import PromptInfo
from stream.roles import Role
from stream.security.memory import MemoryGuard, limit_process
from stream.security.settings import door
from stream.sinks import WireSink
from stream.sockets import PublisherSockets
from stream.structs import MAX_RATE, MAX_TEXT, EventData, SourceState
from stream.types import Clip, EndReason, Event, EventKind, Scores, SkeletonFrame
from stream.wire_events import event_of

JOURNAL = "journal.db"
"""Name of the journal's file in the state folder."""
MAX_MESSAGES = 500
"""Messages taken before the public sockets are looked after again."""
FAULTED = "faulted"
"""State of a source whose process the supervisor hardly tries to start any more."""
NOTE_S = 3.0
"""Seconds for which a note of the supervisor, repeated each second while it holds, is worth more than a `lost`."""

log = logging.getLogger(__name__)


def public_sockets(publisher: Publisher, config: Config, guard: MemoryGuard | None = None) -> PublisherSockets:
    """The sockets that a configuration asks for; not yet bound.

    Raises:
        StateError: there is no folder for keys.
        KeyFileError: the keys are not in order.
    """
    settings = config.publish
    sockets = PublisherSockets(
        publisher,
        events=settings.events,
        query=settings.query,
        skeletons=settings.skeletons or None,
        heartbeat_s=settings.heartbeat_s,
        door=door(config),
        guard=guard,
    )
    sockets.role = Role.CONTROL if settings.control else Role.READ
    return sockets


def main(child: Child) -> int:
    """Run the publisher until it is stopped and its inlet is empty."""
    orders = child.orders
    config = parse_config(orders.config, Path(orders.config_path))
    limit_process()
    store = JournalStore(state_path(config.node) / JOURNAL, config.journal.keep_events, config.journal.keep_days)
    publisher = Publisher(config.node.name, journal=DurableJournal(store, orders.salt))
    prompts = prompt_infos([entry.prompt() for entry in config.prompts])
    publisher.set_prompts(prompts, "")  # the worker tells the digest when it has embedded them
    inlet = child.context.socket(zmq.ROUTER)
    inlet.setsockopt(zmq.RCVHWM, 10_000)
    inlet.setsockopt(zmq.LINGER, 0)
    live = [entry.name for entry in config.sources if is_live(entry)]
    sinks = [sink.label for sink in config.sinks]
    faults = FaultWatch(live, config.capture.fault_after_s, salt=publisher.epoch, sinks=sinks)
    with closing(publisher.journal), inlet, public_sockets(publisher, config, MemoryGuard()) as sockets:
        inlet.bind(orders.outputs)
        outlet = Outlet(child, publisher, sockets, prompts, faults)
        waiting = Waiting(child, publisher, sockets)
        sockets.forward = waiting.ask
        outlet.look()
        notice = child.notice
        sockets.send(publisher.publish_status(config.node.name, "running", detail=notice))
        told: dict[str, Any] = {}
        next_told = 0.0
        while True:
            if (now := time.monotonic()) >= next_told:
                next_told = now + BEAT_S
                told = outlet.summary()
            child.beat(seqs=publisher.seqs(), **told)
            taken = 0
            while taken < MAX_MESSAGES and inlet.poll(10 if not taken else 0):
                outlet.receive(inlet.recv_multipart())
                taken += 1
            for job in child.take_jobs():
                if isinstance(job, Answer):
                    waiting.take(job)
            waiting.look()
            outlet.look()
            if notice != child.notice:
                notice = child.notice
                sockets.send(publisher.publish_status(config.node.name, "running", detail=notice[:MAX_TEXT]))
            sockets.serve()
            if (said := outlet.reply()) is not None:
                _say(inlet, *said)
            # The worker's last word can still be on its way when its process is gone.
            if child.stopping and (outlet.worker_stopped or time.monotonic() > child.deadline) and not taken:
                break
        waiting.close()
        outlet.close(EndReason.SHUTDOWN)
        sockets.send(publisher.publish_status(config.node.name, "stopped"))
    return 0


def _say(inlet: zmq.Socket[bytes], worker: str, said: Taken) -> None:
    """Tell a worker what was taken; one that is gone, or hears nothing, is told more another time."""
    with suppress(zmq.Again):
        inlet.send_multipart([worker.encode(), encode_taken(said)], zmq.NOBLOCK)


class Outlet:
    """Publishes what the worker sends; one bad message never stops the others.

    Args:
        child: to tell the supervisor of events; its notes are published.
        publisher, sockets: the public end.
        prompts: in the order of the scores' columns, until the worker tells others.
        faults: makes events of cameras that stay away.

    Attributes:
        worker_stopped: the worker has sent everything.
    """

    def __init__(
        self,
        child: Child,
        publisher: Publisher,
        sockets: PublisherSockets,
        prompts: Sequence[PromptInfo],
        faults: FaultWatch,
    ) -> None:
        self._child = child
        self._publisher = publisher
        self._wire = WireSink(publisher, prompts, [sockets.send, self._tell], skeletons=True)
        self._events = OpenEvents()
        """The worker's; faults are not."""
        self._intake = Intake(*publisher.journal.committed)
        self._faults = faults
        self._journal_fault = JournalFault(publisher.node, salt=publisher.epoch)
        self._noted: dict[str, float] = {}
        """By source, the monotonic time of the supervisor's last note."""
        self._flow = Flow()
        publisher.flow = lambda: (self._flow.latency(time.monotonic_ns()), dict(self._flow.dropped))
        # Wall time that never jumps: what lasts ten minutes must not seem to last an hour as the clock is set.
        self._clock_offset = time.time_ns() - time.monotonic_ns()
        self.worker_stopped = False

    def receive(self, parts: list[bytes]) -> None:
        """Publish what came from a worker, behind its name; its events once and in order."""
        run, message, numbers = parts[0].decode(), decode(parts[1:]), numbers_of(parts[1:])
        if isinstance(message, WorkerState):
            whole = self._intake.state(run, message.told, message.settled)
            if run == self._intake.run:
                self._worker(message, whole)
        elif numbers is None:
            self.put(message)
        elif self._intake.take(run, *numbers):
            self.put(message)
            if run == self._intake.run:
                self._publisher.journal.note(run, numbers[1])

    def reply(self) -> tuple[str, Taken] | None:
        """Return what is to be said now to which worker, if anything; to be called after a commit."""
        said = self._intake.reply(self._publisher.journal.committed)
        return None if said is None else (self._intake.run, said)

    def put(self, message: Message) -> None:
        """Publish one message of the worker."""
        if isinstance(message, Turn):
            self._flow.turn(message, time.monotonic_ns())
        elif isinstance(message, Measured):
            self._flow.measured(message, time.monotonic_ns())
        elif isinstance(message, Status):
            self._flow.status(message)
            self._status(message)
        elif isinstance(message, WorkerState):
            self._worker(message)
        elif isinstance(message, Clip | Suppression):
            self._keep(message)
        elif isinstance(message, Event):
            self._publish_all(self._events.take(message))
        elif not isinstance(message, SkeletonFrame) and not self._foreign(message):
            self._publish(message)

    def look(self) -> None:
        """Publish what the supervisor notes, what earlier publishers left open, and the faults that are due."""
        self._look_back()
        notes = list(self._child.statuses)
        self._child.statuses.clear()
        for note in notes:
            self._note(note)
        self._publish_all(self._faults.tick(self._now))
        journal = self._publisher.journal
        if journal.broken:
            self._publish_all(self._journal_fault.broken(journal.broken, self._now))
            journal.broken = ""
        self._publish_all(self._journal_fault.look(journal.trouble, self._now))

    def summary(self) -> dict[str, Any]:
        """How things are, for the supervisor to show: sources, people, how fast recordings play, latencies, losses."""
        return {
            "sources": msgspec.to_builtins(self._publisher.states()),
            "people": dict(self._flow.people),
            "pace": dict(self._flow.pace),
            "latency_ms": msgspec.to_builtins(self._flow.latency(time.monotonic_ns())),
            "dropped": dict(self._flow.dropped),
        }

    def close(self, reason: EndReason) -> None:
        """End everything that is open."""
        self._publish_all(self._events.end_all(reason))
        self._publish_all(self._faults.end_all(self._now, reason))
        self._publish_all(self._journal_fault.end(self._now, reason))

    def _look_back(self) -> None:
        """Go on with the events that earlier publishers of this run left open, and end those of other runs."""
        left, others = self._publisher.journal.take_left()
        for envelope in left:
            try:
                event = event_of(envelope)
            except PosewireError as error:
                log.error("not ended: %s", error)
                continue
            if event.id in self._events:
                continue
            if not others and (event.kind is not EventKind.FAULT or event.name == EVENTS_LOST):
                self._events.restore(event)
            elif others or not self._faults.restore(event):
                self._publish(end(event, EndReason.CRASH))
        self._publisher.journal.adopt()

    def _worker(self, worker: WorkerState, whole: bool = True) -> None:
        """Take note of how the worker is; `whole`: and all events that it told before this are here."""
        if whole:
            self.worker_stopped = worker.state == "stopped"
            self._publish_all(self._events.reconcile(worker.open))  # one that starts has none
        if self._publisher.prompts_digest != worker.digest:
            self._publisher.set_prompts(worker.prompts, worker.digest)
            self._wire.set_prompts(worker.prompts)

    def _foreign(self, message: Message) -> bool:
        """Whether these are scores of prompts that the worker, older than this process, has yet to tell of."""
        return isinstance(message, Scores) and message.prompts_digest != self._publisher.prompts_digest

    def _status(self, status: Status) -> None:
        """Take note of a source; publish it if its state or detail are others than before."""
        known = self._publisher.sources.get(status.source)
        noted = time.monotonic() - self._noted.get(status.source, -math.inf) < NOTE_S
        if known is not None and known.state == FAULTED and status.state == "lost" and noted:
            return  # the supervisor knows more of it
        if status.state != "running":
            self._flow.gone(status.source)
        dropped, rate_hz = status.dropped + status.missed, min(status.rate_hz, MAX_RATE)
        state = SourceState(status.state, status.detail[:MAX_TEXT], status.frames, dropped, rate_hz)
        if known is not None and (known.state, known.detail) == (state.state, state.detail):
            self._publisher.sources[status.source] = state  # nothing happened: heartbeats carry the new counts
        else:
            self._change(status.source, state)

    def _note(self, note: SourceNote) -> None:
        """Publish what only the supervisor knows of a source; it is repeated, but published once."""
        self._noted[note.source] = time.monotonic()
        known = self._publisher.sources.get(note.source)
        noted = SourceState(note.state, note.detail[:MAX_TEXT], note.frames, note.dropped, 0.0)
        if known is not None and not note.frames:
            noted = msgspec.structs.replace(noted, frames=known.frames, dropped=known.dropped)
        if known is not None and (known.state, known.detail) == (noted.state, noted.detail):
            self._publisher.sources[note.source] = noted
        else:
            self._flow.gone(note.source)
            self._change(note.source, noted)

    def _change(self, source: str, state: SourceState) -> None:
        try:
            self._wire.status(
                source,
                state.state,
                detail=state.detail,
                frames=state.frames,
                dropped=state.dropped,
                rate_hz=state.rate_hz,
            )
        except PosewireError as error:
            log.error("not published: %s", error)
        self._publish_all(self._faults.status(source, state.state, state.detail, self._now))

    @property
    def _now(self) -> int:
        return time.monotonic_ns() + self._clock_offset

    def _publish_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self._publish(event)

    def _publish(self, output: Output) -> None:
        try:
            self._wire.put(output)
        except PosewireError as error:
            log.error("not published: %s", error)  # the one line says it all

    def _keep(self, kept: Clip | Suppression) -> None:
        try:
            if isinstance(kept, Clip):
                self._publisher.keep_clip(kept)
            else:
                self._publisher.keep_withheld(kept)
        except PosewireError as error:
            log.error("not kept: %s", error)

    def _tell(self, message: wire.Message) -> None:
        """Let the supervisor show what people want to see."""
        envelope = message.envelope
        if isinstance(envelope.data, EventData | SourceState):
            self._child.tell(envelope.type, source=envelope.source, data=msgspec.to_builtins(envelope.data))
