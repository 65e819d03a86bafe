"""Names from messages, configurations and command lines that become names of files stay in their folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from poses import frame, person
from running_daemon import POSEWIRE, ROOT

from models.examples import Examples, path_of
from models.examples import save as save_examples
from models.normal import NormalModel
from models.normal_file import save_normals
from models.prototypes import OnlinePrototypes
from models.text import TextCache
from models.whole_file import write_whole
from stream.answers import answer
from stream.commands.outputs import replace_file
from stream.config_file import ConfigError, parse_config
from stream.position import CursorFile, Position
from stream.prompt_overlay import Overlay
from stream.prompt_store import PromptStore
from stream.publisher import Publisher
from stream.regression_clips import ClipError, RegressionClip, read, save
from stream.report import ReportBuilder
from stream.security.key_ring import KeyRing
from stream.sinks import LineFile
from stream.sources.recording import RecordingWriter, pack_frame, pack_recording
from stream.topics import TopicError, check_name
from stream.types import NANOSECONDS

HOSTILE = ["../x", "a/b", "/etc/passwd", "a\0b", "..\\x", "a\nb", "", "x" * 65, "é", "a b", "~/x"]
CLIP = RegressionClip("01K6Z0", "action", "cam", "fall", "a person falls", 1.0, 2.5, 0.9, "0" * 64, "", "")
RECORDING = pack_recording([pack_frame(frame(n * NANOSECONDS // 30, person())) for n in range(3)], 1 << 20)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("field", ["event", "name"])
def test_a_clip_of_a_hostile_daemon_is_not_filed(tmp_path: Path, field: str, name: str):
    folder = tmp_path / "regressions"
    with pytest.raises(ClipError):
        save(folder, msgspec.structs.replace(CLIP, **{field: name}), RECORDING)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".", "..", "...", "-x"])
def test_names_of_dots_stay_in_the_folder(tmp_path: Path, name: str):
    folder = tmp_path / "regressions"
    path = save(folder, msgspec.structs.replace(CLIP, name=name, event=name), RECORDING)
    assert path.resolve().parent == folder.resolve()
    assert path_of(folder, check_name(name)).resolve().parent == folder.resolve()
    assert list(tmp_path.iterdir()) == [folder]


def test_a_link_in_the_folder_is_replaced_and_not_followed(tmp_path: Path):
    folder, outside = tmp_path / "regressions", tmp_path / "outside"
    folder.mkdir()
    outside.write_text("mine")
    (folder / f"{CLIP.stem}.pwr").symlink_to(outside)
    save(folder, CLIP, RECORDING)
    assert outside.read_text() == "mine"
    assert read(folder)[0][0].recording.read_bytes() == RECORDING


def _normals(path: Path) -> None:
    save_normals(path, {"person": NormalModel(4)}, "0" * 64)


def _lines(path: Path) -> None:
    with LineFile(path):
        return


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "regression clip": (f"{CLIP.stem}.pwr", lambda path: save(path.parent, CLIP, RECORDING)),
    "note of it": (f"{CLIP.stem}.json", lambda path: save(path.parent, CLIP, RECORDING)),
    "examples": (
        "wave.safetensors",
        lambda path: save_examples(
            path.parent, Examples("wave", "a", "info", "0" * 64, np.eye(1, 4, dtype=np.float32))
        ),
    ),
    "prototypes": ("p", lambda path: OnlinePrototypes(2, 4).save(path, "0" * 64)),
    "normal": ("normal.safetensors", _normals),
    "prompts": ("prompts.json", lambda path: PromptStore(path.parent).write(Overlay())),
    "cursor": ("home.cursor", lambda path: CursorFile(path).write(Position("e", {"alarm": 1}))),
    "key": ("server.key", lambda path: KeyRing(path.parent).server()),
    "lines of events": ("o.ndjson", _lines),
    "recording": ("monday.pwr", lambda path: RecordingWriter(path, overwrite=True).close()),
    "report": ("r.html", lambda path: ReportBuilder("t", [], [], "m", (0.6, 0.4)).write(path)),
    "output of a command": ("o.json", lambda path: replace_file(path, b"{}")),
    "manifest": ("model.json", lambda path: write_whole(path, b"{}")),
    "vector of a text": (
        f"{'0' * 64}.f32",
        lambda path: TextCache(path.parent, "m", 2).put("a", np.array([1, 0], np.float32)),
    ),
}

FOR_ALL = {"output of a command", "manifest", "vector of a text"}
"""What tells of nobody."""


@pytest.mark.skipif(os.name != "posix", reason="needs the permissions of POSIX")
@pytest.mark.parametrize("what", [what for what in WRITERS if what not in FOR_ALL])
def test_what_is_about_people_is_for_its_owner_only_whatever_the_umask(tmp_path: Path, what: str):
    folder = tmp_path / "folder"
    name, write = WRITERS[what]
    makes = what in ("regression clip", "note of it", "examples", "normal", "key")
    before = os.umask(0)
    try:
        if not makes:
            folder.mkdir(mode=0o700)
        write(folder / name)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert folder / name in files
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {path.name: "0o600" for path in files}


@pytest.mark.parametrize("what", WRITERS)
def test_a_link_at_a_name_that_can_be_foreseen_is_not_followed(tmp_path: Path, what: str):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir(mode=0o700)
    outside.write_text("mine")
    name, write = WRITERS[what]
    pid = os.getpid()
    planted = [f"{name}.part", f".{name}.part", f".{name}.{pid}", f"{name}.{pid}.part", f".{name}.{pid}.tmp"]
    planted += [Path(name).with_suffix(suffix).name for suffix in (".tmp", ".part", ".broken", ".unused")]
    for each in set(planted):
        (folder / each).symlink_to(outside)
    write(folder / name)
    assert outside.read_text() == "mine"
    written = [path for path in folder.iterdir() if path.name not in planted]
    assert written
    assert not any(path.is_symlink() for path in written)
    assert not any(path.name.endswith(".part") for path in written)


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\0" not in name])
def test_what_is_taught_and_forgotten_stays_in_the_folder(tmp_path: Path, name: str):
    with pytest.raises(TopicError):
        check_name(name)
    if name in ("../x", "a/b"):
        (tmp_path / "x.safetensors").write_text("mine")
        (tmp_path / "test.toml").write_text('[examples]\npath = "examples"\n')
        words = ["teach", "--forget", name, "--config", str(tmp_path / "test.toml")]
        done = subprocess.run([*POSEWIRE, *words], cwd=ROOT, capture_output=True, text=True, timeout=100)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert (tmp_path / "x.safetensors").read_text() == "mine"


@pytest.mark.parametrize("event", HOSTILE)
@pytest.mark.parametrize("kind", ["example", "clip"])
def test_an_event_id_in_a_request_is_only_looked_up(kind: str, event: str):
    body = msgspec.json.encode({"v": 1, "type": kind, "id": "1", "event": event})
    reply = answer(Publisher("n"), body)
    assert reply is not None
    assert msgspec.json.decode(reply)["type"] == "error"


PATHS = {
    "security.keys": {"security": {"keys": "a\0b"}},
    "security.key": {"security": {"key": "a\0b"}},
    "security.server_key": {"security": {"server_key": "\0"}},
    "node.state": {"node": {"state": "a\0b"}},
    "model.path": {"model": {"path": "a\0b"}},
    "examples.path": {"examples": {"path": "a\0b"}},
    "regressions.path": {"regressions": {"path": "a\0b"}},
    "prototypes.path": {"prototypes": {"path": "a\0b"}},
    "anomaly.normal": {"anomaly": {"normal": "a\0b"}},
    "sources[0].path": {"sources": [{"kind": "file", "name": "a", "path": "a\0b"}]},
    "sources[0].name": {"sources": [{"kind": "file", "name": "../a", "path": "b"}]},
    "node.name": {"node": {"name": "../a"}},
    "publish.events": {"publish": {"events": "ipc:///tmp/a\0b"}},
}


@pytest.mark.parametrize("key", PATHS)
def test_a_path_that_is_none_is_an_error_with_its_key(key: str):
    with pytest.raises(ConfigError, match=f"^c.toml: {key.replace('[', '.').replace(']', '.')}"):
        parse_config(PATHS[key], Path("c.toml"))
