"""`python -m train leave-one-out`: train without a set, judge by text alone on the set; for each set and seed."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.checkpoint import MANIFEST, load
from models.prototypes import OnlinePrototypes
from models.text import TextEmbedder
from models.whole_file import write_whole
from train.card import table
from train.datasets.labelled import Clip, read_clips
from train.datasets.labels import archive_of
from train.datasets.readers import DataMissing
from train.distil import DistilSettings
from train.distributed import Group
from train.fidelity import Prompted, by_kind, compare, student_posterior, teacher_posterior
from train.fit import PoolOptions, export_run, fill_pools, load_pools, network_of_run
from train.fit import train as train_one
from train.judging import few_shot, zero_shot
from train.judging.clips import encode
from train.judging.texts import Texts, read_texts
from train.judging.zero_shot import Aligned
from train.runs import STATE
from train.trust import measure

log = logging.getLogger(__name__)
FOLDS = ("utd_mhad", "msr_action3d", "kinder_gator", "msrc12")
"""Sets with 10 labels or more that say what is done, not in what style."""
MOST = 1500
"""Clips of a set that are judged; of more, so many are drawn."""
SCRATCH = "scratch"
"""In a run's name: trained by labels alone."""


def leave_one_out(
    options: PoolOptions,
    settings: DistilSettings,
    folder: Path,
    sets: Sequence[str] | None,
    seeds: Sequence[int],
    out: Path | None,
    *,
    resume: bool,
) -> None:
    """Train what is not there yet, judge all of it, print a table and write the figures.

    Args:
        options: of the pools.
        settings: of the training; its seed and what is left out are set here.
        folder: of the runs; what is finished in it is not trained again.
        sets: which to leave out in turn; None for `FOLDS`.
        seeds: of the runs.
        out: JSON file for the figures, or None.
        resume: continue runs that were interrupted.

    Raises:
        DataMissing: one of `sets` is not among those trained on, or there is no other.
    """
    names = sets or FOLDS
    if wrong := [name for name in names if name not in options.sets or len(options.sets) < 2]:
        found = ", ".join(options.sets)
        raise DataMissing(f"{wrong[0]}: cannot be left out; expected one of two sets or more, found {found}")
    fill_pools(options)
    pools = load_pools(options.folder)
    figures: dict[str, Any] = {}
    embedder = TextEmbedder()
    clips = {name: some(read_clips(archive_of(options.data)(name))) for name in names}
    runs = [(name, seed, True) for seed in seeds for name in names] if options.teacher else []
    runs += [(name, seeds[0], False) for name in names]  # once from scratch, by the labels of the other sets alone
    with Group() as group:
        for name, seed, taught in runs:
            run = folder / f"{name}-{seed if taught else SCRATCH}"
            teaching = settings.teaching if taught else 0.0
            one = replace(settings, seed=seed, leave=(name,), teaching=teaching)
            teacher = options.teacher if taught else None
            if not (run / MANIFEST).is_file():
                distiller = train_one(one, pools, teacher, run, group, resume=resume)
                export_run(run, distiller, pools, options.data, options.sets, "python -m train leave-one-out")
            figures.setdefault(name, {})[run.name] = judge(run, name, clips[name], options, embedder.embed)
            if out is not None:
                _write(out, figures)
    if out is not None and options.teacher:
        _write(out.with_name("trust.json"), msgspec.to_builtins(measure(figures)))
    sys.stdout.write(markdown(figures) + "\n")


def some(clips: list[Clip], most: int = MOST) -> list[Clip]:
    """At most so many of the clips, drawn at random."""
    rows = np.sort(np.random.default_rng(0).choice(len(clips), min(most, len(clips)), replace=False))
    return [clips[row] for row in rows]


