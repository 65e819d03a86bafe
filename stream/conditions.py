"""From people, places and the prompts' events to events of conditions: what held together for long enough.

A condition about people has a life for each of them, one about the scene has one for each source (track -1):

    idle -> held since a frame -> start, once it has held for `for_s` -> update ... -> end, once broken

It is broken when it has not held for `hold_s`, at once by what it goes `without`, and by what ends the source. Who is
not seen is awaited for `handover_s`, as the event engine may say that they go on as another track. Time passes by
frames alone: one that shows nobody lets an absence go on, and where frames are missing for longer than `silence_s`
nothing has held, so that a camera that is lost never tells that nobody is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stream.condition_run import ConditionRun
from stream.permits import Permits
from stream.rulebook import Condition, Needs, Rulebook
from stream.schedule import Timetable
from stream.types import NANOSECONDS, NO_TRACK, EndReason, Event, Phase, Tracked
from stream.zones import ZoneMap

_Key = tuple[str, int]
"""Name of a condition, and track."""


@dataclass(slots=True)
class _Source:
    """What is known of a source.

    Attributes:
        t: time of its newest frame.
        opened: the prompts' events that are open, by id.
        runs: of its conditions that hold.
        seen: when people of whom some hold were last seen, by track.
        lost: of them, those whom the tracker has given up.
    """

    t: int
    opened: dict[str, Event] = field(default_factory=dict)
    runs: dict[_Key, ConditionRun] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)


class ConditionEngine:
    """Judges conditions, frame by frame, and says where and when the prompts' events may start.

    Args:
        rulebook: what to judge by.
        salt: see `stream.events.EventEngine`.

    Attributes:
        handover_s: how long what holds of someone who is not seen waits for them to be seen again.
    """

    handover_s = 3.0

    def __init__(self, rulebook: Rulebook | None = None, *, salt: str = "") -> None:
        self._salt = salt
        self._sources: dict[str, _Source] = {}
        self._lives: Counter[str] = Counter()
        """How often a source was forgotten: should its clock start anew, its events get other ids than before."""
        self._adopt(rulebook or Rulebook())

    @property
    def undated(self) -> frozenset[str]:
        """Sources of which a schedule could not be asked, since their times have no date: it counted as on."""
        return frozenset(self._timetable.undated)

    def check(self, name: str, source: str, track: int, t: int) -> str | None:
        """Why an event of a prompt may not go on or start now, or None if it may (see `stream.permits`)."""
        return self._permits.check(name, source, track, t)

    def see(self, frame: Tracked) -> list[Event]:
        """Take a frame, before the prompts' events that it brings; returns the events of conditions that it causes.

        One that is not later than the last of its source is of a clock that started anew.
        """
        source, t = frame.source, frame.t
        state = self._sources.get(source)
        events: list[Event] = []
        if state is not None and t <= state.t:
            events = self.end_source(source, EndReason.GAP)
            state = None
        if state is None:
            state = self._sources[source] = _Source(t)
        if t - state.t > self._rulebook.silence_s * NANOSECONDS:
            events = _end(state, list(state.runs), t, EndReason.GAP)
        state.t = t
        self._zones.see(frame)
        shown = dict.fromkeys(frame.track_ids.tolist(), t)
        if state.runs:
            holding = {track for _, track in state.runs}
            shown = {track: seen for track, seen in state.seen.items() if track in holding} | shown
        state.seen = shown
        for track in [track for track in state.lost if not self._awaited(state, track)]:
            events += _leave(state, track)
        for condition in self._rulebook.conditions:
            if self._applies(condition.needs, source):
                for track in self._subjects(condition, source, state):
                    events += self._step(condition, source, state, track)
        return events

    def take(self, event: Event) -> list[Event]:
        """Take an event of a prompt; returns those of conditions that it causes."""
        state = self._sources.get(event.source)
        if state is None:
            return []
        state.opened.pop(event.id, None)
        if event.phase is Phase.END:
            self._explain(state, event)
            return []
        state.opened[event.id] = event
        if event.phase is Phase.UPDATE:
            return []
        told: list[Event] = []
        for condition in self._rulebook.conditions:
            needs = condition.needs
            if needs.without == event.name:
                track = NO_TRACK if needs.of_scene else event.track
                told += _end(state, [(condition.name, track)], event.t, EndReason.BELOW_EXIT)
            if needs.after == event.name and self._applies(needs, event.source):
                anywhere = needs.limits.zone is None and needs.limits.outside is None
                of_scene = event.track == NO_TRACK and anywhere
                there = of_scene or event.track in self._counted(needs, event.source)
                if there and (condition.name, NO_TRACK) not in state.runs:
                    self._begin(condition, event.source, state, NO_TRACK)
        return told

    def awaits(self, source: str, track: int) -> bool:
        """Whether something holds of a person that would go on with an heir."""
        state = self._sources.get(source)
        return state is not None and any(of == track for _, of in state.runs)

    def hand_over(self, frame: Tracked, heirs: Mapping[int, int]) -> list[Event]:
        """Go on with other tracks, new in a frame that is yet to be seen, in place of lost ones."""
        state = self._sources.get(frame.source)
        if state is None:
            return []
        told: list[Event] = []
        for old, new in heirs.items():
            state.lost.discard(old)
            for name, _ in [key for key in state.runs if key[1] == old]:
                run = state.runs[name, new] = state.runs.pop((name, old))
                told += run.move(frame.t, new)
        return told

    def end_track(self, source: str, track: int) -> list[Event]:
        """A person is gone: what is told of them ends, unless they are awaited.

        What a prompt's event holds up goes on with that.
        """
        state = self._sources.get(source)
        if state is None:
            return []
        if self._awaited(state, track):
            state.lost.add(track)
            return []
        return _leave(state, track)

    def end_source(self, source: str, reason: EndReason) -> list[Event]:
        """End what is told of a source and forget it."""
        self._zones.forget(source)
        state = self._sources.pop(source, None)
        if state is None:
            return []
        self._lives[source] += 1
        return _end(state, list(state.runs), state.t, reason)

    def end_all(self, reason: EndReason) -> list[Event]:
        """End everything, in the order in which the sources appeared."""
        return [event for source in list(self._sources) for event in self.end_source(source, reason)]

    def exchange(self, rulebook: Rulebook) -> list[Event]:
        """Judge by other conditions from now on: what is told of those that stay as they are goes on, the rest ends."""
        before = [_whole(self._rulebook, condition) for condition in self._rulebook.conditions]
        stays = {condition.name: _whole(rulebook, condition) in before for condition in rulebook.conditions}
        ended: list[Event] = []
        for state in self._sources.values():
            for key in [key for key in state.runs if not stays.get(key[0])]:
                # A rule of other numbers is watched for as before, by its name.
                reason = EndReason.RULE_CHANGED if key[0] in stays else EndReason.PROMPT_REMOVED
                ended += _end(state, [key], state.t, reason)
        self._adopt(rulebook)
        return ended

    def _adopt(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook
        self._zones = ZoneMap(rulebook.zones)
        self._timetable = Timetable(rulebook.schedules)
        self._permits = Permits(rulebook.limits, self._zones, self._timetable)

    def _applies(self, needs: Needs, source: str) -> bool:
        """Whether a source is asked: that nobody is in a zone that is no area of its tells nothing."""
        zone = needs.limits.zone
        return (not needs.sources or source in needs.sources) and (zone is None or self._zones.covers(source, zone))

    def _subjects(self, condition: Condition, source: str, state: _Source) -> list[int]:
        """Of whom it is asked now: who is in view, whom it was true of, and who does what it looks for."""
        if condition.needs.of_scene:
            return [NO_TRACK]
        running = (track for name, track in state.runs if name == condition.name)
        acting = (event.track for event in state.opened.values() if event.name == condition.needs.prompt)
        return sorted({*running, *acting, *self._zones.people(source)})

    def _counted(self, needs: Needs, source: str) -> frozenset[int]:
        """The people who are where it looks."""
        people = self._zones.people(source, needs.limits.zone)
        return people if needs.limits.outside is None else people - self._zones.people(source, needs.limits.outside)

    def _step(self, condition: Condition, source: str, state: _Source, track: int) -> list[Event]:
        key = (condition.name, track)
        run = state.runs.get(key)
        held = self._held(condition.needs, source, state, track)
        if held is None:
            unseen = state.seen.get(track, state.t) < state.t
            if run is None or not run.broken(state.t) or (unseen and self._awaited(state, track)):
                return []
            left = unseen and condition.needs.prompt is None
            return _end(state, [key], state.t, EndReason.TRACK_LOST if left else run.why)
        if run is None:
            if condition.needs.after is not None:
                return []
            run = self._begin(condition, source, state, track)
        return run.hold(state.t, *held)

    def _held(self, needs: Needs, source: str, state: _Source, track: int) -> tuple[float, float] | None:
        """Score and margin of what is needed, if all of it holds now."""
        limits, counted = needs.limits, self._counted(needs, source)
        placed = needs.prompt is None or limits.zone is not None or limits.outside is not None
        if not needs.of_scene and placed and track not in counted:
            return None
        if needs.people_at_least is not None and len(counted) < needs.people_at_least:
            return None
        if needs.people_at_most is not None and len(counted) > needs.people_at_most:
            return None
        if limits.schedule is not None and not self._timetable.on(limits.schedule, source, state.t):
            return None
        events = [event for event in state.opened.values() if needs.of_scene or event.track == track]
        if any(event.name == needs.without for event in events):
            return None
        if needs.prompt is None:
            return 1.0, 0.0
        return next(((event.score, event.margin) for event in events if event.name == needs.prompt), None)

    def _begin(self, condition: Condition, source: str, state: _Source, track: int) -> ConditionRun:
        lives = self._lives[source]
        salt = f"{self._salt}\0{lives}" if lives else self._salt
        run = ConditionRun(condition, source, track, salt, since=state.t, last=state.t)
        state.runs[condition.name, track] = run
        return run

    def _explain(self, state: _Source, ended: Event) -> None:
        """What a prompt's event held up will end for the reason for which that did, should it not come back."""
        for (_, track), run in state.runs.items():
            if track == ended.track and run.condition.needs.prompt == ended.name and ended.reason is not None:
                run.why = ended.reason

    def _awaited(self, state: _Source, track: int) -> bool:
        """Whether somebody is given up only later, if they are not seen."""
        seen = state.seen.get(track)
        return seen is not None and state.t - seen <= self.handover_s * NANOSECONDS and self.handover_s > 0


def _leave(state: _Source, track: int) -> list[Event]:
    """End what is told of a person who is gone, but for what a prompt's event holds up."""
    state.lost.discard(track)
    keys = [key for key, run in state.runs.items() if key[1] == track and run.condition.needs.prompt is None]
    return _end(state, keys, state.t, EndReason.TRACK_LOST)


def _end(state: _Source, keys: Iterable[_Key], t: int, reason: EndReason) -> list[Event]:
    """End runs, those which no event tells of without a word."""
    runs = [state.runs.pop(key) for key in keys if key in state.runs]
    return [event for run in runs for event in run.end(t, reason)]


def _whole(rulebook: Rulebook, condition: Condition) -> object:
    """A condition and all that its names stand for."""
    limits = condition.needs.limits
    zones = [zone for zone in rulebook.zones if zone.name in (limits.zone, limits.outside)]
    return condition, zones, [schedule for schedule in rulebook.schedules if schedule.name == limits.schedule]
