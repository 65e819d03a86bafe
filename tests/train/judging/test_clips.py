from pathlib import Path

import numpy as np
import pytest
from cosine_head import cosine_head
from train_oracle import ACTIONS, Oracle, clips_file, doing

from train.datasets.labelled import Body, Clip, read_clips
from train.judging.clips import encode, rows_of


@pytest.mark.parametrize(
    ("seconds", "rows", "squeezed"), [(0.0, 50, 50), (1.0, 50, 50), (2.1, 50, 50), (4.2, 99, 50), (299 / 30, 234, 50)]
)
def test_rows_of_a_clip(seconds: float, rows: int, squeezed: int) -> None:
    assert rows_of(seconds, 50, whole=True) == rows
    assert rows_of(seconds, 50, whole=False) == squeezed


def test_all_lengths_keep_their_order(tmp_path: Path) -> None:
    clips = read_clips(clips_file(tmp_path / "a.npz"))
    told: list[tuple[int, int]] = []
    encoded = encode(clips, Oracle(), lambda total, done: told.append((total, done)))
    assert encoded.labels == tuple(clip.label for clip in clips)
    np.testing.assert_allclose(encoded.features[:, :4], [[clip.label == name for name in ACTIONS] for clip in clips])
    assert told[-1] == (len(clips), len(clips))


def test_two_people_count_equally() -> None:
    times = np.arange(30) / 30
    seen = np.ones((30, 25), np.float32)
    bodies = tuple(Body(doing(name, 30).astype(np.float32), seen) for name in ("raise", "duck"))
    oracle = Oracle()
    encoded = encode([Clip(bodies, times, "raise", "s", "a"), Clip(bodies[:1], times, "raise", "s", "b")], oracle)
    assert encoded.clip.tolist() == [0, 0, 1]
    np.testing.assert_allclose(encoded.per_clip(encoded.features[:, :4]), [[0.5, 0.5, 0, 0], [1, 0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(encoded.embeddings(oracle), axis=1), 1, rtol=1e-5)


def test_unseen_joints_do_not_drag_others() -> None:
    """A joint that is lost in the middle of a clip is taken from the frames that have it."""
    joints = doing("raise", 30).astype(np.float32)
    seen = np.ones((30, 25), np.float32)
    seen[10:20, 11] = 0
    joints[10:20, 11] = 1e6
    seen_at: list[np.ndarray] = []

    class Looking(Oracle):
        def encode_clips(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
            seen_at.append(np.where(mask > 0, x[:, 0], 0))
            return super().encode_clips(x, mask)

    encode([Clip((Body(joints, seen),), np.arange(30) / 30, "raise", "s", "a")], Looking())
    assert np.abs(seen_at[0]).max() < 10


def test_a_model_of_windows_gets_one(tmp_path: Path) -> None:
    lengths: set[int] = set()

    class Windows(Oracle):
        def __init__(self) -> None:
            super().__init__()
            self.head = cosine_head(0.1)

        def encode_clips(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
            lengths.add(x.shape[2])
            return super().encode_clips(x, mask)

    encode(read_clips(clips_file(tmp_path / "a.npz")), Windows())
    assert lengths == {50}


def test_a_clip_of_one_frame() -> None:
    body = Body(doing("raise", 1).astype(np.float32), np.ones((1, 25), np.float32))
    encoded = encode([Clip((body,), np.zeros(1), "raise", "s", "a")], Oracle())
    np.testing.assert_allclose(encoded.features[0, :4], [1, 0, 0, 0])
