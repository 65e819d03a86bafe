import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load as parse
from safetensors.numpy import save as format_tensors

from models.checkpoint import KnownAction, Manifest, load, read_manifest, save
from models.errors import CheckpointError, ModelError
from models.preprocess import PreprocessOptions, preprocess
from models.stgcn import TextAlignedSTGCN

DIM = 8
TEXTS = ("a person jumps", "a person standing still")
Damage = Callable[[Path], None]


def make(folder: Path) -> TextAlignedSTGCN:
    torch.manual_seed(0)
    network = TextAlignedSTGCN(DIM).eval()
    manifest = Manifest(
        format=1, architecture="stgcn", arguments={}, layout="kinect_v2", rate_hz=25.0, frames=50,
        preprocess=PreprocessOptions(), text_model="none", text_dim=DIM, temperature=0.07, enter=0.5, exit=0.3,
        bank=(KnownAction("jump", TEXTS[0]),), background=(TEXTS[1],), texts=TEXTS, training={"seed": 0}, terms="none",
    )  # fmt: skip
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    save(folder, manifest, weights, np.eye(2, DIM, dtype=np.float32))
    return network


def windows(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.4, (n, 3, 50, 25)).astype(np.float32)
    return x, (rng.random((n, 50, 25)) > 0.1).astype(np.float32)


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    network = make(tmp_path)
    recogniser = load(tmp_path, "cpu")
    x, mask = windows(3)
    with torch.inference_mode():
        expected = network(torch.from_numpy(preprocess(x, mask, PreprocessOptions()))).numpy()
    np.testing.assert_allclose(recogniser.encode(x, mask), expected, atol=1e-5)
    assert (recogniser.rate_hz, recogniser.frames, recogniser.temperature) == (25.0, 50, 0.07)
    assert recogniser.bank == (KnownAction("jump", TEXTS[0]),)
    assert tuple(recogniser.text) == TEXTS
    assert recogniser.digest == sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert recogniser.device == "cpu"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors", "text.safetensors"]


def test_features_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    make(tmp_path)
    recogniser = load(tmp_path, "cpu")
    x, mask = windows(9)
    together = recogniser.encode(x, mask)
    alone = np.concatenate([recogniser.encode(x[i : i + 1], mask[i : i + 1]) for i in range(9)])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    assert together.dtype == np.float32
    assert recogniser.encode(x[:0], mask[:0]).shape == (0, DIM)


def test_other_shapes_are_refused_by_the_recogniser(tmp_path: Path) -> None:
    make(tmp_path)
    recogniser = load(tmp_path, "cpu")
    with pytest.raises(ValueError, match="expected windows"):
        recogniser.encode(np.zeros((1, 3, 49, 25), np.float32), np.zeros((1, 49, 25), np.float32))


def test_a_missing_device_is_said(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(ModelError, match="expected auto, cpu or cuda"):
        load(tmp_path, "tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA device"):
            load(tmp_path, "cuda")


def remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def write(name: str, data: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(data) and None


def cut(name: str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:-100])
        adopt(folder)

    return damage


def adopt(folder: Path) -> None:
    """Let the manifest vouch for the files as they are now."""
    fields = json.loads((folder / "model.json").read_bytes())
    for key, name in (("weights_sha256", "model.safetensors"), ("text_sha256", "text.safetensors")):
        fields[key] = sha256((folder / name).read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(fields), encoding="utf-8")


def manifest(**changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        fields = json.loads((folder / "model.json").read_bytes())
        fields |= changes
        (folder / "model.json").write_text(json.dumps({k: v for k, v in fields.items() if v is not None}))

    return damage


def tensors(name: str, change: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        values = {key: np.array(value) for key, value in parse(path.read_bytes()).items()}
        change(values)
        path.write_bytes(format_tensors(values))
        adopt(folder)

    return damage


def poison(values: dict[str, np.ndarray]) -> None:
    values["projection.bias"][0] = np.nan


def huge(folder: Path) -> None:
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(2**34)  # sparse: 16 GiB that must not be read


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("model.json"), r"model\.json: cannot be read"),
        (remove("model.safetensors"), r"model\.safetensors: cannot be read"),
        (remove("text.safetensors"), r"text\.safetensors: cannot be read"),
        (write("model.json", b"{"), "not a model manifest"),
        (write("model.json", b""), "not a model manifest"),
        (write("model.json", b"[]"), "not a model manifest"),
        (write("model.json", b"\xff\xfe"), "not a model manifest"),
        (write("model.json", b"[" * 100_000), "not a model manifest"),
        (write("model.json", b" " * (5 * 2**20)), "expected at most"),
        (manifest(format=2), "format 2; this version reads format 1"),
        (manifest(frames="fifty"), "not a model manifest"),
        (manifest(terms=None), "missing required field `terms`"),
        (manifest(surprise=1), "unknown field `surprise`"),
        (manifest(layout="kinect_v1"), "layout 'kinect_v1'; expected 'kinect_v2', 25 joints"),
        (manifest(frames=0), "frames is 0; expected 2"),
        (manifest(frames=10**9), "frames is 1000000000"),
        (manifest(text_dim=10**9), "text_dim is 1000000000"),
        (manifest(temperature=0), "temperature is 0"),
        (manifest(exit=0.9), "exit is 0.9"),
        (manifest(preprocess={"centre": "moon"}), "not a model manifest"),
        (manifest(architecture="eval"), "architecture 'eval'; known: stgcn"),
        (manifest(arguments={"layers": 7}), r"arguments \{.layers.: 7\} do not fit stgcn"),
        (manifest(arguments={"text_dim": 9}), "text_dim 9 is not that of the text model"),
        (manifest(weights_sha256="0" * 64), "its sha256 is not the one in"),
        (manifest(texts=["one"]), r"expected \(1, 8\)"),
        (write("model.safetensors", b"x" * 1000), "its sha256 is not the one in"),
        (write("model.safetensors", pickle.dumps({"a": 1})), "is a pickle"),
        (write("model.safetensors", b"PK\x03\x04" + b"x" * 100), "is a pickle"),
        (huge, "expected at most"),
        (cut("model.safetensors"), "not a safetensors file"),
        (cut("text.safetensors"), "not a safetensors file"),
        (
            tensors("model.safetensors", lambda t: t.pop("projection.bias")),
            "lacks 1 tensors, the first 'projection.bias'",
        ),
        (
            tensors("model.safetensors", lambda t: t.update(extra=np.zeros(1))),
            "has 1 tensors too many, the first 'extra'",
        ),
        (
            tensors("model.safetensors", lambda t: t.update({"projection.bias": np.zeros(9)})),
            r"is \(9,\); expected \(8,\)",
        ),
        (tensors("model.safetensors", poison), "projection.bias holds numbers that are not finite"),
        (tensors("text.safetensors", lambda t: t.update(vectors=np.zeros((2, DIM)))), "not of unit length"),
        (tensors("text.safetensors", lambda t: t.pop("vectors")), "holds nothing under 'vectors'"),
    ],
)
def test_damage_is_refused_in_one_line(tmp_path: Path, damage: Damage, message: str) -> None:
    make(tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(tmp_path, "cpu")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_reading_what_a_checkpoint_says_needs_no_torch(tmp_path: Path) -> None:
    make(tmp_path)
    assert read_manifest(tmp_path).texts == TEXTS
    program = (
        "import sys; from pathlib import Path; from models.checkpoint import read_manifest; "
        "read_manifest(Path(sys.argv[1])); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])
