"""Tracks stepped frame by frame give what the network makes of all that they have shown, at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.causal import STRIDE
from models.graph import JOINTS
from models.matrices import Matrices
from models.normaliser import NormaliserState, normalise
from models.streaming import POOLED_STEPPING, StreamingNetwork
from models.track_states import FIRST, TrackStates

V = len(JOINTS)
LONGEST = 120


@pytest.fixture(scope="module")
def network() -> StreamingNetwork:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = StreamingNetwork(own=5, taught=7, channels=32, hidden=48, features=40).eval()
    for module in network.modules():  # norms that do something, as after training
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean, 0, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.bias)
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray]:
    """Frames (4, T, V, 3) of people who move about, and masks (4, T, V)."""
    rng = np.random.default_rng(0)
    x = 0.3 * rng.standard_normal((4, 1, V, 3)) + 0.03 * np.cumsum(rng.standard_normal((4, LONGEST, V, 3)), axis=1)
    x[..., 2] += 3
    return x.astype(np.float32), (rng.random((4, LONGEST, V)) > 0.1).astype(np.float32)


def whole(network: StreamingNetwork, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What the whole clip (T, V, 3) gives at its last frame, T a multiple of 4 and at least 8, through no state."""
    inputs = torch.from_numpy(normalise(x[None], mask[None], NormaliserState.new(1)))
    outputs = network.encoder(inputs)[:, :, 1:]
    return network.judge(outputs[:, :, -POOLED_STEPPING:].mean(dim=2)).numpy()[0]


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 6, 8, 10, 12, 50])
def test_stepping_gives_what_the_whole_clip_gives(
    network: StreamingNetwork, people: tuple[np.ndarray, np.ndarray], frames: int
) -> None:
    x, mask = people
    states = TrackStates(Matrices(network), frames)
    compared = 0
    for start in range(0, LONGEST - frames + 1, frames):
        now = slice(start, start + frames)
        features = states.step(["a", "b"], x[:2, now], mask[:2, now])
        if now.stop % STRIDE == 0 and now.stop >= 2 * STRIDE:
            compared += 1
            for row in range(2):
                expected = whole(network, x[row, : now.stop], mask[row, : now.stop])
                np.testing.assert_allclose(features[row, 0], expected, atol=1e-5)
    assert compared >= 1


def test_every_frame_gives_the_outputs_of_its_own_phase(
    network: StreamingNetwork, people: tuple[np.ndarray, np.ndarray]
) -> None:
    """Once what was before the strided form's first frame is out of sight of it."""
    x, mask = people
    inputs = normalise(x[:1], mask[:1], NormaliserState.new(1))
    states = TrackStates(Matrices(network), 1)
    features = np.stack([states.step(["a"], x[:1, t : t + 1], mask[:1, t : t + 1])[0, 0] for t in range(LONGEST)])
    for phase in range(STRIDE):
        outputs = network.encoder(torch.from_numpy(inputs[:, phase : LONGEST - (-phase % STRIDE)]))
        for n in range(12 + POOLED_STEPPING, outputs.shape[2]):
            pooled = outputs[:, :, n + 1 - POOLED_STEPPING : n + 1].mean(dim=2)
            at = phase + STRIDE * n + STRIDE - 1
            np.testing.assert_allclose(features[at], network.judge(pooled).numpy()[0], atol=1e-5)


@pytest.mark.parametrize("frames", [1, 4, 8, 10])
def test_many_frames_at_once_give_what_few_at_a_time_give(
    network: StreamingNetwork, people: tuple[np.ndarray, np.ndarray], frames: int
) -> None:
    x, mask = people
    slow, fast = TrackStates(Matrices(network), frames), TrackStates(Matrices(network), frames)
    expected = [
        slow.step([0, 1], x[:2, start : start + frames], mask[:2, start : start + frames])
        for start in range(0, LONGEST, frames)
    ]
    middle = 3 * frames
    found = [fast.step([0, 1], x[:2, part], mask[:2, part]) for part in (slice(0, middle), slice(middle, LONGEST))]
    np.testing.assert_allclose(np.concatenate(found, axis=1), np.concatenate(expected, axis=1), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=5, unique=True), min_size=1, max_size=40),
    st.sampled_from([1, 2, 4]),
    st.randoms(use_true_random=False),
)
def test_tracks_of_any_phase_with_births_and_gaps_are_stepped_together(
    network: StreamingNetwork,
    people: tuple[np.ndarray, np.ndarray],
    steps: list[list[int]],
    frames: int,
    random: object,
) -> None:
    """Each step is of some of eight tracks; now and then one is cleared, and begins anew when it comes again."""
    x, mask = people
    states = TrackStates(Matrices(network), frames)
    shown: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for number, tracks in enumerate(steps):
        at = (number * frames) % (LONGEST - frames)
        now = [(x[track % 4, at : at + frames], mask[track % 4, at : at + frames]) for track in tracks]
        features = states.step(tracks, np.stack([one for one, _ in now]), np.stack([one for _, one in now]))
        for track, part, found in zip(tracks, now, features, strict=True):
            shown.setdefault(track, []).append(part)
            seen = np.concatenate([one for one, _ in shown[track]])
            if len(seen) % STRIDE == 0 and len(seen) >= 2 * STRIDE:
                expected = whole(network, seen, np.concatenate([one for _, one in shown[track]]))
                np.testing.assert_allclose(found[0], expected, atol=1e-5)
        if random.random() < 0.2:  # type: ignore[attr-defined]
            states.clear(tracks[0])
            del shown[tracks[0]]
            assert tracks[0] not in states
    assert len(states) == len(shown)


