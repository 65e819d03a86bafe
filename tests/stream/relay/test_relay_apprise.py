"""Alarms in plain words, by Apprise to real web servers: killed, restarted, and told of once each."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from relay_bench import Feed, SinkBench, WebServer

from stream.config_sinks import AppriseSink
from stream.relay.apprise import AppriseRelay
from stream.relay.base import NotDelivered, Parcel, Refused, RelayError
from stream.structs import EventData

# Apprise loads all of its services, one of which uses it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a")


def told(server: WebServer) -> list[dict]:
    return [json.loads(request["body"]) for request in server.accepted()]


def test_a_server_that_is_killed_gets_everything_once_it_is_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with WebServer(folder) as server, Feed(folder, rate=5) as feed:
        monkeypatch.setenv("PHONES", f"json://me:canary-word@127.0.0.1:{server.port}/canary-path")
        with SinkBench(folder, {"kind": "apprise", "url_env": "PHONES"}) as sink:
            sink.until(lambda: len(told(server)) >= 5)
            server.kill()
            sink.until(lambda: sink.child.counts.get("state") == "lost")
            assert sink.child.counts["detail"].startswith("not taken by JSON")
            assert "canary" not in sink.child.counts["detail"]
            waits = len(feed.committed)
            sink.kill()
            server.start()
            sink.until(lambda: len(told(server)) >= waits + 3)
            feed.enough()
            sink.until(lambda: sink.child.counts.get("behind") == 0)
            sink.stop()
        assert len(feed.committed) <= len(told(server)) <= len(feed.committed) + 2
        first = told(server)[0]
        assert first["title"].startswith(("alert: ", "critical: "))
        assert "a person" in first["message"]
        assert "start" in first["message"]
        assert first["type"] in ("warning", "failure")


def parcel(number: int = 1, **changes: object) -> Parcel:
    fields = {"id": "01J", "phase": "start", "kind": "action", "severity": "critical", "track": 3, "name": "fall"}
    fields |= {"prompt": "a person falls", "t": 1.0, "t_start": 1.0, "t_end": None, "score": 0.9, "peak": 0.9}
    event = EventData(**{**fields, "margin": 0.1, "reason": None, **changes})  # type: ignore[arg-type]
    return Parcel(f"e-alarm-{number}", "alarm/cam/fall", b"{}", event, "cam", "a person falls")


def wait_for(condition: Callable[[], bool]) -> None:
    """What a server took is known a moment after its answer."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def relay(urls: str) -> AppriseRelay:
    return AppriseRelay(AppriseSink(name="x", kind="apprise", url_env="U"), urls)


def test_of_two_services_the_one_that_has_it_is_not_told_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "other").mkdir()
    with WebServer(folder) as good, WebServer(folder / "other") as bad:
        bad.rules(status=503, left=2)
        one = relay(f"json://127.0.0.1:{good.port}/ json://127.0.0.1:{bad.port}/")
        for server in (good, bad):
            wait_for(server.is_up)
        with caplog.at_level(logging.INFO), pytest.raises(NotDelivered) as caught:
            one.send(parcel())
        assert not isinstance(caught.value, Refused)
        assert str(caught.value) == "not taken by JSON (HTTP 503)"
        with pytest.raises(NotDelivered):
            one.send(parcel())
        one.send(parcel())
        one.send(parcel(2, phase="end", t_end=2.0, reason="hold"))
        wait_for(lambda: len(told(good)) == len(told(bad)) == 2)
        assert [message["type"] for message in told(good)] == ["failure", "success"]
        assert [message["title"] for message in told(good)] == ["critical: fall (cam)", "critical: fall is over (cam)"]
        bad.rules(status=413, left=1)
        with pytest.raises(Refused, match=r"not taken by JSON \(HTTP 413\)"):
            one.send(parcel(3))
        assert not [record for record in caplog.records if str(bad.port) in record.getMessage()]


@pytest.mark.parametrize("urls", ["", "no-such-service://canary", "json://localhost canary"])
def test_addresses_that_are_none_are_refused_and_not_quoted(urls: str) -> None:
    with pytest.raises(RelayError, match="expected") as caught:
        relay(urls)
    assert "canary" not in str(caught.value)
