"""The structs of wire version 1: what the JSON of each message holds.

`stream.schema` makes docs/schema/v1 of them; docs/protocol.md says the same in words.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from msgspec import Meta, Struct, field

from stream.topics import NAME_PATTERN

VERSION: Final = 1
MAX_BODIES = 64
MAX_PROMPTS = 4096
MAX_TEXT = 2000
"""Characters of the longest prompt or detail."""
MAX_RATE = 1e6
MAX_STAGES = 32

Seconds = Annotated[float, Meta(ge=-1e10, le=1e10)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Cosine = Annotated[float, Meta(ge=-1.0, le=1.0)]
Margin = Annotated[float, Meta(ge=-2.0, le=2.0)]
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Label = Annotated[str, Meta(min_length=1, max_length=64)]
Id = Annotated[str, Meta(max_length=128, description="any string of the asker's, or none; the reply repeats it")]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Number = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Track = Annotated[int, Meta(ge=-1, le=2**63 - 1)]
Milliseconds = Annotated[float, Meta(ge=0.0, le=1e9)]
Rate = Annotated[float, Meta(ge=0.0, le=MAX_RATE)]
Names = Annotated[list[Name], Meta(max_length=MAX_PROMPTS)]
Shares = Annotated[list[Share], Meta(max_length=MAX_PROMPTS)]
Cosines = Annotated[list[Cosine], Meta(max_length=MAX_PROMPTS)]
Margins = Annotated[list[Margin], Meta(max_length=MAX_PROMPTS)]
Tracks = Annotated[list[Track], Meta(max_length=MAX_BODIES)]
Shape = tuple[Annotated[int, Meta(ge=0, le=MAX_BODIES)], Literal[25], Literal[4]]

D = TypeVar("D")


class Envelope(Struct, Generic[D], frozen=True):
    """What every message carries.

    Times are seconds, rounded to microseconds: `t` of capture on the source's clock, `t_pub` of publishing on the
    publisher's wall clock (as is `t` in status and heartbeat). `seq` counts from 1 in each kind (first level of the
    topic) of one epoch.
    """

    v: Annotated[Literal[1], Meta(description="wire version")]
    type: Annotated[Label, Meta(description="which data this is; skip the types that you do not know")]
    node: Annotated[Name, Meta(description="the publishing daemon")]
    epoch: Annotated[Name, Meta(description="another one after every start of the publisher; numbers start anew")]
    source: Annotated[Name, Meta(description="the camera or file; the node itself in heartbeats")]
    seq: Annotated[Number, Meta(description="number in its kind and epoch, from 1 without holes")]
    t: Annotated[Seconds, Meta(description="capture time in s on the source's clock; t_pub in status and heartbeat")]
    t_pub: Annotated[Seconds, Meta(description="time of publishing, s since 1970 UTC")]
    replay: Annotated[bool, Meta(description="true for posewire replay, false for the daemon")]
    data: D


class EventData(Struct, frozen=True):
    """The full state of one event at one moment of its life: one start, any number of updates, one end."""

    id: Annotated[Label, Meta(description="the same in every message of the event")]
    phase: Literal["start", "update", "end"]
    kind: Literal["action", "anomaly", "fault"]
    severity: Annotated[Literal["info", "alert", "critical"], Meta(description="above info: an alarm")]
    track: Annotated[Track, Meta(description="person, unique in its source while the daemon lives; -1: none")]
    name: Annotated[Name, Meta(description="short name of the prompt, last level of the topic")]
    prompt: Annotated[Text, Meta(description="text of the prompt")]
    t: Annotated[Seconds, Meta(description="capture time of the window that caused this message, s")]
    t_start: Annotated[Seconds, Meta(description="capture time at which the event began, s")]
    t_end: Annotated[Seconds | None, Meta(description="capture time at which it ended, s; null before phase end")]
    score: Annotated[Share, Meta(description="probability of the prompt now")]
    peak: Annotated[Share, Meta(description="highest score so far")]
    margin: Annotated[Margin, Meta(description="how far it lies above the best background text, now")]
    reason: Annotated[Label | None, Meta(description="why it ended (an open set); null before phase end")]


class SourceState(Struct, frozen=True):
    """What is known of one source (or of the daemon itself)."""

    state: Annotated[Name, Meta(description="running, lost, faulted, ended, error or stopped (an open set)")]
    detail: Annotated[Text, Meta(description="one line for a person; may be empty")]
    frames: Annotated[Count, Meta(description="frames taken from the source since it started")]
    dropped: Annotated[Count, Meta(description="frames and images that came and were not processed")]
    rate_hz: Annotated[Rate, Meta(description="frames per second lately, 2 decimals; 0 where unknown")]


class Quantiles(Struct, frozen=True):
    """How long something took lately, in milliseconds."""

    p50: Annotated[Milliseconds, Meta(description="median")]
    p99: Annotated[Milliseconds, Meta(description="99th percentile")]


Latencies = Annotated[dict[Label, Quantiles], Meta(max_length=MAX_STAGES)]
Drops = Annotated[dict[Label, Count], Meta(max_length=MAX_STAGES)]


class HeartbeatData(Struct, frozen=True):
    """The newest numbers, so that a loss shows even where nothing follows it."""

    seqs: Annotated[dict[Label, Count], Meta(description="newest number of each kind but heartbeat; 0: none yet")]
    uptime_s: Annotated[float, Meta(ge=0.0, le=1e10, description="seconds since the publisher started")]
    sources: Annotated[dict[Name, SourceState], Meta(description="last status of each source")]
    durable: Annotated[bool, Meta(description="whether alarms outlive a restart of the publisher")]
    latency_ms: Annotated[Latencies, Meta(description="by stage, of the last minute; total is all of them")] = field(
        default_factory=dict
    )
    dropped: Annotated[Drops, Meta(description="by stage, what was lost since the publisher started")] = field(
        default_factory=dict
    )


class SkeletonData(Struct, frozen=True):
    """Describes the third frame: x, y, z and confidence of every joint, little-endian float32, C order."""

    track_ids: Annotated[Tracks, Meta(description="one for each body")]
    layout: Annotated[Literal["kinect_v2"], Meta(description="order of the joints")]
    shape: Annotated[Shape, Meta(description="bodies, joints, (x y z confidence)")]
    space: Annotated[Literal["camera3d", "image2d"], Meta(description="metres in camera axes, or image coordinates")]

    @property
    def nbytes(self) -> int:
        """Size of the array in bytes."""
        return 4 * self.shape[0] * self.shape[1] * self.shape[2]


class ScoreData(Struct, frozen=True):
    """How well each prompt describes one window; the lists go by `prompts`."""

    track: Track
    prompts_digest: Annotated[Label, Meta(description="changes whenever the prompts do")]
    prompts: Annotated[Names, Meta(description="short names")]
    similarity: Annotated[
        Cosines,
        Meta(description="how much of the window the prompt's texts claim, or a recipe's own score s as s / (1 + |s|)"),
    ]
    probability: Annotated[Shares, Meta(description="how likely each prompt is")]
    margin: Annotated[Margins, Meta(description="how far each lies above the best background text")]
    anomaly: Annotated[Share | None, Meta(description="null where no anomaly model is configured")]
    coverage: Annotated[Share, Meta(description="share of the window's joints that were seen")]


class UnknownData(Struct, frozen=True):
    """Stands for the data of a type that this version does not know."""


Data = EventData | SourceState | HeartbeatData | SkeletonData | ScoreData | UnknownData

TYPES: dict[str, type[Any]] = {
    "event": EventData,
    "status": SourceState,
    "heartbeat": HeartbeatData,
    "skeleton": SkeletonData,
    "score": ScoreData,
}
"""The data of each message type of version 1."""
