"""`posewire check` on sources that work, are missing, hang and die, each tried in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from camera_server import CameraServer, nobody_seen
from running_daemon import POSEWIRE, children_of, gone

from stream.commands import check, probe
from stream.commands.check_zones import zones_without_area
from stream.config import Config
from stream.config_file import load_config

ROOT = Path(__file__).parents[2]
CV2 = """
import time
CAP_FFMPEG = CAP_V4L2 = CAP_ANY = 0

def setLogLevel(level):
    return None

def __getattr__(name):
    time.sleep(600)
"""


def tried(config: Config, path: Path) -> list[str]:
    lines = []
    for entry, found in zip(config.sources, check._try_sources(config, path), strict=True):
        try:
            lines.append(check._told(entry, found))
        except probe.ProbeError as error:
            lines.append(f"wrong: {error}")
    return lines


def test_sources_are_measured(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        f"""
        [[sources]]
        kind = "synthetic"
        name = "two"
        people = 2
        fps = 20.0
        [[sources]]
        kind = "file"
        name = "demo"
        path = "{ROOT / "stream/demo/Seq1_10.csv"}"
        loop = true
        [[sources]]
        kind = "file"
        name = "none"
        path = "none.csv"
        """
    )
    two, demo, none = tried(load_config(path), path)
    assert re.fullmatch(r"two: \d+\.\d frames/s, layout kinect_v2, at most 2 people at once", two)
    assert demo.endswith("Seq1_10.csv, layout kinect_v1, people in the first frame: 1")
    assert none == f"wrong: none: {tmp_path}/none.csv: no such file; expected a recorded skeleton file"


def test_zones_without_an_area_of_a_source_are_told(tmp_path: Path) -> None:
    path, area = tmp_path / "c.toml", "[[0, 0], [1, 0], [1, 1]]"
    synthetic = '[[sources]]\nkind = "synthetic"\nname = "room"\n'
    flat = '[[sources]]\nkind = "video"\nname = "flat"\ncamera = 0\njoints = "2d"\n'
    film = f'[[sources]]\nkind = "file"\nname = "film"\npath = "{ROOT / "stream/demo/Seq1_10.csv"}"\n'
    zone = f'[[zones]]\nname = "bed"\nimage = {area}\n'

    def told(text: str, *, films: bool = False) -> list[tuple[str, bool]]:
        path.write_text(text)
        config = load_config(path)
        tried = check._try_sources(config, path) if films else [probe.ProbeError("is off")] * len(config.sources)
        return list(zones_without_area(config.zones, check._spaces(config, tried)))

    wrong = "bed: no area of room (joints in metres; expected floor): nobody is ever in it"
    assert told(zone + synthetic) == [(wrong, True)]
    assert told(zone + synthetic + flat) == [(f"{wrong} there", False)]
    assert told(zone.replace("image", "floor") + flat) == [
        ("bed: no area of flat (joints in image coordinates; expected image): nobody is ever in it", True)
    ]
    assert told(zone + zone.replace("image", "floor") + synthetic + flat) == []
    assert told(zone + 'sources = ["flat"]\n' + synthetic + flat) == []
    assert told(zone + film) == []  # it could not be read: that is wrong already
    assert told(zone + film, films=True) == [(wrong.replace("room", "film"), True)]


def test_a_driver_that_hangs_does_not_hang_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cv2.py").write_text(CV2)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "c.toml"
    path.write_text('[[sources]]\nkind = "video"\nname = "cam"\ncamera = 0\n')
    config = load_config(path)
    task = {"config": config.model_dump(mode="json"), "path": str(path), "source": 0, "first_frame_s": 10.0}
    start = time.monotonic()
    found = probe.probe_all([task], limit_s=5.0)[0]
    assert time.monotonic() - start < 60
    assert isinstance(found, probe.ProbeError)
    # The source may notice by itself; if it does not, its process is killed.
    assert "hangs" in str(found) or "cam" in str(found)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"frames": 0}, "cam: opens, but gave no frame"),
        (
            {
                "frames": 75,
                "layout": "mediapipe",
                "people": 3,
                "resolution": [640, 360],
                "rate_hz": 24.96,
                "took_s": 3.0,
            }
            | {"live": True},
            "cam: 640x360, 25.0 frames/s, layout mediapipe, at most 3 people at once",
        ),
        (
            {
                "frames": 30,
                "layout": "mediapipe",
                "people": 0,
                "resolution": [640, 360],
                "rate_hz": 24.96,
                "took_s": 3.0,
            }
            | {"live": False},
            "cam: 640x360, 25.0 frames/s, 10.0 done a second, layout mediapipe, nobody seen",
        ),
        (
            {"frames": 1, "layout": "mediapipe", "people": 0, "resolution": [640, 360], "rate_hz": 0.0, "took_s": 1.5}
            | {"live": False},
            "cam: 640x360, - frames/s, layout mediapipe, nobody seen",
        ),
    ],
)
def test_what_was_found_is_told_in_one_line(tmp_path: Path, found: dict[str, object], told: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[[sources]]\nkind = "video"\nname = "cam"\ncamera = 0\n')
    assert check._told(load_config(path).sources[0], found) == told


def test_cameras_without_images_are_wrong_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2", reason="OpenCV cannot be imported", exc_type=ImportError)
    monkeypatch.setenv("PYTHONPATH", nobody_seen(tmp_path / "stand-in"))
    monkeypatch.setattr(check, "FIRST_FRAME_S", 4.0)
    silent, damaged = CameraServer(), CameraServer()
    silent.silent = damaged.damaged = True
    path = tmp_path / "c.toml"
    with silent, damaged:
        path.write_text(
            "".join(
                f'[[sources]]\nkind = "video"\nname = "{name}"\nurl = "{camera.url}"\n'
                for name, camera in (("silent", silent), ("damaged", damaged))
            )
        )
        first, second = tried(load_config(path), path)
    assert re.fullmatch(r"wrong: silent: .*; expected .*", first)
    assert second == "wrong: damaged: opens, but gave no frame in 4 s; expected images"


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
@pytest.mark.parametrize("to_all", [False, True])
def test_ctrl_c_ends_the_probes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to_all: bool) -> None:
    """Whether it reaches this program only or, as in a terminal, its children too."""
    stuck = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)"
    (tmp_path / "cv2.py").write_text(stuck)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "c.toml"
    count = 2 * probe.AT_ONCE
    path.write_text("".join(f'[[sources]]\nkind = "video"\nname = "cam{n}"\ncamera = {n}\n' for n in range(count)))
    process = subprocess.Popen(
        [*POSEWIRE, "check", "--config", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )
    with process:
        until = time.monotonic() + 60
        while len(probes := children_of(process.pid)) < probe.AT_ONCE:
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.5)
        (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=probe.LIMIT_S / 2)
    assert process.returncode != 0
    assert b"wrong" not in out
    assert all(gone(pid) for pid in probes)
