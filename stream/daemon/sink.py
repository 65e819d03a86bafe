"""The sink process: what the daemon publishes, carried on to one other end, from where it was stopped.

It is an ordinary subscriber with a cursor, and a process of its own so that what it carries messages to can hurt
nobody. The cursor is written once the other end has said that it has a message: a kill has one message at most sent
twice, and none not at all.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from pathlib import Path

from stream.config import Config
from stream.config_file import parse_config
from stream.config_sinks import SinkEntry
from stream.daemon.child import DRAIN_S, Child
from stream.daemon.state_folder import state_path
from stream.follower import Snapshot
from stream.messages import Message
from stream.position import CursorError, CursorFile, Position
from stream.relay.base import Parcel
from stream.relay.configured import make_relay
from stream.relay.courier import Courier
from stream.relay.dead_letters import DeadLetters
from stream.relay.lag import Lag
from stream.relay.opening import Opening
from stream.relay.parcels import parcel_of
from stream.secrets import guard_outputs
from stream.security.client_keys import ClientKeys
from stream.security.settings import sink_keys
from stream.subscriber import Subscriber

FOLDER = "sinks"
"""Within the state folder: NAME.cursor, NAME.dead.ndjson and, at its beginning, NAME.first.ndjson of each sink."""
HUNG = 3
"""Exit code where the other end has this process wait for ever."""
HIGH_WATER = 1_000
"""Messages queued while one cannot be delivered; those beyond are fetched from the journal."""
SILENT_S = 15.0
"""Seconds without a heartbeat of the daemon's own publisher, and three of its heartbeats at least."""
BYE_S = 0.4
SLOW = 100
"""Messages behind that are told of although they get through: not fast enough."""
STEPS = (1, 10, 100, 1_000, 10_000, 100_000)
"""Numbers of messages behind that are told apart, since each new one is a message itself."""

log = logging.getLogger("posewire")


def main(child: Child) -> int:
    """Carry messages on until told to stop.

    Returns:
        Exit code: 0, or `HUNG`.
    """
    guard_outputs()
    child.beat(state="starting", detail="")  # before anything that can fail, so that it is tried again
    orders = child.orders
    config = parse_config(orders.config, Path(orders.config_path))
    entry = next(sink for sink in config.sinks if sink.label == orders.name)
    folder = state_path(config.node) / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    courier = Courier(
        make_relay(entry, config.node.name, f"sink {entry.name}"), DeadLetters(folder / f"{entry.name}.dead.ndjson")
    )
    kinds = sorted({topic.split("/")[0] for topic in entry.topics})
    keys = sink_keys(config)
    with Lag(config.publish.events, kinds, keys) as lag:
        carrier = Carrier(child, config, entry, courier, lag)
        carrier.run(keys, folder / f"{entry.name}.cursor")
    courier.close(BYE_S)
    return HUNG if courier.hangs else 0


