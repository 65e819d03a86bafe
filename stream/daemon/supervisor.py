"""The supervisor: starts the daemon's processes, watches them, restarts them, stops them; does none of their work.

Signal handlers only set a flag; the loop acts on it. A child that exits is started again after a pause that doubles up
to ten seconds, and after five restarts in a row once a minute; only a capture of a recording that is played once, whose
end is an end, is not. A child that does not answer is killed first.

It runs on Linux. What Windows lacks is left out where that is simple, for the Kinect's own joints are to be had there
alone, but the daemon was never run on Windows.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec

from stream.config import Config
from stream.daemon.child import LOST, NOTICE, REFUSED, STATUS, Orders, SourceNote, is_live
from stream.daemon.control import Control, OnMessage
from stream.daemon.ending import Ending
from stream.daemon.jobs import Asked
from stream.daemon.notify import Notifier
from stream.daemon.process import FAULTED_PAUSE_S, ChildProcess
from stream.daemon.prompt_desk import PromptDesk
from stream.daemon.signals import stopped_by_signals
from stream.daemon.sink_note import sink_note
from stream.daemon.state_folder import held_state, socket_folder
from stream.daemon.text_helper import NAME as EMBEDDER
from stream.daemon.text_helper import TextHelper
from stream.prompt_store import PromptStore
from stream.security.settings import sink_keys

AWAY_S = 2.0
"""A loop that took this long was stopped itself (Ctrl-Z): the children's silence means nothing."""
TELL_S = 1.0
"""Seconds between two notes on the same faulted source, for a publisher that started again."""
LOOK_S = 0.1
"""Seconds between two looks at all children while they talk: each asks the system about every process."""
AT_ONCE, STARTING_S = 4, 3.0
"""Captures that start at the same time, and for how long one that shows no life counts as one of them. With 64 at once
on two busy cores neither they nor the worker showed life in time, and all were taken to hang."""
JOB_WORDS = frozenset({"prepared", "missing", "refused", "changed", "tried", "embedded"})
"""What children say of jobs (see `stream.daemon.jobs`)."""
COUNTS = {"filling": "windows not yet full"}
"""What counters are called before people, where their names do not say it."""

log = logging.getLogger("posewire")


