"""The model card of a point set."""

from __future__ import annotations

from collections.abc import Mapping

from models.pointset_model import PointSetManifest

DATA = """| set | terms | how it is used |
| --- | --- | --- |
| Kinder-Gator (University of Florida) | open for research on recognition, attribution | people in space |
| UTD-MHAD (UT Dallas) | research use | people in space |
| MSR-Action3D (Microsoft Research) | research use | people in space |
| PRECOG 2016 strikes | MIT, (c) 2016 David Jardim | people in space |
| Bandai-Namco Research Motiondataset | CC BY-NC 4.0, (c) Bandai Namco Research Inc. | people in space |
| MSRC-12 Kinect gestures (Microsoft Research) | non-commercial research use | people in space |
| Penn Action (University of Pennsylvania) | research use | people in images |
| J-HMDB (MPI for Intelligent Systems) | research use | people in images |

The people for validation and test are those of the model "default"; of the two image sets, their own test halves are
not touched, and every sixth other clip validates.

**Scenes of two people are simulated** (`train/pointset/scenes.py`): people who were recorded one at a time are put
before each other by geometry. So are falls (`train/datasets/falls.py`). No real fight, push, hug or handshake was ever
shown to this model. The figures on them below are of simulated ones too.
"""


def card(manifest: PointSetManifest, figures: Mapping[str, float]) -> str:
    """The card in Markdown.

    Args:
        manifest: as written.
        figures: of people held out for validation, 0..1, see `train.pointset.judge`.
    """
    training = manifest.training
    without = " ".join(training["without"])
    command = (
        f"python -m train pointset --data DATA --out OUT --size {training['size']} --epochs {training['epochs']} "
        f"--seed {training['seed']}{f' --without {without}' if without else ''}"
    )
    missing = " (20 % missing)"
    rows = [
        f"| {name} | {100 * value:.1f} | {100 * figures[name + missing]:.1f} |"
        for name, value in figures.items()
        if not name.endswith(missing)
    ]
    return "\n".join(
        (
            "# Weights of a point set\n",
            "The extractor of Sato, Hachiuma, Sekii (CVPR 2023) over an unordered set of joint points, causal",
            "(`models/pointset.py`, `docs/decisions/0015-points-without-tracks.md`): features of scenes and people for",
            "the distance from what is normal, and for the likeness to texts.\n",
            f"**Terms of these weights**: {manifest.terms}\n",
            "|  |  |",
            "| --- | --- |",
            f"| made by | `{command}` |",
            f"| scenes, steps | {training['scenes']}, {training['steps']} |",
            f"| labels | {len(manifest.labels)} (`labels` in `model.json`) |",
            f"| text model | {manifest.text_model} |",
            "| windows | 25 frames at 12.5 Hz |",
            f"| sha256 of the weights | `{manifest.weights_sha256[:16]}...` |\n",
            "## Data\n",
            DATA,
            "## Figures\n",
            "In %, over people held out for validation, each scene through one virtual camera or as recorded. `class`",
            "is the classifier, `text` the nearest text, among all labels. AUROC: the blow's text, for blows that",
            "arrive against the same blows with nobody where they go. Composed scenes count as simulated.\n",
            "| | all points | 20 % of the points missing |",
            "| --- | --- | --- |",
            *rows,
            "",
        )
    )
