"""Images never leave the capture process: not in the other processes' memory, on the wire, or on the disk.

A camera shows the same noise all the time, which is looked for byte for byte: as the camera sends it (JPEG), and as it
is after decoding. That the capture process itself holds both shows that the search finds them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import get_args, get_type_hints

import pytest
import zmq
from camera_server import CameraServer, noise
from running_daemon import Wire, children_of, roles_of, running, write_sources
from small_model import make_model

from stream.daemon import links
from stream.types import Clip, Example, Scores, SkeletonFrame, Tracked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into the memory of processes")
SAMPLE = 48
"""Bytes of noise that are looked for: more than chance will ever repeat."""
STAND_IN = """
import contextlib
from types import SimpleNamespace
import numpy as np
from stream.vision import people

class Somebody:
    def update(self, t_ns, image_bgr):
        self.kept = image_bgr
        image = np.random.default_rng(t_ns % 1000).uniform(50, 200, (33, 3)).astype(np.float32)
        return [SimpleNamespace(id=1, pose=SimpleNamespace(image=image, visibility=np.ones(33, np.float32)))]
    def reset(self):
        return None

people.crowd = lambda *_, **__: contextlib.nullcontext(Somebody())
"""
"""In place of the pose network: one person in every image."""


def memory_of(pid: int) -> Iterator[bytes]:
    """What a process holds that it may write to, piece by piece; pieces overlap, so that no sample is cut in two."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if "w" not in rights:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            for at in range(start, end, 16 << 20):
                try:
                    memory.seek(at)
                    yield memory.read(min(end, at + (16 << 20) + SAMPLE) - at)
                except OSError:  # reserved, and nothing there; or gone
                    continue


def found_in(pid: int, samples: dict[str, bytes]) -> set[str]:
    """Names of the samples that a process holds."""
    found: set[str] = set()
    for piece in memory_of(pid):
        found |= {name for name, sample in samples.items() if sample in piece}
    return found


def samples_of(camera: CameraServer) -> dict[str, bytes]:
    """What to look for: amid the compressed image, and amid a row of the decoded one."""
    import cv2

    jpeg = cv2.imencode(".jpg", noise(0, camera.size))[1]
    image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    whole, row = jpeg.tobytes(), image[image.shape[0] // 2].tobytes()
    return {name: data[len(data) // 2 :][:SAMPLE] for name, data in (("jpeg", whole), ("pixels", row))}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_images_are_in_no_other_process_and_nowhere_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("cv2", reason="OpenCV cannot be imported", exc_type=ImportError)
    folder, tools = tmp_path_factory.mktemp("i"), tmp_path_factory.mktemp("stand-in")
    (tools / "sitecustomize.py").write_text(STAND_IN)
    path = os.pathsep.join([str(tools), str(Path(__file__).parents[3])])
    make_model(folder / "model")
    camera = CameraServer(fps=20.0)
    camera.still = True
    with camera:
        samples = samples_of(camera)
        source = f'kind = "video"\nname = "cam"\nurl = "{camera.url}"\njoints = "2d"\n'
        head = '[model]\npath = "model"\ndevice = "cpu"\n[capture]\nfrozen_s = 3600.0\n'
        config = write_sources(folder, source, head=head)
        config.write_text(config.read_text() + '[[prompts]]\nname = "any"\ntext = "a person jumps"\nenter = 0.0\n'
                          'exit = 0.0\nmargin = -2.0\nseverity = "alert"\n')  # fmt: skip
        with running(config, PYTHONPATH=path) as process, Wire(folder) as wire:
            heard: list[bytes] = []
            wire.socket.setsockopt(zmq.SUBSCRIBE, b"")
            deadline = time.monotonic() + 120
            while not any(part.startswith(b"alarm/") for part in heard) or sum(map(len, heard)) < 100_000:
                assert time.monotonic() < deadline, (folder / "daemon.log").read_text()
                if wire.socket.poll(200):
                    heard += wire.socket.recv_multipart()
            roles = roles_of(process.pid)
            (capture,) = roles.pop("capture")
            others = {pid: role for role, pids in roles.items() for pid in pids} | {process.pid: "supervisor"}
            assert set(others) | {capture} == {process.pid, *children_of(process.pid)}
            assert {"worker", "publisher"} <= set(others.values())
            try:
                held: set[str] = set()
                while held != set(samples) and time.monotonic() < deadline:
                    held |= found_in(capture, samples)
            except PermissionError:
                pytest.skip("this system lets nobody look into the memory of other processes")
            assert held == set(samples), "the search finds nothing where images are"
            for pid, role in others.items():
                assert found_in(pid, samples) == set(), role
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    for name, sample in samples.items():
        assert sample not in b"".join(heard), f"{name} on the wire"
        for file in folder.rglob("*"):
            if file.is_file() and not file.is_symlink():
                assert sample not in file.read_bytes(), f"{name} in {file}"
    stored = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert stored - {"test.toml", "daemon.log"} - {f"model/{file.name}" for file in (folder / "model").iterdir()} <= {
        f"state/posewire/posewire/{name}" for name in ("lock", "journal.db", "journal.db-wal", "journal.db-shm")
    }


def test_no_message_between_processes_has_room_for_an_image() -> None:
    """Of arrays and bytes the messages have these alone: joints, confidence, ids, scores, embeddings, recordings."""
    arrays = {
        SkeletonFrame: {"joints", "confidence", "track_ids"},
        Tracked: {"joints", "confidence", "track_ids"},
        Scores: {"similarity", "probability", "margin"},
        Example: {"embedding"},
        Clip: {"recording"},
    }
    assert isinstance(links.Message, UnionType)
    for kind in get_args(links.Message):
        hints = get_type_hints(kind)
        large = {name for name, hint in hints.items() if "ndarray" in str(hint) or "bytes" in str(hint)}
        assert large == arrays.get(kind, set()), kind
