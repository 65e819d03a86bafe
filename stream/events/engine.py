"""Scores and frames of all people in, events out: a `Machine` for each rule and person, and people who come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stream.events.machine import Machine
from stream.events.permit import Permit
from stream.events.presence import Presence, heirs
from stream.events.settings import EventSettings, Rule, rule_of
from stream.events.suppression import Suppressions
from stream.types import NANOSECONDS, EndReason, Event, Scores, Tracked

if TYPE_CHECKING:
    from stream.prompts import Prompt

_Key = tuple[bool, str]
"""Whether it is a judged rule or a prompt, and its name."""


@dataclass(slots=True)
class _Person:
    """One track, or the scene of a source.

    Attributes:
        presence: None of whom no frame told: the scene, and everyone where only scores are known.
        lost: the tracker has given the track up; its events wait for an heir.
    """

    presence: Presence | None = None
    lost: bool = False
    machines: dict[_Key, Machine] = field(default_factory=dict)

    def busy(self, t: int) -> bool:
        return any(machine.busy(t) for machine in self.machines.values())

    def close(self, reason: EndReason, t: int | None = None) -> list[Event]:
        return [event for machine in self.machines.values() for event in machine.close(reason, t)]


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
        self._settings = settings
        self._rules = tuple(rule_of(prompt, settings) for prompt in prompts)
        self._people: dict[str, dict[int, _Person]] = {}
        self._passes: Counter[str] = Counter()
        """How often a source ended: should it begin again at time 0, its scene's events get other ids."""

    @property
    def suppressed(self) -> Counter[str]:
        """How many starts were withheld, by reason."""
        return self.suppressions.by_reason()

    @property
    def _grace(self) -> int:
        return round(self._settings.grace_s * NANOSECONDS)

    @property
    def _wait(self) -> int:
        return round(self._settings.handover_s * NANOSECONDS)

    def see(self, frame: Tracked) -> list[Event]:
        """Take a frame, before the scores of the windows that it completes.

        Tells who is there. New tracks take over from lost ones, and the events of those that nobody took over from end
        as their time is up. Who gives no frames gets no grace and no hand-over.
        """
        people = self._people.setdefault(frame.source, {})
        now = {
            track: Presence.of(frame.t, frame.joints[body], frame.confidence[body], frame.space)
            for body, track in enumerate(frame.track_ids.tolist())
        }
        born = {track: presence for track, presence in now.items() if track not in people}
        lost = {
            track: person.presence
            for track, person in people.items()
            if track not in now and self._awaited(frame.source, track, frame.t) and person.presence is not None
        }
        events = []
        self.heirs = heirs(lost, born, self._settings.handover_m) if lost and born else {}
        for old, new in self.heirs.items():
            people[new] = person = people.pop(old)
            person.lost, person.presence = False, now[new]
            events += [event for machine in person.machines.values() for event in machine.resume(frame.t, new)]
        for track, presence in now.items():
            person = people.setdefault(track, _Person())
            if person.presence is None:
                person.presence = presence
            elif person.presence is not presence:
                person.presence.move(presence, self._grace)
        for track, person in list(people.items()):
            if person.lost and not self._awaited(frame.source, track, frame.t):
                events += people.pop(track).close(EndReason.TRACK_LOST, frame.t)
        return events

    def push(self, scores: Scores) -> list[Event]:
        """Add the scores of one window; windows of a track come in the order of their times."""
        events = []
        for k, rule in enumerate(self._rules):
            probability, margin = float(scores.probability[k]), float(scores.margin[k])
            events += self._step((False, rule.name), rule, scores.source, scores.track, scores.t, probability, margin)
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
        return self._step((True, rule.name), rule, source, track, t, score, margin)

    def abstain(self, source: str, track: int, t: int) -> list[Event]:
        """Add a window that saw too little to be scored: it holds nothing up and starts nothing."""
        person = self._people.get(source, {}).get(track)
        if person is None:
            return []
        return [event for machine in person.machines.values() for event in machine.abstain(t, self._wait)]

    def interrupt(self, source: str, track: int) -> list[Event]:
        """A track is seen again after a hole for which its windows begin anew; comes after the frame.

        Its events go on if a new track's would, and else they end.
        """
        person = self._people.get(source, {}).get(track)
        if person is None:
            return []
        presence = person.presence
        if presence is not None and presence.hole <= self._wait:
            return [event for machine in person.machines.values() for event in machine.resume(presence.seen, track)]
        events = person.close(EndReason.GAP)
        person.machines.clear()
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
        self._settings = settings or self._settings
        rules = {prompt.name: rule_of(prompt, self._settings) for prompt in prompts}
        events = []
        for machines in self._machines():
            for judged, name in list(machines):
                if judged:
                    continue
                if name in rules:
                    machines[judged, name].follow(rules[name])
                else:
                    events += machines.pop((judged, name)).close(EndReason.PROMPT_REMOVED)
        self._rules = tuple(rules.values())
        return events

    def retire(self, name: str) -> list[Event]:
        """Judge a rule no more: end its open events."""
        ended = (machines.pop((True, name)) for machines in self._machines() if (True, name) in machines)
        return [event for machine in ended for event in machine.close(EndReason.PROMPT_REMOVED)]

    def open_events(self, source: str, track: int) -> list[Event]:
        """The last state of each event of a track that has not ended, whether it was told or not."""
        person = self._people.get(source, {}).get(track)
        return [] if person is None else [machine.event for machine in person.machines.values() if machine.event]

    def _machines(self) -> Iterator[dict[_Key, Machine]]:
        return (person.machines for people in self._people.values() for person in people.values())

    def _awaited(self, source: str, track: int, t: int) -> bool:
        """Whether an heir of someone who is not seen would take anything over."""
        person = self._people[source][track]
        if person.presence is None or self._wait <= 0 or t - person.presence.seen > self._wait:
            return False
        return person.busy(t) or self._awaits(source, track)

    def _step(self, key: _Key, rule: Rule, source: str, track: int, t: int, score: float, margin: float) -> list[Event]:
        person = self._people.setdefault(source, {}).setdefault(track, _Person())
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
        return machine.step(t, score, margin, grace=grace, refusal=refusal)
