"""A prompt of a raised hand, and features that are as like it as the hand is high; they need no model."""

from __future__ import annotations

import numpy as np
from cosine_head import cosine_head

from stream.prompts import Prompt, PromptSet


def hand_prompts() -> PromptSet:
    """The prompt "raise", beside people who stand; 1st axis "raised", 2nd "lowered"."""
    vectors = {"raises a hand": [1.0, 0.0], "stands": [0.0, 1.0]}
    return PromptSet(
        [Prompt("raise", "raises a hand")],
        ["stands"],
        [],
        lambda texts: np.array([vectors[text] for text in texts], np.float32),
        head=cosine_head(0.1),
        model_digest="m",
    )


def hand_features(height: np.ndarray) -> np.ndarray:
    """Features (..., 2) by how high the right hand is above the spine base, in metres (...)."""
    angle = np.pi / 4 * (1 - np.tanh(4 * height))
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
