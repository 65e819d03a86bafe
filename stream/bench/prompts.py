"""What prompts cost: scoring features against more and more of them, and all that the pipeline does with each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from models.checkpoint import load
from stream.bench.clock import per_call
from stream.bench.contenders import SERVED
from stream.bench.figures import Result, fit
from stream.bench.footage import FPS, footage
from stream.bench.network import SHIPPED, people, stepper
from stream.bench.plan import Plan
from stream.pipeline import Pipeline
from stream.prompts import Prompt, PromptSet
from stream.types import NANOSECONDS, Float32Array

if TYPE_CHECKING:
    from models.recogniser import Recogniser

NUMBERS = (10, 100, 300, 1000)
BATCH = 32
FOOTAGE_S = 20


def bench_prompts(plan: Plan) -> Result:
    """Measure scores of 10 to 1,000 prompts beside the encoder that they come after, on one thread."""
    result = Result()
    recogniser = load(SHIPPED, "cpu")
    x, mask = people(BATCH, recogniser.frames)
    encoding = per_call(lambda: recogniser.encode(x, mask), plan.seconds, plan.runs)
    features = recogniser.encode(x, mask)
    stepping = per_call(stepper(BATCH, SERVED), plan.seconds, plan.runs)
    result.add("encoder, a window of a batch of 32", "µs", [1e6 * each / BATCH for each in encoding])
    result.add("encoder, stepped to the next decision, of 32", "µs", [1e6 * each / BATCH for each in stepping])
    scored, passed = [], []
    for number in NUMBERS:
        prompts = made_up_prompts(number, recogniser)
        took = per_call(lambda prompts=prompts: prompts.score(features), plan.seconds, plan.runs)  # type: ignore[misc]
        result.add(f"{number} prompts, scores of a window", "µs", [1e6 * each / BATCH for each in took])
        scored.append((number, 1e6 * median(took) / BATCH))
        if number == NUMBERS[-1]:
            share = [100 * a / b for a, b in zip(took, encoding, strict=True)]
            result.add(f"{number} prompts, share of the encoder by windows", "%", share)
            share = [100 * a / b for a, b in zip(took, stepping, strict=True)]
            result.add(f"{number} prompts, share of the encoder by steps", "%", share)
        took = per_call(_pipeline(prompts, recogniser), plan.seconds, plan.runs)
        passed.append((number, 1e6 * median(took)))
        result.add(f"{number} prompts, all of the pipeline, a second of a person", "µs", [1e6 * each for each in took])
    result.lines["scores of a window"] = fit("prompts", "µs a window", scored)
    result.lines["all of the pipeline, events included"] = fit("prompts", "µs a second of a person", passed)
    return result


def made_up_prompts(number: int, recogniser: Recogniser) -> PromptSet:
    """So many prompts, whose texts have made-up vectors: no text model is needed, and none would change the cost."""
    prompts = [Prompt(f"p{k}", f"made-up action {k}") for k in range(number)]

    def vector(text: str) -> Float32Array:
        if text in recogniser.text:
            return recogniser.text[text]
        seed = int.from_bytes(sha256(text.encode()).digest()[:8], "big")
        made = np.random.default_rng(seed).normal(size=recogniser.text_dim).astype(np.float32)
        return made / np.float32(np.linalg.norm(made))

    def vectors(texts: Sequence[str]) -> Float32Array:
        return np.stack([vector(text) for text in texts])

    bank = [action.texts for action in recogniser.bank]
    return PromptSet(
        prompts, recogniser.background, bank, vectors, head=recogniser.head, model_digest=recogniser.digest
    )


def _pipeline(prompts: PromptSet, recogniser: Recogniser) -> Callable[[], object]:
    """A call that pushes the next second of one person through a pipeline."""
    pipeline = Pipeline(recogniser, prompts, embedding=recogniser.embedding, states=recogniser.track_states(SERVED))
    frames = list(footage(1, FOOTAGE_S))
    seconds = count()

    def push() -> None:
        second = next(seconds)
        first = second % FOOTAGE_S * FPS
        late = (second - second % FOOTAGE_S) * NANOSECONDS
        pipeline.push([replace(frame, t=frame.t + late) for frame in frames[first : first + FPS]])

    return push
