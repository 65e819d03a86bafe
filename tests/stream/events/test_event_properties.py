"""What holds of events whatever comes: random people, scores, gaps, permits and exchanges of prompts."""

from __future__ import annotations

from dataclasses import dataclass

import people
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stream.events import EventEngine, EventSettings, Rule
from stream.prompts import Prompt
from stream.types import NANOSECONDS, NO_TRACK, EndReason, Event, EventKind, Phase, Scores, Severity

PROMPTS = {name: Prompt(name, f"a person does {name}", Severity.ALERT) for name in ("fall", "wave")}
HIGH = st.sampled_from([0.0, 0.35, 0.7, 0.9, 1.0])
MARGINS = st.sampled_from([-0.5, 0.1, 0.1, 0.1])
SETTINGS = EventSettings(
    enter=0.6, exit=0.3, needed=2, of=3, min_s=0.4, max_s=4.0, hold_s=0.5, update_s=0.3, cooldown_s=1.0,
    grace_s=0.3, handover_s=1.2, handover_m=1.0,
)  # fmt: skip
STRANGE = Rule("wave", "unlike anything", Severity.INFO, EventKind.ANOMALY, SETTINGS)
"""Of the same name as a prompt."""


class Gate:
    """A permit that is opened and closed by hand."""

    reason: str | None = None

    def check(self, name: str, *_where_and_when: object) -> str | None:
        return self.reason if name == "fall" else None


class Plain(EventEngine):
    """Goes through all prompts with each window, whether they have anything begun or not."""

    def push(self, scores: Scores) -> list[Event]:
        for person in self._everybody():
            person.rules = None
        return super().push(scores)


@dataclass
class Body:
    x: float
    seen: int


