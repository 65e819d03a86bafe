"""Collects what one replay produced and writes it as one self-contained HTML file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.whole_file import write_whole
from stream.errors import PosewireError
from stream.report.frames import JOINTS, KeptFrames
from stream.report.kept import KeptEvents, KeptScores
from stream.report.page import render
from stream.report.payload import source_payload
from stream.types import Event, Float32Array, Int64Array, Scores, Space

if TYPE_CHECKING:
    from stream.anomaly import ScoreName
    from stream.report.video import ReportVideo

MAX_BODIES = 24_000
"""Most bodies over all frames of all sources: about 6 MB of page."""

_BESIDE = "README.md beside this file"
"""Where a model's terms send the reader: to its own folder, which is not the report's."""

_ANOMALY: dict[ScoreName, str] = {
    "ood": "how unlike what is normal; where none was learnt, how like the texts of [anomaly]",
    "prompt": "how like the texts of [anomaly]",
    "product": "how like the texts of [anomaly], and unlike what is normal where that was learnt",
}


class ReportError(PosewireError):
    """The report cannot be written."""


@dataclass(slots=True)
class Recording:
    """What is kept of one source.

    Attributes:
        t0, t1: first and last time that anything was told of, in ns.
        people: track id -> time of its first frame or scores.
    """

    space: Space
    t0: int
    t1: int
    frames: KeptFrames = field(default_factory=KeptFrames)
    scores: KeptScores = field(default_factory=KeptScores)
    events: KeptEvents = field(default_factory=KeptEvents)
    people: dict[int, int] = field(default_factory=dict)

    def cover(self, *times: int) -> None:
        """Widen the time that the recording spans."""
        self.t0, self.t1 = min(self.t0, *times), max(self.t1, *times)


class ReportBuilder:
    """Builds the report of one replay in bounded memory, whatever the length of its recordings.

    The same calls give the same bytes: nothing here reads a clock.

    Args:
        title: heading of the page.
        prompts: (name, text, severity) of each prompt, in the order of the columns of `Scores.probability`;
            severity is one of "info", "alert" and "critical".
        background: texts of the configured background.
        model: name and version of the model, as shown.
        thresholds: (enter, exit) probabilities between which an event stays open.
        terms: terms of use of the model, as shown; left out where empty.
        bank: number of further actions, known to the model, that the prompts compete with.
        unfamiliar: names of the prompts that mean nothing that the model was trained on.
    """

    def __init__(
        self,
        title: str,
        prompts: Sequence[tuple[str, str, str]],
        background: Sequence[str],
        model: str,
        thresholds: tuple[float, float],
        terms: str = "",
        *,
        bank: int = 0,
        unfamiliar: Sequence[str] = (),
    ) -> None:
        self._prompts = [
            {"name": name, "text": text, "severity": severity, "unfamiliar": name in unfamiliar}
            for name, text, severity in prompts
        ]
        self._head: dict[str, Any] = {
            "title": title,
            "model": model,
            "terms": terms.replace(_BESIDE, "the model card"),
            "background": list(background),
            "bank": bank,
            "enter": thresholds[0],
            "exit": thresholds[1],
            "anomaly": None,
        }
        self._recordings: dict[str, Recording] = {}
        self._bodies = 0

    def watch_anomalies(self, score: ScoreName, thresholds: tuple[float, float]) -> None:
        """Say what the anomaly score of a person means.

        Args:
            score: which score it is.
            thresholds: (enter, exit) of anomalies.
        """
        self._head["anomaly"] = {"text": _ANOMALY[score], "enter": thresholds[0], "exit": thresholds[1]}

    def add_frame(
        self,
        source: str,
        t: int,
        track_ids: Int64Array,
        joints: Float32Array,
        confidence: Float32Array,
        space: Space,
    ) -> None:
        """Add one frame.

        Args:
            source: name of the source.
            t: capture time in ns.
            track_ids: (M,).
            joints: (M, 25, 3), canonical layout; metres in camera axes, or image coordinates for `Space.IMAGE2D`.
            confidence: (M, 25) in 0..1.
            space: coordinates of `joints`; frames of another space than the source's first are shown as a source of
                their own, `NAME (SPACE)`.

        Raises:
            ValueError: shapes that do not fit.
        """
        bodies = len(track_ids)
        if joints.shape != (bodies, JOINTS, 3) or confidence.shape != (bodies, JOINTS):
            raise ValueError(
                f"report of {source!r}: joints {joints.shape} and confidence {confidence.shape} "
                f"do not fit {bodies} bodies of {JOINTS} joints"
            )
        recording = self._recording(source, t, space)
        while recording.frames.seen and recording.space is not space:
            source = f"{source} ({space.value})"
            recording = self._recording(source, t, space)
        recording.space = space
        recording.cover(t)
        for track in track_ids.tolist():
            recording.people.setdefault(track, t)
        before = recording.frames.bodies
        recording.frames.add(t, track_ids, joints, confidence, space)
        self._bodies += recording.frames.bodies - before
        self._fit()

    def add_scores(self, scores: Scores) -> None:
        """Add the scores of one window.

        Raises:
            ValueError: it does not have one probability for each prompt.
        """
        if scores.probability.shape != (len(self._prompts),):
            raise ValueError(
                f"report of {scores.source!r}: {scores.probability.shape} probabilities "
                f"for {len(self._prompts)} prompts"
            )
        recording = self._recording(scores.source, scores.t)
        recording.cover(scores.t)
        recording.people.setdefault(scores.track, scores.t)
        recording.scores.add(scores)

    def add_event(self, event: Event) -> None:
        """Add an event's start, update or end; the latest message of each id is what the page shows."""
        recording = self._recording(event.source, event.t)
        recording.cover(event.t)
        recording.events.add(event)

    @property
    def span(self) -> tuple[int, int]:
        """First and last time of all that was added, in ns; (0, 0) where that is nothing."""
        kept = self._recordings.values()
        return min((one.t0 for one in kept), default=0), max((one.t1 for one in kept), default=0)

    def write(self, path: Path, video: ReportVideo | None = None) -> None:
        """Write the page, replacing a file of that name only once the new one is complete.

        A link stays and its target is replaced; a device or a pipe is written to.

        Args:
            path: the page.
            video: what the one source was recorded from, to be drawn behind its joints: then the page holds images.

        Raises:
            ReportError: the file cannot be written, or there is a video but more or less than one source.
            SourceError: the video cannot be read.
        """
        sources = self._sources()
        if video is not None:
            if len(sources) != 1:
                raise ReportError(
                    f"{path}: cannot write the report: a video goes with one source, not {len(sources)}; "
                    "expected a recording of that source alone"
                )
            recording = next(iter(self._recordings.values()))
            sources[0]["video"] = video.payload(recording.t0, recording.t1)
        data = self._head | {"prompts": self._prompts, "sources": sources}
        # "replace", since the name of a file that is not UTF-8 holds lone surrogates.
        page = render(data, video=video is not None).encode("utf-8", "replace")
        try:
            if path.exists() and not path.is_file():
                path.write_bytes(page)
            else:
                write_whole(Path(os.path.realpath(path)) if path.is_symlink() else path, page, mode=0o600)
        except OSError as error:
            raise ReportError(f"{path}: cannot write the report: {error.strerror}") from error

    def _sources(self) -> list[dict[str, object]]:
        return [source_payload(name, recording, len(self._prompts)) for name, recording in self._recordings.items()]

    def _recording(self, source: str, t: int, space: Space = Space.CAMERA3D) -> Recording:
        if source not in self._recordings:
            self._recordings[source] = Recording(space, t, t)
        return self._recordings[source]

    def _fit(self) -> None:
        """Thin the largest recordings until all of them together fit the page."""
        while self._bodies > MAX_BODIES:
            largest = max((recording.frames for recording in self._recordings.values()), key=lambda kept: kept.bodies)
            if largest.times.length < 2:
                return
            self._bodies -= largest.bodies
            largest.thin()
            self._bodies += largest.bodies
