"""Scores and frames of all people in, events out: a `Machine` for each rule and person, and people who come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stream.events.machine import Machine
from stream.events.permit import Permit
from stream.events.person import Key, Person
from stream.events.presence import Presence, heirs
from stream.events.settings import EventSettings, Rule, rule_of
from stream.events.suppression import Suppressions
from stream.types import NANOSECONDS, EndReason, Event, Scores, Tracked

if TYPE_CHECKING:
    from stream.prompts import Prompt


class EventEngine:
    """Turns the scores of all tracks into events; docs/events.md tells how. All by data time: no clocks.

    Args:
        prompts: the K prompts, in the order of the scores' columns.
        settings: see `EventSettings`.
        salt: mixed into the events' ids, which else are the same whenever the same is seen: a daemon whose sources
            begin at 0 each time it starts gives its epoch.
        permit: see below.
        awaits: whether somebody else, too, has something that goes on with the heir of a source's track.

    Attributes:
        permit: where and when prompts and rules apply; may be exchanged. None: everywhere and always.
        suppressions: the starts that were withheld.
        heirs: the track that each lost one goes on as since the newest frame; none as of any other frame.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        settings: EventSettings,
        *,
        salt: str = "",
        permit: Permit | None = None,
        awaits: Callable[[str, int], bool] | None = None,
    ) -> None:
        self.permit = permit
        self.heirs: dict[int, int] = {}
        self._awaits = awaits or (lambda _source, _track: False)
        self.suppressions = Suppressions()
        self._salt = salt
        self._adopt(settings, [rule_of(prompt, settings) for prompt in prompts])
        self._people: dict[str, dict[int, Person]] = {}
        self._passes: Counter[str] = Counter()
        """How often a source ended: should it begin again at time 0, its scene's events get other ids."""

    @property
    def suppressed(self) -> Counter[str]:
        """How many starts were withheld, by reason."""
        return self.suppressions.by_reason()

    def see(self, frame: Tracked) -> list[Event]:
        """Take a frame, before the scores of the windows that it completes.

        Tells who is there. New tracks take over from lost ones, and the events of those that nobody took over from end
        as their time is up. Who gives no frames gets no grace and no hand-over.
        """
        people = self._people.get(frame.source)
        if people is None:
            people = self._people[frame.source] = {}
        now = {track: body for body, track in enumerate(frame.track_ids.tolist())}
        self.heirs = {} if people.keys() == now.keys() else self._find_heirs(frame, people, now)
        events = []
        for old, new in self.heirs.items():
            people[new] = person = people.pop(old)
            person.lost, person.presence = False, None  # that of the heir is set below
            events += person.resume(frame.t, new)
        for track, body in now.items():
            shown = frame.joints[body], frame.confidence[body], frame.space
            known = people.get(track)
            if known is None:
                people[track] = Person(Presence.of(frame.t, *shown))
            elif known.presence is None:
                known.presence = Presence.of(frame.t, *shown)
            else:
                known.presence.move(frame.t, *shown, self._grace)
        for track in [track for track, person in people.items() if person.lost]:
            if not self._awaited(frame.source, track, frame.t):
                events += people.pop(track).close(EndReason.TRACK_LOST, frame.t)
        return events

    def _find_heirs(self, frame: Tracked, people: dict[int, Person], now: dict[int, int]) -> dict[int, int]:
        """The new track that each lost one goes on as; `now` are the tracks of a frame, with the bodies' numbers."""
        born = {
            track: Presence.of(frame.t, frame.joints[body], frame.confidence[body], frame.space)
            for track, body in now.items()
            if track not in people
        }
        if not born:
            return {}
        lost = {
            track: person.presence
            for track, person in people.items()
            if track not in now and self._awaited(frame.source, track, frame.t) and person.presence is not None
        }
        return heirs(lost, born, self._settings.handover_m)

    def push(self, scores: Scores) -> list[Event]:
        """Add the scores of one window; windows of a track come in the order of their times.

        Of many prompts most are below `exit` and have nothing begun: these cost nothing.
        """
        source, track, t = scores.source, scores.track, scores.t
        person = self._person(source, track)
        columns: Sequence[int] = np.flatnonzero(scores.probability >= self._exits).tolist()
        if person.rules is not self._rules:
            columns, person.rules = range(len(self._rules)), self._rules
        elif person.awake:
            awake = (self._columns[key] for key in person.awake if key in self._columns)
            columns = sorted({*columns, *awake})
        events = []
        for k in columns:
            rule, probability, margin = self._rules[k], float(scores.probability[k]), float(scores.margin[k])
            events += self._step(person, (False, rule.name), rule, source, track, t, probability, margin)
        return events

    def judge(self, rule: Rule, source: str, track: int, t: int, score: float, margin: float = 0.0) -> list[Event]:
        """Add the score of one window for something that is no prompt, such as how unusual a movement is.

        Args:
            rule: what is watched for; known by its name, which is no prompt's concern.
            source, track: on whom; `NO_TRACK` is the scene: it is always there, nobody's heir, and in no grace.
            t: capture time in ns; those of a rule on a track come in their order.
            score: 0..1.
            margin: as of prompts; without effect as long as the rule asks for none.
        """
        person = self._person(source, track)
        return self._step(person, (True, rule.name), rule, source, track, t, score, margin)

    def abstain(self, source: str, track: int, t: int) -> list[Event]:
        """Add a window that saw too little to be scored: it holds nothing up and starts nothing."""
        person = self._people.get(source, {}).get(track)
        return [] if person is None else person.abstain(t, self._wait)

    def interrupt(self, source: str, track: int) -> list[Event]:
        """A track is seen again after a hole for which its windows begin anew; comes after the frame.

        Its events go on if a new track's would, and else they end.
        """
        person = self._people.get(source, {}).get(track)
        if person is None:
            return []
        presence = person.presence
        if presence is not None and presence.hole <= self._wait:
            return person.resume(presence.seen, track)
        events = person.close(EndReason.GAP)
        person.clear()
        return events

    def end_track(self, source: str, track: int, reason: EndReason) -> list[Event]:
        """End the open events of a track that ended and forget it; those of one that was lost wait for an heir."""
        people = self._people.get(source, {})
        person = people.get(track)
        if person is None:
            return []
        seen = None if person.presence is None else person.presence.seen
        if reason is EndReason.TRACK_LOST and seen is not None and self._awaited(source, track, seen):
            person.lost = True
            return []
        return people.pop(track).close(reason)

    def end_source(self, source: str, reason: EndReason) -> list[Event]:
        """End all tracks of a source."""
        people = self._people.pop(source, {})
        self._passes[source] += 1
        closed = (person.close(EndReason.TRACK_LOST if person.lost else reason) for person in people.values())
        return [event for events in closed for event in events]

    def end_all(self, reason: EndReason) -> list[Event]:
        """End everything, source by source, in the order in which the tracks appeared."""
        return [event for source in list(self._people) for event in self.end_source(source, reason)]

    def exchange(self, prompts: Sequence[Prompt], settings: EventSettings | None = None) -> list[Event]:
        """Watch for other prompts from now on: those of a name that stays go on, events of the others end.

        `settings` are other general settings, too.
        """
        settings = settings or self._settings
        rules = {prompt.name: rule_of(prompt, settings) for prompt in prompts}
        self._adopt(settings, list(rules.values()))
        events = []
        for person in self._everybody():
            person.rules = None
            for judged, name in list(person.machines):
                if judged:
                    continue
                if name in rules:
                    person.machines[judged, name].follow(rules[name])
                else:
                    events += person.remove((judged, name)).close(EndReason.PROMPT_REMOVED)
        return events

    def retire(self, name: str) -> list[Event]:
        """Judge a rule no more: end its open events."""
        key = True, name
        ended = [person.remove(key) for person in self._everybody() if key in person.machines]
        return [event for machine in ended for event in machine.close(EndReason.PROMPT_REMOVED)]

    def open_events(self, source: str, track: int) -> list[Event]:
        """The last state of each event of a track that has not ended, whether it was told or not."""
        person = self._people.get(source, {}).get(track)
        return [] if person is None else [machine.event for machine in person.awake.values() if machine.event]

    def _adopt(self, settings: EventSettings, rules: Sequence[Rule]) -> None:
        self._settings = settings
        self._grace, self._wait = (round(s * NANOSECONDS) for s in (settings.grace_s, settings.handover_s))
        self._rules = tuple(rules)
        self._columns: dict[Key, int] = {(False, rule.name): k for k, rule in enumerate(rules)}
        self._exits = np.array([rule.settings.exit for rule in rules], np.float64)

    def _everybody(self) -> Iterator[Person]:
        return (person for people in self._people.values() for person in people.values())

    def _person(self, source: str, track: int) -> Person:
        people = self._people.get(source)
        if people is None:
            people = self._people[source] = {}
        person = people.get(track)
        if person is None:
            person = people[track] = Person()
        return person

    def _awaited(self, source: str, track: int, t: int) -> bool:
        """Whether an heir of someone who is not seen would take anything over."""
        person = self._people[source][track]
        if person.presence is None or self._wait <= 0 or t - person.presence.seen > self._wait:
            return False
        return person.busy(t) or self._awaits(source, track)

    def _step(
        self, person: Person, key: Key, rule: Rule, source: str, track: int, t: int, score: float, margin: float
    ) -> list[Event]:
        machine = person.machines.get(key)
        if machine is None:
            passed = self._passes[source]
            salt = "\0".join([self._salt, *(["rule"] if key[0] else []), *([str(passed)] if passed else [])])
            machine = person.machines[key] = Machine(rule, source, track, salt, self.suppressions)
        elif machine.rule is not rule:
            machine.follow(rule)
        asked = self.permit is not None and score >= rule.settings.exit
        refusal = self.permit.check(rule.name, source, track, t) if self.permit is not None and asked else None
        grace = person.presence is not None and not person.presence.settled(t, self._grace)
        events = machine.step(t, score, margin, grace=grace, refusal=refusal)
        person.stepped(key, machine)
        return events
