"""The layouts of the sensors that posewire knows by name."""

from __future__ import annotations

from stream.layouts.canonical import CANONICAL
from stream.layouts.geometry import (
    LANDMARKS,
    SIDES,
    SPINE_MID_SHARE,
    Placement,
    above_face,
    limbs,
    middle,
    toward,
    trunk,
)
from stream.layouts.layout import Derivation, Layout, Point


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


KINECT_V1_JOINTS = _names(
    "HipCenter Spine ShoulderCenter Head ShoulderLeft ElbowLeft WristLeft HandLeft ShoulderRight ElbowRight WristRight "
    "HandRight HipLeft KneeLeft AnkleLeft FootLeft HipRight KneeRight AnkleRight FootRight"
)
"""Kinect for Windows SDK 1.8, `JointType`."""

AZURE_KINECT_JOINTS = _names(
    "PELVIS SPINE_NAVEL SPINE_CHEST NECK CLAVICLE_LEFT SHOULDER_LEFT ELBOW_LEFT WRIST_LEFT HAND_LEFT HANDTIP_LEFT "
    "THUMB_LEFT CLAVICLE_RIGHT SHOULDER_RIGHT ELBOW_RIGHT WRIST_RIGHT HAND_RIGHT HANDTIP_RIGHT THUMB_RIGHT HIP_LEFT "
    "KNEE_LEFT ANKLE_LEFT FOOT_LEFT HIP_RIGHT KNEE_RIGHT ANKLE_RIGHT FOOT_RIGHT HEAD NOSE EYE_LEFT EAR_LEFT EYE_RIGHT "
    "EAR_RIGHT"
)
"""Azure Kinect Body Tracking SDK 1.1, `k4abt_joint_id_t`."""

MEDIAPIPE_JOINTS = _names(
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear "
    "mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky "
    "right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle left_heel right_heel left_foot_index right_foot_index"
)
"""MediaPipe `PoseLandmark`."""

COCO_JOINTS = _names(
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
)
"""COCO keypoints, 2017."""

OPENPOSE_JOINTS = _names(
    "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle LHip LKnee LAnkle REye LEye REar LEar"
)
"""OpenPose `POSE_COCO_BODY_PARTS` (18): COCO with a neck, which is the middle of the shoulders."""

AZURE = Placement(hip_width=0.85, hip_drop=0.06)
"""Azure Kinect's hips are joint centres, a little wider than Kinect v2's; from its documented hierarchy and anatomy."""


def _identity() -> Layout:
    return Layout("kinect_v2", CANONICAL, {joint: Derivation((Point.of(joint),)) for joint in CANONICAL})


def _kinect_v1() -> Layout:
    # v1's hips sit far above v2's, and v1's Spine is not v2's SpineMid: by name alone a trained model loses most
    # of its accuracy.
    p = {joint: Point.of(joint) for joint in KINECT_V1_JOINTS}
    joints: dict[str, Point] = {}
    for side in SIDES:
        for name in ("Shoulder", "Elbow", "Wrist", "Hand", "Knee", "Ankle"):
            joints[name + side] = p[name + side]
        joints["Hip" + side] = toward(p["Hip" + side], p["Knee" + side], 0.22)
        joints["Foot" + side] = toward(p["Ankle" + side], p["Foot" + side], 1.4)
        joints["HandTip" + side] = toward(p["Wrist" + side], p["Hand" + side], 1.6)
        joints["Thumb" + side] = p["Hand" + side]
    centre, head = p["ShoulderCenter"], p["Head"]
    joints["SpineBase"] = middle(joints["HipLeft"], joints["HipRight"])
    joints["SpineShoulder"] = 0.45 * centre + 0.55 * middle(p["ShoulderLeft"], p["ShoulderRight"])
    joints["SpineMid"] = toward(joints["SpineBase"], joints["SpineShoulder"], SPINE_MID_SHARE)
    joints["Neck"] = toward(centre, head, 0.06)
    joints["Head"] = toward(centre, head, 0.85)
    return Layout("kinect_v1", KINECT_V1_JOINTS, {name: Derivation((point,)) for name, point in joints.items()})


