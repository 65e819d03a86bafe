"""Backends agree with each other, and with the network as it was trained; the fastest of them is taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models import track_states
from models.backend import CPU, Backend, Choice, backends, choose, decide
from models.checkpoint import load
from models.errors import ModelError
from models.graph import JOINTS
from models.matrices import AT_ONCE, Matrices
from models.normaliser import NormaliserState, normalise
from models.recipe import ServedRecipe, make_recipe
from models.runner import Recorded, Work
from models.stgcn import STGCN, fold
from models.streaming import StreamingNetwork
from models.track_states import TrackStates
from stream.bench.network import SHIPPED, shipped_network

V = len(JOINTS)


@pytest.fixture(scope="module")
def network() -> StreamingNetwork:
    """The network that ships: trained weights, as agreement of random ones would say little."""
    return shipped_network()


def people(number: int, frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, T, V, 3) of made-up people who move, and masks with holes."""
    random = np.random.default_rng(seed)
    pose = random.normal(0, 0.4, (number, 1, V, 3))
    path = random.normal(0, 0.03, (number, frames, V, 3)).cumsum(axis=1)
    return (pose + path + [0, 0, 3]).astype(np.float32), (random.random((number, frames, V)) > 0.1).astype(np.float32)


def windows(number: int, frames: int = 50) -> Tensor:
    x, mask = people(number, frames)
    return torch.from_numpy(normalise(x, mask, NormaliserState.new(number), 25.0))


@pytest.mark.parametrize(("number", "frames", "whole"), [(1, 50, False), (AT_ONCE + 3, 50, False), (2, 97, True)])
def test_matrices_give_what_the_trained_layers_give(
    network: StreamingNetwork, number: int, frames: int, whole: bool
) -> None:
    x = windows(number, frames)
    with torch.inference_mode():
        expected = network.judge(network(x, whole=whole))
        found = Matrices(network)(x, whole=whole)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("backend", [one for one in backends("auto", "auto") if one != CPU], ids=str)
def test_lower_precision_and_other_devices_agree_with_float32_on_the_cpu(
    network: StreamingNetwork, backend: Backend
) -> None:
    known = network.taught + network.own.out_features
    x, mask = people(12, 96)
    with torch.inference_mode():
        expected, found = (Matrices(deepcopy(network), one)(windows(12)).cpu() for one in (CPU, backend))
    _agree(expected, found, known, backend)
    stepped = [TrackStates(Matrices(deepcopy(network), one), 8) for one in (CPU, backend)]
    for start in range(0, 96, 16):
        part = slice(start, start + 16)
        expected, found = (
            torch.from_numpy(states.step(range(12), x[:, part], mask[:, part])).flatten(0, 1) for states in stepped
        )
        if start:  # the first outputs have seen next to nothing, and an embedding of next to nothing is mostly rounding
            _agree(expected, found, known, backend)


def _agree(expected: Tensor, found: Tensor, known: int, backend: Backend) -> None:
    assert found.dtype == torch.float32
    cosine = nn.functional.cosine_similarity(expected[:, known:], found[:, known:])
    assert cosine.min() > (1 - 1e-6 if backend.precision == "fp32" else 0.9999)
    bound = 1e-5 if backend.precision == "fp32" else 0.02
    np.testing.assert_allclose(found[:, :known], expected[:, :known], atol=bound)


