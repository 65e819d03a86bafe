"""`posewire bench`: how fast it runs on this machine."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from itertools import islice
from pathlib import Path

from stream.commands.options import check_targets
from stream.config import Config
from stream.console import make_console
from stream.publisher import Publisher
from stream.replay import Replay
from stream.service import load_service
from stream.sinks import LineFile, OutputError, WireSink
from stream.sources.base import RecordedSource
from stream.sources.configured import Looped
from stream.sources.files import open_source
from stream.sources.recording import RecordingWriter

DEMO = Path(__file__).parents[1] / "demo" / "Seq1_11.csv"


def bench_replay(*, seconds: float, runs: int, out: Path | None) -> int:
    """Replay one person on one core as fast as it goes, several times, and print the ratio to real time.

    Raises:
        OptionError: `out` cannot be a file.
        OutputError: it cannot be written.
    """
    if out:
        check_targets({"--json": out})
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    console = make_console()
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "one_person.pwr"
        _record(recording, seconds)
        ratios = [_replay(recording, Path(folder) / "events.ndjson") for _ in range(runs)]
    result = {
        "median": round(statistics.median(ratios), 1),
        "min": round(min(ratios), 1),
        "max": round(max(ratios), 1),
        "runs": runs,
    }
    console.print(
        f"replay, one person, one core, {seconds:.0f} s recorded: {result['median']} times real time "
        f"(median of {runs} runs, {result['min']} to {result['max']})",
        soft_wrap=True,
    )
    if out:
        try:
            out.write_text(json.dumps({"ratios": {"replay_to_real_time": result}}, indent=2) + "\n")
        except OSError as error:
            raise OutputError(f"{out}: cannot be written ({error.strerror}); expected a place to write to") from error
    return 0


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


def _record(path: Path, seconds: float) -> None:
    with Looped(open_source(DEMO)) as source, RecordingWriter(path) as writer:
        for frame in islice(source, round(30 * seconds)):
            writer.write(frame)


def _replay(recording: Path, out: Path) -> float:
    """Times real time of one replay with a fresh pipeline; loading the model is not counted."""
    service = load_service(Config())
    publisher = Publisher("bench", epoch="bench", replay=True)
    with LineFile(out) as lines:
        wire = WireSink(publisher, service.prompts.prompts, [lines.take], skeletons=False)
        summary = Replay([open_source(recording)], service.pipeline, [wire], watcher=_Quiet()).run()
    return summary.media_s / summary.wall_s
