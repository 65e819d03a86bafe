"""What flows between the parts of the daemon: frames, windows, scores, events.

Shapes use the field's letters: M bodies, V joints, T frames, C channels, N batch, K prompts, D text dimension.
All times are *capture* times, integer nanoseconds on the source's clock: no part of the pipeline reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Int64Array = NDArray[np.int64]

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""

UNIX_TIME = 1e8
"""Seconds. No recording lasts three years: a time beyond counts from 1970."""

NO_TRACK = -1
"""Body id of a sensor that does not tell people apart."""


class Space(StrEnum):
    """Coordinates of a frame's joints."""

    CAMERA3D = "camera3d"
    """Metres; y up, z away from the camera, the subject's right is +x when they face it (Kinect's camera axes)."""
    IMAGE2D = "image2d"
    """Pixels or normalised image coordinates in x and y (y down), z = 0."""


@dataclass(frozen=True, slots=True)
class SkeletonFrame:
    """The skeletons that one source saw at one moment.

    Attributes:
        source: name of the source, unique in a run.
        seq: number of the frame in its source, from 0; a jump means that frames were lost.
        t: capture time in ns.
        layout: name of the joint layout (see `stream.layouts`).
        joints: (M, V, 3) float32, in the units of `space`; undefined where confidence is 0.
        confidence: (M, V) float32 in 0..1; 0 means that the joint was not seen.
        track_ids: (M,) int64, the sensor's own body ids, or `NO_TRACK`.
        space: coordinates of `joints`.
    """

    source: str
    seq: int
    t: int
    layout: str
    joints: Float32Array
    confidence: Float32Array
    track_ids: Int64Array
    space: Space = Space.CAMERA3D


@dataclass(frozen=True, slots=True)
class Tracked:
    """A frame in the canonical layout with stable track ids, for events, publishing and drawing.

    Attributes:
        source, t, space: as in `SkeletonFrame`.
        track_ids: (M,) int64.
        joints: (M, 25, 3) float32.
        confidence: (M, 25) float32; of each body at least one is above 0.
    """

    source: str
    t: int
    space: Space
    track_ids: Int64Array
    joints: Float32Array
    confidence: Float32Array


@dataclass(frozen=True, slots=True)
class Window:
    """The last T frames of one track, resampled by capture time to the model's rate.

    Attributes:
        source: name of the source.
        track: track id, unique in its source for the life of the process.
        t0: capture time of the first row, in ns (may lie before the track's birth: those rows are masked).
        t1: capture time of the last row, in ns.
        x: (3, T, V) float32, metres in camera axes, canonical layout.
        mask: (T, V) float32 in 0..1, the joints' confidence; 0 where nothing was seen near that time.
        coverage: share of (T, V) that was seen, 0..1.
        stream: number of the unbroken series of rows that it is cut from, in which the windows overlap; a track begins
            another after a hole, and goes on with that of the track whose place it takes.
    """

    source: str
    track: int
    t0: int
    t1: int
    x: Float32Array
    mask: Float32Array
    coverage: float
    stream: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """How well each prompt describes one window.

    Attributes:
        source, track: whose window.
        t: capture time of the window's last row, in ns.
        similarity: (K,) float32 how much of the window each prompt's texts claim: the share of the known
            actions' probabilities (see `models.heads.BankHead`), or a recipe's own score, squashed to -1..1
            (see `models.method_head.MethodHead`).
        probability: (K,) float32, 0..1.
        margin: (K,) float32, how far each lies above the best background text.
        anomaly: how much of an anomaly it is, 0..1 (docs/anomaly.md), or None where nobody watches for them.
        coverage: the window's coverage, 0..1.
        prompts_digest: digest of the prompt set that the K columns stand for.
    """

    source: str
    track: int
    t: int
    similarity: Float32Array
    probability: Float32Array
    margin: Float32Array
    anomaly: float | None
    coverage: float
    prompts_digest: str


class Phase(StrEnum):
    """Where an event is in its life: one start, any number of updates, one end."""

    START = "start"
    UPDATE = "update"
    END = "end"


class EventKind(StrEnum):
    """What an event tells of."""

    ACTION = "action"
    ANOMALY = "anomaly"
    FAULT = "fault"


class Severity(StrEnum):
    """How urgent an event is; everything above `INFO` is published as an alarm."""

    INFO = "info"
    ALERT = "alert"
    CRITICAL = "critical"


class EndReason(StrEnum):
    """Why an event ended."""

    BELOW_EXIT = "below_exit"
    """The score stayed under the exit threshold for the hold time."""
    MAX_DURATION = "max_duration"
    """It lasted longer than its rule allows."""
    LEFT_ZONE = "left_zone"
    """The person was outside the rule's zone for the hold time."""
    ENTERED_ZONE = "entered_zone"
    """The person was in a zone outside of which the rule applies for the hold time."""
    OUTSIDE_SCHEDULE = "outside_schedule"
    """The rule's hours were over for the hold time."""
    NOT_PERMITTED = "not_permitted"
    """Something else than zone and hours forbade it for the hold time."""
    TRACK_LOST = "track_lost"
    """The person was not seen again in time, nor anybody new near the place."""
    GAP = "gap"
    """The source was silent for longer than the gap limit."""
    SOURCE_END = "source_end"
    SHUTDOWN = "shutdown"
    PROMPT_REMOVED = "prompt_removed"
    """What it is an event of is no longer watched for."""
    RULE_CHANGED = "rule_changed"
    """The rule asks for something else now, under the same name."""
    CRASH = "crash"
    """The process died; closed from the journal at the next start."""
    RECOVERED = "recovered"
    """What a fault told of is over: the camera is back."""


@dataclass(frozen=True, slots=True)
class Event:
    """The full state of one event at one moment of its life.

    Attributes:
        id: ULID, the same in every message of the event.
        phase, kind, severity: see the enums.
        source, track: whose event; a person who was lost and found again has another track from then on.
        name: the prompt's short name, used in topics.
        prompt: the prompt's text.
        t: capture time of the window that caused this message, in ns.
        t_start: capture time of the first window of the run of windows that started the event, in ns.
        t_end: capture time of the last window that held the event up, in ns; None until it ended.
        score: the prompt's probability now, 0..1.
        peak: the highest score so far.
        margin: how far it lies above the best background text, now.
        reason: why it ended; None until it ended.
    """

    id: str
    phase: Phase
    kind: EventKind
    severity: Severity
    source: str
    track: int
    name: str
    prompt: str
    t: int
    t_start: int
    t_end: int | None
    score: float
    peak: float
    margin: float
    reason: EndReason | None


@dataclass(frozen=True, slots=True)
class Example:
    """The window in which an event was surest so far, as an example from which its action could be taught.

    Attributes:
        event: the event's id.
        source, name: its source and its prompt's short name.
        t: capture time of the window's last row, in ns.
        score: the prompt's probability in it.
        model: digest of the weights that the embedding comes from.
        embedding: (E,) float32, unit norm.
    """

    event: str
    source: str
    name: str
    t: int
    score: float
    model: str
    embedding: Float32Array


@dataclass(frozen=True, slots=True)
class Clip:
    """The joints around an event.

    Attributes:
        event: its last state when the clip was cut; without an end where it went on for longer.
        model: digest of the weights that raised it.
        recording: a posewire recording, tracks as body ids (see `stream.sources.recording`).
    """

    event: Event
    model: str
    recording: bytes