class Life(RuleBasedStateMachine):
    """One camera as the pipeline tells of it, and a second, plain engine that is told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = [Gate(), Gate()]
        kinds = EventEngine, Plain
        self.engines = [
            kind(list(PROMPTS.values()), SETTINGS, permit=gate) for kind, gate in zip(kinds, self.gates, strict=True)
        ]
        self.watched = list(PROMPTS)
        self.t = 0
        self.born = 0
        self.bodies: dict[int, Body] = {}
        self.visible: list[int] = []
        self.lives: dict[str, list[Event]] = {}

    def tell(self, method: str, *arguments: object) -> None:
        first, second = (getattr(engine, method)(*arguments) for engine in self.engines)
        assert repr(first) == repr(second)
        for event in first:
            life = self.lives.setdefault(event.id, [])
            assert (event.phase is Phase.START) == (not life)
            assert not life or life[-1].phase is not Phase.END
            life.append(event)
            self.check(life)
        known = [(event.name, event.kind, event.track) for event in self.open]
        assert len(known) == len(set(known))
        self.check_cool_downs()

    @property
    def open(self) -> list[Event]:
        return [life[-1] for life in self.lives.values() if life[-1].phase is not Phase.END]

    def check(self, life: list[Event]) -> None:
        event, before = life[-1], life[max(len(life) - 2, 0)]
        assert before.t <= event.t
        assert event.t_start <= event.t
        assert (event.t_start, event.name, event.kind, event.source) == (
            before.t_start, before.name, before.kind, before.source,
        )  # fmt: skip
        assert before.peak <= event.peak
        assert event.score <= event.peak
        assert (event.t_end is None) == (event.reason is None) == (event.phase is not Phase.END)
        if event.t_end is not None:
            assert event.t_start <= event.t_end <= event.t
        if event.phase is Phase.START:
            assert event.score >= SETTINGS.enter
            assert event.margin >= SETTINGS.margin
            assert event.t - event.t_start >= SETTINGS.min_s * NANOSECONDS

    def check_cool_downs(self) -> None:
        """What cooled down was an event that was told to its end."""
        ended = {life[-1].name for life in self.lives.values() if life[-1].phase is Phase.END}
        cooled = {name for name, reason in self.engines[0].suppressions.by_rule if reason == "cooldown"}
        assert cooled <= ended

    @initialize()
    def begin(self) -> None:
        self.frame(0.1, [True, False, False], 1, 0.0)

    @rule(
        step=st.sampled_from([0.1, 0.2, 0.4, 2.0]),
        there=st.lists(st.booleans(), min_size=3, max_size=3),
        new=st.integers(0, 1),
        x=st.sampled_from([0.0, 0.5, 3.0]),
    )
    def frame(self, step: float, there: list[bool], new: int, x: float) -> None:
        self.t += round(step * NANOSECONDS)
        for track in [track for track, body in self.bodies.items() if self.t - body.seen > 0.5 * NANOSECONDS]:
            del self.bodies[track]
            self.tell("end_track", "cam", track, EndReason.TRACK_LOST)
        self.visible = [track for track, seen in zip(sorted(self.bodies), there, strict=False) if seen]
        for _ in range(new if len(self.bodies) < 3 else 0):
            self.born += 1
            self.bodies[self.born] = Body(x, self.t)
            self.visible.append(self.born)
        holes = [track for track in self.visible if self.t - self.bodies[track].seen > 0.3 * NANOSECONDS]
        for track in self.visible:
            self.bodies[track].seen = self.t
        self.tell("see", people.seen(self.t, {track: self.bodies[track].x for track in self.visible}))
        for track in holes:
            self.tell("interrupt", "cam", track)

    @rule(values=st.lists(st.tuples(HIGH, HIGH, MARGINS), min_size=3, max_size=3))
    def windows(self, values: list[tuple[float, float, float]]) -> None:
        for track, (first, second, margin) in zip(self.visible, values, strict=False):
            given = (first, second)[: len(self.watched)]
            self.tell("push", people.scores(self.t, *given, track=track, margin=margin))
        self.t += NANOSECONDS // 100

    @rule(score=st.sampled_from([0.0, 0.9, 0.9]), count=st.integers(2, 6))
    def keep_on(self, score: float, count: int) -> None:
        for _ in range(count):
            self.frame(0.2, [True] * 3, 0 if self.bodies else 1, 0.0)
            self.windows([(score, score, 0.1)] * 3)

    @rule(x=st.sampled_from([0.0, 0.5, 3.0]), hole=st.sampled_from([0.2, 0.4, 0.9]))
    def swap(self, x: float, hole: float) -> None:
        """Everybody is gone, and somebody new is there."""
        self.frame(hole, [False] * 3, 0, 0.0)
        self.frame(0.1, [False] * 3, 1, x)

    @rule()
    def unseen(self) -> None:
        for track in self.visible:
            self.tell("abstain", "cam", track, self.t)
        self.t += NANOSECONDS // 100

    @rule(score=HIGH, scene=st.booleans())
    def strange(self, score: float, scene: bool) -> None:
        for track in [NO_TRACK] if scene else self.visible:
            self.tell("judge", STRANGE, "cam", track, self.t, score)
        self.t += NANOSECONDS // 100

    @rule(reason=st.sampled_from([None, "outside_zone", "something"]))
    def gate(self, reason: str | None) -> None:
        for gate in self.gates:
            gate.reason = reason

    @rule(names=st.sampled_from([["fall", "wave"], ["wave", "fall"], ["fall"], []]))
    def exchange(self, names: list[str]) -> None:
        self.watched = names
        self.tell("exchange", [PROMPTS[name] for name in names])
        assert all(event.name in names for event in self.open if event.kind is EventKind.ACTION)

    @rule()
    def restart(self) -> None:
        self.tell("end_source", "cam", EndReason.GAP)
        assert not self.open
        self.bodies.clear()
        self.visible.clear()

    @invariant()
    def what_is_open_is_what_was_told(self) -> None:
        engine = self.engines[0]
        found = [event.id for track in range(-1, self.born + 1) for event in engine.open_events("cam", track)]
        assert sorted(found) == sorted(event.id for event in self.open)

    @invariant()
    def time_ends_the_events_of_those_who_are_gone(self) -> None:
        for event in self.open:
            if event.track != NO_TRACK and event.track not in self.bodies:
                assert self.t - event.t <= (SETTINGS.handover_s + 4.0) * NANOSECONDS

    def teardown(self) -> None:
        self.tell("end_all", EndReason.SHUTDOWN)
        assert not self.open
        assert repr(self.engines[0].suppressions.recent) == repr(self.engines[1].suppressions.recent)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.45, 0.9]), MARGINS, st.booleans()), max_size=60),
    st.integers(1, 3),
)
def test_withheld_starts_are_counted_once_in_each_run_and_for_each_reason(
    windows: list[tuple[float, float, bool]], needed: int
) -> None:
    gate = Gate()
    limits = EventSettings(enter=0.6, exit=0.4, needed=needed, of=3, hold_s=0.4, cooldown_s=2.0, max_s=0.0)
    engine = EventEngine([PROMPTS["fall"]], limits, permit=gate)
    expected: list[tuple[int, str]] = []
    last: list[tuple[bool, str]] = []  # of the last windows: reached, and what forbade it
    run: set[str] = set()
    cool, busy = -1, False
    for i, (score, margin, refused) in enumerate(windows):
        t = i * people.STEP
        gate.reason = "outside_zone" if refused else None
        events = engine.push(people.scores(t, score, margin=margin))
        if busy:
            if events and events[-1].phase is Phase.END:
                busy, last, run, cool = False, [], set(), events[-1].t + 2 * NANOSECONDS
            continue
        reason = "cooldown" if t < cool else "outside_zone" if refused else "margin" if margin < 0 else ""
        last = [*last, (score >= 0.6, reason)][-3:]
        reached = [why for hit, why in last if hit]
        if not reached:
            run = set()
        start = last[-1] == (True, "") and reached.count("") >= needed
        assert [event.phase for event in events] == ([Phase.START] if start else [])
        busy = start
        if not start and last[-1][0] and len(reached) >= needed:
            why = reason or [why for why in reached if why][-1]
            if why not in run:
                run.add(why)
                expected.append((t, why))
    assert [(one.t, one.reason) for one in engine.suppressions.recent] == expected[-100:]
