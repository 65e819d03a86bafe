"""Replies to requests on prompts (see `stream.query`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from stream.structs import Cosine, Count, Id, Label, Name, Seconds, Share, Text, Track

MAX_TRIED = 200
"""Events of a trial that its reply lists."""


class PromptBlock(Struct, frozen=True):
    """A prompt with a text as the configuration has it."""

    name: Name
    origin: Annotated[Literal["file", "changed", "added"], Meta(description="by whom: the file, or requests")]
    block: Annotated[dict[str, Any], Meta(description="its keys, but for those that have their defaults")]


class PromptsReply(Struct, frozen=True):
    """Reply to prompt_list, prompt_add, prompt_set, prompt_remove, prompt_reset and reload: how it is now."""

    v: Literal[1]
    type: Literal["prompts"]
    id: Id
    node: Name
    epoch: Name
    prompts: list[PromptBlock]
    removed: Annotated[list[Name], Meta(description="prompts of the file that requests took away")]
    prompts_digest: Annotated[str, Meta(max_length=64, description="as in score messages; empty: not known yet")]
    note: Annotated[Text, Meta(description="one line for a person: what to beware of; may be empty")]


class TriedEvent(Struct, frozen=True):
    """An event that a prompt would have raised."""

    source: Name
    track: Track
    t_start: Annotated[Seconds, Meta(description="capture time at which it would have begun, s")]
    t_end: Annotated[Seconds | None, Meta(description="and at which it would have ended; null: it would go on")]
    peak: Annotated[Share, Meta(description="highest probability")]


class Best(Struct, frozen=True):
    """The window in which a prompt would have been surest."""

    source: Name
    track: Track
    t: Seconds
    probability: Share


class TriedSource(Struct, frozen=True):
    """What a trial had of one source."""

    windows: Annotated[Count, Meta(description="windows that were scored")]
    seconds: Annotated[float, Meta(ge=0.0, le=1e6, description="from its first moment in memory to its last")]


class TrialReply(Struct, frozen=True):
    """Reply to prompt_test: what a prompt would have raised in the last minutes."""

    v: Literal[1]
    type: Literal["trial"]
    id: Id
    node: Name
    epoch: Name
    name: Annotated[Name, Meta(description="that the prompt would have")]
    familiarity: Annotated[Cosine, Meta(description="cosine of its text with the known action nearest in meaning")]
    note: Annotated[Text, Meta(description="one line for a person: what to beware of; may be empty")]
    sources: Annotated[dict[Name, TriedSource], Meta(description="what is in memory")]
    forgotten: Annotated[Count, Meta(description="windows that memory had no room for, younger than it reaches")]
    events: Annotated[list[TriedEvent], Meta(max_length=MAX_TRIED, description="the first ones")]
    events_total: Count
    suppressed: Annotated[dict[Label, Count], Meta(description="starts that would have been withheld, by reason")]
    best: Annotated[Best | None, Meta(description="null: nothing was scored")]
