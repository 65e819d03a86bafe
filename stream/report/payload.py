"""One source's recording as JSON values: numbers quantised, packed little-endian and base64-coded."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.report.frames import BASE_INTERVAL, KeptFrames
from stream.report.kept import MAX_EVENTS, KeptScores, quantise_unit
from stream.types import Event, Space

if TYPE_CHECKING:
    from stream.report.builder import Recording


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
        "frames": _frames(kept, index, t0),
        "scores": _scores(scores, index, t0, prompts),
        "events": [_event(event, index, t0) for event in chosen],
        "events_total": events.total,
        "events_limit": MAX_EVENTS,
    }


def _frames(kept: KeptFrames, index: dict[int, int], t0: int) -> dict[str, object]:
    return {
        "count": kept.times.length,
        "seen": kept.seen,
        "interval": _seconds(kept.interval),
        "thinned": kept.interval > BASE_INTERVAL,
        "unit": kept.unit or 1.0,
        "times": _pack([_milliseconds(t - t0) for t in kept.times.used.tolist()], "<u4"),
        "bodies": _pack(kept.counts.used, "<u2"),
        "tracks": _pack([index[track] for track in kept.tracks.used.tolist()], "<u4"),
        "joints": _pack(kept.joints.used, "<i2"),
        "confidence": _pack(kept.confidence.used, "u1"),
    }


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
