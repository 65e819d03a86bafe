"""Passwords: where they come from, and that nothing that is written holds them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from camera_server import CameraServer, StrictRtsp
from canary import CANARY, forms

from stream.errors import SourceError
from stream.secrets import MASK, RedactingFilter, hide, read_password, redact, shown_url, with_credentials


def test_a_password_comes_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", CANARY)
    assert read_password("cam", env="CAMERA_PASSWORD") == CANARY
    path = tmp_path / "password"
    for content in (CANARY, CANARY + "\n", CANARY + "\r\n"):
        path.write_text(content, newline="")
        path.chmod(0o600)
        assert read_password("cam", file=str(path)) == CANARY
    assert not caplog.records
    if os.name == "posix":
        path.chmod(0o644)
        for _ in range(2):
            assert read_password("cam", file=str(path)) == CANARY
        assert [record.getMessage() for record in caplog.records] == [
            f"password file {path} can be read by others; expected mode 0600 (chmod 600)"
        ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty or not one line of text"),
        (b"\n", "is empty or not one line of text"),
        (b"kanarie\nkanarie", "is empty or not one line of text"),
        (b"kanarie\xff", "is not UTF-8 text"),
        (b"kanarie" * 1000, "is longer than 4096 bytes"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_password_is_refused_and_not_quoted(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(SourceError, match=f"^cam: password file .*{message}.*; expected") as caught:
        read_password("cam", file=str(path))
    assert "kanarie" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    with pytest.raises(SourceError, match="environment variable POSEWIRE_TEST_ABSENT is not set"):
        read_password("cam", env="POSEWIRE_TEST_ABSENT")


def test_credentials_are_percent_encoded_and_not_shown() -> None:
    url = "rtsp://cam.local:554/live/1?channel=2"
    full = with_credentials(url, "me@home", CANARY)
    assert full == f"rtsp://me%40home:{quote(CANARY, safe='')}@cam.local:554/live/1?channel=2"
    assert with_credentials(url, "", "") == url
    assert with_credentials(url, "me", "") == "rtsp://me@cam.local:554/live/1?channel=2"
    assert shown_url(full) == "rtsp://cam.local:554/live/1"
    assert redact(f"cannot open {full}") == f"cannot open rtsp://me%40home:{MASK}@cam.local:554/live/1?channel=2"


def test_a_url_may_say_where_the_credentials_go() -> None:
    url = "rtsp://cam.local:554/user={user}&password={password}&channel=1?key={password}"
    full = with_credentials(url, "me {password}", CANARY)
    word = quote(CANARY, safe="")
    assert full == f"rtsp://cam.local:554/user=me%20%7Bpassword%7D&password={word}&channel=1?key={word}"
    assert shown_url(url) == "rtsp://cam.local:554/user={user}&password={password}&channel=1"
    assert shown_url(full) == f"rtsp://cam.local:554/{MASK}"


def test_every_form_of_a_secret_is_hidden() -> None:
    hide(CANARY, user="me")
    texts = [*forms(CANARY)[:4], repr(CANARY), f"{CANARY!r}", "bWU6a2FuYXJpZS/DvCBAOiIlNDEnIz8="]
    for text in texts:
        assert "kanarie" not in redact(text)
        assert MASK in redact(f"before {text} after")
    assert redact("nothing to hide") == "nothing to hide"
    # The longer of two secrets is not left in part.
    hide("kana")
    hide("kanalong")
    assert redact("kanalong kana") == f"{MASK} {MASK}"


def test_logs_hold_no_secrets() -> None:
    hide(CANARY)
    handler = logging.Handler()
    handler.addFilter(RedactingFilter())
    lines: list[str] = []
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    log = logging.Logger("test")
    log.addHandler(handler)
    log.warning("cannot open %s in %d s", f"rtsp://me:{CANARY}@cam", 5)
    log.warning("percent signs stay: 100 %")
    try:
        raise ValueError(CANARY)
    except ValueError:
        log.exception("failed", stack_info=True)
    assert lines[0] == f"cannot open rtsp://me:{MASK}@cam in 5 s"
    assert lines[1] == "percent signs stay: 100 %"
    assert f"ValueError: {MASK}" in lines[2]
    assert "kanarie" not in "".join(lines)


PROGRAM = """
import logging, sys, threading, time, zlib
from contextlib import nullcontext
logging.basicConfig(level=logging.DEBUG, format="%(message)s %(pathname)s", filename="log.txt")
import cv2  # first: it is made silent all the same
from stream.config_sources import VideoSource
from stream.errors import SourceError
from stream.secrets import guard_outputs
from stream.sources.base import SourceTimeout
from stream.sources.reconnecting import Reconnecting
from stream.sources.live_images import LiveImages
from stream.sources import live_images, video

