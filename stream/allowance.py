"""How much of a publisher's time and bytes requests may have: live messages come first.

Pure: it is told what time it is.
"""

from __future__ import annotations

SHARE = 0.25
"""Of the time."""
BYTES_S = 4 << 20
"""Bytes of replies a second, of all clients together: who replays has a processor too, perhaps the same one."""
BURST_S = 0.05
"""Seconds for which unused allowance is saved: a busy publisher looks after requests seldom, and then after several."""


class Allowance:
    """What requests have left.

    Args:
        now: monotonic time, s.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._seconds = SHARE * BURST_S
        self._bytes = BYTES_S * BURST_S

    def wait(self, now: float) -> float:
        """Return the seconds until a request may be answered; 0 if one may be answered now."""
        passed, self._now = now - self._now, now
        self._seconds = min(self._seconds + SHARE * passed, SHARE * BURST_S)
        self._bytes = min(self._bytes + BYTES_S * passed, BYTES_S * BURST_S)
        return max(-self._seconds / SHARE, -self._bytes / BYTES_S, 0.0)

    def spend(self, seconds: float, size: int) -> None:
        """Take off what the answer to a request cost."""
        self._seconds -= seconds
        self._bytes -= size
