"""Faults of the configuration: what a daemon must refuse at its start, and must not take over while it runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.catalogue import fault
from tests.faults.command import refusal, refused, shown
from tests.faults.heard import until
from tests.faults.scene import HALL, Scene

ONE_LINE = "exit code 2 at the start, and one line that names the key and says what was expected"
NOBODY = 65534
"""A user without rights."""


def start(scene: Scene, *words: str, head: str = "", tail: str = "") -> str:
    """Start a daemon whose configuration has this in it; how it is refused."""
    path = scene.write_config(HALL, head=head, tail=tail)
    return shown(refused("run", "--config", path, words=[str(path), *words]), scene.folder)


@fault("configuration", "a setting is misspelt", how="`strid = 4` in `[windows]`", required=ONE_LINE)
def unknown_key(scene: Scene) -> str:
    return start(scene, "windows.strid", "did you mean windows.stride?", head="[windows]\nstrid = 4")


@fault("configuration", "a value is of the wrong type", how='`stride = "often"`', required=ONE_LINE)
def wrong_type(scene: Scene) -> str:
    return start(scene, "windows.stride", "integer", "'often'", head='[windows]\nstride = "often"')


@fault("configuration", "two sources have one name", how="a block twice", required=ONE_LINE)
def duplicate_names(scene: Scene) -> str:
    return start(scene, "two sources have the name 'hall'", "expected", tail=f"[[sources]]\n{HALL}\n")


@fault(
    "configuration",
    "thresholds contradict each other",
    how="`enter = 0.3` with `exit = 0.6`",
    required=ONE_LINE,
)
def thresholds(scene: Scene) -> str:
    return start(
        scene, "prompts[2]", "exit", "enter", tail='[[prompts]]\ntext = "a person waves"\nenter = 0.3\nexit = 0.6\n'
    )


@fault(
    "configuration",
    "everything is wrong at once",
    how="five errors in five sections",
    required="exit code 2, and a line for each of them, at once",
)
def many_errors(scene: Scene) -> str:
    head = '[node]\nname = "two words"\n[model]\ndevice = "tpu"\n[tracking]\ngate_m = -1\n[windows]\nstrid = 3'
    path = scene.write_config(HALL, head=head, tail='[[sources]]\nkind = "periscope"\nname = "a"\n')
    lines = refusal("run", "--config", path)
    for key in ("node.name", "model.device", "tracking.gate_m", "windows.strid", "sources[1]"):
        assert sum(f": {key}: " in line for line in lines) == 1, (key, lines)
    return f"exit code 2, {len(lines)} lines"


@fault(
    "configuration",
    "the file may not be read",
    how="mode 0600 of another user",
    required="exit code 2 and one line with the file and the reason",
)
def unreadable(scene: Scene) -> str:
    path = scene.write_config(HALL)
    path.chmod(0)
    with without_rights(scene.folder):
        line = refused("run", "--config", path, words=[str(path), "cannot be read", "Permission denied"])
    return shown(line, scene.folder)


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Be nobody for a while, where one is root, whom no mode stops."""
    if os.geteuid() != 0:
        yield
        return
    modes = {above: above.stat().st_mode for above in (folder, *folder.parents[:2])}
    for above in modes:
        above.chmod(0o755)  # the file alone is to be closed
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        for above, mode in modes.items():
            above.chmod(mode)


@fault("configuration", "the file is not there", how="no file", required="exit code 2 and one line with the file")
def missing(scene: Scene) -> str:
    path = scene.folder / "none.toml"
    return shown(refused("run", "--config", path, words=[str(path), "No such file"]), scene.folder)


@fault(
    "configuration",
    "the file is not UTF-8",
    how="a name in Latin-1",
    required="exit code 2 and one line with the file and the byte",
)
def latin(scene: Scene) -> str:
    path = scene.write_config(HALL)
    path.write_bytes(path.read_bytes().replace(b"a person kicks", "a person shows dégoût".encode("latin-1")))
    return shown(refused("run", "--config", path, words=[str(path), "not a TOML file", "0xe9"]), scene.folder)


@fault(
    "configuration",
    "the file is of 10 MB",
    how="another file by mistake: 900,000 lines `kN = 1`",
    required="exit code 2 and one line, in ten seconds at most, however slow the machine",
)
def huge(scene: Scene) -> str:
    path = scene.folder / "test.toml"
    path.write_text("".join(f"k{number} = 1\n" for number in range(900_000)))
    began = time.monotonic()
    line = refused("run", "--config", path, words=[str(path), "larger than"])
    took = time.monotonic() - began
    assert took < 10, took
    return f"{shown(line, scene.folder)}, after {took:.1f} s"


@fault(
    "configuration",
    "the file is nested without end",
    how="100,000 opening brackets",
    required="exit code 2 and one line with the file",
)
def nested(scene: Scene) -> str:
    path = scene.folder / "test.toml"
    path.write_text("a = " + "[" * 100_000)
    return shown(refused("run", "--config", path, words=[str(path), "not a TOML file"]), scene.folder)


@fault(
    "configuration",
    "a public address without keys",
    how='`events = "tcp://0.0.0.0:5556"`, no `security.curve`',
    required="exit code 2 and one line that says what is missing",
)
def public(scene: Scene) -> str:
    path = scene.write_config(HALL)
    path.write_text(path.read_text().replace(f"ipc://{scene.folder}/events", "tcp://0.0.0.0:5556"))
    line = refused("run", "--config", path, words=["publish.events", "security.curve = true"])
    return shown(line, scene.folder)


@fault(
    "configuration",
    "the password of a camera is not set",
    how="`password_env` of a variable that there is not",
    required="exit code 2 and one line with the camera and the variable",
)
def no_password(scene: Scene) -> str:
    source = 'kind = "video"\nname = "door"\nurl = "rtsp://127.0.0.1/x"\nuser = "u"\npassword_env = "NOT_SET_ANYWHERE"'
    path = scene.write_config(source)
    line = refused("run", "--config", path, words=["sources[0] (door)", "NOT_SET_ANYWHERE is not set"])
    return shown(line, scene.folder)


@fault(
    "configuration",
    "a file with a wrong setting is reloaded",
    how="SIGHUP after `severity` was set to a word that is none",
    required="the running configuration stays, alarms go on, one line says what is wrong",
    slow=True,
)
def reload_wrong(scene: Scene) -> str:
    with scene.shared() as daemon:
        good = daemon.config.read_bytes()
        since, mark = len(daemon.log), daemon.heard.mark
        before = {role: daemon.pids(role) for role in ("worker", "capture")}
        try:
            daemon.config.write_bytes(good.replace(b'severity = "alert"', b'severity = "panic"', 1))
            os.kill(daemon.pid, signal.SIGHUP)
            until(lambda: daemon.said("reload refused, nothing changed", since), 20, lambda: daemon.log[-500:])
            daemon.flows()
        finally:
            daemon.config.write_bytes(good)
        (line,) = daemon.said("reload refused, nothing changed", since)
        assert "severity" in line
        assert "panic" in line
        assert {role: daemon.pids(role) for role in before} == before
        assert not daemon.heard.states("hall", mark)
        return line.split("nothing changed: ")[1].replace(f"{daemon.folder}/", "")
