"""What each text format's reader makes of its columns."""

from pathlib import Path

import numpy as np
import pytest
import skeleton_files
from skeleton_files import BODY_ID, DATA, SAMPLES

from stream.errors import SourceError
from stream.layouts import KINECT_V1_JOINTS, SPINE_BASE, layout
from stream.sources.base import EndOfSource
from stream.sources.files import open_source
from stream.sources.kinect_v1_csv import KinectV1Csv
from stream.sources.ntu import read_bodies
from stream.types import NO_TRACK, SkeletonFrame


def read(path: Path, content: bytes, fps: float | None = None) -> list[SkeletonFrame]:
    path.write_bytes(content)
    with open_source(path, fps=fps) as source:
        return list(source)


def test_ntu_bodies_ids_and_states(tmp_path: Path) -> None:
    frames = read(tmp_path / "a.skeleton", skeleton_files.ntu(frames=4, bodies=3))
    made = skeleton_files.people(3, 4)
    assert [frame.t for frame in frames] == [0, 33_333_333, 66_666_667, 100_000_000]
    for frame, truth in zip(frames, made, strict=True):
        assert frame.layout == "kinect_v2"
        assert frame.track_ids.tolist() == [BODY_ID, BODY_ID + 1, BODY_ID + 2]
        np.testing.assert_allclose(frame.joints, truth.joints, atol=1e-5)
        assert frame.confidence[:, :4].tolist() == [[1, 0.5, 0, 1]] * 3


def test_ntu_frames_without_people_keep_the_time(tmp_path: Path) -> None:
    frames = read(tmp_path / "a.skeleton", b"3\n0\n0\n0\n")
    assert [(frame.t, frame.joints.shape) for frame in frames] == [(t, (0, 25, 3)) for t in (0, 33333333, 66666667)]


def test_ntu_gives_all_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.skeleton"
    path.write_bytes(skeleton_files.ntu(frames=1, bodies=1))
    ((body,),) = read_bodies(path)
    assert body.id == BODY_ID
    assert (body.hand_left_confidence, body.hand_right_state, body.restricted, body.tracking_state) == (1, 1, 0, 2)
    assert body.lean == (0.02, -0.05)
    assert body.depth[0].tolist() == [277.4, 191.8]
    assert body.colour[24].tolist() == [1036.2, 519.1]
    assert body.orientation[3].tolist() == [-0.2, 0.05, 0.96, -0.12]


def test_ntu_real_file_has_its_columns() -> None:
    path = SAMPLES / "ntu_local_only" / "S001C001P001R001A001.skeleton"
    if not path.exists():
        pytest.skip("needs ../shared/data/samples/ntu_local_only")
    first = next(read_bodies(path))[0]
    assert first.id == 72057594037931101
    assert first.joints[0].tolist() == [0.2181153, 0.1725972, 3.785547]
    assert first.colour[0].tolist() == [1036.233, 519.1677]
    assert first.confidence[5] == 0.5


def test_kinect_v2_times_are_the_files_own(tmp_path: Path) -> None:
    frames = read(tmp_path / "a.csv", skeleton_files.kinect_v2())
    assert frames[0].t == 89810293609 * 100
    assert frames[1].t == 89810634305 * 100
    np.testing.assert_allclose(frames[0].joints[0, 0], [0.0111604, -0.367822, 2.69467], atol=1e-6)
    assert frames[0].track_ids.tolist() == [NO_TRACK]


def test_kinect_v1_joints_and_labels() -> None:
    source = open_source(DATA / "kinect_v1.csv")
    assert isinstance(source, KinectV1Csv)
    with source:
        frames = list(source)
    assert len(frames) == 30
    np.testing.assert_allclose(frames[0].joints[0, 0], [-0.03781693, 0.1542334, 2.78046], atol=1e-6)
    assert list(source.labels()) == ["0"] * 9 + ["1"] * 21


def test_kinect_v1_columns_follow_the_header(tmp_path: Path) -> None:
    rows = [line.split(";") for line in skeleton_files.kinect_v1().decode().splitlines()]
    turned = "\n".join(";".join(row[:20][::-1] + row[20:]) for row in rows)
    straight = read(tmp_path / "a.csv", skeleton_files.kinect_v1())
    for frame, other in zip(straight, read(tmp_path / "b.csv", turned.encode()), strict=True):
        np.testing.assert_array_equal(frame.joints, other.joints)


