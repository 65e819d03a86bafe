"""Continuous recordings through the whole pipeline, as a replay has it, and what its events are worth.

An event's decision is the window that its start message is about. What an event is *found at* lies earlier, as a window
looks back: in the middle of its windows, weighed by probability, less a lag (`lag_of`). Where the truth is a label on
each frame, an action point is the middle of a run of one label.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.pipeline import Pipeline
from stream.types import NANOSECONDS, EndReason, Event, Phase, Scores, SkeletonFrame
from train.datasets.labelled import SHORTEST_SPAN, Recording, runs
from train.judging.clips import Report
from train.judging.spread import resampled
from train.judging.texts import is_background
from train.stream_metrics import (
    OVERLAPS,
    Interval,
    Point,
    StreamScores,
    Tally,
    delays,
    match_overlap,
    match_points,
    tally,
)

FloatArray = NDArray[np.float64]
POINT_LAG_S = 0.98
"""Seconds from what a window is about to its last frame: half of a window of 50 frames at 25 Hz; fitted to no data."""
STEPPED_LAG_S = 0.92
"""The same of a model that is stepped, which sees what was before, but is asked about less of it: between the best of
the validation people of PRECOG and those of MSRC-12 (docs/decisions/0019-every-frame-encoded-once.md)."""
BATCH_FRAMES = 64
NOTHING = "none"
"""What a frame is called in which no event goes on."""


@dataclass(frozen=True, slots=True)
class Found:
    """One event, in seconds of its recording.

    Attributes:
        label: of its prompt.
        decided: capture time that its start message is about.
        times, probability: (W,) of the windows that it rests on, at least one.
        lag: seconds from what a window is about to its last frame.
    """

    label: str
    decided: float
    times: FloatArray
    probability: FloatArray
    lag: float = POINT_LAG_S

    @property
    def point(self) -> float:
        """Where the action's peak is taken to be: the middle of its windows, sure ones weighing more.

        The surest window itself is arbitrary where several are nearly certain.
        """
        weight = self.probability**2
        return float((self.times * weight).sum() / max(float(weight.sum()), 1e-9)) - self.lag

    @property
    def interval(self) -> Interval:
        """Where the action is taken to be."""
        return float(self.times[0]) - self.lag, float(self.times[-1]) - self.lag, self.label


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found in one recording and what was to be found."""

    recording: Recording
    points: Tally
    overlaps: dict[float, Tally]
    delays_s: list[float]
    frames: Tally | None
    """None where the truth is not known for frames."""

    @property
    def hours(self) -> float:
        """Its length."""
        return float(self.recording.times[-1]) / 3600


def frames_of(recording: Recording) -> list[SkeletonFrame]:
    """A recording as a source gives it."""
    joints = np.stack([body.joints for body in recording.bodies], axis=1)
    confidence = np.stack([body.confidence for body in recording.bodies], axis=1)
    ids = np.arange(len(recording.bodies))
    return [
        SkeletonFrame(recording.name, n, round(t * NANOSECONDS), "kinect_v2", joints[n], confidence[n], ids)
        for n, t in enumerate(recording.times.tolist())
    ]


def lag_of(pipeline: Pipeline) -> float:
    """Seconds from what its windows are about to their last frame."""
    return POINT_LAG_S if pipeline.states is None else STEPPED_LAG_S


def watch(recording: Recording, pipeline: Pipeline) -> list[Found]:
    """The events of one recording; its pipeline must have seen no other one."""
    names = [prompt.name for prompt in pipeline.prompts.prompts]
    scores: dict[int, list[Scores]] = defaultdict(list)
    decided: dict[str, int] = {}
    ended: list[Event] = []
    frames = frames_of(recording)
    batches = [pipeline.push(frames[start : start + BATCH_FRAMES]) for start in range(0, len(frames), BATCH_FRAMES)]
    for output in [*(one for batch in batches for one in batch), *pipeline.finish(EndReason.SOURCE_END)]:
        if isinstance(output, Scores):
            scores[output.track].append(output)
        elif isinstance(output, Event) and output.phase is Phase.START:
            decided[output.id] = output.t
        elif isinstance(output, Event) and output.phase is Phase.END:
            ended.append(output)
    found = []
    for event in ended:
        last = event.t if event.t_end is None else event.t_end
        rows = [one for one in scores[event.track] if event.t_start <= one.t <= last]
        times = np.array([one.t for one in rows]) / NANOSECONDS
        probability = np.array([one.probability[names.index(event.name)] for one in rows], np.float64)
        found.append(Found(event.name, decided[event.id] / NANOSECONDS, times, probability, lag_of(pipeline)))
    return sorted(found, key=lambda one: one.decided)


