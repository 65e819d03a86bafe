"""A report with a video: what it holds, how much, and that its joints lie on the images; shown by a browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from stream.commands.replay import replay_files
from stream.errors import PosewireError
from stream.report import ReportBuilder, ReportError
from stream.types import NANOSECONDS, Space

try:
    import cv2

    from stream.report import video
    from stream.report.video import KeptImages, ReportVideo
except ImportError as error:
    pytest.skip(f"needs OpenCV ({error})", allow_module_level=True)

NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTH, HEIGHT, FPS, FRAMES = 640, 360, 25, 75


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a white square, 40 pixels wide, whose centre moves 8 pixels an image to the right."""
    path = tmp_path_factory.mktemp("video") / "square.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    for i in range(FRAMES):
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        x = centre_at(i)
        image[160:200, x - 20 : x + 20] = 255
        writer.write(image)
    writer.release()
    return path


def centre_at(i: int) -> int:
    return 30 + 8 * i


def report(space: Space, t0: int = 0) -> ReportBuilder:
    """A person whose every joint is at the centre of the square; in 3-D that is 4 m away, at 60 degrees."""
    builder = ReportBuilder("film", [("wave", "a person waves", "info")], [], "m", (0.6, 0.4))
    focal = WIDTH / (2 * np.tan(np.pi / 6))
    for i in range(FRAMES):
        x = centre_at(i)
        at = (x, 180.0, 0.0) if space is Space.IMAGE2D else ((WIDTH / 2 - x) * 4 / focal, 0.0, 4.0)
        joints = np.tile(np.array(at, np.float32), (1, 25, 1))
        joints[0, 3, 1] += -20 if space is Space.IMAGE2D else 0.1
        builder.add_frame(
            "film", t0 + i * NANOSECONDS // FPS, np.array([1]), joints, np.ones((1, 25), np.float32), space
        )
    return builder


def data_of(page: Path) -> dict:
    return json.loads(page.read_text("utf-8").split('id="data">')[1].split("</script>")[0])


def test_images_are_sampled_and_small(tmp_path: Path, film: Path) -> None:
    report(Space.CAMERA3D).write(tmp_path / "r.html", ReportVideo(film, 60.0))
    held = data_of(tmp_path / "r.html")["sources"][0]["video"]
    assert (held["file"], held["width"], held["height"]) == ("square.avi", WIDTH, HEIGHT)
    assert held["focal"] == pytest.approx(554.26, abs=0.1)
    assert len(held["images"]) == len(held["times"]) == 24
    assert held["times"][0] == 0
    assert min(np.diff(held["times"])) >= 100
    for t, code in zip(held["times"], held["images"], strict=True):
        image = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (270, 480, 3)
        centre = np.nonzero(image[135, :, 0] > 128)[0].mean() * WIDTH / 480
        assert abs(centre - centre_at(round(t * FPS / 1000))) < 3
    assert "This page holds images" in (tmp_path / "r.html").read_text("utf-8")
    assert "holds no images" not in re.sub(r"<script.*", "", (tmp_path / "r.html").read_text("utf-8"), flags=re.S)


def test_a_recording_in_wall_time_begins_with_the_video(tmp_path: Path, film: Path) -> None:
    report(Space.IMAGE2D, t0=1_700_000_000 * NANOSECONDS).write(tmp_path / "r.html", ReportVideo(film, 60.0))
    assert data_of(tmp_path / "r.html")["sources"][0]["video"]["times"][:2] == [0, 160]


