"""The worker process: frames of all sources in, scores and events out, one encoder for all."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import zmq

from stream.config import Config
from stream.config_file import parse_config
from stream.console import unfamiliar_prompts
from stream.daemon.child import BEAT_S, LINGER_MS, Child, waits
from stream.daemon.frame_part import stamp_of
from stream.daemon.links import FINAL, Measured, Message, Status, WorkerState, decode, encode
from stream.daemon.outbox import Outbox, connect
from stream.daemon.prompt_work import PromptWork
from stream.daemon.timing import TimedEncoder, Timing
from stream.event_clips import ClipKeeper
from stream.faults import events_lost
from stream.pipeline import Output
from stream.prompts import prompt_infos
from stream.service import Service, load_service
from stream.types import Clip, EndReason, Event, Example, Phase, Scores, SkeletonFrame, Tracked

MAX_FRAMES = 256
"""Messages taken in one turn: bounds the latency of a stop, the memory of a batch, and how long a source that floods
keeps the others waiting. The socket itself takes from its senders in turns, so that none is passed over. A message
costs the less the more come with it: a worker that is behind must be free to take many, or it stays behind."""
GATHER_S = 0.015
"""Seconds from one turn to the next, at least, unless more came than one message of each source: the fewer the turns,
the fewer times the encoder's weights go through the processor's cache. What comes later than this after a turn, as the
frames of one camera do, does not wait."""
LOOK_S = 1.0
"""Seconds between two looks at the examples, two reminders of the prompts, for a publisher that started again, and two
reports on what was measured."""

KEEP_S = 60.0
"""Seconds between two times at which the prototypes are written."""

log = logging.getLogger(__name__)


def main(child: Child) -> int:
    """Run the worker until it is stopped and its inlet is empty."""
    orders = child.orders
    config = parse_config(orders.config, Path(orders.config_path))
    service = load_service(config, salt=orders.salt)
    service.warm_up(min(config.model.max_batch, MAX_FRAMES))
    inlet, outlet = child.context.socket(zmq.PULL), connect(child.context, LINGER_MS)
    inlet.setsockopt(zmq.RCVHWM, 16)  # what waits longer must wait where the oldest can be dropped
    with inlet, outlet:
        inlet.bind(orders.frames)
        outlet.connect(orders.outputs)
        Worker(child, config, service, inlet, outlet).run()
    return 0


class Worker:
    """The worker's loop around the pure pipeline.

    Args:
        child: the process's life line.
        config: what to publish.
        service: what to run.
        inlet: bound PULL socket of frames and source statuses.
        outlet: DEALER socket to the publisher.
    """

    def __init__(
        self, child: Child, config: Config, service: Service, inlet: zmq.Socket[bytes], outlet: zmq.Socket[bytes]
    ) -> None:
        self._child = child
        self._service = service
        self._pipeline = service.pipeline
        encoder = TimedEncoder(self._pipeline.encoder, self._pipeline.states)
        self._pipeline.encoder = encoder
        if self._pipeline.states is not None:
            self._pipeline.states = encoder
        self._timing = Timing(encoder)
        self._inlet = inlet
        self._outlet = outlet
        self._outbox = Outbox(outlet)
        self._node = config.node.name
        self._last: dict[str, Status] = {}
        self._running = {source.name for source in config.sources} - set(child.orders.ended)
        self._sent = (Tracked, Scores, Example) if config.publish.skeletons else (Example,)
        self._clips = ClipKeeper(service.recogniser.digest) if config.regressions.path else None
        self._complaints: set[str] = set()
        self._undated: frozenset[str] = frozenset()
        self._withheld = 0
        self._open: dict[str, Event] = {}
        self._unsent = 0
        self._untold = 0
        self._next_turn = 0.0

    def run(self) -> None:
        """Work until stopped and empty; then end all open events."""
        self._complain(self._service.unused)
        self._tell_state("started")
        self._child.tell(
            "ready", description=self._service.description, unfamiliar=unfamiliar_prompts(self._pipeline.prompts)
        )
        work = PromptWork(self._child, self._service, self._exchanged)
        next_look = 0.0
        next_keep = time.monotonic() + KEEP_S
        # The last word of a source can still be on its way when its process is gone: its end is waited for.
        while not self._child.stopping or (self._running and time.monotonic() < self._child.deadline):
            self._child.beat(**self._pipeline.counts, unsent=self._unsent)
            self._turn(timeout_ms=0 if work.busy else 20)
            work.turn()
            self._service = work.service
            self._look_after_outbox()
            for source in self._child.lost:
                self._lose(source)
            self._child.lost.clear()
            self._tell_withheld()
            if (now := time.monotonic()) >= next_look:
                next_look = now + LOOK_S
                self._look()
                self._tell_state("running")
                self._tell_measured()
            if now >= next_keep:
                next_keep = now + KEEP_S
                self._keep()
        self._emit(self._pipeline.finish(EndReason.SHUTDOWN))
        self._tell_withheld()
        self._keep()
        self._tell_measured()
        self._child.tell("beat", **self._pipeline.counts, unsent=self._unsent)
        self._leave()

    def _leave(self) -> None:
        """Say that this was all, until the publisher has it, which may have to be started again first."""
        deadline = time.monotonic() + LINGER_MS / 1000
        self._tell_state("stopped")
        while not self._outbox.all_taken and time.monotonic() < deadline:
            self._child.beat(**self._pipeline.counts, unsent=self._unsent)
            if self._outlet.poll(round(1000 * BEAT_S)):
                self._look_after_outbox()
            else:
                self._tell_state("stopped")
        self._tell_state("stopped")  # behind what was sent again
        if not self._outbox.all_taken:
            self._outlet.setsockopt(zmq.LINGER, 0)

    def _look_after_outbox(self) -> None:
        """Take in what the publisher has by now, send what it lacks, and tell of what had to be dropped."""
        self._outbox.hear()
        self._outbox.flush()
        if lost := self._outbox.take_lost():
            self._unsent += lost
            self._untold += lost
            for event in events_lost(self._node, lost, time.time_ns(), salt=self._child.orders.salt):
                self._outbox.put(event)

    def _keep(self) -> None:
        """Keep the prototypes; a disk that is full costs what was learned, and nothing else."""
        try:
            self._service.keep_prototypes()
        except OSError as error:
            self._complain([f"{self._service.prototypes_path}: the prototypes cannot be kept ({error.strerror})"])

    def _look(self) -> None:
        """Watch for the actions that the examples show now, if they are others than before; the same for the normal."""
        anomalies = self._service.anomalies
        if anomalies is not None and (told := anomalies.refresh()) is not None:
            log.info("anomalies: %s", told)
        if undated := self._pipeline.undated - self._undated:
            self._undated |= undated
            log.warning("times without a date, every schedule counts as on: %s", ", ".join(sorted(undated)))
        found = self._service.refresh()
        if found is None:
            return
        prompts, unused = found
        self._complain(unused)
        if prompts.digest != self._pipeline.prompts.digest:
            self._exchanged(self._pipeline.exchange(prompts))

    def _exchanged(self, ended: Sequence[Output]) -> None:
        """Tell of other prompts, before the first scores of them."""
        self._emit(ended)
        log.info("watching for: %s", ", ".join(prompt.name for prompt in self._pipeline.prompts.prompts))
        self._tell_state("running")

    def _complain(self, lines: Sequence[str]) -> None:
        """Log what is wrong with files of examples, once for as long as it is."""
        for line in lines:
            if line not in self._complaints:
                log.error("%s", line)
        self._complaints = set(lines)

    def _tell_state(self, state: str) -> None:
        prompts = self._pipeline.prompts
        infos, still_open = tuple(prompt_infos(prompts.prompts)), tuple(self._open.values())
        self._send(WorkerState(state, prompts.digest, infos, still_open, self._outbox.told, self._outbox.settled))

    def _tell_withheld(self) -> None:
        """Tell which starts were withheld since the last time."""
        suppressions = self._pipeline.engine.suppressions
        for one in suppressions.since(self._withheld):
            self._send(one)
        self._withheld = suppressions.total

    def _tell_measured(self) -> None:
        untold = self._untold
        if self._send(Measured(self._timing.take(), untold)):
            self._untold -= untold

    def _turn(self, timeout_ms: int) -> None:
        """Take what has arrived as one batch, in order."""
        if not self._inlet.poll(timeout_ms):
            return
        if timeout_ms and (early := self._next_turn - time.monotonic()) > 0:
            time.sleep(early)
        began = time.monotonic()
        frames: list[SkeletonFrame] = []
        taken = 0
        while taken < MAX_FRAMES and waits(self._inlet):
            parts = self._inlet.recv_multipart()
            message = decode(parts)
            taken += 1
            if isinstance(message, SkeletonFrame):
                frames.append(message)
                if (stamp := stamp_of(parts[0])) is not None:
                    self._timing.took(message, stamp)
            elif isinstance(message, Status):
                last = self._last.get(message.source)
                if last is None or last.state != message.state:  # else its place among the frames does not matter
                    self._push(frames)
                    frames = []
                self._status(message)
        self._push(frames)
        # More messages than sources: some are behind, or faster than life.
        self._next_turn = began + GATHER_S if taken <= len(self._running) else 0.0

    def _push(self, frames: Sequence[SkeletonFrame]) -> None:
        outputs = self._pipeline.push(frames)
        self._emit(outputs)
        if (turn := self._timing.turn(outputs)) is not None:
            self._send(turn)

    def _status(self, status: Status) -> None:
        """Pass on how a source is; one that is away ends its events, and of one that ended the capture may leave."""
        last = self._last.get(status.source)
        self._last[status.source] = status
        if status.state in FINAL:
            self._child.tell("source_ended", source=status.source)
            if status.source not in self._running:  # said again
                return
            self._running.discard(status.source)
        else:
            self._running.add(status.source)
        if status.state != "running" and (last is None or last.state != status.state):
            self._end(status, EndReason.SOURCE_END if status.state in FINAL else EndReason.GAP)
        self._send(status)

    def _lose(self, source: str) -> None:
        """End the events of a source whose capture died without a word."""
        self._running.discard(source)
        status = self._last.get(source, Status(source, "lost"))
        status = msgspec.structs.replace(status, state="lost", detail="its capture process died", rate_hz=0.0, pace=0.0)
        self._last[source] = status
        self._end(status, EndReason.GAP)
        self._send(status)

    def _end(self, status: Status, reason: EndReason) -> None:
        for name in status.sources:
            self._emit(self._pipeline.end_source(name, reason))
            if self._clips is not None:
                self._send_clips(self._clips.end_source(name))

    def _emit(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, Event):
                self._open.pop(output.id, None)
                if output.phase is not Phase.END:
                    self._open[output.id] = output
                self._outbox.put(output)
            elif isinstance(output, self._sent):
                self._send(output)
            if self._clips is not None:
                self._send_clips(self._clips.take(output))

    def _send_clips(self, clips: Sequence[Clip]) -> None:
        for clip in clips:
            self._send(clip)

    def _send(self, message: Message) -> bool:
        """Send to the publisher what may be lost; what its socket does not take while it restarts is counted."""
        try:
            self._outlet.send_multipart(encode(message), zmq.NOBLOCK)
        except zmq.Again:
            self._unsent += 1
            self._untold += 1
            return False
        return True
