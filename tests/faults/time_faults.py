"""Faults of time: clocks that are set, stand still, drift or start anew, nights of 23 and 25 hours, and a pause."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from poses import frame, person

from stream.permits import Limits
from stream.pipeline import Pipeline, PipelineSettings
from stream.rulebook import Rulebook
from stream.schedule import Schedule
from stream.sources.sensor_clock import SensorClock
from stream.types import NANOSECONDS, Event, Phase, SkeletonFrame
from tests.faults.catalogue import fault
from tests.faults.heard import until
from tests.faults.scene import SEEN, Daemon, Scene
from tests.faults.ward import ward
from tests.stream.test_pipeline import FPS30, RaisedHand, events_of, frames, make, raised

HOUR = 3600 * NANOSECONDS
NEAR_S = 30.0
"""An event's time is that of the day if it is so near to the time at which it came, however busy the machine is."""


def compiler() -> str:
    """To build what the wall clock is set by."""
    if sys.platform != "linux":
        return "needs Linux"
    return "" if shutil.which("cc") else "there is no C compiler"


class Clocked:
    """A daemon whose wall clock can be set; the clock that only counts goes on, as on a real machine.

    Attributes:
        daemon: the daemon.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def set(self, seconds: int) -> None:
        """How far its clock is ahead of this machine's."""
        with (self.daemon.folder / "clock").open("r+b", buffering=0) as file:
            file.write(struct.pack("q", seconds))

    def ahead(self) -> float:
        """By its heartbeats, how far its wall clock is ahead of this machine's, s."""
        beats = [one for one in self.daemon.heard.envelopes() if one.type == "heartbeat"]
        return beats[-1].t_pub - time.time() if beats else 0.0


@contextmanager
def clocked(scene: Scene) -> Iterator[Clocked]:
    """A daemon whose C library tells another time of day."""
    library, clock = scene.folder / "wall_clock.so", scene.folder / "clock"
    code = Path(__file__).with_name("wall_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(code)], check=True, timeout=60)
    clock.write_bytes(bytes(8))
    environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(clock)}
    with scene.daemon(**environment) as daemon:
        yield Clocked(daemon)


def clock_set(scene: Scene, seconds: int) -> str:
    """Set the wall clock under a running daemon and back; what its alarms made of it."""
    with scene.lent_by(clocked) as lent:
        daemon, heard = lent.daemon, lent.daemon.heard
        pids = {role: daemon.pids(role) for role in ("publisher", "worker", "capture")}
        mark = heard.mark
        try:
            for ahead in (seconds, 0):
                lent.set(ahead)
                until(lambda ahead=ahead: abs(lent.ahead() - ahead) < 0.5, 30, lent.ahead)
                daemon.flows()
        finally:
            lent.set(0)
        assert {role: daemon.pids(role) for role in pids} == pids
        assert not [state for source in daemon.sources for state in heard.states(source, mark)]
        times = [event.t for event in heard.events(SEEN, "cam", mark)]
        steps = [after - before for before, after in pairwise(times)]
        assert min(steps) >= 0, "an event before the one before"
        assert max(steps) < NEAR_S, max(steps)
        daemon.unhurt()
        silence = heard.longest_silence(SEEN, "cam", mark)
        return f"{len(times)} messages of the camera, {max(steps):.2f} s apart at most; longest silence {silence:.1f} s"


SET = "alarms go on; no camera counts as lost; no process is started anew; times of events go on evenly, never back"


@fault(
    "time",
    "the wall clock is set an hour forward",
    how="another time of day from the C library of all its processes (LD_PRELOAD), and back again",
    required=SET,
    needs=compiler,
    slow=True,
)
def forward(scene: Scene) -> str:
    return clock_set(scene, 3600)


@fault(
    "time",
    "the wall clock is set an hour back",
    how="another time of day from the C library of all its processes (LD_PRELOAD), and forward again",
    required=SET,
    needs=compiler,
    slow=True,
)
def backward(scene: Scene) -> str:
    return clock_set(scene, -3600)


@fault(
    "time",
    "a leap second",
    how="the time of day repeats a second, likewise, and then leaves one out",
    required=SET,
    needs=compiler,
    slow=True,
)
def leap_second(scene: Scene) -> str:
    return clock_set(scene, -1)


