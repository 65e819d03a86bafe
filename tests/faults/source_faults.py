"""Faults of cameras and sensors, and of their files, as the part that reads them meets them: no daemon around it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import islice
from unittest.mock import patch

import numpy as np
from camera_server import Nobody, noise
from running_daemon import ROOT

from stream.config_sources import AzureKinectSource, VideoSource
from stream.errors import SourceError
from stream.sources.base import Source, SourceTimeout
from stream.sources.kinect_v2 import KinectV2
from stream.sources.reconnecting import Reconnecting
from stream.types import SkeletonFrame, Tracked
from tests.faults.catalogue import fault
from tests.faults.heard import until
from tests.faults.needs import every, package
from tests.faults.scene import Scene
from tests.faults.sensor import ORDER, Sensor
from tests.stream.test_pipeline import events_of, frames, make

opencv = package("cv2")
RECORDING = ROOT / "shared" / "data" / "samples" / "azure_kinect" / "recording.mkv"


def door(**settings: object) -> Source:
    """The source of a video block, whose images show nobody."""
    from stream.sources import video

    entry = VideoSource.model_validate({"kind": "video", "name": "door", **settings})
    with patch.object(video, "crowd", lambda *_, **__: nullcontext(Nobody())):
        return video.video_source(entry)


def said(act: Callable[[], object], words: str) -> str:
    """The one line, with these words, by which a source refuses."""
    try:
        act()
    except SourceError as error:
        line = str(error)
    else:
        raise AssertionError("it did not refuse")
    assert words in line, line
    assert "\n" not in line
    return line


@fault(
    "cameras",
    "a URL with nothing behind it",
    how="a port of this machine on which nobody listens",
    required="one line that says that the connection is refused",
    needs=opencv,
)
def nothing_there(_scene: Scene) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    line = said(door(url=f"http://127.0.0.1:{port}/stream").open, f"127.0.0.1:{port} refuses the connection")
    return line.replace(str(port), "PORT")


@fault(
    "cameras",
    "a webcam that is not there",
    how="number 97",
    required="one line that says that there is no such device",
    needs=opencv,
)
def no_webcam(_scene: Scene) -> str:
    return said(door(camera=97).open, "there is no /dev/video97")


@fault(
    "cameras",
    "a video file is cut short",
    how="the last half of an AVI of 60 images is missing",
    required="the images before the cut count, and one line says how many are missing",
    needs=opencv,
)
def cut_video(scene: Scene) -> str:
    import cv2

    path = scene.folder / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (320, 240))
    for number in range(60):
        writer.write(noise(number))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("stream.sources.images")
    logger.addHandler(handler)
    try:
        with door(path=str(path)) as source:
            frames = list(source)
    finally:
        logger.removeHandler(handler)
    assert 20 <= len(frames) < 60
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    assert told == [f"{path}: ends after {len(frames)} of the 60 images that it claims"], told
    return told[0].replace(f"{path}: ", "")


def sample() -> str:
    return "" if RECORDING.exists() else "needs ../shared/data/samples"


def read_sensor_file(scene: Scene, data: bytes, words: str) -> str:
    """Read the recording of a sensor that is none; how it is refused."""
    from stream.sources.azure_kinect import azure_kinect_source

    path = scene.folder / "ward.mkv"
    path.write_bytes(data)
    entry = AzureKinectSource.model_validate(
        {"kind": "azure_kinect", "name": "ward", "path": str(path), "joints": "color"}
    )
    with azure_kinect_source(entry, lambda: nullcontext(Nobody())) as source:
        line = said(lambda: list(islice(source, 10)), words)
    return line.replace(f"{scene.folder}/", "")


@fault(
    "cameras",
    "the recording of a sensor is cut in the middle",
    how="60 % of a real MKV file",
    required="one line that says so, before anything is played",
    needs=every(package("k4a_module"), sample),
)
def cut_recording(scene: Scene) -> str:
    whole = RECORDING.read_bytes()
    return read_sensor_file(scene, whole[: len(whole) * 6 // 10], "cut short")


@fault(
    "cameras",
    "the recording of a sensor is something else",
    how="a text file named .mkv",
    required="one line that says so",
    needs=every(package("k4a_module"), sample),
)
def no_recording(scene: Scene) -> str:
    return read_sensor_file(scene, b"notes of the night shift\n" * 100, "expected")


def garbage(spoil: Callable[[SkeletonFrame], SkeletonFrame]) -> str:
    """Spoil the frames of one of two cameras; the other one's events are those that it has alone."""
    alone, pipeline = events_of(make().push(frames("good"))), make()
    outputs = [one for good in frames("good") for one in pipeline.push([good, spoil(replace(good, source="bad"))])]
    assert [event for event in events_of(outputs) if event.source == "good"] == alone
    assert not [event for event in events_of(outputs) if event.source == "bad"]
    seen = [len(one.track_ids) for one in outputs if isinstance(one, Tracked) and one.source == "bad"]
    assert seen == [0] * len(frames())
    return f"nobody in {len(seen)} frames; {len(alone)} messages of the other camera as without"


NOBODY = "counts as nobody: no event of this camera, and those of another one are the same as without"


@fault("cameras", "joints light years away", how="joints times 1e30", required=NOBODY)
def light_years(_scene: Scene) -> str:
    return garbage(lambda frame: replace(frame, joints=frame.joints * np.float32(1e30)))


@fault("cameras", "nobody is sure of any joint", how="confidence 0 throughout", required=NOBODY)
def unseen(_scene: Scene) -> str:
    return garbage(lambda frame: replace(frame, confidence=np.zeros_like(frame.confidence)))


@fault("cameras", "confidence that is no number", how="confidence NaN throughout", required=NOBODY)
def unsure(_scene: Scene) -> str:
    return garbage(lambda frame: replace(frame, confidence=np.full_like(frame.confidence, np.nan)))


def malformed(scene: Scene, order: str, words: str) -> str:
    """A driver gives frames that are none, and then good ones; how that is told."""
    orders = scene.folder / "sensor"
    orders.write_text("")
    with patch.dict(os.environ, {ORDER: str(orders)}):
        source = Reconnecting(KinectV2("sensor", Sensor("sensor")), stall_s=5, frozen_s=5, chance=lambda: 1.0)
    with source:

        def read(wanted: Callable[[], object]) -> None:
            until(lambda: attempt() and wanted(), 30, lambda: (source.state, source.detail))

        def attempt() -> bool:
            with suppress(SourceTimeout):
                source.read(0.2)
            return True

        read(lambda: source.detail == "")
        orders.write_text(order)
        read(lambda: source.state == "lost")
        detail = source.detail
        assert words in detail, detail
        orders.write_text("")
        read(lambda: source.state == "running")
    return f"lost: {detail}; running again"


BAD_FRAME = "lost, with what is wrong, until the camera gives good frames again; none of the bad ones goes further"


@fault("cameras", "an unknown layout", how="a driver gives joints of no known sensor", required=BAD_FRAME)
def layout(scene: Scene) -> str:
    return malformed(scene, "layout", "unknown layout 'martian'")


@fault("cameras", "numbers of another kind", how="a driver gives float64", required=BAD_FRAME)
def double(scene: Scene) -> str:
    return malformed(scene, "double", "joints of float64")


@fault("cameras", "bodies without ids", how="a driver gives one body and no id", required=BAD_FRAME)
def ids(scene: Scene) -> str:
    return malformed(scene, "ids", "expected float32 (0, 25, 3)")
