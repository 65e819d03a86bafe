"""Untrained networks of every recipe, exported, loaded and served on the bundled recordings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from models import text as text_module
from models.checkpoint import Manifest, load
from models.encoders import make_encoder
from models.errors import CheckpointError, ModelError
from models.method_head import MethodHead
from models.methods import METHODS, Method, method_class
from models.prototypes import KEPT
from models.words import facet_texts
from stream.config import Config
from stream.pipeline import Output
from stream.prompts import Prompt
from stream.publisher import Publisher
from stream.service import Service, load_service, make_prompts
from stream.sources.files import open_source
from stream.types import Event, Scores
from train.judging import zero_shot
from train.judging.clips import Encoded
from train.papers.parts import Division, Part
from train.papers.recipes import arguments
from train.papers.serve import calibrate_recipe, export_recipe

ROOT = Path(__file__).parents[3]
RECORDINGS = (ROOT / "tests" / "data" / "kinect_v2.csv", ROOT / "stream" / "demo" / "Seq1_10.csv")
DIM = 24
CLASSES = ("wave a hand", "punch", "jump up", "kick a ball")
TEXTS = [(f"a person does {name}", name) if name == "punch" else (name,) for name in CLASSES]


def embed(texts: Sequence[str]) -> np.ndarray:
    """A random unit vector for each text, the same each time."""
    seeds = [int.from_bytes(sha256(text.encode()).digest()[:8], "little") for text in texts]
    vectors = np.stack([np.random.default_rng(seed).normal(size=DIM) for seed in seeds])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def division(dataset: str = "utd_mhad") -> Division:
    """A few random clips of classes 0, 1 and 3; class 2 is unseen."""
    x = np.random.default_rng(0).normal(0, 0.3, (9, 3, 50, 25, 2)).astype(np.float32)
    part, none = Part(x, np.repeat([0, 1, 3], 3)), Part(x[:0], np.zeros(0, np.int64))
    return Division(dataset, "mine", CLASSES, (0, 1, 3), (2,), part, part, none, none)


def method(recipe: str, dataset: str = "utd_mhad") -> Method:
    torch.manual_seed(1)
    return method_class(recipe)(DIM, **arguments(recipe, dataset)).eval().requires_grad_(False)


def export(folder: Path, made: str, encoder: str = "stgcn", **changes: Any) -> Manifest:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "recipe": made, "encoder_name": encoder, "division": division(), "texts": TEXTS, "text_model": "nowhere",
        "embed": embed, "temperature": 0.5, "enter": 0.5, "exit": 0.3, "training": {"seed": 0, "top-1": 0.25},
    }  # fmt: skip
    return export_recipe(folder, make_encoder(encoder), method(made), **(given | changes))


@pytest.fixture
def _no_text_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing but what is shipped can be embedded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(text_module, "find_spec", lambda _name: None)


def service(folder: Path, **changes: Any) -> Service:
    return load_service(Config.model_validate({"model": {"path": str(folder), "device": "cpu"}, **changes}))


@pytest.mark.usefixtures("_no_text_model")
@pytest.mark.parametrize(("recipe", "encoder"), [*((recipe, "stgcn") for recipe in METHODS), ("pgfa", "shiftgcn")])
def test_every_recipe_is_served(recipe: str, encoder: str, tmp_path: Path) -> None:
    manifest = export(tmp_path / "model", recipe, encoder)
    served = service(tmp_path / "model")
    assert isinstance(served.recogniser.head, MethodHead)
    assert recipe in served.description
    assert len(served.recogniser.references) == 3
    assert {"wave a hand", "kick a ball"} <= set(served.prompts.background)
    outputs: list[Output] = []
    for path in RECORDINGS:
        with open_source(path) as source:
            outputs += [output for frame in source for output in served.pipeline.push([frame])]
    scores = [output for output in outputs if isinstance(output, Scores)]
    assert len({one.source for one in scores}) == 2
    names = [prompt.name for prompt in served.prompts.prompts]
    wire = Publisher("test", epoch="e")
    for output in outputs:
        if isinstance(output, Scores):
            wire.publish_scores(output, names)  # refuses what does not keep the contract
            assert output.probability.sum() <= 1 + 1e-5
        elif isinstance(output, Event):
            wire.publish_event(output)
    assert np.ptp(np.stack([one.similarity for one in scores]), axis=0).max() > 0  # it looks at the windows
    embeddings = served.recogniser.embedding(np.abs(np.random.default_rng(0).normal(size=(3, 256))).astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-3)
    assert embeddings.shape == (3, served.recogniser.embedding_dim)

    again = export(tmp_path / "again", recipe, encoder)
    assert (again.weights_sha256, again.text_sha256) == (manifest.weights_sha256, manifest.text_sha256)
    assert service(tmp_path / "again").prompts.digest == served.prompts.digest
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "UTD-MHAD" in card
    assert "jump up" in card


@pytest.mark.usefixtures("_no_text_model")
@pytest.mark.parametrize("recipe", ["smie", "pgfa"])
def test_prototypes_of_a_recipe_are_learned_kept_and_reset(recipe: str, tmp_path: Path) -> None:
    """SMIE's texts have no place among its embeddings, PGFA's have."""
    export(tmp_path / "model", recipe, temperature=1e-3)  # an untrained network is sure of something
    kept = {"enabled": True, "path": str(tmp_path / "prototypes.safetensors")}
    prompts = [{"name": name.replace(" ", "-"), "text": name} for name in CLASSES]

    def served(**changes: Any) -> Service:
        given = {"prompts": prompts, "prototypes": kept, "background": {"texts": [], "bank": False}}
        return service(tmp_path / "model", **(given | changes))

    first = served()
    assert first.prototypes is not None
    with open_source(RECORDINGS[0]) as source:
        for frame in source:
            first.pipeline.push([frame])
    first.keep_prototypes()
    state = load_file(kept["path"])
    assert 0 < len(state["kept"]) <= KEPT * len(CLASSES)
    np.testing.assert_allclose(np.linalg.norm(state["kept"], axis=1), 1, atol=1e-3)
    again = served()
    again.keep_prototypes()
    np.testing.assert_equal(load_file(kept["path"]), state)
    other = served(prompts=prompts[:3])
    other.keep_prototypes()
    assert len(load_file(kept["path"])["kept"]) == 0  # what was learned for other prompts is not theirs
    assert served(prototypes={"enabled": False}).prototypes is None


def test_shift_gcn_is_served_too(tmp_path: Path) -> None:
    export(tmp_path, "devise", "shiftgcn", arguments={})
    x = np.random.default_rng(0).normal(0, 0.3, (2, 3, 50, 25)).astype(np.float32)
    assert load(tmp_path, "cpu").encode(x, np.ones((2, 50, 25), np.float32)).shape == (2, 256)


def test_what_is_served_scores_as_what_was_trained(tmp_path: Path) -> None:
    export(tmp_path, "pgfa", training={})
    recogniser, trained = load(tmp_path, "cpu"), method("pgfa")
    features = np.random.default_rng(0).normal(size=(4, 256)).astype(np.float32)
    texts = torch.from_numpy(np.stack([embed(group) for group in (("a",), ("b",), ("c",))]))
    expected = trained.matcher(texts)(torch.from_numpy(features))
    similarity, probability = recogniser.head.scorer([one.numpy() for one in texts])(features)
    np.testing.assert_allclose(similarity, expected / (1 + expected.abs()), atol=2e-3)
    np.testing.assert_allclose(probability, torch.softmax(expected / 0.5, dim=1), atol=5e-3)


@pytest.mark.usefixtures("_no_text_model")
def test_a_text_that_is_not_shipped_says_what_to_do(tmp_path: Path) -> None:
    export(tmp_path, "pgfa")
    served = service(tmp_path)
    with pytest.raises(ModelError, match="text model 'nowhere': sentence-transformers is not installed; install"):
        make_prompts(Config(), served.recogniser, [Prompt("new", "a person yodels")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "magic"}, "recipe 'magic': expected one of"),
        ({"encoder": "resnet"}, "encoder 'resnet': expected"),
        ({"encoder": "shiftgcn"}, "tensors"),
        ({"arguments": {"latent": 3}}, "do not fit pgfa"),
        ({"temperature": -1}, "temperature is -1"),
        ({"text_dim": DIM + 1}, "expected"),
        ({"bank": []}, "no actions in its bank"),
    ],
)
def test_damaged_manifests_are_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    export(tmp_path, "pgfa")
    path = tmp_path / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(CheckpointError, match=message) as caught:
        load(tmp_path, "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "smie"}, "lacks"),
        ({"encoder_name": "shiftgcn"}, "lacks"),
        ({"texts": TEXTS[:3]}, "for each of 4 classes"),
        ({"texts": [*TEXTS[:3], ()]}, "for each of 4 classes"),
        ({"arguments": {"latent": 3}}, "takes no arguments"),
        (
            {"division": replace(division(), train=Part(np.zeros((3, 256), np.float32), np.array([0, 1, 3])))},
            "has features only",
        ),
    ],
)
def test_what_is_not_what_it_is_called_is_not_exported(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        export(tmp_path / "model", "pgfa", **changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_terms_follow_the_data(tmp_path: Path) -> None:
    assert "non-commercial" in export(tmp_path / "a", "pgfa", division=division("utd_mhad+msrc12")).terms
    assert "MSRC-12" in (tmp_path / "a" / "README.md").read_text(encoding="utf-8")
    assert "non-commercial" not in export(tmp_path / "b", "pgfa", division=division("mine")).terms
    assert "its owner's" in (tmp_path / "b" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("recipe", ["pgfa", "jpose"])
def test_clips_are_judged_by_text(recipe: str, tmp_path: Path) -> None:
    export(tmp_path, recipe)
    recogniser = load(tmp_path, "cpu")
    features = np.random.default_rng(0).normal(size=(8, 256)).astype(np.float32)
    encoded = Encoded(features, np.arange(8), tuple(CLASSES) * 2, ("s1",) * 4 + ("s2",) * 4)
    asked: set[str] = set()

    def asking(texts: Sequence[str]) -> np.ndarray:
        asked.update(texts)
        return embed(texts)

    figures = zero_shot.judge(encoded, recogniser, {name: (name,) for name in CLASSES}, asking, seeds=2)
    assert figures["n"] == 8
    facets = method_class(recipe).facets
    assert set(facet_texts("kick a ball", facets)) <= asked


def test_the_temperature_is_found_again() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 40, (4000, 8)).astype(np.float32)
    probability = np.exp(scores / 20 - (scores / 20).max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    labels = (probability.cumsum(axis=1) > rng.random((len(scores), 1))).argmax(axis=1)
    temperature, enter, leave = calibrate_recipe(scores, labels)
    assert temperature == pytest.approx(20, rel=0.15)
    assert 0 < leave < enter < 1
    cold = calibrate_recipe(scores / 4000, labels)
    assert cold.temperature == pytest.approx(temperature / 4000, rel=0.07)


def test_nothing_is_calibrated_on_nothing() -> None:
    with pytest.raises(ModelError, match="at least one held-out clip"):
        calibrate_recipe(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))
    with pytest.raises(ModelError, match="finite scores"):
        calibrate_recipe(np.full((1, 3), np.nan, np.float32), np.zeros(1, np.int64))
