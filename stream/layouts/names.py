"""Layouts from joint names: BVH skeletons, clip files, and anything else that names its joints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from stream.errors import PosewireError
from stream.layouts.geometry import (
    LANDMARKS,
    MOCAP,
    PUPPET,
    SIDES,
    SPINE_MID_SHARE,
    above_face,
    limbs,
    middle,
    toward,
    trunk,
)
from stream.layouts.layout import Derivation, Layout, Point
from stream.layouts.sensors import SENSORS

PREFIX = "names:"
"""A layout called `names:` and its joints' names, separated by commas, is derived from them in any process."""
MAX_JOINTS = 512
MAX_NAME = 64

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_BRAND = re.compile(r"^(bip|mixamorig|character)\d*(?=.)")
_SIDE_WORDS = {"left": "Left", "l": "Left", "right": "Right", "r": "Right"}

# Names for one place on the body, in order of preference: where a skeleton has both Arm and Shoulder, Shoulder is the
# collar bone; where it has both Ankle and Foot, Foot is the toes; where it has both Wrist and Hand, Hand is the palm.
_PAIRED = {
    "Hip": ("upleg", "upperleg", "thigh", "hip"),
    "Knee": ("knee", "lowerleg", "loleg", "leg", "calf", "shin"),
    "Ankle": ("ankle", "foot"),
    "Toe": ("toebase", "toe", "toes", "ball", "footindex", "toe0"),
    "Shoulder": ("arm", "upperarm", "uparm", "shldr", "shoulder"),
    "Elbow": ("elbow", "forearm", "lowerarm", "loarm"),
    "Wrist": ("wrist", "hand"),
    "Knuckle": ("handmiddle1", "middle1", "middle01", "fingers", "handend", "handindex1", "index1", "index01"),
    "Thumb": ("handthumb2", "thumb2", "thumb02", "handthumb1", "thumb1", "thumb01", "thumb"),
}
_SINGLE = {
    "Neck": ("neck", "neck1", "lowerneck", "neck01"),
    "Head": ("head", "face"),
    "HeadTop": ("headend", "headtopend", "headtop"),
}
_SPINE_KEYS = frozenset(("", part) for part in ("spine", "spine1", "spine01", "chest", "lowerback", "hips", "pelvis"))
_REQUIRED = ("Hip", "Shoulder", "Elbow", "Wrist", "Knee", "Ankle")


def _split(name: str) -> tuple[str, str]:
    """Side ('Left', 'Right' or '') and the rest of a joint's name, whatever its convention."""
    words = [word.lower() for word in _WORDS.findall(name.rsplit(":", 1)[-1])]
    sides = [word for word in words if word in _SIDE_WORDS]
    if sides:
        words.remove(sides[0])
        return _SIDE_WORDS[sides[0]], _BRAND.sub("", "".join(words))
    plain = _BRAND.sub("", "".join(words))
    paired = any(plain[1:] in spellings for spellings in _PAIRED.values())
    return (_SIDE_WORDS[plain[0]], plain[1:]) if paired and plain[0] in _SIDE_WORDS else ("", plain)


def _known(names: Sequence[str]) -> Layout | None:
    """The sensor layout with these joints in some order, spelled its way or any other."""
    keys = [_split(name) for name in names]
    for sensor in SENSORS.values():
        theirs = [_split(joint) for joint in sensor.joints]
        if set(keys) != set(theirs) or len(keys) != len(theirs):
            continue
        if keys == theirs:
            return sensor
        ours = {joint: names[keys.index(key)] for joint, key in zip(sensor.joints, theirs, strict=True)}
        return Layout(_spell(names), names, {name: row.renamed(ours) for name, row in sensor.derivations.items()})
    return None


def _spell(names: Sequence[str]) -> str:
    return PREFIX + ",".join(names)


def _find(named: Mapping[tuple[str, str], str], side: str, spellings: Sequence[str], taken: set[str]) -> Point | None:
    for spelling in spellings:
        joint = named.get((side, spelling))
        if joint is not None and joint not in taken:
            taken.add(joint)
            return Point.of(joint)
    return None


