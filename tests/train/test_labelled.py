import contextlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import PosewireError
from stream.layouts import CANONICAL, HEAD, KINECT_V1_JOINTS, SPINE_BASE, WRIST_LEFT
from train.datasets.labelled import DataError, read_clips, read_recordings, runs

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
LIMBS = ("Shoulder", "UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toes")
BVH_JOINTS = ("joint_Root", "Hips", "Spine", "Chest", "Neck", "Head", *(f"{part}_{s}" for s in "LR" for part in LIMBS))
HEIGHTS = {"SpineBase": 0.9, "SpineShoulder": 1.4, "HipLeft": 0.9, "HipRight": 0.9, "Head": 1.7}


def people(frames: int, joints: tuple[str, ...] = CANONICAL) -> np.ndarray:
    """(T, V, 3) metres: a torso of half a metre, the rest anywhere near."""
    made = np.random.default_rng(0).uniform(0.1, 1.5, (frames, len(joints), 3))
    for v, name in enumerate(joints):
        if name in HEIGHTS:
            made[:, v] = (0.1, HEIGHTS[name], 2.5)
    return made


def archive(path: Path, **changes: Any) -> Path:
    """Three clips of a Kinect v2, of 10, 20 and 30 frames; a change to None takes a key out."""
    arrays = {
        "joints": np.round(people(60) * 1000).astype(np.int16),
        "offsets": np.array([0, 10, 30, 60]),
        "label": np.array(["wave", "sit", "wave"]),
        "subject": np.array(["s1", "s1", "s2"]),
        "clip": np.array(["a", "b", "c"]),
        "joint_names": np.array(CANONICAL),
        "meta": np.array(json.dumps({"fps": 15, "units": "mm", "frame": "Kinect v2 camera"})),
    } | changes
    np.savez_compressed(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def recordings(path: Path, **changes: Any) -> Path:
    """Two recordings of 40 and 20 frames, with neither tags nor labels of frames unless they are given."""
    names = {"label": None, "clip": None, "sequence": np.array(["r1", "r2"]), "subject": np.array(["s1", "s2"])}
    return archive(path, offsets=np.array([0, 40, 60]), **names | changes)


def tags(items: list[int], frames: list[int], labels: list[str]) -> dict[str, np.ndarray]:
    return {"tag_sequence": np.array(items), "tag_frame": np.array(frames), "tag_label": np.array(labels)}


def frame_labels(index: list[int]) -> dict[str, np.ndarray]:
    return {"frame_label": np.array(index, np.int8), "label_names": np.array(["none", "punch", "kick"])}


def test_trimmed_clips(tmp_path: Path) -> None:
    clips = read_clips(archive(tmp_path / "a.npz"))
    assert [(clip.label, clip.subject, clip.name) for clip in clips] == [
        ("wave", "s1", "a"), ("sit", "s1", "b"), ("wave", "s2", "c"),
    ]  # fmt: skip
    np.testing.assert_allclose(clips[1].times, np.arange(20) / 15)
    (body,) = clips[1].bodies
    assert body.joints.shape == (20, 25, 3)
    assert body.joints.dtype == body.confidence.dtype == np.float32
    np.testing.assert_allclose(body.joints, people(60)[10:30], atol=6e-4)
    assert (body.confidence == 1).all()


def test_what_is_zero_or_nan_is_missing(tmp_path: Path) -> None:
    joints = people(60)
    joints[:, HEAD] = 0
    joints[5, WRIST_LEFT, 1] = np.nan
    joints[6, WRIST_LEFT] = np.inf
    joints[7, WRIST_LEFT] = 1e300
    body = read_clips(archive(tmp_path / "a.npz", joints=joints, meta=np.array('{"units": "m"}')))[0].bodies[0]
    assert (body.confidence[:, HEAD] == 0).all()
    assert body.confidence[:, WRIST_LEFT].tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 1, 1]
    assert np.isfinite(body.joints).all()


@pytest.mark.parametrize(
    ("scale", "dtype", "units"),
    [
        (1000, np.int16, None), (1000, np.float32, None), (1000, np.float16, None), (100, np.float64, None),
        (1, np.float32, None), (1, np.float64, "m"), (1, np.float64, "metres"), (1000, np.int32, "Millimetres"),
        (100, np.int16, "cm"), (1000, np.float32, "mm"),
    ],
)  # fmt: skip
def test_units(tmp_path: Path, scale: float, dtype: type, units: str | None) -> None:
    meta = np.array(json.dumps({} if units is None else {"units": units}))
    path = archive(tmp_path / "a.npz", joints=(people(60) * scale).astype(dtype), meta=meta)
    clip = read_clips(path)[0]
    assert clip.bodies[0].joints[:, SPINE_BASE, 1] == pytest.approx(0.9, abs=0.01)
    np.testing.assert_allclose(clip.times, np.arange(10) / 30)


