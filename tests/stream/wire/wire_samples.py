"""Hand-made results and a loop that runs both ends of the wire in one thread."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from stream.follower import Item
from stream.sockets import PublisherSockets
from stream.subscriber import Subscriber
from stream.types import EndReason, Event, EventKind, Example, Phase, Scores, Severity, SkeletonFrame

SECOND = 1_000_000_000


def make_event(number: int = 0, **changes: object) -> Event:
    """An alarm of its own; `number` sets its id and time."""
    fields: dict[str, object] = {
        "id": f"01J{number:023d}",
        "phase": Phase.START,
        "kind": EventKind.ACTION,
        "severity": Severity.ALERT,
        "source": "cam1",
        "track": 3,
        "name": "fall",
        "prompt": "a person falls to the floor",
        "t": number * SECOND + 1,
        "t_start": number * SECOND - SECOND,
        "t_end": None,
        "score": 0.875,
        "peak": 0.9,
        "margin": 0.125,
        "reason": None,
    }
    return Event(**{**fields, **changes})  # type: ignore[arg-type]


def make_end(number: int = 0, **changes: object) -> Event:
    """The end of `make_event(number)`."""
    end = {"phase": Phase.END, "t_end": number * SECOND, "reason": EndReason.BELOW_EXIT}
    return make_event(number, **{**end, **changes})


def make_example(number: int = 0, **changes: object) -> Example:
    """The example of `make_event(number)`."""
    embedding = np.random.default_rng(number).normal(size=16).astype(np.float32)
    fields: dict[str, object] = {
        "event": make_event(number).id,
        "source": "cam1",
        "name": "fall",
        "t": number * SECOND,
        "score": 0.9,
        "model": "e" * 64,
        "embedding": embedding / np.linalg.norm(embedding),
    }
    return Example(**{**fields, **changes})  # type: ignore[arg-type]


def make_frame(bodies: int = 2) -> SkeletonFrame:
    """A canonical frame whose last joint was not seen."""
    random = np.random.default_rng(bodies)
    joints = random.normal(size=(bodies, 25, 3)).astype(np.float32)
    confidence = random.uniform(0.1, 1.0, size=(bodies, 25)).astype(np.float32)
    joints[:, 24], confidence[:, 24] = np.nan, 0.0
    return SkeletonFrame("cam1", 0, 5 * SECOND, "kinect_v2", joints, confidence, np.arange(bodies, dtype=np.int64))


def make_scores(prompts: int = 3, **changes: object) -> Scores:
    """Scores of the first `prompts` prompts."""
    random = np.random.default_rng(prompts)
    similarity, margin = random.uniform(-1, 1, size=(2, prompts)).astype(np.float32)
    fields: dict[str, object] = {
        "source": "cam1",
        "track": 3,
        "t": 5 * SECOND,
        "similarity": similarity,
        "probability": random.dirichlet(np.ones(prompts + 1))[:prompts].astype(np.float32),
        "margin": margin,
        "anomaly": None,
        "coverage": 0.98,
        "prompts_digest": "abc123",
    }
    return Scores(**{**fields, **changes})  # type: ignore[arg-type]


def pump(
    sockets: PublisherSockets, subscriber: Subscriber, done: Callable[[list[Item]], bool], seconds: float = 20.0
) -> list[Item]:
    """Run both ends until `done` says so of what came; fails after `seconds`."""
    items: list[Item] = []
    deadline = time.monotonic() + seconds
    while not done(items):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds} s only {items}")
        sockets.serve(1)
        while (item := subscriber.receive(0)) is not None:
            items.append(item)
    return items
