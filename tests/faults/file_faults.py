"""Faults of files beside the journal: what is damaged, gone, planted, open to others or strangely named."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from running_daemon import POSEWIRE, ROOT, roles_of

from stream.daemon.state_folder import socket_folder
from stream.structs import SourceState
from tests.faults.asking import Asking
from tests.faults.catalogue import fault
from tests.faults.heard import until
from tests.faults.journal_faults import journal_holds
from tests.faults.needs import tmpfs
from tests.faults.scene import CAMERA, DEMO, HALL, SEEN, Daemon, Scene, Shared


@fault(
    "files",
    "the model's folder is deleted while the daemon runs",
    how="rm -rf of a copy of the model, then SIGKILL to the worker; the copy is put back",
    required="alarms go on with what is loaded; a worker that cannot start says what is missing, and is tried again",
    slow=True,
)
def model_deleted(scene: Scene) -> str:
    model, aside = scene.folder / "model", scene.folder / "aside"
    shutil.copytree(ROOT / "models" / "weights" / "default", model)
    with scene.daemon(CAMERA, head='[model]\npath = "model"') as daemon:
        shutil.copytree(model, aside)
        shutil.rmtree(model)
        daemon.flows(messages=10)
        before = len(daemon.log)
        daemon.kill("worker")
        until(lambda: daemon.said(str(model), before), 60, lambda: daemon.log[before:])
        line = daemon.said(str(model), before)[0]
        aside.rename(model)
        back = daemon.flows(seconds=60)
        assert "Traceback" not in daemon.log
        daemon.stop()
    return f"said: {line.split(str(model))[1].strip(' :')[:120]}; alarms {back:.1f} s after it was put back"


@fault(
    "files",
    "a recording that is watched over and over is deleted",
    how="its file removed while it is played",
    required="that source alone says that its file is missing; the others go on",
    slow=True,
)
def recording_deleted(scene: Scene) -> str:
    copy = scene.folder / "copy.csv"
    shutil.copy(DEMO / "Seq1_10.csv", copy)
    block = HALL.replace(str(DEMO / "Seq1_10.csv"), str(copy))
    with scene.daemon(block, CAMERA) as daemon:
        mark, began = daemon.heard.mark, time.monotonic()
        copy.unlink()
        bad = ("error", "lost", "ended", "faulted")
        until(lambda: any(one.state in bad for one in daemon.heard.states("hall", mark)), 60)
        took = time.monotonic() - began
        state = next(one for one in daemon.heard.states("hall", mark) if one.state in bad)
        assert str(copy) in state.detail, state
        assert "no such file" in state.detail, state
        daemon.flows("cam", messages=10)
        silence = daemon.heard.longest_silence(SEEN, "cam", mark)
        daemon.heard.check()
        assert "Traceback" not in daemon.log
    return f"{state.state} after {took:.1f} s; longest silence of the other source {silence:.1f} s"


@fault(
    "files",
    "a recording is cut short in the middle of a write, and replayed",
    how="SIGKILL to posewire record, then half of the last block cut off",
    required="all frames before the damage are read; nothing else is lost, and no traceback comes",
    slow=True,
)
def recording_cut(scene: Scene) -> str:
    path = scene.folder / "cut.pwr"
    scene.write_config(CAMERA)
    command = [*POSEWIRE, "record", "--config", str(scene.folder / "test.toml"), "--out", str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        until(lambda: (path.exists() and path.stat().st_size > 20_000) or partial(path), 60)
        process.kill()
    (left,) = [found for found in scene.folder.glob("*cut.pwr*") if found.stat().st_size]
    os.truncate(left, left.stat().st_size - 37)
    left.rename(path)
    done = scene.posewire("record", "--out", scene.folder / "whole.pwr", path)
    assert "Traceback" not in done.stderr
    frames, whole = int(done.stdout.split(": ")[1].split(" frames")[0]), records(path)
    assert frames == whole >= 20, (done, whole)
    said = (done.stderr.strip() or done.stdout.strip())[-100:]
    return f"{frames} of {whole} frames read; exit code {done.returncode}: {said}"


def records(path: Path) -> int:
    """How many whole records a recording holds, by its format: each begins with its length and a checksum."""
    data = path.read_bytes()
    at, count = 16, 0
    while (end := at + 8 + int.from_bytes(data[at : at + 4], "little")) <= len(data) and at < len(data):
        at, count = end, count + 1
    return count


def partial(path: Path) -> bool:
    """Whether a recording that is being written under another name has grown."""
    return any(found.stat().st_size > 20_000 for found in path.parent.glob(f"*{path.name}*"))


@fault(
    "files",
    "a recording is written to a full disk",
    how="posewire record to a tmpfs of 64 KiB",
    required="one line says so, exit code 2, and no half recording is left under that name",
    needs=tmpfs,
    slow=True,
)
def recording_full(scene: Scene) -> str:
    small = scene.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=True)
    try:
        line = scene.refused("record", "--out", small / "out.pwr", DEMO / "Seq1_11.csv", words=["out.pwr", "No space"])
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)
    return line.replace(str(small), "...")


@fault(
    "files",
    "prompts.json is broken",
    how="half of a JSON file in the state folder",
    required="the daemon starts with its configuration's prompts and says so; the file is kept",
    slow=True,
)
def prompts_broken(scene: Scene) -> str:
    state = scene.folder / "state" / "posewire" / "posewire"
    state.mkdir(parents=True, mode=0o700)
    content = '{"version": 1, "added": [{"name": "ju'
    (state / "prompts.json").write_text(content)
    with scene.daemon(CAMERA) as daemon:
        until(lambda: any("prompts.json" in one.detail for one in known(daemon)), 10, lambda: known(daemon))
        said = next(one.detail for one in known(daemon) if "prompts.json" in one.detail)
        assert (state / "prompts.json").read_text() == content
        with Asking(daemon.folder) as client:
            assert {one["name"] for one in client.now(type="prompt_list")["prompts"]} == {"seen", "punch"}
            assert client.now(type="prompt_set", name="punch", prompt={"enter": 0.9})["type"] == "prompts"
        assert (state / "prompts.broken").read_text() == content
        daemon.unhurt()
    return said.replace(str(state), "...")[:200]


def known(daemon: Daemon) -> list[SourceState]:
    """States of the daemon itself: what was published, and what heartbeats and snapshots have."""
    states = daemon.heard.states("posewire")
    states += [snapshot.sources["posewire"] for snapshot in daemon.heard.snapshots if "posewire" in snapshot.sources]
    beat = daemon.heard.heartbeat
    return states + ([beat.sources["posewire"]] if beat and "posewire" in beat.sources else [])


def reloaded(scene: Scene, damage: str, words: str) -> str:
    """Damage the configuration of a running daemon, have it read again by a signal, and put it back."""
    with scene.shared() as daemon:
        before, mark, text = roles_of(daemon.pid), daemon.heard.mark, daemon.config.read_text()
        lines = len(daemon.log)
        try:
            daemon.config.unlink() if not damage else daemon.config.write_text(text + damage)
            os.kill(daemon.pid, signal.SIGHUP)
            until(lambda: daemon.said(words, lines), 60, lambda: daemon.log[lines:])
            with Asking(daemon.folder) as client:
                assert words in client.now(type="reload")["error"]
                assert {one["name"] for one in client.now(type="prompt_list")["prompts"]} == {"seen", "punch"}
            daemon.flows()
        finally:
            daemon.config.write_text(text)
        with Asking(daemon.folder) as client:
            assert client.now(type="reload")["type"] == "prompts"
        assert roles_of(daemon.pid)["worker"] == before["worker"]
        silence = max(daemon.heard.longest_silence(SEEN, name, mark) for name in daemon.sources)
        line = daemon.said(words, lines)[0].replace(str(daemon.config), "...")
    return f"{line[:160]}; longest silence of any source {silence:.1f} s"


@fault(
    "files",
    "the configuration is deleted, and is to be read again",
    how="rm and SIGHUP",
    required="one line says so; what was in force stays; alarms go on; it works again with the file back",
    slow=True,
)
def config_deleted(scene: Scene) -> str:
    return reloaded(scene, "", "cannot be read (No such file or directory)")


@fault(
    "files",
    "the configuration is broken, and is to be read again",
    how="half a line at its end and SIGHUP",
    required="one line says where; what was in force stays; alarms go on; it works again once mended",
    slow=True,
)
def config_broken(scene: Scene) -> str:
    return reloaded(scene, '\n[[prompts]]\nname = "ju', "not a TOML file")


@fault(
    "files",
    "a subscriber's cursor file is cut short",
    how="posewire watch --cursor with half of its file",
    required="refused in one line with exit code 2: it says what the file should be; the file is kept",
)
def cursor_cut(scene: Scene) -> str:
    path = scene.folder / "cursor"
    path.write_text('{"epoch": "5f0c6e1ab2d34a90", "seqs": {"al')
    line = scene.refused("watch", "--cursor", path, "--connect", f"ipc://{scene.folder}/e", "--query",
                         f"ipc://{scene.folder}/q", words=[str(path), "no cursor file"])  # fmt: skip
    assert path.read_text().endswith('{"al')
    return line.replace(str(scene.folder), "...")


@fault(
    "files",
    "others may write into the state folder",
    how="mode 777",
    required="refused in one line with exit code 2, before anything is written there",
)
def state_open(scene: Scene) -> str:
    state = scene.folder / "open"
    state.mkdir()
    state.chmod(0o777)
    config = scene.write_config(CAMERA, head='[node]\nstate = "open"')
    line = scene.refused("run", "--config", config, words=[str(state), "others may write"])
    assert not list(state.iterdir())
    return line.replace(str(scene.folder), "...")


@fault(
    "files",
    "a link is planted in the state folder",
    how="state/sockets, the link to what a start cleans up, leads to a folder of somebody else",
    required="the start goes on; not a file in there is touched",
)
def link_planted(scene: Scene) -> str:
    state, precious = scene.folder / "st", scene.folder / "precious"
    state.mkdir()
    precious.mkdir()
    (precious / "photo").write_text("dear")
    (scene.folder / "posewire-x").symlink_to(precious)
    for target in (precious, scene.folder / "posewire-x", scene.folder / "posewire-x" / "..", precious / "photo"):
        (state / "sockets").symlink_to(target)
        with socket_folder(state) as folder:
            assert folder.stat().st_mode & 0o777 == 0o700
        assert not folder.exists()
        assert (precious / "photo").read_text() == "dear"
    return "4 kinds of links; nothing was touched"


@fault(
    "files",
    "a NUL in a path",
    how="in sources[0].path and node.state",
    required="refused with exit code 2: one line for each, with its key",
)
def nul(scene: Scene) -> str:
    block = 'kind = "file"\nname = "hall"\npath = "a\\u0000b.csv"'
    config = scene.write_config(block, head='[node]\nstate = "a\\u0000b"')
    done = scene.posewire("check", "--config", config)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert [line.split(": ")[-2] for line in lines] == ["node.state", "sources[0].path"], lines
    return lines[0].replace(str(scene.folder), "...")


@fault(
    "files",
    "folders with spaces, quotes and letters of other scripts",
    how="everything in \"Ward 7 – größe '北'\": configuration, recording, state, addresses",
    required="alarms as ever, and a restart goes on with the journal there",
    slow=True,
)
def strange_names(scene: Scene) -> str:
    folder = scene.folder / "Ward 7 – größe '北'"
    folder.mkdir()
    copy = folder / "Gang 1 ñ.csv"
    shutil.copy(DEMO / "Seq1_10.csv", copy)
    with Scene(folder, Shared(folder)) as odd, odd.daemon(HALL.replace(str(DEMO / "Seq1_10.csv"), str(copy))) as daemon:
        daemon.unhurt()
        journal_holds(daemon)
        daemon.stop()
        assert (daemon.state / "journal.db").exists()
    return "alarms came, and went on after a kill of the publisher"
