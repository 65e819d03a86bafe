import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.frame50 import FRAMES, frame50, resize
from models.graph import CENTRE


def people(n: int = 2, frames: int = 70) -> np.ndarray:
    """Clips (N, 3, T, 25, 1) of people who move about."""
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.3, (n, 3, 1, 25, 1))
    pose[:, :, 0, 4, 0], pose[:, :, 0, 8, 0] = np.array([-0.2, 0.45, 0.05]), np.array([0.2, 0.45, -0.05])
    walk = np.cumsum(rng.normal(0, 0.02, (n, 3, frames, 1, 1)), axis=2)
    x = pose + walk + rng.normal(0, 0.01, (n, 3, frames, 25, 1))
    return (x + np.array([0, 0.2, 2.5])[:, None, None, None]).astype(np.float32)


def seen(x: np.ndarray) -> np.ndarray:
    return np.ones((len(x), *x.shape[2:]), bool)


@pytest.mark.parametrize("angle", [0.5, 2.0, 3.1, -1.7])
def test_where_and_how_a_body_stands_changes_nothing_and_its_size_does(angle: float) -> None:
    x = people(frames=FRAMES)  # not resized: a blend of two turned frames is not the turned blend
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    moved = np.einsum("ij,njtvm->nitvm", turn, x) + np.array([1.0, -0.4, 2.0])[:, None, None, None]
    np.testing.assert_allclose(frame50(moved.astype(np.float32), seen(x)), frame50(x, seen(x)), rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(frame50(2 * x, seen(x)), 2 * frame50(x, seen(x)), rtol=1e-4, atol=1e-5)


def test_every_frame_is_centred_and_faces_forward() -> None:
    y = frame50(people(), seen(people()))
    assert y.shape == (2, 3, FRAMES, 25, 1)
    np.testing.assert_allclose(y[:, :, :, CENTRE], 0, atol=1e-6)
    line = y[:, :, :, 8] - y[:, :, :, 4]
    assert (line[:, 0] > 0).all()
    np.testing.assert_allclose(line[:, 2], 0, atol=1e-5)


def test_what_is_not_seen_does_not_matter() -> None:
    x = people()
    mask = np.random.default_rng(1).random((2, 70, 25, 1)) > 0.3
    expected = frame50(x, mask)
    for junk in (1e30, np.nan, np.inf):
        np.testing.assert_array_equal(frame50(np.where(mask[:, None], x, np.float32(junk)), mask), expected)


def test_bodies_do_not_touch_each_other() -> None:
    x = people()
    both = np.concatenate([x[:1], x[1:]], axis=4)
    alone = frame50(x, seen(x))
    np.testing.assert_allclose(frame50(both, seen(both))[0, ..., 0], alone[0, ..., 0], atol=1e-6)
    np.testing.assert_allclose(frame50(both, seen(both))[0, ..., 1], alone[1, ..., 0], atol=1e-6)
    nobody = seen(both)
    nobody[..., 1] = False
    assert not frame50(both, nobody)[..., 1].any()


def test_time_is_resized_between_pixel_centres() -> None:
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    np.testing.assert_allclose(resize(x, 8)[0, 0, :, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_allclose(resize(x, 2)[0, 0, :, 0], [0.5, 2.5])


@settings(max_examples=60, deadline=None)
@given(
    x=hnp.arrays(np.float32, (1, 3, 4, 25, 1), elements=st.floats(width=32)),
    mask=hnp.arrays(np.bool_, (1, 4, 25, 1)),
)
def test_any_input_gives_finite_numbers(x: np.ndarray, mask: np.ndarray) -> None:
    assert np.isfinite(frame50(x, mask)).all()


@pytest.mark.parametrize(
    ("x", "mask"),
    [
        ((1, 3, 50, 20, 1), (1, 50, 20, 1)),
        ((1, 3, 50, 25, 1), (1, 49, 25, 1)),
        ((1, 3, 0, 25, 1), (1, 0, 25, 1)),
        ((1, 3, 50, 25), (1, 50, 25)),
    ],
)
def test_wrong_shapes_are_refused(x: tuple[int, ...], mask: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        frame50(np.zeros(x, np.float32), np.zeros(mask, bool))
