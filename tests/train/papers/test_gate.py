import numpy as np
import pytest

from train.papers.gate import Gate, GateError, fit_gate, generalised, ungated

SEEN, UNSEEN = np.array([10, 11, 12]), np.array([20, 21])


def clips(count, seed, scale=1.0):
    """Clips of seen classes, of which the classifier is sure, and of unseen ones, of which the method is."""
    rng = np.random.default_rng(seed)
    is_unseen = np.arange(2 * count) >= count
    logits, scores = rng.normal(size=(2 * count, 3)), rng.normal(size=(2 * count, 2))
    kinds = rng.integers(0, 2, 2 * count)
    logits[np.arange(count), kinds[:count]] += 8
    scores[np.arange(count, 2 * count), kinds[count:]] += 6
    return logits, scores * scale, is_unseen, np.where(is_unseen, UNSEEN[kinds], SEEN[kinds])


def by_hand():
    """A gate that says unseen where the best unseen probability is above 0.8."""
    return Gate(temperature=2.0, top=1, weight=np.array([1.0, 0.0]), bias=-0.8)


def test_a_gate_worked_out_by_hand():
    logits = np.log(np.array([[8.0, 1.0, 1.0], [1.0, 8.0, 1.0]]))
    scores = np.log(np.array([[0.5, 0.5], [0.1, 0.9]]))
    assert by_hand().unseen(logits, scores).tolist() == [False, True]
    assert by_hand().classify(logits, scores, SEEN, UNSEEN).tolist() == [10, 21]
    # Any constant in the scores leaves probabilities as they are.
    assert by_hand().unseen(logits, scores + 5).tolist() == [False, True]


def test_the_temperature_softens_the_seen_part():
    # exp(log(81) / 2) = 9 of 9 + 1: probability 0.9 at temperature 2, 0.988 at 1.
    logits, scores = np.log(np.array([[81.0, 1.0]])), np.zeros((1, 2))
    for bias, expected in ((-0.89, True), (-0.91, False)):
        assert Gate(2.0, 1, np.array([0.0, 1.0]), bias).unseen(logits, scores).tolist() == [expected]
    assert Gate(1.0, 1, np.array([0.0, 1.0]), -0.98).unseen(logits, scores).tolist() == [True]


def test_probabilities_are_sorted():
    gate = Gate(1.0, 2, np.array([1.0, -1.0, 0.0, 0.0]), -0.5)
    scores = np.log(np.array([[0.1, 0.9], [0.9, 0.1], [0.6, 0.4]]))
    assert gate.unseen(np.zeros((3, 3)), scores).tolist() == [True, True, False]


@pytest.mark.parametrize("scale", [1.0, 0.02])
def test_a_fitted_gate_tells_kinds_apart(scale):
    gate = fit_gate(*clips(200, 0, scale)[:3])
    logits, scores, is_unseen, truth = clips(200, 1, scale)
    assert gate.top == 2
    assert (gate.unseen(logits, scores) == is_unseen).mean() > 0.9
    figures = generalised(gate.classify(logits, scores, SEEN, UNSEEN), truth, SEEN)
    assert figures["harmonic"] > 0.9


def test_a_fitted_gate_serves_other_numbers_of_classes():
    gate = fit_gate(*clips(50, 0)[:3], top=1)
    logits, scores, is_unseen, _ = clips(50, 1)
    more = np.concatenate([logits, np.full((100, 4), -9.0)], axis=1)
    assert np.array_equal(gate.unseen(more, scores), gate.unseen(logits, scores))
    assert (gate.unseen(more, scores) == is_unseen).mean() > 0.8


def test_the_temperature_is_the_best_on_the_clips():
    # All are surely named at temperature 1; what sets the kinds apart is how surely, seen once the logits are softened.
    rng = np.random.default_rng(0)
    is_unseen = np.arange(200) % 2 == 1
    logits = np.zeros((200, 2))
    logits[:, 0] = np.where(is_unseen, 40.0, 60.0) + rng.normal(size=200)
    gate = fit_gate(logits, np.zeros((200, 2)), is_unseen)
    assert gate.temperature > 1
    assert (gate.unseen(logits, np.zeros((200, 2))) == is_unseen).all()
    same = fit_gate(logits, np.zeros((200, 2)), is_unseen)
    assert same.temperature == gate.temperature
    assert np.array_equal(same.weight, gate.weight)


def test_few_clips():
    logits, scores = np.eye(3), np.array([[0.0, 0.0], [0.0, 0.1], [9.0, 0.0]])
    gate = fit_gate(logits, scores, np.array([False, False, True]))
    assert gate.unseen(logits, scores).tolist() == [False, False, True]
    assert gate.unseen(np.empty((0, 3)), np.empty((0, 2))).shape == (0,)
    assert gate.classify(np.empty((0, 3)), np.empty((0, 2)), SEEN, UNSEEN).shape == (0,)


def test_what_does_not_fit():
    logits, scores, is_unseen, _ = clips(10, 0)
    for top in (0, 3):
        with pytest.raises(GateError, match="expected 1 to 2"):
            fit_gate(logits, scores, is_unseen, top=top)
    with pytest.raises(GateError, match="one kind"):
        fit_gate(logits, scores, np.ones(20, bool))
    with pytest.raises(GateError, match="expected one each"):
        fit_gate(logits, scores, is_unseen[:5])
    with pytest.raises(GateError, match="shapes"):
        fit_gate(logits[:5], scores, is_unseen)
    gate = fit_gate(logits, scores, is_unseen)
    with pytest.raises(GateError, match="at least 2"):
        gate.unseen(logits, scores[:, :1])
    with pytest.raises(GateError, match="3 seen classes, expected 2"):
        gate.classify(logits, scores, SEEN[:2], UNSEEN)
    with pytest.raises(GateError, match="0 unseen classes"):
        fit_gate(logits, scores[:, :0], is_unseen)


def test_accuracies_are_shares_of_clips():
    truth = np.array([1, 1, 1, 2, 3, 3])
    predicted = np.array([1, 1, 3, 1, 3, 1])
    # Of classes 1 and 2, 2 of 4 clips are right; of class 3, 1 of 2.
    assert generalised(predicted, truth, np.array([1, 2])) == {"seen": 0.5, "unseen": 0.5, "harmonic": 0.5}
    assert generalised(truth, truth, np.array([1, 2])) == {"seen": 1.0, "unseen": 1.0, "harmonic": 1.0}
    figures = generalised(np.array([1, 1, 1, 1, 3, 1]), truth, np.array([1, 2]))
    assert figures == {"seen": 0.75, "unseen": 0.5, "harmonic": pytest.approx(0.6)}


def test_a_harmonic_mean_of_nothing_is_nothing():
    assert generalised(np.array([1, 1]), np.array([1, 3]), np.array([1])) == {"seen": 1, "unseen": 0, "harmonic": 0}
    assert generalised(np.array([3, 1]), np.array([1, 3]), np.array([1])) == {"seen": 0, "unseen": 0, "harmonic": 0}
    assert generalised(np.array([1]), np.array([1]), np.array([1]))["unseen"] == 0.0


def test_without_a_gate_the_highest_score_names_the_class():
    assert ungated(np.array([[0.1, 0.3, 0.2], [0.9, 0.3, 0.2]], np.float32)).tolist() == [1, 0]
