"""The text half of a CLIP model in a plain folder of transformers.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (ICML 2021): the state
of the last token, projected to the space of images. The image half is not loaded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
KINDS = ("clip", "clip_text_model")
"""Model types of transformers, as a folder's config.json has them: both halves, and the text half alone."""
AT_ONCE = 64
"""Texts that are embedded at once."""


def is_clip(folder: Path) -> bool:
    """Whether transformers wrote a CLIP model to a folder; False for one in the form of sentence-transformers."""
    if (folder / "modules.json").is_file():
        return False
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") in KINDS


class ClipTexts:
    """CLIP's text encoder, on the CPU.

    Args:
        folder: config.json, weights and tokenizer, as `save_pretrained` of model and tokenizer (or processor) write.

    Raises:
        OSError, ValueError, RuntimeError: it cannot be loaded, or lacks weights.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoConfig, AutoTokenizer, CLIPTextModelWithProjection

        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        text = getattr(config, "text_config", config)
        # That of both halves counts; the text half's own is a default where nobody set it.
        text.projection_dim = config.projection_dim
        loaded: Any = CLIPTextModelWithProjection.from_pretrained(
            folder, config=text, local_files_only=True, output_loading_info=True
        )
        model, report = loaded
        if report["missing_keys"]:  # they would be random, and the report a warning only
            raise ValueError(f"no weights of {min(report['missing_keys'])}")
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._longest = text.max_position_embeddings

    def __call__(self, texts: Sequence[str]) -> Float32Array:
        """K texts to unit vectors (K, D) float32; what is beyond CLIP's 77 tokens is cut off."""
        import torch
        from torch.nn import functional

        made = [np.zeros((0, self._model.config.projection_dim), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(texts), AT_ONCE):
                tokens = self._tokenizer(
                    list(texts[start : start + AT_ONCE]),
                    padding=True,
                    truncation=True,
                    max_length=self._longest,
                    return_tensors="pt",
                )
                found = self._model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
                made.append(functional.normalize(found.text_embeds.float(), dim=1).numpy())
        return np.concatenate(made)
