"""`python -m train`: fit a model, evaluate a checkpoint, measure what it makes of unseen actions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train.loop import LoopSettings

DEFAULT_STEPS, ZERO_SHOT_STEPS, QUICK_STEPS = 1000, 200, 120


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--data", type=Path, required=True, help="folder with clips/ and untrimmed/")
        sub.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
        return sub

    for name, text in (("fit", "train a model and write its checkpoint"), ("zero-shot", "train without some actions")):
        sub = command(name, text)
        sub.add_argument("--run", type=Path, default=Path("runs") / name, help="folder of the log and the state")
        sub.add_argument("--resume", action="store_true", help="continue the run")
        sub.add_argument("--seed", type=int, default=0)
        sub.add_argument("--steps", type=int, help="optimisation steps")
        sub.add_argument("--batch", type=int, default=128, help="windows a step")
        sub.add_argument("--centre", choices=("frame", "height", "window"), default="height", help="what is subtracted")
        sub.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} steps: to see that it works")
        sub.add_argument("--fp32", action="store_true", help="compute in float32 (bfloat16 is faster on recent CPUs)")
    commands.choices["fit"].add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    commands.choices["zero-shot"].add_argument("--share", type=float, default=0.2, help="share of actions left out")
    commands.choices["zero-shot"].add_argument("--out", type=Path, help="JSON file for the result")
    sub = command("evaluate", "judge a checkpoint on the test people; prints its model card")
    sub.add_argument("--checkpoint", type=Path, default=Path("models/weights/default"))
    sub.add_argument("--json", type=Path, help="file for the figures")
    sub.add_argument("--card", action="store_true", help="write README.md and evaluation.json into the checkpoint")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)

    import torch

    from models.errors import ModelError
    from train.datasets.readers import DataMissing
    from train.loop import ResumeError

    torch.set_num_threads(options.threads)
    try:
        {"fit": fit, "zero-shot": zero_shot, "evaluate": evaluate}[options.command](options)
    except (ModelError, DataMissing, ResumeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def settings_of(options: argparse.Namespace, default_steps: int) -> LoopSettings:
    """Loop settings from the command line."""
    from train.loop import LoopSettings

    steps = options.steps or (QUICK_STEPS if options.quick else default_steps)
    return LoopSettings(
        steps=steps,
        batch=options.batch,
        seed=options.seed,
        centre=options.centre,
        bf16=not options.fp32,
        judge_every=max(1, min(100, steps // 4)),
    )


def fit(options: argparse.Namespace) -> None:
    """Train on the training people, select and calibrate on the validation people, write a checkpoint."""
    from models.text import TextEmbedder
    from train.calibrate import calibrate
    from train.data import load_data
    from train.datasets.labels import load_actions
    from train.datasets.texts import ActionTexts
    from train.datasets.windows import WindowSampler, judging_windows
    from train.export import export
    from train.loop import Trainer, run
    from train.progress import Progress

    data, settings, embedder = load_data(options.data), settings_of(options, DEFAULT_STEPS), TextEmbedder()
    trainer = Trainer(settings, WindowSampler(data.train), ActionTexts(load_actions(), embedder))
    validation = judging_windows(data.validation, gap_step=2.0)
    with Progress(settings.steps) as progress:
        run(trainer, options.run, validation, resume=options.resume, report=progress)
    trainer.average.load_state_dict(trainer.best_weights)
    calibration = calibrate(validation[1], trainer.similarity(validation[0]))
    training = {
        "command": f"python -m train fit --data DATA --out {options.out.as_posix()}"
        + f" --seed {settings.seed} --steps {settings.steps} --centre {settings.centre}",
        "seed": settings.seed,
        "steps": settings.steps,
        "batch": settings.batch,
        "data": sorted(data.people),
        "held_out": data.people,
        "kept_step_score": f"validation {100 * trainer.best:.1f} %",
        "validation_calibration_error": round(calibration.error, 4),
        "validation_f1_at_enter": round(calibration.f1, 4),
    }
    manifest = export(
        options.out, trainer.best_weights, embedder, calibration, centre=settings.centre, training=training
    )
    sys.stdout.write(f"{options.out}: validation {100 * trainer.best:.1f} %, temperature {manifest.temperature}\n")


def zero_shot(options: argparse.Namespace) -> None:
    """Train without a random share of the actions, and judge the last network on them."""
    import numpy as np

    from models.text import TextEmbedder
    from train.data import load_data
    from train.datasets.labels import BACKGROUND, load_actions
    from train.datasets.texts import ActionTexts
    from train.datasets.windows import Batch, WindowSampler, judging_windows
    from train.evaluate import evaluate_unseen
    from train.loop import Trainer, run
    from train.progress import Progress

    actions = load_actions()
    named = [index for index, action in enumerate(actions) if action.name not in BACKGROUND]
    rng = np.random.default_rng(options.seed)
    unseen = sorted(rng.choice(named, round(options.share * len(named)), replace=False).tolist())
    seen = [index for index in range(len(actions)) if index not in unseen]
    data, settings = load_data(options.data), settings_of(options, ZERO_SHOT_STEPS)
    # Recordings that show a left-out action are left out whole: it must not be seen in passing either.
    shown = [sequence for sequence in data.train if not {span.action for span in sequence.spans} & set(unseen)]
    trainer = Trainer(settings, WindowSampler(shown, seen), ActionTexts(actions, TextEmbedder()))
    batch, cases = judging_windows(data.validation, gap_step=2.0)
    kept = [i for i, case in enumerate(cases) if case.action in seen]
    known = Batch(batch.x[kept], batch.mask[kept], batch.action[kept])
    with Progress(settings.steps) as progress:
        run(trainer, options.run, (known, [cases[i] for i in kept]), resume=options.resume, report=progress)
    trainer.average.load_state_dict(trainer.best_weights)
    batch, cases = judging_windows(data.test)
    rows = [i for i, case in enumerate(cases) if case.action in unseen]
    judged = Batch(batch.x[rows], batch.mask[rows], batch.action[rows])
    result: dict[str, Any] = evaluate_unseen(trainer.similarity(judged), judged.action, unseen)
    result |= {
        "left_out": [actions[index].name for index in unseen],
        "steps": settings.steps,
        "command": f"python -m train zero-shot --data DATA --seed {settings.seed} --steps {settings.steps}",
    }
    _write(options.out, result)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


def evaluate(options: argparse.Namespace) -> None:
    """Print a checkpoint's model card, with figures measured now."""
    from models.checkpoint import load
    from train.card import markdown
    from train.data import load_data
    from train.datasets.readers import read_other_sensor
    from train.evaluate import evaluate as figures_of

    recogniser = load(options.checkpoint)
    figures = figures_of(recogniser, load_data(options.data), read_other_sensor(options.data))
    unseen = options.checkpoint / "zero_shot.json"
    zero = json.loads(unseen.read_text(encoding="utf-8")) if unseen.is_file() else None
    card = markdown(recogniser.manifest, figures, zero) + "\n"
    _write(options.json, figures)
    if options.card:
        _write(options.checkpoint / "evaluation.json", figures)
        (options.checkpoint / "README.md").write_text(card, encoding="utf-8")
    sys.stdout.write(card)


def _write(path: Path | None, value: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
