"""The synthetic source: the same people for the same seed, and a clock that is the caller's."""

import numpy as np
import pytest

from stream.errors import SourceError
from stream.layouts import BONES, HAND_LEFT, HAND_RIGHT, HEAD, SHOULDER_LEFT, SHOULDER_RIGHT
from stream.sources.base import EndOfSource, SourceTimeout
from stream.sources.synthetic import SyntheticSource


class Clock:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def frames(**options: int) -> list[np.ndarray]:
    with SyntheticSource("made", frames=60, **options) as source:
        return [frame.joints for frame in source]


def test_the_same_seed_gives_the_same_frames() -> None:
    assert all(map(np.array_equal, frames(seed=3, people=2), frames(seed=3, people=2)))
    assert not np.array_equal(frames(seed=3)[0], frames(seed=4)[0])


def test_people_are_plausible() -> None:
    joints = np.array(frames(people=2))  # (F, M, V, 3)
    assert joints.shape == (60, 2, 25, 3)
    assert (joints[:, :, SHOULDER_RIGHT, 0] > joints[:, :, SHOULDER_LEFT, 0]).all()
    lengths = np.array([np.linalg.norm(joints[:, :, a] - joints[:, :, b], axis=-1) for a, b in BONES])
    assert lengths.max() < 0.4
    assert (lengths.std(axis=1) < 0.01).all()
    assert (joints[:, 1, HAND_RIGHT, 1] > joints[:, 1, HEAD, 1] - 0.2).all()  # waving
    assert (joints[:, 1, HAND_LEFT, 1] < joints[:, 1, HEAD, 1] - 0.5).all()
    assert (joints[:, 0, HAND_RIGHT, 1] < joints[:, 0, HEAD, 1] - 0.5).all()


def test_unpaced_frames_come_at_once_until_the_end() -> None:
    with SyntheticSource("made", people=0, fps=10, frames=3) as source:
        assert [frame.t for frame in source] == [0, 100_000_000, 200_000_000]
        with pytest.raises(EndOfSource):
            source.read(0)
    with pytest.raises(RuntimeError, match="not open"):
        source.read(0)


def test_paced_frames_come_at_their_time_and_honour_the_timeout() -> None:
    clock = Clock()
    with SyntheticSource("made", fps=10, clock=clock, sleep=clock.sleep) as source:
        assert source.read(0).seq == 0
        with pytest.raises(SourceTimeout):
            source.read(0.03)
        assert clock.now == pytest.approx(1000.03)
        assert source.read(1).seq == 1
        assert clock.now == pytest.approx(1000.1)


def test_frames_that_nobody_takes_are_lost() -> None:
    clock = Clock()
    with SyntheticSource("made", fps=10, frames=20, clock=clock, sleep=clock.sleep) as source:
        assert source.read(1).seq == 0
        clock.sleep(0.55)
        assert source.read(1).seq == 5
        clock.sleep(10)
        assert source.read(1).seq == 19
        with pytest.raises(EndOfSource):
            source.read(1)


@pytest.mark.parametrize(
    "options", [{"people": 7}, {"people": -1}, {"fps": 0}, {"fps": float("nan")}, {"clock": Clock()}]
)
def test_impossible_options(options: dict[str, object]) -> None:
    with pytest.raises(SourceError, match="expected"):
        SyntheticSource("made", **options)  # type: ignore[arg-type]
