import numpy as np
from small import sequences

from stream.layouts import MIRROR
from train.augment import mirror
from train.datasets.labels import index_of, load_actions
from train.datasets.sequences import Sequence, Span, active_part, motion
from train.datasets.windows import judging_windows, to_and_fro


def test_sampling_interpolates_and_holds_the_ends() -> None:
    joints = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((4, 25, 3), np.float32)
    confidence = np.ones((4, 25), np.float32)
    confidence[2, 5] = 0
    sequence = Sequence("utd_mhad", "s1", "a", joints, confidence, np.array([0.0, 1.0, 2.0, 3.0]), (), trimmed=True)
    x, seen = sequence.sample(np.array([-1.0, 0.5, 1.25, 2.5, 9.0]))
    np.testing.assert_allclose(x[:, 0, 0], [0, 0.5, 1.25, 2.5, 3])
    np.testing.assert_allclose(x[:, 5, 0], [0, 0.5, 1, 3, 3])  # not from the frame that did not see it
    assert (seen[:, 5] == [1, 1, 1, 1, 1]).all()
    x, _ = sequence.sample(np.array([1.0]), every=2)
    np.testing.assert_allclose(x[0, 0, 0], 1.0)


def test_a_rest_is_played_to_and_fro() -> None:
    np.testing.assert_allclose(to_and_fro(np.array([-0.2, 0.1, 1.1, 1.9]), 0.0, 1.0), [0.2, 0.1, 0.9, 0.1], atol=1e-9)
    np.testing.assert_allclose(to_and_fro(np.array([-0.2, 5.0]), 1.0, 1.1), [1.0, 1.1])


def test_stillness_motion_and_the_active_part() -> None:
    raise_hands = sequences(1)[0]
    first, last = active_part(raise_hands.joints, raise_hands.confidence)
    assert 25 <= first <= 40
    assert 50 <= last <= 65
    still = motion(raise_hands.joints[:25], raise_hands.confidence[:25], 1 / 30)
    moving = motion(raise_hands.joints[30:60], raise_hands.confidence[30:60], 1 / 30)
    assert still < moving


def test_judging_windows_are_the_same_each_time_and_hold_the_action() -> None:
    first, cases = judging_windows(sequences())
    again, _ = judging_windows(sequences())
    np.testing.assert_array_equal(first.x, again.x)
    assert len(cases) == 9
    hands = first.x[[case.action == index_of("raise both hands") for case in cases]]
    assert (np.ptp(hands[:, 1, :, 7], axis=1) > 0.7).all()


def test_a_mirror_image_of_a_mirror_image_is_the_window() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 25)).astype(np.float32)
    np.testing.assert_array_equal(mirror(mirror(x)), x)
    np.testing.assert_array_equal(mirror(x)[:, 0, :, 4], -x[:, 0, :, 8])
    assert MIRROR[4] == 8


def test_recordings_without_a_span_are_background() -> None:
    clip = sequences(1)[1]
    spans = (Span(2.5, 2.9, index_of("punch")),)
    recording = Sequence("precog16", "s1", "b", clip.joints, clip.confidence, clip.times, spans, trimmed=False)
    batch, cases = judging_windows([recording])
    assert [load_actions()[case.action].name for case in cases] == ["punch", "something else"]
    assert batch.x.shape[0] == 2
