"""`python -m train.teacher_eval`: what a published NTU RGB+D network knows of other sets' actions.

Prints one JSON object: accuracy (a fraction; labels weigh equally) among the classes that the set shares with NTU-120,
among all 120, and, zero-shot, among all labels of the set by routing through their texts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.layouts import layout_for_names
from train.datasets.readers import DataMissing

Float32Array = NDArray[np.float32]
VOCABULARY = Path(__file__).parent / "datasets" / "ntu120.json"
BEFORE, AFTER = 25, 25
"""Frames of an untrimmed recording around the tagged one."""
LONGEST = 300
"""Frames; what is longer is cut, as NTU's own clips are."""


@dataclass(frozen=True, slots=True)
class LabelledClips:
    """Clips as the network takes them, and what they are called.

    Attributes:
        clips: N arrays (3, T, V=25, M=2).
        labels: (N,) names.
    """

    clips: list[Float32Array]
    labels: list[str]


def read_clips(path: Path, most: int | None, seed: int) -> LabelledClips:
    """Clips of a labelled archive, or those around the tags of an untrimmed one.

    Args:
        path: .npz as described in the data's README: `joints` in mm, `joint_names`, and `label` or `tag_label`.
        most: how many to draw at random; None takes all.
        seed: of the drawing.

    Raises:
        DataMissing: it is not such an archive.
    """
    from models.ntu import prepare

    if not path.is_file():
        raise DataMissing(f"{path}: not found; expected an archive of labelled clips")
    with np.load(path, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    if lacking := {"joints", "offsets", "joint_names"} - arrays.keys():
        raise DataMissing(f"{path}: lacks {', '.join(sorted(lacking))}; expected an archive of labelled clips")
    offsets = arrays["offsets"].astype(np.int64)
    if "tag_label" in arrays:
        first = offsets[arrays["tag_sequence"]]
        last = offsets[arrays["tag_sequence"] + 1]
        at = first + arrays["tag_frame"]
        spans = list(zip(np.maximum(at - BEFORE, first), np.minimum(at + AFTER, last), strict=True))
        labels = arrays["tag_label"]
    elif "label" in arrays:
        spans, labels = list(pairwise(offsets)), arrays["label"]
    else:
        raise DataMissing(f"{path}: has neither 'label' nor 'tag_label'")
    rows = np.arange(len(spans))
    if most is not None and most < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    layout = layout_for_names([str(name) for name in arrays["joint_names"]])
    found = LabelledClips([], [])
    for row in rows:
        start, stop = spans[row]
        raw = arrays["joints"][start : min(stop, start + LONGEST)]
        body = layout.to_canonical((raw / 1000.0).astype(np.float32), raw.any(axis=2).astype(np.float32))
        if (body[1] > 0).any():
            found.clips.append(prepare([body]))
            found.labels.append(str(labels[row]))
    return found


def evaluate(
    posterior: Float32Array, labels: Sequence[str], vocabulary: dict[str, Any], set_name: str
) -> dict[str, Any]:
    """All figures of one set.

    Args:
        posterior: (N, 120).
        labels: (N,) the set's own.
        vocabulary: see ntu120.json.
        set_name: key into it.
    """
    from models.text import TextEmbedder
    from train.routing import balanced_top, route

    classes: list[str] = vocabulary["classes"]
    table: dict[str, dict[str, str | None]] = vocabulary["sets"][set_name]
    own = [table[label]["class"] for label in labels]
    shared = sorted({classes.index(name) for name in own if name is not None})
    rows = [i for i, name in enumerate(own) if name is not None]
    truth = [classes.index(str(own[i])) for i in rows]
    names = sorted(set(labels))
    columns = [names.index(label) for label in labels]
    embedder = TextEmbedder()
    bank = embedder.embed(classes)
    routed = {
        "raw": route(posterior, bank, embedder.embed(names)),
        "phrases": route(posterior, bank, embedder.embed([str(table[name]["phrase"]) for name in names])),
    }
    within = [shared.index(k) for k in truth]
    groups = [labels[i] for i in rows]
    known = posterior[rows]
    return {
        "clips": len(labels),
        "labels": len(names),
        "shared_classes": [classes[k] for k in shared],
        "shared": {f"top{k}": balanced_top(known[:, shared], within, k, groups) for k in (1, 3)},
        "all120": {f"top{k}": balanced_top(known, truth, k, groups) for k in (1, 5)},
        **{
            f"routing_{kind}": {f"top{k}": balanced_top(scores, columns, k) for k in (1, 3)}
            for kind, scores in routed.items()
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate one archive; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m train.teacher_eval", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="Shift-GCN weights: .npz, .safetensors or .pt")
    parser.add_argument("--data", type=Path, required=True, help="labelled clips, .npz")
    parser.add_argument("--set", help="the set's key in ntu120.json (default: the archive's name)")
    parser.add_argument("--most", type=int, help="judge at most so many clips, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fp32", action="store_true", help="compute in float32")
    options = parser.parse_args(arguments)

    import torch

    from models.errors import CheckpointError, ModelError
    from models.ntu import FRAMES
    from models.teacher import Teacher

    torch.set_num_threads(1)
    try:
        vocabulary = json.loads(VOCABULARY.read_text(encoding="utf-8"))
        set_name = options.set or options.data.stem
        if set_name not in vocabulary["sets"]:
            raise DataMissing(f"{set_name}: not in {VOCABULARY.name}; known: {', '.join(vocabulary['sets'])}")
        teacher = Teacher.load(options.weights, bf16=not options.fp32)
        if teacher.classes != len(vocabulary["classes"]):
            raise CheckpointError(
                f"{options.weights}: {teacher.classes} classes; expected {len(vocabulary['classes'])}"
            )
        found = read_clips(options.data, options.most, options.seed)
        start = time.perf_counter()
        opinion = teacher.judge(found.clips)
        seconds = time.perf_counter() - start
    except (ModelError, DataMissing) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    figures = evaluate(opinion.posterior, found.labels, vocabulary, set_name)
    figures["windows_per_second"] = sum(clip.shape[1] for clip in found.clips) / FRAMES / seconds
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
