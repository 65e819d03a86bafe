"""Carries one message after the other: tries again for as long as it takes, and sets aside what is refused for good."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from stream.relay.base import Backoff, NotDelivered, Parcel, Refused, Relay
from stream.relay.dead_letters import DeadLetters

REFUSALS = 3
"""Tries of a message that the other end says it will never take."""
TEND_S = 1.0
HANG_S = 300.0
"""Seconds that one try may take at most; one that takes longer is given up with its process."""

log = logging.getLogger("posewire")


class Courier:
    """Tries in a thread of its own, so that the one that owns this never waits.

    Args:
        relay: the way out; used by the thread only.
        letters: where to keep what is refused.

    Attributes:
        trouble: why nothing gets through, for people; empty where all is well or not yet tried.
        reached: whether the other end has answered since the start.
        delivered: messages since the start.
        set_aside: messages since the start that were refused.
    """

    def __init__(self, relay: Relay, letters: DeadLetters) -> None:
        self.trouble = ""
        self.reached = False
        self.delivered = self.set_aside = 0
        self._relay = relay
        self._letters = letters
        self._backoff = Backoff()
        self._parcel: Parcel | None = None
        self._refusals = 0
        self._thread = ThreadPoolExecutor(1, "relay")
        self._try: Future[None] | None = None
        self._tried: Parcel | None = None
        """What the try that is under way, or was last, is of; None: whether the other end is there."""
        self._began = self._next = 0.0

    @property
    def free(self) -> bool:
        """Whether there is no message on its way, so that the next one may be given."""
        return self._parcel is None

    @property
    def hangs(self) -> bool:
        """Whether a try takes longer than any should."""
        return self._try is not None and time.monotonic() - self._began > HANG_S

    def give(self, parcel: Parcel) -> None:
        """Have a message delivered; then `step` until this is `free`."""
        if self._parcel is not None:
            raise RuntimeError("there is a message on its way")
        self._parcel, self._refusals = parcel, 0
        if not self.trouble:
            self._next = 0.0
        self.step(0.0)

    def step(self, seconds: float) -> None:
        """Go on for so long at most, less where something happens; begins the next try when it is time.

        Raises:
            Exception: one that no relay should raise, as it was.
        """
        now = time.monotonic()
        if self._try is None and now >= self._next:
            parcel, send, tend = self._parcel, self._relay.send, self._relay.tend
            self._began, self._tried = now, parcel
            self._try = self._thread.submit(tend) if parcel is None else self._thread.submit(send, parcel)
        if self._try is None:
            time.sleep(min(seconds, self._next - now))
            return
        if not wait([self._try], seconds).done:
            return
        error, self._try = self._try.exception(), None
        if error is None:
            self._through(time.monotonic())
        elif isinstance(error, NotDelivered):
            self._away(str(error), time.monotonic(), error.after)
        elif isinstance(error, Refused) and self._parcel is not None:
            self._refused(self._parcel, str(error), time.monotonic())
        else:
            raise error

    def close(self, seconds: float) -> None:
        """Say good-bye to the other end, if that takes no longer."""
        wait([self._thread.submit(self._relay.close)], seconds)
        self._thread.shutdown(wait=False)

    def _through(self, now: float) -> None:
        if self.trouble:
            log.warning("%s takes messages again", self._relay.target)
        self.trouble, self.reached = "", True
        self._backoff.reset()
        self._next = now + TEND_S
        if self._tried is not None:
            self.delivered += 1
            self._parcel = None
        elif self._parcel is not None:  # it came meanwhile
            self._next = now

    def _away(self, why: str, now: float, after: float | None = None) -> None:
        if why != self.trouble:
            log.error("%s: %s; trying again", self._relay.target, why)
        self.trouble = why
        self._next = now + self._backoff.next(after)

    def _refused(self, parcel: Parcel, why: str, now: float) -> None:
        """Try once more, or keep a message that is refused for good; what cannot even be kept is tried on."""
        self._refusals += 1
        if self._refusals < REFUSALS:
            self._next = now + self._backoff.next()
            return
        try:
            self._letters.keep(parcel, why)
        except OSError as error:
            self._away(f"{why}; and {self._letters.path} cannot be written ({error.strerror})", now)
            return
        log.critical("%s: %s: message %s (%s) will never be delivered there; it is in %s",
                     self._relay.target, why, parcel.id, parcel.topic, self._letters.path)  # fmt: skip
        self.set_aside += 1
        self.trouble, self._parcel, self._next = "", None, now
        self._backoff.reset()
