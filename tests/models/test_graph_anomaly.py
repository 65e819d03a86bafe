"""Anomaly features of the graph encoder: shapes, missing people, order, 2-D, and real strikes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from poses import person
from small_model import make_model, pose

from models.anomaly import AnomalyScorer, NormalModel
from models.checkpoint import load
from models.errors import ModelError
from models.graph_anomaly import GraphAnomaly
from models.recogniser import Recogniser
from stream.layouts import layout

ROOT = Path(__file__).parents[2]
PRECOG = ROOT.parent / "shared" / "data" / "clips" / "precog16.npz"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def shipped() -> Recogniser:
    return load(ROOT / "models" / "weights" / "default", "cpu")


def motion(name: str, frames: int, seed: int = 0) -> NDArray[np.float32]:
    return np.stack([pose(name, frame / 25, seed) for frame in range(frames)])


def test_features_of_a_window_are_the_recognisers(small: Recogniser) -> None:
    graph = GraphAnomaly(small)
    x = motion("wave", 50)
    found = graph.features(x[:, None], np.ones((50, 1, 25), np.float32), 25.0, "camera3d")
    encoded = small.encode(x.transpose(2, 0, 1)[None], np.ones((1, 50, 25), np.float32))
    np.testing.assert_allclose(found.persons[0], graph.of_encoded(encoded)[0], atol=1e-5)
    np.testing.assert_allclose(found.persons[0, :2] ** 2, encoded[0, :2], atol=1e-5)
    assert found.persons.shape == (1, graph.dim)
    np.testing.assert_array_equal(found.scene, found.persons[0])
    window = graph.of_window(x.transpose(2, 0, 1), np.ones((50, 25), np.float32), "camera3d")
    np.testing.assert_allclose(window, found.scene, atol=1e-6)


def test_bodies_that_are_not_there_and_their_order_change_nothing(small: Recogniser) -> None:
    graph = GraphAnomaly(small)
    joints = np.stack([motion("wave", 60), motion("stand", 60), motion("squat", 60)], axis=1)
    confidence = np.ones(joints.shape[:3], np.float32)
    confidence[:, 1] = 0
    joints[:, 1] = np.nan
    found = graph.features(joints, confidence, 25.0, "camera3d")
    assert found.seen.tolist() == [True, False, True]
    assert not found.persons[1].any()
    assert np.isfinite(found.persons).all()
    turned = graph.features(joints[:, ::-1], confidence[:, ::-1], 25.0, "camera3d")
    np.testing.assert_allclose(turned.scene, found.scene, atol=1e-5)
    nobody = graph.features(joints, np.zeros_like(confidence), 25.0, "camera3d")
    assert not nobody.scene.any()
    assert not nobody.seen.any()


@pytest.mark.parametrize(("frames", "rate"), [(1, 25.0), (7, 30.0), (49, 15.0), (131, 25.0)])
def test_clips_of_any_length_and_rate(small: Recogniser, frames: int, rate: float) -> None:
    found = GraphAnomaly(small).features(
        motion("wave", frames)[:, None], np.ones((frames, 1, 25), np.float32), rate, "camera3d"
    )
    assert np.isfinite(found.scene).all()
    assert found.scene.any()


def test_a_clip_at_another_rate_is_about_the_same_clip(small: Recogniser) -> None:
    graph = GraphAnomaly(small)
    slow = motion("squat", 60)
    fast = np.stack([pose("squat", frame / 50) for frame in range(119)])
    rows = [
        graph.features(x[:, None], np.ones((len(x), 1, 25), np.float32), rate, "camera3d").scene
        for x, rate in ((slow, 25.0), (fast, 50.0), (motion("wave", 60), 25.0))
    ]
    assert np.linalg.norm(rows[0] - rows[1]) < 0.3 * np.linalg.norm(rows[0] - rows[2])


def test_an_image_of_someone_who_faces_the_camera_is_about_the_person(shipped: Recogniser) -> None:
    graph = GraphAnomaly(shipped)
    ones = np.ones((50, 1, 25), np.float32)
    rows = {}
    for name in ("wave", "stand"):
        x = motion(name, 50)[:, None]
        rows[name] = graph.features(x, ones, 25.0, "camera3d").scene
        pixels = x * np.array([-310, -310, 0], np.float32) + np.array([640, 360, 0], np.float32)
        rows[f"{name} in pixels"] = graph.features(pixels, ones, 25.0, "image2d").scene
        shares = pixels / 1000
        rows[f"{name} in shares"] = graph.features(shares, ones, 25.0, "image2d").scene
    apart = np.linalg.norm(rows["wave"] - rows["stand"])
    for unit in ("pixels", "shares"):
        assert np.linalg.norm(rows["wave"] - rows[f"wave in {unit}"]) < 0.5 * apart
    np.testing.assert_allclose(rows["wave in pixels"], rows["wave in shares"], atol=1e-3)


def test_an_image_without_spine_or_without_torso_has_features(small: Recogniser) -> None:
    graph = GraphAnomaly(small)
    pixels = np.tile(person() * np.array([-310, -310, 0], np.float32), (20, 1, 1, 1))
    for unseen in ([0, 1, 20], [0, 1, 20, 4, 8], list(range(24))):
        confidence = np.ones((20, 1, 25), np.float32)
        confidence[..., unseen] = 0
        assert np.isfinite(graph.features(pixels, confidence, 25.0, "image2d").scene).all()


def test_wrong_shapes_and_other_models_are_refused(small: Recogniser) -> None:
    graph = GraphAnomaly(small)
    with pytest.raises(ValueError, match="expected joints"):
        graph.features(np.zeros((0, 1, 25, 3), np.float32), np.zeros((0, 1, 25), np.float32), 25.0, "camera3d")
    with pytest.raises(ValueError, match="expected joints"):
        graph.features(np.zeros((2, 1, 20, 3), np.float32), np.zeros((2, 1, 20), np.float32), 25.0, "camera3d")

    class Other:
        head, kind = object(), "recipe smie, stgcn"

    with pytest.raises(ModelError, match="expected a streaming one"):
        GraphAnomaly(Other())  # type: ignore[arg-type]


@pytest.mark.skipif(not PRECOG.exists(), reason="../shared/data is not here")
def test_strikes_are_less_normal_than_what_is_no_strike(shipped: Recogniser) -> None:
    """People left out; 16 frames of every fourth segment: of one length, since that says nothing of a strike."""
    graph = GraphAnomaly(shipped)
    data = np.load(PRECOG, allow_pickle=False)
    offsets, kinect = data["offsets"], layout("kinect_v1")
    rows, strikes, people = [], [], []
    for clip in range(0, len(offsets) - 1, 4):
        if (spare := offsets[clip + 1] - offsets[clip] - 16) < 0:
            continue
        start = offsets[clip] + spare // 2
        joints = data["joints"][start : start + 16].astype(np.float32) / 1000
        joints, confidence = kinect.to_canonical(joints, (np.abs(joints).sum(axis=2) > 0).astype(np.float32))
        rows.append(graph.features(joints[:, None], confidence[:, None], 30.0, "camera3d").scene)
        strikes.append(data["label"][clip] != "none")
        people.append(data["subject"][clip])
    features, strike = np.stack(rows), np.array(strikes)
    held = np.isin(people, np.unique(people)[::3])
    normal = NormalModel(graph.dim)
    normal.add(features[~held & ~strike])
    prompts = graph.prompts(np.stack([shipped.text[text] for text in ("a person punches", "a person kicks")]))
    scores = AnomalyScorer.of(graph, prompts, normal)(features[held])
    assert scores.ood is not None
    for score in (scores.ood, scores.prompt, scores.product):
        wins = score[strike[held]][:, None] > score[~strike[held]][None]
        assert wins.mean() > 0.85  # the area under the ROC curve
        assert (score == 1).mean() < 0.05
