"""Finding files, naming sources, and telling formats."""

import os
import re
from pathlib import Path

import pytest
import skeleton_files
from skeleton_files import DATA

from stream.errors import SourceError
from stream.sources.files import expand, open_source, source_names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.csv", "a.skeleton", "sub/c.txt", "sub/deep/d.BVH", "sub/e.pwr"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name in ("LICENSE", "LICENCE-precog.txt", "README.txt", "clips.npz", "sub/Readme.csv", "video.mkv"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_folders_give_their_skeleton_files_sorted(folder: Path) -> None:
    assert names(expand([folder]), folder) == ["a.skeleton", "b.csv", "sub/c.txt", "sub/deep/d.BVH", "sub/e.pwr"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["b.csv"]),
        ("**/*.txt", ["sub/c.txt"]),
        ("*", ["a.skeleton", "b.csv", "sub/c.txt", "sub/deep/d.BVH", "sub/e.pwr"]),
        ("[ab].*", ["a.skeleton", "b.csv"]),
    ],
)
def test_globs(folder: Path, pattern: str, found: list[str]) -> None:
    assert names(expand([folder / pattern]), folder) == found


def test_order_is_kept_and_nothing_comes_twice(folder: Path) -> None:
    again = expand([folder / "sub" / "c.txt", folder, str(folder / "b.csv")])
    assert names(again, folder) == ["sub/c.txt", "a.skeleton", "b.csv", "sub/deep/d.BVH", "sub/e.pwr"]


def test_a_named_file_is_taken_whatever_it_is_called(folder: Path) -> None:
    assert expand([folder / "LICENSE"]) == [folder / "LICENSE"]
    (folder / "x[1].csv").write_bytes(b"x")
    assert names(expand([folder / "x[1].csv"]), folder) == ["x[1].csv"]


@pytest.mark.parametrize("path", ["nothing.csv", "no/folder", "*.nothing", "**/*.xyz"])
def test_nothing_found_is_an_error(folder: Path, path: str) -> None:
    with pytest.raises(SourceError, match="expected"):
        expand([folder / path])


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no skeleton file.*\.skeleton"):
        expand([tmp_path])


def test_source_names_are_unique_and_fit_into_topics() -> None:
    paths = [Path(p) for p in ("a/x.csv", "b/x.csv", "c/x.bvh", "x-2.csv", "über weg/å b.csv", "ü ö.csv", "Σ.pwr")]
    made = source_names(paths)
    assert made[:4] == ["x", "x-2", "x-3", "x-2-2"]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in made)


def test_formats_are_told_apart(tmp_path: Path) -> None:
    layouts = []
    for name, content in skeleton_files.everything(tmp_path).items():
        (tmp_path / name).write_bytes(content)
        with open_source(tmp_path / name) as source:
            frame = source.read(1)
        layouts.append(frame.layout.split(":")[0])
    assert layouts == ["kinect_v2", "kinect_v2", "kinect_v1", "kinect_v2", "names", "kinect_v2"]


def test_a_wrong_suffix_does_not_hide_a_marked_format(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(skeleton_files.bvh())
    (tmp_path / "b").write_bytes(skeleton_files.recording(tmp_path / "b.pwr"))
    for name in ("a.dat", "b"):
        with open_source(tmp_path / name, name="given") as source:
            assert source.name == "given"
            assert len(list(source)) == 3


@pytest.mark.parametrize("name", ["a.mp4", "LICENSE", "a.npz"])
def test_unknown_formats(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(SourceError, match=r"unknown format.*expected NTU RGB\+D"):
        open_source(tmp_path / name)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "pipe.csv", tmp_path / "none.csv", Path("/dev/zero"), Path("a\0b.csv")):
        with pytest.raises(SourceError, match="expected"):
            open_source(path)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rates(fps: float) -> None:
    with pytest.raises(SourceError, match="frames a second; expected"):
        open_source(DATA / "kinect_v1.csv", fps=fps)
