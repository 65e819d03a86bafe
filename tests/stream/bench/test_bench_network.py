"""What the benches run: that the work is counted rightly, that peers are fair, that all of it runs."""

from __future__ import annotations

import math
from importlib.util import find_spec

import pytest
import torch

from models.backend import backends
from models.causal import KERNELS, STRIDES
from models.normaliser import INPUTS, POSE
from stream.bench.clock import per_call
from stream.bench.contenders import CONTENDERS, contend, lacking
from stream.bench.encoder import BATCHES, bench_encoder
from stream.bench.footage import FPS, footage, record
from stream.bench.network import FRAMES, count_flops, gemm_peak, inputs, shipped_network, stepper
from stream.bench.plan import Plan
from stream.bench.prompts import bench_prompts
from stream.console import plural
from stream.sources.files import open_source

needs_continual = pytest.mark.skipif(find_spec("continual") is None, reason="the extra 'bench' is not installed")


def test_the_work_of_a_window_is_counted_to_the_last_multiply_add() -> None:
    network = shipped_network()
    sizes = network.encoder.sizes
    channels, hidden, features = sizes["channels"], sizes["hidden"], sizes["features"]
    frames = FRAMES + -FRAMES % 4
    adds = frames * (INPUTS + POSE.stop - POSE.start) * channels
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        frames //= stride
        adds += frames * (channels * hidden * kernel + hidden * channels)
    adds += frames * channels * features
    with torch.inference_mode():
        for batch in (1, 3):
            x = inputs(batch, FRAMES)
            assert count_flops(lambda x=x: network(x)) == 2 * adds * batch


def test_stepping_a_decision_for_each_frame_costs_a_fraction_of_a_window() -> None:
    network, x = shipped_network(), inputs(1, FRAMES)
    with torch.inference_mode():
        window = count_flops(lambda: network(x))
    assert 8 * count_flops(stepper(1, 8)) / 8 < window / 4
    assert count_flops(stepper(1, 1)) < window / 15


@needs_continual
def test_the_peer_of_continual_blocks_gives_what_our_network_gives() -> None:
    from stream.bench.continual_peer import ContinualEncoder, graph_stepper

    encoder = shipped_network().encoder
    x = inputs(2, 24)
    pose = x[:, :, POSE]
    velocity = pose - torch.cat((pose[:, :1], pose[:, :-1]), dim=1)
    frames = torch.cat((x, velocity), dim=2)
    with torch.inference_mode():
        peer = ContinualEncoder(encoder).eval()
        outputs = [y for t in range(24) if (y := peer.forward_step(frames[:, t])) is not None]
        torch.testing.assert_close(torch.stack(outputs, dim=2), encoder(x), atol=1e-4, rtol=1e-4)
        step = graph_stepper(2)
        last = [step() for _ in range(48)][-1]
    assert isinstance(last, torch.Tensor)
    assert last.shape == (2, 256, 25)
    assert last.isfinite().all()


@pytest.mark.parametrize("name", CONTENDERS)
def test_each_contender_runs(name: str) -> None:
    if missing := lacking(name):
        pytest.skip(f"not installed: {missing}")
    seconds = contend(name, 0.001)
    assert math.isfinite(seconds)
    assert seconds > 0


def test_per_call_gives_one_mean_for_each_run() -> None:
    calls = []
    took = per_call(lambda: calls.append(1), 0.002, 3)
    assert len(took) == 3
    assert all(0 < each < 0.002 for each in took)
    assert len(calls) > 3


def test_the_peak_of_matrix_products_is_measured() -> None:
    (peak,) = gemm_peak(torch.float32, 0.001, 1)
    assert peak > 1e8


@pytest.mark.slow
def test_the_encoder_bench_measures_every_batch() -> None:
    result = bench_encoder(Plan(seconds=0.001, runs=1))
    for backend in backends("cpu", "auto"):
        for batch in BATCHES:
            assert result.figures[f"{backend}, batch {batch}, windows"].median > 0
            assert result.figures[f"{backend}, batch {batch}, share of GEMM peak"].median > 0
        assert len(result.curves[f"{backend}, windows"].points) == len(BATCHES)
    for streams in BATCHES:
        assert result.figures[f"cpu fp32, every frame decided, {plural(streams, 'stream')}, a frame"].median > 0
    assert all(math.isfinite(figure.max) and figure.min > 0 for figure in result.figures.values())


def test_the_prompts_bench_gives_slopes_and_shares() -> None:
    result = bench_prompts(Plan(seconds=0.001, runs=1))
    assert [x for x, _ in result.lines["scores of a window"].points] == [10, 100, 300, 1000]
    assert result.figures["1000 prompts, share of the encoder by windows"].median > 0
    assert all(math.isfinite(figure.median) and figure.median > 0 for figure in result.figures.values())


def test_people_of_a_recording_stand_apart_and_move_at_30_fps(tmp_path) -> None:
    frames = list(open_source(record(tmp_path / "three.pwr", 3, 8.0)).frames())
    assert len(frames) == 8 * FPS
    assert frames[-1].t == (8 * FPS - 1) * 1_000_000_000 // FPS
    assert {frame.source for frame in frames} == {"three"}
    assert all(frame.confidence.shape[0] == 3 and frame.track_ids.tolist() == [0, 1, 2] for frame in frames)
    middle = [frame.joints[:, 0, 0] for frame in frames]
    assert all(a[0] < a[1] < a[2] for a in middle)
    assert not (frames[40].joints[0] - frames[40].joints[2]).std() < 0.01  # they do not move as one


def test_footage_is_as_long_as_asked_for() -> None:
    assert len(list(footage(1, 0.5))) == FPS // 2
