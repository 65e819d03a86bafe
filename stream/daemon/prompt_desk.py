"""Changes of the prompts while the daemon runs, as the supervisor makes them: in turn, each whole or not at all.

    asked -> checked against the configuration -> the worker prepares (new texts are embedded meanwhile, elsewhere)
          -> kept in the state folder -> the worker changes over -> answered

Until the worker is prepared and the change is kept nothing is different; from then on every process that starts gets
the new configuration. Nothing here waits: `turn` and `heard` are called by the supervisor's loop.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stream.config import Config
from stream.config_difference import differing
from stream.daemon.jobs import MAX_WAITING, PATIENCE_S, Answer, Asked, Commit, EmbedTexts, Job, Prepare, Try
from stream.daemon.text_helper import TextHelper
from stream.errors import PosewireError
from stream.prompt_overlay import Overlay, PromptError, parse_entry, told_overlay
from stream.prompt_store import PromptStore

APPLIED = frozenset({"prompts", "background", "events", "zones", "schedules", "rules"})
"""Sections of the file that can change while the daemon runs."""
WORKER_S = 30.0
"""Seconds for the worker to answer; one that hangs is ended and started again sooner."""
SHOWN = 3
"""Lines of a note on prompts that hide those of the file."""
TURN_S = 60.0
"""Seconds for a request to wait for its turn."""

log = logging.getLogger("posewire")


@dataclass(frozen=True, slots=True)
class _Waiting:
    asked: Asked
    since: float

    def late(self, now: float) -> bool:
        """Whether it waited for too long; a signal, of which nobody awaits an answer, never does."""
        return bool(self.asked.token) and now >= self.since + TURN_S


@dataclass(slots=True)
class _Change:
    """What is being worked on: a request, since when it waits, and how everything would be after it."""

    asked: Asked
    since: float
    file: Config
    overlay: Overlay
    config: Config
    deadline: float
    kept: bool = False

    @property
    def trial(self) -> bool:
        return self.asked.type == "prompt_test"


class PromptDesk:
    """Takes requests, one at a time.

    Args:
        file: the configuration as its file has it.
        path: of the file, named in errors.
        store: where changes are kept.
        read: reads the file anew.
        to_worker, to_publisher: give them a job.
        texts: embeds new ones.

    Attributes:
        config: what is in force: the file with the changes.
        notice: what to tell the world of the daemon, or nothing.
    """

    def __init__(
        self,
        file: Config,
        path: Path,
        store: PromptStore,
        *,
        read: Callable[[], Config],
        to_worker: Callable[[Job], None],
        to_publisher: Callable[[Job], None],
        texts: TextHelper,
    ) -> None:
        self.config = self._file = file
        self.notice = ""
        self._path = path
        self._store = store
        self._read = read
        self._to_worker = to_worker
        self._to_publisher = to_publisher
        self._texts = texts
        self._overlay = Overlay()
        self._waiting: deque[_Waiting] = deque()
        self._change: _Change | None = None
        try:
            overlay = store.read()
            self.config, self._overlay = overlay.over(file, store.path), overlay
        except PosewireError as error:
            self._not_used("; ".join(str(error).splitlines()))
        else:
            if told := self._told():
                log.info("prompts changed while the daemon ran before: %s (%s)", told, store.path)
            self._warn_shadowed()

    def without_overlay(self) -> bool:
        """Go on with the file's prompts if there are others in force, which the worker refuses; whether there were."""
        if self._overlay.empty:
            return False
        self.config, self._overlay = self._file, Overlay()
        self._not_used(f"{self._store.path}: the worker cannot use these prompts")
        return True

    def ask(self, asked: Asked, now: float) -> None:
        """Take a request; it is answered later."""
        if len(self._waiting) >= MAX_WAITING:
            self._refuse(asked, "too many requests wait already; expected one at a time")
        else:
            self._waiting.append(_Waiting(asked, now))

    def turn(self, now: float, worker_ready: bool) -> None:
        """Begin with the next request, and look after the one under way."""
        error = self._texts.turn(now)
        for waiting in [one for one in self._waiting if one.late(now)]:
            self._waiting.remove(waiting)
            why = "other requests took too long" if worker_ready else "the worker does not run"
            self._refuse(waiting.asked, f"{why}; expected the same request again, later")
        if self._change is None:
            if worker_ready and self._waiting:
                self._begin(self._waiting.popleft(), now)
        elif error:
            self._fail(error)
        elif now >= self._change.deadline:
            self._fail(f"the worker did not answer within {WORKER_S:.0f} s")

    def worker_died(self) -> None:
        """Take note that the worker is gone; the next one starts with what is in force."""
        if self._change is not None and self._change.kept:
            self._done("", "")
        elif self._change is not None:
            self._fail("the worker died; expected the same request again once it runs")

    def heard(self, message: dict[str, Any], now: float) -> None:
        """Take what the worker or the embedder says."""
        kind, change = message["kind"], self._change
        if change is None or message.get("token") != change.asked.token:
            return
        match kind:
            case "prepared":
                self._keep(change, now)
            case "missing":
                change.deadline = math.inf  # the helper has one of its own
                log.info("prompts: embedding %d new texts", len(message["texts"]))
                self._texts.ask(
                    EmbedTexts(change.asked.token, message["model"], message["dim"], tuple(message["texts"])), now
                )
            case "embedded":
                self._texts.done()
                if message["error"]:
                    self._fail(message["error"])
                else:
                    self._give(change, now)
            case "refused":
                self._fail(message["error"])
            case "changed":
                self._done(message["digest"], message["note"])
            case "tried":
                self._change = None
                self._to_publisher(Answer(change.asked.token, body=message["result"]))

    def _begin(self, waiting: _Waiting, now: float) -> None:
        asked = waiting.asked
        if asked.type == "prompt_list":
            self._answer(asked, "", "")
            return
        path = self._path
        try:
            file, overlay = self._changed(asked)
            path = self._store.path if not overlay.empty else self._path
            change = _Change(asked, waiting.since, file, overlay, overlay.over(file, path), 0.0)
        except PosewireError as error:
            # What is wrong with a request stands in no file.
            self._refuse(asked, str(error) if asked.type == "reload" else str(error).replace(f"{path}: ", ""))
            return
        if not change.trial and (file, overlay, self.notice) == (self._file, self._overlay, ""):
            log.info("%s: nothing differs", asked.type)
            self._answer(asked, "", "nothing differs")
            return
        self._change = change
        self._give(change, now)

    def _changed(self, asked: Asked) -> tuple[Config, Overlay]:
        """The file and the overlay as they would be after a request."""
        overlay, file = self._overlay, self._file
        match asked.type:
            case "prompt_add" | "prompt_test":
                return file, overlay.with_added(file, asked.prompt)
            case "prompt_set":
                return file, overlay.with_changed(file, asked.name, asked.prompt)
            case "prompt_remove":
                return file, overlay.without(file, asked.name)
            case "prompt_reset":
                return file, Overlay()
            case "reload":
                new = self._read()
                if stuck := [key for key in differing(file, new) if key.split(".")[0].split("[")[0] not in APPLIED]:
                    shown = ", ".join(stuck[:10]) + (", ..." if len(stuck) > 10 else "")
                    raise PromptError(f"{self._path}: {shown}: cannot change while the daemon runs; expected a restart")
                return new, overlay
        raise PromptError("unknown request")

    def _give(self, change: _Change, now: float) -> None:
        """Have the worker prepare a change, or try it."""
        change.deadline = now + WORKER_S
        token, content = change.asked.token, change.config.model_dump(mode="json")
        if change.trial:
            self._to_worker(Try(token, content, parse_entry(change.asked.prompt).name))
        else:
            self._to_worker(Prepare(token, content))

    def _keep(self, change: _Change, now: float) -> None:
        """Keep a change that the worker is ready for, and have it made."""
        if change.asked.token and now >= change.since + PATIENCE_S - WORKER_S:
            self._fail("it took too long; expected the same request again, later")  # nobody would hear that it was done
            return
        if change.overlay != self._overlay or self.notice:
            try:
                self._store.write(change.overlay, unused=bool(self.notice))
            except PosewireError as error:
                self._fail(str(error))
                return
        self._file, self._overlay, self.config = change.file, change.overlay, change.config
        self.notice = ""
        change.kept, change.deadline = True, now + WORKER_S
        self._to_worker(Commit(change.asked.token))

    def _done(self, digest: str, note: str) -> None:
        change, self._change = self._change, None
        if change is not None:
            log.info("%s: done; beside the file: %s", change.asked.type, self._told() or "nothing")
            if change.asked.type == "reload":
                shadowed = self._warn_shadowed()
                more = [f"and {len(shadowed) - SHOWN} more like this"] if len(shadowed) > SHOWN else []
                note = "; ".join([*([note] if note else []), *shadowed[:SHOWN], *more])
            self._answer(change.asked, digest, note)

    def _fail(self, error: str) -> None:
        change, self._change = self._change, None
        self._texts.done()
        if change is not None:
            self._refuse(change.asked, error)

    def _refuse(self, asked: Asked, error: str) -> None:
        line = "; ".join(error.splitlines())
        log.warning("%s refused, nothing changed: %s", asked.type, line)
        if asked.token:
            self._to_publisher(Answer(asked.token, line))

    def _answer(self, asked: Asked, digest: str, note: str) -> None:
        if asked.token:
            body = {
                "prompts": msgspec.to_builtins(self._overlay.blocks(self._file)),
                "removed": self._overlay.taken_away(self._file),
                "note": note,
            }
            self._to_publisher(Answer(asked.token, digest=digest, body=body))

    def _told(self) -> str:
        return told_overlay(self._overlay.blocks(self._file), self._overlay.taken_away(self._file))

    def _warn_shadowed(self) -> list[str]:
        lines = self._overlay.shadowed(self._file)
        for line in lines:
            log.warning(line)
        return lines

    def _not_used(self, why: str) -> None:
        self.notice = f"prompts changed while it ran are not used: {why}"
        log.error("%s; running with those of %s", self.notice, self._path)
