import numpy as np
import pytest

from models.graph import CENTRE, EDGES, JOINTS, hop_distances, spatial_adjacency

HAND_LEFT, HAND_TIP_LEFT, THUMB_LEFT = (JOINTS.index(name) for name in ("HandLeft", "HandTipLeft", "ThumbLeft"))
SPINE_MID, SPINE_BASE, NECK, HEAD = (JOINTS.index(name) for name in ("SpineMid", "SpineBase", "Neck", "Head"))


def test_the_skeleton_is_a_tree_around_spine_shoulder() -> None:
    hops = hop_distances(len(JOINTS), EDGES)
    assert len(EDGES) == len(JOINTS) - 1
    assert np.isfinite(hops).all()
    assert JOINTS[CENTRE] == "SpineShoulder"
    assert hops[CENTRE, HAND_LEFT] == 4
    assert hops[CENTRE, HAND_TIP_LEFT] == 6  # by way of the thumb, as the published graph has it


def test_columns_of_the_whole_adjacency_add_to_one() -> None:
    np.testing.assert_allclose(spatial_adjacency().sum(axis=(0, 1)), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("subset", "source", "target", "value"),
    [
        # SpineShoulder has four neighbours and itself: 1/5 each; all of them lie farther out.
        (0, CENTRE, CENTRE, 1 / 5),
        (1, SPINE_MID, CENTRE, 1 / 5),
        (1, NECK, CENTRE, 1 / 5),
        (2, SPINE_MID, CENTRE, 0),
        # Neck: SpineShoulder is nearer to the centre, Head farther.
        (0, NECK, NECK, 1 / 3),
        (1, HEAD, NECK, 1 / 3),
        (2, CENTRE, NECK, 1 / 3),
        (1, CENTRE, NECK, 0),
        # The end of a chain has one neighbour, nearer to the centre.
        (0, HEAD, HEAD, 1 / 2),
        (2, NECK, HEAD, 1 / 2),
        (2, THUMB_LEFT, HAND_TIP_LEFT, 1 / 2),
        (0, HAND_TIP_LEFT, HAND_LEFT, 0),
    ],
)
def test_entries_worked_out_by_hand(subset: int, source: int, target: int, value: float) -> None:
    assert spatial_adjacency()[subset, source, target] == pytest.approx(value)


def test_subsets_share_no_entry() -> None:
    assert ((spatial_adjacency() > 0).sum(axis=0) <= 1).all()
