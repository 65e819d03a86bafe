import numpy as np
import pytest

from train.judging.spread import resampled, summary


def test_summary() -> None:
    assert summary([0.5]) == {"mean": 0.5, "std": 0.0}
    assert summary([0.4, 0.6]) == {"mean": pytest.approx(0.5), "std": pytest.approx(np.sqrt(0.02))}


def test_people_are_drawn_whole() -> None:
    subjects = ["a"] * 3 + ["b"] * 3
    values = np.array([0, 0, 0, 1, 1, 1.0])

    def figures(rows: np.ndarray) -> dict[str, float | None]:
        assert len(rows) == 6
        return {"mean": float(values[rows].mean()), "none": None}

    found = resampled(subjects, figures)
    assert found == resampled(subjects, figures)
    assert found["mean"] == pytest.approx(np.sqrt(1 / 8), abs=0.05)
    assert found["none"] is None
    # Without names each is a person of its own, and the mean of six is steadier.
    assert resampled([""] * 6, figures)["mean"] == pytest.approx(np.sqrt(1 / 24), abs=0.04)
