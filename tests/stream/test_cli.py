"""The commands as a person runs them, on real recordings; as real processes where a process is what is at stake."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
from in_process import Run, in_process

from stream.sources.files import open_source

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "stream" / "demo"
SAMPLES = ROOT.parent / "shared" / "data" / "samples"
KICKS = DEMO / "Seq1_10.csv"
# Low thresholds: these tests need events, whatever the model thinks of them.
SENSITIVE = """
[events]
enter = 0.2
exit = 0.1
margin = -2.0
[background]
bank = false
[publish]
events = "ipc://{folder}/e"
query = "ipc://{folder}/q"
[[prompts]]
name = "kick"
text = "a person kicks"
severity = "alert"
[[prompts]]
name = "punch"
text = "a person punches"
"""


def as_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100)


@pytest.fixture
def posewire(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process, where torch and the text model are loaded already."""
    monkeypatch.chdir(ROOT)
    return in_process(monkeypatch, capsys)


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on; it is gone after the block, whatever happens in it."""
    command = [sys.executable, "-m", "stream.cli", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def sensitive(tmp_path: Path) -> Path:
    path = tmp_path / "sensitive.toml"
    path.write_text(SENSITIVE.format(folder=tmp_path))
    return path


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_wall_clock(messages: list[dict]) -> list[dict]:
    return [{key: value for key, value in message.items() if key != "t_pub"} for message in messages]


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from stream.cli import app\n"
        "for words in ([], ['replay'], ['run'], ['watch'], ['check'], ['record'], ['prompts', 'test'], ['schema'],\n"
        "              ['teach']):\n"
        "    try: app([*words, '--help'])\n"
        "    except SystemExit: print()\n"
        "heavy = {'torch', 'numpy', 'scipy', 'zmq', 'msgspec', 'sentence_transformers'} & set(sys.modules)\n"
        "sys.exit(str(sorted(heavy)) if heavy else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert "--speed" in result.stdout


def test_replay_twice_gives_the_same_lines_a_report_and_a_summary(
    posewire: Run, tmp_path: Path, sensitive: Path
) -> None:
    messages = []
    for run, command in (("a", posewire), ("b", as_process)):  # another process may hash otherwise
        out, report = tmp_path / f"{run}.ndjson", tmp_path / f"{run}.html"
        result = command("replay", KICKS, "--speed", "max", "--out", out, "--report", report, "--config", sensitive)
        assert result.returncode == 0, result.stderr
        messages.append(without_wall_clock(lines_of(out)))
        assert re.search(r"1 file, 228 frames|1 file, 227 frames", result.stdout)
        assert f"report: {report}" in result.stdout
    assert messages[0] == messages[1]
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert {message["type"] for message in messages[0]} == {"event"}
    assert next(message["data"]["phase"] for message in messages[0]) == "start"
    assert [message["data"]["phase"] for message in messages[0]][-1] == "end"
    assert not list(tmp_path.glob("*.part"))


def test_a_bad_file_gets_one_line_and_exit_code_2_and_the_others_go_on(
    posewire: Run, tmp_path: Path, sensitive: Path
) -> None:
    bad, late = tmp_path / "bad.skeleton", tmp_path / "late.csv"
    bad.write_text("1000000000\nx")
    late.write_text("\n".join([*KICKS.read_text().splitlines()[:200], "1 2;3"]))
    out = tmp_path / "o.ndjson"
    result = posewire(
        "replay", tmp_path / "none.csv", bad, late, KICKS, "--speed", "max", "--out", out, "--config", sensitive
    )
    assert result.returncode == 2
    complaints = result.stderr.splitlines()
    assert len(complaints) == 3
    assert "none.csv: no such file" in complaints[0]
    assert f"{bad}:2: " in complaints[1]
    assert f"{late}:201: " in complaints[2]
    # The frames before the fault count, and the good file is whole.
    assert {message["source"] for message in lines_of(out)} == {"late", "Seq1_10"}


def test_nothing_is_written_when_nothing_can_be_replayed(tmp_path: Path) -> None:
    out = tmp_path / "o.ndjson"
    out.write_text("precious\n")
    result = as_process("replay", tmp_path / "none.csv", "--out", out)
    assert result.returncode == 2
    assert out.read_text() == "precious\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["replay", KICKS, "--speed", "0"], "--speed 0: expected a number above 0"),
        (["replay", KICKS, "--prompt", "x"], "--prompt: expected a description of 3 to 300 characters"),
        (["replay", KICKS, "--config", "none.toml"], "none.toml: cannot be read"),
        (["replay", KICKS, "--speed", "max", "--out", "/none/o.ndjson"], "--out /none/o.ndjson: cannot be written"),
        (["watch", "alarms"], "topic 'alarms'"),
        (["watch", "--connect", "nowhere"], "cannot connect to 'nowhere'"),
        (["schema", "nothing"], "no message type 'nothing'"),
        (["record", "--out", ROOT / "README.md", KICKS], "exists already"),
        (["replay", KICKS, "--out", DEMO], "is a folder"),
        (["replay", KICKS, "--out", "new.x", "--report", "new.x"], "--report new.x: is the file of --out too"),
        (["replay", KICKS, "--prompt", "     "], "--prompt: expected a description of 3 to 300 characters"),
        (["replay", KICKS, "--prompt", "a b!", "--prompt", "a b?"], "'a b!' and 'a b?' are too alike"),
        (["prompts", "test", ""], "expected a description of 3 to 300 characters"),
        (["prompts", "test", "     "], "expected a description of 3 to 300 characters"),
        (["bench", "--json", "/nonexistent/x"], "--json /nonexistent/x: cannot be written"),
    ],
)
def test_wrong_options_get_one_line_and_exit_code_2(posewire: Run, arguments: list, expected: str) -> None:
    result = posewire(*arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) <= 2
    assert "Traceback" not in result.stderr


def test_an_input_survives_whatever_the_outputs_are_called(posewire: Run, tmp_path: Path) -> None:
    file, recording = tmp_path / "a.csv", tmp_path / "a.pwr"
    file.write_bytes(KICKS.read_bytes())
    assert posewire("record", "--out", recording, file).returncode == 0
    assert posewire("record", "--out", recording, file).returncode == 2
    before = {path: path.read_bytes() for path in (file, recording)}
    for arguments in (
        ("replay", "--out", file, file),
        ("replay", "--report", file, tmp_path),
        ("record", "--force", "--out", recording, recording),
    ):
        result = posewire(*arguments)
        assert result.returncode == 2
        assert "would overwrite an input" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_costs_the_lines_and_nothing_else(posewire: Run, tmp_path: Path, sensitive: Path) -> None:
    report = tmp_path / "r.html"
    result = posewire(
        "replay", KICKS, "--speed", "max", "--out", "/dev/full", "--report", report, "--config", sensitive
    )
    assert result.returncode == 2
    assert re.fullmatch(r"posewire: /dev/full: cannot be written \(.*space.*\n", result.stderr)
    assert "1 file, 22" in result.stdout
    assert "events: /dev/full" not in result.stdout
    assert report.is_file()


def test_lines_on_standard_output_stand_there_alone(sensitive: Path) -> None:
    result = as_process("replay", KICKS, "--speed", "max", "--out", "/dev/stdout", "--config", sensitive)
    assert result.returncode == 0
    assert {json.loads(line)["type"] for line in result.stdout.splitlines()} == {"event"}
    assert "1 file, 22" in result.stderr


def test_recordings_with_sources_of_the_same_name_stay_apart(posewire: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert posewire("record", "--out", tmp_path / f"{name}.pwr", KICKS).returncode == 0
    both = tmp_path / "both.pwr"
    result = posewire("record", "--out", both, tmp_path / "a.pwr", tmp_path / "b.pwr", KICKS)
    assert result.returncode == 0
    with open_source(both) as source:
        assert {frame.source for frame in source} == {"a.Seq1_10", "b.Seq1_10", "Seq1_10"}
    assert not list(tmp_path.glob("*.part"))


def test_a_prompt_of_ones_own_is_an_alarm(posewire: Run, tmp_path: Path) -> None:
    out = tmp_path / "o.ndjson"
    # One prompt against nothing but the default background; embedded by the text model, as it ships with no checkpoint.
    text = "a person kicks with the leg in the air"
    config = tmp_path / "c.toml"
    config.write_text("[events]\nenter = 0.05\nexit = 0.01\nmargin = -2.0\n[background]\nbank = false\n")
    result = posewire("replay", KICKS, "--speed", "max", "--prompt", text, "--out", out, "--config", config)
    assert result.returncode == 0, result.stderr
    assert {(m["data"]["prompt"], m["data"]["severity"]) for m in lines_of(out)} == {(text, "alert")}


def test_a_recording_replays_as_the_files_it_was_made_of(posewire: Run, tmp_path: Path, sensitive: Path) -> None:
    recording, original, again = tmp_path / "r.pwr", tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    files = [KICKS, DEMO / "Ges01_wavehand.csv"]
    assert posewire("record", "--out", recording, *files).returncode == 0
    posewire("replay", *files, "--speed", "max", "--out", original, "--config", sensitive)
    posewire("replay", recording, "--speed", "max", "--out", again, "--config", sensitive)
    assert lines_of(original)
    strip = [[{**m, "epoch": ""} for m in without_wall_clock(lines_of(path))] for path in (original, again)]
    key = str  # a recording's events of two sources may interleave otherwise: the frames are handed over in batches
    for one, other in zip(sorted(strip[0], key=key), sorted(strip[1], key=key), strict=True):
        for name in ("score", "peak", "margin"):
            assert one["data"].pop(name) == pytest.approx(other["data"].pop(name), abs=1e-4)
        one.pop("seq"), other.pop("seq")
        assert one == other


def test_record_takes_the_configured_sources(posewire: Run, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[[sources]]\nkind = "synthetic"\nname = "two"\npeople = 2\nfps = 30.0\n')
    out = tmp_path / "live.pwr"
    result = as_process("record", "--out", out, "--config", config, "--seconds", 2)
    assert result.returncode == 0, result.stderr
    frames = int(re.search(r"(\d+) frames", result.stdout)[1])
    assert frames > 20
    replayed = posewire("replay", out, "--speed", "max")
    assert f"1 file, {frames} frames" in replayed.stdout
    assert "2 person tracks" in replayed.stdout


def test_check_shows_all_errors_at_once(posewire: Run, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        '[model]\npath = "nowhere"\n[[sources]]\nkind = "file"\nname = "a"\npath = "none.csv"\n'
        '[[sources]]\nkind = "synthetic"\nname = "b"\n'
    )
    result = posewire("check", "--config", config)
    assert result.returncode == 2
    wrong = [line.split(": ")[0] for line in result.stderr.splitlines()]
    assert wrong == ["wrong  sources[0]", "wrong  model", "wrong  prompts", "wrong  examples"]
    assert "ok     sources[1]: b" in result.stdout
    assert posewire("check", "--config", ROOT / "config.toml").returncode == 0


def test_prompts_list_and_test(posewire: Run) -> None:
    listed = posewire("prompts", "list", "--config", ROOT / "config.toml").stdout
    assert "a person waves a hand" in listed
    assert re.findall(r"^(?:prompts|background|known).*?\((\d+)\):$", listed, re.M)[:2] == ["5", "3"]
    assert listed.index("a person stands still") < listed.index("known actions of the model")
    tested = posewire("prompts", "test", "a person kicks a ball").stdout
    assert tested.splitlines()[-1].startswith("known: ")
    assert "labels as near as this" in tested
    assert "a person kicks a ball" in tested.splitlines()[2]
    unknown = posewire("prompts", "test", "a chess player resigns the game", "two people play chess").stdout
    assert "unknown: teach it from examples" in unknown


def readme_subscriber() -> str:
    """The first Python block of the README: a subscriber in plain pyzmq."""
    return re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]


def test_the_readmes_subscriber_gets_every_event_of_a_published_replay(
    posewire: Run, tmp_path: Path, sensitive: Path
) -> None:
    script = readme_subscriber()
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    assert "stream" not in re.findall(r"^(?:from|import) (\w+)", script, re.M)
    endpoint = f"ipc://{tmp_path}/e"
    subscriber = subprocess.Popen(
        [sys.executable, "-u", "-c", script.replace("tcp://127.0.0.1:5556", endpoint)],
        stdout=subprocess.PIPE,
        text=True,
    )
    out = tmp_path / "o.ndjson"
    result = posewire("replay", KICKS, "--speed", "max", "--publish", "--out", out, "--config", sensitive)
    assert result.returncode == 0, result.stderr
    assert "nobody subscribed" not in result.stdout
    expected = lines_of(out)
    assert len(expected) >= 2
    got = [subscriber.stdout.readline() for _ in expected]
    subscriber.kill()
    subscriber.wait()
    subscriber.stdout.close()
    for line, message in zip(got, expected, strict=True):
        assert message["data"]["phase"] in line
        assert message["data"]["name"] in line


def test_watch_prints_what_is_published(posewire: Run, tmp_path: Path, sensitive: Path) -> None:
    out = tmp_path / "o.ndjson"
    with started("watch", "alarm", "action", "--json", "--config", sensitive) as watcher:
        assert "watching alarm, action" in watcher.stderr.readline()  # it subscribes now; the replay waits for that
        result = posewire("replay", KICKS, "--speed", "max", "--publish", "--out", out, "--config", sensitive)
        assert result.returncode == 0, result.stderr
        assert "nobody subscribed" not in result.stdout
        expected = lines_of(out)
        got = [json.loads(watcher.stdout.readline()) for _ in expected]
        # An event that was open when the watcher joined may be shown ahead of older messages, but none twice.
        assert sorted(got, key=str) == sorted(expected, key=str)
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(60) == 130


def test_a_replay_without_subscribers_goes_on(posewire: Run, tmp_path: Path, sensitive: Path) -> None:
    out = tmp_path / "o.ndjson"
    result = posewire("replay", KICKS, "--speed", "max", "--publish", "--out", out, "--config", sensitive)
    assert result.returncode == 0
    assert "nobody subscribed in 5 s; going on" in result.stdout
    assert lines_of(out)


def test_an_interrupted_replay_ends_its_events_and_keeps_its_lines(tmp_path: Path, sensitive: Path) -> None:
    out = tmp_path / "o.ndjson"
    part = tmp_path / "o.ndjson.part"
    with started("replay", KICKS, "--speed", "1", "--out", out, "--config", sensitive) as replay:
        deadline = time.monotonic() + 60
        for line in replay.stdout:
            if "start" in line:
                break
        replay.send_signal(signal.SIGINT)
        assert replay.wait(deadline - time.monotonic()) == 130
    assert not part.exists()
    assert lines_of(out)[-1]["data"]["reason"] == "shutdown"


def test_a_publisher_on_an_address_in_use_is_refused(posewire: Run, sensitive: Path, tmp_path: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as taken:
        taken.bind(f"ipc://{tmp_path}/e")
        result = posewire("replay", KICKS, "--publish", "--config", sensitive)
    assert result.returncode == 2
    assert "already in use" in result.stderr


SKELETONS = sorted(
    path for pattern in ("kinect_*/*.csv", "ntu_local_only/*.skeleton", "bvh/*.bvh") for path in SAMPLES.glob(pattern)
)


@pytest.mark.skipif(not SKELETONS, reason="the sample recordings are not here")
def test_every_real_recording_replays(posewire: Run, tmp_path: Path) -> None:
    out = tmp_path / "o.ndjson"
    result = posewire("replay", *SKELETONS, "--speed", "max", "--out", out, "--report", tmp_path / "r.html")
    assert result.returncode == 0, result.stderr
    assert f"{len(SKELETONS)} files" in result.stdout
