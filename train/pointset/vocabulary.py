"""What the point set is taught to name: the own actions, those of the image sets, and what two people do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from train.datasets.described import load_descriptions
from train.datasets.labels import load_actions

PUNCHED, KICKED, SLAPPED, PUSHED = PAIR_BLOWS = (
    "punch another person", "kick another person", "slap another person", "push another person",
)  # fmt: skip
HUG, SHAKE, APPROACH, LEAVE, FACE, POINTED = PAIR_OTHERS = (
    "hug", "shake hands", "walk towards another person", "walk away from another person", "stand facing each other",
    "point at another person",
)  # fmt: skip
STRIKES = (
    "punch", "back fist", "elbow strike", "front kick", "side kick", "kick ball", PUNCHED, KICKED, SLAPPED,
)  # fmt: skip
GROUPS = {"strikes": STRIKES, "pairs": (*PAIR_BLOWS, *PAIR_OTHERS)}
"""Labels that can be left out together; what is left out is in no window, not even as a negative."""
PAIR_TEXTS = {
    PUNCHED: (
        "a person punches another person", "a person hits another person with the fist",
        "someone attacks another person with punches", "two people fight with their fists",
    ),
    KICKED: (
        "a person kicks another person", "someone attacks another person with kicks", "a person kicks at somebody",
    ),
    SLAPPED: (
        "a person slaps another person", "a person slaps somebody in the face with the open hand",
    ),
    PUSHED: (
        "a person pushes another person", "a person shoves somebody away with both hands",
        "a person gives another person a push",
    ),
    HUG: ("two people hug", "a person hugs another person", "two people embrace each other"),
    SHAKE: ("two people shake hands", "a person shakes hands with another person"),
    APPROACH: (
        "a person walks towards another person", "a person comes up to somebody", "two people come together",
    ),
    LEAVE: ("a person walks away from another person", "a person leaves another person", "two people part"),
    FACE: (
        "two people stand facing each other", "two people talk to each other", "a person stands in front of somebody",
    ),
    POINTED: ("a person points at another person", "a person points a finger at somebody"),
}  # fmt: skip
IMAGE_TEXTS = {
    "push-up": ("a person does push-ups", "a person pushes the body up from the floor with the arms"),
    "pull-up": ("a person does pull-ups", "a person pulls themselves up on a bar"),
    "baseball pitch": ("a person pitches a baseball", "a person throws a baseball with a windup"),
    "bench press": ("a person lies on a bench and lifts a barbell", "a person does a bench press"),
    "sit-up": ("a person does sit-ups", "a person lying on the back raises the upper body again and again"),
    "strum guitar": ("a person plays the guitar", "a person strums a guitar"),
    "clean and jerk": ("a person lifts a barbell over the head", "a person does weightlifting"),
    "jump rope": ("a person jumps rope", "a person skips with a rope"),
    "pour": ("a person pours a drink", "a person pours something into a cup"),
    "pick up": ("a person picks something up", "a person picks an object up from the floor"),
    "push object": ("a person pushes something heavy", "a person pushes an object along"),
}
IMAGE_LABELS = {
    "penn_action": {
        "squat": "squat", "bowl": "bowl", "tennis serve": "tennis serve", "baseball swing": "baseball swing",
        "golf swing": "golf swing", "tennis forehand": "tennis forehand", "jumping jacks": "jumping jacks",
        "pushup": "push-up", "pullup": "pull-up", "baseball pitch": "baseball pitch", "bench press": "bench press",
        "situp": "sit-up", "strum guitar": "strum guitar", "clean and jerk": "clean and jerk",
        "jump rope": "jump rope",
    },
    "jhmdb": {
        "pour": "pour", "pullup": "pull-up", "catch": "catch", "throw": "throw", "clap": "clap", "wave": "wave hand",
        "golf": "golf swing", "push": "push object", "walk": "walk", "run": "run", "pick": "pick up",
        "sit": "sit down", "jump": "jump", "stand": "stand up",
    },
}  # fmt: skip
"""What the labels of the two sets of images mean."""


@dataclass(frozen=True, slots=True)
class Label:
    """One label.

    Attributes:
        name: unique.
        texts: sentences that say it; the first is shown to people.
        mirrors: whether a mirror image shows the same.
    """

    name: str
    texts: tuple[str, ...]
    mirrors: bool = True


def load_labels(without: Sequence[str] = ()) -> tuple[Label, ...]:
    """All labels but those of some groups (`GROUPS`); no text names a side, so that mirror images keep theirs.

    Raises:
        KeyError: there is no such group.
    """
    out = {name for group in without for name in GROUPS[group]}
    described = {one.name: one.sentences for one in load_descriptions("own")}
    labels = [
        Label(action.name, tuple(dict.fromkeys((*action.texts, *described.get(action.name, ())))), action.mirrors)
        for action in load_actions()
    ]
    labels += [Label(name, texts) for name, texts in (IMAGE_TEXTS | PAIR_TEXTS).items()]
    return tuple(label for label in labels if label.name not in out)
