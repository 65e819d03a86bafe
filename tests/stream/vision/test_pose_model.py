from __future__ import annotations

import hashlib
import struct
import zipfile
from pathlib import Path

import pytest

from stream.commands.models import pull_models
from stream.commands.options import OptionError
from stream.vision.pose_model import DIGESTS, PoseModelError, build, models_folder, task_path
from stream.vision.registry import RegistryError, npm_package, pip_wheel
from stream.vision.task_file import packed

MEMBERS = {"pose_detector.tflite": b"detector" * 99, "pose_landmarks_detector.tflite": b"landmarks" * 1000}


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "data"
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    return home


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks for packages."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_task(path: Path, members: dict[str, bytes] | None = None) -> Path:
    path.write_bytes(packed(MEMBERS if members is None else members))
    return path


def write_wheel(folder: Path, networks: dict[str, bytes]) -> None:
    name = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr(
            "mediapipe-0.10.21.dist-info/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n"
        )
        wheel.writestr(
            "mediapipe-0.10.21.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
        )
        wheel.writestr("mediapipe-0.10.21.dist-info/RECORD", "")
        for member, data in networks.items():
            wheel.writestr(member, data)


def test_absent_network_says_what_to_do(data_home: Path) -> None:
    with pytest.raises(PoseModelError, match=r"pose_landmarker_heavy.task: .*expected: posewire models pull heavy$"):
        task_path("heavy")
    assert models_folder() == data_home / "posewire" / "models"


def test_without_a_home_folder_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(
        "os.path.expanduser", lambda path: path
    )  # what it gives to a user whom the system does not know
    with pytest.raises(PoseModelError, match=r"^no home folder .* expected HOME or XDG_DATA_HOME$"):
        task_path("full")


def test_unknown_network_is_refused(data_home: Path) -> None:
    with pytest.raises(PoseModelError, match="medium: no pose network; expected one of lite, full, heavy"):
        task_path("medium")
    with pytest.raises(OptionError, match="medium: no pose network; expected lite, full or heavy"):
        pull_models(["full", "medium"], None)
    assert not data_home.exists()


def test_changed_file_is_refused(data_home: Path) -> None:
    folder = data_home / "posewire" / "models"
    folder.mkdir(parents=True)
    write_task(folder / "pose_landmarker_full.task")
    with pytest.raises(PoseModelError, match=r"not the file that was pulled .*posewire models pull full"):
        task_path("full")


def test_file_of_the_users_own_is_taken_and_its_digest_kept(
    data_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = write_task(tmp_path / "pose_landmarker_heavy.task")
    assert pull_models([], mine) == 0
    kept = data_home / "posewire" / "models" / "pose_landmarker_heavy.task"
    assert f"heavy: {kept}, a copy of {mine}" in capsys.readouterr().out
    assert task_path("heavy") == kept
    assert kept.read_bytes() == mine.read_bytes()
    assert sorted(path.name for path in kept.parent.iterdir()) == [kept.name, kept.name + ".sha256"]
    assert pull_models(["heavy"], None) == 0  # and stays
    assert "is there already" in capsys.readouterr().out
    kept.write_bytes(kept.read_bytes() + b"x")
    with pytest.raises(PoseModelError, match="not the file that was pulled"):
        task_path("heavy")


def test_file_of_the_users_own_must_be_one_known_network(data_home: Path, tmp_path: Path) -> None:
    mine = write_task(tmp_path / "mine.task")
    with pytest.raises(OptionError, match="is one network; expected the name of one"):
        pull_models([], mine)
    with pytest.raises(OptionError, match="is one network; expected the name of one"):
        pull_models(["lite", "full"], mine)
    assert not data_home.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip at all", "not a zip"),
        (packed({"hand_detector.tflite": b"x"}), "not a pose network; expected a .task file with pose_detector.tflite"),
        (packed(MEMBERS)[:-40], "not a zip"),
        (packed(MEMBERS).replace(b"landmarks" * 2, b"damaged.." * 2), "not a pose network"),
    ],
)
def test_what_is_no_task_file_is_refused(data_home: Path, tmp_path: Path, content: bytes, message: str) -> None:
    mine = tmp_path / "mine.task"
    mine.write_bytes(content)
    with pytest.raises(PoseModelError, match=message):
        pull_models(["full"], mine)
    with pytest.raises(PoseModelError, match=r"absent.task: cannot be read \(No such file"):
        pull_models(["full"], tmp_path / "absent.task")
    assert not data_home.exists()


def test_place_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(write_task(tmp_path / "file")))
    with pytest.raises(PoseModelError, match=r"cannot be written \(Not a directory\); .*XDG_DATA_HOME"):
        pull_models(["full"], write_task(tmp_path / "mine.task"))


def test_package_with_other_networks_is_refused(data_home: Path, wheels: Path) -> None:
    write_wheel(wheels, {"mediapipe/modules/pose_detection/pose_detection.tflite": b"other"})
    with pytest.raises(PoseModelError, match=r"pose_detection.tflite is not the file expected \(sha256"):
        build("full")
    write_wheel(wheels, {})
    with pytest.raises(PoseModelError, match=r"holds no mediapipe/modules/pose_detection/pose_detection.tflite"):
        build("full")
    assert not data_home.exists()


def test_package_that_cannot_be_had_is_one_line(
    data_home: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        RegistryError, match=r"mediapipe==0.10.21: cannot be fetched \(ERROR: .*a package registry"
    ) as told:
        build("full")
    assert "\n" not in str(told.value)
    assert not data_home.exists()
    write_wheel(wheels, {})
    assert pip_wheel("mediapipe==0.10.21", tmp_path).parent == tmp_path
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RegistryError, match="cannot be fetched without npm; expected npm to be installed"):
        npm_package("@mediapipe/pose@0.5.1675469404", tmp_path)


def test_zip_has_the_same_bytes_each_time_and_aligned_members(tmp_path: Path) -> None:
    data = packed(MEMBERS)
    assert data == packed(MEMBERS)
    with zipfile.ZipFile(write_task(tmp_path / "one.task")) as archive:
        assert {entry.filename: archive.read(entry) for entry in archive.infolist()} == MEMBERS
        for entry in archive.infolist():
            name, extra = struct.unpack_from("<HH", data, entry.header_offset + 26)
            start = entry.header_offset + 30 + name + extra
            assert start % 64 == 0
            assert data[start : start + entry.file_size] == MEMBERS[entry.filename]


@pytest.mark.slow
@pytest.mark.usefixtures("data_home")
def test_pulled_network_is_the_pinned_one(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mediapipe.tasks.metadata", reason="the extra rgb is not installed", exc_type=ImportError)
    try:
        assert pull_models([], None) == 0
    except RegistryError as error:
        pytest.skip(f"no package registry: {error}")
    path = task_path("full")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == DIGESTS["full"]
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert f"full: {path} (9.4 MB)" in capsys.readouterr().out
    assert pull_models([], None) == 0
    assert "is there already" in capsys.readouterr().out