@pytest.mark.parametrize("joints", [KINECT_V1_JOINTS, tuple(reversed(KINECT_V1_JOINTS)), BVH_JOINTS])
def test_layouts_are_told_by_their_names(tmp_path: Path, joints: tuple[str, ...]) -> None:
    body = read_clips(archive(tmp_path / "a.npz", joints=people(60, joints), joint_names=np.array(joints)))[0].bodies[0]
    assert body.joints.shape == (10, 25, 3)
    assert (body.confidence[:, WRIST_LEFT] == 1).all()


def test_two_people(tmp_path: Path) -> None:
    a, b = people(60), people(60, KINECT_V1_JOINTS) + 0.5
    b[:10] = 0
    names = [f"A_{name}" for name in CANONICAL] + [f"B_{name}" for name in KINECT_V1_JOINTS]
    order = np.random.default_rng(1).permutation(len(names))
    changes = {"joints": np.concatenate([a, b], axis=1)[:, order], "meta": None}
    clips = read_clips(archive(tmp_path / "a.npz", joint_names=np.array(names)[order], **changes))
    assert [len(clip.bodies) for clip in clips] == [1, 2, 2]
    np.testing.assert_allclose(clips[1].bodies[0].joints, a[10:30], rtol=1e-5)
    np.testing.assert_allclose(clips[1].bodies[1].joints[:, WRIST_LEFT], b[10:30, 6], rtol=1e-5)
    changes["joint_names"] = np.array(names[:25] + list(KINECT_V1_JOINTS))
    with pytest.raises(DataError, match=r"'HipCenter' lacks the prefix A_ or B_"):
        read_clips(archive(tmp_path / "b.npz", **changes))


def test_clips_without_anybody_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    joints = people(60)
    joints[10:30] = 0
    offsets, four = np.array([0, 10, 30, 30, 60]), np.array(["a", "b", "c", "d"])
    with caplog.at_level(logging.WARNING):
        changes = {"joints": joints, "offsets": offsets, "clip": four, "meta": None, "subject": None}
        clips = read_clips(archive(tmp_path / "a.npz", label=four, **changes))
    assert [(clip.name, clip.subject) for clip in clips] == [("a", ""), ("d", "")]
    assert "left out 2 of 4 clips" in caplog.text
    with pytest.raises(DataError, match="nobody is seen in any of its 3 clips"):
        read_clips(archive(tmp_path / "b.npz", joints=np.zeros((60, 25, 3), np.int16)))


def test_recordings_with_action_points(tmp_path: Path) -> None:
    stamps = 7_000_000 + np.arange(60) * 40_000
    stamps[50] = stamps[49]  # the second recording's cannot be believed
    points = tags([0, 1, 0], [30, 10, 3], ["kick", "duck", "wave"])
    path = recordings(tmp_path / "a.npz", timestamp_us=stamps, **points)
    first, second = read_recordings(path)
    assert (first.name, first.subject, first.frame_labels) == ("r1", "s1", None)
    np.testing.assert_allclose(first.times, np.arange(40) * 0.04)
    assert [(pytest.approx(tag.time), tag.label) for tag in first.tags] == [(0.12, "wave"), (1.2, "kick")]
    np.testing.assert_allclose(second.times, np.arange(20) / 15)
    clips = read_clips(path)
    assert [(clip.label, clip.name, len(clip.times)) for clip in clips] == [
        ("kick", "r1[5:40]", 35), ("duck", "r2[0:20]", 20), ("wave", "r1[0:28]", 28),
    ]  # fmt: skip
    np.testing.assert_allclose(clips[0].times, np.arange(35) * 0.04)
    np.testing.assert_array_equal(clips[0].bodies[0].joints, first.bodies[0].joints[5:])


def test_recordings_with_labels_of_frames(tmp_path: Path) -> None:
    index = [0] * 10 + [1] * 28 + [2] * 2 + [2] * 17 + [0] * 3
    path = recordings(tmp_path / "a.npz", **frame_labels(index))
    first, second = read_recordings(path)
    assert first.tags == ()
    assert first.frame_labels is not None
    assert first.frame_labels[8:12] == ("none", "none", "punch", "punch")
    assert second.frame_labels == ("kick",) * 17 + ("none",) * 3
    # At 15 fps two frames are too few; those at the end of one recording do not join those of the next.
    names = [(clip.label, clip.name) for clip in read_clips(path)]
    assert names == [("none", "r1[0:10]"), ("punch", "r1[10:38]"), ("kick", "r2[0:17]"), ("none", "r2[17:20]")]


def test_runs() -> None:
    assert runs(["a", "a", "b", "a"]) == [(0, 2, "a"), (2, 3, "b"), (3, 4, "a")]
    assert runs([]) == []


