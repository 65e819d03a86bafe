"""The worker's events reach the publisher once and in order, whatever dies: real sockets, any order of deaths.

What it costs: pytest tests/stream/daemon/test_outbox.py -k costs --log-cli-level INFO
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import zmq
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from stream.daemon.intake import Intake
from stream.daemon.links import decode, encode, encode_taken, numbers_of
from stream.daemon.outbox import Outbox, connect
from stream.types import NANOSECONDS, EndReason, Event, EventKind, Phase, Severity

log = logging.getLogger(__name__)
EVENT = Event(
    "e", Phase.START, EventKind.ACTION, Severity.ALERT, "cam", 1, "fall", "a person falls", 5 * NANOSECONDS,
    2 * NANOSECONDS, None, 0.9, 0.9, 0.1, None,
)  # fmt: skip


class Link:
    """An outbox and its publishers, one after the other; `committed` is the journal, `fresh` what it lacks."""

    def __init__(self, limit: int = 10_000) -> None:
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.bind("inproc://outputs")
        self.workers: list[zmq.Socket] = []
        self.limit = limit
        self.committed: list[str] = []
        self.fresh: list[str] = []
        self.position = ("", 0)
        self.start()
        self.work()

    def work(self) -> None:
        """Another worker."""
        socket = connect(self.context, 0)
        socket.connect("inproc://outputs")
        self.workers.append(socket)
        self.outbox = Outbox(socket, self.limit)

    def start(self) -> None:
        """Another publisher, which knows what is committed."""
        self.intake = Intake(*self.position)
        self.noted = self.position
        self.fresh = []

    def put(self, name: str, **changes: object) -> None:
        self.outbox.put(replace(EVENT, id=name, **changes))

    def receive(self, most: int = 1_000_000, *, lose: bool = False) -> None:
        while most and self.router.poll(0):
            most -= 1
            run, *parts = self.router.recv_multipart()
            numbers = numbers_of(parts)
            assert numbers is not None
            if not lose and self.intake.take(run.decode(), *numbers):
                event = decode(parts)
                assert isinstance(event, Event)
                self.fresh.append(event.id)
                if run.decode() == self.intake.run:
                    self.noted = run.decode(), numbers[1]

    def commit(self) -> None:
        self.committed += self.fresh
        self.fresh, self.position = [], self.noted
        self.reply()

    def reply(self) -> None:
        said = self.intake.reply(self.position)
        if said is not None:
            self.router.send_multipart([self.intake.run.encode(), encode_taken(said)])

    def state(self) -> bool:
        """The worker's word on how far it is, which comes behind its events."""
        self.receive()
        run = self.workers[-1].getsockopt(zmq.ROUTING_ID).decode()
        return self.intake.state(run, self.outbox.told, self.outbox.settled)

    def hear(self) -> None:
        self.outbox.hear()
        self.outbox.flush()

    def settle(self) -> None:
        for _ in range(4):
            self.state()
            self.commit()
            self.hear()
        assert self.state()

    def close(self) -> None:
        self.context.destroy(linger=0)


@contextmanager
def linked(limit: int = 10_000) -> Iterator[Link]:
    link = Link(limit)
    try:
        yield link
    finally:
        link.close()


class Deaths(RuleBasedStateMachine):
    """Any order of events, deliveries, commits, acknowledgements and deaths of the publisher."""

    def __init__(self) -> None:
        super().__init__()
        self.link = Link()
        self.told: list[str] = []

    @rule(count=st.integers(1, 3))
    def put(self, count: int) -> None:
        for _ in range(count):
            self.told.append(str(len(self.told)))
            self.link.put(self.told[-1])

    @rule(most=st.integers(1, 5))
    def receive(self, most: int) -> None:
        self.link.receive(most)

    @rule()
    def commit(self) -> None:
        self.link.commit()

    @rule()
    def hear(self) -> None:
        self.link.hear()

    @rule()
    def state(self) -> None:
        if self.link.state():
            assert self.link.committed + self.link.fresh == self.told

    @rule(unread=st.integers(0, 4))
    def kill(self, unread: int) -> None:
        """What was read and not committed is gone, and some of what was not read; the rest waits in the worker."""
        self.link.receive(unread, lose=True)
        self.link.start()

    def teardown(self) -> None:
        try:
            self.link.settle()
            assert self.link.committed == self.told
        finally:
            self.link.close()


TestDeaths = Deaths.TestCase
TestDeaths.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_what_is_committed_is_forgotten_and_only_that() -> None:
    with linked() as link:
        for number in range(5):
            link.put(str(number))
        link.receive(3)
        link.reply()
        link.hear()
        assert (link.outbox.settled, link.outbox.told, link.outbox.all_taken) == (0, 5, False), "not on the disk"
        link.commit()
        link.hear()
        assert link.outbox.settled == 3
        link.settle()
        assert (link.outbox.settled, link.outbox.all_taken) == (5, True)


