"""PKU-MMD trees of both phases: skeletons, labels and splits in the exact format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skeleton_text import POSE, write_labels, write_recording

from stream.errors import PosewireError
from train.datasets.archive import DataError
from train.datasets.clip_store import empty_set
from train.datasets.pku_tree import TEST_RECORDINGS, performances, read_pku, train_rows


def moving(frames: int, people: int) -> np.ndarray:
    x = np.zeros((frames, 2, 25, 3))
    for m in range(people):
        x[:, m] = POSE + np.stack([np.full(frames, 1.0 * m), 0.1 * np.sin(np.arange(frames) / (3 + m))], 1)[:, None] @ (
            np.eye(2, 3)
        )
    return x


def make_phase_1(tree: Path) -> tuple[Path, Path]:
    data, label = tree / "Data" / "PKU_Skeleton_Renew", tree / "Label" / "Train_Label_PKU_final"
    x = moving(200, 1)
    x[120:160] = moving(200, 2)[120:160]
    for stem in ("0002-L", "0002-M", "0291-R"):
        write_recording(data / f"{stem}.txt", x)
        write_labels(label / f"{stem}.txt", [(8, 10, 60, 2), (14, 120, 160, 1), (51, 190, 230, 2), (1, 300, 310, 2)])
    return data, label


def test_reads_phase_1(tmp_path: Path) -> None:
    data, label = make_phase_1(tmp_path / "tree")
    (data / "0003-L.txt").write_text("1 2 3\n")
    write_labels(label / "0003-L.txt", [(1, 0, 1, 2)])
    write_recording(data / "0004-L.txt", moving(30, 1))
    write_recording(data / "0005-L.txt", moving(30, 1))
    write_labels(label / "0005-L.txt", [(52, 0, 10, 2)])
    write_labels(label / "0006-L.txt", [(1, 0, 10, 2)])
    clips = read_pku(tmp_path / "tree", "pku1", tmp_path / "store")
    assert clips.names.tolist() == [f"{stem}:{i}" for stem in ("0002-L", "0002-M", "0291-R") for i in range(3)]
    assert clips.labels.tolist() == [7, 13, 50] * 3
    assert clips.cameras.tolist() == ["L"] * 3 + ["M"] * 3 + ["R"] * 3
    assert set(clips.subjects.tolist()) == {""}
    assert (len(clips.classes), clips.classes[0], clips.classes[13], clips.classes[50]) == (
        51,
        "Bow",
        "Handshaking",
        "Writing",
    )
    assert train_rows(clips, "xview").tolist() == [False] * 3 + [True] * 6
    assert train_rows(clips, "xsub").tolist() == [True] * 6 + [False] * 3
    assert performances(clips).tolist() == ["0002"] * 6 + ["0291"] * 3
    assert not clips.clips[0, ..., 1].any()
    assert clips.clips[1, ..., 1].any()
    left_out = (tmp_path / "store" / "left_out.txt").read_text()
    for line in (
        "0003-L:0: ",
        "0004-L: no labels",
        "0005-L: ",
        "0006-L: no skeletons",
        "0002-L:3: annotated from frame 300 to 310 of 200",
    ):
        assert line in left_out
    with pytest.raises(PosewireError, match="protocol 'xset' of pku1: expected one of xsub, xview"):
        train_rows(empty_set("pku1", ()), "xset")


def test_the_published_split_of_phase_1(tmp_path: Path) -> None:
    assert len(TEST_RECORDINGS) == 44
    for number in (2, 290, 291, 334, 335):
        write_recording(tmp_path / "tree" / "skeleton" / f"{number:04}-L.txt", moving(20, 1))
        write_labels(tmp_path / "tree" / "label" / f"{number:04}-L.txt", [(1, 0, 20, 2)])
    clips = read_pku(tmp_path / "tree", "pku1", tmp_path / "store")
    assert train_rows(clips, "xsub").tolist() == [True, True, False, False, True]


@pytest.mark.parametrize("heading", ["Validataion videos: ", "Validation videos:"])
def test_the_split_file_decides(tmp_path: Path, heading: str) -> None:
    make_phase_1(tmp_path / "tree")
    split = tmp_path / "tree" / "Split" / "cross-subject.txt"
    split.parent.mkdir()
    split.write_text(f"Training videos: \n0291-R, 0002-M, \n{heading}\n0002-L, \n")
    clips = read_pku(tmp_path / "tree", "pku1", tmp_path / "store")
    assert train_rows(clips, "xsub").tolist() == [False] * 3 + [True] * 6
    split.write_text("Training videos:\n0291-R, 12\n")
    with pytest.raises(PosewireError, match=r"cross-subject.txt:2: '12'; expected 'Training videos:'.*0002-L"):
        read_pku(tmp_path / "tree", "pku1", tmp_path / "store")
    split.write_text("\n")
    with pytest.raises(DataError, match="no recording for training"):
        read_pku(tmp_path / "tree", "pku1", tmp_path / "store")


def test_reads_phase_2_beside_phase_1(tmp_path: Path) -> None:
    make_phase_1(tmp_path / "tree" / "v1")
    for stem in ("A01N02-L", "A26N13-R"):
        write_recording(tmp_path / "tree" / "v2" / "skeleton" / f"{stem}.txt", moving(90, 2))
        write_labels(tmp_path / "tree" / "v2" / "label" / f"{stem}.txt", [(3, 0, 90, 2), (8, 5, 50, 1)], "\r\n\r\n")
    clips = read_pku(tmp_path / "tree", "pku2", tmp_path / "store")
    assert clips.names.tolist() == ["A01N02-L:0", "A01N02-L:1", "A26N13-R:0", "A26N13-R:1"]
    assert clips.subjects.tolist() == ["N02", "N02", "N13", "N13"]
    assert clips.labels.tolist() == [2, 7, 2, 7]
    assert train_rows(clips, "xsub").tolist() == [False, False, True, True]
    assert train_rows(clips, "xview").tolist() == [False, False, True, True]


def test_someone_who_is_alone_for_a_while_keeps_their_place(tmp_path: Path) -> None:
    x = moving(90, 2)
    x[30:60, 0] = 0
    write_recording(tmp_path / "tree" / "skeleton" / "0002-L.txt", x)
    write_labels(tmp_path / "tree" / "label" / "0002-L.txt", [(14, 0, 90, 2)])
    write_recording(tmp_path / "tree" / "skeleton" / "0002-M.txt", np.delete(x, slice(30, 60), axis=0))
    write_labels(tmp_path / "tree" / "label" / "0002-M.txt", [(14, 0, 60, 2)])
    clips = read_pku(tmp_path / "tree", "pku1", tmp_path / "store")
    np.testing.assert_array_equal(clips.clips[0], clips.clips[1])


def test_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_pku(tmp_path / "none", "pku1", tmp_path / "store")
    make_phase_1(tmp_path / "tree")
    with pytest.raises(DataError, match=r"no recording of pku2 with labels; expected .* A01N02-L.txt"):
        read_pku(tmp_path / "tree", "pku2", tmp_path / "store")
