"""Faults of cameras and sensors of a running daemon: cut off, silent, frozen, dark, misconfigured, broken drivers."""

from __future__ import annotations

import socket

from stream.sources.reconnecting import STILL
from tests.faults.catalogue import fault
from tests.faults.heard import until
from tests.faults.needs import package
from tests.faults.scene import SEEN, Scene
from tests.faults.ward import LOST, Ward, ward

opencv = package("cv2")
OTHERS = "alarms of the other cameras go on, no other process is started anew"
RECOVERS = f"told as lost, with the reason; camera-lost alarm until it is back; back by itself; {OTHERS}"


def away(lent: Ward, source: str, mark: int) -> str:
    """Wait until a camera is told as lost, and its alarm is out; the reason."""
    detail = lent.state(source, mark, lambda state: state.state == "lost")
    until(lambda: lent.daemon.heard.starts(LOST, mark), 30, lambda: lent.daemon.log[-800:])
    return detail.replace(str(lent.camera.port), "PORT")


def back(lent: Ward, mark: int) -> float:
    """Wait until a camera's alarm is over; the seconds that it took."""
    return until(lambda: lent.daemon.heard.ends(LOST, mark), 60, lambda: lent.daemon.log[-800:])


@fault(
    "cameras",
    "a network camera is switched off and on",
    how="its HTTP server closes all connections and its port, and comes back",
    required=RECOVERS,
    needs=opencv,
    slow=True,
)
def switched_off(scene: Scene) -> str:
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        lent.camera.stop()
        try:
            detail = away(lent, "net", mark)
        finally:
            lent.camera.start()
        return f"{detail}; back {back(lent, mark):.1f} s after it was switched on"


def misbehaves(scene: Scene, order: str, words: str, *, traceback: bool = False) -> str:
    """The sensor's driver does something that costs the camera until it stops; how long until it is back."""
    with scene.lent_by(ward) as lent, lent.unhurt(traceback=traceback) as mark:
        lent.order(order)
        try:
            detail = lent.state("sensor", mark, lambda state: state.state == "lost" and words in state.detail)
            lent.daemon.flows("cam")
        finally:
            lent.order("")
        return f"{detail}; back {lent.daemon.flows('sensor'):.1f} s after it had stopped"


@fault(
    "cameras",
    "a sensor is unplugged while it is read",
    how="its driver reports the loss, and none when it is opened again",
    required=RECOVERS,
    slow=True,
)
def unplugged(scene: Scene) -> str:
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        lent.order("gone")
        try:
            detail = away(lent, "sensor", mark)
            assert "expected it" in detail
        finally:
            lent.order("")
        return f"{detail}; back {back(lent, mark):.1f} s after it was plugged in"


@fault(
    "cameras",
    "a camera freezes",
    how="the same image again and again",
    required=f"told once; no alarm, as the room may be dark; it is opened again; its frames and {OTHERS}",
    needs=opencv,
    slow=True,
)
def frozen(scene: Scene) -> str:
    return unchanging(scene, "still")


def unchanging(scene: Scene, how: str) -> str:
    """The image of a camera stays the same for a while."""
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        opened = len(lent.camera.paths)
        setattr(lent.camera, how, True)
        try:
            lent.state("net", mark, lambda state: state.detail == STILL)
            until(lambda: len(lent.camera.paths) > opened, 30)
            lent.looks(10)
        finally:
            setattr(lent.camera, how, False)
        took = until(lambda: lent.daemon.heard.states("net", mark)[-1].detail == "", 30)
        told = [(state.state, state.detail) for state in lent.daemon.heard.states("net", mark)]
        assert told == [("running", STILL), ("running", "")], told
        assert not lent.daemon.heard.events(LOST, since=mark)
        return f'told "{STILL}" once, opened again once; well {took:.1f} s after the image changed'


@fault(
    "cameras",
    "a driver raises what it never should",
    how="RuntimeError out of `next`",
    required=f"told as lost; its process is started again until it works; {OTHERS}",
    slow=True,
)
def raises(scene: Scene) -> str:
    return misbehaves(scene, "raise", "", traceback=True)


@fault(
    "cameras",
    "a camera goes black",
    how="black images, as with a covered lens",
    required=f"told once; no alarm, as the room may be dark; it is opened again; its frames and {OTHERS}",
    needs=opencv,
    slow=True,
)
def black(scene: Scene) -> str:
    return unchanging(scene, "dark")


@fault(
    "cameras",
    "a driver crashes",
    how="SIGSEGV in its read",
    required=f"told as lost; its process is started again until it works; {OTHERS}",
    slow=True,
)
def crashes(scene: Scene) -> str:
    return misbehaves(scene, "crash", "")


