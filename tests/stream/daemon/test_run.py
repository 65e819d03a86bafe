"""`posewire run` with real processes: the same events as a replay, clean stops, crashes that hurt nobody else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
from camera_server import CameraServer
from in_process import Run, in_process
from running_daemon import POSEWIRE, ROOT, children_of, gone, roles_of

DEMO = ROOT / "stream" / "demo"
# Low thresholds and one prompt against little: these tests are about processes, and need events whatever the model.
CONFIG = """
[events]
enter = 0.2
exit = 0.1
margin = -2.0
cooldown_s = 0.0
[background]
bank = false
[publish]
events = "ipc://{folder}/events"
query = "ipc://{folder}/query"
[[prompts]]
name = "kick"
text = "a person kicks"
severity = "alert"
[[prompts]]
name = "punch"
text = "a person punches"
"""


def write_config(folder: Path, *sources: str) -> Path:
    path = folder / "test.toml"
    path.write_text(CONFIG.format(folder=folder) + "".join(f"[[sources]]\n{source}\n" for source in sources))
    return path


def recorded(name: str, path: Path, extra: str = "") -> str:
    return f'kind = "file"\nname = "{name}"\npath = "{path}"\n{extra}'


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path is short enough for unix sockets."""
    return tmp_path_factory.mktemp("d")


