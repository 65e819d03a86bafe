"""What a configuration's rules say: conditions on people and on the prompts' events, where, when and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.permits import Limits
from stream.schedule import Schedule
from stream.types import Severity
from stream.zones import Zone


@dataclass(frozen=True, slots=True)
class Needs:
    """What must hold; None asks nothing.

    Attributes:
        prompt: an event of this prompt is open, of the person that is asked about.
        after: an event of this prompt has started since the condition was last broken, of anybody.
        without: no event of this prompt has started meanwhile, nor was open at the beginning: of the same person, or of
            anybody where the scene is asked about.
        limits: where the person is, or where people are counted, and when.
        sources: names of the sources that it is asked of; none means all.
        people_at_least, people_at_most: how many people are seen.
    """

    prompt: str | None = None
    after: str | None = None
    without: str | None = None
    limits: Limits = field(default_factory=Limits)
    sources: frozenset[str] = frozenset()
    people_at_least: int | None = None
    people_at_most: int | None = None

    @property
    def counts(self) -> bool:
        """Whether people are counted."""
        return self.people_at_least is not None or self.people_at_most is not None

    @property
    def of_scene(self) -> bool:
        """Whether it is asked of the scene as a whole and not of each person."""
        return self.after is not None or (self.prompt is None and self.counts)


@dataclass(frozen=True, slots=True)
class Condition:
    """A `[[rules]]` block: an event that begins when what it needs has held for long enough.

    Attributes:
        name: last level of the event's topic; differs from all prompts' names.
        text: what a person reads.
        severity: above INFO it is published as an alarm.
        needs: what must hold, all of it.
        for_s: for so many seconds without a break; more than some frames, or a body that is none is told of.
        hold_s: so many seconds in which it does not hold are no break, and end no event.
    """

    name: str
    text: str
    severity: Severity
    needs: Needs
    for_s: float = 1.0
    hold_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All that a configuration says on where, when and on what conditions.

    Attributes:
        zones, schedules: any number; those of one name belong together.
        limits: of prompts, by their names.
        conditions: with different names.
        silence_s: a source without a frame for longer was not watched meanwhile: what it did not show did not hold.
    """

    zones: tuple[Zone, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    limits: Mapping[str, Limits] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    silence_s: float = 5.0


def described(needs: Needs, for_s: float) -> str:
    """Needs as a short text: "fall, then at most 1 person, in bathroom, for 5 min"."""
    limits = needs.limits
    parts = [
        needs.prompt,
        needs.after and f"{needs.after}, then",
        _people(needs) if needs.counts else None,
        needs.without and f"no {needs.without}",
        limits.zone and f"in {limits.zone}",
        limits.outside and f"not in {limits.outside}",
        for_s and f"for {_duration(for_s)}",
        limits.schedule and f"({limits.schedule})",
    ]
    return " ".join(part for part in parts if part)


def _people(needs: Needs) -> str:
    least, most = needs.people_at_least or 0, needs.people_at_most
    if most == 0:
        return "nobody"
    if least == most:
        return "one person" if least == 1 else f"{least} people"
    if most is None:
        return f"at least {least} {'person' if least == 1 else 'people'}"
    return f"at most {most} {'person' if most == 1 else 'people'}" if not least else f"{least} to {most} people"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
