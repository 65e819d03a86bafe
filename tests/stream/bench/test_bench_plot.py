"""The picture of a report: a panel for what was measured, and none for what was not."""

from __future__ import annotations

import pytest

from stream.bench.figures import Result, curve, fit, spread
from stream.bench.machine import this_machine
from stream.bench.plot import panels_of, picture
from stream.bench.report import Report

POINTS = [(1.0, 20.0), (8.0, 90.0), (32.0, 140.0)]


@pytest.fixture
def report() -> Report:
    """Of three benches without peers."""
    encoder = Result(
        curves={name: curve("windows in a batch", "windows a second", POINTS) for name in ("fp32", "bf16")}
        | {"steps": curve("streams", "µs a frame", POINTS)}
    )
    prompts = Result(
        lines={
            "scores of a window": fit("prompts", "µs a window", POINTS),
            "all of the pipeline": fit("prompts", "µs a second", POINTS),
            "of nothing": fit("prompts", "µs", [(1.0, 0.0), (2.0, 0.0)]),
        }
    )
    replay = Result(ratios={"replay_to_real_time": spread([80.0])})
    found = Report(this_machine(), {"encoder": encoder, "prompts": prompts, "replay": replay})
    found.sum_up()
    return found


def test_no_two_panels_have_the_same_title_and_peers_have_one_only_if_they_were_measured(report: Report) -> None:
    titles = [title for title, _ in panels_of(report)]
    assert titles == [
        "encoder: windows a second by windows in a batch",
        "encoder: steps",
        "prompts: scores of a window",
        "prompts: all of the pipeline",
        "prompts: of nothing",
    ]
    report.benches["peers"] = Result(ratios={"papers_to_windows_fp32_8": spread([2.0, 3.0])})
    report.sum_up()
    assert [title for title, _ in panels_of(report)] == [*titles, "peers, times as long as ours"]


def test_each_panel_shows_what_was_measured(report: Report) -> None:
    figure = pytest.importorskip("matplotlib.figure", reason="the extra 'plots' is not installed")
    report.ratios["papers_to_windows_fp32_8"] = spread([2.0, 3.0])
    drawn = []
    for _, draw in panels_of(report):
        axes = figure.Figure().subplots()
        draw(axes)
        drawn.append(axes)
    assert [tick.get_text() for tick in drawn[0].get_xticklabels()] == ["1", "8", "32"]
    assert [axes.get_legend() is not None for axes in drawn] == [True, False, False, False, False, False]
    for axes in drawn[2:5]:  # from 0, and with nothing at the edge
        low, high = axes.get_ylim()
        assert low == 0
        assert high > max(axes.lines[0].get_ydata())
    assert [label.get_text() for label in drawn[5].get_yticklabels()] == ["papers to windows fp32 8"]
    assert picture(report).startswith(b"\x89PNG")