def test_trimmed_clips_are_not_recordings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lacks tag_sequence, tag_frame, tag_label, or frame_label, label_names"):
        read_recordings(archive(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": None}, "lacks label;"),
        ({"offsets": None, "joint_names": None}, "lacks offsets, joint_names;"),
        ({"label": np.array(["a", "b"])}, r"label is <U1 \(2,\); expected strings \(3,\)"),
        ({"label": np.array([0.5, 1, 2])}, "label is float64"),
        ({"label": np.array(["a", "b", None], object)}, "cannot be read"),
        ({"joints": np.array([None])}, "cannot be read"),
        ({"offsets": np.array([0, 30, 10, 60])}, r"offsets\[2\] is 10 after 30"),
        ({"offsets": np.array([0, 10, 30, 61])}, r"offsets\[3\] is 61 after 30; expected 0 rising to 60"),
        ({"offsets": np.array([-5, 10, 30, 60])}, r"offsets\[1\]"),
        ({"offsets": np.array([0.0, 10, 30, 60])}, "offsets is float64"),
        ({"offsets": np.array(3)}, "offsets is int64"),
        ({"offsets": np.array([0])}, "offsets has 1 entries"),
        ({"joints": np.ones((60, 25, 2))}, "2-D"),
        ({"joints": np.ones((60, 75))}, "expected numbers"),
        ({"joints": np.ones((60, 25, 4))}, "expected numbers"),
        ({"joints": np.ones((60, 25, 3), complex)}, "expected numbers"),
        ({"joints": np.ones((60, 24, 3))}, r"joint_names is <U13 \(25,\); expected strings \(24,\)"),
        ({"joint_names": np.array([f"j{v}" for v in range(25)])}, "do not say which joint is"),
        ({"joint_names": np.array(["Head"] * 25)}, "differ"),
        ({"meta": np.array("fps 30")}, "meta is 'fps 30'; expected a JSON object"),
        ({"meta": np.array("[" * 100_000)}, "meta is"),
        ({"meta": np.array("[]")}, "meta is"),
        ({"meta": np.array('{"fps": -1}')}, "fps '-1'"),
        ({"meta": np.array('{"fps": NaN}')}, "fps 'nan'"),
        ({"meta": np.array('{"fps": "fast"}')}, "fps 'fast'"),
        ({"meta": np.array('{"units": "px + visibility"}')}, "units 'px .*3-D joints in mm, cm or m"),
        ({"label": None, **tags([0], [0], ["a"]), "tag_frame": None}, "lacks tag_frame;"),
        ({"label": None, **tags([3], [0], ["a"])}, r"tag_sequence\[0\] is 3"),
        ({"label": None, **tags([0], [10], ["a"])}, r"tag_frame\[0\] is 10; recording 0 has 10 frames"),
        ({"label": None, **tags([0], [-1], ["a"])}, r"tag_frame\[0\] is -1"),
        ({"label": None, **tags([0, 1], [0, 1], ["a"])}, r"tag_sequence is int64 \(2,\)"),
        ({"label": None, **frame_labels([0] * 59)}, "frame_label is int8"),
        ({"label": None, **frame_labels([0] * 59 + [3])}, "frame_label has 3; expected 0 to 2"),
        ({"label": None, "frame_label": np.zeros(60, int)}, "lacks label_names"),
        ({"label": None, **tags([0], [0], ["a"]), "timestamp_us": np.arange(9)}, "timestamp_us is int64"),
    ],
)
def test_malformed_archives(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = archive(tmp_path / "bad.npz", **changes)
    with pytest.raises(DataError, match=message) as caught:
        read_clips(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, PosewireError)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found"):
        read_clips(tmp_path / "none.npz")
    with pytest.raises(DataError, match="not found"):
        read_clips(tmp_path)
    (tmp_path / "text.npz").write_text("time,x,y")
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name in ("text.npz", "one.npy"):
        with pytest.raises(DataError, match=r"not an \.npz archive"):
            read_recordings(tmp_path / name)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_archives_are_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    content = bytearray(archive(path).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content)
    with contextlib.suppress(DataError):
        assert all(clip.bodies for clip in read_clips(path))


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"needs ../shared/data/{name}")
    return path


@pytest.mark.parametrize(
    ("name", "clips", "labels", "people"),
    [
        ("clips/msr_action3d.npz", 566, 20, 10),
        ("clips/labanotation_kinect2.npz", 7, 7, 1),
        ("clips/precog16.npz", 720, 9, 12),
        ("untrimmed/precog16.npz", 581, 9, 12),
    ],
)
def test_real_clips(name: str, clips: int, labels: int, people: int) -> None:
    found = read_clips(shared(name))
    assert len(found) == clips
    assert len({clip.label for clip in found}) == labels
    assert len({clip.subject for clip in found}) == people


def test_real_recordings() -> None:
    found = read_recordings(shared("untrimmed/precog16.npz"))
    assert len(found) == 70
    assert all(recording.frame_labels and len(recording.frame_labels) == len(recording.times) for recording in found)
    heights = [np.ptp(body.joints[body.confidence.all(axis=1), :, 1]) for r in found for body in r.bodies]
    assert 0.8 < float(np.median(heights)) < 3


@pytest.mark.parametrize("name", ["clips/penn_action.npz", "clips/jhmdb.npz"])
def test_real_joints_of_images_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="this model takes 3-D joints"):
        read_clips(shared(name))
