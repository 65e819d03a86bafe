"""Memory that each further person costs the worker: its pipeline, filled with more and more tracks."""

from __future__ import annotations

import gc
import os
from dataclasses import replace

from stream.bench.figures import Result, fit
from stream.bench.footage import footage
from stream.bench.machine import resident_bytes
from stream.bench.plan import Plan
from stream.config import Config
from stream.service import load_service

NUMBERS = (64, 256, 512, 1024)
FILLED_S = 2.0
"""Seconds of frames after which a track has all that it will ever have."""
PEOPLE = 2


def bench_tracks(plan: Plan) -> Result:
    """Measure this process's memory at more and more tracks; fewer of them where a plan's figures take under a second.

    Raises:
        BenchError: the system does not tell.
    """
    os.chdir("/")  # no actions known by examples
    service = load_service(Config())
    service.warm_up(service.settings.max_batch)
    frames = list(footage(PEOPLE, FILLED_S))
    points = []
    cameras = 0
    scale = min(1.0, plan.seconds)
    for number in (max(PEOPLE, round(scale * number)) for number in NUMBERS):
        while cameras * PEOPLE < number:
            for frame in frames:
                service.pipeline.push([replace(frame, source=f"cam{cameras}")])
            cameras += 1
        gc.collect()
        points.append((cameras * PEOPLE, resident_bytes(os.getpid()) / 1024))
    line = fit("tracks", "KiB", points)
    result = Result(lines={"memory of the worker's pipeline": line})
    result.add("memory of a track", "KiB", [line.slope])
    return result
