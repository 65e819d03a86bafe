"""From scores to events: one start, rate-limited updates, one end, with one id for life.

    idle -> pending (enter reached in `needed` of the last `of` windows) -> start -> update ... -> end -> cool-down

An event ends when its score has stayed below `exit` for `hold_s`, or when its track or source ends. The cool-down
counts from the end of a *published* event; what it suppresses is counted. All by data time: no clocks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from ulid import ULID

from stream.prompts import Prompt
from stream.types import NANOSECONDS, EndReason, Event, EventKind, Phase, Scores


@dataclass(frozen=True, slots=True)
class EventSettings:
    """When events start and end; a prompt may override `enter` and `exit`.

    Attributes:
        enter: probability from which a window counts towards a start.
        exit: probability below which a window counts towards the end; at most `enter`.
        margin: by how much the prompt's similarity must exceed that of the best background text.
        needed, of: a start needs `needed` of the last `of` windows at `enter`.
        hold_s: seconds below `exit` after which an event ends: larger joins what flickers.
        update_s: at least this many seconds between two updates of an event.
        cooldown_s: seconds after an event's end in which the same prompt does not start again on that track.
    """

    enter: float = 0.5
    exit: float = 0.3
    margin: float = 0.0
    needed: int = 2
    of: int = 3
    hold_s: float = 0.6
    update_s: float = 1.0
    cooldown_s: float = 1.0


@dataclass(slots=True)
class _State:
    """One prompt on one track."""

    recent: deque[int | None]
    """Time of each recent window that reached `enter`, None for one that did not."""
    opened: Event | None = None
    last_above: int = 0
    last_sent: int = 0
    cool_until: int | None = None
    suppressed: bool = False


class EventEngine:
    """Turns the scores of all tracks into events.

    Args:
        prompts: the K prompts, in the order of the scores' columns.
        settings: see `EventSettings`.
        salt: mixed into the events' ids, which else are the same whenever the same is seen: a daemon whose sources
            begin at 0 each time it starts gives its epoch.

    Attributes:
        suppressed: number of starts that were withheld, by reason.
    """

    def __init__(self, prompts: Sequence[Prompt], settings: EventSettings, *, salt: str = "") -> None:
        self._salt = salt
        self._prompts = tuple(prompts)
        self._settings = settings
        self._tracks: dict[tuple[str, int], list[_State]] = {}
        self.suppressed: Counter[str] = Counter()

    def push(self, scores: Scores) -> list[Event]:
        """Add the scores of one window; windows of a track come in the order of their times."""
        events = []
        for k, (prompt, state) in enumerate(zip(self._prompts, self._states(scores.source, scores.track), strict=True)):
            probability, margin = float(scores.probability[k]), float(scores.margin[k])
            event = self._step(prompt, state, scores.source, scores.track, scores.t, probability, margin)
            if event is not None:
                events.append(event)
        return events

    def abstain(self, source: str, track: int, t: int) -> list[Event]:
        """Add a window that saw too little to be scored: it holds nothing up and starts nothing."""
        if (source, track) not in self._tracks:
            return []
        events = (
            self._step(prompt, state, source, track, t, 0.0, 0.0)
            for prompt, state in zip(self._prompts, self._states(source, track), strict=True)
        )
        return [event for event in events if event is not None]

    def end_track(self, source: str, track: int, reason: EndReason) -> list[Event]:
        """End the open events of a track that ended and forget it."""
        ended = self._tracks.pop((source, track), None)
        if ended is None:
            return []
        return [self._end(state, state.opened, state.last_above, reason) for state in ended if state.opened is not None]

    def end_source(self, source: str, reason: EndReason) -> list[Event]:
        """End all tracks of a source."""
        tracks = [track for name, track in self._tracks if name == source]
        return [event for track in tracks for event in self.end_track(source, track, reason)]

    def end_all(self, reason: EndReason) -> list[Event]:
        """End everything, in the order in which the tracks appeared."""
        return [event for source, track in list(self._tracks) for event in self.end_track(source, track, reason)]

    def exchange(self, prompts: Sequence[Prompt]) -> list[Event]:
        """Watch for other prompts from now on: those of a name that stays go on, events of the others end."""
        names = [prompt.name for prompt in self._prompts]
        staying = {prompt.name for prompt in prompts}
        ended = []
        for key, states in self._tracks.items():
            known = dict(zip(names, states, strict=True))
            for name, state in known.items():
                if name not in staying and state.opened is not None:
                    ended.append(self._end(state, state.opened, state.last_above, EndReason.PROMPT_REMOVED))
            self._tracks[key] = [known.get(prompt.name) or self._new_state() for prompt in prompts]
        self._prompts = tuple(prompts)
        return ended

    def open_events(self, source: str, track: int) -> list[Event]:
        """The last state of each event of a track that has not ended, whether it was told or not."""
        states = self._tracks.get((source, track), ())
        return [state.opened for state in states if state.opened is not None]

    def _new_state(self) -> _State:
        return _State(deque(maxlen=self._settings.of))

    def _states(self, source: str, track: int) -> list[_State]:
        states = self._tracks.get((source, track))
        if states is None:
            states = [self._new_state() for _ in self._prompts]
            self._tracks[source, track] = states
        return states

    def _step(
        self, prompt: Prompt, state: _State, source: str, track: int, t: int, probability: float, margin: float
    ) -> Event | None:
        settings = self._settings
        enter = settings.enter if prompt.enter is None else prompt.enter
        # A prompt's `enter` may lie below the general `exit`: between them an event would end and start for ever.
        leave = min(enter, settings.exit if prompt.exit is None else prompt.exit)
        if state.opened is not None:
            return self._hold(state, state.opened, t, probability, margin, leave)
        hit = probability >= enter and margin >= settings.margin
        state.recent.append(t if hit else None)
        hits = [time for time in state.recent if time is not None]
        if not hits:
            state.suppressed = False
        if not hit or len(hits) < settings.needed:
            return None
        if state.cool_until is not None and t < state.cool_until:
            if not state.suppressed:  # counted once for each start that would have been, not for each window
                self.suppressed["cooldown"] += 1
                state.suppressed = True
            return None
        state.recent.clear()
        state.suppressed = False
        state.last_above = state.last_sent = t
        state.opened = Event(
            id=event_id(self._salt, source, track, prompt.name, hits[0]),
            phase=Phase.START,
            kind=EventKind.ACTION,
            severity=prompt.severity,
            source=source,
            track=track,
            name=prompt.name,
            prompt=prompt.text,
            t=t,
            t_start=hits[0],
            t_end=None,
            score=probability,
            peak=probability,
            margin=margin,
            reason=None,
        )
        return state.opened

    def _hold(
        self, state: _State, event: Event, t: int, probability: float, margin: float, leave: float
    ) -> Event | None:
        state.opened = event = replace(
            event, phase=Phase.UPDATE, t=t, score=probability, peak=max(event.peak, probability), margin=margin
        )
        if probability >= leave:
            state.last_above = t
        elif t - state.last_above >= self._settings.hold_s * NANOSECONDS:
            state.cool_until = t + round(self._settings.cooldown_s * NANOSECONDS)
            return self._end(state, event, t, EndReason.BELOW_EXIT)
        if t - state.last_sent < self._settings.update_s * NANOSECONDS:
            return None
        state.last_sent = t
        return event

    @staticmethod
    def _end(state: _State, event: Event, t: int, reason: EndReason) -> Event:
        state.opened = None
        return replace(event, phase=Phase.END, t=max(t, event.t), t_end=state.last_above, reason=reason)


def event_id(salt: str, source: str, track: int, name: str, t_start: int) -> str:
    """ULID whose random half is a digest of what the event is: the same recording gives the same ids."""
    digest = blake2b(f"{salt}\0{source}\0{track}\0{name}\0{t_start}".encode(), digest_size=10).digest()
    milliseconds = max(t_start, 0) // 1_000_000
    return str(ULID(milliseconds.to_bytes(6, "big") + digest))