def test_the_number_of_states_is_bounded_and_the_longest_unused_goes(
    network: StreamingNetwork, people: tuple[np.ndarray, np.ndarray]
) -> None:
    x, mask = people[0][:1, :4], people[1][:1, :4]
    states = TrackStates(Matrices(network), 4, most=3)
    for key in ("a", "b", "c", "a", "d"):
        fresh = states.step([key], x, mask)
    assert (len(states), states.evicted) == (3, 1)
    assert "b" not in states
    assert all(key in states for key in "acd")
    np.testing.assert_array_equal(states.step(["b"], x, mask), fresh)  # which begins anew, where "c" was
    assert (len(states), "c" in states, states.evicted) == (3, False, 2)


def test_room_grows_with_the_tracks_and_keeps_what_they_were(
    network: StreamingNetwork, people: tuple[np.ndarray, np.ndarray]
) -> None:
    x, mask = people
    states, alone = TrackStates(Matrices(network), 4), TrackStates(Matrices(network), 4)
    assert states.bytes_per_track < 40_000
    for start in range(0, 40, 4):
        states.step(["a"], x[:1, start : start + 4], mask[:1, start : start + 4])
        alone.step(["a"], x[:1, start : start + 4], mask[:1, start : start + 4])
    many = list(range(3 * FIRST))
    states.step(many, np.repeat(x[:1, :4], len(many), axis=0), np.repeat(mask[:1, :4], len(many), axis=0))
    np.testing.assert_allclose(
        states.step(["a"], x[:1, 40:44], mask[:1, 40:44]), alone.step(["a"], x[:1, 40:44], mask[:1, 40:44]), atol=1e-5
    )
    assert (len(states), states.evicted) == (len(many) + 1, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e30])
def test_a_broken_frame_does_not_stay_in_the_state(
    network: StreamingNetwork, people: tuple[np.ndarray, np.ndarray], bad: float
) -> None:
    x, mask = people[0][:2].copy(), np.ones_like(people[1][:2])
    x[0, 10:14, 3:20] = bad
    states = TrackStates(Matrices(network), 2)
    features = np.stack([states.step(["a", "b"], x[:, t : t + 2], mask[:, t : t + 2]) for t in range(0, LONGEST, 2)])
    assert np.isfinite(features).all()
    clean = TrackStates(Matrices(network), 2)
    alone = np.stack([clean.step(["b"], x[1:, t : t + 2], mask[1:, t : t + 2]) for t in range(0, LONGEST, 2)])
    np.testing.assert_allclose(features[:, 1], alone[:, 0], atol=1e-5)  # nor does it reach anybody else


def test_warming_up_leaves_nothing(network: StreamingNetwork) -> None:
    states = TrackStates(Matrices(network), 4)
    states.warm_up(20)
    assert (len(states), states.evicted) == (0, 0)


def test_what_does_not_fit_is_refused(network: StreamingNetwork) -> None:
    states = TrackStates(Matrices(network), 2, most=2)
    x, mask = np.zeros((2, 2, V, 3), np.float32), np.zeros((2, 2, V), np.float32)
    with pytest.raises(ValueError, match="each once"):
        states.step(["a", "a"], x, mask)
    with pytest.raises(ValueError, match="at most 2"):
        states.step(["a", "b", "c"], x[[0, 0, 0]], mask[[0, 0, 0]])
    with pytest.raises(ValueError, match="expected frames"):
        states.step(["a", "b"], x[:, :1], mask[:, :1])
    with pytest.raises(ValueError, match="1 or more"):
        TrackStates(Matrices(network), 0)
