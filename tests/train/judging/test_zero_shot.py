from pathlib import Path

import numpy as np
import pytest
from train_oracle import ACTIONS, Oracle, clips_file, embed

from models.prototypes import OnlinePrototypes
from train.datasets.labelled import read_clips
from train.judging.clips import Encoded, encode
from train.judging.zero_shot import judge

TEXTS = {name: (name,) for name in sorted(ACTIONS)}


@pytest.fixture
def encoded(tmp_path: Path) -> Encoded:
    return encode(read_clips(clips_file(tmp_path / "a.npz")), Oracle())


def test_who_knows_everything_is_right(encoded: Encoded) -> None:
    figures = judge(encoded, Oracle(), TEXTS, embed, seeds=3)
    assert (figures["top1"], figures["top3"], figures["n"]) == (1.0, 1.0, 48)
    assert figures["per_class"] == dict.fromkeys(sorted(ACTIONS), 1.0)
    assert figures["confusion"] == {name: {name: 12} for name in sorted(ACTIONS)}
    assert figures["spread"] == {"top1": 0.0, "top3": 0.0}
    assert figures["familiarity"] == pytest.approx(dict.fromkeys(sorted(ACTIONS), 1.0))
    for name, value in (("accepted", 1.0), ("rejected", 1.0), ("right", 1.0)):
        assert figures["abstain"][name] == {"mean": value, "std": 0.0}
    assert figures == judge(encoded, Oracle(), TEXTS, embed, seeds=3)


def test_labels_weigh_equally_and_ties_are_wrong() -> None:
    rows = [[1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [0, 1, 0, 0, 1], [0, 0, 0, 0, 1]]
    features = np.array(rows, np.float32)
    encoded = Encoded(features, np.arange(5), ("raise", "raise", "raise", "duck", "duck"), ("a", "b", "a", "b", "a"))
    figures = judge(encoded, Oracle(), {name: (name,) for name in ("duck", "raise")}, embed, seeds=1)
    assert figures["per_class"] == {"duck": 0.5, "raise": 1.0}  # nothing tells the last one: no credit
    assert figures["top1"] == 0.75
    assert figures["top3"] == 1.0
    assert figures["confusion"]["raise"] == {"raise": 3}
    assert 0 < figures["spread"]["top1"] < 0.5


def test_several_texts_of_a_label_are_averaged(encoded: Encoded) -> None:
    texts = TEXTS | {"duck": ("duck", "kneel", "duck down")}
    figures = judge(
        encoded, Oracle(), texts, lambda given: embed(["duck" if "duck" in t else t for t in given]), seeds=1
    )
    assert figures["prompts"]["duck"] == ["duck", "kneel", "duck down"]
    assert 0.8 < figures["familiarity"]["duck"] < 1.0


class Contrary:
    """Says the opposite from the second clip on."""

    def __init__(self) -> None:
        self.met = 0

    def adapt(self, similarity: np.ndarray, embedding: np.ndarray) -> np.ndarray:
        assert embedding.shape == (5,)
        self.met += 1
        return similarity if self.met == 1 else -similarity


def test_an_adapter_meets_each_order_anew(encoded: Encoded) -> None:
    figures = judge(encoded, Oracle(), TEXTS, embed, seeds=3, adapter=Contrary)
    assert figures["plain"] == {"top1": 1.0, "top3": 1.0}
    assert figures["top1"] == pytest.approx(1 / 48)
    assert figures["orders"]["top1"] == {"mean": pytest.approx(1 / 48), "std": pytest.approx(0, abs=1e-9)}


def test_online_prototypes_spoil_nothing_that_is_certain(encoded: Encoded) -> None:
    figures = judge(encoded, Oracle(), TEXTS, embed, seeds=2, adapter=lambda: OnlinePrototypes(4, 5))
    assert figures["top1"] == 1.0


def test_abstaining_needs_four_labels(encoded: Encoded) -> None:
    rows = [i for i, label in enumerate(encoded.labels) if label in ("duck", "raise")]
    fewer = Encoded(
        encoded.features[rows], np.arange(len(rows)), tuple(encoded.labels[i] for i in rows), ("",) * len(rows)
    )
    figures = judge(fewer, Oracle(), {name: (name,) for name in ("duck", "raise")}, embed, seeds=3)
    assert figures["abstain"] is None
    assert figures["top1"] == 1.0
