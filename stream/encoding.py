"""Windows to features: each as a whole, or, with a model that remembers, by its new rows alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from stream.types import Float32Array, Window


class Encoder(Protocol):
    """What the pipeline needs of a model (see `models.recogniser`)."""

    def encode(self, x: Float32Array, mask: Float32Array) -> Float32Array:
        """Windows (N, 3, T, V) and masks (N, T, V) to unit features (N, D)."""
        ...


class Stepper(Protocol):
    """What the pipeline needs of a model that remembers what it has seen (see `models.track_states`)."""

    @property
    def evicted(self) -> int:
        """Streams that were forgotten for want of room, and begin anew."""
        ...

    def step(self, keys: Sequence[int], x: Float32Array, mask: Float32Array) -> Float32Array:
        """The next rows of streams, each there once, to features of every stride: (N, G stride, V, 3) to (N, G, D)."""
        ...

    def clear(self, key: int) -> None:
        """Forget a stream."""
        ...


def encode_windows(encoder: Encoder, windows: Sequence[Window], most: int) -> list[Float32Array]:
    """Features (D,) of each window; `most` are encoded at once."""
    features: list[Float32Array] = []
    for part in parts(range(len(windows)), most):
        batch = [windows[number] for number in part]
        features.extend(encoder.encode(np.stack([w.x for w in batch]), np.stack([w.mask for w in batch])))
    return features


def step_windows(states: Stepper, windows: Sequence[Window], new: int, most: int) -> list[Float32Array]:
    """Features (D,) at the end of each window.

    Args:
        states: of the windows' streams.
        windows: all that came since the last call, in the order of their times within each stream.
        new: rows that each window of a stream has more than the one before it.
        most: windows that are encoded at once, if there are not more of one stream.
    """
    streams: dict[int, list[int]] = {}
    for number, window in enumerate(windows):
        streams.setdefault(window.stream, []).append(number)
    features: dict[int, Float32Array] = {}
    for count in sorted({len(numbers) for numbers in streams.values()}):
        equal = [stream for stream, numbers in streams.items() if len(numbers) == count]
        for part in parts(equal, max(1, most // count)):
            rows = [[windows[number] for number in streams[stream]] for stream in part]
            x = np.stack([np.concatenate([w.x[:, -new:] for w in row], axis=1) for row in rows])
            mask = np.stack([np.concatenate([w.mask[-new:] for w in row]) for row in rows])
            for stream, encoded in zip(part, states.step(part, x.transpose(0, 2, 3, 1), mask), strict=True):
                features.update(zip(streams[stream], encoded, strict=True))
    return [features[number] for number in range(len(windows))]


def parts(items: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """The items in parts of at most so many."""
    return (items[start : start + most] for start in range(0, len(items), most))
