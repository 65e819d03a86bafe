"""Faults of resources: no descriptors, memory, processes, time of the processor, room, or nobody who reads the log."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from running_daemon import gone, roles_of

from tests.faults.catalogue import fault
from tests.faults.heard import Heard, until
from tests.faults.limits import ControlGroup, controller
from tests.faults.needs import tmpfs
from tests.faults.process_faults import camera
from tests.faults.scene import CAMERA, SEEN, Daemon, Scene


@contextmanager
def limited(pid: int, what: int, soft: int) -> Iterator[None]:
    """A running process with a lower limit (`resource.RLIMIT_...`)."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, before[1]))
    try:
        yield
    finally:
        if not gone(pid):
            resource.prlimit(pid, what, before)


def descriptors(pid: int) -> int:
    """The limit with which a process gets no further descriptor: its lowest free number."""
    used = {int(link.name) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(used) + 1) if number not in used)


@fault(
    "resources",
    "the publisher has no file descriptors left as somebody connects",
    how="RLIMIT_NOFILE of the running process set to what it has open",
    required="no alarm is lost or told twice, if need be by another publisher; who has come is served in the end",
    slow=True,
)
def publisher_descriptors(scene: Scene) -> str:
    with scene.shared() as daemon:
        (publisher,) = daemon.pids("publisher")
        mark = daemon.heard.mark
        limit = limited(publisher, resource.RLIMIT_NOFILE, descriptors(publisher))
        with limit, Heard(daemon.folder) as late:
            daemon.flows()
            daemon.flows()
            ended = gone(publisher)
            assert ended or not late.items, "the limit did not bite"
            if not ended:
                most = resource.prlimit(publisher, resource.RLIMIT_NOFILE)[1]
                resource.prlimit(publisher, resource.RLIMIT_NOFILE, (most, most))
            took = until(lambda: late.events(SEEN), 60)
        assert "crash" not in [event.reason for event in daemon.heard.ends(SEEN, mark)]
        silence = daemon.heard.longest_silence(SEEN, "hall", mark)
    what = "libzmq ended the publisher, which was replaced" if ended else "the publisher went on"
    return f"{what}; longest silence {silence:.1f} s; who came was served {took:.1f} s later"


@fault(
    "resources",
    "the supervisor has no file descriptors left when a child must be started",
    how="RLIMIT_NOFILE of the running process set to what it has open, then SIGKILL to a capture",
    required="one line says why it cannot be started; the others go on; it comes back by itself once there are some",
    slow=True,
)
def supervisor_descriptors(scene: Scene) -> str:
    with scene.shared() as daemon:
        before = len(daemon.log)
        with limited(daemon.pid, resource.RLIMIT_NOFILE, descriptors(daemon.pid)):
            os.kill(camera(daemon), signal.SIGKILL)
            until(lambda: daemon.said("capture:cam could not be started (Too many open files)", before), 60)
            daemon.flows("hall")
        back = daemon.flows()
        lines = len(daemon.said("Too many open files", before))
    return f"said so in {lines} lines, one for each try; alarms of its source {back:.1f} s after the end of it"


@fault(
    "resources",
    "no more processes may be started",
    how="a control group with pids.max 0 around the supervisor, then SIGKILL to a capture",
    required="one line says why it cannot be started; the others go on; it comes back by itself once it may",
    needs=controller("pids"),
    slow=True,
)
def no_processes(scene: Scene) -> str:
    with scene.shared() as daemon, ControlGroup("pids", "supervisor") as group:
        before = len(daemon.log)
        group.take(daemon.pid)
        group.set("pids.max", "0")
        os.kill(camera(daemon), signal.SIGKILL)
        until(lambda: daemon.said("capture:cam could not be started (Resource temporarily unavailable)", before), 60)
        daemon.flows("hall")
        group.release()
        back = daemon.flows()
    return f"alarms of its source {back:.1f} s after the end of it"


@fault(
    "resources",
    "no more threads may be started",
    how="a control group with pids.max for a fourth process and no more, around a daemon that starts",
    required="one line for each process that cannot start; none of them hangs; all run once they may",
    needs=controller("pids"),
    slow=True,
)
def no_threads(scene: Scene) -> str:
    with ControlGroup("pids", "threads") as group, scene.daemon(CAMERA, wait=False) as daemon:
        group.take(daemon.pid)
        group.set("pids.max", "6")
        until(lambda: daemon.said("starting it again in"), 60)
        failed = len(daemon.said("starting it again in"))
        group.release()
        for pid in [pid for pids in roles_of(daemon.pid).values() for pid in pids]:
            assert not gone(pid)
        back = daemon.flows(seconds=60)
        assert daemon.process is not None
        assert daemon.process.poll() is None
    return f"{failed} line(s) while it could not; alarms {back:.1f} s after the end of it"


