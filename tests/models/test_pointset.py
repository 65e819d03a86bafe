"""The point set: what it does not depend on, the stream against the whole, and the folder on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from poses import STANDING

from models.errors import CheckpointError, ModelError
from models.points import STEP_NS, WINDOW, PlaneState, V, phase, points
from models.pointset import PointSet, band_maxima, window_feature
from models.pointset_model import (
    ARCHITECTURE,
    FORMAT,
    PointSetManifest,
    PointSetModel,
    PointStream,
    load_pointset,
    save_pointset,
)

DIM = 8
SHIPPED = Path("models/weights/pointset")


def network(seed: int = 0) -> PointSet:
    torch.manual_seed(seed)
    return PointSet(width=8, blocks=2, features=16, classes=3, text_dim=DIM).eval().requires_grad_(False)


def save(folder: Path) -> PointSet:
    net = network()
    manifest = PointSetManifest(
        format=FORMAT, architecture=ARCHITECTURE, arguments=net.sizes, text_model="none", labels=("a", "b", "c"),
        texts=("an a", "a b"), label_of=(0, 1), training={"seed": 0}, terms="none",
    )  # fmt: skip
    weights = {name: value.numpy() for name, value in net.state_dict().items()}
    save_pointset(folder, manifest, weights, np.eye(2, DIM, dtype=np.float32))
    return net


@pytest.fixture
def model(tmp_path: Path) -> PointSetModel:
    save(tmp_path)
    return load_pointset(tmp_path)


def scene(frames: int, bodies: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """People (T, M, V, 3) who move at random, of whom joints, and now and then all of them, are missing."""
    rng = np.random.default_rng(seed)
    way = rng.normal(0, 0.05, (frames, bodies, 1, 3)).cumsum(axis=0)
    joints = STANDING + way + np.arange(bodies)[:, None, None] + rng.normal(0, 0.03, (frames, bodies, V, 3))
    confidence = (rng.random((frames, bodies, V)) > 0.2) * (rng.random((frames, bodies, 1)) > 0.1)
    return joints.astype(np.float32), confidence.astype(np.float32)


def whole(net: PointSet, joints: np.ndarray, confidence: np.ndarray, space: str) -> np.ndarray:
    """Bodies' features (T, M, F) of the causal network over a whole stream."""
    seen = points(joints[None], confidence[None], np.array([space == "image2d"]), PlaneState.new(1))
    return net(torch.from_numpy(seen), torch.from_numpy(phase(np.arange(len(joints)))[None]))[0].numpy()


def test_bands_are_maxima_of_ages() -> None:
    x = torch.rand(2, 20, 3)
    found = band_maxima(x).view(2, 20, 4, 3)
    for band, (first, last) in enumerate([(0, 0), (1, 2), (3, 6), (7, 14)]):
        for t in range(20):
            part = x[:, max(t - last, 0) : max(t - first + 1, 0)]
            expected = part.amax(1) if part.shape[1] else torch.zeros(2, 3)
            torch.testing.assert_close(found[:, t, band], expected)


@pytest.mark.parametrize("space", ["camera3d", "image2d"])
def test_a_stream_gives_what_the_whole_gives(space: str) -> None:
    net = network()
    joints, confidence = scene(90)
    expected = whole(net, joints, confidence, space)
    stream = PointStream(net)
    for t in range(90):
        assert stream.push(t * STEP_NS, joints[t], confidence[t], space, [5, 9])
        window = expected[max(t - WINDOW + 1, 0) : t + 1]
        np.testing.assert_allclose(stream.scene(), window.max(axis=(0, 1)), atol=1e-5)
        for body, track in enumerate((5, 9)):
            mine = stream.persons().get(track, np.zeros(16, np.float32))
            np.testing.assert_allclose(mine, window[:, body].max(axis=0), atol=1e-5)


def test_a_stream_with_gaps_and_changing_numbers_of_people() -> None:
    net = network()
    joints, confidence = scene(60, bodies=3)
    confidence[20:25] = 0
    confidence[40:, 1:] = 0
    expected = whole(net, joints, confidence, "camera3d")
    stream = PointStream(net)
    for t in range(60):
        there = confidence[t].any(axis=1)
        if not 20 <= t < 25:  # nothing comes at all
            stream.push(t * STEP_NS, joints[t, there], confidence[t, there], "camera3d")
        if t >= 25:
            np.testing.assert_allclose(stream.scene(), expected[t - WINDOW + 1 : t + 1].max(axis=(0, 1)), atol=1e-5)


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_exchanged_identities_change_nothing_of_the_scene(seed: int, bodies: int, frames: int) -> None:
    net = network()
    joints, confidence = scene(frames, bodies, seed)
    order = np.argsort(np.random.default_rng(seed).random((frames, bodies)), axis=1)
    mixed = np.take_along_axis(joints, order[:, :, None, None], axis=1)
    mixed_confidence = np.take_along_axis(confidence, order[:, :, None], axis=1)
    own, other = (whole(net, j, c, "image2d") for j, c in ((joints, confidence), (mixed, mixed_confidence)))
    np.testing.assert_allclose(own.max(axis=1), other.max(axis=1), atol=1e-5)


