"""The embedder process: vectors of texts that nobody embedded before, put into the cache that the worker reads.

It is a process of its own since a text model takes seconds to load, in which a worker would look at no frame. It starts
when it is first needed, stays for some minutes for the next text, and then gives its memory back.
"""

from __future__ import annotations

import os
import time

import numpy as np

from models.errors import ModelError
from models.text import TextCache, TextEmbedder
from stream.daemon.child import BEAT_S, Child
from stream.daemon.jobs import EmbedTexts
from stream.stored import cache_folder

IDLE_S = 600.0
"""Seconds without a text after which it ends."""
NICE = 5
"""How far it stands back behind those who have frames waiting."""


def main(child: Child) -> int:
    """Embed what is asked for until there was nothing for long, or the child is stopped."""
    if hasattr(os, "nice"):
        os.nice(NICE)
    import torch

    torch.set_num_threads(1)
    known: dict[str, TextEmbedder] = {}
    child.tell("ready")
    until = time.monotonic() + IDLE_S
    while not child.stopping and time.monotonic() < until:
        child.beat()
        for job in child.take_jobs():
            if isinstance(job, EmbedTexts):
                child.tell("embedded", token=job.token, error=_embed(job, known))
                until = time.monotonic() + IDLE_S
        child.wait(BEAT_S)
    return 0


def _embed(job: EmbedTexts, known: dict[str, TextEmbedder]) -> str:
    """Embed texts into the cache; returns why they could not be, if so."""
    cache = TextCache(cache_folder() / "text", job.model, job.dim)
    try:
        if job.model not in known:
            known[job.model] = TextEmbedder(job.model)
        vectors = known[job.model].embed(job.texts)
        if vectors.shape != (len(job.texts), job.dim) or not np.isfinite(vectors).all():
            return f"text model {job.model!r} gives no vectors of {job.dim} numbers; this model was trained on them"
        for text, vector in zip(job.texts, vectors, strict=True):
            cache.put(text, vector)
    except ModelError as error:
        return str(error)
    except OSError as error:
        return f"{cache_folder() / 'text'}: cannot be written ({error.strerror}); expected a place for vectors of texts"
    return ""
