"""What a publisher takes at most of good peers, against the memory at which it would drop them.

The figure of docs/security.md: pytest -m slow --log-cli-level INFO tests/stream/security/test_full_publisher.py
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest
import zmq
from full_target import past
from test_hostile_peers import free_endpoints, started

from stream.journal_store import KEEP_EVENTS
from stream.security.memory import LIMIT_BYTES
from stream.structs import MAX_TEXT

SUBSCRIBERS, STUCK, ASKERS = 10, 3, 10
RATE, SECONDS = 1_000, 25.0
"""Alarms a second: those that do not read are then full, of 10,000 each."""
log = logging.getLogger(__name__)


def heard(events: str, query: str, seconds: float) -> tuple[int, int]:
    """How many messages the subscribers got, and how many replies those who ask for all that is kept."""
    with zmq.Context() as context:
        subscribers = [context.socket(zmq.SUB) for _ in range(SUBSCRIBERS)]
        askers = [context.socket(zmq.DEALER) for _ in range(ASKERS)]
        messages = replies = 0
        try:
            for socket in subscribers:
                socket.setsockopt(zmq.RCVHWM, 10)
                socket.subscribe(b"")
                socket.connect(events)
            wanted = []
            for number, socket in enumerate(askers):
                socket.connect(query)
                kind = ("alarm", "action", "anomaly", "status")[number % 4]
                wanted.append({"v": 1, "type": "after", "kind": kind, "seq": 0, "epoch": "earlier"})
                socket.send_json(wanted[-1] if number else {"v": 1, "type": "snapshot"})
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                for socket in subscribers[STUCK:]:
                    while socket.poll(0):
                        socket.recv_multipart()
                        messages += 1
                for number, socket in enumerate(askers):
                    if socket.poll(0):
                        reply = json.loads(socket.recv())
                        assert reply["type"] in ("after", "snapshot"), reply
                        replies += 1
                        if reply.get("messages"):
                            wanted[number]["seq"] = reply["messages"][-1]["seq"]
                        socket.send_json(wanted[number] if number else {"v": 1, "type": "snapshot"})
                time.sleep(0.001)
        finally:
            for socket in (*subscribers, *askers):
                socket.close(linger=0)
    return messages, replies


@pytest.mark.slow
@pytest.mark.parametrize("length", [30, MAX_TEXT])
def test_a_full_publisher_stays_below_its_limit(tmp_path: Path, length: int) -> None:
    past(tmp_path / "journal.db", KEEP_EVENTS)
    size = (tmp_path / "journal.db").stat().st_size
    events, query = free_endpoints(2)
    with started("full_target.py", str(tmp_path), events, query, str(RATE), str(length)) as target:
        assert target.stdout is not None
        assert target.stdout.readline() == "ready\n"
        messages, replies = heard(events, query, SECONDS)
        target.kill()
        out, error = target.communicate(timeout=30)
    told = json.loads([line for line in out.splitlines() if line.endswith("}")][-1])
    log.info(
        "prompts of %d characters: peak %d MiB of %d; journal of %d MiB, %d alarms, %d messages heard, %d replies",
        length, told["peak"] >> 20, LIMIT_BYTES >> 20, size >> 20, told["alarms"], messages, replies,
    )  # fmt: skip
    assert not told["trouble"]
    assert "too much memory" not in error
    assert "Traceback" not in error
    assert min(messages, replies) > 100
    assert told["peak"] < LIMIT_BYTES / 2
