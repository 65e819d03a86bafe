"""A process of its own for each measurement: no allocator, thread pool or cache of one reaches another.

`python -m stream.bench.child`, with its task as JSON on standard input and what it found as JSON on standard output.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import msgspec

from stream.bench.figures import Result
from stream.bench.plan import BenchError, Plan


class _Task(msgspec.Struct):
    what: str
    name: str
    plan: Plan


def measure(what: str, plan: Plan) -> Result:
    """What the child finds that runs a bench.

    Args:
        what: `encoder`, `prompts`, `tracks` or `replay`.
        plan: how much to measure.

    Raises:
        BenchError: it failed.
    """
    return msgspec.json.decode(_run(_Task(what, "", plan)), type=Result)


def contend(name: str, plan: Plan) -> float:
    """Seconds that a contender took for each of its windows or frames; see `stream.bench.contenders`.

    Raises:
        BenchError: it failed.
    """
    return msgspec.json.decode(_run(_Task("contender", name, plan)), type=float)


def _run(task: _Task) -> bytes:
    # One thread everywhere, before any library starts its pool.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "stream.bench.child"]
    done = subprocess.run(command, input=msgspec.json.encode(task), capture_output=True, env=environment, check=False)
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines() or [f"ended with {done.returncode}"]
        raise BenchError(f"{task.name or task.what}: could not be measured: {told[-1][:300]}")
    return done.stdout


def main() -> None:
    """Do the task on standard input."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=_Task)
    import torch

    torch.set_num_threads(1)
    sys.stdout.buffer.write(msgspec.json.encode(_find(task)))


def _find(task: _Task) -> Any:
    # Imported late: each needs what the others do not.
    match task.what:
        case "encoder":
            from stream.bench.encoder import bench_encoder

            return bench_encoder(task.plan)
        case "prompts":
            from stream.bench.prompts import bench_prompts

            return bench_prompts(task.plan)
        case "tracks":
            from stream.bench.tracks import bench_tracks

            return bench_tracks(task.plan)
        case "replay":
            from stream.bench.replay import bench_replay

            return bench_replay(task.plan)
    from stream.bench.contenders import contend

    return contend(task.name, task.plan.seconds)


if __name__ == "__main__":
    main()