@fault(
    "resources",
    "the worker does not get the memory that it needs at its start",
    how="SIGKILL to the worker, a control group of 120 MiB around the next one: the kernel's OOM killer",
    required="one line for each try; the publisher and the captures are not touched; it runs once there is memory",
    needs=controller("memory"),
    slow=True,
)
def worker_memory(scene: Scene) -> str:
    with scene.shared() as daemon, ControlGroup("memory", "worker") as group:
        lines, before = len(daemon.log), roles_of(daemon.pid)
        group.take(daemon.pid)
        group.set(group.memory_limit, str(120 << 20))
        daemon.kill("worker")
        killed = until(lambda: len(daemon.said("worker died of signal 9", lines)) >= 2, 60, lambda: daemon.log[lines:])
        group.release()
        back = daemon.flows()
        after = roles_of(daemon.pid)
        assert (after["publisher"], after["capture"]) == (before["publisher"], before["capture"])
    return f"killed by the kernel after {killed:.1f} s; alarms {back:.1f} s after there was memory"


@fault(
    "resources",
    "the processor is busy with other things",
    how="two processes for each core that count as fast as they can, for 10 s",
    required="alarms still come from every source; nobody is taken for hanging; nothing is lost",
    slow=True,
)
def busy(scene: Scene) -> str:
    with scene.shared() as daemon:
        before, mark, lines = roles_of(daemon.pid), daemon.heard.mark, len(daemon.log)
        count = 2 * (os.cpu_count() or 1)
        burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
        try:
            end = time.monotonic() + 10
            while time.monotonic() < end:
                daemon.flows(messages=1)
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()
        silence = max(daemon.heard.longest_silence(SEEN, name, mark) for name in daemon.sources)
        daemon.flows()
        assert {role: pids for role, pids in roles_of(daemon.pid).items() if role != "embedder"} == {
            role: pids for role, pids in before.items() if role != "embedder"
        }
        assert not daemon.said("hangs", lines)
    return f"{len(burners)} burners; longest silence of any source {silence:.1f} s"


@fault(
    "resources",
    "there is no room for sockets, temporary files and shared memory",
    how="XDG_RUNTIME_DIR and TMPDIR on a full tmpfs, a full /dev/shm in a mount namespace",
    required="the daemon starts and runs: it finds another folder for its sockets",
    needs=tmpfs,
    slow=True,
)
def no_room(scene: Scene) -> str:
    full = scene.folder / "full"
    full.mkdir()
    mounts = (
        f"mount -t tmpfs -o nr_inodes=1 none {full} && mount -t tmpfs -o size=4k none /dev/shm && "
        'head -c 4096 /dev/zero > /dev/shm/filler && exec "$@"'
    )
    before = ("unshare", "--mount", "sh", "-c", mounts, "sh")
    began = time.monotonic()
    with scene.daemon(CAMERA, before=before, XDG_RUNTIME_DIR=str(full), TMPDIR=str(full)) as daemon:
        took = time.monotonic() - began
        place = (daemon.state / "sockets").readlink()
        assert full not in place.parents
        daemon.unhurt()
        daemon.stop()
        assert not place.exists()
    return f"alarms {took:.1f} s after the start"


@fault(
    "resources",
    "nobody reads the log any more",
    how="the reader of standard output and error exits",
    required="alarms go on; a child that dies comes back; it stops in order",
    slow=True,
)
def log_closed(scene: Scene) -> str:
    return without_reader(scene, closed=True)


@fault(
    "resources",
    "the log's reader hangs",
    how="standard output and error are a pipe that is full and never read",
    required="alarms go on; a child that dies comes back; it stops in order",
    slow=True,
)
def log_stuck(scene: Scene) -> str:
    return without_reader(scene, closed=False)


def without_reader(scene: Scene, *, closed: bool) -> str:
    """A daemon whose log goes to a pipe whose reader is gone, or does not read; what was measured."""
    pipe = scene.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        before = ("sh", "-c", f'exec "$@" > {pipe} 2>&1', "sh")
        with scene.daemon(before=before) as daemon:
            if closed:
                os.close(reader)
                reader = -1
            else:
                writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
                with suppress(BlockingIOError):
                    while os.write(writer, b"x" * 512):
                        continue
                os.close(writer)
            return goes_on(daemon)
    finally:
        if reader >= 0:
            os.close(reader)


@fault(
    "resources",
    "the disk of the log is full",
    how="standard output and error are /dev/full",
    required="alarms go on; a child that dies comes back; it stops in order",
    needs=lambda: "" if Path("/dev/full").exists() else "there is no /dev/full",
    slow=True,
)
def log_full(scene: Scene) -> str:
    with scene.daemon(before=("sh", "-c", 'exec "$@" > /dev/full 2>&1', "sh")) as daemon:
        return goes_on(daemon)


def goes_on(daemon: Daemon) -> str:
    """Alarms come, a capture that is killed comes back, and the daemon stops in order; what was measured."""
    for _ in range(3):
        daemon.flows()
    mark = daemon.heard.mark
    os.kill(camera(daemon), signal.SIGKILL)
    until(lambda: [state.state for state in daemon.heard.states("cam", mark)][-1:] == ["running"])
    back = daemon.flows()
    began = time.monotonic()
    daemon.stop()
    daemon.heard.check()
    return f"alarms of a killed capture again after {back:.1f} s; stopped after {time.monotonic() - began:.1f} s"
