"""When events start and end, and what of it a prompt or rule has for itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from stream.types import EventKind, Severity

if TYPE_CHECKING:
    from stream.prompts import Prompt


@dataclass(frozen=True, slots=True)
class EventSettings:
    """When events start and end (docs/events.md shows each at work).

    Attributes:
        enter: score from which a window counts towards a start.
        exit: score below which a window counts towards the end; at most `enter`.
        margin: by how much the prompt must lie above the best background text.
        needed, of: a start needs `needed` of the last `of` windows at `enter`.
        min_s: what would end sooner than this is no event: larger tells later and of less.
        max_s: this long after its start was told an event ends, and starts again only after it was below `exit` for
            `hold_s`; 0: never.
        hold_s: seconds below `exit` after which an event ends: larger joins what flickers.
        update_s: at least this many seconds between two updates of an event.
        cooldown_s: seconds after an event's end in which the same does not start again on that person.
        grace_s: no start this soon after someone appeared, or appeared again after being unseen for so long.
        handover_s: how long the events of someone who is not seen wait for them to be seen again; 0: not at all.
        handover_m: how near to where they were last seen that must be, in metres.
    """

    enter: float = 0.5
    exit: float = 0.3
    margin: float = 0.0
    needed: int = 2
    of: int = 3
    min_s: float = 0.0
    max_s: float = 600.0
    hold_s: float = 0.6
    update_s: float = 1.0
    cooldown_s: float = 1.0
    grace_s: float = 0.5
    handover_s: float = 3.0
    handover_m: float = 1.0


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a prompt has for itself of `EventSettings`, beside its thresholds; None takes the general one."""

    margin: float | None = None
    min_s: float | None = None
    max_s: float | None = None
    hold_s: float | None = None
    cooldown_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is watched for.

    Attributes:
        name: short name, a level of the topics.
        text: what it is, for people.
        severity: above INFO its events are published as alarms.
        kind: what its events tell of.
        settings: its own; those of hand-over and `grace_s` are the engine's, which are the same for all.
    """

    name: str
    text: str
    severity: Severity
    kind: EventKind
    settings: EventSettings


def rule_of(prompt: Prompt, settings: EventSettings) -> Rule:
    """The rule that a prompt is, where these are the general settings."""
    own = {"enter": prompt.enter, "exit": prompt.exit, **asdict(prompt.own)}
    merged = replace(settings, **{key: value for key, value in own.items() if value is not None})
    # An `enter` of its own may lie below the general `exit`: between them an event would end and start for ever.
    merged = replace(merged, exit=min(merged.enter, merged.exit))
    return Rule(prompt.name, prompt.text, prompt.severity, EventKind.ACTION, merged)
