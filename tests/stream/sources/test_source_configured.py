"""A recording that starts again at its end."""

from itertools import islice
from pathlib import Path

import numpy as np

from stream.sources.configured import Looped
from stream.sources.recording import RecordingSource, RecordingWriter
from stream.types import NANOSECONDS, SkeletonFrame


def test_sources_with_other_clocks_go_on_each_by_its_own(tmp_path: Path) -> None:
    nobody = np.zeros((0, 25, 3), np.float32)
    unix = 1_700_000_000 * NANOSECONDS
    with RecordingWriter(tmp_path / "a.pwr") as writer:
        for seq in range(3):
            for source, start in (("old", 0), ("new", unix)):
                t = start + seq * NANOSECONDS
                writer.write(SkeletonFrame(source, seq, t, "kinect_v2", nobody, nobody[..., 0], np.zeros(0, np.int64)))
    with Looped(RecordingSource(tmp_path / "a.pwr", "a")) as source:
        frames = list(islice(source, 24))
    for name, start in (("old", 0), ("new", unix)):
        own = [(frame.t - start, frame.seq) for frame in frames if frame.source == name]
        assert own == [(i * NANOSECONDS, i) for i in range(12)]
