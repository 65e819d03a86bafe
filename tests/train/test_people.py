"""People found against people counted."""

from pathlib import Path

import numpy as np
import pytest

try:
    import cv2
except ImportError as error:
    pytest.skip(f"OpenCV cannot be loaded: {error}", allow_module_level=True)

from stream.errors import SourceError
from train.__main__ import main
from train.people import Counts, CountsError, Finding, images, read_counts, table

COUNTS = Path(__file__).parents[1] / "data" / "people_counts.toml"


@pytest.mark.parametrize(
    "video",
    [
        "exercise_three_people.avi",
        "two_people.mp4",
        "vtest.avi",
        "person_close_up.mkv",
        "S001C001P001R001A001_rgb.avi",
    ],
)
def test_each_video_was_counted_in_twenty_images(video: str) -> None:
    assert len(read_counts(COUNTS, video).people) == 20


def test_a_video_that_nobody_counted() -> None:
    assert read_counts(COUNTS, "other.avi") == Counts()


@pytest.mark.parametrize("text", ["[", "['a.avi']\nframes = [1, 2]\npeople = [1]\n", "['a.avi']\nframes = [1]\n"])
def test_counts_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "counts.toml").write_text(text)
    with pytest.raises(CountsError, match=r"counts\.toml"):
        read_counts(tmp_path / "counts.toml", "a.avi")


def test_the_images_of_a_video_with_their_times(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for number in range(3):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    assert [t for t, _ in images(path, None)] == [0, 50_000_000, 100_000_000]
    assert [t for t, _ in images(path, 10.0)] == [0, 100_000_000, 200_000_000]


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "video.avi").write_bytes(b"no video")
    with pytest.raises(SourceError, match="no image can be read"):
        list(images(tmp_path / "video.avi", None))


def test_the_table() -> None:
    finding = Finding(None, [0, 2, 3], [0, 2, 3], {1: 7, 2: 2}, [0.1] * 3, 0.6)
    lines = table("a.avi", [finding], Counts({0: 1, 2: 2})).splitlines()
    assert lines[0] == "a.avi: 3 images"
    assert lines[-1].split() == [
        "none", "1.67", "67", "%", "1", "1.67", "2", "(1)", "10.0", "100", "ms", "200", "ms",
    ]  # fmt: skip


def test_a_video_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["people", "--video", str(tmp_path / "none.avi"), "--counts", str(COUNTS)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