def test_points_are_a_set_and_padding_bodies_change_nothing() -> None:
    net = network()
    joints, confidence = scene(20)
    seen = points(joints[None], confidence[None], np.array([False]), PlaneState.new(1))
    order = np.random.default_rng(0).permutation(V)
    time = torch.from_numpy(phase(np.arange(20))[None])
    own = net(torch.from_numpy(seen), time)
    mixed = net(torch.from_numpy(seen[:, :, :, order]), time, torch.from_numpy(order))
    torch.testing.assert_close(own, mixed, atol=1e-5, rtol=1e-5)
    padded = net(torch.from_numpy(np.concatenate((seen, np.zeros_like(seen)), axis=2)), time)
    torch.testing.assert_close(own, padded[:, :, :2], atol=1e-5, rtol=1e-5)
    assert not padded[:, :, 2:].any()


def test_later_frames_change_nothing_and_reach_is_enough() -> None:
    net = network()
    joints, confidence = scene(120)
    full = whole(net, joints, confidence, "camera3d")
    np.testing.assert_allclose(whole(net, joints[:70], confidence[:70], "camera3d"), full[:70], atol=1e-5)
    seen = points(joints[None], confidence[None], np.array([False]), PlaneState.new(1))
    time = torch.from_numpy(phase(np.arange(120))[None])
    first = 119 - net.reach
    part = net(torch.from_numpy(seen[:, first:]), time[:, first:])
    torch.testing.assert_close(window_feature(part)[0].numpy(), full[-WINDOW:].max(axis=(0, 1)), atol=1e-5, rtol=1e-5)


def test_features_are_the_stream_after_the_last_frame(model: PointSetModel) -> None:
    joints, confidence = scene(150)
    stream = model.stream()
    for t in range(150):
        stream.push(round(t * 1e9 / 30), joints[t], confidence[t], "camera3d", [0, 1])
    found = model.features(joints, confidence, 30.0, "camera3d")
    np.testing.assert_allclose(found.scene, stream.scene(), atol=1e-5)
    np.testing.assert_allclose(found.persons, np.stack([stream.persons()[0], stream.persons()[1]]), atol=1e-5)
    assert found.seen.all()


def test_nobody_gives_zeros_and_not_seen(model: PointSetModel) -> None:
    joints, confidence = scene(1)
    confidence[:, 1] = 0
    found = model.features(joints, np.maximum(confidence, [[[1], [0]]]).astype(np.float32), 12.5, "camera3d")
    assert found.seen.tolist() == [True, False]
    assert not found.persons[1].any()
    empty = model.features(joints[:, :0], confidence[:, :0], 12.5, "camera3d")
    assert empty.scene.shape == (16,)
    assert not empty.scene.any()
    assert np.isfinite(model.similarity(empty.scene[None], model.prompts(np.eye(2, DIM, dtype=np.float32)))).all()


def test_similarity_is_the_largest_cosine(model: PointSetModel) -> None:
    vectors = np.eye(3, DIM, dtype=np.float32)
    features = np.random.default_rng(0).random((5, 16), np.float32)
    cosines = model.cosines(features, model.prompts(vectors))
    np.testing.assert_allclose(model.similarity(features, vectors), cosines.max(axis=1))
    assert np.abs(cosines).max() <= 1
    assert not model.similarity(features, np.zeros((0, DIM), np.float32)).any()
    with pytest.raises(ValueError, match="text vectors"):
        model.prompts(vectors[:, :-1])


def test_a_stream_that_goes_back_in_time_begins_anew(model: PointSetModel) -> None:
    joints, confidence = scene(10)
    stream = model.stream()
    for t in (50, 51, 52):
        stream.push(t * STEP_NS, joints[t - 50], confidence[t - 50], "camera3d")
    assert not stream.push(52 * STEP_NS + 1, joints[3], confidence[3], "camera3d")
    stream.push(7 * STEP_NS, joints[0], confidence[0], "camera3d")
    again = model.stream()
    again.push(7 * STEP_NS, joints[0], confidence[0], "camera3d")
    np.testing.assert_array_equal(stream.scene(), again.scene())


def test_wrong_arguments_are_refused(model: PointSetModel) -> None:
    joints, confidence = scene(3)
    with pytest.raises(ValueError, match="space"):
        model.features(joints, confidence, 12.5, "camera")
    with pytest.raises(ValueError, match="rate"):
        model.features(joints, confidence, 0.0, "camera3d")
    with pytest.raises(ValueError, match="T >= 1"):
        model.features(joints[:0], confidence[:0], 12.5, "camera3d")
    with pytest.raises(ValueError, match="tracks"):
        model.stream().push(0, joints[0], confidence[0], "camera3d", [1])
    with pytest.raises(ModelError, match="width"):
        PointSet(width=0)


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def of_another_kind(folder: Path) -> None:
    rewrite(folder, architecture="streaming")


def too_large(folder: Path) -> None:
    rewrite(folder, arguments={**json.loads((folder / "model.json").read_text())["arguments"], "features": 10**6})


def foreign_size(folder: Path) -> None:
    rewrite(folder, arguments={**json.loads((folder / "model.json").read_text())["arguments"], "sheep": 3})


def without_a_label(folder: Path) -> None:
    rewrite(folder, labels=["a", "b"])


def missing(folder: Path) -> None:
    (folder / "model.json").unlink()


def no_json(folder: Path) -> None:
    (folder / "model.json").write_text("{")


def rewrite(folder: Path, **fields: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    "damage", [cut_short, of_another_kind, too_large, foreign_size, without_a_label, missing, no_json]
)
def test_a_damaged_folder_is_refused_in_one_line(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    save(tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError) as error:
        load_pointset(tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_the_shipped_model_is_small_and_answers() -> None:
    model = load_pointset(SHIPPED)
    joints, confidence = scene(40)
    found = model.features(joints, confidence, 12.5, "camera3d")
    assert found.scene.shape == (model.dim,)
    assert "a person punches another person" in model.text
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 3_000_000