def _azure_kinect() -> Layout:
    # SPINE_NAVEL and SPINE_CHEST divide the spine at about a third and two thirds: neither is SpineMid (0.574) nor
    # SpineShoulder, so both come from hips, shoulders and NECK instead. NECK is the seventh vertebra, just above
    # SpineShoulder; HEAD is the base of the skull, well below Kinect v2's Head.
    p = {joint: Point.of(joint) for joint in AZURE_KINECT_JOINTS}
    names = {"Hand": "HAND", "HandTip": "HANDTIP", "Thumb": "THUMB", "Elbow": "ELBOW", "Wrist": "WRIST", "Hip": "HIP"}
    names |= {"Shoulder": "SHOULDER", "Knee": "KNEE", "Ankle": "ANKLE"}
    q = {name + side: p[f"{theirs}_{side.upper()}"] for name, theirs in names.items() for side in SIDES}
    for side in SIDES:
        q["Foot" + side] = toward(q["Ankle" + side], p[f"FOOT_{side.upper()}"], 0.75)
    joints = trunk(q, AZURE) | limbs(q)
    spine_shoulder = middle(p["NECK"], middle(q["ShoulderLeft"], q["ShoulderRight"]))
    base = joints["SpineBase"].choices[0]
    joints["SpineShoulder"] = Derivation((spine_shoulder,))
    joints["SpineMid"] = Derivation((toward(base, spine_shoulder, SPINE_MID_SHARE),))
    joints["Neck"] = Derivation((toward(p["NECK"], p["HEAD"], 0.5),))
    joints["Head"] = Derivation((middle(p["EAR_LEFT"], p["EAR_RIGHT"]), toward(p["NECK"], p["HEAD"], 1.8)))
    return Layout("azure_kinect", AZURE_KINECT_JOINTS, joints)


def _head(p: dict[str, Point], left_ear: Point, right_ear: Point, nose: Point) -> Derivation:
    # From the side one ear is hidden: the other one, or the nose, is within a few centimetres.
    places = (middle(left_ear, right_ear), left_ear, right_ear, nose)
    return Derivation(tuple(above_face(p, place) for place in places))


def _landmarks(name: str, joints: tuple[str, ...], pattern: str) -> Layout:
    def point(part: str, side: str) -> Point:
        spelled = {"lower": side.lower() + "_" + part.lower(), "initial": side[0] + part}
        return Point.of(spelled[pattern])

    parts = ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
    p = {part + side: point(part, side) for part in parts for side in SIDES}
    if "left_index" in joints:
        for side in SIDES:
            wrist, index, pinky = p["Wrist" + side], point("index", side), point("pinky", side)
            knuckles = middle(index, pinky)
            p["Hand" + side] = knuckles
            p["HandTip" + side] = toward(wrist, knuckles, 2.0)
            p["Thumb" + side] = point("thumb", side)
            p["Foot" + side] = toward(p["Ankle" + side], point("foot_index", side), 0.7)
    nose = Point.of("nose" if pattern == "lower" else "Nose")
    head = _head(p, point("Ear", "Left"), point("Ear", "Right"), nose)
    return Layout(name, joints, trunk(p, LANDMARKS) | limbs(p) | {"Head": head})


SENSORS: dict[str, Layout] = {
    made.name: made
    for made in (
        _identity(),
        _kinect_v1(),
        _azure_kinect(),
        _landmarks("mediapipe", MEDIAPIPE_JOINTS, "lower"),
        _landmarks("coco", COCO_JOINTS, "lower"),
        _landmarks("openpose", OPENPOSE_JOINTS, "initial"),
    )
}
"""Every layout with a name of its own."""
