"""One source's recording as JSON values: numbers quantised, packed little-endian and base64-coded."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.report.kept import BASE_INTERVAL, MAX_EVENTS, KeptFrames, KeptScores, quantise_unit
from stream.types import Event, Float32Array, Space

if TYPE_CHECKING:
    from stream.report.builder import Recording

MILLIMETRE = 0.001
"""Step of a joint's coordinate in 3-D, in metres: int16 reaches 32.767 m, further than any skeleton sensor."""
_STEPS = 32_767


def source_payload(name: str, recording: Recording, prompts: int) -> dict[str, object]:
    """Return what the page needs of one source; `decode.js` is the other half of this function.

    Times are milliseconds after `t0` (uint32) except in events, where they are seconds.
    """
    kept, scores, events = recording.frames, recording.scores, recording.events
    people = sorted(recording.people, key=lambda track: (recording.people[track], track))
    chosen = sorted(events.events.values(), key=lambda event: (event.t_start, event.id))
    others = sorted({event.track for event in chosen} - set(people))
    index = {track: number for number, track in enumerate(people + others)}
    t0 = recording.t0
    return {
        "name": name,
        "flat": recording.space is Space.IMAGE2D,
        "t0": str(t0),
        "duration": _seconds(recording.t1 - t0),
        "tracks": [str(track) for track in index],
        "people": len(people),
        "frames": _frames(kept, index, t0, recording.space),
        "scores": _scores(scores, index, t0, prompts),
        "events": [_event(event, index, t0) for event in chosen],
        "events_total": events.total,
        "events_limit": MAX_EVENTS,
    }


def _frames(kept: KeptFrames, index: dict[int, int], t0: int, space: Space) -> dict[str, object]:
    frames = kept.frames
    joints = np.concatenate([np.zeros((0, 25, 3), np.float32), *(frame.joints for frame in frames)])
    confidence = np.concatenate([np.zeros((0, 25), np.float32), *(frame.confidence for frame in frames)])
    steps, levels, unit = quantise_joints(joints, confidence, space)
    tracks = [index[track] for frame in frames for track in frame.tracks.tolist()]
    return {
        "count": len(frames),
        "seen": kept.seen,
        "interval": _seconds(kept.interval),
        "thinned": kept.interval > BASE_INTERVAL,
        "unit": unit,
        "times": _pack([_milliseconds(frame.t - t0) for frame in frames], "<u4"),
        "bodies": _pack([len(frame.tracks) for frame in frames], "<u2"),
        "tracks": _pack(tracks, "<u4"),
        "joints": _pack(steps, "<i2"),
        "confidence": _pack(levels, "u1"),
    }


def quantise_joints(
    joints: Float32Array, confidence: Float32Array, space: Space
) -> tuple[NDArray[np.int16], NDArray[np.uint8], float]:
    """Return joints (B, 25, 3) as int16 steps, confidence (B, 25) as 0..255, and the length of a step.

    A joint that is not finite, or in 3-D lies further than 32 m from the camera, counts as not seen. In 3-D a step is
    a millimetre; in 2-D, where pixels and shares of the image are both in use, the largest coordinate sets it.
    """
    valid = np.isfinite(joints).all(-1) & np.isfinite(confidence) & (confidence > 0)
    if space is Space.CAMERA3D:
        unit = MILLIMETRE
        valid &= (np.abs(joints) <= unit * _STEPS).all(-1)
    else:
        unit = float(np.abs(joints[valid]).max(initial=0.0)) / _STEPS or 1.0
    safe = np.where(valid[..., None], joints, 0.0)
    steps = np.round(safe / unit).clip(-_STEPS, _STEPS).astype(np.int16)
    levels = np.where(valid, np.ceil(np.clip(np.where(valid, confidence, 0.0), 0.0, 1.0) * 255), 0).astype(np.uint8)
    return steps, levels, unit


def _scores(scores: KeptScores, index: dict[int, int], t0: int, prompts: int) -> dict[str, object]:
    rows = [(index[track], t, values) for (_, track), (t, values) in scores.rows.items()]
    rows.sort(key=lambda row: row[:2])
    table = np.array([values for _, _, values in rows], np.float32).reshape(len(rows), prompts + 1)
    return {
        "count": len(rows),
        "interval": _seconds(scores.interval),
        "pooled": scores.pooled,
        "tracks": _pack([track for track, _, _ in rows], "<u4"),
        "times": _pack([_milliseconds(t - t0) for _, t, _ in rows], "<u4"),
        "values": _pack(quantise_unit(table), "<u2"),
    }


def _event(event: Event, index: dict[int, int], t0: int) -> dict[str, object]:
    return {
        "id": event.id,
        "kind": event.kind.value,
        "severity": event.severity.value,
        "track": index[event.track],
        "name": event.name,
        "prompt": event.prompt,
        "t_start": str(event.t_start),
        "start": _seconds(max(event.t_start - t0, 0)),
        "end": None if event.t_end is None else _seconds(max(event.t_end - t0, 0)),
        "peak": round(float(event.peak), 4) if math.isfinite(event.peak) else None,
        "reason": None if event.reason is None else event.reason.value,
    }


def _pack(values: NDArray[np.generic] | list[int], kind: str) -> str:
    return base64.b64encode(np.asarray(values).astype(kind).tobytes()).decode("ascii")


def _milliseconds(t: int) -> int:
    return min((t + 500_000) // 1_000_000, 0xFFFF_FFFF)


def _seconds(t: int) -> float:
    return round(t / 1e9, 6)
