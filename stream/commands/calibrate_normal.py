"""`posewire calibrate normal`: learn what normal looks like, from recordings or from what a running daemon sees."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from models.normal_file import save_normals
from stream.anomaly import PERSON, SCENE, NormalLearner
from stream.anomaly_file import Anomalies, load_known
from stream.commands.files import open_readable
from stream.commands.options import OptionError
from stream.commands.prompts_running import asked as ask_daemon
from stream.commands.replay_view import ReplayView
from stream.config import Config
from stream.config_file import load_config
from stream.console import make_console, plural
from stream.errors import PosewireError
from stream.messages import Message, MessageError
from stream.pipeline import Pipeline
from stream.query import Request
from stream.replay import Replay
from stream.security.settings import client_keys
from stream.service import load_service
from stream.structs import SkeletonData
from stream.subscriber import Subscriber
from stream.topics import Kind
from stream.types import NANOSECONDS, SkeletonFrame, Space

FEW = 200
"""Samples under which a person is told that they are few."""
NOBODY = "nobody was seen for long enough to learn from; expected some minutes of people"
SILENT_S = 5.0
"""Seconds without a skeleton after which a person is told, once."""
KEEP_S = 60.0
"""Seconds between two times at which what was learnt from a daemon is written."""


class LearnError(PosewireError):
    """Nothing can be learnt."""


def calibrate_normal(
    paths: Sequence[str],
    *,
    from_daemon: bool,
    seconds: float,
    out: Path | None,
    add: bool,
    reset: bool,
    config: Path | None,
) -> int:
    """Learn what is normal and write it; returns the exit code, 2 if a recording could not be read to its end.

    Args:
        paths: recordings of what is normal.
        from_daemon: learn from the skeletons that a running daemon publishes, for so many seconds.
        seconds: see above.
        out: the file; None for the configured one, which a running daemon takes up by itself.
        add: to what the file holds.
        reset: forget what it holds; alone, that is all.
        config: configuration file.

    Raises:
        PosewireError: an option is wrong, no daemon answers, or nobody was seen; nothing is written.
        ModelError: the model, or the file that was to be added to, cannot be used.
    """
    settings = load_config(config)
    _check_options(bool(paths), from_daemon, add, reset)
    if from_daemon:
        if not settings.publish.skeletons:
            raise OptionError(
                "--from-daemon: publish.skeletons is empty; expected the address of the daemon's skeletons"
            )
        ask_daemon(None, config, Request(1, "ping"))
    console, complaints = make_console(), make_console(stderr=True)
    sources, errors = open_readable(paths)
    for error in errors:
        complaints.print(f"posewire: {error}", style="red", soft_wrap=True)
    if paths and not sources:
        return 2
    # Texts are not what is learnt, but a configuration whose texts cannot be embedded would be of no use later.
    # Recordings are not named as the sources are: whoever names them wants them to be learnt.
    asked = {"enabled": True} if from_daemon else {"enabled": True, "sources": ()}
    service = load_service(settings.model_copy(update={"anomaly": settings.anomaly.model_copy(update=asked)}))
    if service.anomalies is None:
        raise LearnError("there is no watch for anomalies; expected the section [anomaly]")
    anomalies, path = service.anomalies, out or service.anomalies.file.path
    if reset and not (paths or from_daemon):
        _forget(path, console, _use(path, service.anomalies, settings.anomaly.enabled))
        return 0
    there = _is_there(path)
    if there and not (add or reset):
        raise OptionError(f"{path}: exists already; expected --add to learn more, or --reset to learn anew")
    known = load_known(path, anomalies.file.space) if add and there else {}
    learner = anomalies.watch.learner = NormalLearner(anomalies.watch.dim, known)
    before, all_before = learner.models[PERSON].count, _count(learner)
    if from_daemon:
        heard = _hear(settings, service.pipeline, learner, path, anomalies, seconds, complaints)
        _check_heard(settings, heard)
    else:
        view = ReplayView(console, complaints, len(sources))
        with view.progress:
            errors += Replay(sources, service.pipeline, [], watcher=view).run().errors
    if _count(learner) == all_before:
        raise LearnError(NOBODY)
    _write(path, learner, anomalies)
    _tell(console, path, learner, before, _use(path, anomalies, settings.anomaly.enabled))
    return 2 if errors else 0


def _check_options(paths: bool, from_daemon: bool, add: bool, reset: bool) -> None:
    """Refuse what cannot be meant.

    Raises:
        OptionError: it cannot.
    """
    if add and reset:
        raise OptionError("--add and --reset: expected one of them, to keep what was learnt before or to forget it")
    if paths and from_daemon:
        raise OptionError("recordings and --from-daemon: expected one of them to learn from")
    if add and not (paths or from_daemon):
        raise OptionError("--add: nothing to learn from; expected recordings too, or --from-daemon")
    if not (paths or from_daemon or reset):
        raise OptionError("nothing to learn from; expected recordings of what is normal, or --from-daemon")


def _check_heard(config: Config, heard: set[str]) -> None:
    """Refuse to have learnt from a daemon that showed nothing to learn from.

    Raises:
        LearnError: it showed nothing.
    """
    if not heard:
        raise LearnError(
            f"no skeletons came from {config.publish.skeletons}; expected a daemon with this address as "
            "publish.skeletons, and sources that give frames (posewire watch shows them)"
        )
    wanted = config.anomaly.sources
    if wanted and not heard & set(wanted):
        raise LearnError(
            f"skeletons came of {', '.join(sorted(heard))} only; expected some of {', '.join(wanted)} (anomaly.sources)"
        )


def _count(learner: NormalLearner) -> int:
    return sum(model.count for model in learner.models.values())


def _use(path: Path, anomalies: Anomalies, enabled: bool) -> str:
    """Why a running daemon does not look at this file; empty if it does."""
    unused = [] if path.absolute() == anomalies.file.path.absolute() else [f'set anomaly.normal = "{path}" to use it']
    return ", and ".join(unused + ([] if enabled else ["[anomaly] is not enabled: set anomaly.enabled = true"]))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise LearnError(f"{path}: cannot be looked for ({error.strerror}); expected a place to write to") from error


def _forget(path: Path, console: Console, unused: str) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        raise LearnError(f"{path}: there is no such file; nothing is learnt as normal") from None
    except OSError as error:
        raise LearnError(f"{path}: cannot be removed ({error.strerror})") from error
    told = "" if unused else "; a running daemon forgets by itself what was normal"
    console.print(f"{path}: removed{told}", soft_wrap=True)


def _write(path: Path, learner: NormalLearner, anomalies: Anomalies) -> None:
    """Write what was learnt.

    Raises:
        LearnError: that is next to nothing.
        NormalError: it cannot be written.
    """
    if max(model.count for model in learner.models.values()) < 2:
        raise LearnError(NOBODY)
    save_normals(path, learner.models, anomalies.file.space.digest)


def _tell(console: Console, path: Path, learner: NormalLearner, before: int, unused: str) -> None:
    persons, scenes = learner.models[PERSON].count, learner.models[SCENE].count
    added = f" ({persons - before:,} of them new)" if before else ""
    console.print(
        f"{path}: normal is what {persons:,} windows of people{added} and {scenes:,} of scenes showed; "
        + (unused or "a running daemon takes it up by itself"),
        soft_wrap=True,
    )
    if persons < FEW:
        console.print(
            f"{plural(persons, 'window')} of people are few: much that is normal will look unusual. An hour of one "
            "person gives 1,800; --add learns more",
            style="yellow",
            soft_wrap=True,
        )


def _hear(
    config: Config,
    pipeline: Pipeline,
    learner: NormalLearner,
    path: Path,
    anomalies: Anomalies,
    seconds: float,
    notes: Console,
) -> set[str]:
    """Learn from a daemon's skeletons for so long, or until interrupted; what was learnt is written once a minute.

    Returns the names of the sources whose skeletons came.
    """
    endpoint = config.publish.skeletons
    notes.print(
        f"learning from {endpoint} for {seconds:.0f} s; Ctrl-C ends it sooner and keeps what was learnt", style="dim"
    )
    end, heard = time.monotonic() + seconds, time.monotonic()
    keep, told, count = time.monotonic() + KEEP_S, False, _count(learner)
    sources: set[str] = set()
    try:
        with Subscriber(endpoint, None, (Kind.SKELETON,), keys=client_keys(config)) as subscriber:
            while (now := time.monotonic()) < end:
                item = subscriber.receive(min(0.5, end - now))
                frame = skeleton_frame(item) if isinstance(item, Message) else None
                if frame is not None:
                    heard, told = now, False
                    sources.add(frame.source)
                    pipeline.push([frame])
                elif not told and now - heard > SILENT_S:
                    told = True
                    notes.print(f"no skeletons from {endpoint} for {SILENT_S:.0f} s", style="yellow", soft_wrap=True)
                if now >= keep:
                    keep = now + KEEP_S
                    known = _count(learner)
                    if known > max(count, 3):  # as few as are not written
                        count = known
                        _write(path, learner, anomalies)
    except KeyboardInterrupt:
        notes.print("ended", style="dim")
    return sources


def skeleton_frame(message: Message) -> SkeletonFrame | None:
    """The frame of a skeleton message; None for other messages, and for arrays that keep no contract."""
    envelope = message.envelope
    data = envelope.data
    if not isinstance(data, SkeletonData):
        return None
    import numpy as np

    try:
        array = message.joints()
    except MessageError:
        return None
    return SkeletonFrame(
        source=envelope.source,
        seq=envelope.seq,
        t=round(envelope.t * NANOSECONDS),
        layout=data.layout,
        joints=array[..., :3].astype(np.float32),
        confidence=array[..., 3].astype(np.float32),
        track_ids=np.array(data.track_ids, np.int64),
        space=Space(data.space),
    )
