"""The skeleton of a BVH file, and where its joints are for given channel values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream.layouts import MAX_COORDINATE
from stream.sources.text_lines import TextLines, quoted

MAX_JOINTS = 512
MAX_NAME = 64

_AXES = {"X": 0, "Y": 1, "Z": 2}
_CROSS = np.zeros((3, 3, 3))  # the cross-product matrix of each axis
for _axis in range(3):
    _i, _j = (_axis + 1) % 3, (_axis + 2) % 3
    _CROSS[_axis, _j, _i], _CROSS[_axis, _i, _j] = 1.0, -1.0


@dataclass(slots=True)
class Hierarchy:
    """Joints in the file's order; an end site is a joint called after its parent with `_End`.

    Attributes:
        names: of the J joints.
        parents: index of each joint's parent, -1 for the root.
        offsets: (x, y, z) of each joint in its parent's axes.
        channels: (joint, axis 0..2, True for a rotation) of each of the C columns of the motion.
    """

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float]] = field(default_factory=list)
    channels: list[tuple[int, int, bool]] = field(default_factory=list)

    @property
    def lengths(self) -> NDArray[np.float64]:
        """(J,) length of the bone from each joint's parent to the joint."""
        lengths: NDArray[np.float64] = np.linalg.norm(np.array(self.offsets), axis=1)
        return lengths

    def path(self, joint: str) -> list[int]:
        """The joint and its ancestors, without the root."""
        chain, v = [], self.names.index(joint)
        while self.parents[v] >= 0:
            chain.append(v)
            v = self.parents[v]
        return chain


def read_hierarchy(lines: TextLines) -> Hierarchy:
    """Read from `HIERARCHY` to `MOTION`, without recursion, so that no nesting is too deep.

    Raises:
        SourceError: it is broken or has more than `MAX_JOINTS` joints.
    """
    if lines.need("HIERARCHY").upper() != b"HIERARCHY":
        raise lines.fault("unknown file; expected HIERARCHY, the first line of a BVH file")
    made = Hierarchy()
    open_joints: list[int] = []
    pending = False  # a joint was named and its { has not come yet
    while True:
        line = lines.need("ROOT, JOINT, End Site, OFFSET, CHANNELS, { or } of the hierarchy, or MOTION")
        brace = line.endswith(b"{") and line != b"{"
        words = line.rstrip(b"{").decode("latin-1").split() or ["{"]
        keyword = words[0].upper()
        if keyword == "MOTION" and not open_joints and made.names:
            break
        if pending != (keyword == "{"):
            raise lines.fault(f"{quoted(line)}; expected {'{' if pending else 'no { here'}")
        if keyword == "{":
            pending = False
        elif keyword in ("ROOT", "JOINT", "END"):
            _add_joint(lines, made, open_joints, keyword, words)
            pending = not brace
        elif keyword == "}" and open_joints and len(made.offsets) == len(made.names):
            open_joints.pop()
        elif keyword == "OFFSET" and open_joints and len(made.offsets) == len(made.names) - 1:
            made.offsets.append(_offset(lines, words))
        elif keyword == "CHANNELS" and open_joints and all(joint != open_joints[-1] for joint, _, _ in made.channels):
            made.channels += _channels(lines, words, open_joints[-1])
        else:
            raise lines.fault(f"{quoted(line)}; expected a joint's OFFSET, CHANNELS, children and }} in this order")
    if not made.channels:
        raise lines.fault("no CHANNELS; expected at least one")
    return made