def test_a_page_without_a_video_holds_none(tmp_path: Path) -> None:
    report(Space.CAMERA3D).write(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "film.raw" not in page
    assert "image/jpeg" not in page
    assert "Skeletons only: this page holds no images" in page


def test_a_video_of_another_length_is_doubted(film: Path) -> None:
    own, second = ReportVideo(film, 60.0), NANOSECONDS
    for t0, t1 in ((0, 3), (0, 2), (1, 4), (1_700_000_000, 1_700_000_003)):
        assert own.mismatch(t0 * second, t1 * second) == ""
    for t0, t1, end in ((0, 9, "9.0"), (7, 9, "9.0"), (1_700_000_000, 1_700_000_009, "9.0"), (0, 0.5, "0.5")):
        assert own.mismatch(round(t0 * second), round(t1 * second)) == (
            f"{film}: lasts 3.0 s, and the recording ends at {end} s; expected the video that the recording was made of"
        )
    builder = report(Space.CAMERA3D)
    assert builder.span == (0, (FRAMES - 1) * NANOSECONDS // FPS)
    assert own.mismatch(*builder.span) == ""
    assert ReportBuilder("empty", [], [], "m", (0.6, 0.4)).span == (0, 0)


def test_a_replay_warns_of_a_video_of_another_length(
    tmp_path: Path, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = str(Path(__file__).parents[3] / "stream/demo/Seq1_10.csv")
    options = {"speed": "max", "texts": [], "out": None, "publish": False, "config": None}
    assert replay_files([demo], **options, report=tmp_path / "r.html", video=film) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if str(film) in line]
    assert len(said) == 1
    assert "lasts 3.0 s, and the recording ends at" in said[0]
    assert (tmp_path / "r.html").exists()


def test_too_many_bytes_thin_out_the_images() -> None:
    kept = KeptImages(limit=10_000)
    for i in range(400):
        t = i * NANOSECONDS // 25
        if kept.wants(t):
            kept.add(t, bytes(1_000))
        assert sum(map(len, kept.images)) <= 10_000
    assert 4 <= len(kept.images) <= 10
    steps = np.diff(kept.times)
    assert steps.max() <= 2 * steps.min()


def test_what_cannot_be_is_said_before_anything_is_replayed(tmp_path: Path, film: Path) -> None:
    other = tmp_path / "text.mp4"
    other.write_text("no video")
    for path, said in ((tmp_path / "none.mp4", "no such file"), (other, "expected a video file")):
        with pytest.raises(PosewireError, match=said):
            ReportVideo(path, 60.0)
    demo = str(Path(__file__).parents[3] / "stream/demo/Seq1_10.csv")
    options = {"speed": "max", "texts": [], "out": None, "publish": False, "config": None}
    for more, said in (
        ({"report": None, "video": film}, "needs --report"),
        ({"report": tmp_path / "r.html", "fov_deg": 70.0}, "needs --with-video"),
        ({"report": film, "video": film}, "would overwrite an input"),
        ({"report": tmp_path / "r.html", "video": other}, "expected a video file"),
    ):
        with pytest.raises(PosewireError, match=said):
            replay_files([demo], **options, **more)
    with pytest.raises(PosewireError, match="goes with one recording, not with 2"):
        replay_files([demo, demo.replace("10", "11")], **options, report=tmp_path / "r.html", video=film)
    builder = report(Space.CAMERA3D)
    builder.add_frame(
        "b", 0, np.array([1]), np.zeros((1, 25, 3), np.float32), np.ones((1, 25), np.float32), Space.CAMERA3D
    )
    with pytest.raises(ReportError, match="a video goes with one source, not 2"):
        builder.write(tmp_path / "r.html", ReportVideo(film, 60.0))
    assert not (tmp_path / "r.html").exists()


@pytest.mark.skipif(NODE is None, reason="needs node")
@pytest.mark.parametrize("space", list(Space))
def test_joints_lie_where_the_image_shows_them(tmp_path: Path, film: Path, space: Space) -> None:
    report(space).write(tmp_path / "r.html", ReportVideo(film, 60.0))
    parts = [Path(video.__file__).with_name("js") / f"{name}.js" for name in ("decode", "body", "video")]
    stubs = "var drawScene, showNotes, listenToStage; class Image { set src(value) { this.complete = true; } }"
    (tmp_path / "read.js").write_text(
        stubs
        + "".join(path.read_text("utf-8") for path in parts)
        + """
        const text = require("fs").readFileSync(process.argv[2], "utf8");
        const data = JSON.parse(text.split('id="data">')[1].split("</script>")[0]);
        const source = decodeSource(data.sources[0], 1);
        const at = film.raw.times.map((t) => {
          const still = film.at(t / 1000 + 0.05);
          return [still.time, Array.from(onImage(posesAt(source, still.time)[0], source.flat).points.slice(0, 3))];
        });
        console.log(JSON.stringify({ at, before: film.at(-1), after: film.at(9) }));
        """
    )
    done = subprocess.run(
        [str(NODE), str(tmp_path / "read.js"), str(tmp_path / "r.html")], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["before"] is read["after"] is None
    assert len(read["at"]) == 24
    for t, (x, y, _) in read["at"]:
        assert abs(x - centre_at(round(t * FPS))) < 1
        assert abs(y - 180) < 1


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_draws_them_over_each_other(tmp_path: Path, film: Path) -> None:
    report(Space.CAMERA3D).write(tmp_path / "r.html", ReportVideo(film, 60.0))
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-sync", "--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb",
        "--virtual-time-budget=2000", "--window-size=1000,900", f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr", f"--screenshot={tmp_path / 'r.png'}", f"{(tmp_path / 'r.html').as_uri()}#t=1.5",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode or not (tmp_path / "r.png").exists():
        pytest.skip("the browser here does not start, or may not open files of this folder")
    assert "CONSOLE" not in done.stderr
    shown = cv2.imread(str(tmp_path / "r.png"))
    black = (shown < 12).all(-1)
    rows = np.nonzero(black.sum(1) > 200)[0]
    assert len(rows) > 100, "the image is not there"
    columns = np.nonzero(black[rows].sum(0) > 50)[0]
    image = shown[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = image.shape[1] / WIDTH
    square = np.nonzero((image[round(165 * scale)] > 240).all(-1))[0]
    teal = np.nonzero(
        (image[..., 1] > image[..., 2].astype(int) + 60) & (image[..., 0] > image[..., 2].astype(int) + 60)
    )
    assert len(square) > 10
    assert abs(square.mean() - teal[1].mean()) < 6
