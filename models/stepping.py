"""Where, in what is remembered of many tracks, each layer of a stepped network writes and reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ring:
    """Where in the last rows of a track a layer finds its inputs.

    Attributes:
        rows: kept of one track; row n of the track is at place n modulo this.
        new: rows that each group of frames adds.
        every: rows to one output; the first output ends at row `every - 1` of the new ones.
        inputs: (inputs,) which rows an output takes, counted from the one that it ends at.
    """

    rows: int
    new: int
    every: int
    inputs: IntArray

    @classmethod
    def of(cls, new: int, every: int, kernel: int, apart: int, groups: int) -> Ring:
        """Of a layer whose outputs see `kernel` rows, so many rows apart, where `groups` at most come at once."""
        return cls((kernel - 1) * apart + groups * new, new, every, -apart * np.arange(kernel)[::-1])


class Places:
    """The rows that all layers of a step write and read, of any number of tracks.

    Args:
        rings: of the layers.
        groups: of frames, in the step.

    Attributes:
        written, read: for each layer which columns of `of` are the places that it writes, (groups * new), and those
            that it reads, (outputs * inputs).
    """

    def __init__(self, rings: Sequence[Ring], groups: int) -> None:
        self.written: list[slice] = []
        self.read: list[slice] = []
        rows: list[IntArray] = []
        new: list[IntArray] = []
        after: list[IntArray] = []
        """Of each column: the ring's rows, how many of them a group adds, and which row from the first new one on."""
        start = 0
        for ring in rings:
            ends = np.arange(ring.every - 1, groups * ring.new, ring.every)
            columns = np.arange(groups * ring.new), (ends[:, None] + ring.inputs).reshape(-1)
            for slices, column in zip((self.written, self.read), columns, strict=True):
                slices.append(slice(start, start + len(column)))
                start += len(column)
                after.append(column)
                rows.append(np.full(len(column), ring.rows))
                new.append(np.full(len(column), ring.new))
        self._rows, self._new, self._after = np.concatenate(rows), np.concatenate(new), np.concatenate(after)

    def of(self, slots: IntArray, groups_before: IntArray) -> IntArray:
        """Places (N, columns), counted from the first slot's, of tracks in slots (N,) that had so many groups (N,)."""
        turned = (groups_before[:, None] * self._new + self._after) % self._rows
        return np.asarray(slots[:, None] * self._rows + turned, np.int64)
