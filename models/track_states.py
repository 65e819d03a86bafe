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

from models.causal import KERNELS, POSE_SIZE, STRIDE, STRIDES
from models.graph import JOINTS
from models.normaliser import INPUTS, POSE, NormaliserState, normalise
from models.stepping import Layer, Ring, folded, layer_of
from models.streaming import POOLED_STEPPING, StreamingNetwork

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
        network: with its trained weights, in evaluation mode.
        frames: in a group: features are given for the last frame of each group, and steps are of whole groups.
        rate_hz: frames a second.
        most: states that are kept; beyond, the one that was stepped the longest time ago is forgotten.

    Attributes:
        frames, most: see above.
        evicted: how many states were forgotten for want of room.

    Raises:
        ValueError: `frames` or `most` is below 1.
    """

    def __init__(self, network: StreamingNetwork, frames: int, *, rate_hz: float = 25.0, most: int = MOST) -> None:
        if frames < 1 or most < 1:
            raise ValueError(f"{frames} frames a step and {most} states; expected 1 or more of both")
        self.frames, self.most, self.evicted = frames, most, 0
        self._groups = max(1, AT_ONCE // frames)
        self._network, self._rate_hz = network, rate_hz
        self._device = network.own.weight.device
        # What is given is of each group's last frame; outputs are pooled with those 4, 8 ... frames before. So of the
        # outputs of a layer those are computed that lie a multiple of this before a group's end, if the layer has them.
        phase = gcd(frames, STRIDE)
        self._layers: list[Layer] = []
        done, apart = 1, 1
        """Frames between two inputs of the layer in the strided form, and between two that are computed here."""
        for block, kernel, stride in zip(network.encoder.blocks, KERNELS, STRIDES, strict=True):
            done_after = done * stride
            apart_after = gcd(phase, done_after)
            ring = Ring.of(frames // apart, apart_after // apart, kernel, done // apart, self._groups)
            self._layers.append(layer_of(block, ring))
            done, apart = done_after, apart_after
        new = frames // apart
        self._outputs = Ring.of(new, new, POOLED_STEPPING, STRIDE // apart, self._groups)
        self._embed = folded(network.encoder.norm, network.encoder.embed)
        self._head = folded(network.encoder.head[0], network.encoder.head[1])
        self._slots: OrderedDict[Hashable, int] = OrderedDict()
        self._room = 0
        self._free: list[int] = []
        self._normaliser = NormaliserState.new(0)
        self._pose = np.zeros((0, POSE_SIZE), np.float32)
        self._steps = np.zeros(0, np.int64)
        features = network.own.in_features
        self._memory = [torch.zeros(0, network.encoder.channels, device=self._device) for _ in self._layers]
        self._memory.append(torch.zeros(0, features, device=self._device))
        self._rings = [*(layer.ring for layer in self._layers), self._outputs]
        self._grow(min(FIRST, most))

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._slots

    @property
    def bytes_per_track(self) -> int:
        """What one state takes."""
        encoder = sum(memory.numel() * memory.element_size() for memory in self._memory)
        return (encoder + self._pose.nbytes + self._steps.nbytes + self._normaliser.nbytes) // self._room

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
        y = torch.from_numpy(inputs.reshape(-1, inputs.shape[2])).to(self._device)
        y = torch.addmm(self._embed[1], y, self._embed[0])
        for layer, memory in zip(self._layers, self._memory, strict=False):
            # What is remembered is normalised: before a track's first frame there are zeros, whatever the norm's shift.
            new = torch.addcmul(layer.shift, y, layer.scale)
            seen = self._remember(layer.ring, memory, slots, number, groups, new)
            hidden = nn.functional.gelu(torch.addmm(layer.temporal_bias, seen.flatten(1), layer.temporal))
            y = y[layer.ring.every - 1 :: layer.ring.every] + torch.addmm(layer.mix_bias, hidden, layer.mix)
        y = nn.functional.gelu(torch.addmm(self._head[1], y, self._head[0]))
        pooled = self._remember(self._outputs, self._memory[-1], slots, number, groups, y)
        # An output of one of the first frames has seen next to nothing: it counts as long as there is no other.
        seen_frames = (number[:, None] + np.arange(1, groups + 1)).reshape(-1, 1) * self.frames
        there = np.clip(seen_frames // STRIDE - 1, 1, POOLED_STEPPING)
        weights = np.where(np.arange(POOLED_STEPPING)[::-1] < there, 1 / there, 0.0).astype(np.float32)
        self._steps[slots] += groups
        features = torch.bmm(torch.from_numpy(weights).to(self._device)[:, None], pooled)[:, 0]
        judged = self._network.judge(features).cpu().numpy()
        return np.asarray(judged.reshape(len(slots), groups, -1), np.float32)

    def _remember(
        self, ring: Ring, memory: Tensor, slots: IntArray, number: IntArray, groups: int, new: Tensor
    ) -> Tensor:
        """Write each track's new rows, and give what its outputs see: (N * outputs, inputs, C)."""
        first = number * ring.new
        at = slots[:, None] * ring.rows + ring.added(first, groups)
        memory.index_copy_(0, torch.from_numpy(at.reshape(-1)).to(self._device), new)
        taken = slots[:, None, None] * ring.rows + ring.taken(first, groups)
        rows = memory.index_select(0, torch.from_numpy(taken.reshape(-1)).to(self._device))
        return rows.view(-1, len(ring.inputs), memory.shape[1])

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
        at = torch.from_numpy(slots).to(self._device)
        for ring, memory in zip(self._rings, self._memory, strict=True):
            memory.view(-1, ring.rows, memory.shape[1]).index_fill_(0, at, 0.0)

    def _grow(self, room: int) -> None:
        more = room - self._room
        self._normaliser = self._normaliser.joined(NormaliserState.new(more))
        self._pose = np.concatenate((self._pose, np.zeros((more, POSE_SIZE), np.float32)))
        self._steps = np.concatenate((self._steps, np.zeros(more, np.int64)))
        self._memory = [
            torch.cat((memory, memory.new_zeros(more * ring.rows, memory.shape[1])))
            for ring, memory in zip(self._rings, self._memory, strict=True)
        ]
        self._free.extend(range(self._room, room))
        self._room = room
