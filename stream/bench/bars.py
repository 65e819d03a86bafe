"""What the figures are held against; a bar that is missed is told of, and fails nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from stream.bench.figures import Result
from stream.bench.plan import BOUND_MS, STREAMS


class Bar(msgspec.Struct, frozen=True):
    """A bound on a figure or a ratio.

    Attributes:
        text: for people.
        bench, name: where the number stands: a ratio of that name, else a figure.
        least, most: what it must reach, or must not exceed.
    """

    text: str
    bench: str
    name: str
    least: float = -math.inf
    most: float = math.inf


class Verdict(msgspec.Struct, frozen=True):
    """How a bar was met.

    Attributes:
        bar: its text.
        value, unit: the median that was measured; None where nothing was.
        bound: what it must be.
        met: whether it is; None where nothing was measured.
    """

    bar: str
    value: float | None
    unit: str
    bound: str
    met: bool | None


FIXED = "64 cameras x 2"
WINDOWS, STEPS = (f"1000 prompts, share of the encoder by {form}" for form in ("windows", "steps"))
BARS = (
    *(
        Bar(f"each frame decided at 1/25 of a window anew, {n} streams", "peers", f"sliding_to_every_frame_{n}", 25)
        for n in STREAMS
    ),
    Bar("a window twice as fast as the papers' way, batch 8, fp32", "peers", "papers_to_windows_fp32_8", 2),
    Bar("a window 4 times as fast as the papers' way, batch 8, bf16", "peers", "papers_to_windows_bf16_8", 4),
    Bar("the same for the papers' own network, batch 8, fp32", "peers", "papers_to_same_network_fp32_8", 2),
    Bar("the same for the papers' own network, batch 8, bf16", "peers", "papers_to_same_network_bf16_8", 4),
    Bar("not slower than continual-inference's blocks, our network, 1 stream", "peers", "continual_to_steps_1", 1),
    Bar("twice as fast as they are, our network, 32 streams", "peers", "continual_to_steps_32", 2),
    Bar("not slower than their ST-GCN, 1 stream", "peers", "continual_graph_to_steps_1", 1),
    Bar("twice as fast as their ST-GCN, 32 streams", "peers", "continual_graph_to_steps_32", 2),
    *(
        Bar(f"60 % of the fp32 GEMM peak, batch {batch}", "encoder", f"cpu fp32, batch {batch}, share of GEMM peak", 60)
        for batch in (8, 32)
    ),
    Bar("1,000 prompts under 2 % of the encoder, by windows", "prompts", WINDOWS, most=2),
    Bar("1,000 prompts under 2 % of the encoder, by steps", "prompts", STEPS, most=2),
    Bar(f"{FIXED} at 30 fps held in real time", "end-to-end", f"{FIXED}, held", 1),
    Bar(f"{FIXED}: p99 from capture to publish", "end-to-end", f"{FIXED}, p99", most=BOUND_MS),
    Bar("1 camera: p50 from capture to publish", "end-to-end", "1 camera x 2, p50", most=10),
)


def judge(benches: Mapping[str, Result]) -> list[Verdict]:
    """How each bar is met by what was measured."""
    return [_judge(bar, benches.get(bar.bench)) for bar in BARS]


def _judge(bar: Bar, result: Result | None) -> Verdict:
    bound = f"at least {bar.least:g}" if bar.least > -math.inf else f"under {bar.most:g}"
    if result is not None and bar.name in result.ratios:
        value, unit = result.ratios[bar.name].median, "times"
    elif result is not None and bar.name in result.figures:
        value, unit = result.figures[bar.name].median, result.figures[bar.name].unit
    else:
        return Verdict(bar.text, None, "", bound, None)
    met = value >= bar.least if bar.least > -math.inf else value < bar.most
    return Verdict(bar.text, value, unit, bound, met)
