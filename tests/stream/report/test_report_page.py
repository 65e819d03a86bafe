"""The page itself: what it may not contain, and its script run by node and by a browser where there are any."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from stream.report import ReportBuilder
from stream.report.page import SCRIPTS, VIDEO_SCRIPT, script_text
from stream.types import NANOSECONDS, EndReason, Event, EventKind, Phase, Scores, Severity, Space

HOSTILE = "</script><b>bold</b><!--<script>alert(1)</script>\u2028&amp;{{script}}\\u003c"
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BROWSER_OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=1500"),
]


class Scripts(HTMLParser):
    """Collects the elements of a page and what stands inside its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside = tag == "script"
        if self.inside:
            assert not any(name == "src" for name, _ in attrs)
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[-1] += data


def event(source: str, kind: EventKind, name: str, t: float) -> Event:
    start = round(t * NANOSECONDS)
    return Event(
        f"E{start}", Phase.END, kind, Severity.ALERT, source, -1 if kind is EventKind.FAULT else 3, name, HOSTILE,
        start, start, start + NANOSECONDS, 0.7, 0.8, 0.1, EndReason.BELOW_EXIT,
    )  # fmt: skip


def write_page(path: Path, title: str = HOSTILE) -> np.ndarray:
    """Write a page with two hostile sources, one of them 2-D; return the joints of the first, (60, 2, 25, 3)."""
    report = ReportBuilder(title, [("wave_hand", HOSTILE, "info")], [HOSTILE], HOSTILE, (0.6, 0.4), terms=HOSTILE)
    report.watch_anomalies("product", (0.5, 0.35))
    rng = np.random.default_rng(3)
    joints = rng.uniform(-3, 3, (60, 2, 25, 3)).astype(np.float32)
    for i, bodies in enumerate(joints):
        t = i * 50_000_000
        report.add_frame(HOSTILE, t, np.array([3, 9]), bodies, np.ones((2, 25), np.float32), Space.CAMERA3D)
        report.add_frame("flat", t, np.array([-1, -1]), bodies, np.ones((2, 25), np.float32), Space.IMAGE2D)
        value = np.array([i / 60], np.float32)
        report.add_scores(Scores(HOSTILE, 3, t, value, value, value, i / 100, 1.0, ""))
    report.add_event(event(HOSTILE, EventKind.ACTION, "wave_hand", 1.0))
    report.add_event(event(HOSTILE, EventKind.ANOMALY, "anomaly", 1.5))
    report.add_event(event(HOSTILE, EventKind.FAULT, HOSTILE, 2.0))
    report.write(path)
    return joints


def run_browser(path: Path, tmp_path: Path, moment: str) -> tuple[str, str]:
    """Return the page's elements after its script has run, and what the browser logged."""
    command = [str(CHROMIUM), *BROWSER_OPTIONS, "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--dump-dom", f"{path.as_uri()}#{moment}"], capture_output=True, text=True, timeout=60
    )
    if done.returncode or "posewire" not in done.stdout:
        pytest.skip("the browser here does not start, or may not open files of this folder")
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    write_page(tmp_path / "hostile.html")
    write_page(tmp_path / "plain.html", "plain")
    hostile, plain = Scripts(), Scripts()
    hostile.feed((tmp_path / "hostile.html").read_text("utf-8"))
    plain.feed((tmp_path / "plain.html").read_text("utf-8"))
    assert hostile.tags == plain.tags
    assert "b" not in hostile.tags
    data, script = hostile.scripts
    assert script == script_text()
    assert "<" not in data
    read = json.loads(data)
    assert read["title"] == read["terms"] == read["prompts"][0]["text"] == read["sources"][0]["name"] == HOSTILE


def test_a_name_that_is_not_unicode_can_be_written(tmp_path: Path) -> None:
    report = ReportBuilder("caf\udce9", [], [], "", (0.6, 0.4))
    nobody = np.zeros((0, 25, 3), np.float32)
    report.add_frame("caf\udce9.csv", 0, np.zeros(0, np.int64), nobody, nobody[..., 0], Space.CAMERA3D)
    report.write(tmp_path / "r.html")
    assert "caf?" in (tmp_path / "r.html").read_text("utf-8")


