"""Whatever process of a daemon dies or hangs, it comes back, and the others do not notice.

How long each takes: pytest tests/stream/daemon/test_kill.py -m "slow or not slow" --log-cli-level INFO
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from running_daemon import POSEWIRE, ROOT, Wire, gone, roles_of, running, write_sources

DEMO = ROOT / "stream" / "demo"
FPS = 10
SOURCES = (
    f'kind = "synthetic"\nname = "victim"\nfps = {FPS}',
    f'kind = "synthetic"\nname = "live"\nfps = {FPS}\nseed = 1',
    f'kind = "file"\nname = "recorded"\npath = "{DEMO / "Seq1_10.csv"}"\nloop = true\nspeed = 0.5',
)
OTHERS = ("live", "recorded")
ALL = ("victim", *OTHERS)
PLUG = """
import os
from pathlib import Path

from stream.sources.synthetic import SyntheticSource

read, flag, reads = SyntheticSource.read, Path(os.environ["STUCK"]), 0


def stuck(self, timeout):
    global reads
    reads += 1
    if self.name == "victim" and reads > 30 and not flag.exists():
        flag.touch()
        os.read(os.pipe()[0], 1)  # nobody will ever write
    return read(self, timeout)


SyntheticSource.read = stuck
"""
log = logging.getLogger(__name__)
Daemon = tuple[subprocess.Popen[str], Wire]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the kills that it survives: it takes longest to start."""
    folder = tmp_path_factory.mktemp("k")
    with Wire(folder) as wire, running(write_sources(folder, *SOURCES)) as process:
        yield process, wire
        assert process.poll() is None
        process.terminate()
        assert process.wait(20) == 0
        assert "Traceback" not in (folder / "daemon.log").read_text()


@pytest.fixture
def settled(daemon: Daemon) -> Daemon:
    """The daemon with every source on the wire."""
    _, wire = daemon
    began = time.monotonic()
    wire.until(lambda: all(wire.flows(name, began, 10) for name in ALL))
    return daemon


def recovery(wire: Wire, sources: tuple[str, ...], failed: float, since: float, what: str) -> None:
    """Wait until all of these sources flow again after `since`, and say how long that took from the failure."""
    wire.until(lambda: all(wire.flows(name, since) for name in sources))
    back = max(next(arrived for arrived, _ in wire.times[name] if arrived > since) for name in sources)
    log.info(f"{what}: frames again after {back - failed:.1f} s")


def losses(wire: Wire) -> dict[str, int]:
    """What was lost of all frames that captures sent, by where, as the next heartbeat tells."""
    wire.heartbeat = {}
    wire.until(lambda: wire.heartbeat)
    return {stage: wire.heartbeat["dropped"][stage] for stage in ("queue", "worker", "publish")}


