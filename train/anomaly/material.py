"""What the anomaly protocols are judged on: recordings of people whom the encoders were not trained on.

What is normal is learnt from other people, those whom encoders are trained on, so that nobody teaches for themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.points import RATE_HZ
from stream.types import Space
from train.anomaly.encoding import CLIPS, Cut
from train.anomaly.scenes import Scene, SceneArchive, read_scenes, read_whole
from train.data import load_data
from train.datasets.people import Split, natural, split_people
from train.pointset import data as composed
from train.pointset.vocabulary import PAIR_BLOWS, PAIR_OTHERS

BoolArray = NDArray[np.bool_]
STRIKES = ("a person strikes", "a person punches", "a person kicks")
"""Chosen from six lists of texts on the validation people."""
FIGHT = ("a person punches, kicks or pushes another person",)
KINDER = {
    "kick": (("kick a ball", "kick a ball as far as you can", "kick a ball with the other leg",
              "kick a ball as far as you can with the other leg"), ("a person kicks",)),
    "punch": (("punch",), ("a person punches",)),
    "lunge": (("do a forward lunge",), ("a person lunges or falls forward",)),
}  # fmt: skip
"""Labels of Kinder-Gator that are anomalies together, and the texts that describe them."""
MSRC = {
    "beat both arms": "a person beats the air with both arms", "bow": "a person bows",
    "change weapon": "a person reaches over the shoulder", "duck": "a person ducks or crouches",
    "had enough (protest)": "a person holds the head in protest", "kick": "a person kicks",
    "lift outstretched arms": "a person lifts both outstretched arms",
    "push right": "a person sweeps an arm to the right",
    "put on night vision goggles": "a person puts goggles on",
    "shoot a pistol": "a person aims a pistol with both hands",
    "throw an object": "a person throws an object", "wind it up": "a person circles both arms before the body",
}  # fmt: skip
"""A text for each gesture of MSRC-12, of the movement, as its authors describe it."""
EVERYDAY = ("walk", "wave")
"""Beginnings of the labels of Bandai-Namco that are walking, turning and waving."""
MSRC_RECORDINGS = 2
"""Recordings of each gesture that are judged, and as many that teach: the first by name."""
PAIRS = 12
"""Composed scenes of each kind and seed of people."""


@dataclass(frozen=True, slots=True)
class Material:
    """What one protocol is judged on.

    Attributes:
        normal: scenes of people who teach what is normal.
        normal_frames: for each of them (T,), which of its frames may.
        judged: scenes of other people.
        truth: for each of them (T,), the label of each frame; "" is none of its own.
        normal_cut, cut: how the two are cut into windows.
    """

    normal: tuple[Scene, ...]
    normal_frames: tuple[BoolArray, ...]
    judged: tuple[Scene, ...]
    truth: tuple[NDArray[np.str_], ...]
    normal_cut: Cut
    cut: Cut

    def without(self, label: str) -> Material:
        """The same where scenes of a label teach nothing."""
        kept = zip(self.normal, self.normal_frames, strict=True)
        return replace(self, normal_frames=tuple(frames & (scene.label != label) for scene, frames in kept))

    def disturbed(self, act: Callable[[Sequence[Scene]], list[Scene]]) -> Material:
        """The same with what is judged disturbed; what is normal stays as it was learnt."""
        return replace(self, judged=tuple(act(self.judged)))


def of_split(scenes: Sequence[Scene], name: str, split: Split) -> list[Scene]:
    """The scenes of a set's people in one part of them."""
    whose = split_people(name, {scene.subject for scene in scenes})
    return [scene for scene in scenes if whose[scene.subject] is split]


def precog(data: Path, split: Split, window_s: float) -> Material:
    """Strikes in PRECOG's untrimmed recordings: windows before every tenth of a second."""
    path = data / "untrimmed" / "precog16.npz"
    archive = SceneArchive(path)
    names = np.array(archive.frame_labels())
    places = {name: start for name, (start, _) in zip(archive.names, pairwise(archive.offsets), strict=True)}
    scenes = read_whole(path)
    labels = {s.name: names[places[s.name] + s.start :][: s.frames] for s in scenes}
    normal, judged = (tuple(of_split(scenes, "precog16", part)) for part in (Split.TRAIN, split))
    return Material(
        normal,
        tuple(labels[scene.name] == "none" for scene in normal),
        judged,
        tuple(np.where(labels[scene.name] == "none", "", labels[scene.name]) for scene in judged),
        Cut(window_s, 0.3),
        Cut(window_s, 0.1, causal=True),
    )


