"""`posewire calibrate normal`: from recordings, from a daemon's skeletons, adding and forgetting."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import zmq
from poses import frame
from small_model import KICK, make_model, pose, record, write_config
from typer.testing import CliRunner

from models.normal_file import NormalError, load_normals
from stream.anomaly import PERSON, SCENE
from stream.cli import app
from stream.commands.calibrate_normal import LearnError, calibrate_normal, skeleton_frame
from stream.commands.check import check_all
from stream.commands.options import OptionError
from stream.commands.prompts_running import DaemonError
from stream.messages import Message
from stream.publisher import Publisher
from stream.sockets import PublisherSockets
from stream.types import NANOSECONDS, Scores, SkeletonFrame


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_model(tmp_path / "model")
    lines = ("[anomaly]", "enabled = true", 'encoder = "graph"', f'prompts = ["{KICK}"]', 'normal = "normal.st"')
    write_config(tmp_path, *lines)
    return tmp_path


def learn(folder: Path, *paths: Path, **options: object) -> int:
    given = {"from_daemon": False, "seconds": 1.0, "out": None, "add": False, "reset": False, **options}
    return calibrate_normal([str(path) for path in paths], config=folder / "test.toml", **given)  # type: ignore[arg-type]


def answering(folder: Path, publisher: Publisher) -> PublisherSockets:
    return PublisherSockets(publisher, events=f"ipc://{folder}/e", query=f"ipc://{folder}/q")


def counts(path: Path, folder: Path) -> dict[str, int]:
    # Made again it would be another one: how many threads there are decides its last bits.
    digest = json.loads((folder / "model" / "model.json").read_text())["weights_sha256"]
    return {name: model.count for name, model in load_normals(path, digest).items()}


def test_recordings_are_learnt_added_to_and_forgotten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = record(folder / "one.pwr", ("stand", 6.0), ("wave", 6.0))
    second = record(folder / "two.pwr", ("squat", 8.0), seed=1)
    path = folder / "normal.st"
    assert learn(folder, first) == 0
    found = counts(path, folder)
    assert 5 <= found[PERSON] <= 7
    assert 5 <= found[SCENE] <= 7
    assert "windows of people" in capsys.readouterr().out
    with pytest.raises(OptionError, match="expected --add to learn more, or --reset"):
        learn(folder, second)
    with pytest.raises(LearnError, match="cannot be looked for"):
        learn(folder, second, out=folder / ("n" * 300))
    assert learn(folder, second, add=True) == 0
    both = counts(path, folder)
    assert both[PERSON] > found[PERSON]
    assert f"({both[PERSON] - found[PERSON]} of them new)" in " ".join(capsys.readouterr().out.split())
    assert learn(folder, first, reset=True) == 0
    assert counts(path, folder) == found
    assert learn(folder, first, out=folder / "other.st", add=True) == 0
    assert counts(folder / "other.st", folder) == found
    assert learn(folder, reset=True) == 0
    assert not path.exists()
    with pytest.raises(LearnError, match="there is no such file"):
        learn(folder, reset=True)


def test_learning_twice_from_the_same_gives_the_same_file(folder: Path) -> None:
    clip = record(folder / "one.pwr", ("stand", 5.0), ("squat", 5.0))
    learn(folder, clip, out=folder / "a.st")
    learn(folder, clip, out=folder / "b.st")
    assert (folder / "a.st").read_bytes() == (folder / "b.st").read_bytes()


def test_what_cannot_be_learnt_leaves_no_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = record(folder / "short.pwr", ("stand", 0.5))
    with pytest.raises(LearnError, match="nobody was seen for long enough"):
        learn(folder, short)
    assert learn(folder, folder / "missing.pwr") == 2
    assert "missing.pwr" in capsys.readouterr().err
    assert not (folder / "normal.st").exists()
    (folder / "normal.st").write_bytes(b"something else")
    clip = record(folder / "one.pwr", ("stand", 6.0))
    with pytest.raises(NormalError, match=r"not a safetensors file.*calibrate normal --reset RECORDING"):
        learn(folder, clip, add=True)
    assert (folder / "normal.st").read_bytes() == b"something else"
    assert learn(folder, clip, reset=True) == 0
    learnt = (folder / "normal.st").read_bytes()
    with pytest.raises(LearnError, match="nobody was seen for long enough"):
        learn(folder, short, add=True)
    assert (folder / "normal.st").read_bytes() == learnt


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "^nothing to learn from; expected recordings of what is normal, or --from-daemon$"),
        ({"add": True}, "^--add: nothing to learn from; expected recordings too, or --from-daemon$"),
        ({"add": True, "reset": True}, "^--add and --reset: expected one of them"),
    ],
)
def test_each_wrong_choice_of_options_is_told_by_itself(folder: Path, options: dict[str, bool], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        learn(folder, **options)
    with pytest.raises(OptionError, match=r"^recordings and --from-daemon: expected one of them"):
        learn(folder, folder / "one.pwr", from_daemon=True)


def test_what_no_daemon_will_look_at_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, path = record(folder / "one.pwr", ("stand", 6.0)), folder / "test.toml"
    learn(folder, clip)
    assert "a running daemon takes it up by itself" in capsys.readouterr().out
    learn(folder, clip, out=folder / "other.st")
    told = capsys.readouterr().out
    assert f'set anomaly.normal = "{folder / "other.st"}" to use it' in told
    assert "by itself" not in told
    path.write_text(path.read_text().replace("enabled = true", "enabled = false"))
    learn(folder, clip, reset=True)
    assert "[anomaly] is not enabled" in capsys.readouterr().out


def test_a_broken_recording_is_told_of_and_the_others_are_learnt(folder: Path) -> None:
    clip = record(folder / "one.pwr", ("stand", 6.0))
    broken = folder / "two.pwr"
    broken.write_text("nonsense")
    assert learn(folder, clip, broken) == 2
    assert counts(folder / "normal.st", folder)[PERSON] >= 3


def test_a_daemons_skeletons_are_learnt(folder: Path) -> None:
    """The wire of a real publisher; the daemon itself is not needed."""
    publisher, over = Publisher("here", epoch="e", replay=False), threading.Event()

    def publish() -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with context, context.socket(zmq.PUB) as socket, answering(folder, publisher) as sockets:
            socket.bind(f"ipc://{folder}/s")
            number = 0
            while not over.wait(0.002):
                sockets.serve(0)
                t = number / 25
                one = frame(round(t * NANOSECONDS), pose("wave", t), ids=(1,), seq=number)
                socket.send_multipart(publisher.publish_skeleton(one).frames())
                number += 1

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        assert learn(folder, from_daemon=True, seconds=4.0) == 0
    finally:
        over.set()
        thread.join()
    assert counts(folder / "normal.st", folder)[PERSON] >= 3


def test_a_daemon_that_is_not_there_or_shows_nothing_is_an_error(folder: Path) -> None:
    with pytest.raises(DaemonError, match="no daemon answers"):
        learn(folder, from_daemon=True, seconds=3600.0)
    publisher, over = Publisher("here", epoch="e", replay=False), threading.Event()

    def serve() -> None:
        with answering(folder, publisher) as sockets:
            while not over.is_set():
                sockets.serve(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with pytest.raises(LearnError, match="no skeletons came from ipc:"):
            learn(folder, from_daemon=True, seconds=1.0)
    finally:
        over.set()
        thread.join()
    assert not (folder / "normal.st").exists()


def test_from_a_daemon_that_publishes_no_skeletons(folder: Path) -> None:
    path = folder / "test.toml"
    path.write_text(path.read_text().replace(f'skeletons = "ipc://{folder}/s"', ""))
    with pytest.raises(OptionError, match=r"publish\.skeletons is empty"):
        learn(folder, from_daemon=True)


def test_a_skeleton_message_is_the_frame_that_was_published() -> None:
    publisher = Publisher("here", epoch="e", replay=False)
    sent = frame(1_234_567_000, pose("wave", 0.3), pose("stand", 0.1), ids=(4, 7))
    message = publisher.publish_skeleton(sent)
    found = skeleton_frame(message)
    assert isinstance(found, SkeletonFrame)
    assert (found.t, found.source, found.layout, found.space) == (sent.t, sent.source, sent.layout, sent.space)
    np.testing.assert_array_equal(found.joints, sent.joints)
    np.testing.assert_array_equal(found.track_ids, sent.track_ids)
    empty = np.zeros(0, np.float32)
    scores = publisher.publish_scores(Scores("cam", 1, 0, empty, empty, empty, None, 1.0, "d"), [])
    assert skeleton_frame(scores) is None
    damaged = np.frombuffer(message.payload or b"", np.float32).copy()
    damaged[0] = np.nan
    assert skeleton_frame(Message(message.topic, message.envelope, message.body, damaged.tobytes())) is None


def test_check_says_whether_anything_is_known_to_be_normal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_all(folder / "test.toml") == 0
    assert "anomaly: 1 text by graph; nothing is learnt as normal" in capsys.readouterr().out
    learn(folder, record(folder / "one.pwr", ("stand", 6.0)))
    assert check_all(folder / "test.toml") == 0
    assert "anomaly: 1 text by graph; normal is what" in capsys.readouterr().out
    path = folder / "normal.st"
    path.write_bytes(path.read_bytes()[:-10])
    assert check_all(folder / "test.toml") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "wrong anomaly: " in told
    assert "calibrate normal --reset RECORDING..." in told


def test_the_command_line(folder: Path) -> None:
    clip = record(folder / "one.pwr", ("stand", 6.0))
    runner = CliRunner()
    found = runner.invoke(app, ["calibrate", "normal", str(clip), "--config", str(folder / "test.toml")])
    assert found.exit_code == 0, found.output
    assert (folder / "normal.st").exists()
    found = runner.invoke(app, ["calibrate", "normal", "--reset", "--config", str(folder / "test.toml")])
    assert found.exit_code == 0, found.output
    assert not (folder / "normal.st").exists()
