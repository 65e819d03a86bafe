"""One person as both cameras of a Kinect v2 saw them: an NTU RGB+D `.skeleton` and the video of the same moment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stream.errors import SourceError
from stream.layouts import CANONICAL, SPINE_BASE, layout
from stream.sources.ntu import NtuBody, read_bodies
from stream.types import NANOSECONDS, NO_TRACK, Float32Array, Int64Array, SkeletonFrame

if TYPE_CHECKING:
    from stream.vision.crowd import Person

FPS = 30.0
"""Of NTU RGB+D's skeletons, and of videos that do not say."""
MAX_PEOPLE = 6


@dataclass(frozen=True, slots=True)
class Recording:
    """One person over T frames, as one of the cameras saw them.

    Attributes:
        t: (T,) int64 ns from the beginning.
        joints: (T, V, 3) float32 metres, camera axes, in the source's own layout.
        confidence: (T, V) float32; all 0 where the person was not found.
        layout: name of the layout.
    """

    t: Int64Array
    joints: Float32Array
    confidence: Float32Array
    layout: str

    def canonical(self) -> tuple[Float32Array, Float32Array]:
        """Joints (T, 25, 3) and confidence (T, 25) as the model gets them."""
        return layout(self.layout).to_canonical(self.joints, self.confidence)

    @property
    def first(self) -> int:
        """Time of the first frame in which the person was found, in ns.

        Raises:
            SourceError: there is none.
        """
        found = np.flatnonzero((self.confidence > 0).any(axis=1))
        if not found.size:
            raise SourceError(self.layout, "the person was found in no frame; expected one in view")
        return int(self.t[found[0]])

    def since(self, t: int) -> Recording:
        """The frames from this time on."""
        kept = self.t >= t
        return Recording(self.t[kept], self.joints[kept], self.confidence[kept], self.layout)

    def frames(self, source: str) -> list[SkeletonFrame]:
        """What a source would have yielded."""
        return [
            SkeletonFrame(
                source, seq, t, self.layout, self.joints[seq : seq + 1], self.confidence[seq : seq + 1],
                np.array([NO_TRACK], np.int64),
            )
            for seq, t in enumerate(self.t.tolist())
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Camera:
    """The colour camera as the skeleton's columns tell it.

    Attributes:
        mirrored: whether its images are mirror images, as Kinect v2's are.
        focal, centre: pixels.
        width: of its images, pixels.
    """

    mirrored: bool
    focal: float
    centre: tuple[float, float]
    width: int

    @property
    def fov_deg(self) -> float:
        """Horizontal angle of view."""
        return 2 * math.degrees(math.atan(self.width / 2 / self.focal))


def fit_camera(bodies: Sequence[NtuBody], width: int) -> Camera:
    """Fit a pinhole to the joints in metres and in pixels; the few centimetres between the cameras are in the noise.

    Raises:
        SourceError: the columns do not belong to a camera.
    """
    joints = np.concatenate([one.joints for one in bodies])
    pixels = np.concatenate([one.colour for one in bodies])
    good = np.isfinite(pixels).all(axis=1) & (joints[:, 2] > 0.1)
    if good.sum() < 2 * len(CANONICAL):
        raise SourceError("skeleton", f"{good.sum()} joints are placed in the colour image; expected frames full")
    ones = np.ones(int(good.sum()))
    across, up = (joints[good, i] / joints[good, 2] for i in (0, 1))
    (slope, x0), *_ = np.linalg.lstsq(np.stack([across, ones], axis=1), pixels[good, 0], rcond=None)
    (_, y0), *_ = np.linalg.lstsq(np.stack([up, ones], axis=1), pixels[good, 1], rcond=None)
    mirrored = bool(slope > 0)  # the subject's right is +x, and lies on the left of an image that is none
    return Camera(mirrored, abs(float(slope)), (width - 1 - float(x0) if mirrored else float(x0), float(y0)), width)


def read_depth(path: Path) -> tuple[Recording, list[NtuBody | None]]:
    """The person of an NTU skeleton file who is in most of its frames, and that body frame by frame.

    Raises:
        SourceError: the file is broken, or nobody is in it.
    """
    frames = list(read_bodies(path))
    ids = [body.id for bodies in frames for body in bodies]
    if not ids:
        raise SourceError(path, "nobody is in any frame; expected a person")
    one = max(set(ids), key=ids.count)
    found = [next((body for body in bodies if body.id == one), None) for bodies in frames]
    joints = np.zeros((len(frames), len(CANONICAL), 3), np.float32)
    confidence = np.zeros(joints.shape[:2], np.float32)
    for i, body in enumerate(found):
        if body is not None:
            joints[i], confidence[i] = body.joints, body.confidence
    return Recording(_times(len(frames), FPS), joints, confidence, "kinect_v2"), found


def read_rgb(
    path: Path, bodies: Sequence[NtuBody | None], network: str, fov_deg: float | None
) -> tuple[Recording, Camera]:
    """The same person from the video, by the way of a `kind = "video"` source.

    Args:
        path: the video.
        bodies: of the skeleton, frame by frame: where in the image the person is, of several.
        network: size of the pose network.
        fov_deg: the camera's angle of view; None takes it from the skeleton.

    Raises:
        SourceError: the video cannot be read.
        PosewireError: a library or the pose network is not installed.
    """
    from stream.vision import library
    from stream.vision.crowd import Crowd
    from stream.vision.placement import focal_of, place
    from stream.vision.pose import PoseEstimator

    cv2 = library("cv2", "rgb")
    video = cv2.VideoCapture(str(path))
    fps = float(video.get(cv2.CAP_PROP_FPS)) or FPS
    width, height = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if not video.isOpened() or width <= 0:
        raise SourceError(path, "cannot be opened; expected a video file that OpenCV reads")
    camera = fit_camera([body for body in bodies if body is not None], width)
    if fov_deg is not None:
        camera = Camera(camera.mirrored, focal_of(width, fov_deg), (width / 2, height / 2), width)
    joints: list[Float32Array] = []
    confidence: list[Float32Array] = []
    try:
        with PoseEstimator(network) as estimator:
            crowd = Crowd(estimator, max_people=MAX_PEOPLE, budget_s=None)
            while (read := video.read())[0]:
                i = len(joints)
                image = np.ascontiguousarray(read[1][:, ::-1]) if camera.mirrored else read[1]
                people = crowd.update(round(i * NANOSECONDS / fps), image)
                body = bodies[min(round(i * FPS / fps), len(bodies) - 1)]
                person = _nearest(people, body, camera)
                if person is None:
                    joints.append(np.zeros((33, 3), np.float32))
                    confidence.append(np.zeros(33, np.float32))
                else:
                    joints.append(place(person.pose, camera.focal, camera.centre))
                    confidence.append(person.pose.visibility)
    finally:
        video.release()
    if not joints:
        raise SourceError(path, "no frame; expected a video file that OpenCV reads")
    return Recording(_times(len(joints), fps), np.stack(joints), np.stack(confidence), "mediapipe"), camera


def _times(frames: int, fps: float) -> Int64Array:
    return np.array([round(i * NANOSECONDS / fps) for i in range(frames)], np.int64)


def _nearest(people: Sequence[Person], body: NtuBody | None, camera: Camera) -> Person | None:
    """Of the people in an image the one whose box is nearest to where the sensor saw the body."""
    if not people or body is None:
        return None
    u, v = body.colour[SPINE_BASE]
    u = camera.width - 1 - u if camera.mirrored else u
    return min(people, key=lambda one: math.dist(one.box.centre, (u, v)))