def test_kinect_v1_zeros_are_missing(tmp_path: Path) -> None:
    header = ";".join(KINECT_V1_JOINTS)
    row = ["1 2 3"] * 19 + ["0 0 0"]
    one, none = read(
        tmp_path / "a.csv", f"{header}\n{';'.join(row)};wave\n{';'.join(['0 0 0'] * 20)}\n".encode(), fps=15
    )
    assert one.confidence[0].tolist() == [1.0] * 19 + [0.0]
    assert none.joints.shape == (0, 20, 3)
    assert none.t == 66_666_667


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\t"])
@pytest.mark.parametrize("bodies", [0, 1, 2])
def test_pku_bodies(tmp_path: Path, separator: str, bodies: int) -> None:
    frames = read(tmp_path / "a.txt", skeleton_files.pku(bodies=bodies, separator=separator))
    assert [len(frame.joints) for frame in frames] == [bodies] * 3
    assert frames[2].t == 66_666_667
    np.testing.assert_allclose(frames[1].joints, skeleton_files.people(bodies, 3)[1].joints, atol=1e-5)


@pytest.mark.parametrize("turned", [0.0, 90.0, 180.0, -45.0])
def test_bvh_faces_the_camera_in_metres(tmp_path: Path, turned: float) -> None:
    frames = read(tmp_path / "a.bvh", skeleton_files.bvh(turned=turned))
    made = layout(frames[0].layout)
    at = {name: frames[0].joints[0, v] for v, name in enumerate(made.joints)}
    assert [frame.t for frame in frames] == [0, 20_000_000, 40_000_000]
    assert at["RightHand"][0] - at["LeftHand"][0] == pytest.approx(1.2 * 1.7 / 1.609, abs=0.02)  # 120 cm of 161 cm
    assert at["LeftToeBase"][2] < at["LeftFoot"][2] - 0.1  # toes toward the camera
    assert at["Head"][1] > at["LeftFoot"][1] + 1.2
    mapped, confidence = made.to_canonical(frames[0].joints, frames[0].confidence)
    np.testing.assert_allclose(mapped[0, SPINE_BASE], [0, 0, 3], atol=1e-5)
    assert confidence.min() == 0  # a hand's end site alone does not say where palm and thumb are
    step = frames[2].joints - frames[0].joints
    walked = np.linalg.norm(step[0, 0])
    assert walked == pytest.approx(0.2 * 1.7 / 1.609, abs=0.01)


def test_bvh_forward_kinematics_by_hand(tmp_path: Path) -> None:
    content = skeleton_files.bvh(frames=2).decode().splitlines()
    values = content[-1].split()
    values[5] = "0"
    values[15:18] = ["90", "0", "0"]  # LeftArm about z: the arm points up instead of out
    frames = read(tmp_path / "a.bvh", "\n".join([*content[:-1], " ".join(values)]).encode())
    joints = layout(frames[0].layout).joints
    arm, hand = joints.index("LeftArm"), joints.index("LeftHand")
    before, after = (frame.joints[0, hand] - frame.joints[0, arm] for frame in frames)
    length = 0.4 * 1.7 / 1.609
    np.testing.assert_allclose(before, [-length, 0, 0], atol=0.01)
    np.testing.assert_allclose(after, [0, length, 0], atol=0.01)


@pytest.mark.parametrize("bad", [b"nan", b"inf", b"-inf", b"1e400", b"1e30"])
@pytest.mark.parametrize("name", ["a.skeleton", "b.txt", "c.csv", "d.csv"])
def test_faulty_coordinates_only_lose_their_joint(tmp_path: Path, name: str, bad: bytes) -> None:
    content = skeleton_files.everything(tmp_path)[name]
    first_line = {"a.skeleton": 4, "b.txt": 0, "c.csv": 1, "d.csv": 0}[name]
    first_field = 1 if name == "d.csv" else 0
    coordinate = content.splitlines()[first_line].replace(b",", b" ").split()[first_field]
    good = read(tmp_path / name, content)
    frames = read(tmp_path / ("bad-" + name), content.replace(coordinate, bad, 1))
    assert len(frames) == 3
    assert good[0].confidence[0, 0] == 1
    assert frames[0].confidence[0, 0] == 0
    np.testing.assert_array_equal(frames[0].joints[0, 0], 0)
    np.testing.assert_array_equal(frames[0].joints[0, 1:], good[0].joints[0, 1:])


def test_bvh_faulty_channel_loses_its_frame(tmp_path: Path) -> None:
    lines = skeleton_files.bvh().splitlines()
    lines[-2] = b"nan" + lines[-2][1:]
    assert [len(frame.joints) for frame in read(tmp_path / "a.bvh", b"\n".join(lines))] == [1, 0, 1]


def test_frames_before_a_fault_are_delivered(tmp_path: Path) -> None:
    for name, content in skeleton_files.everything(tmp_path).items():
        path = tmp_path / name
        path.write_bytes(content + b"garbage that is no frame\n")
        with open_source(path) as source:
            for _ in range(3):
                source.read(1)
            with pytest.raises(SourceError, match="expected"):
                source.read(1)
            with pytest.raises(EndOfSource):
                source.read(1)


def test_a_source_opens_again_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(skeleton_files.pku())
    source = open_source(path)
    for _ in range(2):
        with source:
            assert source.read(1).seq == 0
            assert source.read(1).seq == 1
    with pytest.raises(RuntimeError, match="not open"):
        source.read(1)
