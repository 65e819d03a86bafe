"""Tables of results."""

from __future__ import annotations

from typing import Any

import pytest

from train.anomaly.scoring import KINDS
from train.anomaly.table import BEGIN, END, into, tables


def number(mean: float, std: float = 0.0) -> dict[str, float]:
    return {"mean": mean, "std": std}


def ranked(value: float, std: float = 0.0) -> dict[str, Any]:
    areas = {kind: number(value, std) for kind in KINDS}
    return {"auroc": areas, "ap": areas, "eer_accuracy": number(value)}


def result(protocol: str, figures: dict[str, Any]) -> dict[str, Any]:
    conditions = {"as recorded": {"graph": figures}}
    return {"protocol": protocol, "split": "test", "encoders": {"graph": ["0"]}, "conditions": conditions}


def test_every_figure_has_a_row() -> None:
    share = {"false_alarms_per_hour": number(1.5), "delay_ms_median": number(420)}
    rows = {"hours": number(0.5), "hours_of_unseen_styles": number(0.1), "80% found": share}
    precog = {"per_window": ranked(0.91, 0.02), "per_frame": ranked(0.8), "alarms": dict.fromkeys(KINDS, rows)}
    msrc = ranked(0.7) | {"by_gesture": {"kick": ranked(0.95) | {"false_alarms_per_hour": number(12)}}}
    text = tables([result("precog", precog), result("msrc12", msrc), result("kinder-gator", {"kick": ranked(0.9)})])
    for line in (
        "| as recorded | per_window | graph | 91.0 ± 2.0 | 91.0 ± 2.0 | 91.0 ± 2.0 | 91.0 ± 2.0 | 91.0 |",
        "| as recorded | per_frame | graph | 80.0 | 80.0 | 80.0 | 80.0 | 80.0 |",
        "| graph | product | 1.5 | 420 |",
        "| as recorded | all | graph | 70.0 | 70.0 | 70.0 | 70.0 | 70.0 |",
        "| kick | 95.0 | 12 |",
        "| as recorded | kick | graph | 90.0 | 90.0 | 90.0 | 90.0 | 90.0 |",
    ):
        assert line in text.splitlines()


def test_only_what_is_between_the_marks_is_replaced() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert into(page, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="lacks the lines"):
        into("nothing", "new")
