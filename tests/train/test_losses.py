import numpy as np
import torch

from train.losses import alignment_loss


def slow(z: np.ndarray, t: np.ndarray, y: np.ndarray, tau: float) -> float:
    """The definition, term by term: rows against texts, then columns against windows."""
    n = len(z)
    s = np.array([[z[i] @ t[j] / tau for j in range(n)] for i in range(n)])
    total = 0.0
    for scores in (s, s.T):
        for i in range(n):
            weights = [np.exp(10.0 * (y[i] == y[j])) for j in range(n)]
            q = np.array(weights) / sum(weights)
            p = np.exp(scores[i]) / np.exp(scores[i]).sum()
            total += sum(q[j] * np.log(q[j] / p[j]) for j in range(n)) / n
    return total / 2


def unit(n: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, 6))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_it_is_its_definition() -> None:
    y = np.array([0, 1, 1, 2, 0, 3, 1])
    z, t = unit(7, 0), unit(7, 1)
    loss = alignment_loss(torch.from_numpy(z), torch.from_numpy(t), torch.from_numpy(y), 0.07)
    np.testing.assert_allclose(float(loss), slow(z, t, y, 0.07), rtol=1e-9)


def test_it_is_least_where_features_are_their_texts() -> None:
    t, y = torch.from_numpy(unit(5, 2)), torch.arange(5)
    assert alignment_loss(t, t, y) < alignment_loss(t.roll(1, 0), t, y)
    assert alignment_loss(t, t, y) >= 0
