"""A network camera for tests: MJPEG over HTTP, which can refuse, stall, freeze, die, and change its images' size."""

from __future__ import annotations

import base64
import http.server
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stream.sources.base import SourceTimeout


def noise(number: int, size: tuple[int, int] = (320, 240)) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of a moving disc under a camera's noise; no two numbers give the same."""
    width, height = size
    pixels = np.random.default_rng(number).integers(0, 40, (height, width, 3), np.uint8)
    pixels[:, (number * 4) % width :][:, :20] = 200
    return pixels


class Nobody:
    """Stands for `stream.vision.crowd.Crowd`: looks at images and finds nobody."""

    def update(self, t_ns: int, image_bgr: NDArray[np.uint8]) -> list[Any]:  # noqa: ARG002
        return []

    def reset(self) -> None:
        """Nobody is remembered."""


STAND_IN = """
import contextlib
from camera_server import Nobody
from stream.vision import people

people.crowd = lambda *_, **__: contextlib.nullcontext(Nobody())
"""


def nobody_seen(folder: Path) -> str:
    """A PYTHONPATH with which programs estimate no poses: they need no network, and images cost them nothing."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(STAND_IN)
    tests = Path(__file__).parent
    return os.pathsep.join(map(str, (folder, tests, tests.parent)))


def read_on(read: Callable[[float], object], patience_s: float = 20.0) -> None:
    """Read until something else than a frame or a timeout comes, and raise that."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            read(0.1)
        except SourceTimeout:
            continue
    raise AssertionError(f"nothing happened in {patience_s:g} s")


def read_until_timeout(read: Callable[[float], object], patience_s: float = 20.0) -> None:
    """Read until no frame comes in time."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        read(0.2)


class StrictRtsp:
    """An RTSP server that takes no password; keeps what it was sent."""

    def __init__(self) -> None:
        self.requests = ""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/stream"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536).decode():
                    self.requests += data
                    number = data.partition("CSeq: ")[2].partition("\r")[0]
                    answer = (
                        f'RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\nWWW-Authenticate: Basic realm="camera"\r\n\r\n'
                    )
                    connection.sendall(answer.encode())


class CameraServer:
    """Serves images on a loopback port from `start` until `stop`; may be started again on the same port.

    Attributes:
        fps: images a second.
        size: width and height.
        user, password: what it asks for, by Basic authentication; "" for nothing.
        still: whether all images are the same.
        dark: whether all images are black.
        silent: whether it keeps connections open and sends nothing.
        damaged: whether images are cut short.
        limit: images until it hangs up; None for no end.
        film: a video file's content to send instead.
        sent: images so far.
        logins: user and password of each request, as sent.
        paths: of each request, as sent.
    """

    def __init__(self, fps: float = 25.0, user: str = "", password: str = "") -> None:
        self.fps, self.user, self.password = fps, user, password
        self.size = (320, 240)
        self.still = self.dark = self.silent = self.damaged = False
        self.limit: int | None = None
        self.film = b""
        self.sent = 0
        self.logins: list[str] = []
        self.paths: list[str] = []
        self.port = 0
        self._server: http.server.ThreadingHTTPServer | None = None
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    def start(self) -> None:
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                camera._connections.add(self.connection)
                try:
                    camera._serve(self)
                except OSError:
                    self.close_connection = True

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already
        self._connections.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        import cv2

        self.paths.append(handler.path)
        login = handler.headers.get("Authorization", "")
        if self.password:
            given = base64.b64decode(login.removeprefix("Basic ")).decode()
            self.logins.append(given)
            if given != f"{self.user}:{self.password}":
                handler.send_response(401)
                handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
                handler.end_headers()
                return
        handler.send_response(200)
        if self.film:
            handler.end_headers()
            handler.wfile.write(self.film)
            return
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=image")
        handler.end_headers()
        server, sent = self._server, 0
        while self._server is server and (self.limit is None or sent < self.limit):
            time.sleep(1 / self.fps)
            if self.silent:
                continue
            pixels = noise(0 if self.still else self.sent, self.size)
            jpeg = cv2.imencode(".jpg", pixels * (not self.dark))[1].tobytes()
            if self.damaged:
                jpeg = jpeg[: len(jpeg) // 20]
            head = b"--image\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
            handler.wfile.write(head + jpeg + b"\r\n")
            sent += 1
            self.sent += 1
