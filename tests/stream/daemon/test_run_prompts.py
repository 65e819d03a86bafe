"""A running daemon takes other prompts without losing a frame, keeps them, and refuses what it cannot do."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import running_daemon
from running_daemon import roles_of, running
from small_model import TEXTS, write_place

from models.text import TextCache
from stream.commands.prompts_why import explain_withheld

ANY = {"enter": 0.0, "exit": 0.0, "margin": -2.0}
"""Thresholds of a prompt that whatever people do is an event of."""
STATE = Path("state") / "posewire" / "posewire" / "prompts.json"


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that knows some texts, and a configuration with one person who walks on the spot."""
    return write_place(tmp_path_factory.mktemp("d"))  # short enough for unix sockets


class Client(running_daemon.Client):
    """Knows what these tests ask for."""

    ANSWER_MS = 120_000

    def detail(self, wanted: Callable[[str], object]) -> str:
        """Of the daemon's own status, as heartbeats have it: that itself may be sent before anybody hears."""

        def detail(message: dict) -> str | None:
            own = message["data"]["sources"].get("posewire") if message["type"] == "heartbeat" else None
            return own and own["detail"]

        return detail(self.until(lambda m: detail(m) is not None and wanted(detail(m))))

    def dropped(self) -> dict:
        return self.until(lambda m: m["type"] == "heartbeat")["data"]["dropped"]

    def names(self) -> list[str]:
        return [prompt["name"] for prompt in self.ask(type="snapshot")["prompts"]]


@pytest.fixture
def client(place: Path) -> Iterator[Client]:
    with Client(place) as client:
        yield client