@pytest.fixture
def posewire(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command that starts no daemon, in this process."""
    monkeypatch.chdir(ROOT)
    return in_process(monkeypatch, capsys)


@contextmanager
def daemon(config: Path, runtime: Path) -> Iterator[subprocess.Popen[str]]:
    """A running daemon, whose own sockets lie in `runtime`; killed at the end if it still runs."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
    process = subprocess.Popen(
        [*POSEWIRE, "run", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        if process.stdout:
            process.stdout.close()
        process.wait()


class Events:
    """A plain pyzmq subscriber that shares no code with the project."""

    def __init__(self, folder: Path) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        for kind in (b"alarm/", b"action/", b"status/"):
            self.socket.setsockopt(zmq.SUBSCRIBE, kind)
        self.socket.connect(f"ipc://{folder}/events")
        self.seen: list[dict] = []

    def until(self, wanted: object, seconds: float = 120.0) -> dict:
        """Read until a message satisfies `wanted`, and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.socket.poll(100):
                message = json.loads(self.socket.recv_multipart()[1])
                self.seen.append(message)
                if wanted(message):
                    return message
        raise AssertionError(f"not seen in {seconds} s; saw {[(m['type'], m['data']) for m in self.seen][-5:]}")

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.destroy(linger=0)


def is_start(message: dict) -> bool:
    return message["type"] == "event" and message["data"]["phase"] == "start"


def role_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[3].decode()


def test_run_gives_the_events_of_a_replay(posewire: Run, short_path: Path) -> None:
    files = [DEMO / "Seq1_10.csv", DEMO / "Seq1_11.csv"]
    config = write_config(short_path, *(recorded(file.stem, file, "speed = 8") for file in files))
    out = short_path / "replay.ndjson"
    command = ("replay", *files, "--speed", "max", "--out", out, "--config", config)
    assert posewire(*command).returncode == 0
    replayed = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(replayed) >= 4

    with Events(short_path) as events, daemon(config, short_path) as process:
        events.until(lambda m: m["source"] == "posewire" and m["data"].get("state") == "stopped")
        assert process.wait(10) == 0
    live = [message for message in events.seen if message["type"] == "event"]
    for name in ("Seq1_10", "Seq1_11"):
        mine = [m["data"] for m in live if m["source"] == name]
        theirs = [m["data"] for m in replayed if m["source"] == name]
        assert [m["id"] == mine[0]["id"] for m in mine] == [m["id"] == theirs[0]["id"] for m in theirs]
        for one, other in zip(mine, theirs, strict=True):
            assert one.pop("id") != other.pop("id")  # the same recording in another run is another event
            for key in ("score", "peak", "margin"):
                assert one.pop(key) == pytest.approx(other.pop(key), abs=1e-4)
            assert one == other


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_open_events_and_leaves_nothing(short_path: Path, number: int) -> None:
    shared_before = set(Path("/dev/shm").iterdir())
    config = write_config(short_path, recorded("cam", DEMO / "Seq1_10.csv", "loop = true\nspeed = 4"))
    with Events(short_path) as events, daemon(config, short_path) as process:
        start = events.until(is_start)
        children = children_of(process.pid)
        assert {role_of(child) for child in children} == {"publisher", "worker", "capture"}
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(30) == 0
        assert time.monotonic() - began < 15.0  # a second where nothing else runs
        events.until(lambda m: m["data"].get("state") == "stopped")
    lives: dict[str, list[str]] = {}
    for message in events.seen:
        if message["type"] == "event":
            lives.setdefault(message["data"]["id"], []).append(message["data"]["phase"])
    assert start["data"]["id"] in lives
    assert all(life[0] == "start" and life[-1] == "end" for life in lives.values())
    assert all(gone(child) for child in children)
    assert sorted(path.name for path in short_path.iterdir()) == ["test.toml"]
    assert set(Path("/dev/shm").iterdir()) <= shared_before


def test_a_worker_that_is_killed_comes_back_and_its_events_are_ended(short_path: Path) -> None:
    config = write_config(short_path, recorded("cam", DEMO / "Seq1_10.csv", "loop = true"))
    with Events(short_path) as events, daemon(config, short_path) as process:
        start = events.until(is_start)
        (worker,) = [child for child in children_of(process.pid) if role_of(child) == "worker"]
        others = [child for child in children_of(process.pid) if child != worker]
        os.kill(worker, signal.SIGKILL)
        end = events.until(lambda m: m["type"] == "event" and m["data"]["phase"] == "end")
        assert (end["data"]["id"], end["data"]["reason"]) == (start["data"]["id"], "crash")
        assert events.until(is_start)["epoch"] == start["epoch"]
        assert not any(gone(other) for other in others)
        process.terminate()
        assert process.wait(10) == 0


def test_a_bad_source_is_told_of_and_the_others_go_on(short_path: Path) -> None:
    broken = short_path / "broken.csv"
    broken.write_text("\n".join([*(DEMO / "Ges01_wavehand.csv").read_text().splitlines()[:20], "1,2,3"]))
    config = write_config(
        short_path,
        recorded("missing", short_path / "none.csv"),
        recorded("broken", broken, "speed = 8"),
        recorded("good", DEMO / "Seq1_10.csv", "speed = 8"),
    )
    with Events(short_path) as events, daemon(config, short_path) as process:
        events.until(lambda m: m["data"].get("state") == "stopped")
        assert process.wait(10) == 2
    states = {(m["source"], m["data"]["state"]): m["data"]["detail"] for m in events.seen if m["type"] == "status"}
    assert "no such file" in states["missing", "error"]
    assert f"{broken}:21: " in states["broken", "error"]
    assert ("good", "ended") in states
    assert any(is_start(message) and message["source"] == "good" for message in events.seen)


def test_a_worker_that_is_killed_after_a_recording_has_ended_does_not_wait_for_it(short_path: Path) -> None:
    config = write_config(
        short_path,
        recorded("short", DEMO / "Ges01_wavehand.csv", "speed = 100"),
        recorded("long", DEMO / "Seq1_10.csv", "speed = 2"),
    )
    with Events(short_path) as events, daemon(config, short_path) as process:
        events.until(lambda m: m["source"] == "short" and m["data"].get("state") == "ended")
        deadline = time.monotonic() + 10
        while len(roles_of(process.pid)["capture"]) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (worker,) = roles_of(process.pid)["worker"]
        os.kill(worker, signal.SIGKILL)
        events.until(lambda m: m["source"] == "long" and m["data"].get("state") == "ended")
        assert process.wait(20) == 0


def test_a_camera_that_is_not_ready_is_a_fault_and_no_end(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(short_path / "data"))  # no pose network, which may be pulled at any time
    with CameraServer() as camera:
        config = write_config(short_path, f'kind = "video"\nname = "cam"\nurl = "{camera.url}"')
        config.write_text("[capture]\nfault_after_s = 1\n" + config.read_text())
        is_told_and_goes_on(short_path, config)


def is_told_and_goes_on(short_path: Path, config: Path) -> None:
    with Events(short_path) as events, daemon(config, short_path) as process:
        lost = events.until(lambda m: m["source"] == "cam" and m["data"].get("state") == "lost")
        assert (
            "posewire models pull" in lost["data"]["detail"] or "expected it to be installed" in lost["data"]["detail"]
        )
        fault = events.until(is_start)
        assert (fault["source"], fault["data"]["name"]) == ("cam", "camera-lost")
        assert process.poll() is None
        process.terminate()
        assert process.wait(10) == 0
    assert not any(m["data"].get("state") == "error" for m in events.seen)


@pytest.mark.parametrize("command", ["run", "record", "check"])
def test_passwords_that_are_not_there_are_refused_at_the_start(
    posewire: Run, short_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("CAMERA_PASSWORD", raising=False)
    monkeypatch.setenv("OTHER_PASSWORD", "kanarie")
    camera = 'kind = "video"\nname = "{}"\nurl = "rtsp://127.0.0.1:1/x"\nuser = "u"\n{}'
    config = write_config(
        short_path,
        camera.format("good", 'password_env = "OTHER_PASSWORD"'),
        camera.format("hall", 'password_env = "CAMERA_PASSWORD"'),
        camera.format("yard", 'password_file = "secret"'),
    )
    out = ["--out", short_path / "out.pwr"] if command == "record" else []
    done = posewire(command, *out, "--config", config)
    assert done.returncode == 2
    assert "kanarie" not in done.stdout + done.stderr
    hall = "environment variable CAMERA_PASSWORD is not set; expected the camera's password"
    yard = (
        f"password file {short_path}/secret cannot be read (No such file or directory); expected the camera's password"
    )
    if command == "check":  # which tries everything, and tells of all of it
        assert re.search(f"wrong  sources\\[1\\]: hall: .*{hall}", done.stderr)
        assert f"{yard}\n" in done.stderr
    else:
        assert done.stderr == (
            f"posewire: {config}: sources[1] (hall): {hall}\nposewire: {config}: sources[2] (yard): {yard}\n"
        )
        assert done.stdout == ""


def test_commands_that_open_no_camera_need_no_password(
    posewire: Run, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAMERA_PASSWORD", raising=False)
    config = write_config(
        short_path,
        'kind = "video"\nname = "cam"\nurl = "rtsp://127.0.0.1:1/x"\nuser = "u"\npassword_env = "CAMERA_PASSWORD"',
    )
    command = ("replay", DEMO / "Ges01_wavehand.csv", "--speed", "max", "--config", config)
    assert posewire(*command).returncode == 0


def test_a_second_daemon_on_the_same_addresses_is_refused(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(short_path, recorded("cam", DEMO / "Seq1_10.csv", "loop = true"))
    with Events(short_path) as events, daemon(config, short_path) as first:
        events.until(lambda m: m["data"].get("state") == "running")
        monkeypatch.setenv("XDG_STATE_HOME", str(short_path / "other"))
        with daemon(config, short_path) as second:
            output, _ = second.communicate(timeout=30)
            assert second.returncode == 2
            assert "already in use" in output
        assert first.poll() is None
        first.terminate()
        assert first.wait(10) == 0


def test_a_daemon_without_sources_is_refused(short_path: Path) -> None:
    with daemon(write_config(short_path), short_path) as process:
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert output.count("\n") == 1
    assert "expected at least one [[sources]] block" in output


def test_a_capture_that_is_killed_is_told_of_and_its_events_end(short_path: Path) -> None:
    config = write_config(
        short_path,
        recorded("cam", DEMO / "Seq1_10.csv", "loop = true"),
        recorded("other", DEMO / "Seq1_11.csv", "loop = true"),
    )
    with Events(short_path) as events, daemon(config, short_path) as process:
        start = events.until(lambda m: is_start(m) and m["source"] == "cam")
        names = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in children_of(process.pid)}
        first = min(child for child, line in names.items() if b"capture" in line)  # the sources start in their order
        os.kill(first, signal.SIGKILL)
        end = events.until(lambda m: m["type"] == "event" and m["data"]["id"] == start["data"]["id"] and ends(m))
        assert end["data"]["reason"] == "gap"
        events.until(lambda m: m["source"] == "cam" and m["data"].get("state") == "lost")
        # It never ends by itself: it is read again like a camera.
        events.until(lambda m: m["source"] == "cam" and m["data"].get("state") == "running")
        events.until(lambda m: is_start(m) and m["source"] == "other")  # it loops: there is always a next one
        process.terminate()
        assert process.wait(10) == 0


def ends(message: dict) -> bool:
    return message["data"]["phase"] == "end"


def test_a_file_that_is_faster_than_the_worker_loses_nothing_and_every_event_is_shown(short_path: Path) -> None:
    config = write_config(short_path, recorded("fast", DEMO / "Seq1_11.csv", "speed = 1000"))
    with Events(short_path) as events, daemon(config, short_path) as process:
        events.until(lambda m: m["source"] == "posewire" and m["data"].get("state") == "stopped")
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "all sources have ended" in output
    assert "worker: frames 347" in output or "worker: frames 348" in output
    seen = [message["data"] for message in events.seen if message["type"] == "event"]
    for phase in ("start", "update", "end"):
        assert sum(f"  {phase} " in line for line in output.splitlines()) == sum(m["phase"] == phase for m in seen)


def test_a_recording_that_plays_slower_than_it_should_is_told_of(short_path: Path) -> None:
    config = write_config(short_path, recorded("fast", DEMO / "Seq1_11.csv", "speed = 1000\nloop = true"))
    with daemon(config, short_path) as process:
        assert process.stdout is not None
        told = next(line for line in process.stdout if " plays at " in line)
        assert re.fullmatch(r"fast plays at \d+\.\dx, not 1000x: too slow a machine for it\n", told)
        process.terminate()
        rest = process.stdout.read()
        assert process.wait(20) == 0
    assert " plays at " not in rest
    assert "fast ended" in rest


@pytest.mark.parametrize("broken", ['path = "nowhere"', 'device = "cuda"'])
def test_a_model_that_cannot_be_used_ends_the_daemon_with_one_line(short_path: Path, broken: str) -> None:
    config = write_config(short_path, recorded("cam", DEMO / "Seq1_10.csv"))
    config.write_text(f"[model]\n{broken}\n" + config.read_text())
    with daemon(config, short_path) as process:
        output, _ = process.communicate(timeout=60)
    if "cuda" in broken and process.returncode == 0:
        pytest.skip("there is a CUDA device")
    assert process.returncode == 2
    assert "Traceback" not in output
    assert sum("posewire worker: " in line for line in output.splitlines()) == 1


def test_a_recorder_that_dies_leaves_what_it_has(short_path: Path) -> None:
    config = write_config(short_path, 'kind = "synthetic"\nname = "two"')
    out = short_path / "out.pwr"
    command = [*POSEWIRE, "record", "--out", str(out), "--config", str(config)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not (out.exists() and out.stat().st_size > 20_000):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (recorder,) = [child for child in children_of(process.pid) if role_of(child) == "recorder"]
        os.kill(recorder, signal.SIGKILL)
        assert process.wait(10) == 2
    assert out.stat().st_size > 20_000


def test_children_that_are_frozen_do_not_keep_a_daemon_from_stopping(short_path: Path) -> None:
    config = write_config(short_path, recorded("cam", DEMO / "Seq1_10.csv", "loop = true"))
    with Events(short_path) as events, daemon(config, short_path) as process:
        events.until(is_start)
        children = children_of(process.pid)
        for child in children:
            os.kill(child, signal.SIGSTOP)
        process.terminate()
        output, _ = process.communicate(timeout=20)  # eight seconds, on a machine that has them
        assert all(gone(child) for child in children)
    told = [line for line in output.splitlines() if "stop" in line and "Ctrl-C" not in line]
    assert len(told) == 3, output
    assert all(re.fullmatch(r"posewire: \S+ did not stop in \d+\.\d s and was ended", line) for line in told)


def test_a_source_may_be_called_like_a_process(short_path: Path) -> None:
    config = write_config(short_path, recorded("worker", DEMO / "Seq1_10.csv", "speed = 8"))
    with Events(short_path) as events, daemon(config, short_path) as process:
        for state in ("running", "ended"):
            events.until(lambda m, state=state: m["source"] == "worker" and m["data"].get("state") == state)
        assert process.wait(10) == 0
