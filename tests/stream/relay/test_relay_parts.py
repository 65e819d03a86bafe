"""What is sent of what is heard, where a sink begins, and what becomes of what is refused."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from relay_bench import WIRE

from stream.config_sinks import MqttSink
from stream.daemon.process import ChildProcess
from stream.daemon.sink import read_cursor
from stream.daemon.sink_note import sink_note
from stream.faults import SINK_FAILED, FaultWatch
from stream.messages import Message
from stream.position import CursorError, CursorFile
from stream.publisher import Publisher
from stream.relay import courier as courier_module
from stream.relay import dead_letters
from stream.relay.base import LONGEST_PAUSE_S, MAX_WAIT_S, Backoff, NotDelivered, Parcel, Refused
from stream.relay.courier import REFUSALS, Courier
from stream.relay.dead_letters import DeadLetters
from stream.relay.opening import Opening
from stream.relay.parcels import parcel_of
from stream.security.key_ring import KeyRing
from stream.security.keys import read_pair
from stream.sequence import Gap
from stream.types import Phase, Severity

sys.path.append(str(WIRE))
from wire_samples import make_end, make_event


def message(**changes: object) -> Message:
    return Publisher("n").publish_event(make_event(1, **changes))


def entry(**settings: object) -> MqttSink:
    return MqttSink(name="x", kind="mqtt", host="h", **settings)  # type: ignore[arg-type]


def test_a_message_is_sent_as_it_stands_on_the_wire_with_a_key_of_its_own() -> None:
    heard = message()
    sent = parcel_of(heard, entry(), "n")
    assert sent is not None
    assert (sent.topic, sent.body) == ("alarm/cam1/fall", heard.body)
    assert sent.id == f"{heard.envelope.epoch}-alarm-1"
    assert "a person falls to the floor" in sent.text
    assert "cam1, person 3" in sent.text


def test_phases_and_severities_that_are_not_wanted_are_left_out() -> None:
    start, end = message(), Publisher("n").publish_event(make_end(1))
    starts = entry(phases=("start",))
    assert parcel_of(start, starts, "n") is not None
    assert parcel_of(end, starts, "n") is None
    critical = entry(min_severity=Severity.CRITICAL)
    assert parcel_of(start, critical, "n") is None
    assert parcel_of(message(severity=Severity.CRITICAL), critical, "n") is not None
    status = Publisher("n").publish_status("cam1", "lost", detail="no answer")
    told = parcel_of(status, critical, "n")
    assert told is not None
    assert (told.topic, told.text) == ("status/cam1/lost", "cam1 lost no answer")


@pytest.mark.parametrize(("last", "count"), [(9, "5"), (None, "an unknown number of")])
def test_what_can_be_had_no_more_is_told_of(last: int | None, count: str) -> None:
    sent = parcel_of(Gap("e", "alarm", 5, last), entry(phases=("end",)), "n")
    assert sent is not None
    assert (sent.id, sent.topic) == ("e-alarm-gap-5", "gap/alarm")
    told = json.loads(sent.body)
    assert (told["v"], told["type"], told["node"], told["epoch"]) == (1, "gap", "n", "e")
    assert told["data"] == {"kind": "alarm", "first": 5, "last": last}
    assert f"{count} alarm messages are lost" in sent.text


def test_what_is_open_as_a_sink_begins_is_kept_until_it_was_delivered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.first.ndjson"
    assert Opening(path).messages() == []
    found = [message(), message(phase=Phase.UPDATE)]
    opening = Opening(path)
    opening.keep(found)
    assert opening.messages() == found
    assert Opening(path).messages() == found, "after a kill"
    whole = path.read_bytes()
    path.write_bytes(b'{"t": 1}\n\xff\n' + whole[:-100])
    assert Opening(path).messages() == found[:1]
    assert caplog.text.count("a line is skipped") == 3
    opening.drop()
    assert Opening(path).messages() == found[1:], "each goes as it was delivered"
    Opening(path).drop()
    assert not path.exists()
    Opening(path).keep(found)
    Opening(path).keep([])
    assert Opening(path).messages() == []
    nowhere = Opening(tmp_path / "no" / "x")
    nowhere.keep(found)
    assert nowhere.messages() == found
    assert "a kill may lose" in caplog.text


def test_what_is_open_is_told_by_its_last_message_where_starts_are_wanted() -> None:
    update = message(phase=Phase.UPDATE)
    for phases, wanted in ((("start",), True), (("end",), False), (("update",), True)):
        assert (parcel_of(update, entry(phases=phases), "n", opening=True) is not None) == wanted
    critical = entry(min_severity=Severity.CRITICAL)
    assert parcel_of(update, critical, "n", opening=True) is None


class Scripted:
    """A relay that raises what it is told to, one after the other, and then takes everything."""

    target = "somewhere"

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.taken: list[str] = []
        self.closed = False

    def tend(self) -> None:
        return

    def send(self, parcel: Parcel) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(parcel.id)

    def close(self) -> None:
        self.closed = True


def parcel(key: str) -> Parcel:
    return Parcel(key, "alarm/cam/fall", b'{"v":1}', None, "cam", "")


def carry(courier: Courier, key: str) -> None:
    courier.give(parcel(key))
    deadline = time.monotonic() + 30
    while not courier.free:
        assert time.monotonic() < deadline
        courier.step(0.05)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _self, after=None: 0.0 if after is None else after)


@pytest.mark.usefixtures("quick")
def test_one_after_the_other_for_as_long_as_it_takes(tmp_path: Path) -> None:
    relay = Scripted(*[NotDelivered("away")] * 20, Refused("no"), NotDelivered("away", 0.1))
    courier = Courier(relay, DeadLetters(tmp_path / "dead"))
    carry(courier, "a")
    carry(courier, "b")
    assert relay.taken == ["a", "b"]
    assert (courier.delivered, courier.set_aside, courier.trouble) == (2, 0, "")
    relay.errors.append(NotDelivered("away", 5))
    courier.give(parcel("c"))
    with pytest.raises(RuntimeError, match="on its way"):
        courier.give(parcel("d"))
    courier.close(5)
    assert relay.closed


@pytest.mark.usefixtures("quick")
def test_what_is_refused_is_kept_and_what_cannot_be_kept_is_tried_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    letters = tmp_path / "folder" / "dead"
    relay = Scripted(*[Refused("no")] * (REFUSALS + 2))
    courier = Courier(relay, DeadLetters(letters))
    courier.give(parcel("a"))
    deadline = time.monotonic() + 30
    while not courier.trouble:
        assert time.monotonic() < deadline
        courier.step(0.05)
    assert "cannot be written (No such file or directory)" in courier.trouble
    assert not courier.free
    letters.parent.mkdir()
    while not courier.free:
        assert time.monotonic() < deadline
        courier.step(0.05)
    carry(courier, "b")
    courier.close(5)
    assert (relay.taken, courier.delivered, courier.set_aside) == (["b"], 1, 1)
    assert json.loads(letters.read_text())["message"] == {"v": 1}
    assert [record.levelname for record in caplog.records if "never be delivered" in record.getMessage()] == [
        "CRITICAL"
    ]


def test_a_bug_is_not_taken_for_a_server_that_is_away(tmp_path: Path) -> None:
    courier = Courier(Scripted(ZeroDivisionError("bug")), DeadLetters(tmp_path / "dead"))
    with pytest.raises(ZeroDivisionError):
        carry(courier, "a")
    courier.close(5)


def test_a_try_that_never_ends_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "HANG_S", 0.1)
    relay = Scripted()
    relay.send = lambda _parcel: time.sleep(1)  # type: ignore[method-assign]
    courier = Courier(relay, DeadLetters(tmp_path / "dead"))
    courier.give(parcel("a"))
    assert not courier.hangs
    courier.step(0.3)
    assert courier.hangs
    courier.close(5)


def test_the_file_of_refused_messages_is_bounded_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "MAX_BYTES", 1000)
    letters = DeadLetters(tmp_path / "dead")
    for number in range(30):
        letters.keep(parcel(str(number)), "no")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["dead", "dead.1"]
    kept = [json.loads(line)["id"] for file in reversed(files) for line in file.read_text().splitlines()]
    assert kept == [str(number) for number in range(30 - len(kept), 30)]
    assert all(file.stat().st_mode & 0o777 == 0o600 and file.stat().st_size < 1200 for file in files)


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "dead")
    (tmp_path / "dead").write_text('{"t": 1, "id')
    letters.keep(parcel("a"), "no")
    letters.keep(parcel("b"), "no")
    assert [json.loads(line)["id"] for line in (tmp_path / "dead").read_text().splitlines()[1:]] == ["a", "b"]


def test_pauses_grow_to_a_minute_and_begin_anew() -> None:
    backoff = Backoff()
    pauses = [backoff.next() for _ in range(2000)]
    assert 0.75 <= pauses[0] <= 1.25
    assert max(pauses) <= 1.25 * LONGEST_PAUSE_S
    assert min(pauses[10:]) >= 0.75 * LONGEST_PAUSE_S
    assert len({round(pause, 6) for pause in pauses[10:]}) > 100, "those who failed together come back apart"
    backoff.reset()
    assert backoff.next() <= 1.25
    assert backoff.next(30.0) == 30.0
    assert NotDelivered("busy", 1e9).after == MAX_WAIT_S


def test_a_sink_that_is_away_for_long_is_a_fault_of_its_own_name() -> None:
    watch = FaultWatch(["cam"], 1.0, sinks=["sink.x"])
    assert watch.status("sink.x", "lost", "refused", 0) == []
    (begun,) = watch.tick(2_000_000_000)
    assert (begun.source, begun.name, begun.prompt) == ("sink.x", SINK_FAILED, "messages are not carried on: refused")
    after = FaultWatch(["cam"], 1.0, sinks=["sink.x"])
    assert after.restore(begun)
    assert not after.restore(replace(begun, source="cam"))
    (ended,) = after.status("sink.x", "running", "", 3_000_000_000)
    assert (ended.id, ended.phase) == (begun.id, "end")


def test_the_key_of_the_sinks_is_made_once_and_anew_where_it_is_gone(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    first = ring.keep("posewire-sinks", "subscribe")
    pair = read_pair(first, own=True)
    assert read_pair(ring.keep("posewire-sinks", "subscribe")) == pair
    assert [(client.name, client.role, client.public) for client in ring.clients()] == [
        ("posewire-sinks", "subscribe", pair.public)
    ]
    first.unlink()  # as users do with what they have handed over
    second = read_pair(ring.keep("posewire-sinks", "subscribe"), own=True)
    assert second != pair
    assert [client.public for client in ring.clients()] == [second.public]
    ring.revoke("posewire-sinks")
    assert read_pair(ring.keep("posewire-sinks", "subscribe")) not in (pair, second)


def test_a_damaged_cursor_is_kept_aside_and_one_that_cannot_be_read_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.cursor"
    path.write_text("no cursor")
    assert read_cursor(CursorFile(path)) is None
    assert (tmp_path / "x.cursor.corrupt").read_text() == "no cursor"
    path.mkdir()
    with pytest.raises(CursorError, match="cannot be read"):
        read_cursor(CursorFile(path))


def test_what_the_supervisor_says_of_a_sink() -> None:
    child = ChildProcess("sink.x", "sink")
    assert sink_note(child) is None
    child.counts = {"state": "lost", "detail": "away", "delivered": 3, "set_aside": 1}
    note = sink_note(child)
    assert note is not None
    assert (note.source, note.state, note.detail, note.frames, note.dropped) == ("sink.x", "lost", "away", 3, 1)
    child.restart_at, child.trouble, child.failures = 1.0, "died of signal 9", 1
    assert getattr(sink_note(child), "detail", "") == "its process died of signal 9"
    child.failures = 9
    assert getattr(sink_note(child), "state", "") == "faulted"
