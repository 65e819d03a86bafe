"""How sensors place their joints compared with Kinect v2: the formulas that several layouts share.

The same name means another place on the body in each sensor. What the numbers rest on:

* Kinect v2's own proportions, medians over the recordings at hand, in units of SpineBase to SpineShoulder: middle of
  the shoulders 0.92, Neck 1.14, Head 1.40, SpineMid 0.575, thigh 0.65, shank 0.67, hips 0.29 and shoulders 0.65 apart.
* MediaPipe run on the colour images of an NTU RGB+D recording, its world landmarks against Kinect v2's joints of the
  same moments: its hips lie 1/0.65 as far apart, and its trunk is a little shorter against the legs.
* Anatomy (Winter, "Biomechanics and Motor Control of Human Movement", table 4.1) puts hip joints higher above the
  knees than Kinect v2 does: thigh to trunk is 0.85 instead of 0.70.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stream.layouts.layout import Derivation, Point

SIDES = ("Left", "Right")
SPINE_MID_SHARE = 0.574
SHOULDER_SPINE_SHARE = 1.087
"""SpineShoulder lies this far from SpineBase to the middle of the shoulders."""
NECK_SHARE = 1.235
"""The same for Neck."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a family of sensors puts the hips.

    Attributes:
        hip_width: Kinect v2's hip width as a share of this family's.
        hip_drop: how far Kinect v2's hips lie below, as a share of the trunk (middle of hips to middle of shoulders).
    """

    hip_width: float
    hip_drop: float


LANDMARKS = Placement(hip_width=0.65, hip_drop=0.06)
"""Points that people or networks mark in images: MediaPipe, COCO, OpenPose."""
MOCAP = Placement(hip_width=1.0, hip_drop=0.12)
"""Joint centres of animation skeletons: hips as narrow as Kinect v2's, but higher."""

PUPPET = Placement(hip_width=0.85, hip_drop=0.0)
"""The puppet that J-HMDB's annotators fitted: hips as low as Kinect v2's."""


def middle(a: Point, b: Point) -> Point:
    """The point halfway between two."""
    return 0.5 * a + 0.5 * b


def toward(start: Point, end: Point, share: float) -> Point:
    """The point at `share` of the way from `start` to `end`; beyond `end` where it is over 1."""
    return start + share * (end - start)


def above_face(points: Mapping[str, Point], face: Point) -> Point:
    """Kinect v2's Head, which is above the face and the ears, seen from the middle of the shoulders."""
    return toward(middle(points["ShoulderLeft"], points["ShoulderRight"]), face, 1.3)


def trunk(points: Mapping[str, Point], placement: Placement) -> dict[str, Derivation]:
    """The joints of the trunk but for the head, from `HipLeft`, `HipRight`, `ShoulderLeft`, `ShoulderRight`.

    The drop of the hips follows the trunk, not the thighs, so that hips stay known while legs are out of view.
    """
    hips = middle(points["HipLeft"], points["HipRight"])
    shoulders = middle(points["ShoulderLeft"], points["ShoulderRight"])
    base = hips - placement.hip_drop * (shoulders - hips)
    spine_shoulder = toward(base, shoulders, SHOULDER_SPINE_SHARE)
    joints = {
        "SpineBase": base,
        "SpineMid": toward(base, spine_shoulder, SPINE_MID_SHARE),
        "SpineShoulder": spine_shoulder,
        "Neck": toward(base, shoulders, NECK_SHARE),
    }
    for side in SIDES:
        joints[f"Hip{side}"] = base + placement.hip_width * (points[f"Hip{side}"] - hips)
        joints[f"Shoulder{side}"] = points[f"Shoulder{side}"]
    return {name: Derivation((point,)) for name, point in joints.items()}


def limbs(points: Mapping[str, Point]) -> dict[str, Derivation]:
    """The joints of arms and legs beyond hips and shoulders.

    Hand, hand tip, thumb and foot that the sensor does not give are placed along the forearm and shank, not seen.
    """
    joints = {}
    for side in SIDES:
        elbow, wrist = points[f"Elbow{side}"], points[f"Wrist{side}"]
        knee, ankle = points[f"Knee{side}"], points[f"Ankle{side}"]
        guesses = {
            f"Hand{side}": toward(elbow, wrist, 1.27),
            f"HandTip{side}": toward(elbow, wrist, 1.6),
            f"Thumb{side}": toward(elbow, wrist, 1.27),
            f"Foot{side}": toward(knee, ankle, 1.25),
        }
        for name, point in {
            f"Elbow{side}": elbow,
            f"Wrist{side}": wrist,
            f"Knee{side}": knee,
            f"Ankle{side}": ankle,
        }.items():
            joints[name] = Derivation((point,))
        for name, guess in guesses.items():
            joints[name] = Derivation((points[name],)) if name in points else Derivation((guess,), seen=False)
    return joints