@fault(
    "cameras",
    "a camera changes its resolution",
    how="images of 640 x 480 after those of 320 x 240, in one stream, and back",
    required=f"frames go on without a break; {OTHERS}",
    needs=opencv,
    slow=True,
)
def other_size(scene: Scene) -> str:
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        size = lent.camera.size
        lent.camera.size = (640, 480)
        try:
            lent.looks(15)
        finally:
            lent.camera.size = size
        lent.looks(15)
        assert not lent.daemon.heard.states("net", mark)
        return "30 images looked at over two changes; no state but running"


@fault(
    "cameras",
    "a camera keeps the connection and sends nothing",
    how="its server goes silent and keeps the connection open",
    required=RECOVERS,
    needs=opencv,
    slow=True,
)
def silent(scene: Scene) -> str:
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        lent.camera.silent = True
        try:
            detail = away(lent, "net", mark)
        finally:
            lent.camera.silent = False
        return f"{detail}; back {back(lent, mark):.1f} s after it had begun to speak"


GARBAGE = f"counts as nobody: no alarm of this camera, and no loss; {OTHERS}"


def sees_nobody(scene: Scene, order: str) -> str:
    """The sensor gives a person that is none, who then is not there; how long until there is one again."""
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        heard = lent.daemon.heard
        lent.order(order)
        try:
            until(lambda: [one for one in heard.events(SEEN, "sensor", mark) if one.phase == "end"], 30)
            ended = heard.mark
            lent.daemon.flows("cam")
            assert not heard.events(SEEN, "sensor", ended)
        finally:
            lent.order("")
        took = lent.daemon.flows("sensor")
        assert not heard.states("sensor", mark)
        return f"its event ended, none began; seen again {took:.1f} s later"


@fault("cameras", "joints that are no numbers", how="a driver gives NaN", required=GARBAGE, slow=True)
def nan(scene: Scene) -> str:
    return sees_nobody(scene, "nan")


@fault(
    "cameras",
    "the password of a camera is changed",
    how="its server answers 401 from now on, until the old one holds again",
    required=f"{RECOVERS}; the password is in no line of the log",
    needs=opencv,
    slow=True,
)
def wrong_password(scene: Scene) -> str:
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        good, lent.camera.password = lent.camera.password, "another"
        lent.camera.stop()
        lent.camera.start()
        try:
            wrong = "wrong path, user or password?"
            detail = lent.state("net", mark, lambda state: wrong in state.detail)
            away(lent, "net", mark)
        finally:
            lent.camera.password = good
        reason = detail[detail.index("cannot be opened") :].replace(str(lent.camera.port), "PORT")
        return f"{reason}; back {back(lent, mark):.1f} s after it held again"


MALFORMED = f"told as lost, with what is wrong; no process dies of it; back by itself; {OTHERS}"


@fault("cameras", "a joint is missing", how="a driver gives 24 joints in a layout of 25", required=MALFORMED, slow=True)
def wrong_shape(scene: Scene) -> str:
    return misbehaves(scene, "shape", "expected float32 (1, 25, 3)")


@fault(
    "cameras",
    "a camera takes the call and says nothing",
    how="something else listens on its port and never answers, after it was switched off",
    required=RECOVERS,
    needs=opencv,
    slow=True,
)
def mute(scene: Scene) -> str:
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        lent.camera.stop()
        try:
            with socket.create_server(("127.0.0.1", lent.camera.port)):
                detail = away(lent, "net", mark)
                lent.daemon.flows("cam")
        finally:
            lent.camera.start()
        return f"{detail}; back {back(lent, mark):.1f} s after it answered"


@fault("cameras", "a crowd of a thousand", how="a driver gives 1,000 bodies a frame", required=MALFORMED, slow=True)
def crowd(scene: Scene) -> str:
    return misbehaves(scene, "crowd", "1000 bodies in a frame; expected at most 64")


@fault(
    "cameras",
    "three bodies of one id in one place",
    how="a driver gives the same body three times",
    required=f"alarms of this camera and of the others go on, of three people at most; {OTHERS}",
    slow=True,
)
def twins(scene: Scene) -> str:
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        lent.order("twins")
        try:
            lent.daemon.flows("sensor", "cam", messages=6)
        finally:
            lent.order("")
        tracks = {one.track for one in lent.daemon.heard.events(SEEN, "sensor", mark)}
        assert len(tracks) <= 3, tracks
        assert not lent.daemon.heard.states("sensor", mark)
        return f"{len(tracks)} people told of; no state but running"


@fault(
    "cameras",
    "a driver hangs in its read",
    how="a read that never returns",
    required=f"told as lost; its process is killed and started again; {OTHERS}",
    slow=True,
)
def hangs(scene: Scene) -> str:
    with scene.lent_by(ward) as lent, lent.unhurt() as mark:
        since = len(lent.daemon.log)
        lent.order("hang")
        try:
            took = until(lambda: lent.daemon.said("capture:sensor hangs", since), 60)
        finally:
            lent.order("")
        lent.state("sensor", mark, lambda state: state.state == "lost")
        return f"found after {took:.1f} s; back {lent.daemon.flows('sensor'):.1f} s later"
