"""The configuration: what may stand in it, and its defaults; `stream.config_file` reads it.

`config.toml` at the top of the project is these defaults with comments; a test holds the two together.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from stream.anomaly import NAME as ANOMALY
from stream.config_anomaly import Anomaly
from stream.config_rules import Place, RuleEntry, ScheduleEntry, ZoneEntry, lasting_faults, name_faults
from stream.config_sinks import SinkEntry
from stream.config_sources import FileSource, SourceEntry, VideoSource
from stream.config_types import (
    Description,
    FilePath,
    Flag,
    Integer,
    LongSeconds,
    Margin,
    Name,
    Number,
    OptionalPath,
    Probability,
    Seconds,
    Section,
    repeated,
    topic_name,
)
from stream.endpoints import check_bind
from stream.errors import PosewireError
from stream.events import EventSettings, Overrides
from stream.permits import Limits
from stream.pipeline import PipelineSettings
from stream.prompts import Prompt
from stream.rulebook import Rulebook
from stream.topics import slug
from stream.tracker import TrackerSettings
from stream.types import Severity, Space
from stream.window import WindowSettings


def _disorder(enter: float | None, exit: float | None) -> list[str]:
    if enter is not None and exit is not None and exit > enter:
        return [f"exit ({exit}) is above enter ({enter}); expected exit <= enter"]
    return []


class Node(Section):
    """This daemon; an empty `state` is the folder posewire/NAME of $XDG_STATE_HOME, or of ~/.local/state."""

    name: Name = "posewire"
    state: OptionalPath = ""


class Model(Section):
    """The encoder; `path` is a checkpoint folder, "default" the one that ships."""

    path: FilePath = "default"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"
    threads: Integer = Field(1, ge=1, le=256)
    max_batch: Integer = Field(32, ge=1, le=4096)


class Windows(Section):
    """How the last 50 frames of a person become windows (see `stream.window.WindowSettings`)."""

    stride: Integer = Field(8, ge=1, le=50)
    min_coverage: Probability = 0.4
    gap_s: Annotated[Number, Field(gt=0, le=60)] = 1.0


class Tracking(Section):
    """Who is who from frame to frame (see `stream.tracker.TrackerSettings`)."""

    gate_m: Annotated[Number, Field(gt=0, le=10)] = 0.5
    speed_m_s: Annotated[Number, Field(ge=0, le=20)] = 3.0
    id_bonus_m: Annotated[Number, Field(ge=0, le=10)] = 0.3
    max_lost_s: Annotated[Number, Field(gt=0, le=60)] = 1.5


class Events(Section):
    """When events start and end (see `stream.events.EventSettings`); no `enter` or `exit` takes the model's."""

    enter: Probability | None = None
    exit: Probability | None = None
    margin: Margin = 0.0
    needed: Integer = Field(2, ge=1, le=50)
    of: Integer = Field(3, ge=1, le=50)
    min_s: Seconds = 0.0
    max_s: LongSeconds = 600.0
    hold_s: Seconds = 0.6
    update_s: Seconds = 1.0
    cooldown_s: Seconds = 1.0
    grace_s: Annotated[Number, Field(ge=0, le=60)] = 0.5
    handover_s: Annotated[Number, Field(ge=0, le=60)] = 3.0
    handover_m: Annotated[Number, Field(ge=0, le=10)] = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Events:
        wrong = _disorder(self.enter, self.exit)
        if self.needed > self.of:
            wrong.append(f"needed ({self.needed}) is above of ({self.of}); expected needed <= of")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class Background(Section):
    """What the prompts compete with and nobody is told of."""

    texts: tuple[Description, ...] = ("a person stands still", "a person walks", "a person does something else")
    bank: Flag = True


class ExamplesSection(Section):
    """Where `posewire teach` keeps actions known by examples; an empty path is nowhere."""

    path: OptionalPath = "examples"


class Regressions(ExamplesSection):
    """Where `posewire report-false` files the joints of false alarms; an empty path is nowhere, and none are kept."""

    path: OptionalPath = "regressions"


class Prototypes(ExamplesSection):
    """Online prototypes (see `models.prototypes`), and the file that they are kept in; an empty path is memory only."""

    enabled: Flag = False
    path: OptionalPath = ""


