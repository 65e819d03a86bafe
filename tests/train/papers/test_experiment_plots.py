"""Pictures of an experiment: what is drawn, and that it can be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the extra plots is not installed")

from train.judging.plots import PlotError, png
from train.papers.plots import MOST_POINTS, confusion, curves, embedding_map

PNG = b"\x89PNG\r\n\x1a\n"


def test_curves_have_the_points_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,loss,held-out seen\n10,2.0,0.25\n20,1.0,0.5\n")
    figure = curves(log, "smie")
    left, right = figure.axes
    assert left.lines[0].get_xydata().tolist() == [[10, 2], [20, 1]]  # type: ignore[union-attr]
    assert right.lines[0].get_xydata().tolist() == [[10, 25], [20, 50]]  # type: ignore[union-attr]
    assert left.get_ylim()[0] == 0
    assert png(figure).startswith(PNG)


@pytest.mark.parametrize(("steps", "ticks"), [([1], [1]), ([2, 4], [2, 4]), (range(1, 9), None)])
def test_ticks_are_whole_steps(tmp_path: Path, steps: Sequence[int], ticks: list[int] | None) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,loss\n" + "".join(f"{step},1.0\n" for step in steps))
    axes = curves(log, "smie").axes[0]
    shown = axes.get_xticks().tolist()
    assert shown == ticks or (ticks is None and all(tick == round(tick) for tick in shown))
    assert axes.get_xlim()[1] >= max(steps)


def test_a_loss_below_zero_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,loss\n10,-2.0\n20,-3.0\n")
    assert curves(log, "smie").axes[0].get_ylim()[0] < -3


@pytest.mark.parametrize("text", ["", "step,loss\n1,x\n", "step,loss\n1\n"])
def test_what_is_no_log_is_refused(tmp_path: Path, text: str) -> None:
    log = tmp_path / "log.csv"
    log.write_text(text)
    with pytest.raises(PlotError, match="no log of a training"):
        curves(log, "smie")


def test_confusion_shows_shares_of_each_class() -> None:
    counts = [[3, 1, 0], [0, 0, 0], [2, 0, 2]]
    figures = {"confusion": {"classes": ["wave", "kick", "x" * 60], "counts": counts}, "top1": 0.625, "n": 8}
    figure = confusion(figures, "smie")
    axes = figure.axes[0]
    shown = np.asarray(axes.images[0].get_array())
    assert shown.tolist() == [[0.75, 0.25, 0], [0, 0, 0], [0.5, 0, 0.5]]
    assert [text.get_text() for text in axes.texts] == ["75", "25", "50", "50"]
    assert axes.get_yticklabels()[2].get_text() == "x" * 29 + "… (4)"
    assert "62.5 % of 8 clips" in figure.get_suptitle()
    assert png(figure).startswith(PNG)


def test_the_map_is_the_plane_of_most_variance() -> None:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    clips = np.zeros((40, 6))
    clips[:, 4], clips[:, 1] = 5 * np.cos(angle), 2 * np.sin(angle)
    labels = (np.arange(40) % 2).tolist()
    figure = embedding_map(clips + 7, labels, ["wave", "kick"], "smie", anchors=np.eye(2, 6))
    offsets = np.concatenate([np.asarray(one.get_offsets()) for one in figure.axes[0].collections[:2]])
    expected = np.stack([clips[:, 4], clips[:, 1]], axis=1)
    np.testing.assert_allclose(np.sort(offsets, axis=0), np.sort(expected, axis=0), atol=1e-9)
    assert len(figure.axes[0].collections) == 5
    assert [one.get_text() for one in figure.legends[0].get_texts()] == ["wave", "kick", "its text (centred, scaled)"]
    assert png(figure).startswith(PNG)


def test_a_map_of_many_clips_and_classes_or_one_clip_can_be_drawn() -> None:
    random = np.random.default_rng(0)
    names = [f"class {k}" for k in range(24)]
    figure = embedding_map(random.normal(size=(10_000, 4)), (np.arange(10_000) % 24).tolist(), names, "many")
    drawn = sum(len(np.asarray(one.get_offsets())) for one in figure.axes[0].collections)
    assert MOST_POINTS / 2 < drawn <= MOST_POINTS
    assert png(figure).startswith(PNG)
    assert png(embedding_map(np.ones((1, 3)), [0], ["wave"], "one")).startswith(PNG)
