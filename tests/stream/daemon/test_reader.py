"""What a capture reads: named, encoded, and of a skeleton file some frames ahead."""

from __future__ import annotations

import pytest
from poses import frame, person

from stream.daemon.frame_part import encode_frame
from stream.daemon.links import decode
from stream.daemon.reader import Reader
from stream.errors import SourceError
from stream.sources.base import EndOfSource, Source, SourceTimeout
from stream.topics import MAX_NAME
from stream.types import SkeletonFrame


class Script(Source):
    """A source that gives frames, or raises, as it was told; `reads` counts."""

    name, live = "block", False

    def __init__(self, steps: list[SkeletonFrame | Exception]) -> None:
        self._steps = steps
        self.reads = 0

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self, timeout: float) -> SkeletonFrame:  # noqa: ARG002
        step = self._steps[self.reads]
        self.reads += 1
        if isinstance(step, Exception):
            raise step
        return step


def frames(count: int, source: str = "block") -> list[SkeletonFrame]:
    return [frame(seq, person(), seq=seq, source=source) for seq in range(count)]


def test_frames_are_read_some_at_a_time_and_come_one_by_one() -> None:
    source = Script([*frames(7), EndOfSource()])
    reader = Reader(source, 4)
    reads = []
    for seq in range(7):
        name, read, part, stages = reader.read()
        assert (name, read.seq, stages) == ("block", seq, {})
        assert part == encode_frame(read, "block")
        reads.append(source.reads)
    assert reads == [4, 4, 4, 4, 8, 8, 8]


@pytest.mark.parametrize("error", [EndOfSource(), SourceError("x", "broken")])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5])
def test_an_end_comes_behind_all_frames_and_stays(error: Exception, count: int) -> None:
    reader = Reader(Script([*frames(count), error, error]), 4)
    assert [reader.read()[1].seq for _ in range(count)] == list(range(count))
    for _ in range(2):
        with pytest.raises(type(error)):
            reader.read()


def test_a_source_that_waits_is_read_one_at_a_time() -> None:
    first, second = frames(2)
    source = Script([first, SourceTimeout(), second])
    reader = Reader(source, 1)
    assert reader.read()[1] is first
    assert source.reads == 1
    with pytest.raises(SourceTimeout):
        reader.read()
    assert reader.read()[1] is second


def test_frames_of_other_names_go_under_that_of_the_block() -> None:
    reader = Reader(Script([*frames(1), *frames(1, "own"), *frames(1, "own"), *frames(1, "x" * MAX_NAME)]), 4)
    names = [(name, decode([part]).source) for name, _, part, _ in (reader.read() for _ in range(4))]
    assert [one for one, _ in names[:3]] == ["block", "block.own", "block.own"]
    assert len(names[3][0]) <= MAX_NAME
    assert all(one == other for one, other in names)