def assert_untouched(wire: Wire, since: float, until: float, share: float = 0.0) -> None:
    """The other sources went on without a gap: a recorded one frame by frame, a live one at this share of its rate."""
    recorded = [t for arrived, t in wire.times[OTHERS[1]] if since < arrived < until]
    live = [t for arrived, t in wire.times[OTHERS[0]] if since < arrived < until]
    steps = [after - before for before, after in pairwise(recorded)]
    assert len(steps) > 10
    assert max(steps) < 2.5 * sorted(steps)[len(steps) // 2]
    rate = (len(live) - 1) / (live[-1] - live[0])
    log.info(
        f"another live source meanwhile: {rate:.2f} of {FPS} frames a second, {len(steps)} recorded frames in order"
    )
    assert rate > share * FPS


def test_a_capture_that_is_killed_comes_back_and_no_other_source_notices(settled: Daemon) -> None:
    process, wire = settled
    before, lost = roles_of(process.pid), losses(wire)
    killed = time.monotonic()
    os.kill(before["capture"][0], signal.SIGKILL)
    wire.until(lambda: any(state[:2] == ("victim", "lost") for state in wire.states))
    recovery(wire, ("victim",), killed, time.monotonic(), "capture killed")
    wire.until(lambda: wire.states[-1][:2] == ("victim", "running"))
    assert_untouched(wire, killed - 1, time.monotonic())
    assert losses(wire) == lost  # of every source, all that was sent arrived
    after = roles_of(process.pid)
    assert (after["worker"], after["publisher"]) == (before["worker"], before["publisher"])
    assert set(before["capture"][1:]) < set(after["capture"])


def test_a_publisher_that_is_killed_comes_back_and_nobody_else_is_started_anew(settled: Daemon) -> None:
    process, wire = settled
    before, epochs = roles_of(process.pid), len(wire.epochs)
    wire.until(lambda: all(name in wire.heartbeat.get("sources", {}) for name in ALL))
    sources = wire.heartbeat["sources"]
    killed = time.monotonic()
    os.kill(before["publisher"][0], signal.SIGKILL)
    wire.until(lambda: len(wire.epochs) > epochs)
    recovery(wire, ALL, killed, killed + 0.2, "publisher killed")
    after = roles_of(process.pid)
    assert (after["worker"], after["capture"]) == (before["worker"], before["capture"])
    # The captures went on: their counts do, and nothing had to be dropped.
    wire.heartbeat = {}
    wire.until(lambda: all(name in wire.heartbeat.get("sources", {}) for name in ALL))
    for name in ALL:
        now = wire.heartbeat["sources"][name]
        assert now["frames"] > sources[name]["frames"]
        assert now["dropped"] == sources[name]["dropped"]


def test_a_worker_that_is_killed_comes_back_and_nobody_else_is_started_anew(settled: Daemon) -> None:
    process, wire = settled
    before, epochs = roles_of(process.pid), len(wire.epochs)
    killed = time.monotonic()
    os.kill(before["worker"][0], signal.SIGKILL)
    recovery(wire, ALL, killed, killed + 0.5, "worker killed")
    after = roles_of(process.pid)
    assert (after["publisher"], after["capture"]) == (before["publisher"], before["capture"])
    assert len(wire.epochs) == epochs


def test_a_second_daemon_is_refused(settled: Daemon) -> None:
    process, wire = settled
    state, config = wire.folder / "state", wire.folder / "test.toml"
    second = subprocess.run(
        [*POSEWIRE, "run", "--config", str(config)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
    )
    assert second.returncode == 2
    assert f"in use by another posewire daemon (process {process.pid})" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.slow
def test_a_capture_that_is_frozen_is_killed_and_comes_back(settled: Daemon) -> None:
    process, wire = settled
    before = roles_of(process.pid)
    (victim,) = [pid for pid in before["capture"] if pid not in before["capture"][:2]] or before["capture"][-1:]
    stopped = time.monotonic()
    os.kill(victim, signal.SIGSTOP)
    wire.until(lambda: gone(victim))
    assert time.monotonic() - stopped > 8.5  # 10 s after its last answer, which may be a second old by then
    recovery(wire, ("victim",), stopped, time.monotonic(), "capture frozen")
    assert_untouched(wire, stopped - 1, time.monotonic(), share=0.95)


@pytest.mark.slow
def test_a_capture_that_dies_again_and_again_is_faulted_and_says_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("k")
    with Wire(folder) as wire, running(write_sources(folder, *SOURCES)) as process:
        wire.until(lambda: all(name in wire.times for name in ALL))
        others = roles_of(process.pid)["capture"][1:]
        began = time.monotonic()

        def faulted() -> bool:
            for pid in set(roles_of(process.pid).get("capture", ())) - set(others):
                os.kill(pid, signal.SIGKILL)
            return any(state[:2] == ("victim", "faulted") for state in wire.states)

        wire.until(faulted, 100)
        (detail,) = {detail for name, state, detail in wire.states if (name, state) == ("victim", "faulted")}
        assert detail == "its capture process died of signal 9; tried again every 60 s"
        assert_untouched(wire, began, time.monotonic(), share=0.95)
        process.terminate()
        assert process.wait(20) == 0
    said = (folder / "daemon.log").read_text()
    assert said.count("starting capture:victim again") == 5
    assert said.count("faulted after 5 restarts") == 1


@pytest.mark.slow
def test_a_capture_that_hangs_in_read_is_killed_and_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("k")
    (folder / "sitecustomize.py").write_text(PLUG)
    environment = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "STUCK": str(folder / "stuck")}
    with Wire(folder) as wire, running(write_sources(folder, *SOURCES), **environment) as process:
        wire.until(lambda: (folder / "stuck").exists())
        hung = time.monotonic()
        (worker,) = roles_of(process.pid)["worker"]
        wire.until(lambda: any(state[:2] == ("victim", "lost") for state in wire.states))
        recovery(wire, ("victim",), hung, time.monotonic(), "capture hung in read")
        assert_untouched(wire, hung, time.monotonic(), share=0.95)
        assert roles_of(process.pid)["worker"] == [worker]
        process.terminate()
        assert process.wait(20) == 0
    said = (folder / "daemon.log").read_text()
    assert said.count("capture:victim hangs: no sign of life for 10 s; stopping it") == 1
    assert "capture:victim hung; starting it again in 0." in said


def test_nothing_is_left_of_a_daemon_that_is_killed_and_the_next_one_starts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("k")
    config = write_sources(folder, *SOURCES)
    with Wire(folder) as wire, running(config) as process:
        wire.until(lambda: all(name in wire.times for name in ALL))
        roles = roles_of(process.pid)
        assert {role: len(pids) for role, pids in roles.items()} == {"publisher": 1, "worker": 1, "capture": 3}
        pids = [pid for found in roles.values() for pid in found]
        pids += [deeper for pid in pids for found in roles_of(pid).values() for deeper in found]
        killed = time.monotonic()
        process.kill()
        process.wait()
        while not all(gone(pid) for pid in pids):
            assert time.monotonic() < killed + 10
            time.sleep(0.01)
        log.info(f"supervisor killed: its {len(pids)} processes gone after {time.monotonic() - killed:.2f} s")
    (left,) = folder.glob("posewire-*")
    with running(config) as process, Wire(folder) as wire:
        began = time.monotonic()
        wire.until(lambda: all(name in wire.times for name in ALL))
        log.info(f"started again by hand: all sources after {time.monotonic() - began:.1f} s")
        assert not left.exists()
        process.terminate()
        assert process.wait(20) == 0
    assert not list(folder.glob("posewire-*"))
    left = {path.name for path in (folder / "state" / "posewire" / "posewire").iterdir()}
    assert left == {"lock", "journal.db"}