def test_the_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    write_page(tmp_path / "r.html", "plain")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|\bimport\(|@import|url\(|fetch\(|XMLHttpRequest", page)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    assert policy.startswith("default-src 'none';")
    for kind, text in (("style", page.split("<style>")[1].split("</style>")[0]), ("script", script_text())):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_the_script_writes_no_markup() -> None:
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script_text(video=True)
    )
    present = sorted(entry.name for entry in files("stream.report").joinpath("js").iterdir())
    assert present == sorted(f"{name}.js" for name in (*SCRIPTS, VIDEO_SCRIPT))


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_the_script_reads_what_was_written(tmp_path: Path) -> None:
    joints = write_page(tmp_path / "r.html")
    decode = files("stream.report").joinpath("js/decode.js").read_text("utf-8")
    (tmp_path / "read.js").write_text(
        decode
        + """
        const text = require("fs").readFileSync(process.argv[2], "utf8");
        const data = JSON.parse(text.split('id="data">')[1].split("</script>")[0]);
        const [source, flat] = data.sources.map((raw) => decodeSource(raw, data.prompts.length));
        const poses = (of, t) => posesAt(of, t).map((pose) => [of.tracks[pose.track], Array.from(pose.points)]);
        const line = source.lines.get(0);
        console.log(JSON.stringify({
          at: poses(source, 1), between: poses(source, 1.025), flat: poses(flat, 1.025), after: poses(source, 9),
          before: poses(source, -1), presence: source.presence, value: line.value(rowAt(line, 1.51, 1), 0),
          anomaly: line.value(30, 1), events: eventsAt(source, 1.2).map((event) => event.name),
          clock: [clock(0, 2), clock(59.999, 2), clock(3661.5, 1)],
        }));
        """
    )
    done = subprocess.run(
        [str(NODE), str(tmp_path / "read.js"), str(tmp_path / "r.html")], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert [track for track, _ in read["at"]] == ["3", "9"]
    for name, wanted in (("at", joints[20]), ("between", (joints[20] + joints[21]) / 2)):
        points = np.array([points for _, points in read[name]]).reshape(2, 25, 3)
        assert np.abs(points - wanted).max() < 0.002
    # Two bodies without ids stay two bodies.
    points = np.array([points for _, points in read["flat"]]).reshape(2, 25, 3)
    assert np.abs(points - (joints[20] + joints[21]) / 2).max() < 0.002
    assert read["after"] == read["before"] == []
    assert [(span["track"], span["start"], span["end"]) for span in read["presence"]] == [(0, 0, 2.95), (1, 0, 2.95)]
    assert read["value"] == pytest.approx(0.5, abs=1e-4)
    assert read["anomaly"] == pytest.approx(0.3, abs=1e-4)
    assert read["events"] == ["wave_hand"]
    assert read["clock"] == ["0:00.00", "1:00.00", "1:01:01.5"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    write_page(tmp_path / "r.html")
    page, log = run_browser(tmp_path / "r.html", tmp_path, "t=1.2")
    assert log == ""
    assert 'data-ready="true"' in page
    text = html.unescape(re.sub(r"<[^>]+>", "\n", page.split("</header>", 1)[1].split('id="data"')[0]))
    for wanted in ("0:01.20", "0:03.00", "Person 3", "wave hand", "2 people in view", "score fell below exit", "flat"):
        assert wanted in text
    assert "<b>bold" not in page.split('<script type="application/json"')[0]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_that_there_was_nothing(tmp_path: Path) -> None:
    nobody = np.zeros((0, 25, 3), np.float32)
    report = ReportBuilder("empty", [("wave", "a person waves", "info")], [], "", (0.6, 0.4))
    report.write(tmp_path / "nothing.html")
    page, log = run_browser(tmp_path / "nothing.html", tmp_path, "")
    assert log == ""
    assert "Nothing was replayed" in page.split("</noscript>")[1].split("</main>")[0]
    for i in range(50):
        t = i * 40_000_000
        report.add_frame("a", t, np.zeros(0, np.int64), nobody, nobody[..., 0], Space.CAMERA3D)
    report.write(tmp_path / "nobody.html")
    page, log = run_browser(tmp_path / "nobody.html", tmp_path, "")
    assert log == ""
    assert "No events: nobody was seen" in page.split("<footer>")[0]
    assert 'id="nobody" class="nobody-note">' in page


def visible(page: str) -> str:
    """What stands in the page's body after the heading, without its tags and the hostile data."""
    return html.unescape(re.sub(r"<[^>]+>", "\n", page.split("</header>", 1)[1].split('id="data"')[0]))


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_opens_the_recording_with_an_alarm_and_lists_all_events(tmp_path: Path) -> None:
    report = ReportBuilder(
        "three", [("wave", "a person waves", "info")], ["a person stands"], "m", (0.6, 0.4), "CC BY",
        bank=113, unfamiliar=["wave"],
    )  # fmt: skip
    nobody = np.zeros((0, 25, 3), np.float32)
    for name in ("quiet", "busy", "grave"):
        for i in range(100):
            report.add_frame(name, i * 40_000_000, np.zeros(0, np.int64), nobody, nobody[..., 0], Space.CAMERA3D)
    report.add_event(replace(event("busy", EventKind.ACTION, "wave", 1.0), severity=Severity.INFO))
    report.add_event(event("grave", EventKind.ACTION, "fall", 2.0))
    report.write(tmp_path / "r.html")
    page, log = run_browser(tmp_path / "r.html", tmp_path, "")
    assert log == ""
    assert 'aria-label="Animated skeletons of grave"' in page
    assert page.count("<td") == 8
    text = visible(page)
    assert "with the background (“a person stands”) and with 113 further actions that the model knows" in text
    assert "not trained on" in text
    assert "Model: CC BY" in text
    page, log = run_browser(tmp_path / "r.html", tmp_path, "events=all&source=1")
    assert log == ""
    assert 'aria-label="Animated skeletons of quiet"' in page
    rows = re.findall(r'<td class="c-source"[^>]*><b>(\w+)</b>', page)
    assert rows == ["busy", "grave"]
    assert "clearly" not in script_text()
