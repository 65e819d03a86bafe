"""Who finds the people of a camera's images, and how their poses become the arrays of a frame."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.layouts.sensors import MEDIAPIPE_JOINTS
from stream.types import Float32Array, Int64Array

if TYPE_CHECKING:
    from stream.vision.pose import Pose

LAYOUT = "mediapipe"
JOINTS = len(MEDIAPIPE_JOINTS)
BUDGET_S = 0.06
"""Seconds for finding people and estimating their joints in an image of any live source: about 15 images a second."""
_FINGERPRINT_STEP = 8
"""Every eighth row of an image tells it from another one."""

Found = tuple[Float32Array, Float32Array, Int64Array]
"""joints (M, V, 3), confidence (M, V) and ids (M,)"""


class Seen(Protocol):
    """One person in an image; see `stream.vision.crowd.Person`."""

    @property
    def id(self) -> int: ...

    @property
    def pose(self) -> Pose: ...


class People(Protocol):
    """What finds the people of an image; see `stream.vision.crowd.Crowd`."""

    def update(self, t_ns: int, image_bgr: NDArray[np.uint8]) -> Sequence[Seen]: ...

    def reset(self) -> None: ...


MakePeople = Callable[[], AbstractContextManager[People]]
"""Gives a new `People`, and releases it."""


@contextmanager
def crowd(network: str, max_people: int, *, live: bool) -> Iterator[People]:
    """A pose network and the `Crowd` that looks through it.

    Args:
        network: size of the pose network.
        max_people: how many are followed at most.
        live: whether no image may take longer than `BUDGET_S`.

    Raises:
        PosewireError: the network or its libraries are not installed.
    """
    # Imported late, as MediaPipe takes a second and 100 MB.
    from stream.vision.crowd import Crowd
    from stream.vision.pose import PoseEstimator

    with PoseEstimator(network) as estimator:
        yield Crowd(estimator, max_people=max_people, budget_s=BUDGET_S if live else None)


def found(people: Sequence[Seen], placed: Callable[[Pose], tuple[Float32Array, Float32Array | float]]) -> Found:
    """The people of an image as arrays: 33 joints each, confidence as MediaPipe's visibility.

    Args:
        people: who is seen.
        placed: gives a pose's joints (33, 3) and the factor ((33,) or one for all) by which they are less sure.
    """
    joints = np.zeros((len(people), JOINTS, 3), np.float32)
    confidence = np.zeros((len(people), JOINTS), np.float32)
    for body, person in enumerate(people):
        joints[body], factor = placed(person.pose)
        confidence[body] = np.clip(person.pose.visibility, 0, 1) * factor
    return joints, confidence, np.array([person.id for person in people], np.int64)


def fingerprint(image: NDArray[Any]) -> int:
    """A number that differs where the image does: noise makes any two images of a camera differ."""
    return zlib.crc32(image[::_FINGERPRINT_STEP].tobytes())
