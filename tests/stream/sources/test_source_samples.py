"""Every real skeleton recording replays, upright, the right way round and with a person's proportions."""

from pathlib import Path

import numpy as np
import pytest
from skeleton_files import SAMPLES

from stream.layouts import (
    ANKLE_LEFT,
    ANKLE_RIGHT,
    BONES,
    FOOT_LEFT,
    FOOT_RIGHT,
    HEAD,
    SHOULDER_LEFT,
    SHOULDER_RIGHT,
    SPINE_BASE,
    SPINE_SHOULDER,
    layout,
)
from stream.sources.files import expand, open_source
from stream.types import Space

DEMO = Path(__file__).parents[3] / "stream" / "demo"
FRAMES = {
    "bvh/dab.bvh": 339,
    "bvh/jesse_dance.bvh": 1007,
    "bvh/jumping.bvh": 654,
    "bvh/jumping_jacks.bvh": 125,
    "bvh/wave_hello.bvh": 839,
    "bvh/zombie.bvh": 779,
    "kinect_v1_precog/Seq1_1.csv": 232,
    "kinect_v1_precog/Seq1_10.csv": 228,
    "kinect_v1_precog/Seq1_11.csv": 348,
    "kinect_v1_precog/Seq1_12.csv": 287,
    "kinect_v1_precog/Seq1_2.csv": 260,
    "kinect_v1_precog/Seq1_3.csv": 213,
    "kinect_v2_labanotation/Ges01_wavehand.csv": 154,
    "kinect_v2_labanotation/Ges02_balancinghands.csv": 161,
    "kinect_v2_labanotation/Ges03_drawlines.csv": 213,
    "kinect_v2_labanotation/Ges04_comehere.csv": 172,
    "kinect_v2_labanotation/Ges05_demopoint.csv": 190,
    "kinect_v2_labanotation/Ges06_chickenwing.csv": 160,
    "kinect_v2_labanotation/joints.csv": 371,
    "ntu_local_only/S001C001P001R001A001.skeleton": 103,
}
needs_samples = pytest.mark.skipif(not SAMPLES.exists(), reason="needs ../shared/data/samples")


@needs_samples
def test_no_sample_is_left_out() -> None:
    assert {path.relative_to(SAMPLES).as_posix() for path in expand([SAMPLES])} == set(FRAMES)


def check(path: Path, frames: int) -> None:
    with open_source(path) as source:
        read = list(source)
    assert len(read) == frames
    assert [frame.seq for frame in read] == list(range(frames))
    times = np.array([frame.t for frame in read])
    assert (np.diff(times) > 0).all()
    assert 0.005 < np.median(np.diff(times)) / 1e9 < 0.05
    assert {frame.layout for frame in read} == {read[0].layout}
    assert {frame.space for frame in read} == {Space.CAMERA3D}
    mapped = [layout(frame.layout).to_canonical(frame.joints, frame.confidence) for frame in read]
    joints = np.concatenate([one for one, _ in mapped])
    confidence = np.concatenate([one for _, one in mapped])
    assert len(joints) == frames  # one person throughout
    assert np.isfinite(joints).all()
    assert (confidence > 0).mean() > 0.75

    up = joints[:, SPINE_SHOULDER] - joints[:, SPINE_BASE]
    trunk = np.linalg.norm(up, axis=1)
    assert 0.4 < np.median(trunk) < 0.65
    assert np.median(up[:, 1] / trunk) > 0.9
    standing = joints[:, HEAD, 1] - (joints[:, ANKLE_LEFT, 1] + joints[:, ANKLE_RIGHT, 1]) / 2
    assert 1.1 < np.median(standing) < 1.7
    right = joints[:, SHOULDER_RIGHT] - joints[:, SHOULDER_LEFT]
    assert right[0, 0] > 0.15  # facing the camera, as every one does at first
    feet = joints[:, [FOOT_LEFT, FOOT_RIGHT]].mean(1) - joints[:, [ANKLE_LEFT, ANKLE_RIGHT]].mean(1)
    forward = np.cross(up, right)
    assert ((feet * forward).sum(1) > 0).mean() > 0.9  # toes point forward: a mirrored skeleton's would not
    bones = np.array([np.linalg.norm(joints[:, a] - joints[:, b], axis=1) for a, b in BONES])
    assert np.median(bones, axis=1).max() < 0.75
    assert np.quantile(bones, 0.99) < 0.9


@needs_samples
@pytest.mark.parametrize("name", FRAMES)
def test_sample_replays(name: str) -> None:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    check(path, FRAMES[name])


@pytest.mark.parametrize("path", sorted(DEMO.glob("*.csv")), ids=lambda path: path.name)
def test_bundled_demo_replays(path: Path) -> None:
    known = {Path(name).name: frames for name, frames in FRAMES.items()}
    check(path, known[path.name])


def test_demo_has_its_licences() -> None:
    assert "MIT" in (DEMO / "LICENCE-precog.txt").read_text()
    assert "MIT" in (DEMO / "LICENSE-labanotation.txt").read_text()
    assert len(expand([DEMO])) == 3
