"""Files are whole or not there, and a link that somebody planted is not followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import models.whole_file as module
from models.whole_file import PART, open_new, part_of, replacing, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, b"old")
    with replacing(path, sync=True) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def half(path: Path, error: BaseException) -> None:
    with replacing(path) as stream:
        stream.write(b"half")
        raise error


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    for error in (ZeroDivisionError(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            half(path, error)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"folder"):
        write_whole(tmp_path / "folder", b"x")
    assert names(tmp_path) == ["a", "folder"]


def test_what_must_be_new_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_whole(path, b"first", mode=0o600, new=True)
    with pytest.raises(FileExistsError):
        write_whole(path, b"second", new=True)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_whole(path, b"second", new=True)
    assert names(tmp_path) == ["key"]


@pytest.mark.skipif(os.name != "posix", reason="needs the permissions of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_permissions_from_the_first_byte(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o022)
    try:
        with replacing(tmp_path / "a", mode=mode) as stream:
            found = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
    finally:
        os.umask(before)
    assert found == mode & ~0o022
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == found


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even by somebody who could foresee the name."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    part = tmp_path / ".a.0123456789abcdef.part"
    monkeypatch.setattr(module, "part_of", lambda _path: part)
    for target in (outside, tmp_path / "nowhere"):
        part.unlink(missing_ok=True)
        part.symlink_to(target)
        with pytest.raises(FileExistsError):
            write_whole(tmp_path / "a", b"data")
        assert part.is_symlink()
    assert outside.read_bytes() == b"mine"
    assert names(tmp_path) == [part.name, "outside"]
    with pytest.raises(FileExistsError):
        open_new(part)


def test_a_link_at_the_place_itself_is_replaced(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (tmp_path / "a").symlink_to(outside)
    write_whole(tmp_path / "a", b"data")
    assert outside.read_bytes() == b"mine"
    assert not (tmp_path / "a").is_symlink()


def test_names_are_known_and_never_the_same(tmp_path: Path) -> None:
    longest = tmp_path / ("x" * 250)
    write_whole(longest, b"data")
    parts = {part_of(longest).name for _ in range(100)}
    assert len(parts) == 100
    assert all(PART.fullmatch(part) for part in parts)
    assert all(PART.fullmatch(part_of(Path(name)).name)["name"] == name for name in ("a", "prompts.json"))  # type: ignore[index]