def judge(run: Path, name: str, clips: list[Clip], options: PoolOptions, embed: Callable[..., Any]) -> dict[str, Any]:
    """All figures of one run on the set that it never saw."""
    done = run / "figures.json"
    if done.is_file():
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return found
    recogniser = load(run, "cpu")
    encoded = encode(clips, recogniser)
    prompted = Prompted.of(name, [clip.label for clip in clips])
    found = {}
    size = recogniser.embedding(encoded.features[:1]).shape[1]
    clear: Texts = {label: (text,) for label, text in zip(prompted.labels, prompted.phrases, strict=True)}
    for kind, asked in (("labels", read_texts(None, prompted.labels)), ("phrases", clear)):

        def fresh(prompts: int = len(asked)) -> Aligned:
            return Aligned(OnlinePrototypes(prompts, size))

        found[kind] = zero_shot.judge(encoded, recogniser, asked, embed, seeds=3, adapter=fresh)
    try:
        divisions = few_shot.divide(encoded.labels, encoded.subjects, seeds=5)
        found["few_shot"] = few_shot.judge(encoded.embeddings(recogniser), encoded.labels, divisions)
    except ValueError as error:  # too few people, or too few labels that two halves of them share
        log.warning("%s: no figures of few shots: %s", name, error)
    if options.teacher and not run.name.endswith(SCRATCH):
        network = network_of_run(run / STATE)
        posteriors = {
            "teacher": teacher_posterior(clips, options.teacher, run.parent / "teacher" / f"{name}.npz"),
            "student": student_posterior(network, clips),
            "disturbed": student_posterior(network, clips, disturbed=True),
        }
        found["fidelity"] = compare(prompted, clips, posteriors, embed)
        found["kinds"] = by_kind(prompted, clips, posteriors["teacher"], embed)
    _write(done, found)
    return found


def _write(path: Path, figures: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(figures, indent=1) + "\n").encode())


COLUMNS: dict[str, Callable[[dict[str, Any]], float]] = {
    "teacher": lambda one: one["fidelity"]["teacher"]["phrases"],
    "student, same routing": lambda one: one["fidelity"]["student"]["phrases"],
    "after another clip": lambda one: one["fidelity"]["disturbed"]["phrases"],
    "whole bank": lambda one: one["phrases"]["plain"]["top1"],
    "and prototypes": lambda one: one["phrases"]["top1"],
    "the same, bare labels": lambda one: one["labels"]["top1"],
    "teacher, bare labels": lambda one: one["fidelity"]["teacher"]["labels"],
    "rejected at 80 %": lambda one: one["phrases"]["abstain"]["rejected"]["mean"],
    "3 shots": lambda one: one["few_shot"]["shots"]["3"]["mean"],
}


def summary(figures: dict[str, Any]) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and standard deviation over the seeds, for each set left out and each column; runs from scratch apart."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name, runs in figures.items():
        for group in (False, True):
            ones = [one for run, one in runs.items() if run.endswith(SCRATCH) is group]
            row = {}
            for column, value in COLUMNS.items():
                values = [found_value for one in ones if (found_value := _maybe(value, one)) is not None]
                if values:
                    row[column] = (float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
            if row:
                found[f"{name} ({SCRATCH})" if group else name] = row
    return found


def _maybe(value: Callable[[dict[str, Any]], float], figures: dict[str, Any]) -> float | None:
    try:
        return value(figures)
    except (KeyError, TypeError):  # runs from scratch have no teacher to be compared with; sets of one person no shots
        return None


def markdown(figures: dict[str, Any]) -> str:
    """Tables of the figures: by set left out, and by kind of description."""

    def percent(mean: float, deviation: float = 0.0) -> str:
        return f"{100 * mean:.1f} ± {100 * deviation:.1f}" if deviation else f"{100 * mean:.1f}"

    rows = summary(figures)
    parts = [
        table(
            ("", *rows),
            [
                (column, *(percent(*row[column]) if column in row else "" for row in rows.values()))
                for column in COLUMNS
            ],
        )
    ]
    kinds = {name: one["kinds"] for name, runs in figures.items() for one in runs.values() if "kinds" in one}
    if kinds:
        every = next(iter(kinds.values()))
        body = [
            (f"{kind}, prompts: {asked}", *(percent(found[kind][asked]) for found in kinds.values()))
            for kind in every
            for asked in ("labels", "phrases")
        ]
        parts.append(table(("bank described by", *kinds), body))
    return "\n\n".join(parts)
