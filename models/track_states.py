"""The streaming encoder served step by step: what each of many tracks must remember, and one call that steps them all.

The counterpart of `StreamingNetwork.forward`, which sees a clip at once: after any number of frames of a track the
features are those of the track's whole past, to rounding. Where features are wanted more often than the encoder's one
output for four frames, its strided convolutions become dilated ones over what is remembered (Hedegaard et al.,
"Continual Inference Networks", ECCV 2022); the outputs of each phase are those of the strided form begun at that phase.

A convolution over its memory is one matrix product, (N, kernel * C) by (kernel * C, H), of all tracks; batch norms are
folded into their neighbours where nothing lies between.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from math import gcd

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.causal import POSE_SIZE, STRIDE
from models.graph import JOINTS
from models.matrices import Matrices
from models.normaliser import INPUTS, POSE, NormaliserState, normalise
from models.runner import Eager, Runner, runner
from models.stepping import Places, Ring
from models.streaming import POOLED_STEPPING

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
MOST = 512
"""Tracks whose state is kept: as many people at once, over all cameras."""
FIRST = 16
"""Tracks that there is room for at the start; room is doubled as it is needed."""
AT_ONCE = 32
"""Frames of a track that are encoded at once, where a step has more: what is remembered grows with it."""


class TrackStates:
    """States of the tracks that are being watched. Not thread safe.

    Args:
        matrices: the network, on its backend.
        frames: in a group: features are given for the last frame of each group, and steps are of whole groups.
        rate_hz: frames a second.
        most: states that are kept; beyond, the one that was stepped the longest time ago is forgotten.

    Attributes:
        frames, most: see above.
        evicted: how many states were forgotten for want of room.

    Raises:
        ValueError: `frames` or `most` is below 1.
    """

    def __init__(self, matrices: Matrices, frames: int, *, rate_hz: float = 25.0, most: int = MOST) -> None:
        if frames < 1 or most < 1:
            raise ValueError(f"{frames} frames a step and {most} states; expected 1 or more of both")
        self.frames, self.most, self.evicted = frames, most, 0
        self._groups = max(1, AT_ONCE // frames)
        self._matrices, self._rate_hz = matrices, rate_hz
        self._run = runner(self._compute, matrices.backend)
        self._run_groups = Eager(self._compute, matrices.backend.device)
        """For steps of several groups, which are rare, and of too many sizes to be recorded."""
        # What is given is of each group's last frame; outputs are pooled with those 4, 8 ... frames before. So of the
        # outputs of a layer those are computed that lie a multiple of this before a group's end, if the layer has them.
        phase = gcd(frames, STRIDE)
        self._rings: list[Ring] = []
        done, apart = 1, 1
        """Frames between two inputs of the layer in the strided form, and between two that are computed here."""
        for layer in matrices.layers:
            done_after = done * layer.stride
            apart_after = gcd(phase, done_after)
            self._rings.append(
                Ring.of(frames // apart, apart_after // apart, layer.kernel, done // apart, self._groups)
            )
            done, apart = done_after, apart_after
        new = frames // apart
        self._rings.append(Ring.of(new, new, POOLED_STEPPING, STRIDE // apart, self._groups))
        self._places: dict[int, Places] = {}
        self._slots: OrderedDict[Hashable, int] = OrderedDict()
        self._room = 0
        self._free: list[int] = []
        self._normaliser = NormaliserState.new(0)
        self._pose = np.zeros((0, POSE_SIZE), np.float32)
        self._steps = np.zeros(0, np.int64)
        self._memory: list[Tensor] = []
        self._grow(most if self._run.recorded else min(FIRST, most))

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._slots

    @property
    def bytes_per_track(self) -> int:
        """What one state takes."""
        encoder = sum(memory.numel() * memory.element_size() for memory in self._memory)
        rest = self._pose.nbytes + self._steps.nbytes + self._normaliser.nbytes
        return encoder // (self._room + 1) + rest // self._room

    def step(self, keys: Sequence[Hashable], x: Float32Array, mask: Float32Array) -> Float32Array:
        """The next frames of N tracks, whatever number of frames each has had.

        Args:
            keys: which tracks, each once, at most `most`; one that has no state begins with these frames.
            x: (N, G `frames`, V, 3) float32, metres in camera axes; G at least 1.
            mask: (N, G `frames`, V) float32, confidence; 0 where nothing was seen.

        Returns:
            (N, G, ...) float32, as `StreamingNetwork.judge` gives it, at the last of each `frames` frames.

        Raises:
            ValueError: the shapes do not fit, or a track is there twice, or there are too many.
        """
        shape = (len(keys), x.shape[1], len(JOINTS))
        if x.shape != (*shape, 3) or mask.shape != shape or x.shape[1] == 0 or x.shape[1] % self.frames:
            want = f"frames ({len(keys)}, a multiple of {self.frames}, {len(JOINTS)}, 3) and their masks"
            raise ValueError(f"expected {want}, got {x.shape} and {mask.shape}")
        if len(set(keys)) < len(keys) or len(keys) > self.most:
            raise ValueError(f"{len(keys)} tracks; expected each once, and at most {self.most}")
        slots, longest = self._slots_of(keys), self._groups * self.frames
        parts = [slice(start, start + longest) for start in range(0, x.shape[1], longest)]
        with torch.inference_mode():
            found = [self._step(slots, self._inputs(slots, x[:, part], mask[:, part])) for part in parts]
        return np.concatenate(found, axis=1)

    def clear(self, key: Hashable) -> None:
        """Forget a track, if there is one of this key; should it come again, it begins anew."""
        slot = self._slots.pop(key, None)
        if slot is not None:
            self._free.append(slot)

    def warm_up(self, most: int) -> None:
        """Step each number of tracks up to `most`.

        Torch keeps memory for each size that it has met: a process that meets them all at its start does not grow.
        """
        keys = [("warm-up", row) for row in range(min(most, self.most))]
        x = np.zeros((len(keys), self.frames, len(JOINTS), 3), np.float32)
        for size in range(1, len(keys) + 1):
            self.step(keys[:size], x[:size], x[:size, :, :, 0])
        for key in keys:
            self.clear(key)

    def _step(self, slots: IntArray, inputs: Float32Array) -> Float32Array:
        groups, number = inputs.shape[1] // self.frames, self._steps[slots]
        run: Runner = self._run if groups == 1 else self._run_groups
        more = (1 << (len(slots) - 1).bit_length()) - len(slots) if run.recorded else 0
        if groups not in self._places:
            self._places[groups] = Places(self._rings, groups)
        # An output of one of the first frames has seen next to nothing: it counts as long as there is no other.
        seen_frames = (number[:, None] + np.arange(1, groups + 1)).reshape(-1, 1) * self.frames
        there = np.clip(seen_frames // STRIDE - 1, 1, POOLED_STEPPING)
        weights = np.where(np.arange(POOLED_STEPPING)[::-1] < there, 1 / there, 0.0).astype(np.float32)
        self._steps[slots] += groups
        if more:  # of nobody, whose slot is the one behind all others
            slots = np.concatenate((slots, np.full(more, self._room)))
            number = np.concatenate((number, np.zeros(more, np.int64)))
            inputs = np.concatenate((inputs, np.zeros((more, *inputs.shape[1:]), np.float32)))
            weights = np.concatenate((weights, np.zeros((more * groups, POOLED_STEPPING), np.float32)))
        judged = run(inputs.reshape(-1, inputs.shape[2]), self._places[groups].of(slots, number), weights)
        return judged.reshape(len(slots), groups, -1)[: len(slots) - more]

    def _compute(self, inputs: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        """Inputs (N * T, channels), places (N, columns) and weights (N * G, pooled) to what is judged, (N * G, ...)."""
        groups = len(weights) // len(places)
        written, read = self._places[groups].written, self._places[groups].read
        y = self._matrices.embed(inputs.to(self._matrices.backend.dtype))
        for number, (layer, ring) in enumerate(zip(self._matrices.layers, self._rings, strict=False)):
            # What is remembered is normalised: before a track's first frame there are zeros, whatever the norm's shift.
            memory = self._memory[number]
            memory.index_copy_(0, places[:, written[number]].reshape(-1), layer.normed(y))
            seen = memory.index_select(0, places[:, read[number]].reshape(-1))
            y = layer(seen.view(-1, layer.kernel * memory.shape[1]), y[ring.every - 1 :: ring.every])
        features = nn.functional.gelu(self._matrices.head(y)).float()
        memory = self._memory[-1]
        memory.index_copy_(0, places[:, written[-1]].reshape(-1), features)
        pooled = memory.index_select(0, places[:, read[-1]].reshape(-1)).view(-1, POOLED_STEPPING, memory.shape[1])
        return self._matrices.judge(torch.bmm(weights[:, None], pooled)[:, 0])

    def _inputs(self, slots: IntArray, x: Float32Array, mask: Float32Array) -> Float32Array:
        """What the encoder takes of the next frames, (N, T, channels)."""
        state = self._normaliser.select(slots)
        inputs = np.empty((*mask.shape[:2], INPUTS + POSE_SIZE), np.float32)
        inputs[..., :INPUTS] = normalise(x, mask, state, self._rate_hz)
        self._normaliser.put(slots, state)
        pose = inputs[..., POSE]
        before = np.where(self._steps[slots, None] > 0, self._pose[slots], pose[:, 0])
        np.subtract(pose[:, 0], before, out=inputs[:, 0, INPUTS:])
        np.subtract(pose[:, 1:], pose[:, :-1], out=inputs[:, 1:, INPUTS:])
        self._pose[slots] = pose[:, -1]
        return inputs

    def _slots_of(self, keys: Sequence[Hashable]) -> IntArray:
        """Where the tracks' states are; those that have none get one, the least recently used one if need be."""
        new = [key for key in keys if key not in self._slots]
        for key in keys:
            if key in self._slots:
                self._slots.move_to_end(key)
        while len(self._free) < len(new) and self._room < self.most:
            self._grow(min(2 * self._room, self.most))
        while len(self._free) < len(new):
            self._free.append(self._slots.popitem(last=False)[1])
            self.evicted += 1
        begun = [self._free.pop() for _ in new]
        self._slots.update(zip(new, begun, strict=True))
        if begun:
            self._begin(np.array(begun))
        return np.array([self._slots[key] for key in keys], np.int64)

    def _begin(self, slots: IntArray) -> None:
        self._steps[slots] = 0
        self._normaliser.put(slots, NormaliserState.new(len(slots)))
        at = torch.from_numpy(slots).to(self._matrices.backend.device)
        for ring, memory in zip(self._rings, self._memory, strict=True):
            memory.view(-1, ring.rows, memory.shape[1]).index_fill_(0, at, 0.0)

    def _grow(self, room: int) -> None:
        more = room - self._room
        self._normaliser = self._normaliser.joined(NormaliserState.new(more))
        self._pose = np.concatenate((self._pose, np.zeros((more, POSE_SIZE), np.float32)))
        self._steps = np.concatenate((self._steps, np.zeros(more, np.int64)))
        backend, sizes = self._matrices.backend, [self._matrices.channels] * (len(self._rings) - 1)
        before, self._memory = self._memory, []
        for number, (ring, size) in enumerate(zip(self._rings, (*sizes, self._matrices.features), strict=True)):
            dtype = torch.float32 if number == len(sizes) else backend.dtype
            memory = torch.zeros((room + 1) * ring.rows, size, device=backend.device, dtype=dtype)
            if before:
                memory[: self._room * ring.rows] = before[number][: self._room * ring.rows]
            self._memory.append(memory)
        self._free.extend(range(self._room, room))
        self._room = room
