"""The training sets' archives read into sequences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.layouts import layout_for_names
from train.datasets.labelled import SHORTEST_SPAN, read_clips
from train.datasets.labels import SETS, action_of_label, archive_of, index_of, load_actions, set_names
from train.datasets.sequences import Float32Array, Sequence, Span, active_part

LONGEST_CLIP = 600
"""Frames; longer clips are recordings that were not trimmed."""
BEFORE_TAG, AFTER_TAG = 25 / 30, 25 / 30
"""Seconds around an action point of MSRC-12 that belong to the gesture."""
OTHER_SENSOR = {"wave hand": "wave hand", "come here": "beckon", "pointing": "point"}
"""Labels of the Kinect v2 recordings whose action is in the bank, and that action."""


class DataMissing(Exception):
    """The folder given as --data does not hold the training sets."""


def read_set(folder: Path, name: str) -> list[Sequence]:
    """All sequences of one set.

    Raises:
        DataMissing: its archive is not there.
    """
    path = archive_of(folder)(name)
    if name not in SETS:
        return list(_of_users(name, path))
    arrays = _arrays(path)
    if name == "msrc12":
        return list(_msrc12(arrays))
    if name == "precog16":
        return list(_precog16(arrays))
    return list(_clips(name, arrays))


def read_other_sensor(folder: Path) -> list[Sequence]:
    """Recordings of one person by a Kinect v2, of actions that are in the bank; only ever judged by, and optional."""
    path = folder / "clips" / "labanotation_kinect2.npz"
    if set_names() != SETS or not path.is_file():
        return []
    arrays = _arrays(path)
    joints, confidence = _canonical(arrays)
    offsets = arrays["offsets"].astype(np.int64)
    found = []
    for i, (start, stop) in enumerate(pairwise(offsets)):
        action = OTHER_SENSOR.get(str(arrays["label"][i]))
        if action is not None:
            times, part = np.arange(stop - start) / 30, slice(start, stop)
            spans = (Span(0.0, float(times[-1]), index_of(action)),)
            person, clip = str(arrays["subject"][i]), str(arrays["clip"][i])
            found.append(
                Sequence("labanotation", person, clip, joints[part], confidence[part], times, spans, trimmed=False)
            )
    return found


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DataMissing(f"{path}: not found; --data must be the folder that holds clips/ and untrimmed/")
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def _canonical(arrays: dict[str, NDArray[Any]]) -> tuple[Float32Array, Float32Array]:
    """All frames of an archive: joints (T, 25, 3) in metres and confidence (T, 25)."""
    raw = arrays["joints"]
    layout = layout_for_names([str(name) for name in arrays["joint_names"]])
    seen = raw.any(axis=2)
    return layout.to_canonical((raw / 1000.0).astype(np.float32), seen.astype(np.float32))


def _usable(confidence: Float32Array) -> bool:
    """Whether most of the body is seen in most of the frames."""
    return len(confidence) >= 8 and float((confidence > 0).mean()) > 0.5


def _clips(name: str, arrays: dict[str, NDArray[Any]]) -> Iterator[Sequence]:
    joints, confidence = _canonical(arrays)
    fps = json.loads(str(arrays["meta"]))["fps"]
    offsets = arrays["offsets"].astype(np.int64)
    actions = load_actions()
    for i, (start, stop) in enumerate(pairwise(offsets)):
        action = action_of_label().get((name, str(arrays["label"][i])))
        whole = stop - start > LONGEST_CLIP and name != "bandai_namco"
        if action is None or whole or not _usable(confidence[start:stop]):
            continue
        times = np.arange(stop - start) / fps
        first, last = 0, len(times) - 1
        if not actions[action].still and actions[action].name not in ("walk", "run"):
            first, last = active_part(joints[start:stop], confidence[start:stop])
        spans = (Span(float(times[first]), float(times[last]), action),)
        person, clip = str(arrays["subject"][i]), str(arrays["clip"][i])
        yield Sequence(name, person, clip, joints[start:stop], confidence[start:stop], times, spans, trimmed=True)


def _of_users(name: str, path: Path) -> Iterator[Sequence]:
    """Clips of an archive that is none of the public sets, in whatever layout and units its names and `meta` say."""
    if not path.is_file():
        raise DataMissing(f"{path}: not found; labels.toml says that some labels are of {name!r}")
    for clip in read_clips(path):
        action = action_of_label().get((name, clip.label))
        body = clip.bodies[0]
        if action is not None and _usable(body.confidence):
            spans = (Span(float(clip.times[0]), float(clip.times[-1]), action),)
            if not load_actions()[action].still:
                first, last = active_part(body.joints, body.confidence)
                spans = (Span(float(clip.times[first]), float(clip.times[last]), action),)
            yield Sequence(name, clip.subject, clip.name, body.joints, body.confidence, clip.times, spans, trimmed=True)


def _precog16(arrays: dict[str, NDArray[Any]]) -> Iterator[Sequence]:
    joints, confidence = _canonical(arrays)
    fps = json.loads(str(arrays["meta"]))["fps"]
    offsets = arrays["offsets"].astype(np.int64)
    names = [str(label) for label in arrays["label_names"]]
    for i, (start, stop) in enumerate(pairwise(offsets)):
        labels = arrays["frame_label"][start:stop].astype(np.int64)
        edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
        spans = tuple(
            Span(a / fps, (b - 1) / fps, action_of_label()["precog16", names[labels[a]]])
            for a, b in pairwise(edges)
            if names[labels[a]] != "none" and (b - a) / fps >= SHORTEST_SPAN
        )
        times = np.arange(stop - start) / fps
        person, clip = str(arrays["subject"][i]), str(arrays["sequence"][i])
        yield Sequence(
            "precog16", person, clip, joints[start:stop], confidence[start:stop], times, spans, trimmed=False
        )


def _msrc12(arrays: dict[str, NDArray[Any]]) -> Iterator[Sequence]:
    joints, confidence = _canonical(arrays)
    offsets = arrays["offsets"].astype(np.int64)
    for i, (start, stop) in enumerate(pairwise(offsets)):
        # Frames before the sensor found the person are all zero: the recording starts where it did.
        body = np.flatnonzero((confidence[start:stop] > 0).any(axis=1))
        if len(body) < 60:
            continue
        first, last = start + int(body[0]), start + int(body[-1]) + 1
        times = (arrays["timestamp_us"][first:last] - arrays["timestamp_us"][first]).astype(np.float64) / 1e6
        if not (np.diff(times) > 0).all() or np.diff(times).max() > 1.0:
            times = np.arange(last - first) / 30.0
        mine = arrays["tag_sequence"] == i
        spans = []
        for frame, label in zip(arrays["tag_frame"][mine], arrays["tag_label"][mine], strict=True):
            at = times[np.clip(int(frame) - (first - start), 0, len(times) - 1)]
            action = action_of_label()["msrc12", str(label)]
            spans.append(Span(max(float(at) - BEFORE_TAG, 0.0), min(float(at) + AFTER_TAG, float(times[-1])), action))
        person, clip = str(arrays["subject"][i]), str(arrays["sequence"][i])
        spans.sort(key=lambda span: span.start)
        yield Sequence(
            "msrc12", person, clip, joints[first:last], confidence[first:last], times, tuple(spans), trimmed=False
        )