class PromptEntry(Place):
    """One `[[prompts]]` block."""

    text: Description
    name: str = ""
    severity: Severity = Severity.INFO
    enter: Probability | None = None
    exit: Probability | None = None
    also: tuple[Description, ...] = ()
    margin: Margin | None = None
    min_s: Seconds | None = None
    max_s: LongSeconds | None = None
    hold_s: Seconds | None = None
    cooldown_s: Seconds | None = None

    @model_validator(mode="after")
    def _complete(self) -> PromptEntry:
        name = topic_name(self.name) if self.name else slug(self.text)
        object.__setattr__(self, "name", name)
        if wrong := _disorder(self.enter, self.exit):
            raise ValueError(wrong[0])
        return self

    def prompt(self) -> Prompt:
        """The prompt that this block describes."""
        own = Overrides(self.margin, self.min_s, self.max_s, self.hold_s, self.cooldown_s)
        return Prompt(self.name, self.text, self.severity, self.enter, self.exit, self.also, own)


class Capture(Section):
    """When a camera counts as lost (see `stream.sources.reconnecting`).

    Attributes:
        stall_s: no new image for this long.
        frozen_s: the very same image for this long makes it be opened again and told of; it does not count as lost.
        fault_after_s: lost for this long is a fault, told of as an event until it is back.
    """

    stall_s: Annotated[Number, Field(ge=0.5, le=600)] = 5.0
    frozen_s: Annotated[Number, Field(ge=1, le=3600)] = 10.0
    fault_after_s: Annotated[Number, Field(ge=0, le=86_400)] = 30.0


class Publish(Section):
    """Where messages go; an empty `skeletons` publishes neither skeletons nor scores.

    With `control` whoever reaches the query socket may change the prompts.
    """

    events: str = "tcp://127.0.0.1:5556"
    query: str = "tcp://127.0.0.1:5558"
    skeletons: str = ""
    control: Flag = True
    heartbeat_s: Annotated[Number, Field(ge=0.1, le=60)] = 1.0

    @field_validator("events", "query", "skeletons")
    @classmethod
    def _address(cls, endpoint: str, info: ValidationInfo) -> str:
        if endpoint:
            try:
                check_bind(endpoint, secured=(info.context or {}).get("curve") is True)
            except PosewireError as error:
                raise ValueError(str(error)) from error
        return endpoint

    @model_validator(mode="after")
    def _distinct(self) -> Publish:
        used = [endpoint for endpoint in (self.events, self.query, self.skeletons) if endpoint]
        if not self.events or not self.query:
            raise ValueError("events and query need an address, such as tcp://127.0.0.1:5556")
        if len(set(used)) < len(used):
            raise ValueError("events, query and skeletons must be different addresses")
        return self


class JournalSection(Section):
    """How much is kept of what was published, of each kind (see `stream.journal_store`)."""

    keep_events: Integer = Field(50_000, ge=100, le=10_000_000)
    keep_days: Annotated[Number, Field(gt=0, le=3650)] = 30.0


class Security(Section):
    """Encryption and keys of the public sockets (see `stream.security`).

    Attributes:
        curve: only who has a key gets in.
        keys: folder of the daemon's keys; empty: `keys` in its state folder.
        key: file with the key of posewire's own commands, as clients.
        server_key: file with the daemon's public key, for them; empty: the one in `keys`.
    """

    curve: Flag = False
    keys: OptionalPath = ""
    key: OptionalPath = ""
    server_key: OptionalPath = ""


DEFAULT_PROMPTS = (
    PromptEntry(
        text="a person falls to the floor",
        name="fall",
        severity=Severity.CRITICAL,
        also=("a person collapses", "a person trips and falls down"),
    ),
    PromptEntry(text="a person punches", name="punch", severity=Severity.ALERT),
    PromptEntry(text="a person kicks", name="kick", severity=Severity.ALERT),
    PromptEntry(text="a person waves a hand", name="wave"),
    PromptEntry(text="a person claps", name="clap"),
)


BLOCKS: dict[str, type[Section]] = {
    "prompts": PromptEntry,
    "zones": ZoneEntry,
    "schedules": ScheduleEntry,
    "rules": RuleEntry,
}
"""Sections of which there may be any number of blocks, all of one kind."""


def _space(source: SourceEntry) -> Space | None:
    """In which coordinates a source's joints will be; None of a recording, which knows itself."""
    if isinstance(source, FileSource):
        return None
    return Space.IMAGE2D if isinstance(source, VideoSource) and source.joints == "2d" else Space.CAMERA3D


