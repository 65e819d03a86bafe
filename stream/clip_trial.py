"""Filed false alarms, tried again: does the whole pipeline raise an event of the same name on the same joints?"""

from __future__ import annotations

from collections.abc import Iterator

from stream.anomaly import NAME as ANOMALY
from stream.pipeline import Output, Pipeline
from stream.regression_clips import FiledClip
from stream.rulebook import Condition
from stream.types import NANOSECONDS, Event, Phase

OVER_S = 0.5
"""A clip that goes on for so long after its event's end shows that it was over: others were cut off."""


def of_prompt(clip: FiledClip, pipeline: Pipeline) -> bool:
    """Whether it is of a prompt that is watched for: those, and no others, thresholds can be calibrated by."""
    return clip.clip.kind == "action" and clip.clip.name in {prompt.name for prompt in pipeline.prompts.prompts}


def obstacle(clip: FiledClip, pipeline: Pipeline) -> str | None:
    """Why a clip cannot be tried, in a few words; None if it can.

    Raises:
        SourceError: its recording is broken.
    """
    if clip.clip.kind == "anomaly":
        return None if pipeline.watch is not None else f"[{ANOMALY}] is not enabled"
    if of_prompt(clip, pipeline):
        return None
    for condition in pipeline.settings.rulebook.conditions:
        if condition.name == clip.clip.name:
            return _too_short(clip, condition, pipeline)
    return "of no prompt or rule that is configured"


def raises(clip: FiledClip, pipeline: Pipeline) -> bool:
    """Replay a clip; whether an event of its name starts.

    Raises:
        SourceError: its recording is broken.
    """
    return any(
        isinstance(output, Event) and output.phase is Phase.START and output.name == clip.clip.name
        for outputs in _outputs(clip, pipeline)
        for output in outputs
    )


def _outputs(clip: FiledClip, pipeline: Pipeline) -> Iterator[list[Output]]:
    names: set[str] = set()
    try:
        with clip.open() as source:
            for frame in source:
                names.add(frame.source)
                yield pipeline.push([frame])
    finally:
        for name in names:
            pipeline.end_source(name)


def _too_short(clip: FiledClip, condition: Condition, pipeline: Pipeline) -> str | None:
    """That a rule waits for longer than the clip could show it holding, unless the clip shows that it was over."""
    with clip.open() as source:
        times = [frame.t / NANOSECONDS for frame in source]
    note, first, last = clip.clip, times[0], times[-1]
    if first <= note.t_start and note.t_end is not None and last - note.t_end >= OVER_S:
        return None
    needed, held = condition.for_s, last - max(first, note.t_start)
    if first > note.t_start and (condition.needs.prompt or condition.needs.after):
        window = pipeline.settings.window
        needed += window.frames / window.rate_hz  # until the prompt can be judged at all
    return None if held >= needed - 1e-6 else f"needs {needed:g} s, holds {held:.1f} s"
