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

from models.backend import Backend
from models.checkpoint import FORMAT, KnownAction, Manifest, Trusted, load, read_manifest, save
from models.errors import CheckpointError, ModelError
from models.frame50 import frame50
from models.normaliser import NormaliserState, normalise
from models.recipe import RecipeNetwork, make_recipe
from models.streaming import StreamingNetwork

DIM = 8
TEXTS = ("a person jumps", "a person standing still")
Damage = Callable[[Path], None]


def make(folder: Path) -> RecipeNetwork:
    torch.manual_seed(0)
    network = make_recipe("pgfa", "stgcn", DIM, {}).eval()
    manifest = Manifest(
        format=FORMAT, architecture="method", arguments={}, recipe="pgfa", encoder="stgcn", layout="kinect_v2",
        rate_hz=25.0, frames=50, text_model="none", text_dim=DIM, temperature=0.07, enter=0.5, exit=0.3,
        bank=(KnownAction("jump", TEXTS[:1]),), background=(TEXTS[1],), texts=TEXTS, training={"seed": 0}, terms="none",
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
        expected = network(torch.from_numpy(frame50(x[..., None], (mask > 0)[..., None])))
        embedded = network.method.embed(expected).numpy()
    features = recogniser.encode(x, mask)
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(recogniser.embedding(features), embedded, atol=1e-5)
    assert recogniser.embedding_dim == DIM
    assert (recogniser.rate_hz, recogniser.frames, recogniser.manifest.temperature) == (25.0, 50, 0.07)
    assert recogniser.bank == (KnownAction("jump", TEXTS[:1]),)
    assert tuple(recogniser.text) == TEXTS
    assert recogniser.digest == sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert recogniser.choice.backend == Backend("cpu", "fp32")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors", "text.safetensors"]


def test_features_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    make(tmp_path)
    recogniser = load(tmp_path, "cpu")
    x, mask = windows(9)
    together = recogniser.encode(x, mask)
    alone = np.concatenate([recogniser.encode(x[i : i + 1], mask[i : i + 1]) for i in range(9)])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert together.dtype == np.float32
    assert recogniser.encode(x[:0], mask[:0]).shape == (0, 256)
    assert recogniser.embedding(together[:0]).shape == (0, DIM)
    longer = np.concatenate([x, x], axis=2)
    assert recogniser.encode_clips(longer, np.concatenate([mask, mask], axis=1)).shape == (9, 256)


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
    values["method.projection.bias"][0] = np.nan


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
        (manifest(format=3), "format 3; this version reads format 2"),
        (manifest(frames="fifty"), "not a model manifest"),
        (manifest(terms=None), "missing required field `terms`"),
        (manifest(surprise=1), "unknown field `surprise`"),
        (manifest(layout="kinect_v1"), "layout 'kinect_v1'; expected 'kinect_v2', 25 joints"),
        (manifest(frames=0), "frames is 0; expected 2"),
        (manifest(frames=10**9), "frames is 1000000000"),
        (manifest(text_dim=10**9), "text_dim is 1000000000"),
        (manifest(temperature=0), "temperature is 0"),
        (manifest(exit=0.9), "exit is 0.9"),
        (manifest(architecture="stgcn"), "architecture 'stgcn'; known: streaming, method"),
        (manifest(arguments={"layers": 7}), r"arguments \{.layers.: 7\} do not fit pgfa"),
        (manifest(arguments={"text_dim": 9}), r"arguments \{.text_dim.: 9\} do not fit pgfa"),
        (manifest(arguments={"beta": "much"}), "not a model manifest"),
        (manifest(recipe="magic"), "recipe 'magic': expected one of devise"),
        (manifest(recipe=7), "not a model manifest"),
        (manifest(encoder="resnet"), "encoder 'resnet': expected stgcn or shiftgcn"),
        (manifest(encoder="shiftgcn"), "tensors"),
        (manifest(bank=[]), "no actions in its bank"),
        (manifest(bank=[{"name": "jump", "texts": []}]), "an action without text in its bank"),
        (manifest(text_dim=9), r"expected \(2, 9\)"),
        (manifest(weights_sha256="0" * 64), "its sha256 is not the one in"),
        (manifest(texts=["one"]), r"expected \(1, 8\)"),
        (write("model.safetensors", b"x" * 1000), "its sha256 is not the one in"),
        (write("model.safetensors", pickle.dumps({"a": 1})), "is a pickle"),
        (write("model.safetensors", b"PK\x03\x04" + b"x" * 100), "is a pickle"),
        (huge, "expected at most"),
        (cut("model.safetensors"), "not a safetensors file"),
        (cut("text.safetensors"), "not a safetensors file"),
        (
            tensors("model.safetensors", lambda t: t.pop("method.projection.bias")),
            "lacks 1 tensors, the first 'method.projection.bias'",
        ),
        (
            tensors("model.safetensors", lambda t: t.update(extra=np.zeros(1))),
            "has 1 tensors too many, the first 'extra'",
        ),
        (
            tensors("model.safetensors", lambda t: t.update({"method.projection.bias": np.zeros(9)})),
            r"is \(9,\); expected \(8,\)",
        ),
        (tensors("model.safetensors", poison), "method.projection.bias holds numbers that are not finite"),
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


def test_a_checkpoint_of_version_0_1_0_is_read(tmp_path: Path) -> None:
    make_streaming(tmp_path)
    digest = load(tmp_path, "cpu").digest
    manifest(preprocess={"centre": "height", "scale": True}, recipe=None, encoder=None)(tmp_path)
    assert load(tmp_path, "cpu").digest == digest


def make_streaming(folder: Path, **changes: Any) -> StreamingNetwork:
    torch.manual_seed(0)
    network = StreamingNetwork(own=2, taught=3, channels=16, hidden=16, features=12).eval()
    texts = ("sit down", "a person sits down", "fall", "throw", "stand", "wave")
    bank = (
        KnownAction("sit", texts[:2], "ntu120"), KnownAction("fall", texts[2:3], "ntu120"),
        KnownAction("throw", texts[3:4], "ntu120"), KnownAction("stand", texts[4:5], background=True),
        KnownAction("wave", texts[5:6]),
    )  # fmt: skip
    arguments = {"own": 2, "taught": 3, "channels": 16, "hidden": 16, "features": 12}
    known: dict[str, Any] = {
        "format": FORMAT, "architecture": "streaming", "arguments": arguments, "layout": "kinect_v2", "rate_hz": 25.0,
        "frames": 50, "text_model": "none", "text_dim": DIM, "enter": 0.5, "exit": 0.3, "bank": bank,
        "background": (), "texts": texts, "training": {}, "terms": "none",
        "trust": Trusted((0.3, 0.8), (0.1, 1.0), 0.5),
    }  # fmt: skip
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    save(folder, Manifest(**(known | changes)), weights, np.eye(6, DIM, dtype=np.float32))
    return network


def test_a_streaming_model(tmp_path: Path) -> None:
    network, (x, mask) = make_streaming(tmp_path), windows(3)
    recogniser = load(tmp_path, "cpu")
    inputs = normalise(x.transpose(0, 2, 3, 1), mask, NormaliserState.new(3))
    with torch.inference_mode():
        expected = network.judge(network(torch.from_numpy(inputs))).numpy()
    features = recogniser.encode(x, mask)
    np.testing.assert_allclose(features, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(recogniser.embedding(features), axis=1), 1, atol=1e-5)
    similarity, probability = recogniser.head.scorer([np.eye(6, DIM, dtype=np.float32)[5:6]])(features)
    np.testing.assert_allclose(similarity[:, 0], features[:, 4], atol=1e-5)
    np.testing.assert_allclose(probability, similarity)
    longer = np.concatenate([x, x], axis=2)
    assert recogniser.encode_clips(longer, np.concatenate([mask, mask], axis=1)).shape == features.shape
    assert recogniser.encode(x[:0], mask[:0]).shape == (0, features.shape[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trust": None}, "no trust"),
        ({"trust": Trusted((0.8, 0.3), (0.1, 1.0), 0.5)}, "as many weights as increasing cosines"),
        ({"bank": (KnownAction("sit", ("sit down",)),)}, "is not 1, the number of actions in the bank"),
        ({"bank": tuple(KnownAction(str(i), (f"unheard of {i}",)) for i in range(5))}, "no vector of 'unheard of 0'"),
        ({"arguments": {"own": 2, "taught": 3, "colour": 4}}, "do not fit streaming"),
    ],
)
def test_a_streaming_model_that_lacks_something(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    make_streaming(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(tmp_path, "cpu")
    assert "\n" not in str(caught.value)
