"""`posewire devices`: the cameras and sensors that can be opened here."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.commands.probe import ProbeError, probe_all
from stream.console import make_console
from stream.errors import PosewireError, SourceError

if TYPE_CHECKING:
    from stream.sources.freenect2 import Freenect2
    from stream.sources.kinect_v2_sdk import SdkDriver

LIMIT_S = 15.0
"""A device that gives no answer for this long hangs."""
BLIND_WEBCAMS = 4
"""Webcam numbers that are tried where the system has no list of them."""
V4L = Path("/sys/class/video4linux")

_RGB = "needs OpenCV; expected pip install --constraint constraints.txt '.[rgb]' in the checkout"


class DeviceError(PosewireError):
    """A kind of device cannot be used here, or one device cannot be opened."""


def list_devices(*, json: bool) -> int:
    """Print what can be opened, by kind, and of each kind that cannot be used why; returns the exit code."""
    webcams = webcam_names()
    tasks: list[dict[str, Any]] = [{"webcam": number} for number in webcams]
    *tried, azure, kinect = probe_all([*tasks, {"azure_kinect": True}, {"kinect_v2": True}], LIMIT_S)
    cameras = [_webcam(number, name, found) for (number, name), found in zip(webcams.items(), tried, strict=True)]
    if not V4L.is_dir():  # numbers that were only guessed
        cameras = [camera for camera in cameras if not camera["error"]]
    kinds: dict[str, dict[str, Any]] = {
        "video": {"error": "", "devices": cameras} if find_spec("cv2") else {"error": _RGB, "devices": []},
        "azure_kinect": _kind(azure),
        "kinect_v2": _kind(kinect),
    }
    console = make_console()
    if json:
        console.out(jsonlib.dumps(kinds, indent=2), highlight=False)
        return 0
    for kind, found in kinds.items():
        told = found["error"] or ("" if found["devices"] else "none found")
        console.print(f"{kind}: {told}".rstrip(), soft_wrap=True)
        for device in found["devices"]:
            console.print(f"  {_line(device)}", soft_wrap=True)
    console.print("Network cameras are not searched for: give their `url`.", style="dim")
    return 0


def webcam_names() -> dict[int, str]:
    """Number and name of each webcam that the system lists; of each that might be there where it has no list."""
    if not V4L.is_dir():
        return {} if sys.platform == "linux" else dict.fromkeys(range(BLIND_WEBCAMS), "")
    names = {}
    for folder in V4L.glob("video*"):
        number, index = folder.name.removeprefix("video"), folder / "index"
        # A webcam has further nodes that give no images (metadata): they have an index of their own.
        if number.isdigit() and (not index.is_file() or index.read_text().strip() == "0"):
            names[int(number)] = (folder / "name").read_text(errors="replace").strip()
    return dict(sorted(names.items()))


def try_webcam(number: int, seconds: float) -> dict[str, Any]:
    """Open a webcam and measure it for some seconds; to be called in a probe, as its driver may hang.

    Raises:
        DeviceError: it cannot be opened or gives no image.
        PosewireError: OpenCV is not installed.
    """
    from stream.sources.images import opencv  # not before it is needed

    camera = opencv().VideoCapture(number)
    try:
        read, image = camera.read() if camera.isOpened() else (False, None)
        if not read or image is None:
            raise DeviceError("cannot be opened; expected a camera that no other program uses and this user may read")
        start = now = time.monotonic()
        frames = 0
        while now - start < seconds and camera.grab():
            frames, now = frames + 1, time.monotonic()
        height, width = image.shape[:2]
        return {"resolution": [width, height], "rate_hz": round(frames / (now - start), 1) if now > start else 0.0}
    finally:
        camera.release()


def find_azure_kinects() -> dict[str, Any]:
    """The Azure Kinects that are connected, by number and serial; to be called in a probe.

    Raises:
        SourceError: their libraries are not installed.
    """
    # Imported late: only a probe needs them.
    from stream.sources.k4a import serial_numbers
    from stream.sources.k4a_library import Libraries

    closed = "cannot be opened; expected one that is not in use, and the right to use it (udev)"
    return {
        "devices": [
            {"device": number, "serial": serial or "", "error": closed if serial is None else ""}
            for number, serial in enumerate(serial_numbers(Libraries()))
        ]
    }


def find_kinects_v2() -> dict[str, Any]:
    """The Kinect v2 that is connected (the libraries open the first one only); to be called in a probe.

    Raises:
        DeviceError: there is none, or what it needs is not installed.
    """
    # Imported late: each of the two needs a library of one system.
    driver: SdkDriver | Freenect2
    if sys.platform == "win32":
        from stream.sources.kinect_v2_sdk import SdkDriver

        driver = SdkDriver("kinect_v2")
    else:
        from stream.sources.freenect2 import Freenect2

        driver = Freenect2("kinect_v2")
    try:
        driver.open()
    except SourceError as error:
        raise DeviceError(error.message) from None
    driver.close()
    return {"devices": [{"device": 0, "error": ""}]}


def _webcam(number: int, name: str, found: dict[str, Any] | ProbeError) -> dict[str, Any]:
    device = {"camera": number, "name": name, "resolution": None, "rate_hz": 0.0, "error": ""}
    return device | ({"error": str(found)} if isinstance(found, ProbeError) else found)


def _kind(found: dict[str, Any] | ProbeError) -> dict[str, Any]:
    return {"error": str(found), "devices": []} if isinstance(found, ProbeError) else {"error": "", **found}


def _line(device: dict[str, Any]) -> str:
    number = f"camera = {device['camera']}" if "camera" in device else f"device = {device['device']}"
    told = [device.get("name", ""), f"serial {device['serial']}" if device.get("serial") else ""]
    if device["error"]:
        told.append(device["error"])
    elif device.get("resolution"):
        told += ["{}x{}".format(*device["resolution"]), f"{device['rate_hz']:.1f} frames/s"]
    return f"{number}  {', '.join(part for part in told if part)}"
