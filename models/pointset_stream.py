"""The point set on a stream: frame by frame, with what a window needs kept in rings of maxima."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.points import STEP_NS, WINDOW, PlaneState, phase, points
from models.pointset import PointSet, StreamContexts

Float32Array = NDArray[np.float32]
SPACES = ("camera3d", "image2d")


class PointStream:
    """One stream, frame by frame: only the newest frame's points are computed.

    What `scene` gives equals the last window's maximum of the same causal network over the whole stream since `reset`.
    It is not what the window alone would give: the contexts of its first frames, the scale and the anchor reach before
    it.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: PointSet) -> None:
        self._network = network
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._contexts, self._plane = StreamContexts(), PlaneState.new(1)
        self._scenes = np.zeros((WINDOW, self._network.features), np.float32)
        self._people: dict[int, Float32Array] = {}
        self._step: int | None = None

    def push(
        self,
        t_ns: int,
        joints: Float32Array,
        confidence: Float32Array,
        space: str,
        tracks: Sequence[int] | NDArray[np.int64] = (),
    ) -> bool:
        """Take a frame.

        Args:
            t_ns: capture time; frames less than a step of 80 ms after the last one are left out.
            joints: (M, 25, 3) float32, canonical layout; M may differ from frame to frame, and be 0.
            confidence: (M, 25).
            space: "camera3d" (metres) or "image2d" (any unit, y down); the same for the whole stream.
            tracks: (M,) whose bodies they are, for `persons`; the scene needs none.

        Returns:
            Whether it was looked at. Going back in time begins anew.

        Raises:
            ValueError: the shapes or the space are not those.
        """
        image = np.array([is_image(space)])
        if len(tracks) not in (0, len(joints)):
            raise ValueError(f"{len(tracks)} tracks of {len(joints)} bodies")
        step = t_ns // STEP_NS
        if self._step is not None and step < self._step:
            self.reset()
        if step == self._step:
            return False
        self._advance(0 if self._step is None else step - self._step)
        self._step = step
        if not len(joints):
            return True
        seen = points(joints[None, None], confidence[None, None], image, self._plane)
        with torch.inference_mode():
            time = torch.from_numpy(phase(np.array([[step]])))
            found = self._network(torch.from_numpy(seen), time, contexts=self._contexts)[0, 0].numpy()
        self._scenes[0] = found.max(axis=0)
        for track, feature in zip(tracks, found, strict=False):
            ring = self._people.setdefault(int(track), np.zeros_like(self._scenes))
            ring[0] = np.maximum(ring[0], feature)
        return True

    def scene(self) -> Float32Array:
        """Feature (F,) of all people of the last window."""
        return np.asarray(self._scenes.max(axis=0))

    def persons(self) -> dict[int, Float32Array]:
        """Features (F,) of the tracks of the last window."""
        return {track: np.asarray(ring.max(axis=0)) for track, ring in self._people.items()}

    def _advance(self, frames: int) -> None:
        self._contexts.advance(frames)
        for ring in (self._scenes, *self._people.values()):
            kept = max(WINDOW - frames, 0)
            ring[WINDOW - kept :] = ring[:kept].copy()
            ring[: WINDOW - kept] = 0
        self._people = {track: ring for track, ring in self._people.items() if ring.any()}


def is_image(space: str) -> bool:
    """Whether coordinates are of an image.

    Raises:
        ValueError: there is no such space.
    """
    if space not in SPACES:
        raise ValueError(f"space {space!r}: expected one of {', '.join(SPACES)}")
    return space == "image2d"
