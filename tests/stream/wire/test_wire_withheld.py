"""Starts that were withheld, from the worker to whoever asks why nothing was raised."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from stream.answers import answer
from stream.commands.options import OptionError
from stream.commands.prompts_why import WHY, explain_withheld
from stream.daemon.links import decode, encode
from stream.events import Suppression, Suppressions, Withheld
from stream.events.suppression import RECENT
from stream.messages import MessageError
from stream.publisher import Publisher
from stream.query import decode_reply
from stream.roles import Role, may
from stream.sockets import PublisherSockets
from stream.types import NANOSECONDS
from stream.withheld_reply import MAX_WITHHELD, WithheldReply

SCHEMA = Path(__file__).parents[3] / "docs" / "schema" / "v1" / "query-withheld.json"


def make_withheld(
    number: int = 0, name: str = "fall", reason: str = Withheld.MARGIN, score: float = 0.75
) -> Suppression:
    return Suppression(name, "cam1", 3, number * NANOSECONDS, reason, score)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher("n", epoch="e1")


def ask(publisher: Publisher) -> WithheldReply:
    body = answer(publisher, b'{"v": 1, "type": "withheld", "id": "7"}')
    assert body is not None
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(json.loads(body))
    reply = decode_reply(body)
    assert isinstance(reply, WithheldReply)
    return reply


def test_who_only_reads_may_ask_why_nothing_was_raised(publisher: Publisher) -> None:
    assert may(Role.READ, "withheld")
    assert (ask(publisher).starts, ask(publisher).counts) == ([], {})
    for one in (make_withheld(1), make_withheld(2, reason="not_yet"), make_withheld(3, "wave")):
        publisher.keep_withheld(one)
    reply = ask(publisher)
    assert [(start.name, start.t, start.reason) for start in reply.starts] == [
        ("fall", 1.0, "margin"), ("fall", 2.0, "not_yet"), ("wave", 3.0, "margin"),
    ]  # fmt: skip
    assert reply.counts == {"fall": {"margin": 1, "not_yet": 1}, "wave": {"margin": 1}}
    assert (reply.starts[0].source, reply.starts[0].track, reply.starts[0].score) == ("cam1", 3, 0.75)


def test_the_oldest_are_forgotten_but_counted(publisher: Publisher) -> None:
    for number in range(MAX_WITHHELD + 5):
        publisher.keep_withheld(make_withheld(number))
    reply = ask(publisher)
    assert [start.t for start in reply.starts] == [float(number) for number in range(5, MAX_WITHHELD + 5)]
    assert reply.counts == {"fall": {"margin": MAX_WITHHELD + 5}}


@pytest.mark.parametrize("bad", [make_withheld(score=math.nan), make_withheld(name="a/b"), make_withheld(reason="")])
def test_what_does_not_fit_the_contract_is_not_kept(publisher: Publisher, bad: Suppression) -> None:
    with pytest.raises(MessageError):
        publisher.keep_withheld(bad)
    assert ask(publisher).counts == {}


def test_it_crosses_the_processes_as_it_is() -> None:
    one = make_withheld(5)
    assert decode(encode(one)) == one


def test_only_those_that_are_new_are_told() -> None:
    suppressions = Suppressions()
    assert suppressions.since(0) == []
    ones = [make_withheld(number) for number in range(RECENT + 3)]
    for one in ones[:3]:
        suppressions.add(one)
    assert (suppressions.since(0), suppressions.since(2), suppressions.since(3)) == (ones[:3], ones[2:3], [])
    for one in ones[3:]:
        suppressions.add(one)
    assert suppressions.total == RECENT + 3
    assert suppressions.since(0) == ones[3:]
    assert suppressions.since(RECENT + 2) == ones[-1:]


def test_every_reason_has_words() -> None:
    assert set(WHY) == set(Withheld)


def test_people_are_told_in_words(publisher: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query, stop = f"ipc://{tmp_path}/q", threading.Event()

    def serve() -> None:
        with PublisherSockets(publisher, events=f"ipc://{tmp_path}/e", query=query) as sockets:
            while not stop.is_set():
                sockets.serve(10)

    server = threading.Thread(target=serve)
    server.start()
    try:
        assert explain_withheld("fall", query=query, config=None) == 0
        assert capsys.readouterr().out == "n withheld no start of fall since it started\n"
        for one in (make_withheld(61), make_withheld(62, reason="not_yet"), make_withheld(63, "wave")):
            publisher.keep_withheld(one)
        explain_withheld("fall", query=query, config=None)
        assert capsys.readouterr().out.splitlines() == [
            "  1:01.00  fall                cam1, person 3  score 0.75: "
            "a background text described it nearly as well, or better (margin)",
            "  1:02.00  fall                cam1, person 3  score 0.75: not yet",
            "withheld by n since it started: fall: margin 1, not yet 1",
        ]
        explain_withheld("kick", query=query, config=None)
        assert capsys.readouterr().out == "n withheld no start of kick since it started; of others: fall, wave\n"
        with pytest.raises(OptionError, match="'nothere': no prompt or rule is named so; expected one of clap, fall, "):
            explain_withheld("nothere", query=query, config=None)
        explain_withheld(None, query=query, config=None)
        assert len(capsys.readouterr().out.splitlines()) == 4
    finally:
        stop.set()
        server.join()
