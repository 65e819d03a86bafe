"""How many of the people in a video are found, against a count by eye; how fast, and how steady their ids."""

from __future__ import annotations

import time
import tomllib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import PosewireError, SourceError
from stream.types import NANOSECONDS
from stream.vision import library
from stream.vision.crowd import Crowd
from stream.vision.pose import PoseEstimator

USUAL_RATE = 25.0
"""Images a second of a video whose file does not tell."""


class CountsError(PosewireError):
    """The file of counts cannot be used."""


@dataclass(frozen=True, slots=True)
class Counts:
    """People counted by eye in one video.

    Attributes:
        people: number of the frame, from 0 -> people in it.
        rate: images a second, where what the file claims is wrong.
    """

    people: dict[int, int] = field(default_factory=dict)
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one video.

    Attributes:
        budget_s: see `Crowd`.
        found: number of people in each image whose pose was found in it.
        lately: the same, within the second before.
        ids: id -> number of images in which it was found.
        seconds: what each image took.
        cpu_s: what all of them took of a processor: the same beside other work, which `seconds` is not.
    """

    budget_s: float | None
    found: list[int]
    lately: list[int]
    ids: dict[int, int]
    seconds: list[float]
    cpu_s: float


def read_counts(path: Path, video: str) -> Counts:
    """The counts of a video (its file name) from a TOML file; none if the file does not name it.

    Raises:
        CountsError: the file is no TOML, or a table in it is not as `tests/data/people_counts.toml` has it.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(video)
        if table is None:
            return Counts()
        pairs = zip(table["frames"], table["people"], strict=True)
        rate = table.get("rate")
        return Counts({int(frame): int(people) for frame, people in pairs}, None if rate is None else float(rate))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise CountsError(f"{path}: {video}: {error}; expected as many 'people' as 'frames'") from error


def images(path: Path, rate: float | None) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The images of a video file, each with its time in ns.

    Raises:
        SourceError: it cannot be read.
    """
    cv2 = library("cv2", "rgb")
    video: Any = cv2.VideoCapture(str(path))
    try:
        claimed = float(video.get(cv2.CAP_PROP_FPS))
        step = NANOSECONDS / (rate or (claimed if claimed > 0 else USUAL_RATE))
        number = 0
        while True:
            read, image = video.read()
            if not read:
                break
            yield round(number * step), image
            number += 1
    finally:
        video.release()
    if number == 0:
        raise SourceError(path, "no image can be read; expected a video file")


def find(path: Path, network: str, max_people: int, budget_s: float | None, rate: float | None) -> Finding:
    """Find everyone in every image of a video."""
    found, lately, seconds = [], [], []
    ids: dict[int, int] = {}
    recent: deque[tuple[int, set[int]]] = deque()
    before = time.process_time()
    with PoseEstimator(network) as estimator:
        crowd = Crowd(estimator, max_people=max_people, budget_s=budget_s)
        for t, image in images(path, rate):
            start = time.perf_counter()
            people = crowd.update(t, image)
            seconds.append(time.perf_counter() - start)
            here = {person.id for person in people}
            for person in here:
                ids[person] = ids.get(person, 0) + 1
            recent.append((t, here))
            while recent[0][0] <= t - NANOSECONDS:
                recent.popleft()
            found.append(len(here))
            lately.append(len(set().union(*(seen for _, seen in recent))))
    return Finding(budget_s, found, lately, ids, seconds, time.process_time() - before)


def table(video: str, findings: list[Finding], counts: Counts) -> str:
    """The findings beside the counts, a line for each budget."""
    frames = [frame for frame in sorted(counts.people) if frame < len(findings[0].found)]
    counted = [counts.people[frame] for frame in frames]
    lines = [f"{video}: {len(findings[0].found)} images"]
    if frames:
        lines.append(f"counted by eye in {len(frames)} images: {np.mean(counted):.2f} people in each")
    header = "budget  found  of counted  too many  in the last second  ids (5 images or more)"
    lines.append(f"{header}  images/s  95 % within  CPU an image")
    for finding in findings:
        budget = "none" if finding.budget_s is None else f"{1000 * finding.budget_s:.0f} ms"
        there = [finding.found[frame] for frame in frames]
        both = sum(min(one, other) for one, other in zip(there, counted, strict=True))
        more = sum(max(0, one - other) for one, other in zip(there, counted, strict=True))
        share = f"{100 * both / sum(counted):.0f} %" if sum(counted) else "-"
        steady = sum(times >= 5 for times in finding.ids.values())
        lines.append(
            f"{budget:>6}  {np.mean(finding.found):5.2f}  {share:>10}  {more if frames else '-':>8}"
            f"  {np.mean(finding.lately):18.2f}  {f'{len(finding.ids)} ({steady})':>22}"
            f"  {len(finding.seconds) / sum(finding.seconds):8.1f}"
            f"  {1000 * float(np.percentile(finding.seconds, 95)):8.0f} ms"
            f"  {1000 * finding.cpu_s / len(finding.seconds):9.0f} ms"
        )
    return "\n".join(lines)
