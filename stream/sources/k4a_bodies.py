"""Who finds the bodies in an Azure Kinect's captures."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.config_sources import AzureKinectSource
from stream.errors import SourceError
from stream.sources.k4a import Device, Playback
from stream.sources.k4a_capture import Capture, calibration_of
from stream.sources.k4a_library import Libraries
from stream.sources.k4abt import BodyTracker, NotInstalled
from stream.types import Float32Array
from stream.vision.lift import Calibration, lift
from stream.vision.people import LAYOUT, Found, MakePeople, People, found

if TYPE_CHECKING:
    from stream.vision.pose import Pose

_log = logging.getLogger(__name__)


class Bodies(Protocol):
    """Who finds bodies in captures.

    Attributes:
        layout: name of their joint layout.
    """

    layout: str

    def find(self, capture: Capture, depth: NDArray[np.uint16], t: int) -> Found | None:
        """Return the bodies of a capture, its depth image and its time in ns; None if it is of no use."""

    def reset(self) -> None:
        """Forget them: another recording begins."""

    def close(self) -> None:
        """Release everything; any number of times."""


class LiftedBodies:
    """Bodies by the pose network, lifted through depth.

    Args:
        calibration: of the sensor.
        people: who finds them; entered here, left by `close`.
    """

    layout = LAYOUT

    def __init__(self, calibration: Calibration, people: AbstractContextManager[People]) -> None:
        self._calibration = calibration
        self._people: AbstractContextManager[People] | None = people
        self._crowd = people.__enter__()

    def find(self, capture: Capture, depth: NDArray[np.uint16], t: int) -> Found | None:
        """Return the bodies; None if the capture has no whole colour image of the calibration's size."""
        made = capture.color()
        color, lens = self._calibration.color, self._calibration.depth
        if made is None or made[0].shape[:2] != (color.height, color.width) or depth.shape != (lens.height, lens.width):
            return None

        def placed(pose: Pose) -> tuple[Float32Array, Float32Array]:
            lifted = lift(pose.image[:, :2], pose.world, pose.visibility, depth, self._calibration)
            return lifted.joints, lifted.factor

        return found(self._crowd.update(t, made[0]), placed)

    def reset(self) -> None:
        """Forget everyone."""
        self._crowd.reset()

    def close(self) -> None:
        """Release the pose network; any number of times."""
        people, self._people = self._people, None
        if people is not None:
            people.__exit__(None, None, None)


def bodies_of(
    entry: AzureKinectSource,
    libraries: Libraries,
    sensor: Playback | Device,
    where: str,
    people: MakePeople,
) -> Bodies:
    """Choose who finds the bodies, and start them.

    Args:
        entry: the settings of the source.
        libraries: that the captures come from.
        sensor: what gives them.
        where: its name, for messages.
        people: makes what finds people, where joints come from the colour image.

    Raises:
        SourceError: what the settings ask for is not to be had here.
    """
    if entry.joints != "color":
        try:
            return BodyTracker(libraries, sensor.calibration, entry.library)
        except NotInstalled:
            if entry.joints == "k4abt":
                raise
        except SourceError as error:
            if entry.joints == "k4abt":
                raise
            _log.warning("%s; joints are estimated on the colour image instead", error)
    if not sensor.has_color:
        raise SourceError(where, "holds no colour images; expected a recording with colour and depth")
    return LiftedBodies(calibration_of(where, sensor.calibration), people())
