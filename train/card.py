"""The model card: what a checkpoint is, where it comes from, what it can and cannot do, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.checkpoint import Manifest

SET_TERMS = {
    "kinder_gator": (
        "Kinder-Gator (University of Florida)",
        "open for research on recognition, attribution",
    ),
    "utd_mhad": ("UTD-MHAD (UT Dallas)", "research use"),
    "msr_action3d": ("MSR-Action3D (Microsoft Research)", "research use"),
    "precog16": ("PRECOG 2016 strikes", "MIT, (c) 2016 David Jardim"),
    "bandai_namco": ("Bandai-Namco Research Motiondataset", "CC BY-NC 4.0, (c) Bandai Namco Research Inc."),
    "msrc12": ("MSRC-12 Kinect gestures (Microsoft Research)", "non-commercial research use"),
}
TEACHER = """The teacher is Shift-GCN (Cheng et al., "Skeleton-Based Action Recognition with Shift Graph
Convolutional Network", CVPR 2020), the authors' joint-stream weights for NTU RGB+D 120, **CC BY-NC 4.0**: these weights
were distilled from them, and contain their last layer. See github.com/kchengiva/Shift-GCN."""
NO_TEACHER = "No teacher was used: labels alone taught it, and the terms of the data are all that binds."


def markdown(manifest: Manifest, figures: dict[str, Any]) -> str:
    """The card, in markdown.

    Args:
        manifest: of the checkpoint.
        figures: from `train.evaluate.evaluate`.
    """
    parts = [
        _head(manifest),
        _data(manifest),
        _known(figures),
        _robust(figures),
        _continuous(figures),
        _limits(manifest),
    ]
    return "\n\n".join(parts)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in markdown."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def _head(manifest: Manifest) -> str:
    training = manifest.training
    counts = {name: sum(a.vocabulary == name for a in manifest.bank) for name in ("ntu120", "own")}
    rows = [
        ("made by", f"`{training['command']}`"),
        ("seed, steps, batch", f"{training['seed']}, {training['steps']}, {training['batch']}"),
        ("windows in the pool", f"{training['pool']}"),
        ("validation", ", ".join(f"{name} {_percent(s)} %" for name, s in training["validation"].items())),
        ("known actions", f"{counts['ntu120']} of NTU RGB+D, {counts['own']} of its own, of which "
                          f"{sum(a.background for a in manifest.bank)} background (`bank` in `model.json`)"),
        ("windows", f"{manifest.frames} frames at {manifest.rate_hz:g} Hz, 25 joints"),
        ("enter, exit", f"{manifest.enter}, {manifest.exit}"),
        ("sha256 of the weights", f"`{manifest.weights_sha256[:16]}...`"),
    ]  # fmt: skip
    return f"""# Weights of the model "{training.get("name", "posewire")}"

A causal network over whole skeletons (`models/causal.py`), which gives the probabilities of the actions that it knows;
prompts are routed through them by the likeness of their texts.

**Terms of these weights**: {manifest.terms}. Attribution as below.

{table(("", ""), rows)}

{TEACHER if training.get("teacher") else NO_TEACHER}

The numbers below are top-1 in %, printed by
`python -m train evaluate --checkpoint models/weights/default --data DATA`. The people tested were not trained on and
selected nothing, but for Bandai-Namco: it names styles of acting and not people, so its held-out styles may be acted by
somebody who was trained on. Two sets test on a single person. One seed. What the model makes of sets and labels that it
never saw, over three seeds, is in `docs/recognition.md`."""


def _data(manifest: Manifest) -> str:
    people = manifest.training["held_out"]
    rows = [
        (*SET_TERMS.get(key, (key, "its owner's")), ", ".join(held["validation"]), ", ".join(held["test"]))
        for key, held in people.items()
    ]
    return f"""## Data

{table(("set", "terms", "people for validation", "people for test"), rows)}

Falls, lying and getting up from the floor are **simulated** from these sets' people (`train/datasets/falls.py`): no
real fall was ever shown to this model, nor was it tested on one."""


def _known(figures: dict[str, Any]) -> str:
    rows = [
        (name, row["windows"], _percent(row["own_labels"]), _percent(row["whole_bank"]))
        for name, row in figures["sets"].items()
    ]
    quiet = figures["background"]
    between = ", most from between MSRC-12's action points, where parts\nof a gesture may remain"
    between = between if "msrc12" in figures["sets"] else ""
    return f"""## Known actions

One window around the middle of each action, which is easier than a stream.

{table(("set", "windows", "among the set's own actions", "among all own actions"), rows)}

Background (standing, walking, anything else; {quiet["windows"]} windows{between}):
{_percent(quiet["named_as_an_action"])} % are taken for an action,
{_percent(quiet["above_enter"])} % with a probability above `enter`; of the windows of an action,
{_percent(figures["actions_above_enter"])} % reach `enter` with the right one. Expected calibration error
{_percent(figures["calibration_error"])} %."""


def _robust(figures: dict[str, Any]) -> str:
    found = figures["robustness"]
    rows = [(name, _percent(share)) for name, share in found["conditions"].items()]
    people = ", ".join(f"{group}: {_percent(share)}" for group, share in found["people"].items())
    return f"""## When people, cameras and joints are not as in training

The same windows, changed; mean over the sets, among each set's own actions. All but the first are simulated.

{table(("condition", "top-1"), rows)}

Kinder-Gator's people, as recorded, by age: {people}."""


def _continuous(figures: dict[str, Any]) -> str:
    def part(rows: Mapping[str, Any]) -> str:
        if not rows:
            return "Not judged: the data does not hold them."
        found = [
            (name, row["windows"], _percent(row["own_labels"]), _percent(row["whole_bank"]))
            for name, row in rows.items()
        ]
        return table(("", "windows", "among these and background", "among all own actions"), found)

    return f"""## Continuous recordings

Stepped as the stream does, judged every 0.32 s. Strikes by PRECOG's s10, s11 and s12, left and right as one action:

{part(figures["strikes"])}

One person before a Kinect v2, a sensor that was not trained on (three recordings of 5 to 7 s; an anecdote):

{part(figures["other_sensor"])}"""


def _limits(manifest: Manifest) -> str:
    below = manifest.trust.unknown_below if manifest.trust else 0.7
    hearsay = """- Of the actions of NTU RGB+D it saw no recording, only what a teacher says of other people's motion:
  drinking, phoning and the like are known by hearsay, and actions of two people badly.
"""
    rooms = "- Nearly all of its data is of one kind of sensor (Kinect v1, 20 joints mapped to 25), in a few rooms.\n"
    hearsay = hearsay if manifest.training.get("teacher") else ""
    rooms = rooms if set(manifest.training["data"]) & SET_TERMS.keys() else ""
    return f"""## What it cannot do

- It has a vocabulary of {len(manifest.bank)} actions, and no understanding beyond it. A prompt that is like none of
  them (cosine under {below:.2f}; `posewire prompts test` tells) is not known: teach it from examples.
{hearsay}- It sees one person at a time, and nothing of what they hold.
- It does not tell left from right.
{rooms}- Not for decisions about people."""
