"""What a prompt would have raised is what it does raise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_model import TEXTS, make_model, record

from models.recogniser import Recogniser
from stream.config import Config
from stream.config_file import parse_config
from stream.history import History
from stream.pipeline import Pipeline
from stream.service import make_prompts, pipeline_settings
from stream.sources.base import EndOfSource
from stream.sources.files import open_source
from stream.trial import Trial
from stream.types import EndReason, Event, Phase, Scores, SkeletonFrame


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[SkeletonFrame]:
    path = record(
        tmp_path_factory.mktemp("clip") / "scene.pwr", ("stand", 4.0), ("wave", 4.0), ("squat", 4.0), ("wave", 4.0)
    )
    found = []
    with open_source(path, "scene") as source:
        try:
            while True:
                found.append(source.read(timeout=1.0))
        except EndOfSource:
            return found


def config(*names: str, enter: float) -> Config:
    own = {"jump": TEXTS[0], "kick": TEXTS[1]}
    block = {"enter": enter, "exit": enter, "margin": -2.0, "hold_s": 0.3, "cooldown_s": 0.5}
    prompts = [{"text": own[name], "name": name, **block} for name in names]
    return parse_config({"prompts": prompts, "background": {"bank": False}}, Path("x.toml"))


def seen(recogniser: Recogniser, settings: Config, frames: list[SkeletonFrame], history: History | None) -> list[Event]:
    pipeline = Pipeline(recogniser, make_prompts(settings, recogniser), pipeline_settings(settings, recogniser))
    pipeline.history = history
    outputs = [output for frame in frames for output in pipeline.push([frame])]
    outputs += pipeline.end_source("scene", EndReason.SOURCE_END)
    return [output for output in outputs if isinstance(output, Event)]


def spans(events: list[Event]) -> list[tuple[float, float, float]]:
    ended = [event for event in events if event.phase is Phase.END and event.name == "jump"]
    return sorted((event.t_start / 1e9, (event.t_end or 0) / 1e9, round(event.peak, 6)) for event in ended)


def probabilities(recogniser: Recogniser, frames: list[SkeletonFrame]) -> list[float]:
    settings = config("jump", "kick", enter=0.5)
    pipeline = Pipeline(recogniser, make_prompts(settings, recogniser), pipeline_settings(settings, recogniser))
    scores = [output for output in pipeline.push(frames) if isinstance(output, Scores)]
    return sorted(float(score.probability[0]) for score in scores)


@pytest.mark.parametrize("steps", [1, 7, 100_000])
def test_a_trial_raises_the_events_that_the_prompt_raises(
    recogniser: Recogniser, frames: list[SkeletonFrame], steps: int
) -> None:
    told = probabilities(recogniser, frames)
    enter = round(told[len(told) // 2], 4)  # half of the windows are above
    history = History()
    seen(recogniser, config("kick", enter=enter), frames, history)
    tried = config("kick", "jump", enter=enter)
    trial = Trial(history, make_prompts(tried, recogniser), "jump", pipeline_settings(tried, recogniser))
    while trial.advance(steps):
        continue
    real = seen(recogniser, tried, frames, None)
    result = trial.result
    assert result.total == len(result.events) >= 2
    raised = sorted((one.t_start, one.t_end, one.peak) for one in result.events.values())
    np.testing.assert_allclose(raised, spans(real), atol=1e-5)
    assert result.sources["scene"].windows == len(told)
    assert result.sources["scene"].seconds == pytest.approx(16.0, abs=0.1)
    assert result.best is not None
    assert result.best.probability == pytest.approx(told[-1], abs=1e-5)


def test_a_trial_of_nothing_finds_nothing(recogniser: Recogniser) -> None:
    tried = config("jump", enter=0.5)
    trial = Trial(History(), make_prompts(tried, recogniser), "jump", pipeline_settings(tried, recogniser))
    assert not trial.advance(10)
    assert (trial.result.total, trial.result.best, trial.result.sources) == (0, None, {})
