"""Faults of processes: killed, frozen, hanging, dying again and again, one too many."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from running_daemon import ROOT, children_of, gone, roles_of

from tests.faults.asking import Asking
from tests.faults.catalogue import fault
from tests.faults.heard import until
from tests.faults.needs import package
from tests.faults.scene import CAMERA, SEEN, Daemon, Scene

HANG = """
import os
from pathlib import Path

from stream.sources.synthetic import SyntheticSource

read, flag, reads = SyntheticSource.read, Path(os.environ["STUCK"]), 0


def stuck(self, timeout):
    global reads
    reads += 1
    if reads > 30 and not flag.exists():
        flag.touch()
        os.read(os.pipe()[0], 1)  # nobody will ever write
    return read(self, timeout)


SyntheticSource.read = stuck
"""
"""A driver that does not come back, once."""


def camera(daemon: Daemon) -> int:
    """The process that captures the source `cam`."""
    for pid in daemon.pids("capture"):
        # Its orders came by standard input; the file that the other one has open tells them apart.
        files = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
        if not any(file.suffix == ".csv" for file in files):
            return pid
    raise AssertionError("no capture without a recording")


def alone(daemon: Daemon, role: str, number: int) -> str:
    """Send a child a signal; it comes back, and nobody else is started anew. What was measured."""
    before = roles_of(daemon.pid)
    mark = daemon.heard.mark
    victim = camera(daemon) if role == "capture" else daemon.pids(role)[0]
    began = time.monotonic()
    os.kill(victim, number)
    if (role, number) == ("capture", signal.SIGSTOP):
        daemon.flows("hall")
        assert not gone(victim)
    until(lambda: gone(victim))
    until(lambda: len(daemon.pids(role)) == len(before[role]) and victim not in daemon.pids(role))
    daemon.flows()
    back = time.monotonic() - began
    after = roles_of(daemon.pid)
    others = {other: pids for other, pids in before.items() if other not in (role, "embedder")}
    assert {other: after[other] for other in others} == others
    assert set(before[role]) - set(after[role]) == {victim}
    silence = daemon.heard.longest_silence(SEEN, "hall", mark)
    return (
        f"alarms of all sources {back:.1f} s later; longest silence of the source that was not touched {silence:.1f} s"
    )


@fault(
    "processes",
    "a capture process is killed",
    how="SIGKILL",
    required="it comes back by itself; alarms of the other sources go on; no other process is started anew",
    slow=True,
)
def capture_killed(scene: Scene) -> str:
    with scene.shared() as daemon:
        mark = daemon.heard.mark
        told = alone(daemon, "capture", signal.SIGKILL)
        assert "lost" in [state.state for state in daemon.heard.states("cam", mark)]
        until(lambda: daemon.heard.states("cam", mark)[-1].state == "running")
    return told


@fault(
    "processes",
    "a capture process crashes in native code",
    how="SIGSEGV",
    required="one line names the signal; it comes back by itself; no other process is started anew",
    slow=True,
)
def capture_crashes(scene: Scene) -> str:
    with scene.shared() as daemon:
        before = len(daemon.log)
        told = alone(daemon, "capture", signal.SIGSEGV)
        (line,) = daemon.said("died of signal 11", before)
        assert "capture:cam died of signal 11; starting it again in" in line
    return told


@fault(
    "processes",
    "a capture process is frozen",
    how="SIGSTOP",
    required="it counts as hanging after 10 s, is killed and comes back; alarms of the other sources go on",
    slow=True,
)
def capture_frozen(scene: Scene) -> str:
    with scene.shared() as daemon:
        before = len(daemon.log)
        told = alone(daemon, "capture", signal.SIGSTOP)
        assert len(daemon.said("capture:cam hangs: no sign of life for 10 s", before)) == 1
    return told


@fault(
    "processes",
    "a camera's driver never returns",
    how="a capture whose read blocks for ever, without a signal",
    required="its process is replaced after 10 s; alarms of the other sources go on; one line says that it hung",
    slow=True,
)
def capture_hangs(scene: Scene) -> str:
    (scene.folder / "sitecustomize.py").write_text(HANG)
    stuck = scene.folder / "stuck"
    with scene.daemon(wait=False, PYTHONPATH=f"{scene.folder}{os.pathsep}{ROOT}", STUCK=str(stuck)) as daemon:
        until(stuck.exists)
        began, mark = time.monotonic(), daemon.heard.mark
        daemon.flows("hall")
        until(lambda: "lost" in [state.state for state in daemon.heard.states("cam", mark)])
        daemon.flows()
        back = time.monotonic() - began
        silence = daemon.heard.longest_silence(SEEN, "hall", mark)
        assert len(daemon.said("capture:cam hangs")) == 1
        daemon.unhurt()
    return f"alarms of all sources {back:.1f} s later; longest silence of the other source {silence:.1f} s"


@fault(
    "processes",
    "the worker is killed",
    how="SIGKILL",
    required="its open events are ended with the reason crash; it comes back; no other process is started anew",
    slow=True,
)
def worker_killed(scene: Scene) -> str:
    with scene.shared() as daemon:
        mark = daemon.heard.mark
        told = alone(daemon, "worker", signal.SIGKILL)
        assert "crash" in [event.reason for event in daemon.heard.ends(SEEN, mark)]
    return told


@fault(
    "processes",
    "the worker is frozen",
    how="SIGSTOP",
    required="it counts as hanging after 10 s, is killed and comes back; nothing that was told is lost",
    slow=True,
)
def worker_frozen(scene: Scene) -> str:
    with scene.shared() as daemon:
        before = len(daemon.log)
        told = alone(daemon, "worker", signal.SIGSTOP)
        assert len(daemon.said("worker hangs: no sign of life for 10 s", before)) == 1
    return told


@fault(
    "processes",
    "the publisher is killed",
    how="SIGKILL",
    required="a subscriber gets every alarm exactly once, in order; nobody else is started anew; events go on",
    slow=True,
)
def publisher_killed(scene: Scene) -> str:
    with scene.shared() as daemon:
        mark, epochs = daemon.heard.mark, len(daemon.heard.snapshots)
        told = alone(daemon, "publisher", signal.SIGKILL)
        assert len(daemon.heard.snapshots) > epochs
        assert "crash" not in [event.reason for event in daemon.heard.ends(SEEN, mark)]
    return told


@fault(
    "processes",
    "the publisher is frozen",
    how="SIGSTOP",
    required="it counts as hanging after 10 s, is killed and comes back; a subscriber gets every alarm exactly once",
    slow=True,
)
def publisher_frozen(scene: Scene) -> str:
    with scene.shared() as daemon:
        mark, before = daemon.heard.mark, len(daemon.log)
        told = alone(daemon, "publisher", signal.SIGSTOP)
        assert len(daemon.said("publisher hangs: no sign of life for 10 s", before)) == 1
        assert "crash" not in [event.reason for event in daemon.heard.ends(SEEN, mark)]
    return told


@fault(
    "processes",
    "the process that embeds a new text is killed at its work",
    how="SIGKILL while a prompt is added",
    required="the request gets an error, prompts are as before, alarms go on; the same request then works",
    needs=package("sentence_transformers"),
    slow=True,
)
def embedder_killed(scene: Scene) -> str:
    with scene.shared() as daemon:
        mark = daemon.heard.mark
        new = {"text": f"a person juggles {time.time_ns()} balls", "name": "juggle"}  # known to no cache
        with Asking(daemon.folder) as client:
            client.send(type="prompt_add", prompt=new)
            until(lambda: daemon.pids("embedder"))
            daemon.kill("embedder")
            daemon.flows("hall", messages=1)
            began = time.monotonic()
            reply = client.reply()
            refused = time.monotonic() - began
            assert reply["type"] == "error", reply
            assert "the process that embeds texts ended" in reply["error"]
            assert {one["name"] for one in client.now(type="prompt_list")["prompts"]} == {"seen", "punch"}
            assert client.now(type="prompt_add", prompt=new)["type"] == "prompts"
            assert {one["name"] for one in client.now(type="prompt_reset")["prompts"]} == {"seen", "punch"}
        silence = daemon.heard.longest_silence(SEEN, "hall", mark)
    return f"refused after {refused:.1f} s, done at the second try; longest silence of a source {silence:.1f} s"


@fault(
    "processes",
    "a child is told to stop by somebody else",
    how="SIGTERM to a capture, the worker and the publisher, one after the other",
    required="none heeds it: all go on, no event ends for it, and who stops the daemon stops all of them in order",
    slow=True,
)
def children_terminated(scene: Scene) -> str:
    with scene.shared() as daemon:
        mark, before = daemon.heard.mark, roles_of(daemon.pid)
        for role in ("capture", "worker", "publisher"):
            for pid in daemon.pids(role):
                os.kill(pid, signal.SIGTERM)
            daemon.flows()
        after = roles_of(daemon.pid)
        assert all(after[role] == pids for role, pids in before.items() if role != "embedder")
        assert not {"crash", "shutdown"} & {event.reason for event in daemon.heard.ends(SEEN, mark)}
        daemon.heard.check()
        silence = max(daemon.heard.longest_silence(SEEN, source, mark) for source in ("cam", "hall"))
    return f"longest silence of any source {silence:.1f} s"


@fault(
    "processes",
    "a capture process dies at each start",
    how="SIGKILL as soon as it runs, again and again",
    required="pauses grow; after five restarts it is faulted and says so; alarms of the other sources go on",
    slow=True,
)
def capture_dies_again(scene: Scene) -> str:
    with scene.daemon() as daemon:
        victim = camera(daemon)
        (other,) = set(daemon.pids("capture")) - {victim}
        began, mark = time.monotonic(), daemon.heard.mark

        def faulted() -> bool:
            for pid in set(daemon.pids("capture")) - {other}:
                os.kill(pid, signal.SIGKILL)
            return any(state.state == "faulted" for state in daemon.heard.states("cam"))

        until(faulted, 100)
        took = time.monotonic() - began
        (detail,) = {state.detail for state in daemon.heard.states("cam") if state.state == "faulted"}
        assert detail == "its capture process died of signal 9; tried again every 60 s"
        assert len(daemon.said("starting capture:cam again")) == 5
        daemon.flows("hall")
        silence = daemon.heard.longest_silence(SEEN, "hall", mark)
        daemon.heard.check()
    return f"faulted after {took:.0f} s and 5 restarts; longest silence of the other source {silence:.1f} s"


@fault(
    "processes",
    "the supervisor is killed",
    how="SIGKILL",
    required="no process is left behind; the next start works, ends what was open as crashed, and loses nothing told",
    slow=True,
)
def supervisor_killed(scene: Scene) -> str:
    with scene.daemon(CAMERA) as daemon:
        pids = children_of(daemon.pid)
        open_before = {event.id for event in daemon.heard.events(SEEN)}
        assert daemon.process is not None
        began = time.monotonic()
        daemon.process.kill()
        daemon.process.wait()
        orphans = until(lambda: all(gone(pid) for pid in pids), 10)
    with scene.daemon() as daemon:
        back = time.monotonic() - began
        ended = [event for event in daemon.heard.ends(SEEN) if event.id in open_before]
        assert [event.reason for event in ended] == ["crash"] * len(open_before)
        daemon.unhurt()
        assert not [path for path in scene.folder.glob("posewire-*") if path != (daemon.state / "sockets").readlink()]
    return f"{len(pids)} children gone after {orphans:.2f} s; alarms {back:.1f} s after the kill"


@fault(
    "processes",
    "the supervisor is paused and goes on",
    how="SIGSTOP for 12 s, then SIGCONT",
    required="alarms come all the while; nobody is taken for hanging or started anew",
    slow=True,
)
def supervisor_paused(scene: Scene) -> str:
    with scene.shared() as daemon:
        before, mark = roles_of(daemon.pid), daemon.heard.mark
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            end = time.monotonic() + 12
            while time.monotonic() < end:
                daemon.flows()
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        daemon.flows(messages=10)
        after = roles_of(daemon.pid)
        assert {role: after[role] for role in before if role != "embedder"} == {
            role: pids for role, pids in before.items() if role != "embedder"
        }
        silence = max(daemon.heard.longest_silence(SEEN, name, mark) for name in daemon.sources)
    return f"longest silence of any source {silence:.1f} s; the same {sum(map(len, after.values()))} processes"


@fault(
    "processes",
    "a process dies while nobody can bury it",
    how="SIGKILL of a capture while the supervisor is stopped: a zombie",
    required="it is buried and started again once the supervisor goes on; no zombie is left",
    slow=True,
)
def zombie(scene: Scene) -> str:
    with scene.shared() as daemon:
        victim = camera(daemon)
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            os.kill(victim, signal.SIGKILL)
            until(lambda: gone(victim))
            assert victim in children_of(daemon.pid)
            daemon.flows("hall")
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        back = daemon.flows()
        assert victim not in children_of(daemon.pid)
        assert not [pid for pid in children_of(daemon.pid) if gone(pid)]
    return f"buried, and alarms of its source {back:.1f} s after the supervisor went on"


@fault(
    "processes",
    "a second daemon is started on the same state folder",
    how="posewire run, twice",
    required="the second is refused in one line with exit code 2; the first does not notice",
    slow=True,
)
def second_daemon(scene: Scene) -> str:
    with scene.shared() as daemon:
        began, mark = time.monotonic(), daemon.heard.mark
        done = scene.posewire("run", "--config", daemon.config, XDG_STATE_HOME=str(daemon.folder / "state"))
        took = time.monotonic() - began
        assert done.returncode == 2
        (line,) = done.stderr.strip().splitlines()
        assert f"in use by another posewire daemon (process {daemon.pid})" in line
        daemon.flows()
        silence = daemon.heard.longest_silence(SEEN, "hall", mark)
    return f"refused after {took:.1f} s; longest silence of the first one's alarms {silence:.1f} s"


@fault(
    "processes",
    "a storm of SIGHUP",
    how="300 signals in 3 s",
    required="alarms go on, nothing is started anew, it still answers",
    slow=True,
)
def hangup_storm(scene: Scene) -> str:
    with scene.shared() as daemon:
        before, mark = roles_of(daemon.pid), daemon.heard.mark
        for _ in range(300):
            os.kill(daemon.pid, signal.SIGHUP)
            time.sleep(0.01)
        daemon.flows()
        assert {role: pids for role, pids in roles_of(daemon.pid).items() if role != "embedder"} == {
            role: pids for role, pids in before.items() if role != "embedder"
        }
        with Asking(daemon.folder) as client:
            assert client.now(type="reload")["type"] == "prompts"
        silence = max(daemon.heard.longest_silence(SEEN, name, mark) for name in daemon.sources)
    return f"longest silence of any source {silence:.1f} s"


@fault(
    "processes",
    "a storm of SIGTERM and SIGINT",
    how="200 signals to the whole process group within a second",
    required="it stops in order, once: exit code 0, what was open is ended, no process is left behind",
    slow=True,
)
def stop_storm(scene: Scene) -> str:
    with scene.daemon(before=("setsid", "--wait")) as daemon:
        (supervisor,) = children_of(daemon.pid) if not daemon.pids("publisher") else (daemon.pid,)
        pids = [supervisor, *children_of(supervisor)]
        began = time.monotonic()
        for number in range(200):
            if gone(supervisor):
                break
            os.kill(supervisor, (signal.SIGTERM, signal.SIGINT)[number % 2])
            if number < 20:
                for pid in pids[1:]:
                    if not gone(pid):
                        os.kill(pid, signal.SIGINT)
            time.sleep(0.005)
        assert daemon.ends() == 0, daemon.log[-1500:]
        took = time.monotonic() - began
        assert all(gone(pid) for pid in pids)
        until(lambda: all(event.phase == "end" for event in {one.id: one for one in daemon.heard.events()}.values()))
        assert "crash" not in {event.reason for event in daemon.heard.ends(SEEN)}
        assert "Traceback" not in daemon.log
        daemon.heard.check()
    return f"stopped after {took:.1f} s with exit code 0"


@fault(
    "processes",
    "the service manager's socket is gone",
    how="NOTIFY_SOCKET whose socket is closed and removed",
    required="alarms go on; one line says so, not one for each word that is not heard",
    slow=True,
)
def notify_gone(scene: Scene) -> str:
    address = scene.folder / "notify"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with manager:
        manager.bind(str(address))
        manager.settimeout(30)
        with scene.daemon(CAMERA, wait=False, NOTIFY_SOCKET=str(address), WATCHDOG_USEC="1000000") as daemon:
            for _ in range(200):
                if manager.recv(4096) == b"READY=1":
                    break
            else:
                raise AssertionError("never ready")
            manager.close()
            address.unlink()
            time.sleep(3)
            daemon.unhurt()
            lines = daemon.said("could not be told to the service manager")
            assert len(lines) == 1, lines
            daemon.stop()
    return f"{len(lines)} line in 3 s; alarms went on"
