"""The folder of false alarms' joints: for each a recording and a note, both named NAME-EVENT.

The recording holds the joints of everybody who was in view, and no images. The note is written last: a recording
without one is no clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from models.input_file import InputFileError, read_limited
from models.whole_file import replacing, write_whole
from stream.errors import PosewireError, SourceError
from stream.sources.recording import RecordingSource
from stream.structs import Name, Seconds, Share, Text
from stream.topics import TopicError, check_name

FORMAT = "posewire regression clip 1"
RECORDING = ".pwr"
NOTE = ".json"
MAX_NOTE = 1000
"""Characters of what a person may say of a clip."""
_MAX_NOTE_BYTES = 64 << 10
_MAX_CLIPS = 10_000


class ClipError(PosewireError):
    """A false alarm cannot be filed, or its files cannot be used."""


class RegressionClip(Struct, frozen=True, tag_field="format", tag=FORMAT):
    """A false alarm, as its note tells of it.

    Attributes:
        event: id of the event.
        kind: action or anomaly.
        source, name: its source and its prompt's short name.
        prompt: the prompt's text then.
        t_start, t_end: when it began and ended, in s on its source's clock; no end where it went on for longer.
        peak: its highest score.
        model: digest of the weights that raised it; clips are of use to other weights too.
        note: what the person who filed it said.
        filed: when, as ISO 8601 with a time zone.
    """

    event: Name
    kind: Literal["action", "anomaly"]
    source: Name
    name: Name
    prompt: Text
    t_start: Seconds
    t_end: Seconds | None
    peak: Share
    model: Annotated[str, Meta(max_length=64)]
    note: Annotated[str, Meta(max_length=MAX_NOTE)]
    filed: Annotated[str, Meta(max_length=64)]

    @property
    def stem(self) -> str:
        """The name of its files, without a suffix."""
        return f"{self.name}-{self.event}"


@dataclass(frozen=True, slots=True)
class FiledClip:
    """A clip and where its recording lies."""

    clip: RegressionClip
    recording: Path

    def open(self) -> RecordingSource:
        """Its recording, to be replayed."""
        return RecordingSource(self.recording, self.clip.stem)


def save(folder: Path, clip: RegressionClip, recording: bytes, *, force: bool = False) -> Path:
    """File a clip, whole or not at all, and make the folder if need be; returns the recording's path.

    Raises:
        ClipError: it is filed already and `force` is not given, its recording is damaged, or the folder cannot be
            written to.
    """
    for what, name in (("event", clip.event), ("name", clip.name)):
        try:
            check_name(name, what)
        except TopicError as error:
            raise ClipError(f"event {clip.event[:80]!r}: {error}") from error
    path = folder / (clip.stem + RECORDING)
    note = folder / (clip.stem + NOTE)
    if note.exists() and not force:
        raise ClipError(f"{note}: is filed already; expected another event, or --force to replace it")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path, mode=0o600) as file:
            file.write(recording)
            file.flush()
            frames = RecordingSource(Path(file.name), clip.stem).frames()
            if not any(len(frame.track_ids) > 0 for frame in list(frames)):  # all of them, in search of damage
                raise ClipError(f"event {clip.event}: nobody is in its joints; expected at least one frame of somebody")
        write_whole(note, msgspec.json.format(msgspec.json.encode(clip)) + b"\n", mode=0o600)
    except SourceError as error:
        raise ClipError(f"event {clip.event}: its joints are damaged: {error}") from error
    except OSError as error:
        raise ClipError(
            f"{folder}: cannot be written ({error.strerror}); expected a folder for false alarms"
        ) from error
    return path


def read(folder: Path | None) -> tuple[list[FiledClip], list[str]]:
    """The clips of a folder, by name, and one line for each note that cannot be used; None is a folder without any."""
    found, unused = [], []
    try:
        notes = sorted(folder.glob(f"*{NOTE}")) if folder is not None else []
    except OSError as error:
        return [], [f"{folder}: cannot be read ({error.strerror}); expected a folder of false alarms"]
    if len(notes) > _MAX_CLIPS:
        return [], [f"{folder}: {len(notes)} notes; expected at most {_MAX_CLIPS} false alarms"]
    for note in notes:
        try:
            found.append(_read(note))
        except ClipError as error:
            unused.append(str(error))
    return found, unused


def _read(note: Path) -> FiledClip:
    try:
        clip = msgspec.json.decode(
            read_limited(note, _MAX_NOTE_BYTES, "the note of a false alarm"), type=RegressionClip
        )
    except InputFileError as error:
        raise ClipError(str(error)) from error
    except (ValueError, RecursionError) as error:  # of msgspec, too
        raise ClipError(f"{note}: {error}; expected the note of a false alarm, as it was filed") from error
    recording = note.with_name(note.name.removesuffix(NOTE) + RECORDING)
    if not recording.is_file():
        raise ClipError(f"{recording}: there is no such file; expected the joints beside their note")
    return FiledClip(clip, recording)
