"""The skeleton as a graph: 25 joints of Kinect v2 (= NTU RGB+D), partitioned as the papers' ST-GCN has it.

Source: Yan, Xiong, Lin, "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition"
(AAAI 2018), spatial configuration partitioning; adjacency normalised as A D^-1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

JOINTS = (
    "SpineBase", "SpineMid", "Neck", "Head",
    "ShoulderLeft", "ElbowLeft", "WristLeft", "HandLeft",
    "ShoulderRight", "ElbowRight", "WristRight", "HandRight",
    "HipLeft", "KneeLeft", "AnkleLeft", "FootLeft",
    "HipRight", "KneeRight", "AnkleRight", "FootRight",
    "SpineShoulder", "HandTipLeft", "ThumbLeft", "HandTipRight", "ThumbRight",
)  # fmt: skip
"""Names of the joints, index = position in every array with an axis V."""

EDGES = (
    (0, 1), (1, 20), (2, 20), (3, 2),
    (4, 20), (5, 4), (6, 5), (7, 6), (21, 22), (22, 7),
    (8, 20), (9, 8), (10, 9), (11, 10), (23, 24), (24, 11),
    (12, 0), (13, 12), (14, 13), (15, 14),
    (16, 0), (17, 16), (18, 17), (19, 18),
)  # fmt: skip
"""Neighbouring joints (0-based); the hand's chain is hand, thumb, tip as in the published NTU graph."""

CENTRE = 20
"""SpineShoulder: what "closer" and "farther" are measured from."""


def hop_distances(joints: int, edges: tuple[tuple[int, int], ...]) -> NDArray[np.float64]:
    """Number of edges between any two joints, (V, V); infinite where there is no path."""
    distance = np.full((joints, joints), np.inf)
    np.fill_diagonal(distance, 0.0)
    for i, j in edges:
        distance[i, j] = distance[j, i] = 1.0
    for via in range(joints):
        distance = np.minimum(distance, distance[:, via, None] + distance[None, via, :])
    return distance


def spatial_adjacency() -> NDArray[np.float32]:
    """The three normalised adjacencies of the spatial partition, (K=3, V=25, V=25) float32.

    Entry [k, v, w] is how much of joint v's feature flows to joint w. Subset 0: the joint itself; subset 1: neighbours
    v that are farther from the centre than w, or equally far; subset 2: neighbours v that are closer to it than w.
    Columns of the sum over k add to 1 (A D^-1).
    """
    hops = hop_distances(len(JOINTS), EDGES)
    connected = hops <= 1
    normalised = connected / connected.sum(axis=0, keepdims=True)
    own, neighbour = hops == 0, hops == 1
    from_centre = hops[CENTRE]
    closer = from_centre[:, None] < from_centre[None, :]
    subsets = np.stack([own, neighbour & ~closer, neighbour & closer])
    return np.asarray(normalised * subsets, np.float32)
