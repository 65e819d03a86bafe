"""Layouts: which joints come from where, what is missing, and that the geometry is Kinect v2's."""

from pathlib import Path

import numpy as np
import pytest

from stream.errors import PosewireError
from stream.layouts import (
    ANKLE_LEFT,
    BONES,
    CANONICAL,
    HAND_LEFT,
    HAND_TIP_LEFT,
    HEAD,
    HIP_LEFT,
    HIP_RIGHT,
    KINECT_V1_JOINTS,
    KNEE_LEFT,
    MIRROR,
    NECK,
    SHOULDER_LEFT,
    SHOULDER_RIGHT,
    SPINE_BASE,
    SPINE_MID,
    SPINE_SHOULDER,
    THUMB_LEFT,
    compact_layout,
    layout,
    layout_for_names,
)

CLIPS = Path(__file__).parents[2].parent / "shared" / "data" / "clips"
SENSORS = ("kinect_v2", "kinect_v1", "azure_kinect", "mediapipe", "coco", "openpose")


def _words(text: str) -> list[str]:
    return text.split()


MIXAMO = _words(
    "mixamorig:Hips Spine Spine1 Spine2 Neck Head HeadTop_End LeftShoulder LeftArm LeftForeArm LeftHand "
    "LeftHandMiddle1 LeftHandThumb1 RightShoulder RightArm RightForeArm RightHand RightHandMiddle1 RightHandThumb1 "
    "LeftUpLeg LeftLeg LeftFoot LeftToeBase RightUpLeg RightLeg RightFoot RightToeBase"
)
UNREAL = _words(
    "pelvis spine_01 neck_01 head clavicle_l upperarm_l lowerarm_l hand_l clavicle_r upperarm_r lowerarm_r hand_r "
    "thigh_l calf_l foot_l ball_l thigh_r calf_r foot_r ball_r"
)


def seen(name: str) -> set[str]:
    """Names of the canonical joints that a layout can give."""
    made = layout(name)
    _, confidence = made.to_canonical(np.zeros((len(made.joints), 3)), np.ones(len(made.joints)))
    return {CANONICAL[v] for v in np.flatnonzero(confidence)}


def test_canonical_tree_and_mirror() -> None:
    assert len(CANONICAL) == 25
    assert len(BONES) == 24
    assert {child for child, _ in BONES} == set(range(25)) - {SPINE_BASE}
    assert [MIRROR[v] for v in MIRROR] == list(range(25))
    assert MIRROR[HIP_LEFT] == HIP_RIGHT
    assert MIRROR[HEAD] == HEAD


@pytest.mark.parametrize(("name", "joints"), list(zip(SENSORS, (25, 20, 32, 33, 17, 18), strict=True)))
def test_sensor_layouts_are_affine(name: str, joints: int) -> None:
    made = layout(name)
    assert len(made.joints) == len(set(made.joints)) == joints
    points = np.random.default_rng(0).normal(size=(joints, 3)).astype(np.float32)
    mapped, _ = made.to_canonical(points, np.ones(joints))
    moved, _ = made.to_canonical(2 * points + 3, np.ones(joints))
    np.testing.assert_allclose(moved, 2 * mapped + 3, atol=1e-4)


def test_kinect_v2_is_the_identity() -> None:
    points = np.random.default_rng(0).normal(size=(7, 2, 25, 3)).astype(np.float32)
    sure = np.random.default_rng(1).uniform(size=(7, 2, 25)).astype(np.float32)
    mapped, confidence = layout("kinect_v2").to_canonical(points, sure)
    np.testing.assert_array_equal(mapped, points)
    np.testing.assert_array_equal(confidence, sure)


def test_kinect_v1_geometry() -> None:
    p = np.random.default_rng(0).normal(size=(20, 3))
    j = {name: p[v] for v, name in enumerate(KINECT_V1_JOINTS)}
    mapped, confidence = layout("kinect_v1").to_canonical(p, np.ones(20))
    hips = [j[f"Hip{s}"] + 0.22 * (j[f"Knee{s}"] - j[f"Hip{s}"]) for s in ("Left", "Right")]
    base = (hips[0] + hips[1]) / 2
    top = 0.45 * j["ShoulderCenter"] + 0.55 * (j["ShoulderLeft"] + j["ShoulderRight"]) / 2
    expected = {
        "HipLeft": hips[0],
        "HipRight": hips[1],
        "SpineBase": base,
        "SpineShoulder": top,
        "SpineMid": base + 0.574 * (top - base),
        "Neck": j["ShoulderCenter"] + 0.06 * (j["Head"] - j["ShoulderCenter"]),
        "Head": j["ShoulderCenter"] + 0.85 * (j["Head"] - j["ShoulderCenter"]),
        "FootLeft": j["AnkleLeft"] + 1.4 * (j["FootLeft"] - j["AnkleLeft"]),
        "HandTipRight": j["HandRight"] + 0.6 * (j["HandRight"] - j["WristRight"]),
        "ThumbRight": j["HandRight"],
        "ElbowLeft": j["ElbowLeft"],
        "WristRight": j["WristRight"],
    }
    for name, place in expected.items():
        np.testing.assert_allclose(mapped[CANONICAL.index(name)], place, atol=1e-5, err_msg=name)
    assert (confidence == 1).all()


