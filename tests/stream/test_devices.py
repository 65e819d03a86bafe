"""`posewire devices` with drivers that work, hang and die: stand-ins for the libraries, in real processes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from stream.commands import devices
from stream.commands.probe import ProbeError, probe_all

CV2 = """
import os, signal, time

class Image:
    shape = (480, 640, 3)

def setLogLevel(level):
    return None

class VideoCapture:
    def __init__(self, number):
        print("a driver that talks")
        if number == 1:
            time.sleep(600)
        if number == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == 3:
            raise ValueError("rtsp://admin:hunter2@camera")
        self.number = number
    def isOpened(self):
        return self.number == 0
    def read(self):
        return True, Image()
    def grab(self):
        time.sleep(0.05)
        return True
    def release(self):
        return None
"""


@pytest.fixture
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder before all others from which the probes import; webcams 0, 2 and 3 and a node that is none."""
    folder = tmp_path / "drivers"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    for number in (0, 2, 3, 4):
        node = tmp_path / "v4l" / f"video{number}"
        node.mkdir(parents=True)
        (node / "name").write_text(f"Webcam {number}\n")
        (node / "index").write_text("1\n" if number == 4 else "0\n")
    monkeypatch.setattr(devices, "V4L", tmp_path / "v4l")
    monkeypatch.setattr(devices, "LIMIT_S", 60.0)
    return folder


def azure_library(drivers: Path) -> None:
    """Our own libk4a, where pyk4a-bundle has the true one."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    (drivers / "k4a_module.py").write_text("raise ImportError('the module is not to be used')")
    folder = drivers / "pyk4a_bundle.libs"
    folder.mkdir()
    code = Path(__file__).parents[1] / "fake_k4a.c"
    command = [compiler, "-shared", "-fPIC", "-w", "-Wl,-Bsymbolic", "-o", str(folder / "libk4a-1.so.1.4"), str(code)]
    subprocess.run(command, check=True, timeout=60)


def absent(name: str) -> str:
    return f"raise ModuleNotFoundError('No module named {name}', name='{name}')"


def test_each_device_is_tried_by_itself(
    drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (drivers / "cv2.py").write_text(CV2)
    azure_library(drivers)
    monkeypatch.setenv("FAKE_K4A", "2")
    monkeypatch.setattr(devices, "find_spec", lambda _name: True)
    assert devices.list_devices(json=True) == 0
    kinds = json.loads(capsys.readouterr().out)
    cameras = kinds["video"]["devices"]
    assert [camera["name"] for camera in cameras] == ["Webcam 0", "Webcam 2", "Webcam 3"]
    assert cameras[0]["resolution"] == [640, 480]
    assert 1 < cameras[0]["rate_hz"] <= 20
    errors = [camera["error"] for camera in cameras]
    assert errors == [
        "",
        "its driver died (signal 11)",
        "its driver died (ValueError)",  # what a driver says may hold a password
    ]
    assert kinds["azure_kinect"]["devices"][0] == {"device": 0, "serial": "000123", "error": ""}
    assert kinds["azure_kinect"]["devices"][1]["error"].startswith("cannot be opened; expected")


def test_a_device_that_hangs_is_given_up(
    drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (drivers / "cv2.py").write_text(CV2)
    shutil.rmtree(devices.V4L)
    (devices.V4L / "video1").mkdir(parents=True)
    (devices.V4L / "video1" / "name").write_text("Webcam 1\n")
    monkeypatch.setattr(devices, "LIMIT_S", 3.0)
    monkeypatch.setattr(devices, "find_spec", lambda _name: True)
    assert devices.list_devices(json=True) == 0
    (camera,) = json.loads(capsys.readouterr().out)["video"]["devices"]
    assert camera["error"] == "hangs: no answer in 3 s"


def test_what_is_not_installed_is_said_with_what_to_install(
    drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cv2", "freenect2"):
        (drivers / f"{name}.py").write_text(absent(name))
    # Its library is looked for, not imported: a module that is None is not there.
    (drivers / "sitecustomize.py").write_text("import sys; sys.modules['k4a_module'] = None")
    monkeypatch.setattr(devices, "find_spec", lambda _name: None)
    assert devices.list_devices(json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    for line, kind, install in zip(
        lines, ("video", "azure_kinect", "kinect_v2"), ("'.[rgb]'", "'.[azure]'", "freenect2"), strict=False
    ):
        assert line.startswith(f"{kind}: ")
        assert "expected" in line
        assert "pip install" in line
        assert install in line
    found = probe_all([{"webcam": 0}])[0]
    assert isinstance(found, ProbeError)
    assert "cv2: cannot be loaded" in str(found)


def test_a_system_without_a_list_of_webcams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "V4L", tmp_path / "none")
    monkeypatch.setattr("sys.platform", "linux")
    assert devices.webcam_names() == {}
    monkeypatch.setattr("sys.platform", "win32")
    assert devices.webcam_names() == {0: "", 1: "", 2: "", 3: ""}