def test_a_journal_that_was_lost_is_no_reason_to_wait() -> None:
    with linked() as link:
        link.put("1")
        link.put("2")
        link.settle()
        link.position = ("", 0)
        link.start()
        assert link.state(), "the worker keeps nothing of what it told"
        link.put("3")
        link.settle()
        assert link.committed == ["1", "2", "3"]


def test_a_worker_that_died_is_heard_to_its_last_word() -> None:
    with linked() as link:
        link.put("old 1")
        link.put("old 2")
        link.receive(1)
        link.work()
        link.put("new 1")
        link.settle()
        assert sorted(link.committed) == ["new 1", "old 1", "old 2"]
        assert link.position[1] == 1, "the new one's"


def test_a_publisher_that_stays_away_costs_what_matters_least_and_that_is_counted() -> None:
    with linked(limit=50) as link:
        link.receive(lose=True)
        for number in range(20):
            link.put(f"critical {number}", severity=Severity.CRITICAL)
        for number in range(20):
            link.put(f"alert {number}")
        for number in range(100):
            link.put(f"update {number}", phase=Phase.UPDATE)
        assert link.outbox.take_lost() == 0, "there is no room to tell of it"
        link.receive(lose=True)
        link.start()
        for number in range(20):
            end = {"phase": Phase.END, "t_end": 5 * NANOSECONDS, "reason": EndReason.BELOW_EXIT}
            link.put(f"end {number}", **end)
        link.receive(lose=True)
        link.settle()
        told = link.committed
        assert [name for name in told if "critical" in name] == [f"critical {number}" for number in range(20)]
        for kind in ("alert", "update", "end"):
            numbers = [int(name.split()[1]) for name in told if name.startswith(kind)]
            assert numbers == sorted(numbers), "in order"
        lost = link.outbox.take_lost()
        assert lost == 160 - len(told) > 0
        assert link.outbox.take_lost() == 0
        kept = {kind: sum(name.startswith(kind) for name in told) for kind in ("alert", "update", "end")}
        assert kept["update"] < 10 <= kept["end"]


def test_a_journal_that_cannot_be_written_costs_nothing_that_was_published() -> None:
    with linked(limit=20) as link:
        for number in range(200):
            link.put(str(number))
            link.receive()
            link.reply()  # taken, and never committed
            link.hear()
        assert link.fresh == [str(number) for number in range(200)]
        assert link.outbox.take_lost() == 0
        assert link.outbox.told - link.outbox.settled <= 20
        link.settle()
        assert len(link.committed) == 200


def test_a_queue_that_is_full_waits() -> None:
    context = zmq.Context()
    try:
        socket = connect(context, 0)
        socket.setsockopt(zmq.SNDHWM, 5)
        socket.connect("inproc://outputs")  # nobody is there yet
        outbox = Outbox(socket)
        for number in range(20):
            outbox.put(replace(EVENT, id=str(number)))
        with context.socket(zmq.ROUTER) as router:
            router.setsockopt(zmq.RCVHWM, 5)
            router.bind("inproc://outputs")
            seen = []
            deadline = time.monotonic() + 20
            while len(seen) < 20:
                assert time.monotonic() < deadline
                outbox.flush()
                if router.poll(10):
                    seen.append(decode(router.recv_multipart()[1:]).id)  # type: ignore[union-attr]
            assert seen == [str(number) for number in range(20)]
    finally:
        context.destroy(linger=0)


@pytest.mark.parametrize("previous", [0, 2])
def test_a_hole_is_asked_for_once(previous: int) -> None:
    intake = Intake("w", 1)
    assert intake.take("w", previous, 3) == (previous == 0), "nothing is kept before it"
    assert not intake.take("w", 3, 4) or previous == 0
    said = intake.reply(("w", 1))
    assert said is not None
    assert said.again == (previous == 2)
    assert intake.reply(("w", 1)) is None
    assert not intake.take("w", 0, 1), "a repetition"


def test_what_it_costs() -> None:
    """Time of the worker's for an event, all told: numbered, kept, sent, acknowledged, forgotten."""
    count = 2_000
    with linked() as link:
        link.settle()
        spent = 0
        for number in range(count):
            began = time.perf_counter_ns()
            link.put(str(number))
            spent += time.perf_counter_ns() - began
            link.receive()
            link.commit()
            began = time.perf_counter_ns()
            link.hear()
            spent += time.perf_counter_ns() - began
        link.settle()
        assert len(link.committed) == count
        assert link.outbox.settled == count
    plain = time.perf_counter_ns()
    with zmq.Context() as context, context.socket(zmq.PUSH) as push, context.socket(zmq.PULL) as pull:
        pull.bind("inproc://plain")
        push.connect("inproc://plain")
        for _ in range(count):
            push.send_multipart(encode(EVENT), zmq.NOBLOCK)
            pull.recv_multipart()
    plain = time.perf_counter_ns() - plain
    log.info("an event through the outbox: %.0f us; a plain PUSH and PULL: %.0f us", spent / count / 1e3,
             plain / count / 1e3)  # fmt: skip
