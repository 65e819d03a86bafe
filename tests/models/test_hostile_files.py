"""Whatever is in the files of models, and of what was learnt with them: one clear line, bounded memory, no code run."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load as parse
from safetensors.numpy import save as format_tensors
from test_checkpoint import DIM, adopt, make, make_streaming, manifest
from test_pointset import save as save_pointset

from models.checkpoint import load
from models.errors import CheckpointError, ModelError
from models.examples import Examples
from models.examples import load as load_examples
from models.examples import save as save_examples
from models.input_file import parse_tensors
from models.normal import NormalModel
from models.normal_file import load_normals, save_normals
from models.pointset_model import load_pointset
from models.prototypes import OnlinePrototypes

ROOT = Path(__file__).parents[2]
DIGEST = "0" * 64


class Ran:
    """Tells whether a pickle was run."""

    told = False

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return setattr, (Ran, "told", True)


def header(said: object, body: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file, of which the header may lie about its own length."""
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(shape: list[int], start: int, end: int, kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def zipped(size: int) -> bytes:
    """A zip of zeros, a thousandth of what it unpacks to."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("data.pkl", "w") as member:
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return file.getvalue()


ONE = json.dumps(tensor([1], 0, 4)).encode()
FILES = {
    "empty": b"",
    "three bytes": b"abc",
    "text": b"x" * 1000,
    "pickle": pickle.dumps(Ran()),
    "zip bomb": zipped(64 << 20),
    "header of 2^60 bytes": header({"a": tensor([1], 0, 4)}, bytes(4), 1 << 60),
    "header of 2^64 - 1 bytes": header({"a": tensor([1], 0, 4)}, bytes(4), (1 << 64) - 1),
    "header longer than the file": header({"a": tensor([1], 0, 4)}, bytes(4), 1000),
    "no header": struct.pack("<Q", 0),
    "header of 5 MiB": header(b'{"a":"' + b"x" * (5 << 20) + b'"}'),
    "duplicate keys": header(b'{"a":%s,"a":%s}' % (ONE, ONE), bytes(4)),
    "duplicate keys within": header(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "duplicate metadata": header(b'{"__metadata__":{"format":"x","format":"y"},"a":%s}' % ONE, bytes(4)),
    "no object": header(b"null"),
    "deep": header(b"[" * 100_000),
    "not UTF-8": header(b'{"\xff":1}'),
    "overlapping": header({"a": tensor([1], 0, 4), "b": tensor([1], 0, 4)}, bytes(4)),
    "more than its tensors": header({"a": tensor([1], 0, 4)}, bytes(40)),
    "less than its tensors": header({"a": tensor([10], 0, 40)}, bytes(4)),
    "overflowing shape": header({"a": tensor([1 << 32, 1 << 32], 0, 0)}),
    "dimension of 2^63": header({"a": tensor([1 << 63, 0], 0, 0)}),
    "70 dimensions": header({"a": tensor([1] * 70, 0, 4)}, bytes(4)),
    "negative shape": header({"a": tensor([-1], 0, 4)}, bytes(4)),
    "bfloat16": header({"a": tensor([2], 0, 4, "BF16")}, bytes(4)),
    "float8": header({"a": tensor([4], 0, 4, "F8_E4M3")}, bytes(4)),
    "unknown kind": header({"a": tensor([4], 0, 4, "XX")}, bytes(4)),
    "huge shape of nothing": header({"a": tensor([1 << 40, 0], 0, 0)}),
    "other tensors": format_tensors({"a": np.zeros(3, np.float32)}),
}

Load = Callable[[], object]


def vouch(folder: Path) -> None:
    """Let the manifest vouch for the files as they are, where they are files."""
    if all(path.is_file() for path in folder.glob("*.safetensors")):
        adopt(folder)


def checkpoint_weights(folder: Path) -> tuple[Path, Load]:
    make(folder)
    return folder / "model.safetensors", lambda: (vouch(folder), load(folder, "cpu"))


def checkpoint_text(folder: Path) -> tuple[Path, Load]:
    make(folder)
    return folder / "text.safetensors", lambda: (vouch(folder), load(folder, "cpu"))


def pointset(folder: Path) -> tuple[Path, Load]:
    save_pointset(folder)
    return folder / "model.safetensors", lambda: (vouch(folder), load_pointset(folder))


def normal(folder: Path) -> tuple[Path, Load]:
    model = NormalModel(4)
    model.add(np.random.default_rng(0).normal(size=(20, 4)))
    save_normals(folder / "normal.safetensors", {"person": model, "scene": NormalModel(4)}, DIGEST)
    return folder / "normal.safetensors", lambda: load_normals(folder / "normal.safetensors", DIGEST)


def examples(folder: Path) -> tuple[Path, Load]:
    path = save_examples(folder, Examples("wave", "a person waves", "info", DIGEST, np.eye(2, DIM, dtype=np.float32)))
    return path, lambda: load_examples(path)


def prototypes(folder: Path) -> tuple[Path, Load]:
    one = OnlinePrototypes(2, 4)
    for row in np.eye(2, 4, dtype=np.float32):
        one.adapt(np.array([0.9, 0.05], np.float32), row)
    one.save(folder / "p.safetensors", DIGEST)
    return folder / "p.safetensors", lambda: OnlinePrototypes(2, 4).restore(folder / "p.safetensors", DIGEST)


KINDS = {kind.__name__: kind for kind in (checkpoint_weights, checkpoint_text, pointset, normal, examples, prototypes)}


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Load]:
    path, read = KINDS[request.param](tmp_path)
    read()  # as it is, it can be read
    return path, read


def refused(path: Path, read: Load, what: str) -> None:
    with pytest.raises(ModelError) as caught:
        read()
    told = str(caught.value)
    assert "\n" not in told, what
    assert str(path.parent) in told, what
    assert len(told) < 1000, what


def test_other_files_are_refused(site: tuple[Path, Load]) -> None:
    path, read = site
    for what, data in FILES.items():
        path.write_bytes(data)
        refused(path, read, what)
    assert not Ran.told


@pytest.mark.parametrize("length", [0x80, 0x280, 0x480, 0x580, 0x4B50])
def test_a_header_of_an_unlucky_length_is_no_pickle(length: int) -> None:
    said = json.dumps({"a": tensor([1], 0, 4)})
    data = header(said.ljust(length).encode(), bytes(4))
    assert data[:1] == b"\x80" or data[:2] == b"PK"
    assert parse_tensors(data, "here")[0].keys() == {"a"}


@pytest.mark.skipif(os.name != "posix", reason="needs pipes and devices in files")
def test_what_is_no_file_is_refused_and_not_waited_for(site: tuple[Path, Load]) -> None:
    path, read = site
    path.unlink()
    os.mkfifo(path)
    refused(path, read, "pipe")
    path.unlink()
    path.symlink_to("/dev/zero")
    refused(path, read, "device")
    path.unlink()
    path.mkdir()
    refused(path, read, "folder")


def test_a_file_cut_short_anywhere_is_refused(site: tuple[Path, Load]) -> None:
    path, read = site
    whole = path.read_bytes()
    for length in {*range(0, 12), len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:length])
        refused(path, read, f"{length} of {len(whole)} bytes")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "prototypes"])
def test_numbers_that_are_none_are_refused(kind: str, number: float, tmp_path: Path) -> None:
    path, read = KINDS[kind](tmp_path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__")
    for name, value in parse(data).items():
        if value.dtype.kind != "f" or not value.size:
            continue
        tensors = {key: np.array(one) for key, one in parse(data).items()}
        tensors[name].reshape(-1)[-1] = number
        path.write_bytes(format_tensors(tensors, metadata))
        refused(path, read, f"{number} in {name}")
        if kind in ("checkpoint_weights", "pointset"):
            break  # all of them take the same way


def test_prototypes_that_are_none_are_not_taken_up(tmp_path: Path) -> None:
    path, read = prototypes(tmp_path)
    assert read() is True
    tensors = {key: np.array(one) for key, one in parse(path.read_bytes()).items()}
    tensors["kept"][0, 0] = np.nan
    path.write_bytes(format_tensors(tensors, {"format": "posewire prototypes 1", "digest": DIGEST}))
    assert read() is False


def test_any_damage_is_a_clear_error_or_none(site: tuple[Path, Load]) -> None:
    path, read = site
    whole, rng = path.read_bytes(), random.Random(5)
    length = int.from_bytes(whole[:8], "little") + 8
    told: list[str] = []
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(length + 8 if rng.random() < 0.8 else len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            read()
        except ModelError as error:
            told.append(str(error))
    assert len(told) > 10
    assert not any("\n" in line for line in told)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "text.safetensors"])
def test_a_link_of_the_digest_is_no_way_around_it(name: str, tmp_path: Path) -> None:
    """What the manifest does not vouch for is not parsed at all."""
    make(tmp_path)
    path = tmp_path / name
    path.write_bytes(header({"a": tensor([1], 0, 4)}, bytes(4)))
    with pytest.raises(CheckpointError, match=r"its sha256 is not|not a model manifest"):
        load(tmp_path, "cpu")


@pytest.mark.parametrize("text", ['{"format": 2, "format": 2}', '{"format": 2, "arguments": {"a": 1, "a": 2}}'])
def test_a_key_that_stands_twice_in_a_manifest(text: str, tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "model.json").write_text(text)
    for read in (load, load_pointset):
        with pytest.raises(CheckpointError, match="stands twice; expected it once"):
            read(tmp_path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 5000])
def test_a_number_in_a_manifest_that_is_none(number: str, tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"temperature": 0.07', f'"temperature": {number}'))
    assert number in path.read_text()
    with pytest.raises(CheckpointError, match=r"model\.json: not a model manifest") as caught:
        load(tmp_path, "cpu")
    assert "\n" not in str(caught.value)


BOUNDED = """
import resource, sys
from pathlib import Path
import models.recogniser, models.pointset_model
from models.checkpoint import load
from models.errors import ModelError
from models.pointset_model import load_pointset

held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (512 << 20), resource.RLIM_INFINITY))
for folder in sys.argv[1:]:
    try:
        (load_pointset if "pointset" in folder else load)(Path(folder))
    except ModelError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="bounds its memory as Linux does")
