"""The model card: what a checkpoint is, where it comes from, what it can and cannot do, in numbers."""

from __future__ import annotations

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


def markdown(manifest: Manifest, figures: dict[str, Any], zero_shot: dict[str, Any] | None) -> str:
    """The card, in markdown.

    Args:
        manifest: of the checkpoint.
        figures: from `train.evaluate.evaluate`.
        zero_shot: from the command zero-shot; None where it was not run.
    """
    return "\n\n".join(
        [_head(manifest), _data(manifest), _known(figures), _continuous(figures), _unseen(zero_shot), _limits(manifest)]
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _head(manifest: Manifest) -> str:
    training, centre = manifest.training, manifest.preprocess.centre
    rows = {
        "made by": f"`{training['command']}`",
        "seed, steps, batch": f"{training['seed']}, {training['steps']}, {training['batch']}",
        "selection": f"{training['kept_step_score']}, mean over the sets and the background",
        "known actions": f"{len(manifest.bank)} (`bank` in `model.json`), {len(manifest.background)} background",
        "shipped text vectors": f"{len(manifest.texts)}",
        "windows": f"{manifest.frames} frames at {manifest.rate_hz:g} Hz, 25 joints, centred by {centre}",
        "temperature, enter, exit": f"{manifest.temperature}, {manifest.enter}, {manifest.exit}",
        "sha256 of the weights": f"`{manifest.weights_sha256[:16]}...`",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""# Weights of posewire's first model

ST-GCN as in SMIE and PGFA (821,380 parameters) and a linear map to the text space of {manifest.text_model}
({manifest.text_dim} numbers), trained from scratch, end to end, with PGFA's contrastive loss. A window becomes a unit
vector that is compared with the vectors of sentences.

**Terms of these weights: CC BY-NC 4.0, research use**: several of the sets below allow no more.

| | |
|---|---|
{table}

All numbers below are top-1 in %, printed by
`python -m train evaluate --checkpoint models/weights/default --data DATA`. The people tested were not trained
on and selected nothing, but for Bandai-Namco: it names styles of acting and not people, so its held-out styles may be
acted by somebody who was trained on. Figures of the test people for an early, short run had been seen before labels
were last merged, which was done for the likeness of their texts. Two sets test on a single person. One seed; no spread
was measured."""


def _data(manifest: Manifest) -> str:
    people = manifest.training["held_out"]
    rows = [
        f"| {name} | {terms} | {', '.join(people[key]['validation'])} | {', '.join(people[key]['test'])} |"
        for key, (name, terms) in SET_TERMS.items()
    ]
    return "\n".join(
        ["## Data", "", "| set | terms | people for validation | people for test |", "|---|---|---|---|", *rows]
    )


def _known(figures: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {row['windows']} | {_percent(row['own_labels'])} | {_percent(row['whole_bank'])} |"
        for name, row in figures["sets"].items()
    ]
    quiet = figures["background"]
    return "\n".join(
        [
            "## Known actions",
            "",
            "One window around the middle of each action, which is easier than a stream.",
            "",
            "| set | windows | among the set's own actions | among the whole bank |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Background (standing, walking, anything else; {quiet['windows']} windows, most from between MSRC-12's "
            "action points, where parts of a gesture may remain): "
            f"{_percent(quiet['named_as_an_action'])} % are taken for an action, "
            f"{_percent(quiet['above_enter'])} % with a probability above `enter`; of the windows of an action, "
            f"{_percent(figures['actions_above_enter'])} % reach `enter` with the right one. "
            f"Expected calibration error {_percent(figures['calibration_error'])} %.",
        ]
    )


def _continuous(figures: dict[str, Any]) -> str:
    def table(rows: dict[str, Any]) -> str:
        head = ["| | windows | among these and background | among the whole bank |", "|---|---|---|---|"]
        body = [
            f"| {name} | {row['windows']} | {_percent(row['own_labels'])} | {_percent(row['whole_bank'])} |"
            for name, row in rows.items()
        ]
        return "\n".join([*head, *body])

    return f"""## Continuous recordings

A window every 0.32 s, as the stream cuts them. Strikes by PRECOG's s10, s11 and s12, left and right as one action:

{table(figures["strikes"])}

One person before a Kinect v2, a sensor that was not trained on (three recordings of 5 to 7 s; an anecdote):

{table(figures["other_sensor"])}"""


def _unseen(zero_shot: dict[str, Any] | None) -> str:
    if zero_shot is None:
        return "## Unseen actions\n\nNot measured for these weights."
    restricted, balanced, generalised, chance = (
        _percent(zero_shot[key]) for key in ("restricted", "balanced", "generalised", "chance")
    )
    return f"""## Unseen actions

Another network, trained for {zero_shot["steps"]} steps only and without {zero_shot["actions"]} of the actions, drawn at
random (nor any recording that shows one), judged on them: **{restricted} %** top-1 among the {zero_shot["actions"]} on
{zero_shot["windows"]} windows of test people ({balanced} % with the actions counting equally, chance {chance} %), and
{generalised} % against the whole bank.

Printed by `{zero_shot["command"]}`.
Left out: {", ".join(zero_shot["left_out"])}."""


def _limits(manifest: Manifest) -> str:
    return f"""## What it cannot do

- It knows the {len(manifest.bank)} actions of its bank. A prompt that means none of them gets a score, and that score
  means little: see the numbers for unseen actions. Falling, lying, crawling, fighting with somebody, drinking, phoning
  are **not** among its actions; the shipped vectors of such prompts save loading a text model and teach it nothing.
- It sees one person at a time, and nothing of what they hold.
- It does not tell left from right, nor walking from walking in place.
- Nearly all of its data is of one kind of sensor (Kinect v1, 20 joints mapped to 25). What little of another was tried
  (above: Kinect v2, one person) went badly but for waving.
- Actions of a single set are partly known by that set's sensor and setting: expect less in your room than in the
  tables.
- Not for decisions about people."""
