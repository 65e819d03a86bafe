import json
from pathlib import Path

import pytest

from train.datasets import described
from train.datasets.described import PARTS, Vocabulary, class_names, load_descriptions, read_descriptions
from train.datasets.labels import load_actions

ROOT = Path(__file__).parents[2]
PKU = ROOT.parent / "shared" / "data" / "text" / "pku51_classes.txt"
VOCABULARIES: tuple[Vocabulary, ...] = ("ntu120", "own", "pku51")
FILES = sorted(described.FOLDER.glob("*.toml"))
WHOLE = """
[[action]]
name = "nod"
sentences = ["a person nods", "someone dips the head", "nodding yes"]
motion = "The head goes down and up."

[action.parts]
head = "The head dips."
arms = "The arms hang."
torso = "The torso is still."
legs = "The legs are still."
"""


def names(vocabulary: Vocabulary) -> list[str]:
    return [description.name for description in load_descriptions(vocabulary)]


def test_names_are_those_of_ntu_in_its_order() -> None:
    bank = json.loads((ROOT / "train/datasets/ntu120.json").read_text(encoding="utf-8"))
    assert names("ntu120") == bank["classes"]


def test_names_are_those_of_our_labels_in_their_order() -> None:
    assert names("own") == [action.name for action in load_actions()]


@pytest.mark.skipif(not PKU.is_file(), reason="no list of PKU-MMD's classes in ../shared")
def test_names_are_those_of_pku_in_its_order() -> None:
    assert names("pku51") == PKU.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_class_has_each_kind(path: Path) -> None:
    for description in read_descriptions(path):
        counts = {kind: len(texts) for kind, texts in description.kinds.items()}
        assert counts == {"name": 1, "sentence": 3, "motion": 1, "parts": 4}
        assert tuple(description.parts) == PARTS
        assert description.kinds["name"] == (description.name.lower(),)
        assert description.sentences[0].startswith("a person ")
        assert all(3 <= len(sentence.split()) <= 20 for sentence in description.sentences)
        assert description.motion.endswith(".")
        assert all(line.endswith(".") for line in description.kinds["parts"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_text_appears_twice(path: Path) -> None:
    texts = [
        text.lower() for description in read_descriptions(path) for kind in description.kinds.values() for text in kind
    ]
    assert len(set(texts)) == len(texts)


def test_two_person_classes_say_so() -> None:
    descriptions = load_descriptions("ntu120")
    for description in (*descriptions[49:60], *descriptions[105:120]):
        assert "another" in description.sentences[0]


@pytest.mark.parametrize(
    ("taken", "message"),
    [
        ('name = "nod"\n', r"action 1: name"),
        (', "nodding yes"', r"action 1 \(nod\): sentences: expected 3"),
        ('motion = "The head goes down and up."\n', r"action 1 \(nod\): motion"),
        ('legs = "The legs are still."\n', r"action 1 \(nod\): parts: .*legs"),
        ("The head dips.", r"action 1 \(nod\): parts: head"),
        ("[[action]]", r"no \[\[action\]\]"),
        ("]\nmotion", "not TOML"),
    ],
)
def test_a_file_that_lacks_a_kind_is_named_in_one_line(tmp_path: Path, taken: str, message: str) -> None:
    path = tmp_path / "some.toml"
    path.write_text(WHOLE.replace(taken, "", 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        read_descriptions(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_classes_of_the_published_datasets() -> None:
    assert class_names("ntu120") == tuple(names("ntu120"))
    assert class_names("ntu60") == tuple(names("ntu120")[:60])
    assert class_names("pku1") == class_names("pku2") == tuple(names("pku51"))
    assert len(class_names("pku1")) == 51


def test_a_vocabulary_is_read_once() -> None:
    assert load_descriptions("own") is load_descriptions("own")
    assert {path.stem for path in FILES} == {*VOCABULARIES, "unclaimed"}