def test_missing_joints_have_no_confidence_but_finite_places() -> None:
    unseen = {f"{part}{side}" for part in ("Hand", "HandTip", "Thumb", "Foot") for side in ("Left", "Right")}
    assert seen("coco") == seen("openpose") == set(CANONICAL) - unseen
    assert seen("kinect_v1") == seen("mediapipe") == seen("azure_kinect") == set(CANONICAL)


def test_confidence_is_the_least_of_the_contributors() -> None:
    made = layout("kinect_v1")
    sure = np.ones(20)
    sure[KINECT_V1_JOINTS.index("KneeLeft")] = 0.5
    _, confidence = made.to_canonical(np.zeros((20, 3)), sure)
    half = {CANONICAL[v] for v in np.flatnonzero(confidence == 0.5)}
    assert half == {"KneeLeft", "HipLeft", "SpineBase", "SpineMid"}


def test_a_hidden_ear_does_not_lose_the_head() -> None:
    made = layout("coco")
    points = np.zeros((17, 3))
    points[made.joints.index("right_ear"), 1] = 1.0
    sure = np.ones(17)
    sure[made.joints.index("left_ear")] = 0
    mapped, confidence = made.to_canonical(points, sure)
    assert confidence[HEAD] == 1
    assert mapped[HEAD, 1] == pytest.approx(1.3)


def test_hidden_legs_do_not_lose_the_trunk() -> None:
    made = layout("mediapipe")
    sure = np.array([0.0 if "knee" in joint or "ankle" in joint else 1.0 for joint in made.joints])
    _, confidence = made.to_canonical(np.zeros((33, 3)), sure)
    trunk = [SPINE_BASE, SPINE_MID, SPINE_SHOULDER, NECK, HEAD, HIP_LEFT, SHOULDER_LEFT]
    assert (confidence[trunk] == 1).all()
    assert confidence[KNEE_LEFT] == confidence[ANKLE_LEFT] == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_faulty_coordinates_are_not_seen(bad: float) -> None:
    points = np.ones((4, 20, 3), np.float32)
    points[1, KINECT_V1_JOINTS.index("HandLeft"), 2] = bad
    mapped, confidence = layout("kinect_v1").to_canonical(points, np.ones((4, 20), np.float32))
    assert np.isfinite(mapped).all()
    assert np.flatnonzero(confidence[1] == 0).tolist() == [HAND_LEFT, HAND_TIP_LEFT, THUMB_LEFT]
    assert (confidence[[0, 2, 3]] == 1).all()
    assert (mapped[1, HAND_LEFT] == [1, 1, 0]).all() or (mapped[1, HAND_LEFT] == 0).all()


def test_confidence_out_of_range_is_clipped() -> None:
    sure = np.full(25, 7.0, np.float32)
    sure[:3] = np.nan, -1, 0.5
    _, confidence = layout("kinect_v2").to_canonical(np.ones((25, 3), np.float32), sure)
    assert confidence[:4].tolist() == [0, 0, 0.5, 1]