class Supervisor:
    """Runs the children of one daemon. Use `run`.

    Args:
        config: what to run.
        config_path: named by the children's error messages.
        on_message: called with a child's name and message (`ready`, `event`, ...).
        read: reads the configuration anew; None where it cannot change.
        recording: file to record the frames to, in place of a worker and a publisher; needs no state folder.
        seconds: stop by itself this long after the sources were started.
    """

    def __init__(
        self,
        config: Config,
        config_path: Path,
        *,
        on_message: OnMessage,
        read: Callable[[], Config] | None = None,
        recording: Path | None = None,
        seconds: float | None = None,
    ) -> None:
        self._config = config
        self._config_path = config_path
        self._on_message = on_message
        self._recording = recording
        self._seconds = seconds
        self._read = read
        self._stopping = self._reloading = False
        role = "recorder" if recording else "worker"
        # A recorder that starts again would overwrite what it has.
        self._consumer = ChildProcess(role, role, finite=recording is not None)
        self._captures = [
            ChildProcess(
                f"capture:{entry.name}",
                "capture",
                index,
                finite=not is_live(entry),
                looped=getattr(entry, "loop", False) and not recording,
            )
            for index, entry in enumerate(config.sources)
        ]
        self._publishers = [] if recording else [ChildProcess("publisher", "publisher")]
        self._sinks = [] if recording else [ChildProcess(sink.label, "sink") for sink in config.sinks]
        self._children = [*self._publishers, self._consumer, *self._sinks, *self._captures]
        self._salt = secrets.token_hex(8)
        self._looked = self._next_look = self._next_tell = 0.0
        self._notifier = Notifier()
        self._up = False
        self._states: dict[str, str] = {}
        self._texts: TextHelper | None = None
        self._desk: PromptDesk | None = None

    def stop(self) -> None:
        """Ask `run` to end; safe to call from a signal handler."""
        self._stopping = True

    def reload(self) -> None:
        """Ask `run` to read the configuration anew; safe to call from a signal handler."""
        self._reloading = True

    def run(self) -> int:
        """Run until stopped or until all sources have ended.

        Returns:
            Exit code: 0, or 2 if a source could not be read or a process refused its configuration.

        Raises:
            StateError: another daemon uses the state folder, or it cannot be used.
            KeyFileError: there are sinks, and no key for them.
        """
        state = nullcontext() if self._recording else held_state(self._config.node)
        again = self.reload if self._read else None
        with state as kept, socket_folder(kept) as folder, stopped_by_signals(self.stop, again):
            if self._sinks:
                sink_keys(self._config)  # here, so that several do not make it at once
            self._texts = TextHelper(
                lambda child: self._orders(child, folder), lambda *job: control.give([job[0]], job[1])
            )
            control = Control(folder, [*self._children, self._texts.child], self._hear)
            if kept and self._read:
                self._desk = PromptDesk(
                    self._config,
                    self._config_path,
                    PromptStore(kept),
                    read=self._read,
                    to_worker=lambda job: control.give([self._consumer], job),
                    to_publisher=lambda job: control.give(self._publishers, job),
                    texts=self._texts,
                )
            with control, self._notifier:
                try:
                    self._watch(control, folder)
                finally:
                    self._notifier.stopping()
                    self._end_all(control)
        return max((child.code or 0 for child in self._children if child.code in (0, 2)), default=0)

    def _watch(self, control: Control, folder: Path) -> None:
        """Start the children in the order of the flow and look after them, until there is a reason to end."""
        for child in (*self._publishers, self._consumer, *self._sinks):
            self._start(child, folder)
        while self._going and not self._consumer.ready:
            self._turn(control, folder)
            if self._consumer.code == REFUSED and self._desk is not None and self._desk.without_overlay():
                self._consumer.code = None
                self._start(self._consumer, folder)
        waiting = deque(self._captures)
        deadline = math.inf
        while self._going and any(child.code is None for child in self._captures):
            if waiting:
                self._start_some(waiting, folder)
            self._turn(control, folder)
            if self._seconds and deadline == math.inf and any(c.counts.get("frames") for c in self._captures):
                deadline = time.monotonic() + self._seconds
            if time.monotonic() > deadline:
                self._stopping = True
        if not self._stopping and self._going:
            log.info("all sources have ended")

    @property
    def _going(self) -> bool:
        """False once asked to stop, or once a child that all need has refused to start: again would be no use."""
        return not self._stopping and all(child.code is None for child in (*self._publishers, self._consumer))

    def _start_some(self, waiting: deque[ChildProcess], folder: Path) -> None:
        """Start as many of the captures that wait for it as may start at the same time."""
        now = time.monotonic()
        starting = [one for one in self._captures if one.process and not one.alive and now - one.started < STARTING_S]
        while waiting and len(starting) < AT_ONCE:
            starting.append(waiting.popleft())
            self._start(starting[-1], folder)

    def _start(self, child: ChildProcess, folder: Path) -> None:
        child.start(self._orders(child, folder), time.monotonic())

    def _orders(self, child: ChildProcess, folder: Path) -> Orders:
        config = self._desk.config if self._desk else self._config
        return Orders(
            name=child.name,
            parent=os.getpid(),
            control=f"ipc://{folder}/control",
            frames=f"ipc://{folder}/frames",
            outputs=f"ipc://{folder}/outputs",
            config_path=str(self._config_path),
            config=config.model_dump(mode="json"),
            source=child.source,
            recording=str(self._recording or ""),
            salt=self._salt,
            ended=tuple(
                self._config.sources[capture.source].name
                for capture in self._captures
                if capture.released or capture.code is not None
            ),
        )

    def _turn(self, control: Control, folder: Path) -> None:
        """Take what the children say for up to a tenth of a second, then look after them where it is time to."""
        control.listen(100)
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._look_after_all(control, folder, now)
        if self._desk is not None:
            self._serve(self._desk, now)

    def _look_after_all(self, control: Control, folder: Path, now: float) -> None:
        """Start again who is due, note who is gone, end who hangs, and tell how it goes."""
        away, self._looked = now - self._looked > AWAY_S, now
        for child in self._children:
            if away:
                child.seen = now
            if child.restart_at is not None and now >= child.restart_at:
                log.warning("starting %s again", child.name)
                self._start(child, folder)
            elif child.look(now):
                if child is self._consumer and self._desk is not None:
                    self._desk.worker_died()
                if child.source >= 0 and (child.died or child.code is None):
                    control.order([self._consumer], LOST + self._config.sources[child.source].name.encode())
        self._tell(control, now)

    def _serve(self, desk: PromptDesk, now: float) -> None:
        """Work on changes of the prompts."""
        if self._reloading:
            self._reloading = False
            log.info("reading %s again", self._config_path)
            desk.ask(Asked(0, "reload"), now)
        desk.turn(now, self._consumer.ready)

    def _hear(self, child: str, message: dict[str, Any]) -> None:
        if message["kind"] == "status" and "data" in message:
            self._states[message["source"]] = message["data"]["state"]
        if message["kind"] in JOB_WORDS or child == EMBEDDER:
            if self._desk is not None:
                self._desk.heard(message, time.monotonic())
        elif message["kind"] == "asked":
            if self._desk is not None:
                self._desk.ask(msgspec.convert(message["asked"], Asked), time.monotonic())
        else:
            self._on_message(child, message)

    def _tell(self, control: Control, now: float) -> None:
        """Say how it goes: to the publisher, which sources are faulted; to the service manager, everything."""
        self._notifier.alive(now)
        if not self._up and all(child.alive or child.failures or child.code is not None for child in self._children):
            self._up = True
            self._notifier.ready()
        faulted = [child for child in self._children if child.faulted]
        running = sum(self._states.get(source.name) == "running" for source in self._config.sources)
        self._notifier.status(
            f"{running} of {len(self._captures)} sources running"
            + "".join(f"; {child.name} is faulted ({child.trouble})" for child in faulted)
        )
        if now >= self._next_tell:
            self._next_tell = now + TELL_S
            if self._desk is not None:
                control.order(self._publishers, NOTICE + self._desk.notice.encode())
            for child in self._sinks:
                if (told := sink_note(child)) is not None:
                    control.order(self._publishers, STATUS + msgspec.json.encode(told))
            for child in faulted:
                if child.source >= 0:
                    detail = f"its capture process {child.trouble}; tried again every {FAULTED_PAUSE_S:.0f} s"
                    note = SourceNote(self._config.sources[child.source].name, "faulted", detail)
                    control.order(self._publishers, STATUS + msgspec.json.encode(note))

    def _end_all(self, control: Control) -> None:
        if self._texts is not None:
            self._texts.stop()
        self._stopping |= any(child.code is None for child in self._captures)
        if self._consumer.process is not None and not self._consumer.ready:
            self._consumer.process.kill()  # it loads its model, has taken nothing yet, and would not hear
        # In the order of the flow: what a stage has taken, the next one still gets.
        ending = Ending(control, lambda: self._stopping, self._notifier.alive)
        before: list[ChildProcess] = []
        for stage in (self._captures, [self._consumer], self._publishers, self._sinks):
            ending.end(stage, before)
            before = stage
        control.listen(100)  # what they said last
        for child in (self._consumer, *self._captures):
            if told := told_counts(child.counts):
                log.info("%s: %s", child.name, told)


def told_counts(counts: dict[str, Any]) -> str:
    """Counters as one line for people; those at zero and process ids are left out."""
    told = {COUNTS.get(name, name): count for name, count in counts.items() if name != "pid" and count}
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in told.items())
