from pathlib import Path

import numpy as np
import pytest
from small import sequences

from models.checkpoint import load
from train.calibrate import detection_f1, mean_f1, set_weights, steady_best
from train.datasets.labels import index_of, load_actions
from train.datasets.sequences import Sequence, Span
from train.datasets.windows import Batch, Case, judging_windows
from train.evaluate import continuous_features, judged_windows
from train.metrics import calibration_error, top1_by_set
from train.robustness import conditions, robustness
from train.trust import measure

DEFAULT = Path(__file__).parents[2] / "models" / "weights" / "default"
PUNCH, JUMP, BOW, STAND, WALK = (index_of(name) for name in ("punch", "jump", "bow", "stand", "walk"))
CASES = [
    Case("precog16", "s1", PUNCH),
    Case("precog16", "s1", PUNCH),
    Case("utd_mhad", "s1", JUMP),
    Case("utd_mhad", "s1", STAND),
    Case("msrc12", "p1", WALK),
]


def similarity(*winners: int, runner_up: int | None = None) -> np.ndarray:
    scores = np.zeros((len(winners), len(load_actions())), np.float32)
    scores[np.arange(len(winners)), winners] = 0.5
    if runner_up is not None:
        scores[:, runner_up] = np.maximum(scores[:, runner_up], 0.4)
    return scores


def test_top1_counts_by_set_and_lets_background_be_any_background() -> None:
    scores = similarity(PUNCH, BOW, JUMP, WALK, BOW, runner_up=PUNCH)
    assert top1_by_set(CASES, scores) == {"background": (0.5, 2), "precog16": (0.5, 2), "utd_mhad": (1.0, 1)}
    # Among PRECOG's own labels there is no bow: the second best, a punch, wins.
    assert top1_by_set(CASES, scores, own_labels=True)["precog16"] == (1.0, 2)


def test_calibration_error_by_hand() -> None:
    probability = np.array([0.9, 0.9, 0.9, 0.9, 0.5, 0.5])
    correct = np.array([True, True, True, False, True, False])
    assert calibration_error(probability, correct) == pytest.approx(4 / 6 * 0.15)


def test_sets_weigh_the_same() -> None:
    weights = set_weights(CASES)
    np.testing.assert_allclose(weights, [1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 3])


def test_detection_f1_by_hand() -> None:
    actions = np.array([PUNCH, PUNCH, JUMP, STAND])
    probability = np.zeros((4, len(load_actions())))
    probability[:, PUNCH] = 0.9, 0.2, 0.6, 0.9  # finds one of two, and two that are none: F1 = 2 / 5
    probability[:, JUMP] = 0.0, 0.0, 0.3, 0.0  # finds nothing
    assert detection_f1(actions, probability, 0.5) == pytest.approx((2 / 5 + 0) / 2)
    assert detection_f1(actions, probability, 0.25) == pytest.approx((2 / 5 + 1) / 2)
    assert mean_f1(actions, probability, 0.5, [PUNCH]) == pytest.approx(2 / 5)


def test_of_thresholds_as_good_as_each_other_the_middle_is_taken() -> None:
    enter, f1 = steady_best(lambda threshold: 0.8 if 0.28 < threshold < 0.52 else 0.7)
    assert (enter, f1) == (pytest.approx(0.4), 0.8)


def test_changed_windows_are_what_they_are_called() -> None:
    batch, cases = judging_windows(sequences(2))
    changed = conditions(batch)
    assert all(one.x.shape == batch.x.shape and np.isfinite(one.x).all() for one in changed.values())
    lost = {name: 1 - one.mask.mean() / batch.mask.mean() for name, one in changed.items()}
    assert lost["20 % of the joints missing, others in each frame"] == pytest.approx(0.2, abs=0.01)
    assert lost["legs hidden (behind a desk)"] == pytest.approx(8 / 25)
    np.testing.assert_allclose(changed["camera 180 degrees around"].x[:, 2], -batch.x[:, 2], atol=1e-4)
    np.testing.assert_allclose(changed["1.4 times as fast"].x[..., -1, :], batch.x[..., -1, :], atol=1e-6)
    shift = np.abs(changed["depth shaken by 8 cm (as where RGB images are the source)"].x - batch.x).mean(
        axis=(0, 2, 3)
    )
    assert shift[2] > 3 * shift[0] > 0

    def judge(windows: Batch) -> np.ndarray:
        return np.eye(len(load_actions()))[windows.action]

    found = robustness(judge, batch, cases)
    assert set(found["conditions"].values()) == {1.0}
    assert found["people"] == {}


def test_trust_grows_with_nearness_and_tells_the_unknown() -> None:
    labels = {f"{i}": 0.3 + 0.6 * i / 40 for i in range(40)}
    run = {
        "familiarity": labels,
        "plain_per_class": {name: float(cosine > 0.65) * 0.8 for name, cosine in labels.items()},
    }
    trust = measure({"set": {"set-0": {"labels": run, "phrases": run}, "set-scratch": {}}})
    assert trust.unknown_below == 0.65
    assert trust.weights[0] == 0
    assert trust.weights[-1] == 1
    assert list(trust.weights) == sorted(trust.weights)
    assert list(trust.cosines) == sorted(trust.cosines)
    assert sum(band.labels for band in trust.bands) == 80
    with pytest.raises(ValueError, match="no labels"):
        measure({})


def test_windows_of_a_recording_are_named_by_the_last_action_that_they_hold() -> None:
    clip = sequences(1)[0]
    times = np.arange(300) / 30
    joints, confidence = clip.sample(times)
    spans = (Span(4.0, 5.0, PUNCH), Span(5.2, 6.2, JUMP))
    recording = Sequence("precog16", "s10", "a", joints, confidence, times, spans, trimmed=False)
    judged = judged_windows(recording)
    assert next(iter(judged)) == 32  # the first to end after second 1
    assert all(frames % 8 == 0 for frames in judged)
    names = [load_actions()[action].name for action in judged.values()]
    runs = [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]
    assert runs == ["something else", "punch", "jump", "something else"]

    recogniser = load(DEFAULT, "cpu")
    features, truth = continuous_features(recogniser, [recording, recording])
    assert truth == [*judged.values(), *judged.values()]
    np.testing.assert_array_equal(features[: len(judged)], features[len(judged) :])  # nothing goes on into another
    assert continuous_features(recogniser, [])[1] == []
