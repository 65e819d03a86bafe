"""How much is measured."""

from __future__ import annotations

import msgspec

from stream.errors import PosewireError

STREAMS = (1, 32, 128)
"""Tracks that are stepped together; 128 are those of 64 cameras with two people each."""
BOUND_MS = 100.0
"""What the 99th percentile from capture to publish must stay under."""


class BenchError(PosewireError):
    """Something cannot be measured here."""


class Plan(msgspec.Struct, frozen=True):
    """How much is measured.

    Attributes:
        seconds: how long each figure is measured, in each run.
        runs: how often.
        cameras, people: the fixed point of `end-to-end`, people of each camera.
        most: cameras that `end-to-end` tries at most.
        compare: measure the peers too.
    """

    seconds: float = 4.0
    runs: int = 5
    cameras: int = 64
    people: int = 2
    most: int = 256
    compare: bool = False
