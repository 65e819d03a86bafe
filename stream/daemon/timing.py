"""What the worker measures of its own work; the pipeline itself reads no clock."""

from __future__ import annotations

import time
from collections.abc import Sequence

from stream.daemon.frame_part import Stamp
from stream.daemon.links import Turn
from stream.encoding import Encoder, Stepper
from stream.latency import Histogram
from stream.pipeline import Output
from stream.types import NANOSECONDS, Float32Array, Scores, SkeletonFrame, Tracked

STAGES = ("capture", "pose", "queue", "window", "encode")
"""The stages that are known here; the publisher measures the others."""


class TimedEncoder:
    """An encoder, of windows or of streams, that tells when it ran.

    Args:
        encoder: of windows.
        states: of streams; needed by `step` and `clear` alone.

    Attributes:
        runs: start and end of each run, in ns of the monotonic clock; whoever reads them clears the list.
    """

    def __init__(self, encoder: Encoder, states: Stepper | None = None) -> None:
        self._encoder, self._states = encoder, states
        self.runs: list[tuple[int, int]] = []

    def encode(self, x: Float32Array, mask: Float32Array) -> Float32Array:
        """Windows (N, 3, T, V) and masks (N, T, V) to unit features (N, D)."""
        start = time.monotonic_ns()
        features = self._encoder.encode(x, mask)
        self.runs.append((start, time.monotonic_ns()))
        return features

    def step(self, keys: Sequence[int], x: Float32Array, mask: Float32Array) -> Float32Array:
        """The next rows (N, G stride, V, 3) of streams, and masks, to features (N, G, D)."""
        if self._states is None:
            raise RuntimeError("this encoder knows windows alone")
        start = time.monotonic_ns()
        features = self._states.step(keys, x, mask)
        self.runs.append((start, time.monotonic_ns()))
        return features

    @property
    def evicted(self) -> int:
        """Streams that were forgotten for want of room."""
        return self._states.evicted if self._states is not None else 0

    def clear(self, key: int) -> None:
        """Forget a stream."""
        if self._states is not None:
            self._states.clear(key)


class Timing:
    """Collects the times of a worker's frames and windows, turn by turn: `took` frames, then `turn`.

    Args:
        encoder: the pipeline's.
    """

    def __init__(self, encoder: TimedEncoder) -> None:
        self._encoder = encoder
        self._stages = {stage: Histogram() for stage in STAGES}
        self._taken: dict[str, tuple[int, int, int]] = {}
        self._frames: dict[tuple[str, int], tuple[int, int]] = {}

    def took(self, frame: SkeletonFrame, stamp: Stamp) -> None:
        """Take note of a frame that has just arrived."""
        now = time.monotonic_ns()
        if stamp.captured < stamp.handed:
            self._add("capture", stamp.handed - stamp.captured - stamp.pose)
        if stamp.pose:
            self._add("pose", stamp.pose)
        self._add("queue", now - stamp.handed)
        first = self._taken.get(frame.source, (stamp.number,))[0]
        self._taken[frame.source] = first, stamp.number, len(frame.track_ids)
        self._frames[frame.source, frame.t] = stamp.captured, now

    def turn(self, outputs: Sequence[Output]) -> Turn | None:
        """Sum up the frames taken since the last call, and what came of them; None if there were none."""
        if not self._taken:
            return None
        runs, self._encoder.runs = self._encoder.runs, []
        frames, self._frames = self._frames, {}
        taken, self._taken = self._taken, {}
        captured: list[int] = []
        frame: tuple[int, int] | None = None
        for output in outputs:
            if isinstance(output, Tracked):  # what follows, up to the next one, came of this frame
                frame = frames.get((output.source, output.t))
            elif isinstance(output, Scores) and frame is not None and runs:
                captured.append(frame[0])
                self._add("window", runs[0][0] - frame[1])
        for start, end in runs:
            self._add("encode", end - start)
        return Turn(taken, min(captured, default=0), time.monotonic_ns())

    def take(self) -> dict[str, dict[int, int]]:
        """What was measured since the last call, by stage."""
        return {stage: histogram.take() for stage, histogram in self._stages.items() if histogram.count}

    def _add(self, stage: str, nanoseconds: int) -> None:
        self._stages[stage].add(nanoseconds / NANOSECONDS)
