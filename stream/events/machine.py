"""The life of the events of one rule on one person.

    idle -> pending (`enter` reached in `needed` of the last `of` windows) -> open (start, updates, end) -> cooling

A pending event is an open one that nobody was told of: it lives by `exit` and `hold_s` too, and is told once it has
lasted `min_s`. A window that something forbids (cool-down, grace, zone ...) counts as if it were below `exit`; if the
scores alone would have made a start of it, that start was withheld, and is counted once in a run of such windows and
for each reason.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from stream.events.identity import event_id
from stream.events.permit import end_reason
from stream.events.settings import Rule
from stream.events.suppression import Suppression, Suppressions, Withheld
from stream.types import NANOSECONDS, EndReason, Event, Phase


@dataclass(frozen=True, slots=True)
class _Mark:
    """One of the last windows: whether it reached `enter`, and what forbade it to count."""

    t: int
    reached: bool
    forbidden: str | None


class Machine:
    """One rule on one person; windows come in the order of their times.

    Args:
        rule: what is watched for.
        source, track: on whom.
        salt: mixed into the events' ids.
        suppressions: where starts that were withheld are counted.

    Attributes:
        rule: see above; `follow` exchanges it.
        event: the last state of the event that has not ended, whether it was told or not; None if there is none.
    """

    def __init__(self, rule: Rule, source: str, track: int, salt: str, suppressions: Suppressions) -> None:
        self.rule = rule
        self.event: Event | None = None
        self._source, self._track, self._salt = source, track, salt
        self._suppressions = suppressions
        self._recent: deque[_Mark] = deque(maxlen=rule.settings.of)
        self._counted: set[str] = set()
        """Reasons under which this run of windows was counted."""
        self._pending: int | None = None
        """Time of the pending event's first window."""
        self._peak = 0.0
        self._held = 0
        """Time of the last window that held up the event, open or pending."""
        self._since = 0
        """From when `hold_s` counts: later than `_held` where windows were missing since."""
        self._opened = self._sent = 0
        self._cool_until: int | None = None
        self._spent = False
        """Its last event was too long, and it has not been below `exit` since."""
        self._resumed: int | None = None
        """From when on scores are awaited, after a hole."""

    def follow(self, rule: Rule) -> None:
        """Go on with another rule of the same name."""
        if rule.settings.of != self.rule.settings.of:
            self._recent = deque(self._recent, maxlen=rule.settings.of)
        self.rule = rule

    def busy(self, t: int) -> bool:
        """Whether it would do something else than a new one."""
        cooling = self._cool_until is not None and t < self._cool_until
        return self.event is not None or self._pending is not None or self._spent or cooling

    def step(
        self, t: int, score: float, margin: float, *, grace: bool = False, refusal: str | None = None
    ) -> list[Event]:
        """Add the score of a window.

        Args:
            t: capture time in ns.
            score: 0..1.
            margin: over the best background text.
            grace: the person has just appeared.
            refusal: what a permit said, if it was asked.
        """
        if self._resumed is not None:
            self._resumed, self._since = None, t
        if self.event is not None:
            return self._hold(self.event, t, score, margin, refusal)
        settings = self.rule.settings
        above = score >= settings.exit
        forbidden = self._forbidden(t, above, grace, refusal)
        held = above and forbidden in (None, Withheld.GRACE)  # who was handed over is not yet settled, and goes on
        reached = score >= settings.enter
        if reached and forbidden is None and margin < settings.margin:
            forbidden = Withheld.MARGIN
        self._recent.append(_Mark(t, reached, forbidden))
        if self._pending is not None:
            self._peak = max(self._peak, score)
            if held:
                self._held = self._since = t
            elif t - self._since >= settings.hold_s * NANOSECONDS:
                self._miss(t)
        elif reached:
            self._gather(t, score)
        if not self._begun:
            self._forget()
        if self._pending is None or not reached or forbidden is not None:
            return []
        ripe = t - self._pending >= settings.min_s * NANOSECONDS
        return [self._start(self._pending, t, score, margin)] if ripe else []

    def abstain(self, t: int, patience: int) -> list[Event]:
        """Add a window that saw too little: it holds nothing up, unless windows have been awaited for less than this.

        Args:
            t: capture time in ns.
            patience: in ns; it counts from `resume`.
        """
        if self._resumed is not None and t - self._resumed <= patience:
            return []
        if self.event is not None or self._pending is not None or not self._begun:
            return self.step(t, 0.0, 0.0)
        # Who had begun to do it went out of sight: would these windows have been the ones that decide?
        self._recent.append(_Mark(t, True, Withheld.COVERAGE))
        self._gather(t, 0.0)
        return []

    def resume(self, t: int, track: int) -> list[Event]:
        """The person is seen again after a hole, maybe as another track; returns an update if the track is new."""
        self._resumed = t
        self._recent.clear()
        moved, self._track = track != self._track, track
        if self.event is None or not moved:
            return []
        self.event = replace(self.event, phase=Phase.UPDATE, t=max(t, self.event.t), track=track)
        self._sent = t
        return [self.event]

    def close(self, reason: EndReason, t: int | None = None) -> list[Event]:
        """Nothing more comes: the end of its event, if one is open, told at t or the last time it knows."""
        t = self._held if t is None else t
        if self._pending is not None:
            self._miss(t)
        return [] if self.event is None else [self._end(self.event, t, reason)]

    @property
    def idle(self) -> bool:
        """Whether a window below `exit` would change nothing that anyone could ever tell.

        That scores were awaited after a hole matters only to what has begun, and a cool-down only to what begins.
        """
        begun = self._recent or self._counted or self._spent
        return self.event is None and self._pending is None and not begun

    @property
    def _begun(self) -> bool:
        """Whether one of the last windows reached `enter` by its score."""
        return any(mark.reached and mark.forbidden != Withheld.COVERAGE for mark in self._recent)

    def _forbidden(self, t: int, above: bool, grace: bool, refusal: str | None) -> str | None:
        """Why this window does not count towards a start, whatever its score."""
        if self._spent and above:
            self._since = t
        elif self._spent and t - self._since >= self.rule.settings.hold_s * NANOSECONDS:
            self._spent = False
        if self._spent:
            return Withheld.MAX_DURATION
        if self._cool_until is not None and t < self._cool_until:
            return Withheld.COOLDOWN
        return Withheld.GRACE if grace else refusal

    def _gather(self, t: int, score: float) -> None:
        """Become pending if enough of the last windows reached `enter`; count it if only some of them did not count."""
        reached = [mark for mark in self._recent if mark.reached]
        if len(reached) < self.rule.settings.needed:
            return
        counting = [mark for mark in reached if mark.forbidden is None]
        newest = reached[-1].forbidden
        if newest is None and len(counting) >= self.rule.settings.needed:
            self._pending, self._peak = counting[0].t, score
            self._held = self._since = t
            return
        self._withhold(newest or next(mark.forbidden for mark in reversed(reached) if mark.forbidden), t, score)

    def _withhold(self, reason: str, t: int, score: float) -> None:
        if reason not in self._counted:
            self._counted.add(reason)
            self._suppressions.add(Suppression(self.rule.name, self._source, self._track, t, reason, score))

    def _miss(self, t: int) -> None:
        """The pending event was over too soon."""
        self._withhold(Withheld.MIN_DURATION, t, self._peak)
        self._pending = None
        self._forget()

    def _forget(self) -> None:
        self._recent.clear()
        self._counted.clear()

    def _start(self, t_start: int, t: int, score: float, margin: float) -> Event:
        rule = self.rule
        self._pending = None
        self._forget()
        self._held = self._since = self._opened = self._sent = t
        self.event = Event(
            id=event_id(self._salt, self._source, self._track, rule.name, t_start),
            phase=Phase.START,
            kind=rule.kind,
            severity=rule.severity,
            source=self._source,
            track=self._track,
            name=rule.name,
            prompt=rule.text,
            t=t,
            t_start=t_start,
            t_end=None,
            score=score,
            peak=max(score, self._peak),
            margin=margin,
            reason=None,
        )
        return self.event

    def _hold(self, event: Event, t: int, score: float, margin: float, refusal: str | None) -> list[Event]:
        settings = self.rule.settings
        t = max(t, event.t)
        peak = max(event.peak, score)
        self.event = event = replace(event, phase=Phase.UPDATE, t=t, score=score, peak=peak, margin=margin)
        if score >= settings.exit and refusal is None:
            self._held = self._since = t
        elif t - self._since >= settings.hold_s * NANOSECONDS:
            refused = refusal is not None and score >= settings.exit
            return [self._end(event, t, end_reason(refusal) if refusal and refused else EndReason.BELOW_EXIT)]
        if 0 < settings.max_s * NANOSECONDS <= t - self._opened:
            self._spent, self._since = True, t
            return [self._end(event, t, EndReason.MAX_DURATION)]
        if t - self._sent < settings.update_s * NANOSECONDS:
            return []
        self._sent = t
        return [event]

    def _end(self, event: Event, t: int, reason: EndReason) -> Event:
        t = max(t, event.t)
        self.event = None
        self._forget()
        # Only here, and there is no event that was not told: what never started cools nothing down.
        self._cool_until = t + round(self.rule.settings.cooldown_s * NANOSECONDS)
        return replace(event, phase=Phase.END, t=t, t_end=self._held, reason=reason)