def _derive(names: Sequence[str]) -> dict[str, Derivation]:
    named = {_split(name): name for name in reversed(names)}
    taken: set[str] = set()
    points = {
        part + side: point
        for part, spellings in _PAIRED.items()
        for side in SIDES
        if (point := _find(named, side, spellings, taken)) is not None
    }
    missing = [part + side for part in _REQUIRED for side in SIDES if part + side not in points]
    if missing:
        raise PosewireError(
            f"joint names {', '.join(names)[:80]!r} do not say which joint is {missing[0]}; "
            "expected hips, knees, ankles, shoulders, elbows and wrists of both sides"
        )
    for side in SIDES:
        wrist, ankle = points["Wrist" + side], points["Ankle" + side]
        toe = points.get("Toe" + side) or _find(named, side, ("foot",), taken)
        knuckle = points.get("Knuckle" + side) or _find(named, side, ("hand",), taken)
        if toe is not None:
            points["Foot" + side] = toward(ankle, toe, 0.75)
        if knuckle is not None:
            points["Hand" + side] = toward(wrist, knuckle, 0.7)
            points["HandTip" + side] = toward(wrist, knuckle, 1.6)
    mocap = not _SPINE_KEYS.isdisjoint(named)
    placement = MOCAP if mocap else PUPPET if ("", "belly") in named else LANDMARKS
    joints = trunk(points, placement) | limbs(points)
    single = {part: _find(named, "", spellings, taken) for part, spellings in _SINGLE.items()}
    if single["Neck"] is not None:
        joints |= _upper(joints["SpineBase"].choices[0], single["Neck"], single["Head"], points)
    return joints | {"Head": _skull(joints, single, points, mocap)}


def _upper(base: Point, neck: Point, head: Point | None, points: Mapping[str, Point]) -> dict[str, Derivation]:
    """Spine and neck where the source has a neck: the seventh vertebra, a little above SpineShoulder."""
    spine_shoulder = middle(neck, middle(points["ShoulderLeft"], points["ShoulderRight"]))
    return {
        "SpineShoulder": Derivation((spine_shoulder,)),
        "SpineMid": Derivation((toward(base, spine_shoulder, SPINE_MID_SHARE),)),
        "Neck": Derivation((neck if head is None else toward(neck, head, 0.4),)),
    }


def _skull(
    joints: Mapping[str, Derivation], single: Mapping[str, Point | None], points: Mapping[str, Point], mocap: bool
) -> Derivation:
    """Head, the middle of the skull: an animation's Head joint is the base of the skull, an image's is the face."""
    neck, head, top = single["Neck"], single["Head"], single["HeadTop"]
    if head is None:
        return Derivation((toward(joints["SpineBase"].choices[0], joints["Neck"].choices[0], 1.22),), seen=False)
    if mocap and top is not None:
        return Derivation((middle(head, top),))
    if mocap and neck is not None:
        return Derivation((toward(neck, head, 1.8),))
    return Derivation((above_face(points, head),))


@lru_cache(maxsize=64)
def _layout_for(names: tuple[str, ...]) -> Layout:
    return _known(names) or Layout(_spell(names), names, _derive(names))


def layout_for_names(names: Sequence[str]) -> Layout:
    """The layout of joints with these names, in this order.

    Known sensors are recognised in any order of their joints; otherwise hips, knees, ankles, shoulders, elbows and
    wrists are looked for under their usual names in BVH files (CMU, Mixamo, Biped, Unreal, Bandai-Namco), Penn Action
    and J-HMDB, with or without a side's prefix or suffix and a namespace.

    Raises:
        PosewireError: names are missing, repeated or too many.
    """
    if not 0 < len(names) <= MAX_JOINTS or any(not 0 < len(name) <= MAX_NAME for name in names):
        raise PosewireError(f"{len(names)} joint names; expected 1 to {MAX_JOINTS}, each of 1 to {MAX_NAME} characters")
    if len(set(names)) != len(names) or any("," in name for name in names):
        raise PosewireError("joint names must differ from each other and have no comma in them")
    return _layout_for(tuple(names))


def compact_layout(names: Sequence[str]) -> Layout:
    """The layout of those of the joints that are needed: the same map from fewer joints.

    Raises:
        PosewireError: see `layout_for_names`.
    """
    full = layout_for_names(names)
    # One joint of the spine stays: it tells that this is a body's skeleton and not points in an image.
    spine = next((name for name in names if _split(name) in _SPINE_KEYS), None)
    return layout_for_names([name for name in names if name in full.used or name == spine])


def layout(name: str) -> Layout:
    """The layout of that name: a sensor's, or `names:` and a list of joint names.

    Raises:
        PosewireError: there is none of that name; says which there are.
    """
    if name in SENSORS:
        return SENSORS[name]
    if name.startswith(PREFIX):
        return layout_for_names(name.removeprefix(PREFIX).split(","))
    raise PosewireError(
        f"unknown layout {name[:40]!r}; expected one of {', '.join(SENSORS)}, or {PREFIX}JOINT,JOINT,..."
    )
