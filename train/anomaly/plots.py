"""Pictures of how anomalies are told; needs matplotlib, the extra "plots"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from train.anomaly import metrics
from train.anomaly.scoring import KINDS, Scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INKS = {"ood": "#777777", "prompt": "#b3382c", "product": "#2563a8"}
NAMES = {"ood": "unlike normal", "prompt": "like the prompts", "product": "product"}


def labelled(scored: Scored, positive: NDArray[np.bool_], title: str) -> Figure:
    """Recall over false alarms of the three scores of clips."""
    from matplotlib.figure import Figure  # here, since it is not always installed

    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for kind in KINDS:
        points = metrics.curve(scored[kind], positive)
        area = 100 * metrics.auroc(scored[kind], positive)
        axes.plot(100 * points.false, 100 * points.recall, color=INKS[kind], label=f"{NAMES[kind]}: {area:.1f} %")
    axes.set_xlabel("normal clips over the threshold, %")
    axes.set_ylabel("anomalies over the threshold, %")
    axes.legend(loc="lower right", frameon=False, title="area under the curve")
    axes.set_title(title)
    return figure


def alarms(conditions: Mapping[str, Any], title: str) -> Figure:
    """False alarms an hour over the share of strikes found, by encoder and score, of the protocol "precog"."""
    from matplotlib.figure import Figure

    teams = conditions["as recorded"]
    figure = Figure(figsize=(4.2 * len(teams), 4.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(teams), sharey=True))
    for axes, (team, figures) in zip(panels, teams.items(), strict=True):
        for kind in KINDS:
            rows = {k: v for k, v in figures["alarms"][kind].items() if k.endswith(" found")}
            shares = [float(name.partition("%")[0]) for name in rows]
            rates = [row["false_alarms_per_hour"]["mean"] for row in rows.values()]
            axes.plot(shares, rates, marker="o", color=INKS[kind], label=NAMES[kind])
        axes.axhline(2, color="black", linestyle=":", label="2 an hour")
        axes.set_yscale("symlog", linthresh=1)
        axes.set_xlabel("strikes found, %")
        axes.set_title(team)
    figure.axes[0].set_ylabel("false alarms an hour")
    figure.axes[0].legend(frameon=False)
    figure.suptitle(title)
    return figure
