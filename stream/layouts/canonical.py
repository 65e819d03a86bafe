"""The canonical layout: the 25 joints of Kinect v2, in the order of the Kinect SDK and of NTU RGB+D.

Source: Microsoft Kinect for Windows SDK 2.0, `JointType`; Shahroudy et al., "NTU RGB+D", CVPR 2016, figure 1.
"""

from __future__ import annotations

CANONICAL: tuple[str, ...] = (
    "SpineBase",
    "SpineMid",
    "Neck",
    "Head",
    "ShoulderLeft",
    "ElbowLeft",
    "WristLeft",
    "HandLeft",
    "ShoulderRight",
    "ElbowRight",
    "WristRight",
    "HandRight",
    "HipLeft",
    "KneeLeft",
    "AnkleLeft",
    "FootLeft",
    "HipRight",
    "KneeRight",
    "AnkleRight",
    "FootRight",
    "SpineShoulder",
    "HandTipLeft",
    "ThumbLeft",
    "HandTipRight",
    "ThumbRight",
)
"""Names of the canonical joints; a joint's index is its place here. Left and right are the subject's own."""

SPINE_BASE, SPINE_MID, NECK, HEAD = 0, 1, 2, 3
SHOULDER_LEFT, ELBOW_LEFT, WRIST_LEFT, HAND_LEFT = 4, 5, 6, 7
SHOULDER_RIGHT, ELBOW_RIGHT, WRIST_RIGHT, HAND_RIGHT = 8, 9, 10, 11
HIP_LEFT, KNEE_LEFT, ANKLE_LEFT, FOOT_LEFT = 12, 13, 14, 15
HIP_RIGHT, KNEE_RIGHT, ANKLE_RIGHT, FOOT_RIGHT = 16, 17, 18, 19
SPINE_SHOULDER, HAND_TIP_LEFT, THUMB_LEFT, HAND_TIP_RIGHT, THUMB_RIGHT = 20, 21, 22, 23, 24

BONES: tuple[tuple[int, int], ...] = (
    (SPINE_MID, SPINE_BASE),
    (SPINE_SHOULDER, SPINE_MID),
    (NECK, SPINE_SHOULDER),
    (HEAD, NECK),
    (SHOULDER_LEFT, SPINE_SHOULDER),
    (ELBOW_LEFT, SHOULDER_LEFT),
    (WRIST_LEFT, ELBOW_LEFT),
    (HAND_LEFT, WRIST_LEFT),
    (HAND_TIP_LEFT, HAND_LEFT),
    (THUMB_LEFT, HAND_LEFT),
    (SHOULDER_RIGHT, SPINE_SHOULDER),
    (ELBOW_RIGHT, SHOULDER_RIGHT),
    (WRIST_RIGHT, ELBOW_RIGHT),
    (HAND_RIGHT, WRIST_RIGHT),
    (HAND_TIP_RIGHT, HAND_RIGHT),
    (THUMB_RIGHT, HAND_RIGHT),
    (HIP_LEFT, SPINE_BASE),
    (KNEE_LEFT, HIP_LEFT),
    (ANKLE_LEFT, KNEE_LEFT),
    (FOOT_LEFT, ANKLE_LEFT),
    (HIP_RIGHT, SPINE_BASE),
    (KNEE_RIGHT, HIP_RIGHT),
    (ANKLE_RIGHT, KNEE_RIGHT),
    (FOOT_RIGHT, ANKLE_RIGHT),
)
"""The 24 bones as (child, parent) joint indices: a tree with SpineBase as its root."""


def _swap_sides(name: str) -> str:
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name


MIRROR: tuple[int, ...] = tuple(CANONICAL.index(_swap_sides(name)) for name in CANONICAL)
"""Left/right permutation: `joints[..., MIRROR, :] * (-1, 1, 1)` is the mirror image of a skeleton."""