def test_prompts_come_change_and_go_while_frames_flow(place: Path, client: Client) -> None:
    config = place / "test.toml"
    with running(config) as process:
        client.runs()
        before = client.dropped()
        added = client.ask(type="prompt_add", prompt={"text": TEXTS[0], "name": "jump", "severity": "critical", **ANY})
        assert [(one["name"], one["origin"]) for one in added["prompts"]] == [("kick", "file"), ("jump", "added")]
        # What the reply says holds at once, for everybody.
        snapshot = client.ask(type="snapshot")
        assert snapshot["prompts_digest"] == added["prompts_digest"] != ""
        assert snapshot["prompts"][1] == {"name": "jump", "prompt": TEXTS[0], "severity": "critical"}
        start = client.event("start", "jump")
        assert (start["severity"], start["prompt"]) == ("critical", TEXTS[0])

        # The memory of the last moments says the same of a prompt that is only tried.
        tried = client.ask(type="prompt_test", prompt={"text": TEXTS[3], "name": "walk", **ANY})
        assert (tried["type"], tried["name"], tried["forgotten"]) == ("trial", "walk", 0)
        assert tried["events_total"] == len(tried["events"]) == 1
        assert tried["events"][0]["t_end"] is None
        assert tried["best"]["source"] == "cam"
        assert tried["sources"]["cam"]["windows"] >= 2
        assert client.names() == ["kick", "jump"]

        changed = client.ask(type="prompt_set", name="kick", prompt={"enter": 0.9})
        assert changed["prompts"][0]["block"]["enter"] == 0.9
        assert changed["prompts"][0]["origin"] == "changed"
        removed = client.ask(type="prompt_remove", name="jump")
        assert [one["name"] for one in removed["prompts"]] == ["kick"]
        assert client.event("end", "jump")["reason"] == "prompt_removed"
        client.ask(type="prompt_add", prompt={"text": TEXTS[3], "name": "walk", **ANY})
        assert client.dropped() == before

        # A worker that has to start again, and a daemon that does, know it all.
        os.kill(roles_of(process.pid)["worker"][0], signal.SIGKILL)
        client.event("start", "walk")
        assert client.names() == ["kick", "walk"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with running(config):
        client.runs()
        assert client.names() == ["kick", "walk"]
        listed = client.ask(type="prompt_list")
        assert [one["origin"] for one in listed["prompts"]] == ["changed", "added"]
        assert client.ask(type="prompt_reset")["prompts"][0]["origin"] == "file"
        assert client.names() == ["kick"]
    assert json.loads((place / STATE).read_text()) == {"version": 1}
    log = (place / "daemon.log").read_text()
    assert "Traceback" not in log
    assert "not published" not in log


def test_what_cannot_be_done_changes_nothing(place: Path, client: Client) -> None:
    with running(place / "test.toml"):
        client.runs()
        digest = client.ask(type="snapshot")["prompts_digest"]
        for request, error in (
            ({"type": "prompt_add", "prompt": {"text": "x"}}, "prompt: text: String should have at least 3"),
            ({"type": "prompt_add", "prompt": {"text": TEXTS[0], "entr": 1}}, "unknown setting; did you mean"),
            ({"type": "prompt_add", "prompt": {"text": TEXTS[0], "name": "kick"}}, "'kick' is watched for already"),
            ({"type": "prompt_add", "prompt": {"text": TEXTS[1], "name": "k"}}, "watched for already, as 'kick'"),
            ({"type": "prompt_add", "prompt": {"text": TEXTS[0], "zone": "nowhere"}}, "nowhere"),
            ({"type": "prompt_add"}, "prompt is missing"),
            ({"type": "prompt_set", "name": "kick", "prompt": {"name": "k"}}, "a prompt keeps its name"),
            ({"type": "prompt_remove", "name": "walk"}, "'walk' is not watched for; expected one of kick"),
            ({"type": "prompt_remove", "name": "kick"}, "there is no prompt; expected at least one"),
        ):
            reply = client.ask(id="7", **request)
            assert (reply["type"], reply["id"]) == ("error", "7")
            assert error in reply["error"]
            assert "\n" not in reply["error"]
        assert client.ask(type="snapshot")["prompts_digest"] == digest
        assert not (place / STATE).exists()


@pytest.mark.slow
def test_a_text_that_cannot_be_embedded_is_refused_while_frames_flow(place: Path, client: Client) -> None:
    with running(place / "test.toml", HF_HUB_OFFLINE="1") as process:
        client.runs()
        worker = roles_of(process.pid)["worker"]
        before = client.dropped()
        reply = client.ask(type="prompt_add", prompt={"text": "somebody juggles"})
        assert "text model 'none': " in reply["error"]
        assert client.dropped() == before
        assert roles_of(process.pid)["worker"] == worker
        assert len(roles_of(process.pid)["embedder"]) == 1  # it stays for the next text
        assert client.names() == ["kick"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_text_in_the_cache_needs_no_text_model(place: Path, client: Client) -> None:
    vector = np.zeros(8, np.float32)
    vector[7] = 1.0
    TextCache(place / "cache" / "posewire" / "text", "none", 8).put("somebody juggles", vector)
    with running(place / "test.toml", XDG_CACHE_HOME=str(place / "cache")) as process:
        client.runs()
        reply = client.ask(type="prompt_add", prompt={"text": "somebody juggles", "name": "juggle"})
        assert reply["type"] == "prompts"
        assert "not trained on: " in reply["note"]
        assert "embedder" not in roles_of(process.pid)


def test_a_role_that_only_reads_changes_nothing(place: Path, client: Client) -> None:
    config = place / "test.toml"
    config.write_text(config.read_text().replace("[publish]", "[publish]\ncontrol = false"))
    with running(config):
        client.runs()
        for kind in ("prompt_add", "prompt_test", "prompt_reset", "reload"):
            reply = client.ask(type=kind, prompt={"text": TEXTS[0]})
            assert "expected the role control, but this socket gives read" in reply["error"]
        assert [one["name"] for one in client.ask(type="prompt_list")["prompts"]] == ["kick"]


def test_the_file_is_read_again_whole_or_not_at_all(place: Path, client: Client) -> None:
    config, good = place / "test.toml", (place / "test.toml").read_text()
    more = f"\n[[prompts]]\nname = 'jump'\ntext = '{TEXTS[0]}'\nenter = 0.0\nexit = 0.0\nmargin = -2.0\n"
    with running(config) as process:
        client.runs()
        client.ask(type="prompt_add", prompt={"text": TEXTS[3], "name": "walk"})
        config.write_text(good.replace("fps = 15.0", "fps = 16.0") + more)
        process.send_signal(signal.SIGHUP)
        refused = client.ask(type="reload")
        assert "sources[0].fps: cannot change while the daemon runs; expected a restart" in refused["error"]
        config.write_text(good + more + "enterr = 3\n")
        assert "unknown setting; did you mean" in client.ask(type="reload")["error"]
        config.write_text(good + more.replace(TEXTS[0], TEXTS[3]))
        assert "two prompts have the text" in client.ask(type="reload")["error"]
        assert client.names() == ["kick", "walk"]

        config.write_text(good + more)
        process.send_signal(signal.SIGHUP)
        client.event("start", "jump")
        assert client.names() == ["kick", "jump", "walk"]
        config.write_text(good)
        assert [one["name"] for one in client.ask(type="reload")["prompts"]] == ["kick", "walk"]
        assert client.event("end", "jump")["reason"] == "prompt_removed"
        assert process.poll() is None


def test_who_reads_is_told_why_nothing_is_raised(
    place: Path, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    config = place / "test.toml"
    config.write_text(config.read_text() + f"\n[[prompts]]\nname = 'jump'\ntext = '{TEXTS[0]}'\n"
                      "enter = 0.0\nexit = 0.0\nmargin = 2.0\n")  # fmt: skip
    config.write_text(config.read_text().replace("[publish]", "[publish]\ncontrol = false"))
    with running(config):
        client.runs()
        reply = client.ask(type="withheld")
        deadline = time.monotonic() + 60
        while not reply["counts"] and time.monotonic() < deadline:
            time.sleep(0.1)
            reply = client.ask(type="withheld")
        assert reply["counts"] == {"jump": {"margin": 1}}
        (start,) = reply["starts"]
        assert (start["name"], start["source"], start["reason"]) == ("jump", "cam", "margin")
        assert explain_withheld("jump", query=None, config=config) == 0
        assert "cam, person" in capsys.readouterr().out


def test_two_who_ask_at_once_both_get_what_they_asked_for(place: Path, client: Client) -> None:
    with running(place / "test.toml"):
        client.runs()
        replies: dict[int, list[dict]] = {0: [], 1: []}

        def many(number: int) -> None:
            with Client(place) as own:
                for turn in range(3):
                    name = f"p{number}"
                    text = {"text": TEXTS[3 * number], "name": name}
                    replies[number].append(own.ask(type="prompt_add", id=f"{number}a{turn}", prompt=text))
                    replies[number].append(own.ask(type="prompt_remove", id=f"{number}r{turn}", name=name))
                own.ask(type="prompt_add", prompt={"text": TEXTS[3 * number], "name": f"p{number}"})

        threads = [threading.Thread(target=many, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for number, own in replies.items():
            assert [reply["type"] for reply in own] == ["prompts"] * 6
            assert [reply["id"] for reply in own] == [f"{number}{kind}{turn}" for turn in range(3) for kind in "ar"]
        assert sorted(client.names()) == ["kick", "p0", "p1"]


def test_changes_that_cannot_be_read_are_told_of_and_set_aside(place: Path, client: Client) -> None:
    (place / STATE).parent.mkdir(parents=True, mode=0o700)
    (place / STATE).write_text('{"version": 1, "added": 3}')
    with running(place / "test.toml"):
        told = client.detail(lambda detail: "are not used" in detail)
        assert str(place / STATE) in told
        assert client.names() == ["kick"]
        client.ask(type="prompt_add", prompt={"text": TEXTS[3], "name": "walk"})
        client.detail(lambda detail: not detail)
    assert (place / STATE).with_suffix(".broken").read_text() == '{"version": 1, "added": 3}'
    assert [one["name"] for one in json.loads((place / STATE).read_text())["added"]] == ["walk"]


@pytest.mark.slow
def test_changes_that_the_worker_cannot_use_do_not_keep_the_daemon_from_running(place: Path, client: Client) -> None:
    (place / STATE).parent.mkdir(parents=True, mode=0o700)
    (place / STATE).write_text('{"version": 1, "added": [{"text": "somebody juggles"}]}')  # its vector is gone
    with running(place / "test.toml", HF_HUB_OFFLINE="1"):
        client.detail(lambda detail: "the worker cannot use these prompts" in detail)
        client.runs()
        assert client.names() == ["kick"]
