"""The reply that holds the joints around an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from stream.structs import Id, Label, Name, Seconds, Share, Text, Track

if TYPE_CHECKING:
    from stream.types import Clip

MAX_CLIPS = 200
"""Events whose joints the publisher keeps, and ..."""
MAX_CLIP_BYTES = 64 << 20
"""... bytes of them in all."""
MAX_RECORDING = 4 << 20
"""Bytes of the joints of one event."""


class ClipReply(Struct, frozen=True):
    """Reply to clip: the joints around an event, of everybody in view, as a recording; no images."""

    v: Literal[1]
    type: Literal["clip"]
    id: Id
    node: Name
    epoch: Name
    event: Annotated[Label, Meta(description="id of the event")]
    kind: Literal["action", "anomaly"]
    source: Name
    track: Track
    name: Annotated[Name, Meta(description="short name of the event's prompt")]
    prompt: Annotated[Text, Meta(description="its text")]
    t_start: Annotated[Seconds, Meta(description="start of the event, s")]
    t_end: Annotated[Seconds | None, Meta(description="its end; null where it went on for longer than the recording")]
    peak: Annotated[Share, Meta(description="highest score")]
    model: Annotated[str, Meta(max_length=64, description="sha256 of the weights that raised it")]
    recording: Annotated[bytes, Meta(max_length=MAX_RECORDING, description="a posewire recording (.pwr), base64")]


class ClipShelf:
    """Clips of the last events, by event id; the oldest are forgotten."""

    def __init__(self) -> None:
        self._clips: dict[str, Clip] = {}
        self._size = 0

    def put(self, clip: Clip) -> None:
        """Keep a clip, in place of an earlier one of its event."""
        self._drop(clip.event.id)
        self._clips[clip.event.id] = clip
        self._size += len(clip.recording)
        while len(self._clips) > MAX_CLIPS or self._size > MAX_CLIP_BYTES:
            self._drop(next(iter(self._clips)))

    def get(self, event: str) -> Clip | None:
        """The clip of an event, if it is kept."""
        return self._clips.get(event)

    def _drop(self, event: str) -> None:
        dropped = self._clips.pop(event, None)
        self._size -= len(dropped.recording) if dropped else 0
