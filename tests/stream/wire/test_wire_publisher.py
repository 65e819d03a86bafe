from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from wire_samples import make_end, make_event, make_frame, make_scores

from stream.errors import PosewireError
from stream.messages import MessageError, decode_body
from stream.publisher import MAX_SOURCES, Publisher, seconds
from stream.structs import HeartbeatData, Quantiles, ScoreData, SourceState
from stream.topics import TopicError
from stream.types import EventKind, Severity


@pytest.mark.parametrize(
    ("kind", "severity", "topic"),
    [
        (EventKind.ACTION, Severity.INFO, "action/cam1/fall/"),
        (EventKind.ACTION, Severity.ALERT, "alarm/cam1/fall/"),
        (EventKind.ACTION, Severity.CRITICAL, "alarm/cam1/fall/"),
        (EventKind.ANOMALY, Severity.INFO, "anomaly/cam1/fall/"),
        (EventKind.ANOMALY, Severity.ALERT, "alarm/cam1/fall/"),
        (EventKind.FAULT, Severity.INFO, "alarm/cam1/fall/"),
    ],
)
def test_topic_of_an_event(kind: EventKind, severity: Severity, topic: str):
    assert str(Publisher("n").publish_event(make_event(kind=kind, severity=severity)).topic) == topic


def test_numbers_count_per_kind_from_one():
    publisher = Publisher("n")
    alarms = [publisher.publish_event(make_event(n)).envelope.seq for n in range(3)]
    actions = [publisher.publish_event(make_event(n, severity=Severity.INFO)).envelope.seq for n in range(2)]
    assert alarms == [1, 2, 3]
    assert actions == [1, 2]
    assert publisher.publish_status("cam2", "running").envelope.seq == 1
    expected = {"alarm": 3, "action": 2, "anomaly": 0, "status": 1, "skeleton": 0, "score": 0}
    assert publisher.seqs() == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"score": math.nan},
        {"peak": 1.5},
        {"margin": math.inf},
        {"name": "a b"},
        {"source": "a/b"},
        {"prompt": "x" * 3000},
        {"t_end": 5},
        {"id": ""},
        {"track": -2},
    ],
)
def test_an_event_that_does_not_fit_takes_no_number(changes: dict[str, object]):
    publisher = Publisher("n")
    with pytest.raises(MessageError) as error:
        publisher.publish_event(make_event(1, **changes))
    assert "\n" not in str(error.value)
    assert publisher.seqs()["alarm"] == 0
    assert publisher.journal.open_events() == []
    assert publisher.publish_event(make_event(1)).envelope.seq == 1


def test_rounding_noise_of_float32_is_no_error():
    data = Publisher("n").publish_event(make_event(score=np.float32(1.0000001), margin=-1e-9)).body
    assert b'"score":1.0,' in data
    assert b'"margin":0.0,' in data, "no negative zero"


def test_two_runs_give_the_same_bytes():
    def run() -> list[bytes]:
        publisher = Publisher("n", epoch="replay", replay=True, clock=lambda: 0.0)
        return [publisher.publish_event(event).body for n in range(5) for event in (make_event(n), make_end(n))]

    assert run() == run()


def test_epochs_differ_and_names_are_checked():
    assert Publisher("n").epoch != Publisher("n").epoch
    for arguments in ({"node": "a b"}, {"node": "n", "epoch": "é"}):
        with pytest.raises(TopicError):
            Publisher(**arguments)


@pytest.mark.parametrize(
    ("t", "expected"), [(0, 0.0), (1_499, 1e-6), (1_500, 2e-6), (1_700_000_000_123_456_789, 1_700_000_000.123457)]
)
def test_seconds(t: int, expected: float):
    assert seconds(t) == expected


def test_heartbeat_tells_numbers_and_sources():
    publisher = Publisher("hall-1")
    publisher.publish_event(make_event())
    publisher.publish_status("cam1", "running", frames=5)
    publisher.publish_status("cam1", "lost", detail="unplugged", frames=9, dropped=1)
    message = publisher.heartbeat()
    assert str(message.topic) == "heartbeat/hall-1/all/"
    data = message.envelope.data
    assert isinstance(data, HeartbeatData)
    assert data.seqs == publisher.seqs()
    assert data.sources == {"cam1": SourceState("lost", "unplugged", 9, 1, 0.0)}
    assert not data.durable


def test_heartbeat_tells_what_is_measured():
    publisher = Publisher("n")
    data = publisher.heartbeat().envelope.data
    assert isinstance(data, HeartbeatData)
    assert (data.latency_ms, data.dropped) == ({}, {})
    publisher.flow = lambda: ({"total": Quantiles(85.5, 240.0)}, {"queue": 3})
    body = publisher.heartbeat().body
    assert b'"latency_ms":{"total":{"p50":85.5,"p99":240.0}},"dropped":{"queue":3}' in body


def test_heartbeats_of_a_publisher_that_measures_nothing_are_read():
    value = json.loads(Publisher("n").heartbeat().body)
    del value["data"]["latency_ms"], value["data"]["dropped"]
    data = decode_body(json.dumps(value).encode()).data
    assert isinstance(data, HeartbeatData)
    assert data.latency_ms == {}


def test_many_sources_do_not_make_heartbeats_grow():
    publisher = Publisher("n")
    for number in range(MAX_SOURCES + 10):
        publisher.publish_status(f"file{number}", "ended", detail="x" * 5000)
    assert len(publisher.sources) == MAX_SOURCES
    assert f"file{MAX_SOURCES + 9}" in publisher.sources


def test_scores_are_rounded():
    data = Publisher("n").publish_scores(make_scores(2, anomaly=0.1234567), ["a", "b"]).envelope.data
    assert isinstance(data, ScoreData)
    assert data.anomaly == 0.123457
    assert all(value == round(value, 6) for value in data.similarity + data.probability + data.margin)


def test_scores_and_names_must_agree():
    with pytest.raises(MessageError, match="differ in length"):
        Publisher("n").publish_scores(make_scores(3), ["a", "b"])


@pytest.mark.parametrize(
    "changes",
    [
        {"layout": "kinect_v1"},
        {"joints": np.zeros((2, 20, 3), np.float32), "confidence": np.zeros((2, 20), np.float32)},
        {"joints": np.full((2, 25, 3), np.nan, np.float32)},
        {"joints": np.zeros((2, 25, 3), np.float32), "confidence": np.full((2, 25), 1.5, np.float32)},
        {"track_ids": np.arange(3)},
    ],
)
def test_a_skeleton_that_does_not_fit(changes: dict[str, object]):
    with pytest.raises(PosewireError):
        Publisher("n").publish_skeleton(replace(make_frame(), **changes))
