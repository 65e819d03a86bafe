"""Replay of a recording, as fast as it goes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from stream.bench.figures import Result, spread
from stream.bench.footage import record
from stream.bench.plan import Plan
from stream.config import Config
from stream.publisher import Publisher
from stream.replay import Replay
from stream.service import load_service
from stream.sinks import LineFile, WireSink
from stream.sources.base import RecordedSource
from stream.sources.files import open_source

RECORDED = 30
"""Seconds recorded for each second that a figure is measured."""


def bench_replay(plan: Plan) -> Result:
    """Replay one person on one core; loading the model is not counted."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        recording = record(Path(folder) / "person.pwr", 1, RECORDED * plan.seconds)
        ratios = [_replay(recording, Path(folder) / "events.ndjson") for _ in range(plan.runs)]
    result = Result(ratios={"replay_to_real_time": spread(ratios)})
    result.add("one person, one core", "times real time", ratios)
    return result


class _Quiet:
    """Sees nothing."""

    def begin(self, source: RecordedSource) -> None:
        """A file begins."""

    def advance(self, source: RecordedSource, frames: int) -> None:
        """Frames are done."""

    def note(self, text: str) -> None:
        """A note."""

    def end(self, source: RecordedSource, fault: str, /) -> None:
        """It ended."""


def _replay(recording: Path, out: Path) -> float:
    """Times real time of one replay with a fresh pipeline."""
    service = load_service(Config())
    publisher = Publisher("bench", epoch="bench", replay=True)
    with LineFile(out) as lines:
        wire = WireSink(publisher, service.prompts.prompts, [lines.take], skeletons=False)
        summary = Replay([open_source(recording)], service.pipeline, [wire], watcher=_Quiet()).run()
    return summary.media_s / summary.wall_s