def everyday(data: Path, split: Split | None, window_s: float) -> Material:
    """Walking, turning and waving of Bandai-Namco, in styles that teach and styles that are judged (None: all)."""
    scenes = [s for s in read_scenes(data / "clips" / "bandai_namco.npz") if s.label.startswith(EVERYDAY)]
    normal = tuple(of_split(scenes, "bandai_namco", Split.TRAIN))
    judged = tuple(scenes if split is None else of_split(scenes, "bandai_namco", split))
    return Material(
        normal,
        tuple(np.ones(scene.frames, bool) for scene in normal),
        judged,
        tuple(np.full(scene.frames, "") for scene in judged),
        Cut(window_s, 1.0),
        Cut(window_s, window_s, causal=True),
    )


def kinder_gator(data: Path, split: Split, kind: str) -> Material:
    """Kicks, punches or lunges among everything else that children and adults are asked to do."""
    labels, _ = KINDER[kind]
    scenes = read_scenes(data / "clips" / "kinder_gator.npz")
    teaching = of_split(scenes, "kinder_gator", Split.TRAIN)
    some = sorted({scene.subject for scene in teaching}, key=natural)[:: len(KINDER)]
    # What is an anomaly is seen as well, and left out then, so that the same windows serve every kind.
    normal = tuple(scene for scene in teaching if scene.subject in some)
    judged = tuple(of_split(scenes, "kinder_gator", split))
    return Material(
        normal,
        tuple(np.full(scene.frames, scene.label not in labels) for scene in normal),
        judged,
        tuple(np.full(scene.frames, scene.label if scene.label in labels else "") for scene in judged),
        replace(CLIPS, step_s=1.0),
        CLIPS,
    )


def msrc12(data: Path, split: Split) -> Material:
    """Recordings of MSRC-12, the action points as labels of single frames; all of the others' frames may teach."""
    archive = SceneArchive(data / "untrimmed" / "msrc12.npz")
    tags: dict[int, list[tuple[int, str]]] = {}
    for item, frame, label in archive.tags():
        tags.setdefault(item, []).append((frame, label))
    whose = split_people("msrc12", archive.subjects)
    chosen: dict[Split, list[Scene]] = {Split.TRAIN: [], split: []}
    truth = []
    for part, scenes in chosen.items():
        taken: dict[str, int] = {}
        for item in sorted(tags, key=lambda one: archive.names[one]):
            label = tags[item][0][1]
            if whose[archive.subjects[item]] is not part or taken.get(label, 0) == MSRC_RECORDINGS:
                continue
            scene = archive.scene(item, (0, archive.offsets[item + 1] - archive.offsets[item]), label)
            if scene is None:
                continue
            taken[label] = taken.get(label, 0) + 1
            scenes.append(scene)
            if part is split:
                truth.append(_labels(scene, tags[item]))
    normal = tuple(chosen[Split.TRAIN])
    frames = tuple(np.ones(scene.frames, bool) for scene in normal)
    return Material(normal, frames, tuple(chosen[split]), tuple(truth), Cut(2.0, 1.0), Cut(2.0, 0.2, causal=True))


def _labels(scene: Scene, tags: Sequence[tuple[int, str]]) -> NDArray[np.str_]:
    """The label of each frame that is an action point, "" of all others."""
    labels = np.full(scene.frames, "", f"<U{max(map(len, MSRC))}")
    for frame, label in tags:
        if 0 <= frame - scene.start < scene.frames:
            labels[frame - scene.start] = label
    return labels


def pairs(data: Path, split: Split) -> Material:
    """Composed scenes of two people (see `train.pointset.scenes`): blows that arrive, near misses, and meetings.

    What is normal is learnt from the meetings only.
    """
    people = load_data(data)
    cuts = {
        part: list(
            composed.pair_cuts(composed.Recordings(getattr(people, part.value)), PAIRS, np.random.default_rng(11))
        )
        for part in (Split.TRAIN, split)
    }
    normal = tuple(_of_cut(cut, i) for i, cut in enumerate(cuts[Split.TRAIN]) if cut.label in PAIR_OTHERS)
    judged = tuple(_of_cut(cut, i) for i, cut in enumerate(cuts[split]))
    return Material(
        normal,
        tuple(np.ones(scene.frames, bool) for scene in normal),
        judged,
        tuple(np.full(scene.frames, scene.label if scene.label in PAIR_BLOWS else "") for scene in judged),
        CLIPS,
        CLIPS,
    )


def _of_cut(cut: composed.Cut, place: int) -> Scene:
    joints, confidence = np.asarray(cut.joints, np.float32), np.asarray(cut.confidence, np.float32)
    return Scene(joints, confidence, RATE_HZ, Space.CAMERA3D, cut.label, "", f"{cut.label} {place}")
