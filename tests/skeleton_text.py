"""Raw files of NTU RGB+D and PKU-MMD as tests write them, in the exact format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

POSE = np.stack([np.linspace(-0.25, 0.25, 25), np.linspace(-0.9, 0.9, 25), np.full(25, 2.5)], axis=1)
"""(25, 3): far higher than wide, as people are."""
Bodies = list[dict[int, np.ndarray]]
"""Of each frame: joints (25, 3) by id."""


def moving(frames: int, speed: float, at: float = 0.0) -> list[np.ndarray]:
    """Somebody who goes up and down."""
    return [POSE + np.array([at, speed * np.sin(t / 3), 0]) for t in range(frames)]


def write_skeleton(path: Path, frames: Bodies) -> None:
    """A file of NTU RGB+D."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for track, joints in bodies.items():
            lines += [f"{track} 0 1 1 1 1 0 0.02764709 0.05745083 2", "25"]
            lines += [f"{x:.7g} {y:.7g} {z:.7g} 277.4 191.8 1036.2 519.1 -0.2 0.05 0.96 -0.1 2" for x, y, z in joints]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join(lines) + "\r\n")


def write_recording(path: Path, bodies: np.ndarray) -> None:
    """Skeletons of PKU-MMD: (T, 2, 25, 3), zeros where absent, as the dataset writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(" ".join(f"{v:.6f}" for v in frame.ravel()) + " \n" for frame in bodies))


def write_labels(path: Path, rows: list[tuple[int, ...]], newline: str = "\n") -> None:
    """A label file of PKU-MMD: class, start, end, confidence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(str, row)) + newline for row in rows))
