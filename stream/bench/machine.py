"""The machine that was measured, and how busy it was with other things meanwhile."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from stream.bench.plan import BenchError


class Machine(msgspec.Struct, frozen=True):
    """What figures depend on.

    Attributes:
        cpu: the processor's name.
        cores: those that this process may use.
        instructions: of the processor, those that matter for matrix products.
        memory_gb: of the machine.
        gpu: its name; empty for none.
        system, python, torch, numpy, posewire: versions.
    """

    cpu: str
    cores: int
    instructions: tuple[str, ...]
    memory_gb: float
    gpu: str
    system: str
    python: str
    torch: str
    numpy: str
    posewire: str


FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def this_machine() -> Machine:
    """The machine that this runs on."""
    import torch

    name, flags = platform.processor(), set[str]()
    if (told := Path("/proc/cpuinfo")).exists():
        lines = (line.partition(":") for line in told.read_text().splitlines())
        fields = {key.strip(): value.strip() for key, _, value in lines}
        name, flags = fields.get("model name", name), set(fields.get("flags", "").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return Machine(
        cpu=name or platform.machine(),
        cores=cores(),
        instructions=tuple(flag for flag in FLAGS if flag in flags),
        memory_gb=round(memory / 2**30, 1),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        system=platform.platform(),
        python=platform.python_version(),
        torch=str(torch.__version__),
        numpy=version("numpy"),
        posewire=_own_version(),
    )


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _own_version() -> str:
    try:
        return version("posewire")
    except PackageNotFoundError:  # run from its folder
        return "not installed"


class Neighbours:
    """Watches what share of the processors everything but this process and its children takes, from now on."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy_s(), _own_s()

    def share(self) -> float | None:
        """The share since the start, 0..1; None where the system does not tell. Children count once they are gone."""
        busy = _busy_s()
        if busy is None or self._busy is None:
            return None
        others = busy - self._busy - (_own_s() - self._own)
        return round(max(0.0, others / ((time.monotonic() - self._began) * (os.cpu_count() or 1))), 3)


def load() -> float:
    """The load average over the last minute; 0 where there is none."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def _own_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy_s() -> float | None:
    """Processor seconds that the machine has worked since it started."""
    path = Path("/proc/stat")
    if not path.exists():
        return None
    user, nice, system, _idle, _wait, interrupts, soft, *_ = map(int, path.read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Memory of a process in bytes: its own, and its share of what it shares; on Linux.

    Raises:
        FileNotFoundError, ProcessLookupError: there is no such process.
        BenchError: the system does not tell.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise BenchError("/proc: does not tell the memory of processes; expected Linux")
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))
