"""Trying sources and devices, each in a process of its own: a driver that hangs is killed and hurts nobody else.

A probe is `python -m stream.commands.probe`, with its task as JSON on standard input (never on the command line, which
every user of the machine can read) and its finding as JSON on standard output.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from stream.errors import PosewireError, SourceError

FIRST_FRAME_S = 10.0
"""How long a source may take to give its first frame."""
MEASURE_S = 3.0
"""How long frames are looked at, from the first one on."""
LIMIT_S = 30.0
"""A probe without an answer for this long hangs. A network camera takes seconds to open, and so do pose networks to
load where many probes run."""
AT_ONCE = 4
"""Probes that run at the same time: more would spoil each other's rates."""

_ERROR = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt))\b")


class ProbeError(PosewireError):
    """A probe found an error, died or hung."""


def probe_all(tasks: Sequence[dict[str, Any]], limit_s: float = LIMIT_S) -> list[dict[str, Any] | ProbeError]:
    """Run probes, some at a time; returns what each found, or what became of it. None outlives this call.

    Args:
        tasks: what to do, one for each probe; see `find`.
        limit_s: seconds that each may take.
    """
    if not tasks:
        return []
    probes = _Probes(limit_s)
    with ThreadPoolExecutor(min(AT_ONCE, len(tasks))) as pool:
        try:
            return list(pool.map(probes.run, tasks))
        except BaseException:  # Ctrl-C, which reaches this thread only: the pool waits for the others
            probes.stop()
            raise


class _Probes:
    """The processes of the probes that run.

    Args:
        limit_s: seconds that each may take.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._stopped = False
        self._running: set[subprocess.Popen[bytes]] = set()

    def stop(self) -> None:
        """End all probes, and let no other begin."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def run(self, task: dict[str, Any]) -> dict[str, Any] | ProbeError:
        """Run one probe to its end; returns what it found, or what became of it."""
        with self._lock:
            if self._stopped:
                return ProbeError("was not tried")
            process = subprocess.Popen(
                [sys.executable, "-m", "stream.commands.probe"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            self._running.add(process)
        with process:
            try:
                out, complaints = process.communicate(
                    json.dumps(task | {"parent": os.getpid()}).encode(), self._limit_s
                )
            except subprocess.TimeoutExpired:
                process.kill()
                return ProbeError(f"hangs: no answer in {self._limit_s:g} s")
            finally:
                with self._lock:
                    self._running.discard(process)
        return _finding(out, complaints, process.returncode)


def _finding(out: bytes, complaints: bytes, code: int) -> dict[str, Any] | ProbeError:
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:
        return ProbeError(f"its driver died ({_how(code, complaints.decode(errors='replace'))})")
    return ProbeError(found["error"]) if "error" in found else found


def _how(code: int, complaints: str) -> str:
    """How a process died; of its complaints only the error's name, as a driver may quote a camera's password."""
    last = complaints.strip().rpartition("\n")[2]
    name = _ERROR.match(last)
    return name[1] if name else f"signal {-code}" if code < 0 else f"exit code {code}"


def find(task: dict[str, Any]) -> dict[str, Any]:
    """Do one task in this process and return what was found.

    Args:
        task: `config` (content of a configuration), `path` (of its file) and `source` (the index of one of its
            sources, which may take `first_frame_s` for its first frame); or `webcam` (its number), `azure_kinect` or
            `kinect_v2`.

    Raises:
        PosewireError: it cannot be opened, or what it needs is not installed.
    """
    if "source" in task:
        return _source(task)
    from stream.commands import devices

    if "webcam" in task:
        return devices.try_webcam(task["webcam"], MEASURE_S)
    return devices.find_azure_kinects() if "azure_kinect" in task else devices.find_kinects_v2()


def _source(task: dict[str, Any]) -> dict[str, Any]:
    """Read one source: of a skeleton file its first frame, of anything else what it gives in `MEASURE_S`."""
    from stream.config_file import parse_config
    from stream.config_sources import FileSource
    from stream.sources.base import EndOfSource, SourceTimeout
    from stream.sources.configured import configured_source
    from stream.types import NANOSECONDS, UNIX_TIME

    entry = parse_config(task["config"], Path(task["path"])).sources[task["source"]]
    if hasattr(entry, "loop"):
        entry = entry.model_copy(update={"loop": False})
    source = configured_source(entry)
    times: list[int] = []
    people, resolution, layout, space = 0, None, "", None
    with source:
        deadline = time.monotonic() + task["first_frame_s"]
        while (left := deadline - time.monotonic()) > 0:
            try:
                frame = source.read(timeout=min(left, 0.25))
            except SourceTimeout:
                continue
            except EndOfSource:
                break
            if not times:
                deadline = time.monotonic() + MEASURE_S
            times.append(frame.t)
            people, layout, space = max(people, len(frame.track_ids)), frame.layout, frame.space.value
            resolution = source.resolution or resolution
            if isinstance(entry, FileSource):
                break
    if not times and source.live:
        raise SourceError(entry.name, f"opens, but gave no frame in {task['first_frame_s']:g} s; expected images")
    span = (times[-1] - times[0]) / 1e9 if times else 0.0
    return {
        "frames": len(times),
        "layout": layout,
        "space": space,
        "people": people,
        "resolution": resolution,
        "rate_hz": (len(times) - 1) / span if span > 0 else 0.0,
        "took_s": time.monotonic() - deadline + MEASURE_S if times else 0.0,
        "live": source.live,
        "dated": bool(times) and times[0] > UNIX_TIME * NANOSECONDS,
    }


def main() -> int:
    """Do the task on standard input."""
    # Native libraries write where they like: standard output is for the finding alone.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from models.errors import ModelError
    from stream.daemon.child import die_with
    from stream.secrets import redact

    task = json.load(sys.stdin)
    die_with(task["parent"])
    try:
        found = find(task)
    except (PosewireError, ModelError) as error:
        found = {"error": redact(str(error))}
    with answers:
        json.dump(found, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