class Config(Section):
    """The whole file."""

    node: Node = Node()
    model: Model = Model()
    windows: Windows = Windows()
    tracking: Tracking = Tracking()
    events: Events = Events()
    background: Background = Background()
    examples: ExamplesSection = ExamplesSection()
    prototypes: Prototypes = Prototypes()
    anomaly: Anomaly = Anomaly()
    regressions: Regressions = Regressions()
    prompts: tuple[PromptEntry, ...] = DEFAULT_PROMPTS
    zones: tuple[ZoneEntry, ...] = ()
    schedules: tuple[ScheduleEntry, ...] = ()
    rules: tuple[RuleEntry, ...] = ()
    capture: Capture = Capture()
    sources: tuple[SourceEntry, ...] = ()
    publish: Publish = Publish()
    journal: JournalSection = JournalSection()
    security: Security = Security()
    sinks: tuple[SinkEntry, ...] = ()

    @field_validator("prompts")
    @classmethod
    def _distinct_prompts(cls, prompts: tuple[PromptEntry, ...]) -> tuple[PromptEntry, ...]:
        if not prompts:
            raise ValueError("there is no prompt; expected at least one [[prompts]] block with a text")
        for what in ("name", "text"):
            if twice := repeated(getattr(prompt, what) for prompt in prompts):
                raise ValueError(f"two prompts have the {what} {twice[0][:80]!r}; expected different ones")
        return prompts

    @field_validator("rules")
    @classmethod
    def _distinct_rules(cls, rules: tuple[RuleEntry, ...]) -> tuple[RuleEntry, ...]:
        if twice := repeated(rule.name for rule in rules):
            raise ValueError(f"two rules have the name {twice[0]!r}; expected different ones")
        return rules

    @field_validator("sources")
    @classmethod
    def _distinct_sources(cls, sources: tuple[SourceEntry, ...]) -> tuple[SourceEntry, ...]:
        if twice := repeated(source.name for source in sources):
            raise ValueError(f"two sources have the name {twice[0]!r}; expected different ones")
        return sources

    @field_validator("sinks")
    @classmethod
    def _distinct_sinks(cls, sinks: tuple[SinkEntry, ...]) -> tuple[SinkEntry, ...]:
        if twice := repeated(sink.name for sink in sinks):
            raise ValueError(f"two sinks have the name {twice[0]!r}; expected different ones")
        return sinks

    def faults(self) -> list[str]:
        """One line for each block that does not go with the others, after its key."""
        sources = self.spaces()
        names = [prompt.name for prompt in self.prompts]
        longest = {one.name: self.events.max_s if one.max_s is None else one.max_s for one in self.prompts}
        sections = {ANOMALY: self.anomaly}
        if self.anomaly.enabled:
            names.append(ANOMALY)
            longest[ANOMALY] = self.events.max_s
        return [
            *name_faults(self.prompts, self.zones, self.schedules, self.rules, names, sources, sections),
            *lasting_faults(self.rules, longest),
        ]

    def spaces(self) -> dict[str, Space | None]:
        """In which coordinates each source's joints will be, by its name; None where it is not known."""
        return {source.name: _space(source) for source in self.sources}

    def rulebook(self) -> Rulebook:
        """Where, when and on what conditions things are told."""
        limits = {ANOMALY: self.anomaly.limits()} | {prompt.name: prompt.limits() for prompt in self.prompts}
        return Rulebook(
            zones=tuple(zone.zone() for zone in self.zones),
            schedules=tuple(schedule.schedule() for schedule in self.schedules),
            limits={name: one for name, one in limits.items() if one != Limits()},
            conditions=tuple(rule.condition() for rule in self.rules),
            silence_s=self.capture.stall_s,
        )

    def pipeline(self, *, frames: int, rate_hz: float, enter: float, exit: float) -> PipelineSettings:
        """Settings of the pipeline for a model of this window that suggests these thresholds."""
        own = self.events
        enter = enter if own.enter is None else own.enter
        exit = min(enter, exit if own.exit is None else own.exit)
        return PipelineSettings(
            window=WindowSettings(frames=frames, rate_hz=rate_hz, stride=self.windows.stride, gap_s=self.windows.gap_s),
            tracker=TrackerSettings(**self.tracking.model_dump()),
            events=EventSettings(**own.model_dump(exclude={"enter", "exit"}), enter=enter, exit=exit),
            min_coverage=self.windows.min_coverage,
            max_batch=self.model.max_batch,
            rulebook=self.rulebook(),
        )
