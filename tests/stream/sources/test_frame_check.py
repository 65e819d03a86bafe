"""Which frames are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from poses import frame, person

from stream.sources.frame_check import frame_fault
from stream.structs import MAX_BODIES
from stream.types import SkeletonFrame


def bodies(count: int) -> SkeletonFrame:
    return frame(0, *[person(x=number) for number in range(count)])


GOOD = bodies(2)


@pytest.mark.parametrize("good", [GOOD, bodies(0), bodies(MAX_BODIES), replace(GOOD, joints=GOOD.joints * np.nan)])
def test_frames_as_they_should_be(good: SkeletonFrame) -> None:
    assert frame_fault(good) == ""


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (replace(GOOD, layout="martian"), "unknown layout 'martian'"),
        (replace(GOOD, layout="mediapipe"), r"joints of float32 (2, 25, 3); expected float32 (2, 33, 3)"),
        (replace(GOOD, joints=GOOD.joints[:, :24]), "expected float32 (2, 25, 3)"),
        (replace(GOOD, joints=GOOD.joints[..., :2]), "joints of float32 (2, 25, 2)"),
        (replace(GOOD, joints=GOOD.joints.astype(np.float64)), "joints of float64"),
        (replace(GOOD, confidence=GOOD.confidence[:1]), "confidence of float32 (1, 25)"),
        (replace(GOOD, confidence=GOOD.confidence > 0), "confidence of bool"),
        (replace(GOOD, track_ids=GOOD.track_ids.astype(np.int32)), "track_ids of int32"),
        (replace(GOOD, track_ids=GOOD.track_ids[:1]), "joints of float32 (2, 25, 3); expected float32 (1, 25, 3)"),
        (replace(GOOD, t=2**63), "a capture time of"),
        (bodies(MAX_BODIES + 1), f"{MAX_BODIES + 1} bodies in a frame; expected at most {MAX_BODIES}"),
    ],
)
def test_frames_that_are_none(bad: SkeletonFrame, words: str) -> None:
    fault = frame_fault(bad)
    assert words in fault
    assert "\n" not in fault