@fault(
    "time",
    "all processes are stopped for a while",
    how="SIGSTOP of all processes of the daemon for five seconds, as a container or a virtual machine is paused",
    required="alarms go on by themselves; no process is started anew; nothing twice, nothing lost that was told",
    slow=True,
)
def suspended(scene: Scene) -> str:
    with scene.shared() as daemon:
        pids = [daemon.pid, *(pid for role in ("publisher", "worker", "capture") for pid in daemon.pids(role))]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(5)
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)
        back = daemon.flows()
        assert pids[1:] == [pid for role in ("publisher", "worker", "capture") for pid in daemon.pids(role)]
    return f"alarms of all sources {back:.1f} s after they went on; the same processes"


def odd_clock(scene: Scene, order: str) -> str:
    """The clock of a sensor does something odd, and then is right again; how far its events are off."""
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        heard = lent.daemon.heard
        lent.order(order)
        try:
            lent.daemon.flows("sensor")
        finally:
            lent.order("")
        lent.daemon.flows("sensor")
        assert not heard.states("sensor", mark)
        told = [one for one in heard.envelopes(mark) if one.type == "event" and one.source == "sensor"]
        off = max(abs(one.data.t - one.t_pub) for one in told)  # type: ignore[union-attr]
        assert off < NEAR_S, off
        return f"{len(told)} messages, their times off by {off:.2f} s at most; no state but running"


RIGHT = "alarms of this camera go on, at the right time of day; no loss; the other cameras do not notice"


@fault("time", "a sensor's clock jumps an hour ahead", how="its driver's times, and back", required=RIGHT, slow=True)
def sensor_ahead(scene: Scene) -> str:
    return odd_clock(scene, "ahead")


@fault("time", "a sensor's clock stands still", how="the same time in every frame", required=RIGHT, slow=True)
def sensor_still(scene: Scene) -> str:
    return odd_clock(scene, "still")


@fault("time", "a sensor's clock starts in the far future", how="times of 146 years on", required=RIGHT, slow=True)
def sensor_future(scene: Scene) -> str:
    return odd_clock(scene, "future")


@fault("time", "a sensor's clock is below zero", how="times of 32 years before it began", required=RIGHT, slow=True)
def sensor_negative(scene: Scene) -> str:
    return odd_clock(scene, "negative")


