"""A daemon with three cameras for faults to share: a sensor, a network camera, and one that nothing touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from camera_server import CameraServer

from stream.structs import SourceState
from tests.faults.heard import until
from tests.faults.scene import CAMERA, SEEN, Daemon, Scene
from tests.faults.sensor import plugged_in

USER, PASSWORD = "viewer", "kanarienvogel-7"
NET = """kind = "video"
name = "net"
url = "{url}"
user = "viewer"
password_env = "NET_PASSWORD"
"""
SENSOR = 'kind = "kinect_v2"\nname = "sensor"'
HEAD = "[capture]\nstall_s = 2.0\nfrozen_s = 1.0\nfault_after_s = 1.0"
LOST = "camera-lost"


class Ward:
    """The daemon and what its cameras hang on.

    Attributes:
        daemon: with the sources `cam`, which nothing touches, `sensor` and `net`.
        camera: what `net` shows; nobody is seen in it.
    """

    def __init__(self, daemon: Daemon, camera: CameraServer, orders: Path) -> None:
        self.daemon, self.camera, self._orders = daemon, camera, orders

    @property
    def images(self) -> int:
        """Images of `net` that were looked at."""
        heartbeat = self.daemon.heard.heartbeat
        state = heartbeat.sources.get("net") if heartbeat else None
        return state.frames if state else 0

    def order(self, what: str) -> None:
        """Tell the sensor what to do; "" for nothing wrong."""
        part = self._orders.with_suffix(".part")
        part.write_text(what)
        part.rename(self._orders)

    def looks(self, more: int = 5, seconds: float = 60.0) -> float:
        """Wait until so many more images of `net` were looked at; the seconds that it took."""
        before = self.images
        return until(
            lambda: self.images < before or self.images >= before + more, seconds, lambda: self.daemon.log[-800:]
        )

    def state(self, source: str, since: int, wanted: Callable[[SourceState], object], seconds: float = 60.0) -> str:
        """Wait until a source has such a state, told since a mark; its detail."""
        heard = self.daemon.heard

        def found() -> list[SourceState]:
            return [state for state in heard.states(source, since) if wanted(state)]

        until(found, seconds, lambda: (heard.states(source, since), self.daemon.log[-800:]))
        return found()[0].detail

    @contextmanager
    def unhurt(self, *, traceback: bool = False) -> Iterator[int]:
        """What goes on in the block touches neither `cam` nor the worker and the publisher; gives a mark.

        Args:
            traceback: the driver raises what it never should, which is to be seen in the log.
        """
        daemon, heard = self.daemon, self.daemon.heard
        mark, since = heard.mark, len(daemon.log)
        roles = {role: daemon.pids(role) for role in ("worker", "publisher")}
        yield mark
        daemon.flows("cam", "sensor")
        self.looks()
        assert {role: daemon.pids(role) for role in roles} == roles
        assert not heard.states("cam", mark), heard.states("cam", mark)
        assert heard.longest_silence(SEEN, "cam", mark) < 10
        assert PASSWORD not in daemon.log
        assert traceback or "Traceback" not in daemon.log[since:], daemon.log[since:][-1500:]
        until(lambda: len(heard.starts(LOST)) == len(heard.ends(LOST)), 20, lambda: heard.events(LOST)[-3:])
        heard.check()


@contextmanager
def ward(scene: Scene) -> Iterator[Ward]:
    """A ward, whose cameras all run."""
    with CameraServer(fps=10, user=USER, password=PASSWORD) as camera:
        environment = plugged_in(scene.folder) | {"NET_PASSWORD": PASSWORD}
        sources = (CAMERA, SENSOR, NET.format(url=camera.url))
        with scene.daemon(*sources, head=HEAD, wait=False, **environment) as daemon:
            made = Ward(daemon, camera, scene.folder / "sensor")
            daemon.flows("cam", "sensor")
            made.looks()
            yield made
