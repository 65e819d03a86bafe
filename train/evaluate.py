"""How good a checkpoint is on people that it was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.heads import BankHead
from models.recogniser import Recogniser
from train.calibrate import set_weights
from train.data import Data
from train.datasets.labels import BACKGROUND, index_of, load_actions
from train.datasets.sequences import Sequence
from train.datasets.windows import DURATION, ENOUGH, LITTLE, RATE, Batch, is_background, judging_windows
from train.metrics import calibration_error, top1_by_set
from train.robustness import robustness

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
STEP = 8
"""Frames between windows of a continuous recording, as the stream's default has it."""
CHUNK = 256


def features_of(recogniser: Recogniser, batch: Batch) -> Float32Array:
    """Features (N, D) of raw windows."""
    parts = [slice(start, start + CHUNK) for start in range(0, len(batch.x), CHUNK)]
    return np.concatenate([recogniser.encode(batch.x[part], batch.mask[part]) for part in parts])


def probabilities(recogniser: Recogniser, features: Float32Array) -> FloatArray:
    """Probability of each action of `labels.toml` for N windows, (N, A), by the model's own vocabulary.

    Raises:
        ModelError: the checkpoint is of another kind, or knows other actions.
    """
    if not isinstance(recogniser.head, BankHead):
        kind = recogniser.manifest.recipe
        raise ModelError(f"the checkpoint is of the recipe {kind}, which `posewire eval zero-shot` judges, not this")
    names = [action.name for action in load_actions()]
    own = [index for index, known in enumerate(recogniser.bank) if known.vocabulary == "own"]
    unknown = sorted({recogniser.bank[index].name for index in own} - set(names))
    if unknown or not own:
        what = f"knows {unknown[0]!r}, which is" if unknown else "has no actions of its own that are"
        raise ModelError(f"the checkpoint {what} not in train/datasets/labels.toml; train it anew")
    columns = [names.index(recogniser.bank[index].name) for index in own]
    found = np.zeros((len(features), len(names)))
    found[:, columns] = features[:, own]
    return found


def evaluate(recogniser: Recogniser, data: Data, other_sensor: list[Sequence]) -> dict[str, Any]:
    """All figures of the model card, on the test people.

    Args:
        recogniser: what is judged.
        data: split by people.
        other_sensor: recordings by a sensor that was not trained on (see `read_other_sensor`).

    Returns:
        JSON-able; see `markdown` for the meaning of its keys.
    """
    batch, cases = judging_windows(data.test)
    probability = probabilities(recogniser, features_of(recogniser, batch))
    actions = np.array([case.action for case in cases])
    best = probability.argmax(axis=1)
    own, whole = top1_by_set(cases, probability, own_labels=True), top1_by_set(cases, probability)
    news = np.array([not is_background(action) for action in range(probability.shape[1])])
    quiet = ~news[actions]
    alarm = probability[:, news].max(axis=1)
    return {
        "sets": {
            name: {"own_labels": own[name][0], "whole_bank": whole[name][0], "windows": whole[name][1]}
            for name in whole
            if name != "background"
        },
        "background": {
            "windows": int(quiet.sum()),
            "named_as_an_action": _share(news[best][quiet]),
            "above_enter": _share(alarm[quiet] >= recogniser.enter),
        },
        "actions_above_enter": _share(probability[np.arange(len(best)), actions][~quiet] >= recogniser.enter),
        "calibration_error": calibration_error(probability.max(axis=1), best == actions),
        "mean_probability_of_truth": float((set_weights(cases) * probability[np.arange(len(best)), actions]).sum()),
        "robustness": robustness(
            lambda changed: probabilities(recogniser, features_of(recogniser, changed)), batch, cases
        ),
        "strikes": evaluate_continuous(recogniser, [s for s in data.test if s.set_name == "precog16"]),
        "other_sensor": evaluate_continuous(recogniser, other_sensor),
    }


def _share(hits: NDArray[np.bool_]) -> float:
    """Share that is true; 0 of nothing."""
    return float(hits.mean()) if len(hits) else 0.0


def evaluate_continuous(recogniser: Recogniser, sequences: list[Sequence]) -> dict[str, Any]:
    """Continuous recordings, step by step as the stream sees them.

    A window is of the action that it holds `ENOUGH` of and that ended last; of background where at most `LITTLE` of it
    is an action; else it is not judged.

    Returns:
        By action, for all of them and for the background: number of windows, and top-1 among the recordings' own
        actions and background ("own_labels") and over the whole bank ("whole_bank").
    """
    features, truth = continuous_features(recogniser, sequences)
    if not truth:
        return {}
    columns = sorted({span.action for s in sequences for span in s.spans} | {index_of(name) for name in BACKGROUND})
    probability = probabilities(recogniser, features)
    own = [columns[i] for i in probability[:, columns].argmax(axis=1)]
    whole = probability.argmax(axis=1).tolist()

    def shares(rows: list[int]) -> dict[str, float]:
        def right(guess: int, action: int) -> bool:
            return guess == action or (is_background(guess) and is_background(action))

        return {
            "windows": len(rows),
            "own_labels": float(np.mean([right(own[i], truth[i]) for i in rows])),
            "whole_bank": float(np.mean([right(whole[i], truth[i]) for i in rows])),
        }

    groups = {load_actions()[action].name: [action] for action in columns if not is_background(action)}
    groups["all of them"] = [action for action in columns if not is_background(action)]
    groups["background"] = [action for action in columns if is_background(action)]
    rows = {name: [i for i, action in enumerate(truth) if action in group] for name, group in groups.items()}
    return {name: shares(found) for name, found in rows.items() if found}


def continuous_features(recogniser: Recogniser, sequences: list[Sequence]) -> tuple[Float32Array, list[int]]:
    """Features (N, F) of continuous recordings, stepped as the stream does, and what is done in each window of them.

    Raises:
        ModelError: the model cannot be stepped.
    """
    states = recogniser.track_states(STEP)
    if states is None:
        raise ModelError(f"the checkpoint is of the recipe {recogniser.manifest.recipe}; expected a streaming one")
    features, truth = [], []
    for number, sequence in enumerate(sequences):
        judged = judged_windows(sequence)
        joints, confidence = sequence.sample(np.arange(max(judged, default=0)) / RATE)
        for frames in range(STEP, len(joints) + 1, STEP):
            new = slice(frames - STEP, frames)
            found = states.step([number], joints[None, new], confidence[None, new])[0, 0]
            if frames in judged:
                features.append(found)
                truth.append(judged[frames])
        states.clear(number)
    return np.array(features, np.float32), truth


def judged_windows(sequence: Sequence) -> dict[int, int]:
    """What is done in the windows of a recording that are judged, by the number of frames up to the window's last one.

    They end every `STEP` frames from second 1 on.
    """
    found = {}
    for frames in range(STEP, int(float(sequence.times[-1]) * RATE) + 2, STEP):
        end = (frames - 1) / RATE
        if end < 1.0:
            continue
        start = end - DURATION
        overlaps = [(max(0.0, min(span.end, end) - max(span.start, start)), span) for span in sequence.spans]
        held = [span for overlap, span in overlaps if overlap >= ENOUGH * min(span.end - span.start, DURATION)]
        if not held and sum(overlap for overlap, _ in overlaps) > LITTLE * DURATION:
            continue
        found[frames] = max(held, key=lambda span: span.end).action if held else index_of("something else")
    return found