class Carrier:
    """Hands a subscriber's messages to a courier, one by one.

    Args:
        child: tells the supervisor how it goes.
        config, entry: of the daemon and of the sink.
        courier: delivers.
        lag: knows how many wait.
    """

    def __init__(self, child: Child, config: Config, entry: SinkEntry, courier: Courier, lag: Lag) -> None:
        self._child = child
        self._publish = config.publish
        self._node = config.node.name
        self._entry = entry
        self._courier = courier
        self._lag = lag
        self._position: Position | None = None
        self._unsaved = ""
        self._deadline = math.inf

    def run(self, keys: ClientKeys | None, path: Path) -> None:
        """Carry messages on until told to stop, or until the courier hangs.

        Args:
            keys: to be let in by.
            path: of the cursor.
        """
        cursor, opening = CursorFile(path), Opening(path.with_suffix(".first.ndjson"))
        self._position = read_cursor(cursor)
        if self._position is None:
            self._position = self._begin(keys, opening)
            self._save(cursor)
        if self._position is None or not self._open(opening):
            return
        with self._subscriber(keys, self._position) as subscriber:
            while self._look():
                item = subscriber.receive(0.1)
                parcel = None if item is None else parcel_of(item, self._entry, self._node)
                if parcel is None:
                    self._courier.step(0.0)
                elif not self._deliver(parcel):
                    return
                self._position = subscriber.position
                self._save(cursor)
                if item is None and self._child.stopping:
                    return

    def _deliver(self, parcel: Parcel) -> bool:
        """Have a message delivered; False if it is time to end before that."""
        self._courier.give(parcel)
        while not self._courier.free and self._look():
            self._courier.step(0.1)
        return self._courier.free

    def _open(self, opening: Opening) -> bool:
        """Deliver what was open when this sink began; False if it is time to end before that."""
        while messages := opening.messages():
            parcel = parcel_of(messages[0], self._entry, self._node, opening=True)
            if parcel is not None and not self._deliver(parcel):
                return False
            opening.drop()
        return True

    def _begin(self, keys: ClientKeys | None, opening: Opening) -> Position | None:
        """Where a sink begins that never ran, None if it was stopped before it knew; with what is open then."""
        with self._subscriber(keys, None) as subscriber:
            while self._look():
                item = subscriber.receive(0.1)
                if isinstance(item, Snapshot):
                    opening.keep(item.open_events)
                    return Position(item.epoch, item.seqs)
                if isinstance(item, Message):  # nobody answered for so long that it goes without a snapshot
                    opening.keep([])
                    return Position(item.envelope.epoch, {item.topic.kind: item.envelope.seq - 1})
                self._courier.step(0.0)
        return None

    def _subscriber(self, keys: ClientKeys | None, resume: Position | None) -> Subscriber:
        events, query = self._publish.events, self._publish.query
        return Subscriber(events, query, self._entry.topics, high_water=HIGH_WATER, keys=keys, resume=resume)

    def _look(self) -> bool:
        """Show life and how it goes; False once it is time to end."""
        self._lag.listen()
        behind, courier = self._lag.behind(self._position), self._courier
        state, detail = self._state(behind)
        self._child.beat(
            state=state, detail=detail, behind=behind, delivered=courier.delivered, set_aside=courier.set_aside
        )
        if courier.hangs:
            log.error("sink %s: a try has not ended; starting anew", self._entry.name)
            return False
        if self._child.stopping and self._deadline == math.inf:
            self._deadline = time.monotonic() + DRAIN_S
        return time.monotonic() < min(self._deadline, self._child.deadline)

    def _state(self, behind: int) -> tuple[str, str]:
        courier = self._courier
        told = [courier.trouble] if courier.trouble else []
        # One that starts anew in front of what is away must not tell that all is well until its first try has failed.
        tried = courier.reached and self._lag.known and (not behind or courier.delivered or courier.set_aside)
        state = "lost" if told else "running" if tried else "starting"
        if self._lag.silent_s > max(SILENT_S, 3 * self._publish.heartbeat_s):
            state, told = "lost", [*told, "hears nothing of the daemon itself"]
        step = max((step for step in STEPS if step <= behind), default=0)
        if step >= (1 if told else SLOW):
            told.append(f"at least {step} behind")
        if courier.set_aside:
            told.append(f"{courier.set_aside} refused for good and set aside")
        if self._unsaved:
            told.append(self._unsaved)
        return state, "; ".join(told)

    def _save(self, cursor: CursorFile) -> None:
        """Write the cursor; where that fails messages still flow, and come again after a restart."""
        if self._position is None:
            return
        try:
            cursor.write(self._position)
            self._unsaved = ""
        except CursorError as error:
            if not self._unsaved:
                log.error("sink %s: %s; after a restart messages will come again", self._entry.name, error)
            self._unsaved = "its place cannot be kept"
            with suppress(OSError):  # for the next time, where somebody deleted the folder
                cursor.path.parent.mkdir(mode=0o700, exist_ok=True)


def read_cursor(cursor: CursorFile) -> Position | None:
    """Read a cursor; one that is damaged is kept aside, and what is new is where to begin.

    Raises:
        CursorError: it cannot be read, which may pass.
    """
    try:
        return cursor.read()
    except CursorError as error:
        if isinstance(error.__context__, OSError):
            raise
        aside = cursor.path.with_name(f"{cursor.path.name}.corrupt")
        cursor.path.replace(aside)
        log.critical("%s; kept as %s: what was not delivered before now may be missing", error, aside.name)
        return None
