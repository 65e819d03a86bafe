"""A live source that comes back: opened again after a stall, a still image or an error, with growing pauses."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from stream.errors import SourceError
from stream.secrets import redact
from stream.sources.base import EndOfSource, Source, SourceHung, SourceTimeout
from stream.sources.frame_check import frame_fault
from stream.sources.still import StillWatch
from stream.types import NANOSECONDS, NO_TRACK, SkeletonFrame

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
STEADY_S = 10.0
"""A source that ran for this long starts again with the shortest pause."""
HUNG_S = 60.0
"""A driver that has not opened or closed the source for this long hangs."""
STILL = "the image does not change"
"""Detail of a source that works, but whose image stays the same."""
CLOSE_S = 1.0
"""How long `close` waits for an attempt to open the source."""


class Reconnecting(Source):
    """A live source that never ends: what breaks is opened again, by a thread, so that no `read` waits for it.

    The source is opened again when it has no new frame for `stall_s`, after a SourceError or its end, and after a frame
    that is none (see `stream.sources.frame_check`), which would harm the other sources further on. The pauses
    before each attempt double from 0.5 to 30 s, less up to half of it at random, so that the cameras behind one switch
    do not all come at once. It is lost from then on until its next frame.

    It is also opened again when its image stays the same for `frozen_s` (a camera's noise makes any two images differ),
    as this cures an encoder that hangs. But the image may be true, of a closed shutter or a dark room that is strongly
    compressed: a source that gives images is not lost, its frames go out, and `detail` tells of them. It is opened
    again after 30 s and then ever more seldom, at most every 5 minutes.

    Frame numbers and times go on over all this and never run backwards, whatever the wall clock does. Body ids are not
    used again, as nobody knows who is who after a pause.

    Args:
        source: a live source; not open.
        stall_s, frozen_s: see above.
        clock: gives seconds that never jump.
        chance: gives a random number in 0..1.
        pause: waits for an event for some seconds and returns whether it was set.

    Attributes:
        state: `running` or `lost`; `running` from the start until something fails.
        detail: what is wrong, one line without secrets that stays the same as long as that does; "" for nothing.
    """

    live = True

    def __init__(
        self,
        source: Source,
        *,
        stall_s: float,
        frozen_s: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        pause: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self.name, self._source = source.name, source
        self._stall_s, self._frozen_s = stall_s, frozen_s
        self._clock, self._chance, self._pause = clock, chance, pause
        self._attempt: _Attempt | None = None
        self._left: _Attempt | None = None
        self._failures = 0
        self._forget()

    def _forget(self) -> None:
        self.state, self.detail = "running", "opening"
        self._is_open = False
        self._failures = 0
        # When it came back, when it gave a frame, and when the attempt to open it began.
        self._back = self._heard = self._began = 0.0
        self._still = StillWatch(self._frozen_s)
        self._splice = True
        self._last: SkeletonFrame | None = None
        self._last_at = 0.0
        self._seq_shift = self._t_shift = self._id_shift = self._next_id = 0

    @property
    def dropped(self) -> int:
        return self._source.dropped

    @property
    def stages(self) -> Mapping[str, float]:
        return self._source.stages

    @property
    def fingerprint(self) -> int | None:
        return self._source.fingerprint

    @property
    def resolution(self) -> tuple[int, int] | None:
        return self._source.resolution

    def open(self) -> None:
        """Begin to open the source; never waits, and fails only where an attempt before the last `close` hangs.

        Raises:
            SourceHung: that attempt still runs.
        """
        self.close()
        if self._left is not None and self._left.is_alive():
            raise SourceHung(self.name, "the driver does not return; expected a new process")
        self._left = None
        self._forget()
        self._is_open = True
        self._try(0.0)

    def read(self, timeout: float) -> SkeletonFrame:
        """Return the next frame.

        Raises:
            SourceTimeout: none came in time; `state` and `detail` say whether the source is lost.
            SourceHung: its driver hangs; only a new process can open it again.
            PosewireError: what it needs is not installed.
        """
        if not self._is_open:
            raise RuntimeError(f"source {self.name!r} is not open")
        deadline = self._clock() + timeout
        if self._attempt is None and self._still.try_now(self._clock()):
            self._try(FIRST_PAUSE_S * (1 - self._chance() / 2))
        if self._attempt is not None:
            self._await(self._attempt, timeout)
        try:
            frame = self._source.read(max(deadline - self._clock(), 0.0))
        except SourceTimeout:
            if (silent := self._clock() - self._heard) >= self._stall_s:
                self._lose(f"no image for {silent:.1f} s")
            raise
        except EndOfSource:
            self._lose("the source ended")
        except SourceHung:
            raise
        except SourceError as error:
            self._lose(str(error))
        else:
            if not (fault := frame_fault(frame)):
                return self._checked(frame)
            self._lose(str(SourceError(self.name, fault)))
        raise SourceTimeout

    def close(self) -> None:
        """Release the source; an attempt to open it that hangs is left behind, and ends with the process."""
        self._is_open = False
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancelled.set()
            attempt.join(CLOSE_S)
            if attempt.is_alive():
                self._left = attempt
        if self._left is None or not self._left.is_alive():
            self._source.close()

    def _try(self, pause: float) -> None:
        self._attempt = _Attempt(self._source, pause, self._pause)
        self._began = self._clock()
        self._attempt.start()

    def _await(self, attempt: _Attempt, timeout: float) -> None:
        """Wait for the source to open; returns if it did."""
        attempt.join(max(timeout, 0.0))
        now = self._clock()
        if attempt.is_alive():
            if now - self._began > attempt.pause_s + HUNG_S:
                raise SourceHung(self.name, f"its driver has not returned for {HUNG_S:g} s; expected a new process")
            if self.state == "running" and self._last is not None and now - self._heard >= self._stall_s:
                self.state, self.detail = "lost", "does not answer as it is opened again"
            raise SourceTimeout
        self._attempt = None
        if isinstance(attempt.error, SourceError) and not isinstance(attempt.error, SourceHung):
            self._lose(str(attempt.error))
            raise SourceTimeout
        if attempt.error is not None:
            raise attempt.error
        self._heard = now
        self._still.opened(now)
        self._splice = True

    def _lose(self, detail: str) -> None:
        """Close the source and try again after a pause."""
        now = self._clock()
        if self.state == "running" and self._last is not None and now - self._back >= STEADY_S:
            self._failures = 0
        longest = min(FIRST_PAUSE_S * 2.0**self._failures, LONGEST_PAUSE_S)
        self._failures = min(self._failures + 1, 16)
        self.state, self.detail = "lost", redact(detail)
        self._still.lost()
        self._try(longest * (1 - self._chance() / 2))

    def _checked(self, frame: SkeletonFrame) -> SkeletonFrame:
        """Return the frame as it goes out, and look whether its image is another one."""
        now = self._clock()
        if self.state != "running" or self._last is None:
            self.state, self._back = "running", now
        self._heard = now
        self._still.see(self._source.fingerprint, now)
        self.detail = STILL if self._still.is_still else ""
        return self._spliced(frame, now)

    def _spliced(self, frame: SkeletonFrame, now: float) -> SkeletonFrame:
        """Number and time the frame after those before it."""
        if self._splice and self._last is not None:
            self._seq_shift = self._last.seq + 1 - frame.seq
            self._id_shift, self._t_shift = self._next_id, 0
        self._splice = False
        t = frame.t + self._t_shift
        if self._last is not None and t <= self._last.t:  # the wall clock was set back
            later = self._last.t + max(round((now - self._last_at) * NANOSECONDS), 1)
            self._t_shift += later - t
            t = later
        ids = np.where(frame.track_ids == NO_TRACK, NO_TRACK, frame.track_ids + self._id_shift).astype(np.int64)
        if len(ids):
            self._next_id = max(self._next_id, int(ids.max()) + 1)
        self._last = replace(frame, seq=frame.seq + self._seq_shift, t=t, track_ids=ids)
        self._last_at = now
        return self._last


class _Attempt(threading.Thread):
    """Closes a source, waits, and opens it again; nobody else touches the source until it has ended.

    Attributes:
        error: why the source could not be opened.
        cancelled: set to have the source closed in the end.
    """

    def __init__(self, source: Source, pause_s: float, pause: Callable[[threading.Event, float], bool]) -> None:
        super().__init__(name="reopen", daemon=True)
        self.pause_s = pause_s
        self.error: Exception | None = None
        self.cancelled = threading.Event()
        self._source, self._pause = source, pause

    def run(self) -> None:
        try:
            self._source.close()
            if not self._pause(self.cancelled, self.pause_s) and not self.cancelled.is_set():
                self._source.open()
        except Exception as error:  # noqa: BLE001  # `Reconnecting.read` raises it in its own thread
            self.error = error
        if self.cancelled.is_set():
            self._source.close()