def test_memory_is_bounded_whatever_a_checkpoint_asks_for(tmp_path: Path) -> None:
    """A process that may take 512 MiB more than it holds refuses all of these, for their own sake."""
    sizes = {"channels": 10**6, "hidden": 10**6, "features": 10**9, "own": 10**9}
    for name, size in sizes.items():
        folder = tmp_path / name
        make_streaming(folder)
        arguments = {"own": 2, "taught": 3, "channels": 16, "hidden": 16, "features": 12, name: size}
        if name == "own":
            arguments["taught"] = 5 - size
        manifest(arguments=arguments)(folder)
    for name, data in (("bomb", FILES["zip bomb"]), ("header", FILES["header of 2^60 bytes"])):
        make(tmp_path / name)
        (tmp_path / name / "model.safetensors").write_bytes(data)
        adopt(tmp_path / name)
    for name in ("sparse", "zero"):
        make(tmp_path / name)
        (tmp_path / name / "model.safetensors").unlink()
    (tmp_path / "zero" / "model.safetensors").symlink_to("/dev/zero")
    with (tmp_path / "sparse" / "model.safetensors").open("wb") as file:
        file.truncate(1 << 40)
    save_pointset(tmp_path / "pointset")
    fields = json.loads((tmp_path / "pointset" / "model.json").read_bytes())
    fields["arguments"] |= {"width": 512, "blocks": 16, "features": 1024}
    (tmp_path / "pointset" / "model.json").write_text(json.dumps(fields))
    folders = sorted(path for path in tmp_path.iterdir() if path.is_dir())
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, *map(str, folders)],
        cwd=ROOT, capture_output=True, text=True, timeout=110, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == len(folders), done.stdout + done.stderr
    assert all(str(folder) in line for folder, line in zip(folders, lines, strict=True))
    assert done.returncode == 0


def test_the_digest_is_of_all_bytes(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert sha256(data).hexdigest() not in (tmp_path / "model.json").read_text()
    with pytest.raises(CheckpointError, match="its sha256 is not the one in"):
        load(tmp_path, "cpu")
