from pathlib import Path

import numpy as np
import pytest
from train_oracle import Oracle, clips_file

from train.datasets.labelled import read_clips
from train.judging.clips import encode
from train.judging.few_shot import SHOTS, divide, judge


def test_who_knows_everything_is_right(tmp_path: Path) -> None:
    oracle = Oracle()
    encoded = encode(read_clips(clips_file(tmp_path / "a.npz")), oracle)
    divisions = divide(encoded.labels, encoded.subjects, seeds=5)
    figures = judge(encoded.embeddings(oracle), encoded.labels, divisions)
    assert figures["shots"] == {str(shots): {"mean": 1.0, "std": 0.0} for shots in SHOTS}
    assert (figures["n"], figures["labels"], figures["seeds"]) == (48, 4, 5)
    assert figures["judged"] == [24] * 5
    assert figures["left_out"] == [0] * 5


def test_people_are_kept_apart() -> None:
    rng = np.random.default_rng(0)
    labels, subjects = rng.choice(list("abc"), 300).tolist(), rng.choice(list("stuvw"), 300).tolist()
    for one in divide(labels, subjects, seeds=10):
        giving = {subjects[row] for rows in one.examples for row in rows}
        asking = {subjects[row] for row in one.rows}
        assert not giving & asking
        assert (len(giving), len(asking)) == (2, 3)
        assert all(
            labels[row] == "abc"[label] for label, rows in zip(one.kept, one.examples, strict=True) for row in rows
        )
        assert [labels[row] for row in one.rows] == ["abc"[one.kept[column]] for column in one.columns]


def test_noise_is_at_chance_and_more_examples_help() -> None:
    rng = np.random.default_rng(0)
    labels, subjects = ["a", "b"] * 200, [f"s{i % 10}" for i in range(400)]
    noise = rng.normal(size=(400, 64)).astype(np.float32)
    divisions = divide(labels, [f"s{i // 40}" for i in range(400)], seeds=5)
    chance = judge(noise, labels, divisions)["shots"]
    assert all(abs(value["mean"] - 0.5) < 0.1 for value in chance.values())
    noise[::2, 0] += 2.0
    better = judge(noise / np.linalg.norm(noise, axis=1, keepdims=True), labels, divisions)["shots"]
    assert 0.5 < better["1"]["mean"] < better["10"]["mean"]
    assert better["1"]["std"] > 0
    with pytest.raises(ValueError, match="0 labels are done by both halves"):
        divide(labels, ["s0" if label == "a" else "s1" for label in labels], seeds=1)
    assert len(subjects) == 400


def test_labels_of_one_half_are_left_out_and_unknown_people_too() -> None:
    labels = ["a", "b", "c"] * 4
    subjects = ["s"] * 3 + ["t"] * 2 + [""] + ["s"] * 3 + ["t"] * 2 + [""]
    (one,) = divide(labels, subjects, seeds=1)
    assert one.kept == (0, 1)
    assert all(subjects[row] for row in one.rows)


@pytest.mark.parametrize("subjects", [["s"] * 4, [""] * 4, ["s", "", "s", ""]])
def test_one_person_is_too_few(subjects: list[str]) -> None:
    with pytest.raises(ValueError, match="expected at least two"):
        divide(["a", "b", "a", "b"], subjects, seeds=1)
