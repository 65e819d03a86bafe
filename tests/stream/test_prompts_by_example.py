"""Actions known by examples beside prompts with texts: columns, scores, and their exchange while it runs."""

from __future__ import annotations

import numpy as np
import pytest
from cosine_head import cosine_head
from poses import STANDING, frame, person

from models.examples import Examples
from models.heads import BankHead, Trust
from models.prototypes import OnlinePrototypes
from stream.events import EventEngine, EventSettings
from stream.pipeline import Pipeline
from stream.prompts import ExampleSet, Prompt, PromptSet, prompt_infos
from stream.types import NANOSECONDS, EndReason, Event, Example, Phase, Scores, Severity, Tracked

TEXTS = {"falls": 0, "waves": 1, "stands": 2}
NONE = np.zeros((0, 4), np.float32)


def axis(number: int) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[[number]]


def texts(*names: str) -> PromptSet:
    return PromptSet(
        [Prompt(name, name) for name in names],
        ["stands"],
        [],
        lambda texts: np.concatenate([axis(TEXTS[text]) for text in texts]),
        head=cosine_head(0.1),
        model_digest="e" * 64,
    )


def action(name: str, number: int, severity: str = "info") -> Examples:
    return Examples(name, f"does {name}", severity, "e" * 64, axis(number))


def examples(*actions: Examples, references: np.ndarray = NONE) -> ExampleSet:
    return ExampleSet(actions, lambda features: features, references)


def test_an_action_known_by_examples_is_a_prompt_after_the_others() -> None:
    prompts = texts("falls").with_examples(examples(action("wave", 1, "critical")))
    assert prompts.prompts[1] == Prompt("wave", "does wave", Severity.CRITICAL)
    assert [info.name for info in prompt_infos(prompts.prompts)] == ["falls", "wave"]
    assert prompts.familiarity[1] == 1.0
    similarity, probability, margin = prompts.score(np.concatenate([axis(0), axis(1)]))
    assert similarity.shape == probability.shape == margin.shape == (2, 2)
    np.testing.assert_allclose(similarity, [[0.5, 0], [0, 1]], atol=1e-6)  # a squashed score; a cosine
    assert probability[0, 0] > 0.9 > 0.1 > probability[0, 1]
    assert probability[1, 1] > 0.9
    told = texts("falls").score(np.concatenate([axis(0), axis(1)]))
    for one, other in zip((similarity, probability, margin), told, strict=True):
        np.testing.assert_array_equal(one[:, :1], other)


def test_a_prompt_of_the_same_name_gets_the_examples_too() -> None:
    plain = texts("falls", "waves")
    both = plain.with_examples(examples(action("falls", 3, "critical")))
    assert both.prompts == plain.prompts
    assert both.familiarity == (1.0, plain.familiarity[1])
    windows = np.concatenate([axis(0), axis(3), axis(1)])
    assert (both.score(windows)[1][:2, 0] > 0.9).all()
    assert both.score(windows)[1][2, 0] < 0.1
    np.testing.assert_array_equal(both.score(windows)[1][:, 1], plain.score(windows)[1][:, 1])


