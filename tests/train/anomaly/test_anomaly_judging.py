"""Labelled clips judged by people who are not in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from anomaly_oracle import PUNCH, Heights, clips

from train.anomaly.encoding import Cut, encode
from train.anomaly.judging import NotJudgeable, Task, figures, per_label, score
from train.anomaly.scenes import Scene
from train.anomaly.scoring import KINDS, Sight, together


def sight(scenes: Sequence[Scene]) -> Sight:
    encoder = Heights()
    return Sight(encoder, encoder.prompts(PUNCH[None]), encode(scenes, encoder, Cut(1.0, 0.5)))


@pytest.mark.parametrize("people", [1, 2])
def test_anomalies_are_found(people: int) -> None:
    scenes = clips(people)
    task = Task.of(scenes, ["hit"])
    scored = score(task, [sight(scenes)])
    found = figures(scored, task)
    assert (found["auroc"], found["ap"], found["eer_accuracy"]) == (1.0, 1.0, 1.0)
    assert found["by_score"] == dict.fromkeys(KINDS, 1.0)
    assert (found["clips"], found["positives"], found["normal_clips"]) == (36, 12, 24)
    assert found["folds"] == {"by": "people", "count": 3}
    assert found["balanced_accuracy"] > 0.9
    labels = per_label(scored, scenes, task)
    assert labels["hit"]["alarms"] == 1.0
    assert labels["walk"]["product"] < labels["hit"]["product"]


def test_the_same_data_give_the_same_scores() -> None:
    scenes = clips()
    first, again = (score(Task.of(scenes, ["hit"]), [sight(scenes)]) for _ in range(2))
    for kind in KINDS:
        np.testing.assert_array_equal(first[kind], again[kind])


def test_ones_own_clips_teach_nothing_for_oneself() -> None:
    scenes = clips()
    odd = [replace(s, joints=s.joints * (1 + 5 * (s.subject == "s1"))) for s in scenes]  # a giant, always the same
    task = Task.of(odd, ["hit"])
    ood = score(task, [sight(odd)]).ood
    normal = ~task.positive
    giant = np.array([s.subject == "s1" for s in odd])
    assert ood[giant & normal].min() > 0.7 > np.median(ood[~giant & normal])


def test_normal_is_learnt_from_the_labels_named() -> None:
    scenes = clips()
    task = Task.of(scenes, ["hit"], ["walk"])
    assert int(task.normal.sum()) == 12
    ood = score(task, [sight(scenes)]).ood
    labels = np.array([scene.label for scene in scenes])
    assert np.median(ood[labels == "wave"]) > np.median(ood[labels == "walk"])


def test_together_is_the_mean() -> None:
    scenes = clips()
    task = Task.of(scenes, ["hit"])
    one = score(task, [sight(scenes)])
    both = together([one, one])
    np.testing.assert_allclose(both.product, one.product)


def test_what_cannot_be_judged_is_one_line() -> None:
    scenes = clips()
    for positive, normal, message in (
        (["kick"], [], "no clip is labelled 'kick'; its labels are 'hit', 'walk', 'wave'"),
        (["hit"], ["run"], "--normal-from: no clip is labelled 'run'"),
        (["hit"], ["hit"], "as --positive and as --normal-from"),
        (["hit", "wave", "walk"], [], "all of its 36 clips are positive"),
        ([], [], "none of its 36 clips are positive"),
    ):
        with pytest.raises(NotJudgeable, match=message) as error:
            Task.of(scenes, positive, normal)
        assert "\n" not in str(error.value)
    few = [scene for scene in scenes if scene.label == "hit"] + scenes[4:5]
    with pytest.raises(NotJudgeable, match="1 clips of what is normal"):
        Task.of(few, ["hit"])
