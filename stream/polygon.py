"""Polygons in a plane: whether one is sound, what lies in it, and how far off what lies outside is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(N, 2)."""

MAX_CORNERS = 100


def polygon_fault(corners: Sequence[Sequence[float]]) -> str:
    """What is wrong with a polygon, and what was expected instead; empty where it is sound.

    Args:
        corners: in the order in which they are met along the edge, either way round; the last joins the first.
    """
    if not 3 <= len(corners) <= MAX_CORNERS:
        return f"{len(corners)} corners; expected 3 to {MAX_CORNERS}, each [x, y]"
    points = np.array(corners, np.float64)
    if not np.isfinite(points).all():
        return "a corner is not finite; expected numbers"
    same = (points == np.roll(points, -1, axis=0)).all(axis=1)
    if same.any():
        first = int(same.argmax())
        return f"corner {first + 1} is repeated ({_shown(points[first])}); expected each once, the first not at the end"
    if _on_one_line(points):
        return "it has no area; expected corners that are not all on one line"
    if (crossing := _crossing(points)) is not None:
        one, other = crossing
        return (
            f"its edge crosses or touches itself: the side from corner {one + 1} ({_shown(points[one])}) and the one "
            f"from corner {other + 1} ({_shown(points[other])}); expected the corners in order along the edge"
        )
    return ""


def contains(polygon: Points, points: Points) -> NDArray[np.bool_]:
    """Which of the points (P, 2) lie in the polygon (N, 2): those from which a ray crosses its edge an odd number of
    times (even-odd rule). Of the edge itself, either may be said."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    spans = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(a[:, 1] == b[:, 1], 1.0, b[:, 1] - a[:, 1])  # a level side spans nothing
    crossed = spans & (x < a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0]))
    return np.asarray(crossed.sum(axis=1) % 2 == 1)


def distance_to_edge(polygon: Points, points: Points) -> NDArray[np.float64]:
    """Distances (P,) of points (P, 2) from the nearest place of the polygon's edge, inside or out."""
    a = polygon
    side = np.roll(polygon, -1, axis=0) - a
    offset = points[:, None] - a  # (P, N, 2)
    share = np.clip((offset * side).sum(axis=-1) / np.square(side).sum(axis=-1), 0.0, 1.0)
    return np.asarray(np.linalg.norm(offset - share[..., None] * side, axis=-1).min(axis=1))


def _on_one_line(points: Points) -> bool:
    offset = points - points[0]
    longest = offset[np.square(offset).sum(axis=1).argmax()]
    across = np.abs(offset[:, 0] * longest[1] - offset[:, 1] * longest[0]).max()
    return bool(across <= 1e-6 * float(longest @ longest))


def _crossing(points: Points) -> tuple[int, int] | None:
    """The first two sides that meet where they should not: not neighbours, or neighbours that fold back."""
    count = len(points)
    for i in range(count):
        for j in range(i + 1, count):
            if j == i + 1 or (i == 0 and j == count - 1):
                first, second = (i, j) if j == i + 1 else (j, i)
                before, corner, after = points[first], points[second], points[(second + 1) % count]
                folds = _turn(before, corner, after) == 0 and float((corner - before) @ (after - corner)) < 0
                if folds:
                    return i, j
            elif _meet(points[i], points[i + 1], points[j], points[(j + 1) % count]):
                return i, j
    return None


def _turn(a: Points, b: Points, c: Points) -> int:
    """-1, 0 or 1: to which side c lies of the line from a to b."""
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return int(np.sign(cross))


def _meet(a: Points, b: Points, c: Points, d: Points) -> bool:
    """Whether the sides from a to b and from c to d have a point in common."""
    if _turn(a, b, c) != _turn(a, b, d) and _turn(c, d, a) != _turn(c, d, b):
        return True
    return any(
        _turn(start, end, point) == 0 and _between(start, end, point)
        for start, end, point in ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    )


def _between(start: Points, end: Points, point: Points) -> bool:
    """Whether a point of the line through start and end lies between the two."""
    return bool(((np.minimum(start, end) <= point) & (point <= np.maximum(start, end))).all())


def _shown(point: Points) -> str:
    return f"[{point[0]:g}, {point[1]:g}]"
