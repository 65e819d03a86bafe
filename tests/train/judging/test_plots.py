import sys

import pytest
from train_oracle import ACTIONS

from train.judging import plots

PNG = b"\x89PNG"


def test_pictures() -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    confusion = {name: {name: 3, ACTIONS[0]: 1} for name in ACTIONS[1:]} | {ACTIONS[0]: {ACTIONS[0]: 2}}
    named = {"per_class": dict.fromkeys(ACTIONS, 0.5), "confusion": confusion, "top1": 0.5, "n": 14}
    assert plots.png(plots.zero_shot(named | {"spread": {"top1": 0.1}}, "a set"))[:4] == PNG
    shots = {"shots": {"1": {"mean": 0.5, "std": 0.1}, "10": {"mean": 0.9, "std": 0.0}}, "labels": 4, "seeds": 5}
    assert plots.png(plots.few_shot(shots, "a set"))[:4] == PNG
    row = {"f1": 0.5, "precision": None, "recall": 0.5, "true": 3}
    events = {"per_label": {"wave": row, "kick": row | {"f1": None}}}
    for overall in ({"event_f1": 0.5, "false_alarms_per_hour": 3.0}, {"event_f1": None, "false_alarms_per_hour": None}):
        assert plots.png(plots.stream(events | overall, "a set"))[:4] == PNG


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(plots, "find_spec", lambda _: None)
    with pytest.raises(plots.PlotError, match=r'install the extra "plots"'):
        plots.require_matplotlib()