def test_tracks_stepped_by_a_recording_are_those_stepped_one_by_one(
    network: StreamingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording is replayed on fixed tensors, with rows filled up; on the CPU it is the function itself again."""
    recordings = []

    def record(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        recordings.append(work)
        for _ in range(3):
            work()  # as `CudaRecorder` does: to run it again must change nothing
        return work

    def recorded(work: Work, backend: Backend) -> Recorded:
        return Recorded(work, record, backend.device)

    x, mask = people(7, 64)
    plain = TrackStates(Matrices(network), 8, most=16)
    monkeypatch.setattr(track_states, "runner", recorded)
    states = TrackStates(Matrices(network), 8, most=16)
    for number, (start, rows) in enumerate([(0, [0, 1, 2]), (8, [2, 0, 1, 5]), (16, [6]), (24, [3, 4, 0]), (32, [1])]):
        if number == 3:
            plain.clear(5), states.clear(5)
        part = slice(start, start + 16 if number == 4 else start + 8)
        expected, found = (one.step(rows, x[rows, part], mask[rows, part]) for one in (plain, states))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(recordings) == 2  # 3 rows as 4, and 1 row; two groups are not recorded
    assert 0.9 < states.bytes_per_track / plain.bytes_per_track < 1.1


def test_folded_graph_convolutions_give_the_same_features() -> None:
    torch.manual_seed(1)
    network = STGCN()
    with torch.no_grad():
        network(torch.randn(8, 3, 50, V))  # statistics that a batch norm has of something
    network.eval().requires_grad_(False)
    clips = torch.randn(3, 3, 50, V)
    with torch.inference_mode():
        expected = network(clips)
        fold(network)
        found = network(clips)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("encoder", ["stgcn", "shiftgcn"])
@pytest.mark.parametrize("backend", [one for one in backends("auto", "auto") if one != CPU], ids=str)
def test_recipes_agree_in_lower_precision(encoder: str, backend: Backend) -> None:
    torch.manual_seed(2)
    network = make_recipe("smie", encoder, 8, {}).eval().requires_grad_(False)
    clips = torch.randn(4, 3, 50, V, 1)
    with torch.inference_mode():
        expected = network(clips)
        found = ServedRecipe(network, backend)(clips).cpu()
    assert found.dtype == torch.float32
    assert nn.functional.cosine_similarity(found, expected).min() > 0.9999


def test_the_fastest_backend_is_found_by_measurement() -> None:
    slow, fast = Backend("cpu", "fp32"), Backend("cpu", "bf16")

    def trial(backend: Backend) -> Callable[[], object]:
        return lambda: time.sleep(0.05 if backend == slow else 0.0001)

    assert choose([slow, fast], trial).backend == choose([fast, slow], trial).backend == fast


def test_a_backend_that_fails_is_left_out_and_said_to() -> None:
    first, second = Backend("cpu", "fp32"), Backend("cuda", "fp16")

    def trial(backend: Backend) -> Callable[[], object]:
        if backend == second:
            raise RuntimeError("out of memory\nmore of it")
        return lambda: None

    choice = choose([first, second], trial)
    assert choice.backend == first
    assert choice.reason.endswith("; cuda fp16: out of memory")
    with pytest.raises(ModelError, match="no device can be used: cuda fp16: out of memory; cuda fp16: out of memory"):
        choose([second, second], trial)


def test_why_a_backend_is_taken_is_said() -> None:
    first, second = Backend("cpu", "fp32"), Backend("cpu", "bf16")
    better, worse = decide([first, second], [0.004, 0.002]), decide([first, second], [0.002, 0.004])
    assert str(better) == "cpu bf16 (the fastest for 16 people: cpu fp32 4.00 ms, cpu bf16 2.00 ms)"
    assert str(worse) == "cpu fp32 (the fastest for 16 people: cpu fp32 2.00 ms, cpu bf16 4.00 ms)"
    kept = decide([first, second], [0.0024, 0.002])
    assert str(kept) == "cpu fp32 (no other is 1.25 times as fast for 16 people: cpu fp32 2.40 ms, cpu bf16 2.00 ms)"


def test_nothing_is_measured_where_there_is_no_choice() -> None:
    def trial(_: Backend) -> Callable[[], object]:
        raise AssertionError("measured")

    assert choose([CPU], trial) == Choice(CPU)
    assert str(Choice(CPU)) == "cpu fp32"


def test_what_this_machine_lacks_is_told() -> None:
    with pytest.raises(ModelError, match="device 'tpu': expected auto, cpu or cuda"):
        backends("tpu")
    with pytest.raises(ModelError, match="precision 'int8': expected auto, fp32, bf16, fp16"):
        backends("cpu", "int8")
    with pytest.raises(ModelError, match="precision 'fp16': not to be had here; expected auto or one of fp32"):
        backends("cpu", "fp16")
    assert backends("cpu") == [CPU]
    assert backends("cpu", "bf16") == [Backend("cpu", "bf16")]


def test_a_model_is_loaded_in_the_precision_asked_for() -> None:
    recogniser = load(SHIPPED, "cpu", "bf16")
    x, mask = people(2, 50)
    features = recogniser.encode(x.transpose(0, 3, 1, 2), mask)
    assert recogniser.choice == Choice(Backend("cpu", "bf16"))
    expected = load(SHIPPED, "cpu").encode(x.transpose(0, 3, 1, 2), mask)
    assert (recogniser.embedding(features) * recogniser.embedding(expected)).sum(axis=1).min() > 0.9999
    assert not np.array_equal(features, expected)
