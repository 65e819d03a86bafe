"""A recording that starts again at its end."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.sources.base import RecordedSource
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


class Given(RecordedSource):
    """A recorded source of the frames that it is given."""

    name = "given"

    def __init__(self, frames: list[SkeletonFrame]) -> None:
        self._frames = frames

    def frames(self) -> Iterator[SkeletonFrame]:
        yield from self._frames


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-100, 100)), max_size=20))
def test_times_and_numbers_go_on_as_in_the_plain_form(moments: list[tuple[str, int]]) -> None:
    nobody = np.zeros((0, 25, 3), np.float32)
    given = [
        SkeletonFrame(name, 7, t, "kinect_v2", nobody, nobody[..., 0], np.zeros(0, np.int64)) for name, t in moments
    ]
    with Looped(Given(given)) as source:
        seen = [(frame.source, frame.seq, frame.t) for frame in islice(source, 3 * len(given))]
    expected: list[tuple[str, int, int]] = []
    for number in range(3):
        for at, (name, t) in enumerate(moments):
            own = [other for source_name, other in moments if source_name == name]
            span = max(own) - min(own)
            shift = span + (span // (len(own) - 1) if len(own) > 1 else NANOSECONDS // 30)
            before = sum(source_name == name for source_name, _ in moments[:at])
            expected.append((name, number * len(own) + before, t + number * shift))
    assert seen == expected
