"""A daemon and a camera whose image does not change: told once, no loss and no fault, and the frames go on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from camera_server import CameraServer, nobody_seen
from running_daemon import Wire, running, write_sources

from stream.sources.reconnecting import STILL


def test_a_still_image_is_one_message_and_no_fault(tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("cv2", reason="OpenCV cannot be imported", exc_type=ImportError)
    folder: Path = tmp_path_factory.mktemp("s")
    with CameraServer(fps=25) as camera:
        source = f'kind = "video"\nname = "cam"\nurl = "{camera.url}"\n'
        config = write_sources(folder, source, head="[capture]\nfrozen_s = 1.0\nfault_after_s = 0.0\n")

        with Wire(folder) as wire, running(config, PYTHONPATH=nobody_seen(folder / "stand-in")):

            def told() -> list[tuple[str, str]]:
                return [(state, detail) for source, state, detail in wire.states if source == "cam"]

            def frames() -> int:
                return wire.heartbeat.get("sources", {}).get("cam", {}).get("frames", 0)

            wire.until(lambda: told() == [("running", "")])
            camera.still = True
            wire.until(lambda: len(told()) == 2)
            wire.until(lambda: len(camera.paths) == 2)  # it was opened again
            before, began = frames(), time.monotonic()
            wire.until(lambda: frames() > before + 20 and time.monotonic() - began > 4)
            camera.still = False
            wire.until(lambda: len(told()) == 3)
            assert told() == [("running", ""), ("running", STILL), ("running", "")]
            assert wire.heartbeat["seqs"]["alarm"] == 0
