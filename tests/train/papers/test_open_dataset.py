"""What there is of a dataset is told by looking, and what is missing is said in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from paper_data import LEAVE, UNION, write_features, write_ntu, write_pku, write_twin, write_union
from tiny_experiment import embed

from stream.errors import PosewireError
from train.datasets.archive import DataError
from train.datasets.splits import SplitError, split_of
from train.papers.experiment import Options, run
from train.papers.open_dataset import NoData, default_protocol, missing, open_clips, open_division


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_union(tmp_path_factory.mktemp("sets"))


def test_packed_sets(data: Path, tmp_path: Path) -> None:
    assert missing(UNION, data, [LEAVE]) is None
    division = open_division(UNION, data, LEAVE, default_protocol(UNION), store=tmp_path)
    assert (division.dataset, division.split, len(division.classes)) == (UNION, LEAVE, 8)
    assert [division.classes[k] for k in division.unseen] == [f"left: {n}" for n in ("clap", "jump", "kick", "wave")]
    assert division.train.inputs.shape[1:] == (3, 50, 25, 1)
    assert open_clips(UNION, data, store=tmp_path) is open_clips(UNION, data, store=tmp_path)
    assert not list(tmp_path.iterdir())


def test_features_of_the_split_are_found_below_a_folder(tmp_path: Path) -> None:
    for name, split in (("shift_12_r", "48/12"), ("shift_5_r", "55/5")):
        write_features(tmp_path / name, split_of("ntu60", split), 60)
    assert missing("ntu60", tmp_path, ["55/5", "48/12"]) is None
    division = open_division("ntu60", tmp_path, "48/12", "xsub", store=tmp_path / "run")
    assert set(division.test_unseen.labels) == set(division.unseen) == set(split_of("ntu60", "48/12").unseen)
    assert division.train.inputs.shape[1:] == (256,)
    direct = open_division("ntu60", tmp_path / "shift_12_r", "48/12", "xsub", store=tmp_path / "run")
    np.testing.assert_array_equal(direct.train.inputs, division.train.inputs)
    assert missing("ntu60", tmp_path, ["smie-1"]) == (
        f"{tmp_path}: has features of other splits (shift_12_r, shift_5_r); expected those of ntu60 smie-1, with clips "
        "of each of its unseen classes"
    )
    with pytest.raises(NoData, match="expected that instead of 'xview'"):
        open_division("ntu60", tmp_path, "55/5", "xview", store=tmp_path / "run")


def test_features_without_clips_of_an_unseen_class_or_without_readable_labels_are_not_taken(tmp_path: Path) -> None:
    folder = write_features(tmp_path / "shift_5_r", split_of("ntu60", "55/5"), 60)
    labels = np.load(folder / "z_label.npy")
    for said, content in (("(shift_5_r)", labels[labels != 26]), ("(shift_5_r unreadable)", np.empty(0, np.int64))):
        np.save(folder / "z_label.npy", content)
        assert said in str(missing("ntu60", tmp_path, ["55/5"]))
    (folder / "z_label.npy").write_bytes(b"")
    assert "(shift_5_r unreadable)" in str(missing("ntu60", tmp_path, ["55/5"]))


def test_the_twin_beside_the_features_is_for_the_gate(tmp_path: Path) -> None:
    split = split_of("ntu60", "55/5")
    folder = write_features(tmp_path / "shift_5_r", split, 60)
    assert open_division("ntu60", tmp_path, "55/5", "xsub", store=tmp_path / "run").rehearsal is None
    held, seen = (0, 3, 7, 8, 9), [k for k in range(60) if k not in (0, 3, 7, 8, 9, *split.unseen)]
    write_twin(tmp_path / "shift_val_5_r", np.array(seen), np.array(held))
    for data in (tmp_path, folder):
        division = open_division("ntu60", data, "55/5", "xsub", store=tmp_path / "run")
        assert division.rehearsal is not None
        assert division.rehearsal.unseen == held
        assert division.rehearsal.seen == tuple(seen)
        assert (len(division.rehearsal.test_seen), len(division.rehearsal.test_unseen)) == (300, 30)
        assert not set(division.rehearsal.train.labels.tolist()) & {*held, *division.unseen}
    options = Options("devise", epochs=1, generalised=True, run=tmp_path / "run")
    assert run(division, options, embed)["generalised"]["gate"] == "published twin"
    (tmp_path / "shift_val_5_r" / "val.npy").unlink()
    with pytest.raises(DataError, match=r"shift_val_5_r/val\.npy: not found"):
        open_division("ntu60", tmp_path, "55/5", "xsub", store=tmp_path / "run")


def test_a_raw_tree_is_read_once_and_kept(tmp_path: Path) -> None:
    tree = write_ntu(tmp_path / "tree", (1, 2, 3, 11, 12), (1, 2, 4, 3))
    assert missing("ntu60", tree, ["55/5"]) is None
    told: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        told.append((done, total))

    division = open_division("ntu60", tree, "55/5", "xsub", store=tmp_path / "run", report=report)
    assert (len(division.test_seen), len(division.test_unseen)) == (3, 2)  # of person 3, who tests
    assert division.test_unseen.labels.tolist() == [10, 11]
    assert len(division.train) + len(division.validation) == 9
    assert told[-1] == (20, 20)
    told.clear()
    open_division("ntu60", tree, "55/5", "xsub", store=tmp_path / "run", report=report)
    assert not told
    assert (tmp_path / "run" / "clips" / "ntu60" / "index.npz").is_file()
    with pytest.raises(PosewireError, match="'xset' of ntu60: expected one of xsub, xview"):
        open_division("ntu60", tree, "55/5", "xset", store=tmp_path / "run")


def test_what_is_missing_is_said(data: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no skeleton")
    said = {
        missing("ntu60", None, []): "give --data ntu60=PATH, a tree of raw .skeleton files",
        missing("utd_mhad+msrc12", None, []): "clips/ and untrimmed/ that hold utd_mhad, msrc12",
        missing("utd_mhad", data, ["22/5-1"]): "no clips/utd_mhad.npz or untrimmed/utd_mhad.npz; datasets are ntu60, ",
        missing("utd_mhad", tmp_path, ["22/5-1"]): "there is no set in the folder",
        missing("ntu120", tmp_path, ["96/24"]): "has no data of ntu120; expected a tree of raw .skeleton files",
        missing("ntu120", tmp_path / "none", ["96/24"]): "not found; expected",
        missing("ntu120", tmp_path / "notes.txt", ["96/24"]): "a file that is not of ntu120",
    }
    for found, expected in said.items():
        assert expected in str(found)
        assert "\n" not in str(found)


def test_wrong_names_list_the_right_ones(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="no split '54/6'; expected one of 55/5, 48/12, smie-1"):
        open_division("ntu60", tmp_path, "54/6", "xsub", store=tmp_path)
    with pytest.raises(NoData, match="expected one of xsub, xview, xset, people"):
        open_division(UNION, data, LEAVE, "x-sub", store=tmp_path)
    with pytest.raises(NoData, match="datasets are ntu60, ntu120, pku1, pku2, left, right"):
        open_division("lefty", data, LEAVE, "people", store=tmp_path)


@pytest.mark.parametrize("recipe", ["smie", "pgfa"])
@pytest.mark.parametrize("dataset", ["ntu60", "pku1"])
def test_a_recipe_is_trained_on_a_raw_tree(dataset: str, recipe: str, tmp_path: Path) -> None:
    if dataset == "ntu60":
        tree, split = write_ntu(tmp_path / "tree", (1, 2, 3, 11, 12), (1, 2, 4, 3)), "55/5"
    else:
        tree, split = write_pku(tmp_path / "tree", (1, 3, 4, 2, 10), (2, 3, 4, 291)), "46/5"
    division = open_division(dataset, tree, split, default_protocol(dataset), store=tmp_path / "run")
    views = 1 if dataset == "ntu60" else 3
    assert [len(part) for part in (division.train, division.validation)] == [6 * views, 3 * views]
    assert division.train.inputs.shape[1:] == (3, 50, 25, 2)
    options = Options(recipe, epochs=1, pretrain_epochs=1, run=tmp_path / "run")
    figures = run(division, options, embed)
    assert figures["n"] == len(division.test_unseen) == 2 * views
    assert set(figures["per_class"]) == {division.classes[k] for k in np.unique(division.test_unseen.labels)}
    assert 0 <= figures["top1"] <= 1