def _add_joint(lines: TextLines, made: Hierarchy, open_joints: list[int], keyword: str, words: list[str]) -> None:
    if (keyword == "ROOT") != (not made.names) or (keyword != "ROOT" and not open_joints):
        raise lines.fault(f"{keyword}; expected one ROOT around everything")
    if len(made.offsets) != len(made.names):
        raise lines.fault(f"{keyword}; expected the OFFSET of {made.names[-1]} first")
    parent = open_joints[-1] if open_joints else -1
    name = f"{made.names[parent]}_End" if keyword == "END" else "_".join(words[1:]).replace(",", "_")
    if not 0 < len(name) <= MAX_NAME or name in made.names:
        raise lines.fault(f"joint name {quoted(name.encode())}; expected one of its own of up to {MAX_NAME} characters")
    if len(made.names) == MAX_JOINTS:
        raise lines.fault(f"over {MAX_JOINTS} joints; expected a person's skeleton")
    open_joints.append(len(made.names))
    made.names.append(name)
    made.parents.append(parent)


def _offset(lines: TextLines, words: list[str]) -> list[float]:
    offset = lines.numbers([word.encode("latin-1") for word in words[1:]], "OFFSET x y z")
    if len(offset) != 3 or not all(abs(value) < MAX_COORDINATE for value in offset):
        raise lines.fault(f"{quoted(' '.join(words).encode('latin-1'))}; expected OFFSET and three numbers below 1e6")
    return offset


def _channels(lines: TextLines, words: list[str], joint: int) -> list[tuple[int, int, bool]]:
    expected = "CHANNELS, their number (0 to 6) and that many of Xposition, Yposition ... Zrotation, each once"
    kinds = {
        f"{axis}{kind}": (joint, v, kind == "ROTATION")
        for axis, v in _AXES.items()
        for kind in ("POSITION", "ROTATION")
    }
    names = [word.upper() for word in words[2:]]
    if len(words) < 2 or words[1] != str(len(names)) or len(set(names)) != len(names) or not set(names) <= set(kinds):
        raise lines.fault(f"{quoted(' '.join(words).encode('latin-1'))}; expected {expected}")
    return [kinds[name] for name in names]


class Kinematics:
    """Forward kinematics of a hierarchy over many frames at once."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        joints, columns = len(hierarchy.names), len(hierarchy.channels)
        self._offsets = np.array(hierarchy.offsets)
        self._angle = np.full((joints, 3), columns)  # column of each joint's first, second and third rotation
        self._cross = np.zeros((joints, 3, 3, 3))
        self._placed: list[tuple[int, int, int]] = []  # (column, joint, axis) of the positions
        turns = [0] * joints
        for column, (joint, axis, is_rotation) in enumerate(hierarchy.channels):
            if is_rotation:
                self._angle[joint, turns[joint]] = column
                self._cross[joint, turns[joint]] = _CROSS[axis]
                turns[joint] += 1
            else:
                self._placed.append((column, joint, axis))
        depth = [0] * joints
        for v, parent in enumerate(hierarchy.parents):
            depth[v] = 0 if parent < 0 else depth[parent] + 1
        order = np.array(depth)
        self._levels = [np.flatnonzero(order == level) for level in range(1, max(depth) + 1)]
        self._parents = np.array(hierarchy.parents)

    def positions(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the joints are, in the file's axes and unit.

        Args:
            values: (F, C) channel values, finite; angles in degrees. A position replaces the joint's offset.

        Returns:
            (F, J, 3).
        """
        frames = len(values)
        padded = np.concatenate([values, np.zeros((frames, 1))], axis=1)
        angles = np.deg2rad(padded[:, self._angle])[..., None, None]  # (F, J, 3, 1, 1)
        # Rodrigues' formula; a rotation that a joint does not have is by 0 degrees.
        turns = np.eye(3) + np.sin(angles) * self._cross + (1 - np.cos(angles)) * (self._cross @ self._cross)
        rotation = turns[:, :, 0] @ turns[:, :, 1] @ turns[:, :, 2]  # (F, J, 3, 3)
        place = np.repeat(self._offsets[None], frames, axis=0)  # (F, J, 3)
        for column, joint, axis in self._placed:
            place[:, joint, axis] = values[:, column]
        for level in self._levels:
            parent = self._parents[level]
            place[:, level] = place[:, parent] + (rotation[:, parent] @ place[:, level, :, None])[..., 0]
            rotation[:, level] = rotation[:, parent] @ rotation[:, level]
        return place