@pytest.mark.parametrize("shape", [(24, 3), (25, 2), (25,)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PosewireError, match="expected"):
        layout("kinect_v2").to_canonical(np.zeros(shape), np.zeros(shape[:-1]))


def test_unknown_layout_names_those_that_exist() -> None:
    with pytest.raises(PosewireError, match=r"kinect_v2.*kinect_v1.*azure_kinect.*mediapipe.*coco.*openpose"):
        layout("kinect_v3")


def test_sensor_layouts_are_found_by_names_in_any_order() -> None:
    assert layout_for_names(KINECT_V1_JOINTS) is layout("kinect_v1")
    names = KINECT_V1_JOINTS[::-1]
    points = np.random.default_rng(0).normal(size=(20, 3))
    expected, _ = layout("kinect_v1").to_canonical(points, np.ones(20))
    mapped, _ = layout_for_names(names).to_canonical(points[::-1], np.ones(20))
    np.testing.assert_allclose(mapped, expected, atol=1e-6)


@pytest.mark.parametrize("names", [MIXAMO, UNREAL])
def test_layouts_by_names_are_rebuilt_from_their_name(names: list[str]) -> None:
    made = compact_layout(names)
    assert set(made.joints) < set(names)
    points = np.random.default_rng(0).normal(size=(len(names), 3))
    full, sure = layout_for_names(names).to_canonical(points, np.ones(len(names)))
    columns = [names.index(joint) for joint in made.joints]
    mapped, confidence = layout(made.name).to_canonical(points[columns], np.ones(len(columns)))
    np.testing.assert_array_equal(confidence, sure)
    np.testing.assert_allclose(mapped, full, atol=1e-5)


def test_collar_bones_and_ankles_are_not_taken_for_shoulders_and_toes() -> None:
    used = layout_for_names(MIXAMO).derivations
    assert set(used["ShoulderLeft"].choices[0].weights) == {"LeftArm"}
    assert set(used["AnkleRight"].choices[0].weights) == {"RightFoot"}
    assert set(used["KneeRight"].choices[0].weights) == {"RightLeg"}
    assert set(used["WristLeft"].choices[0].weights) == {"LeftHand"}


@pytest.mark.parametrize(
    "names", [[], ["a", "a"], ["Hips", "Spine"], ["x"] * 600, ["a,b"], ["x" * 65], [n for n in UNREAL if n != "calf_r"]]
)
def test_names_that_are_no_body_are_refused(names: list[str]) -> None:
    with pytest.raises(PosewireError):
        layout_for_names(names)


# Medians over real recordings in units of SpineBase to SpineShoulder; Kinect v2 has thigh 0.65, shank 0.67, hips 0.3,
# shoulders 0.65, head 1.40. Animation skeletons have short trunks.
PROPORTIONS = {
    "labanotation_kinect2": (0.6, 0.7, 1.35, 1.45),
    "kinder_gator": (0.6, 0.7, 1.35, 1.45),
    "utd_mhad": (0.6, 0.75, 1.35, 1.45),
    "precog16": (0.6, 0.8, 1.33, 1.45),
    "bandai_namco": (0.6, 0.8, 1.25, 1.45),
    "penn_action": (0.6, 0.8, 1.30, 1.45),
    "jhmdb": (0.55, 0.75, 1.30, 1.45),
}


@pytest.mark.parametrize("clip", PROPORTIONS)
def test_real_skeletons_get_the_proportions_of_kinect_v2(clip: str) -> None:
    path = CLIPS / f"{clip}.npz"
    if not path.exists():
        pytest.skip("needs ../shared/data/clips")
    with np.load(path, allow_pickle=False) as data:
        names, joints = data["joint_names"].tolist(), data["joints"][::37].astype(np.float32)
    flat = joints.shape[2] == 2 or clip == "penn_action"
    joints = joints[(joints[..., :2] != 0).any(axis=2)[:, 1:].all(axis=1)]
    points = np.concatenate([joints[..., :2], 0 * joints[..., :1]], axis=2) if flat else joints
    mapped, confidence = layout_for_names(names).to_canonical(points, np.ones(points.shape[:2]))
    assert np.isfinite(mapped).all()
    assert confidence[:, [SPINE_BASE, SPINE_MID, SPINE_SHOULDER, NECK, HEAD]].all()

    def length(a: int, b: int) -> np.ndarray:
        return np.linalg.norm(mapped[:, a] - mapped[:, b], axis=1)

    trunk = length(SPINE_BASE, SPINE_SHOULDER)
    upright = trunk > 0
    if flat:  # frontal views only, where lengths in the image are lengths
        upright &= length(SHOULDER_LEFT, SHOULDER_RIGHT) > 0.45 * trunk
        upright &= length(HIP_LEFT, ANKLE_LEFT) > 0.97 * (length(HIP_LEFT, KNEE_LEFT) + length(KNEE_LEFT, ANKLE_LEFT))
    thigh = np.median((length(HIP_LEFT, KNEE_LEFT) / np.maximum(trunk, 1e-9))[upright])
    up = (mapped[:, SPINE_SHOULDER] - mapped[:, SPINE_BASE]) / np.maximum(trunk, 1e-9)[:, None]
    head = np.median((((mapped[:, HEAD] - mapped[:, SPINE_BASE]) * up).sum(1) / np.maximum(trunk, 1e-9))[upright])
    low, high, head_low, head_high = PROPORTIONS[clip]
    assert low < thigh < high
    assert head_low < head < head_high