guard_outputs()
live_images.OPEN_S = live_images.READ_S = 1.0

class Nobody:
    def update(self, t, image):
        return []

    def reset(self):
        return None

video.crowd = lambda *_, **__: nullcontext(Nobody())
url, kind = sys.argv[1:]
entry = VideoSource(
    name="cam", kind="video", url=url, user="me", **{"password_" + kind: "PASSWORD" if kind == "env" else "password"}
)
source = video.video_source(entry)
try:
    with source:
        print("frame", source.read(20.0).seq, flush=True)
        while True:
            source.read(20.0)
except (SourceError, SourceTimeout) as error:
    print("error", error, repr(error), vars(error), flush=True)
    logging.exception("failed")
with Reconnecting(source, stall_s=1, frozen_s=1) as again:
    until = time.monotonic() + 20
    while again.state != "lost" and time.monotonic() < until:
        try:
            again.read(0.1)
        except SourceTimeout:
            continue
    print(again.state, again.detail, flush=True)
threading.Thread(target=lambda: 1 / len(source._feed._address()[:0])).start()
raise RuntimeError(source._feed._address())  # an error of ours that quotes it
"""


@pytest.mark.parametrize(
    ("camera_is", "scheme", "kind"),
    [
        ("absent", "rtsp", "env"),
        ("absent", "http", "file"),
        ("strict", "http", "env"),
        ("strict", "rtsp", "env"),
        ("dying", "http", "file"),
    ],
)
def test_a_canary_password_is_nowhere(tmp_path: Path, camera_is: str, scheme: str, kind: str) -> None:
    pytest.importorskip("cv2", reason="OpenCV cannot be imported", exc_type=ImportError)
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    password = tmp_path / "password"
    password.write_text(CANARY + "\n")
    password.chmod(0o600)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUTF8": "1"}
    environment |= {"PASSWORD": CANARY, "OPENCV_VIDEOIO_DEBUG": "1", "OPENCV_LOG_LEVEL": "DEBUG"}
    environment |= {"OPENCV_FFMPEG_DEBUG": "1", "OPENCV_FFMPEG_LOGLEVEL": "56"}  # each of them quotes URLs
    if kind == "file":
        del environment["PASSWORD"]
    with CameraServer(fps=50, user="me", password="other" if camera_is == "strict" else CANARY) as camera:
        camera.limit = 20
        url = camera.url.replace("http", scheme)
        rtsp = StrictRtsp()
        if camera_is == "absent":
            camera.stop()
        elif scheme == "rtsp":
            url = rtsp.url
        process = subprocess.Popen(
            [sys.executable, "program.py", url, kind],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        titles = set()
        while process.poll() is None:
            if sys.platform == "linux":
                titles |= {path.read_text() for path in Path(f"/proc/{process.pid}").glob("task/*/comm")}
                titles.add(Path(f"/proc/{process.pid}/cmdline").read_text())
            time.sleep(0.1)
        out, complaints = process.communicate()
        rtsp.close()
        logins = camera.logins
    assert process.returncode == 1
    assert "RuntimeError: " in complaints
    assert MASK in complaints
    assert "ZeroDivisionError" in complaints
    expected = "frame 0" if camera_is == "dying" else f"error {url}: cannot be opened"
    assert expected in out
    assert "lost " in out
    assert all(login.endswith(CANARY) for login in logins if login)  # it did arrive where it belongs
    assert any(logins) or camera_is == "absent" or "Authorization: Basic" in rtsp.requests
    password.unlink()
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert any("failed" in text for text in written)
    for text in (out, complaints, *titles, *written):
        for form in forms(CANARY):
            assert form not in text