def test_no_examples_are_the_prompts_as_they_were() -> None:
    plain = texts("falls")
    for same in (
        plain.with_examples(examples()),
        plain.with_examples(examples(action("x", 1))).with_examples(examples()),
    ):
        assert (same.prompts, same.digest, same.familiarity) == (plain.prompts, plain.digest, plain.familiarity)
        for one, other in zip(same.score(axis(0)), plain.score(axis(0)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_digest_changes_whenever_a_score_could() -> None:
    base = examples(action("x", 1))
    others = [
        examples(), examples(action("y", 1)), examples(action("x", 2)), examples(action("x", 1, "critical")),
        examples(action("x", 1), references=axis(2)), examples(action("x", 1), action("y", 2)),
    ]  # fmt: skip
    assert len({texts("falls").with_examples(one).digest for one in (base, *others)}) == 7
    again = texts("falls").with_examples(examples(action("x", 1)))
    assert again.digest == texts("falls").with_examples(base).digest


def scores(t: int, *probability: float) -> Scores:
    array = np.array(probability, np.float32)
    return Scores("cam", 1, t, array, array, array, None, 1.0, "d")


def test_an_exchange_keeps_events_of_prompts_that_stay_and_ends_the_others() -> None:
    a, b, c = (Prompt(name, name) for name in "abc")
    engine = EventEngine([a, b], EventSettings(needed=1, of=1, hold_s=0.0, update_s=0.0))
    started = engine.push(scores(NANOSECONDS, 0.9, 0.8))
    assert [event.name for event in started] == ["a", "b"]
    assert [event.name for event in engine.open_events("cam", 1)] == ["a", "b"]
    (ended,) = engine.exchange([c, b])
    assert (ended.id, ended.phase, ended.reason) == (started[0].id, Phase.END, EndReason.PROMPT_REMOVED)
    assert ended.t_end == NANOSECONDS
    more = engine.push(scores(2 * NANOSECONDS, 0.9, 0.85))
    assert [(event.name, event.phase) for event in more] == [("c", Phase.START), ("b", Phase.UPDATE)]
    assert more[1].id == started[1].id
    assert more[1].peak == pytest.approx(0.85)
    # One that comes back begins anew; what stays keeps its cool-down too.
    (end,) = engine.push(scores(3 * NANOSECONDS, 0.9, 0))[1:]
    assert (end.name, end.phase) == ("b", Phase.END)
    engine.exchange([b, c, a])
    assert [event.name for event in engine.push(scores(3 * NANOSECONDS + 1, 0.9, 0.9, 0.9))] == ["c", "a"]
    assert engine.suppressed["cooldown"] == 1


def test_an_exchange_with_nobody_there() -> None:
    engine = EventEngine([Prompt("a", "a")], EventSettings())
    assert engine.exchange([Prompt("b", "b")]) == []
    assert engine.open_events("cam", 1) == []


class Hand:
    """Encodes a window by the height of the right hand at its end: k steps give the k-th axis."""

    def encode(self, x: np.ndarray, _mask: np.ndarray) -> np.ndarray:
        return np.concatenate([axis(round(float(window[1, -1, 11] - STANDING[11, 1]) / 0.3)) for window in x])


def hold(pipeline: Pipeline, start: float, seconds: float, steps: int) -> list:
    """A person who holds the hand so many steps high."""
    pose = person()
    pose[11, 1] += 0.3 * steps
    first, count = round(30 * start), round(30 * seconds)
    return [
        output for n in range(first, first + count) for output in pipeline.push([frame(n * NANOSECONDS // 30, pose)])
    ]


def events_of(outputs: list) -> list[Event]:
    return [output for output in outputs if isinstance(output, Event)]


def test_a_pipeline_exchanges_prompts_between_two_batches() -> None:
    plain = texts("falls")
    pipeline = Pipeline(Hand(), plain, embedding=lambda features: features)
    hold(pipeline, 0.0, 3.0, 0)
    assert pipeline.exchange(plain.with_examples(examples(action("wave", 2)))) == []
    assert events_of(hold(pipeline, 3.0, 1.0, 0)) != []  # updates of the event that was open before
    outputs = hold(pipeline, 4.0, 2.0, 2)
    started = [event for event in events_of(outputs) if event.phase is Phase.START]
    assert [(event.name, event.prompt) for event in started] == [("wave", "does wave")]
    example, ended = pipeline.exchange(plain)
    assert isinstance(example, Example)
    assert isinstance(ended, Event)
    assert (ended.id, ended.reason, example.event) == (started[0].id, EndReason.PROMPT_REMOVED, started[0].id)
    assert pipeline.finish() == []


def test_start_and_end_of_an_event_come_with_its_surest_window() -> None:
    prompts = texts("falls")
    pipeline = Pipeline(Hand(), prompts, embedding=lambda features: features)
    outputs = hold(pipeline, 0.0, 3.0, 0) + hold(pipeline, 3.0, 2.5, 2)
    found = [n for n, output in enumerate(outputs) if isinstance(output, Example)]
    assert len(found) == 2
    for n, phase in zip(found, (Phase.START, Phase.END), strict=True):
        example, event = outputs[n], outputs[n + 1]
        assert (event.phase, event.id, event.peak) == (phase, example.event, example.score)
        assert (example.source, example.name, example.model) == ("cam", "falls", "e" * 64)
        np.testing.assert_array_equal(example.embedding, axis(0)[0])
    assert outputs[found[1]].t < outputs[found[1] + 1].t


def test_without_embeddings_there_are_no_examples() -> None:
    outputs = hold(Pipeline(Hand(), texts("falls")), 0.0, 3.0, 0)
    assert {type(output) for output in outputs} == {Tracked, Scores, Event}


def test_prompts_that_mean_the_same_stay_probabilities_when_prototypes_share_them_out() -> None:
    trust = Trust((0.0,), (1.0,), unknown_below=0.5)
    names = ("falls", "collapses", "trips")
    head = BankHead((axis(0),), np.zeros(1, np.int64), trust, np.zeros(1, np.float32))
    prompts = PromptSet(
        [Prompt(name, name) for name in names], [], [("falls",)], lambda texts: np.repeat(axis(0), len(texts), axis=0),
        head=head, model_digest="e" * 64,
    )  # fmt: skip
    prototypes = OnlinePrototypes(3, 4)
    for name in range(24):
        prototypes.adapt(np.eye(3, dtype=np.float32)[name % 3] * 0.9, axis(name % 3)[0])
    pipeline = Pipeline(Hand(), prompts, embedding=lambda features: features, prototypes=prototypes)
    outputs = hold(pipeline, 0.0, 3.0, 0)
    highest = max(float(output.probability.max()) for output in outputs if isinstance(output, Scores))
    assert 0.9 < highest <= 1.0
    assert all(event.score <= 1.0 for event in events_of(outputs))
