"""What a report keeps of a recording, read back from the page by a decoder of its own."""

from __future__ import annotations

import base64
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.report import ReportBuilder, ReportError
from stream.report.builder import MAX_BODIES
from stream.report.frames import BASE_INTERVAL, MAX_FRAMES
from stream.report.kept import MAX_EVENTS, MAX_SCORES
from stream.types import NANOSECONDS, EndReason, Event, EventKind, Phase, Scores, Severity, Space

PROMPTS = [("wave", "a person waves a hand", "info"), ("fall", "a person falls down", "critical")]
CLIPS = Path(__file__).parents[3].parent / "shared/data/clips/labanotation_kinect2.npz"


def builder(title: str = "test") -> ReportBuilder:
    return ReportBuilder(title, PROMPTS, ["a person stands"], "model 1", (0.6, 0.4))


def page_data(path: Path) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.S)
    assert match
    data: dict[str, Any] = json.loads(match[1])
    return data


def unpack(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def joints_of(source: dict[str, Any]) -> np.ndarray:
    return unpack(source["frames"]["joints"], "<i2").reshape(-1, 25, 3) * source["frames"]["unit"]


def add_frames(report: ReportBuilder, count: int, fps: float = 30.0, bodies: int = 1, source: str = "a") -> np.ndarray:
    rng = np.random.default_rng(count)
    joints = rng.uniform(-4, 4, (bodies, 25, 3)).astype(np.float32)
    confidence = np.ones((bodies, 25), np.float32)
    for i in range(count):
        t = round(i * NANOSECONDS / fps)
        report.add_frame(source, t, np.arange(bodies), joints, confidence, Space.CAMERA3D)
    return joints


def scores(t: int, track: int, probability: list[float], anomaly: float | None = None) -> Scores:
    values = np.array(probability, np.float32)
    return Scores("a", track, t, values, values, values, anomaly, 1.0, "digest")


def event(number: int, phase: Phase, severity: Severity = Severity.INFO, peak: float = 0.7, source: str = "a") -> Event:
    start = number * NANOSECONDS
    ended = phase is Phase.END
    end, reason = (start + NANOSECONDS, EndReason.BELOW_EXIT) if ended else (None, None)
    return Event(
        f"E{number:05d}", phase, EventKind.ACTION, severity, source, 1, "wave", "a person waves a hand",
        start, start, end, 0.5, peak, 0.1, reason,
    )  # fmt: skip


@pytest.mark.skipif(not CLIPS.exists(), reason="needs ../shared/data/clips")
def test_real_joints_come_back_within_two_millimetres(tmp_path: Path) -> None:
    joints = np.load(CLIPS)["joints"].astype(np.float32)[:300, None] / 1000
    confidence = np.where(np.abs(joints).sum(-1) > 0, 0.8, 0.0).astype(np.float32)
    report = builder()
    times = [1_700_000_000 * NANOSECONDS + i * BASE_INTERVAL for i in range(len(joints))]
    for t, body, seen in zip(times, joints, confidence, strict=True):
        report.add_frame("kinect", t, np.array([7]), body, seen, Space.CAMERA3D)
    report.write(tmp_path / "r.html")
    source = page_data(tmp_path / "r.html")["sources"][0]
    assert source["frames"]["count"] == source["frames"]["seen"] == 300
    assert source["tracks"] == ["7"]
    assert source["t0"] == str(times[0])
    assert np.abs(joints_of(source) - joints[:, 0]).max() < 0.002
    assert np.array_equal(unpack(source["frames"]["times"], "<u4"), np.arange(300) * 40)
    levels = unpack(source["frames"]["confidence"], "u1").reshape(-1, 25) / 255
    assert np.abs(levels - confidence[:, 0]).max() < 0.005


def test_image_coordinates_keep_their_own_scale(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, size in (("pixels", 1920.0), ("normalised", 1.0)):
        joints = (rng.uniform(0, size, (1, 25, 3)) * [1, 1, 0]).astype(np.float32)
        report = builder()
        report.add_frame(name, 0, np.array([1]), joints, np.ones((1, 25), np.float32), Space.IMAGE2D)
        report.write(tmp_path / "r.html")
        source = page_data(tmp_path / "r.html")["sources"][0]
        assert source["flat"]
        assert np.abs(joints_of(source) - joints).max() < size / 10_000


def test_joints_that_cannot_be_are_shown_as_unseen(tmp_path: Path) -> None:
    joints = np.ones((1, 25, 3), np.float32)
    joints[0, :3] = [[np.nan, 0, 0], [np.inf, 0, 0], [1e6, 0, 0]]
    confidence = np.ones((1, 25), np.float32)
    confidence[0, 3:6] = [np.nan, -1.0, 0.001]
    report = builder()
    report.add_frame("a", 0, np.array([1]), joints, confidence, Space.CAMERA3D)
    report.write(tmp_path / "r.html")
    levels = unpack(page_data(tmp_path / "r.html")["sources"][0]["frames"]["confidence"], "u1")
    assert levels[:7].tolist() == [0, 0, 0, 0, 0, 1, 255]


@pytest.mark.parametrize(("count", "fps"), [(100, 30.0), (9_001, 30.0), (20_000, 100.0), (4_000, 5.5)])
def test_frames_are_thinned_evenly_and_bounded(tmp_path: Path, count: int, fps: float) -> None:
    report = builder()
    joints = add_frames(report, count, fps)
    report.write(tmp_path / "r.html")
    frames = page_data(tmp_path / "r.html")["sources"][0]["frames"]
    times = unpack(frames["times"], "<u4") / 1000
    assert frames["seen"] == count
    assert frames["count"] == len(times) <= MAX_FRAMES
    assert frames["thinned"] == (frames["interval"] > 0.04)
    # At 25 frames a second, or as densely as the limit allows, from the first to the last moment.
    assert np.diff(times).min() > 0
    assert np.diff(times).max() <= max(2 * frames["interval"], 1 / fps) + 0.002
    assert times[0] == 0
    assert times[-1] >= (count - 1) / fps - 2 * frames["interval"]
    assert len(times) > min(count, MAX_FRAMES) * 0.45
    assert np.abs(joints_of({"frames": frames})[-1] - joints[0]).max() < 0.002


def test_frames_out_of_order_are_left_out(tmp_path: Path) -> None:
    report = builder()
    joints, confidence = np.zeros((1, 25, 3), np.float32), np.ones((1, 25), np.float32)
    for t in (0, 100, 50, 100, 200):
        report.add_frame("a", t * 1_000_000, np.array([1]), joints, confidence, Space.CAMERA3D)
    report.write(tmp_path / "r.html")
    assert unpack(page_data(tmp_path / "r.html")["sources"][0]["frames"]["times"], "<u4").tolist() == [0, 100, 200]


def test_many_sources_share_one_page(tmp_path: Path) -> None:
    report = builder()
    for number in range(6):
        add_frames(report, 2_000, 25.0, bodies=4, source=f"camera {number}")
    add_frames(report, 50, 25.0, source="short")
    report.write(tmp_path / "r.html")
    sources = page_data(tmp_path / "r.html")["sources"]
    assert [source["name"] for source in sources] == [*(f"camera {n}" for n in range(6)), "short"]
    assert sum(len(joints_of(source)) for source in sources) <= MAX_BODIES
    assert sources[-1]["frames"]["count"] == 50
    assert (tmp_path / "r.html").stat().st_size < 9_000_000


@pytest.mark.parametrize(
    ("score", "text"),
    [
        ("prompt", "how like the texts of [anomaly]"),
        ("product", "how like the texts of [anomaly], and unlike what is normal where that was learnt"),
    ],
)
def test_what_the_anomaly_score_means_is_told(tmp_path: Path, score: str, text: str) -> None:
    report = builder()
    report.watch_anomalies(score, (0.5, 0.35))
    report.write(tmp_path / "r.html")
    assert page_data(tmp_path / "r.html")["anomaly"] == {"text": text, "enter": 0.5, "exit": 0.35}
    builder().write(tmp_path / "none.html")
    assert page_data(tmp_path / "none.html")["anomaly"] is None


def test_scores_come_back_by_track(tmp_path: Path) -> None:
    report = builder()
    for i in range(10):
        report.add_scores(scores(i * NANOSECONDS, 5, [0.25, 0.5], anomaly=0.125))
        report.add_scores(scores(i * NANOSECONDS, 4, [0.1 * i, float("nan")]))
    report.write(tmp_path / "r.html")
    source = page_data(tmp_path / "r.html")["sources"][0]
    kept = source["scores"]
    values = unpack(kept["values"], "<u2").reshape(-1, 3)
    tracks = [source["tracks"][i] for i in unpack(kept["tracks"], "<u4")]
    assert sorted(tracks) == ["4"] * 10 + ["5"] * 10
    five = values[[track == "5" for track in tracks]] / 65_534
    assert np.abs(five - [0.25, 0.5, 0.125]).max() < 1e-4
    four = values[[track == "4" for track in tracks]]
    assert np.abs(four[:, 0] / 65_534 - 0.1 * np.arange(10)).max() < 1e-4
    assert (four[:, 1:] == 65_535).all()
    assert not kept["pooled"]


def test_pooled_scores_keep_their_peaks(tmp_path: Path) -> None:
    report = builder()
    for i in range(3 * MAX_SCORES):
        report.add_scores(scores(i * BASE_INTERVAL, i % 3, [0.9 if i == 20_001 else 0.1, 0.2]))
    report.write(tmp_path / "r.html")
    kept = page_data(tmp_path / "r.html")["sources"][0]["scores"]
    values = unpack(kept["values"], "<u2").reshape(-1, 3) / 65_534
    assert kept["pooled"]
    assert kept["count"] <= MAX_SCORES
    assert (values[:, 0] > 0.89).sum() == 1


def test_crowds_cannot_outgrow_the_scores(tmp_path: Path) -> None:
    report = builder()
    for i in range(MAX_SCORES + 500):
        report.add_scores(scores(i * NANOSECONDS, i, [0.1, 0.2]))
    report.write(tmp_path / "r.html")
    assert page_data(tmp_path / "r.html")["sources"][0]["scores"]["count"] == MAX_SCORES


def test_an_event_is_shown_in_its_latest_state(tmp_path: Path) -> None:
    report = builder()
    add_frames(report, 100)
    report.add_event(event(1, Phase.START))
    report.add_event(event(2, Phase.START))
    report.add_event(event(1, Phase.END, peak=float("nan")))
    report.write(tmp_path / "r.html")
    source = page_data(tmp_path / "r.html")["sources"][0]
    first, second = source["events"]
    assert (first["start"], first["end"], first["reason"], first["peak"]) == (1.0, 2.0, "below_exit", None)
    assert (second["start"], second["end"], second["reason"]) == (2.0, None, None)
    assert source["events_total"] == 2


def test_the_gravest_events_stay(tmp_path: Path) -> None:
    report = builder()
    for number in range(MAX_EVENTS + 100):
        severity = Severity.CRITICAL if number >= MAX_EVENTS else Severity.INFO
        report.add_event(event(number, Phase.START, severity))
        report.add_event(event(number, Phase.END, severity))
    report.write(tmp_path / "r.html")
    source = page_data(tmp_path / "r.html")["sources"][0]
    assert len(source["events"]) == MAX_EVENTS
    assert source["events_total"] == MAX_EVENTS + 100
    assert sum(one["severity"] == "critical" for one in source["events"]) == 100


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        report = builder()
        add_frames(report, 200)
        report.add_scores(scores(0, 0, [0.5, 0.1]))
        report.add_event(event(1, Phase.START))
        report.write(tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_misfits_are_refused() -> None:
    report = builder()
    joints, confidence = np.zeros((1, 25, 3), np.float32), np.ones((1, 25), np.float32)
    with pytest.raises(ValueError, match="2 bodies of 25 joints"):
        report.add_frame("a", 0, np.array([1, 2]), joints, confidence, Space.CAMERA3D)
    with pytest.raises(ValueError, match="for 2 prompts"):
        report.add_scores(scores(0, 1, [0.5]))


def test_a_change_of_space_starts_another_source(tmp_path: Path) -> None:
    report = builder()
    joints, confidence = np.ones((1, 25, 3), np.float32), np.ones((1, 25), np.float32)
    for t, space in enumerate([Space.CAMERA3D, Space.IMAGE2D, Space.CAMERA3D, Space.IMAGE2D]):
        report.add_frame("a", t * NANOSECONDS, np.array([1]), joints, confidence, space)
    report.write(tmp_path / "r.html")
    sources = page_data(tmp_path / "r.html")["sources"]
    assert [(one["name"], one["flat"], one["frames"]["count"]) for one in sources] == [
        ("a", False, 2),
        ("a (image2d)", True, 2),
    ]


def test_growing_image_coordinates_keep_the_precision_of_the_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    wanted = (rng.uniform(0, 1, (60, 25, 3)) * np.geomspace(0.01, 1920, 60)[:, None, None]).astype(np.float32)
    report = builder()
    nobody = np.zeros((0, 25, 3), np.float32)
    report.add_frame("a", -NANOSECONDS, np.zeros(0, np.int64), nobody, nobody[..., 0], Space.IMAGE2D)
    for i, joints in enumerate(wanted):
        report.add_frame("a", i * NANOSECONDS, np.array([1]), joints[None], np.ones((1, 25), np.float32), Space.IMAGE2D)
    report.write(tmp_path / "r.html")
    assert np.abs(joints_of(page_data(tmp_path / "r.html")["sources"][0]) - wanted).max() < 1920 / 10_000


def test_a_folder_of_files_takes_little_memory() -> None:
    report = builder()
    for number in range(400):
        add_frames(report, 120, 25.0, source=f"file {number}")
    rows = [
        getattr(recording.frames, name).data.nbytes
        for recording in report._recordings.values()
        for name in ("times", "counts", "tracks", "joints", "confidence")
    ]
    # 191 bytes a body and frame, in arrays that may be half empty.
    assert sum(rows) < 2 * 191 * MAX_BODIES + 400 * 16 * 191
    assert report._bodies == sum(one.frames.bodies for one in report._recordings.values()) <= MAX_BODIES


def test_the_page_tells_what_the_prompts_compete_with(tmp_path: Path) -> None:
    terms = "CC BY-NC 4.0; see README.md beside this file for the data"
    report = ReportBuilder("t", PROMPTS, ["x"], "m", (0.6, 0.4), terms, bank=113, unfamiliar=["fall"])
    report.write(tmp_path / "r.html")
    data = page_data(tmp_path / "r.html")
    assert (data["background"], data["bank"]) == (["x"], 113)
    assert [prompt["unfamiliar"] for prompt in data["prompts"]] == [False, True]
    assert data["terms"] == "CC BY-NC 4.0; see the model card for the data"


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cannot write the report"):
        builder().write(tmp_path / "missing" / "r.html")
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(ReportError, match="cannot write the report"):
        builder().write(tmp_path / "taken.html")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.html"]


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "folder" / "real.html", tmp_path / "link.html"
    target.parent.mkdir()
    link.symlink_to(target)
    for _ in range(2):  # first a link to nothing, then to the page
        builder().write(link)
        assert link.is_symlink()
        assert target.read_text("utf-8").startswith("<!doctype html>")
    assert [path.name for path in target.parent.iterdir()] == ["real.html"]


def test_devices_and_pipes_are_written_to(tmp_path: Path) -> None:
    builder().write(Path(os.devnull))
    assert not Path(os.devnull).is_file()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(pipe.read_bytes)
        builder().write(pipe)
        assert reader.result(10).startswith(b"<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    assert pipe.is_fifo()
