"""A crash leaves nothing on the disk of the memory, where images may be, whatever the limits at the start."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from running_daemon import POSEWIRE, ROOT, children_of, roles_of, running, write_sources

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the limits of processes in /proc")
UNLIMITED = ("sh", "-c", 'ulimit -S -c "$(ulimit -H -c)" && exec "$@"', "sh")
"""Words before a command, which then may write as long a core dump as anybody's."""
SYNTHETIC = 'kind = "synthetic"\nname = "cam"\n'


def limit(pid: int | str) -> str:
    """Bytes of a core dump that a process may leave."""
    (line,) = (one for one in Path(f"/proc/{pid}/limits").read_text().splitlines() if one.startswith("Max core file"))
    return line.split()[4]


@pytest.fixture(autouse=True)
def allowed() -> None:
    """Nothing is shown where nobody may write any."""
    done = subprocess.run([*UNLIMITED, "cat", "/proc/self/limits"], capture_output=True, text=True, check=True)
    if "Max core file size        0 " in done.stdout:
        pytest.skip("core dumps are switched off here by the hard limit")


@pytest.mark.parametrize("command", ["run", "record"])
def test_no_process_of_a_daemon_leaves_a_core_dump(tmp_path_factory: pytest.TempPathFactory, command: str) -> None:
    folder = tmp_path_factory.mktemp("c")
    config = write_sources(folder, SYNTHETIC)
    wanted = {"run": {"publisher", "worker", "capture"}, "record": {"recorder", "capture"}}[command]
    if command == "run":
        started = running(config, *UNLIMITED)
    else:
        words = ["record", "--out", str(folder / "a.pwr"), "--config", str(config)]
        started = subprocess.Popen([*UNLIMITED, *POSEWIRE, *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    with started as process:
        try:
            deadline = time.monotonic() + 60
            while not wanted <= set(roles_of(process.pid)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            # One byte is none: a dump that would be longer is not begun.
            assert {limit(pid) for pid in (process.pid, *children_of(process.pid))} <= {"0", "1"}
        finally:
            process.kill()
            process.wait(60)
