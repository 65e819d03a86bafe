"""The `[anomaly]` section of the configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from stream.anomaly import AnomalySettings, ScoreName
from stream.config_rules import SourcedPlace
from stream.config_types import Description, Flag, OptionalPath, Probability
from stream.events import EventSettings
from stream.types import Severity

ENTER = {"product": 0.5, "ood": 0.75, "prompt": 0.75}
"""One normal sample in a hundred has a score of 0.71 by what is normal, and no more than that by the texts; where both
decide, the product of the two is 0.5."""
EXIT = 0.7
"""Of `enter`."""


class Anomaly(SourcedPlace):
    """What is unlike the normal, and like one of the texts, and where and when that counts (docs/anomaly.md)."""

    enabled: Flag = False
    encoder: Literal["points", "graph"] = "graph"
    prompts: tuple[Description, ...] = Field(
        (
            "a person punches or slaps another person",
            "a person kicks another person",
            "a person pushes another person",
            "a person falls to the floor",
        ),
        min_length=1,
        max_length=64,
    )
    normal: OptionalPath = ""
    score: ScoreName = "product"
    enter: Probability | None = None
    exit: Probability | None = None
    severity: Severity = Severity.ALERT
    scope: tuple[Literal["person", "scene"], ...] = Field(("person",), min_length=1, max_length=2)

    @model_validator(mode="after")
    def _consistent(self) -> Anomaly:
        if self.exit is not None and self.exit > self._enter():
            raise ValueError(f"exit ({self.exit}) is above enter ({self._enter()}); expected exit <= enter")
        if len(set(self.prompts)) < len(self.prompts):
            raise ValueError("two prompts are the same; expected different ones")
        if "scene" in self.scope and (self.zone is not None or self.outside is not None):
            raise ValueError('a scene is in no zone; expected scope = ["person"], or neither zone nor outside')
        return self

    def _enter(self) -> float:
        return ENTER[self.score] if self.enter is None else self.enter

    def settings(self, events: EventSettings) -> AnomalySettings:
        """What becomes an event, where these are the general settings of events."""
        enter = self._enter()
        leave = EXIT * enter if self.exit is None else self.exit
        return AnomalySettings(
            score=self.score,
            persons="person" in self.scope,
            scene="scene" in self.scope,
            sources=frozenset(self.sources),
            severity=self.severity,
            events=replace(events, enter=enter, exit=leave, margin=0.0),
        )
