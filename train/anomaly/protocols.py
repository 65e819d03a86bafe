"""The protocols of `posewire eval anomaly --protocol`: figures of encoders alone and together, over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.anomaly import material as materials
from train.anomaly import metrics
from train.anomaly.alarms import Timeline, alarms_per_hour
from train.anomaly.disturb import DISTURBANCES, disturb
from train.anomaly.encoding import Windows
from train.anomaly.material import Material
from train.anomaly.plan import Eyes, Plan
from train.anomaly.scoring import KINDS, USUAL, Scored
from train.datasets.labelled import runs
from train.datasets.people import Split
from train.judging.spread import summary
from train.pointset.vocabulary import PAIR_BLOWS, PAIR_OTHERS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Figures = dict[str, Any]
PROTOCOLS = ("precog", "msrc12", "kinder-gator", "pairs")
FOUND = 0.8
"""Share of the strikes that an alarm must find where false alarms are counted."""
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares of them for which the curve is drawn."""
TOLERANCE_S, LAG_S = 0.333, 25 / 30
"""An action point counts from so much before to so much after the moment at which half a second and more of what
follows it has been seen: windows end there in which it is in the middle of a gesture cut as in training."""
AFTER_S = 0.3
"""Seconds after the end of a strike in which an alarm still is its own."""


def over_seeds(figures: Sequence[Figures]) -> Figures:
    """Mean and standard deviation of each number, of whatever nests it; None where a seed has none."""
    found: Figures = {}
    for key, value in figures[0].items():
        values = [one[key] for one in figures]
        if isinstance(value, dict):
            found[key] = over_seeds(values)
        else:
            found[key] = None if any(one is None for one in values) else summary(values)
    return found


def ranks(scored: Scored, positive: BoolArray) -> Figures:
    """AUROC and average precision of each score, and what thresholds reach by the product."""
    return {
        "auroc": {kind: metrics.auroc(scored[kind], positive) for kind in KINDS},
        "ap": {kind: metrics.average_precision(scored[kind], positive) for kind in KINDS},
        "eer_accuracy": metrics.equal_error(scored.product, positive),
    }


def run(plan: Plan, name: str) -> Figures:
    """All figures of one of the `PROTOCOLS`: by condition, by team, as mean and spread over seeds.

    Raises:
        DataError, DataMissing: the sets are not there.
        KeyError: there is no such protocol.
    """
    judge: Callable[[Plan, str], Figures] = {
        "precog": _precog, "msrc12": _msrc12, "kinder-gator": _kinder_gator, "pairs": _pairs,
    }[name]  # fmt: skip
    conditions = ["", *(how for how in DISTURBANCES if plan.disturbed and (how != "swapped" or name == "pairs"))]
    return {how or "as recorded": judge(plan, how) for how in conditions}


def _precog(plan: Plan, how: str) -> Figures:
    made = materials.precog(plan.data, plan.split, plan.window_s).disturbed(partial(disturb, how=how))
    also = None if how else materials.everyday(plan.data, None, plan.window_s)
    return {
        team: over_seeds([_of_precog(made, eyes, also) for eyes in seeds])
        for team, seeds in plan.scored(made, materials.STRIKES, also).items()
    }


def _of_precog(made: Material, eyes: Eyes, also: Material | None) -> Figures:
    windows = eyes.windows
    strike = [np.asarray(truth) != "" for truth in made.truth]
    at_end = np.array([strike[clip][last] for clip, last in zip(windows.clip, windows.last, strict=True)])
    spans = list(zip(windows.clip, windows.first, windows.last, strict=True))
    mostly = np.array([strike[clip][first : last + 1].mean() >= 0.5 for clip, first, last in spans])
    length = int((windows.last - windows.first).max()) + 1
    apart = (windows.last + 1) % length == 0
    figures: Figures = {
        "per_window": ranks(eyes.scored.rows(apart), mostly[apart]),
        "per_frame": ranks(eyes.scored, at_end),
        "windows": int(apart.sum()),
        "strike_windows": int(mostly[apart].sum()),
    }
    if eyes.mixed is None or eyes.elsewhere is None or also is None:
        return figures
    figures["per_window, walking and waving normal too"] = ranks(eyes.mixed.rows(apart), mostly[apart])
    figures["per_window, only walking and waving normal"] = ranks(eyes.elsewhere.rows(apart), mostly[apart])
    return figures | {"alarms": {kind: _alarms(made, eyes, also, kind) for kind in KINDS}}


