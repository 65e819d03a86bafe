"""Nothing is written where something would be lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.commands.options import OptionError, check_targets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("precious")
    (tmp_path / "b.csv").write_text("precious too")
    (tmp_path / "c.csv.part").write_text("precious as well")
    (tmp_path / "link.html").symlink_to("a.csv")
    os.link(tmp_path / "a.csv", tmp_path / "hard.html")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize("target", ["a.csv", "link.html", "hard.html", "b.csv", "../{}/a.csv"])
@pytest.mark.parametrize("inputs", [["."], ["a.csv", "b.csv"], ["*.csv"], ["none.csv", "a.csv", "b.csv"]])
def test_an_input_is_not_overwritten(
    folder: Path, monkeypatch: pytest.MonkeyPatch, target: str, inputs: list[str]
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(OptionError, match=r"--out .*: would overwrite an input"):
        check_targets({"--out": Path(target.format(folder.name))}, inputs)


def test_nor_is_one_that_has_the_name_of_what_is_not_whole_yet(folder: Path) -> None:
    with pytest.raises(OptionError, match="would overwrite an input"):
        check_targets({"--out": folder / "c.csv"}, [str(folder / "c.csv.part")])


@pytest.mark.parametrize(("one", "other"), [("new", "new"), ("a.csv", "link.html"), ("a.csv", "hard.html")])
def test_two_outputs_are_two_files(folder: Path, one: str, other: str) -> None:
    with pytest.raises(OptionError, match=r"--report .*: is the file of --out too"):
        check_targets({"--out": folder / one, "--report": folder / other})


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (".", "is a folder"),
        ("none/x", "its folder does not exist"),
        ("a.csv/x", "its folder does not exist"),
        (300 * "x", "cannot be written"),
        ("a\0b", "cannot be written"),
        ("loop", "cannot be written"),
    ],
)
def test_a_place_where_nothing_can_be_written(folder: Path, target: str, expected: str) -> None:
    with pytest.raises(OptionError, match=expected) as error:
        check_targets({"--out": folder / target})
    assert "\n" not in str(error.value)


def test_new_files_old_files_and_devices_are_fine(folder: Path) -> None:
    check_targets({"--out": folder / "new", "--report": folder / "b.csv"}, [str(folder / "a.csv")])
    check_targets({"--out": Path(os.devnull), "--report": Path(os.devnull)}, [str(folder / "a.csv")])