def truth_of(recording: Recording) -> tuple[list[Point], list[Interval]]:
    """Action points, and intervals where frames have labels; background labels are neither."""
    intervals: list[Interval] = []
    times = recording.times
    for start, stop, label in runs(recording.frame_labels or ()):
        first, last = float(times[start]), float(times[stop - 1])
        if not is_background(label) and last - first >= SHORTEST_SPAN:
            intervals.append((first, last, label))
    if recording.tags or not intervals:
        return [(tag.time, tag.label) for tag in recording.tags if not is_background(tag.label)], intervals
    return [((first + last) / 2, label) for first, last, label in intervals], intervals


def name_frames(found: Sequence[Found], times: FloatArray) -> tuple[str, ...]:
    """What each frame is called: the event that goes on, of several the one with the highest probability."""
    best, names = np.zeros(len(times)), [NOTHING] * len(times)
    for event in found:
        first, last, label = event.interval
        going_on = np.flatnonzero((times >= first) & (times <= last))
        window = np.searchsorted(event.times - event.lag, times[going_on], side="right") - 1
        for frame, probability in zip(going_on.tolist(), event.probability[window].tolist(), strict=True):
            if probability > best[frame]:
                best[frame], names[frame] = probability, label
    return tuple(names)


def tally_frames(predicted: Sequence[str], true: Sequence[str]) -> Tally:
    """Counts of frames (T,); background counts only as a mistake of the others."""
    right = (name for name, label in zip(predicted, true, strict=True) if name == label)
    return Tally(*(Counter(name for name in names if not is_background(name)) for names in (right, predicted, true)))


def judge_recording(recording: Recording, found: Sequence[Found]) -> Judged:
    """Compare what was found with the truth."""
    true = recording.frame_labels
    points, intervals = truth_of(recording)
    labels = [event.label for event in found]
    pairs = match_points([(event.point, event.label) for event in found], points)
    spans = [event.interval for event in found]
    return Judged(
        recording=recording,
        points=tally(pairs, labels, [label for _, label in points]),
        overlaps={
            overlap: tally(match_overlap(spans, intervals, overlap), labels, [label for *_, label in intervals])
            for overlap in OVERLAPS
        },
        delays_s=delays(pairs, [event.decided for event in found], points),
        frames=None if true is None else tally_frames(name_frames(found, recording.times), true),
    )


def judge(
    recordings: Sequence[Recording],
    make_pipeline: Callable[[], Pipeline],
    *,
    seeds: int,
    report: Report | None = None,
) -> dict[str, Any]:
    """All figures of some recordings, each seen by a pipeline of its own; online prototypes go on.

    Args:
        recordings: at least one.
        make_pipeline: makes a new one, whose prompts are named as the labels are.
        seeds: resamples of the people that "spread" is over.
        report: is told how many are done.

    Returns:
        The six figures of `StreamScores`, "spread" (standard deviation over resampled people), "overlap_f1" (by share
        of overlap; None without labels of frames), "per_label", "recordings", "hours", "events", "point_lag_s".
    """
    judged: list[Judged] = []
    lag = POINT_LAG_S
    for recording in recordings:
        pipeline = make_pipeline()
        lag = lag_of(pipeline)
        judged.append(judge_recording(recording, watch(recording, pipeline)))
        if report is not None:
            report(len(recordings), len(judged))
    events = _sum([one.points for one in judged])
    framed = any(one.frames is not None for one in judged)
    return {
        **_scores(judged).as_dict(),
        "spread": resampled(
            [one.recording.subject for one in judged],
            lambda rows: _scores([judged[row] for row in rows]).as_dict(),
            times=seeds,
        ),
        "overlap_f1": {str(o): _sum([one.overlaps[o] for one in judged]).macro().f1 for o in OVERLAPS}
        if framed
        else None,
        "per_label": {label: _label(events, label) for label in sorted(events.true | events.found)},
        "recordings": len(judged),
        "hours": sum(one.hours for one in judged),
        "events": events.found.total(),
        "point_lag_s": lag,
    }


def _scores(judged: Sequence[Judged]) -> StreamScores:
    frames = [one.frames for one in judged if one.frames is not None]
    return StreamScores.of(
        _sum([one.points for one in judged]),
        [delay for one in judged for delay in one.delays_s],
        sum(one.hours for one in judged),
        _sum(frames).macro().f1 if frames else None,
    )


def _sum(tallies: Sequence[Tally]) -> Tally:
    return sum(tallies, Tally())


def _label(events: Tally, label: str) -> dict[str, float | None]:
    rates = Tally(*(Counter({label: counts[label]}) for counts in (events.right, events.found, events.true))).micro()
    return {
        "f1": rates.f1,
        "precision": rates.precision,
        "recall": rates.recall,
        "found": events.found[label],
        "true": events.true[label],
    }