def _alarms(made: Material, eyes: Eyes, also: Material, kind: str) -> Figures:
    """Strikes found against false alarms in everyday movement, by one threshold and one model of what is normal."""
    assert eyes.mixed is not None  # the caller's business
    assert eyes.everyday is not None
    assert eyes.alarmed is not None
    lines = timelines(made, eyes.windows, eyes.mixed[kind])
    quiet = timelines(also, eyes.everyday, eyes.alarmed[kind])
    held = {
        scene.name
        for split in (Split.VALIDATION, Split.TEST)
        for scene in materials.of_split(also.judged, "bandai_namco", split)
    }
    unseen = [line for line, scene in zip(quiet, also.judged, strict=True) if scene.name in held]
    strikes = [
        (line, start / scene.rate_hz, end / scene.rate_hz + AFTER_S)
        for line, scene, truth in zip(lines, made.judged, made.truth, strict=True)
        for start, end, label in runs(truth.tolist())
        if label
    ]
    highest = np.array([line.highest(start, end) for line, start, end in strikes])
    figures: Figures = {"strikes": len(strikes), "hours": sum(line.length_s for line in quiet) / 3600}
    figures["hours_of_unseen_styles"] = sum(line.length_s for line in unseen) / 3600
    for share in SHARES:
        limit = metrics.threshold_for(highest, share)
        delays = [delay for line, start, end in strikes if (delay := line.delay(start, end, limit)) is not None]
        figures[f"{share:.0%} found"] = {
            "threshold": limit,
            "false_alarms_per_hour": alarms_per_hour(quiet, limit),
            "false_alarms_per_hour_unseen_styles": alarms_per_hour(unseen, limit),
            "delay_ms_median": 1000 * float(np.median(delays)),
        }
    return figures


def timelines(made: Material, windows: Windows, scores: FloatArray) -> list[Timeline]:
    """The scores of each judged scene, known at the end of each window."""
    found = []
    for place, scene in enumerate(made.judged):
        own = windows.clip == place
        times = (windows.last[own] + 1) / scene.rate_hz
        found.append(Timeline(times, scores[own], scene.frames / scene.rate_hz))
    return found


def _msrc12(plan: Plan, how: str) -> Figures:
    every = materials.msrc12(plan.data, plan.split).disturbed(partial(disturb, how=how))
    by_gesture: dict[str, list[list[Figures]]] = {}
    for gesture, text in materials.MSRC.items():
        made = every.without(gesture)
        for team, seeds in plan.scored(made, [text]).items():
            by_gesture.setdefault(team, []).append([_of_msrc12(made, eyes, gesture) for eyes in seeds])
    found = {}
    for team, gestures in by_gesture.items():
        each = {name: over_seeds(seeds) for name, seeds in zip(materials.MSRC, gestures, strict=True)}
        mean = over_seeds([_mean([seeds[seed] for seeds in gestures]) for seed in range(len(gestures[0]))])
        found[team] = mean | {"by_gesture": each}
    return found


def _of_msrc12(made: Material, eyes: Eyes, gesture: str) -> Figures:
    items: dict[str, list[float]] = {kind: [] for kind in KINDS}
    positive = []
    for kind in KINDS:
        for line, scene, truth in zip(
            timelines(made, eyes.windows, eyes.scored[kind]), made.judged, made.truth, strict=True
        ):
            for frame in np.flatnonzero(truth != "").tolist():
                known = frame / scene.rate_hz + LAG_S
                items[kind].append(line.highest(known - TOLERANCE_S, known + TOLERANCE_S))
                if kind == KINDS[0]:
                    positive.append(truth[frame] == gesture)
    hits = np.array(positive)
    values = {kind: np.array(found) for kind, found in items.items()}
    kept = np.isfinite(values["product"])  # a point at the very end has no window after it
    figures = ranks(Scored(*(values[kind][kept] for kind in KINDS)), hits[kept])
    limit = metrics.threshold_for(values["product"][kept & hits], FOUND)
    others = [
        line
        for line, truth in zip(timelines(made, eyes.windows, eyes.scored.product), made.truth, strict=True)
        if gesture not in truth
    ]
    return figures | {"false_alarms_per_hour": alarms_per_hour(others, limit)}


def _mean(figures: Sequence[Figures]) -> Figures:
    """The means of numbers, of whatever nests them."""
    found: Figures = {}
    for key, value in figures[0].items():
        values = [one[key] for one in figures]
        found[key] = _mean(values) if isinstance(value, dict) else float(np.mean(values))
    return found


def _kinder_gator(plan: Plan, how: str) -> Figures:
    found: dict[str, dict[str, Figures]] = {}
    for kind, (_, texts) in materials.KINDER.items():
        made = materials.kinder_gator(plan.data, plan.split, kind).disturbed(partial(disturb, how=how))
        for team, seeds in plan.scored(made, texts).items():
            found.setdefault(team, {})[kind] = over_seeds([_of_clips(made, eyes) for eyes in seeds])
    return found


def _pairs(plan: Plan, how: str) -> Figures:
    made = materials.pairs(plan.data, plan.split).disturbed(partial(disturb, how=how))
    meeting = np.array([scene.label in (*PAIR_BLOWS, *PAIR_OTHERS) for scene in made.judged])
    groups = {"against meetings": meeting, "against meetings and near misses": np.ones(len(meeting), bool)}
    return {
        team: {name: over_seeds([_of_clips(made, eyes, kept) for eyes in seeds]) for name, kept in groups.items()}
        for team, seeds in plan.scored(made, materials.FIGHT).items()
    }


def _of_clips(made: Material, eyes: Eyes, kept: BoolArray | None = None) -> Figures:
    """Of the highest window of each scene, or of some of them (N,)."""
    every = np.array([bool((truth != "").any()) for truth in made.truth])
    rows = np.ones(len(every), bool) if kept is None else kept
    clips, positive = eyes.scored.per_clip(eyes.windows, len(every)).rows(rows), every[rows]
    usual = float(np.quantile(clips.product[~positive], USUAL))
    return ranks(clips, positive) | {"found_at_5_percent_false": float((clips.product[positive] >= usual).mean())}
