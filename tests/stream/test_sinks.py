"""Lines of events in files, links, pipes and on full disks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stream.messages import Message
from stream.publisher import Publisher
from stream.sinks import LineFile, OutputError
from stream.types import Event, EventKind, Phase, Severity

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, count: int, then: Exception | None = None) -> None:
    with LineFile(path) as lines:
        for _ in range(count):
            lines.take(message())
        if then is not None:
            raise then


def message() -> Message:
    event = Event(
        "id", Phase.START, EventKind.ACTION, Severity.INFO, "cam", 1, "fall", "falls", 2, 1, None, 0.5, 0.5, 0.1, None
    )
    return Publisher("node", epoch="e").publish_event(event)


def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text("old")
    with LineFile(path) as lines:
        lines.take(message())
        assert path.read_text() == "old"
    assert path.read_bytes().count(b"\n") == 1
    assert names(tmp_path) == ["a.ndjson"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to("real/a.ndjson")
    with LineFile(link) as lines:
        lines.take(message())
    assert link.is_symlink()
    assert (tmp_path / "real" / "a.ndjson").read_bytes().count(b"\n") == 1


def test_a_pipe_gets_each_line_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    opened, read = threading.Event(), threading.Event()

    def reader() -> None:
        with pipe.open("rb") as stream:
            opened.set()
            got.append(stream.readline())
            read.set()

    thread = threading.Thread(target=reader)
    thread.start()
    with LineFile(pipe) as lines:
        assert opened.wait(10)
        lines.take(message())
        assert read.wait(10)
    thread.join(10)
    assert got[0].endswith(b"}\n")
    assert names(tmp_path) == ["pipe"]


def test_devices_are_written_to_as_they_are() -> None:
    with LineFile(Path(os.devnull)) as lines:
        lines.take(message())
    assert not Path(os.devnull).is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_error_at_the_end() -> None:
    with pytest.raises(OutputError, match=r"cannot be written .*space") as error:
        write(Path("/dev/full"), 3)
    assert "\n" not in str(error.value)


def test_other_errors_leave_the_part_and_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write(path, 1, ZeroDivisionError())
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.ndjson", "a.ndjson.part"]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="this system has no /dev/stdout")
@pytest.mark.parametrize("to_file", [True, False])
def test_standard_output_is_written_to_wherever_it_goes(tmp_path: Path, to_file: bool) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from test_sinks import LineFile, message\n"
        "print('before', flush=True)\n"
        "with LineFile(Path('/dev/stdout')) as lines: lines.take(message())\n"
        "print('after')\n"
    )
    out = tmp_path / "out"
    with out.open("wb") as stream:
        result = subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).parent)],
            stdout=stream if to_file else subprocess.PIPE,
            cwd=ROOT,
            timeout=60,
        )
    assert result.returncode == 0
    lines = (out.read_bytes() if to_file else result.stdout).splitlines()
    assert [lines[0], lines[2]] == [b"before", b"after"]
    assert lines[1].startswith(b"{")
