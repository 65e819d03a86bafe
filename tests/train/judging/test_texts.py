import json
from pathlib import Path

import pytest

from train.judging.texts import PromptsError, is_background, read_texts


def prompts(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_labels_are_texts() -> None:
    assert read_texts(None, {"sit_down", "wave"}) == {"sit_down": ("sit down",), "wave": ("wave",)}
    assert [is_background(label) for label in ("None", " other ", "nothing", "wave")] == [True, True, True, False]


def test_a_label_may_have_several_texts(tmp_path: Path) -> None:
    path = prompts(tmp_path / "p.json", {"b": ["one", "two", "one"], "a": "a person does a", "none": "rest"})
    assert read_texts(path, {"a", "b"}, {"none"}) == {"a": ("a person does a",), "b": ("one", "two")}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": "x"}, "lacks 'b'; expected a text for each label"),
        ({"a": "x", "b": "y", "c": "z"}, "has 'c'; the data's labels are 'a', 'b'"),
        ({"a": "x", "b": 3}, "'b': expected a text, or a list of texts"),
        ({"a": "x", "b": []}, "'b': expected a text"),
        ({"a": " ", "b": "y"}, "'a': expected a text"),
        ({"a": "x" * 2001, "b": "y"}, "2001 characters"),
        (["a", "b"], "not an object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(PromptsError, match=message) as caught:
        read_texts(prompts(tmp_path / "p.json", value), {"a", "b"})
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PromptsError, match="cannot be read"):
        read_texts(tmp_path / "p.json", {"a"})
