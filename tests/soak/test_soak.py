"""A daemon that runs for a while: no process grows, nobody dies, and what is dropped is counted.

SOAK_SECONDS=900 pytest -m soak --log-cli-level INFO tests/soak prints the table of the README.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from running_daemon import ROOT, Wire, roles_of, running, write_sources
from scipy.stats import theilslopes

from stream.vision.pose_model import NETWORKS, PoseModelError, task_path

DEMO = ROOT / "stream" / "demo"
VIDEO = ROOT.parent / "shared" / "data" / "samples" / "video" / "person_close_up.mkv"
SAMPLE_S = 5.0
LIMIT_MB_H = 5.0
NOISE_MB = 25.0
"""What a run too short for a slope may grow by: arenas of the allocator that were not yet full, and what torch's
kernels keep for each size of batch, of which the worker meets new ones while the machine is busy."""
LONG_S = 600.0
"""A run measured for so long stands for a slope."""

log = logging.getLogger(__name__)


@dataclass
class Process:
    """What was sampled of one process.

    Attributes:
        pid: its id.
        times: seconds.
        private, resident: anonymous memory, and all that is resident, in MB.
        descriptors, threads: counts.
    """

    pid: int
    times: list[float] = field(default_factory=list)
    private: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def sample(self, now: float) -> None:
        """Read what the kernel tells."""
        folder = Path(f"/proc/{self.pid}")
        memory = {
            words[0]: int(words[1]) * 1024 / 1e6
            for line in (folder / "smaps_rollup").read_text().splitlines()[1:]
            if (words := line.split())
        }
        self.times.append(now)
        self.private.append(memory["Anonymous:"] + memory["Swap:"])
        self.resident.append(memory["Rss:"])
        self.descriptors.append(len(list((folder / "fd").iterdir())))
        self.threads.append(len(list((folder / "task").iterdir())))

    def slope(self) -> tuple[float, float]:
        """MB per hour of anonymous memory by Theil and Sen's fit, and the lower end of its 95 % interval."""
        fit = theilslopes(self.private, np.array(self.times) / 3600)
        return float(fit[0]), float(fit[2])


def video() -> str | None:
    """A looped video, where there are one, the libraries, and a pose network."""
    if not VIDEO.is_file() or not all(importlib.util.find_spec(name) for name in ("cv2", "mediapipe")):
        return None
    for network in NETWORKS:
        try:
            task_path(network)
        except PoseModelError:
            continue
        return f'kind = "video"\nname = "video"\npath = "{VIDEO}"\npose = "{network}"\nmax_people = 2\nloop = true'
    return None


def sources(fourth: str | None) -> list[str]:
    """Four sources: two recorded ones, a live one, and the fourth or another live one."""
    looped = [
        f'kind = "file"\nname = "{name}"\npath = "{DEMO / file}"\nloop = true'
        for name, file in (("recorded", "Seq1_10.csv"), ("waving", "Ges01_wavehand.csv"))
    ]
    live = 'kind = "synthetic"\nname = "{}"\npeople = 3'
    return [*looped, live.format("live"), fourth or live.format("other")]


def soak(folder: Path, seconds: float, warm_up_s: float, fourth: str | None = None) -> None:
    with Wire(folder) as wire, running(write_sources(folder, *sources(fourth))) as daemon:
        wire.until(lambda: len(wire.times) >= 4, 120)
        roles = roles_of(daemon.pid)
        names = ["supervisor", *(f"{role} {number}" for role, found in roles.items() for number in range(len(found)))]
        pids = [daemon.pid, *(pid for found in roles.values() for pid in found)]
        processes = dict(zip(names, map(Process, pids), strict=True))
        began = time.monotonic()
        next_sample = began + warm_up_s
        while (now := time.monotonic()) < began + seconds:
            wire.take()
            wire.times.clear()
            if now >= next_sample:
                next_sample += SAMPLE_S
                for process in processes.values():
                    process.sample(now - began)
        wire.heartbeat = {}
        wire.until(lambda: wire.heartbeat)
        assert roles_of(daemon.pid) == roles, "a process was started anew"
        show(processes, wire.heartbeat)
        check(processes, wire.heartbeat)
        daemon.terminate()
        assert daemon.wait(20) == 0
    assert "Traceback" not in (folder / "daemon.log").read_text()


def show(processes: dict[str, Process], heartbeat: dict) -> None:
    lines = ["", "process        RSS MB  anonymous MB: first    last  MB/h (95 % from)  descriptors  threads"]
    for name, process in processes.items():
        slope, low = process.slope()
        lines.append(
            f"{name:<13} {process.resident[-1]:7.1f} {process.private[0]:20.2f} {process.private[-1]:7.2f}"
            f" {slope:6.2f} ({low:8.2f}) {process.descriptors[0]:6} {process.descriptors[-1]:6}"
            f" {process.threads[0]:4} {process.threads[-1]:4}"
        )
    for name, state in heartbeat["sources"].items():
        if state["frames"]:
            lines.append(
                f"source {name}: {state['state']}, {state['frames']} frames, {state['dropped']} dropped, "
                f"{state['rate_hz']:.2f} Hz"
            )
    lines.append(f"dropped by stage: {heartbeat.get('dropped')}; latency: {heartbeat.get('latency_ms')}")
    log.info("\n".join(lines))


def check(processes: dict[str, Process], heartbeat: dict) -> None:
    for name, process in processes.items():
        measured_s = process.times[-1] - process.times[0]
        slope, _ = process.slope()
        if measured_s >= LONG_S:
            assert slope < LIMIT_MB_H, name
        else:
            assert slope * measured_s / 3600 < NOISE_MB, name
        third = max(len(process.times) // 3, 1)
        assert max(process.descriptors[-third:]) <= max(process.descriptors[:third]), name
        assert max(process.threads[-third:]) <= max(process.threads[:third]), name
    running_now = {name: state for name, state in heartbeat["sources"].items() if state["frames"]}
    assert len(running_now) == 4
    assert all(state["state"] == "running" for state in running_now.values())
    assert running_now["recorded"]["dropped"] == running_now["waving"]["dropped"] == 0


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_daemon_stays_as_it_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    seconds = float(os.environ.get("SOAK_SECONDS", "900"))
    soak(tmp_path_factory.mktemp("s"), seconds, min(180.0, seconds / 4), video())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_daemon_stays_as_it_is_for_a_minute(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without a video, whose libraries take longer than that to fill their pools."""
    soak(tmp_path_factory.mktemp("s"), 60.0, warm_up_s=20.0)