@fault(
    "time",
    "a camera's quartz drifts for a month",
    how="an injected clock: 50 millionths too fast, then too slow, 30 days each; images take 5 to 35 ms to arrive",
    required="its frames are never off by more than 0.1 s, and their times never go back",
)
def drift(_scene: Scene) -> str:
    worst = 0.0
    step = 60 * NANOSECONDS
    for rate in (1 + 50e-6, 1 - 50e-6):
        now = [NANOSECONDS]
        clock = SensorClock(lambda now=now: now[0], lambda now=now: now[0])  # type: ignore[misc]
        before = 0
        for number in range(30 * 86_400 * NANOSECONDS // step):
            taken = NANOSECONDS + number * step
            now[0] = taken + (5 + 7919 * number % 31) * 1_000_000
            told = clock.time(round(number * step * rate))
            assert told >= before
            before = told
            worst = max(worst, abs(told - taken) / NANOSECONDS)
    assert worst < 0.1, worst
    return f"off by {1000 * worst:.1f} ms at most"


def lives(events: list[Event]) -> list[tuple[int, int]]:
    """Start and end of each event, all of which have ended, in ns."""
    starts = {event.id: event.t_start for event in events if event.phase is Phase.START}
    ends = {event.id: event.t_end for event in events if event.phase is Phase.END}
    assert starts.keys() == ends.keys()
    return [(starts[key], ends[key] or 0) for key in starts]


def odd_times(change: Callable[[int, SkeletonFrame], int], events: int, late: int = 0) -> str:
    """Give the frames of one of two cameras other times; its events last no longer than what is seen.

    In them somebody raises a hand from second 4 to 7.
    """
    alone, pipeline = make(), make()
    expected = events_of(alone.push(frames("good"))) + events_of(alone.finish())
    outputs = []
    for number, good in enumerate(frames("good")):
        outputs += pipeline.push([good, replace(good, source="odd", t=change(number, good))])
    told = events_of(outputs) + events_of(pipeline.finish())
    assert [event for event in told if event.source == "good"] == expected
    found = lives([event for event in told if event.source == "odd"])
    assert len(found) == events, found
    longest = max((end - start for start, end in found), default=0) / NANOSECONDS
    assert 0 <= longest < 4.5, longest
    assert pipeline.counts.get("late_frames", 0) == late
    return f"{len(found)} events, {longest:.1f} s at most; {late} frames left out; the other camera as without"


FRAMES = "no event lasts longer than what was seen, what cannot be used is left out and counted, others do not notice"


@fault("time", "times of frames jump an hour ahead", how="+1 h in the midst of an event", required=FRAMES)
def frames_ahead(_scene: Scene) -> str:
    return odd_times(lambda number, one: one.t + HOUR * (number >= 165), events=2)


@fault("time", "times of frames jump an hour back", how="-1 h in the midst of an event", required=FRAMES)
def frames_back(_scene: Scene) -> str:
    return odd_times(lambda number, one: one.t + HOUR * (number < 165), events=2)


@fault("time", "times of frames stand still", how="one time from the midst of an event on", required=FRAMES)
def frames_still(_scene: Scene) -> str:
    return odd_times(lambda number, _: min(number, 165) * FPS30, events=1, late=134)


@fault("time", "times of frames in the far future", how="all of them 290 years on", required=FRAMES)
def frames_future(_scene: Scene) -> str:
    return odd_times(lambda _, one: 2**63 - 1 - 60 * NANOSECONDS + one.t, events=1)


@fault("time", "times of frames below zero", how="all of them before 1970", required=FRAMES)
def frames_negative(_scene: Scene) -> str:
    return odd_times(lambda _, one: one.t - 2**62, events=1)


VIENNA = ZoneInfo("Europe/Vienna")


def raised_at(moments: list[datetime]) -> list[bool]:
    """Whether somebody who raises a hand at these moments is told of, by a schedule from 02:30 to 06:00 in Vienna."""
    night = Schedule("night", frozenset(range(7)), 150, 360, VIENNA)
    book = Rulebook(schedules=(night,), limits={"raise": Limits(schedule="night")})
    found = []
    for moment in moments:
        pipeline = Pipeline(RaisedHand(), make().prompts, PipelineSettings(rulebook=book))
        start = round(moment.timestamp()) * NANOSECONDS
        shown = [frame(start + i * FPS30, raised() if i >= 60 else person(), seq=i) for i in range(180)]
        found.append(bool(events_of(pipeline.push(shown))))
    return found


@fault(
    "time",
    "clocks go forward in the night",
    how="a schedule from 02:30 to 06:00, Europe/Vienna, frames of 29 March 2026, which leaves out 02:00 to 03:00",
    required="on from 03:00 on, not at 01:59, which comes a second before",
)
def spring(_scene: Scene) -> str:
    times = ["01:59:30", "03:00", "05:59:30", "06:00"]
    found = raised_at([datetime.fromisoformat(f"2026-03-29T{text}").replace(tzinfo=VIENNA) for text in times])
    assert found == [False, True, True, False], found
    return "off at 01:59, on at 03:00 and 05:59, off at 06:00"


@fault(
    "time",
    "clocks go back in the night",
    how="the same schedule on 25 October 2026, on which 02:00 to 03:00 comes twice",
    required="on from 02:30 the first time, off as it is 02:00 again, on from 02:30 the second time",
)
def autumn(_scene: Scene) -> str:
    times = [("02:29:30", 0), ("02:31", 0), ("02:01", 1), ("02:31", 1), ("05:59:30", 0), ("06:00", 0)]
    moments = [datetime.fromisoformat(f"2026-10-25T{text}").replace(tzinfo=VIENNA, fold=fold) for text, fold in times]
    found = raised_at(moments)
    assert found == [False, True, False, True, True, False], found
    return "on at 02:31 both times, off at 02:01 between, off at 06:00"
