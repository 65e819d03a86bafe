"""`python -m train`: fit a model, judge it, and measure what it makes of sets that it never saw."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from train.distil import DistilSettings
    from train.fit import PoolOptions

DEFAULT_CHECKPOINT = Path("models/weights/default")
WINDOWS, SEEN, QUICK = 160_000, 1_500_000, 20_000
FOLD_SEEN = 60_000
COUNTS = Path("tests/data/people_counts.toml")


def positive(text: str) -> int:
    """A number of at least 1, for argparse."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of at least 1")
    return int(text)


def natural(text: str) -> int:
    """A number of at least 0, for argparse."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of at least 0")
    return int(text)


def several(text: str) -> int:
    """A number of at least 2, for argparse."""
    if positive(text) == 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of at least 2")
    return int(text)


def hundred(text: str) -> int:
    """A number of at least 100, for argparse."""
    if positive(text) < 100:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of at least 100")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, *, data: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        if data:
            sub.add_argument("--data", type=Path, required=True, help="folder with clips/ and untrimmed/")
        sub.add_argument("--threads", type=positive, default=1, help="threads of torch (default 1)")
        return sub

    def streaming(sub: argparse.ArgumentParser, seen: int) -> None:
        sub.add_argument("--teacher", type=Path, help="weights of a published Shift-GCN; without, labels alone teach")
        sub.add_argument("--pool", type=Path, help="folder of the windows to learn from (default: in the run's)")
        sub.add_argument("--windows", type=positive, default=WINDOWS, help=f"windows in the pool (default {WINDOWS})")
        sub.add_argument("--seen", type=positive, default=seen, help=f"windows that the network sees (default {seen})")
        sub.add_argument("--workers", type=positive, default=1, help="processes that make the pool (default 1)")
        sub.add_argument("--batch", type=positive, default=96, help="windows a step, over all processes")
        sub.add_argument("--channels", type=positive, default=192, help="width of the encoder")
        sub.add_argument("--quick", action="store_true", help=f"{QUICK} windows seen once: to see that it works")
        sub.add_argument("--fp32", action="store_true", help="compute in float32 (bfloat16 is faster on recent CPUs)")
        sub.add_argument("--resume", action="store_true", help="continue the run")

    sub = command("fit", "train the streaming model and write its checkpoint; also under torchrun")
    streaming(sub, SEEN)
    sub.add_argument("--run", type=Path, default=Path("runs/fit"), help="folder of the log, the state and the pool")
    sub.add_argument("--seed", type=natural, default=0)
    sub.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    sub = command("leave-one-out", "train without each set in turn, and judge by text alone on the set left out")
    streaming(sub, FOLD_SEEN)
    sub.add_argument("--run", type=Path, default=Path("runs/leave-one-out"), help="folder of all of it")
    sub.add_argument("--leave", nargs="+", help="sets to leave out in turn (default: those with 10 labels or more)")
    sub.add_argument("--seeds", type=natural, nargs="+", default=[0, 1, 2])
    sub.add_argument("--json", type=Path, help="file for the figures")
    sub = command("evaluate", "judge a checkpoint on the test people; prints its model card")
    sub.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    sub.add_argument("--json", type=Path, help="file for the figures")
    sub.add_argument("--card", action="store_true", help="write README.md and evaluation.json into the checkpoint")
    sub = command("speed", "time the papers' recipes beside a straightforward reading of their training", data=False)
    sub.add_argument("--clips", type=several, default=256, help="clips to train on (default 256)")
    sub.add_argument("--repeats", type=positive, default=5, help="how often each is timed (default 5)")
    sub = command("people", "count the people found in videos against a count by eye", data=False)
    sub.add_argument("--video", type=Path, nargs="+", required=True, help="video files")
    sub.add_argument("--counts", type=Path, default=COUNTS, help=f"TOML file of the counts (default {COUNTS})")
    sub.add_argument("--budget-ms", type=positive, default=60, help="work for an image in the second run (default 60)")
    sub.add_argument("--network", default="full", help="pose network: lite, full (default) or heavy")
    sub.add_argument("--max-people", type=positive, default=16, help="people followed at most (default 16)")
    sub = command("agreement", "compare joints of a video with a depth sensor's of the same moment", data=False)
    sub.add_argument("--video", type=Path, required=True, help="colour video of an NTU RGB+D clip")
    sub.add_argument("--skeleton", type=Path, required=True, help="its .skeleton file")
    sub.add_argument("--network", default="full", help="pose network: lite, full (default) or heavy")
    sub.add_argument("--fov", type=float, help="angle of view of the camera in degrees (default: by the skeleton)")
    sub = command("pointset", "train the point set, for scenes of several people without tracks, and write it")
    sub.add_argument("--out", type=Path, required=True, help="folder of the model; written at the end")
    sub.add_argument("--without", nargs="+", default=[], choices=("strikes", "pairs"), help="labels to leave out")
    sub.add_argument("--size", type=hundred, default=10_000, help="scenes to make (default 10000)")
    sub.add_argument("--epochs", type=positive, default=12, help="how often each is seen (default 12)")
    sub.add_argument("--seed", type=natural, default=0)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    top = parser()
    options = top.parse_args(arguments)
    if options.command != "fit" and os.environ.get("WORLD_SIZE", "1") != "1":
        top.error(f"{options.command} runs in one process; expected it without torchrun")

    import torch

    from models.errors import ModelError
    from stream.errors import PosewireError
    from train.datasets.labels import LabelError, use_labels_of, use_packaged_labels
    from train.datasets.readers import DataMissing
    from train.pool import PoolError
    from train.runs import ResumeError

    torch.set_num_threads(options.threads)
    commands = {"fit": fit, "leave-one-out": leave_one_out, "evaluate": evaluate, "speed": speed}
    commands |= {"people": people, "agreement": agreement, "pointset": pointset}
    run = commands[options.command]
    try:
        if "data" in options:
            use_labels_of(options.data)
        run(options)
    except (ModelError, DataMissing, ResumeError, PoolError, LabelError, PosewireError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    finally:
        use_packaged_labels()
    return 0


def streaming_settings(options: argparse.Namespace) -> tuple[PoolOptions, DistilSettings]:
    """Pool and training from the command line."""
    from train.datasets.labels import set_names
    from train.distil import DistilSettings
    from train.fit import PoolOptions

    windows, seen = (QUICK, QUICK) if options.quick else (options.windows, options.seen)
    folder = options.pool or options.run / "pool"
    pool = PoolOptions(folder, options.data, options.teacher, windows, options.workers, set_names())
    steps = max(1, seen // options.batch)
    settings = DistilSettings(
        windows=seen,
        batch=options.batch,
        channels=options.channels,
        hidden=options.channels * 5 // 3,
        judge_every=max(1, steps // 12),
        teaching=1.0 if options.teacher else 0.0,
        bf16=not options.fp32,
    )
    return pool, settings


def fit(options: argparse.Namespace) -> None:
    """Fill the pools, train, calibrate, export."""
    from dataclasses import replace

    from train.fit import fit as fit_streaming

    pool, settings = streaming_settings(options)
    command = f"python -m train fit --data DATA{' --teacher TEACHER' if options.teacher else ''}"
    command += f" --windows {pool.windows} --seen {settings.windows} --batch {settings.batch}"
    command += f" --channels {settings.channels} --seed {options.seed}{' --fp32' if options.fp32 else ''} --out OUT"
    fit_streaming(
        pool, replace(settings, seed=options.seed), options.run, options.out, resume=options.resume, command=command
    )


def leave_one_out(options: argparse.Namespace) -> None:
    """Train without each set, and judge on it."""
    from train.leave_one_out import leave_one_out as run

    pool, settings = streaming_settings(options)
    run(pool, settings, options.run, options.leave, options.seeds, options.json, resume=options.resume)


def evaluate(options: argparse.Namespace) -> None:
    """Judge a checkpoint on the test people and print its card."""
    import json

    from models.checkpoint import load
    from train.card import markdown
    from train.data import load_data
    from train.datasets.readers import DataMissing, read_other_sensor
    from train.evaluate import evaluate as figures_of

    recogniser, data = load(options.checkpoint), load_data(options.data)
    if not data.test:
        raise DataMissing(f"{options.data}: nobody to test on; expected six people or more in a set")
    figures = figures_of(recogniser, data, read_other_sensor(options.data))
    card = markdown(recogniser.manifest, figures) + "\n"
    text = json.dumps(figures, indent=1) + "\n"
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text, encoding="utf-8")
    if options.card:
        (options.checkpoint / "evaluation.json").write_text(text, encoding="utf-8")
        (options.checkpoint / "README.md").write_text(card, encoding="utf-8")
    sys.stdout.write(card)


def speed(options: argparse.Namespace) -> None:
    """Time the papers' recipes and print a table."""
    from train.papers.speed import TWO_BODIES, measure, table

    timings = measure(options.clips, options.repeats)
    sys.stdout.write(
        f"random clips in NTU's shape, one in {TWO_BODIES} of two bodies; threads: {options.threads}\n"
        f"medians of {options.repeats} rounds; our SMIE includes a hundredth of encoding the clips once, with and "
        f"without key frames\n{table(timings)}\n"
    )


def people(options: argparse.Namespace) -> None:
    """Count the people found in videos, with all the time it takes and with a budget."""
    from stream.vision import library
    from train.people import find, read_counts, table

    library("cv2", "rgb").setNumThreads(options.threads)
    for video in options.video:
        counts = read_counts(options.counts, video.name)
        budgets = (None, options.budget_ms / 1000)
        findings = [find(video, options.network, options.max_people, budget, counts.rate) for budget in budgets]
        sys.stdout.write(f"{table(video.name, findings, counts)}\n\n")
        sys.stdout.flush()


def agreement(options: argparse.Namespace) -> None:
    """Compare a video and a skeleton file, and print what was found."""
    from stream.errors import PosewireError
    from train.agreement import agreement as found

    if options.fov is not None and not 20 <= options.fov <= 150:
        raise PosewireError(f"--fov {options.fov:g}: expected 20 to 150 degrees")
    sys.stdout.write(found(options.video, options.skeleton, network=options.network, fov_deg=options.fov))


def pointset(options: argparse.Namespace) -> None:
    """Train the point set."""
    from train.pointset.command import run

    run(options)


if __name__ == "__main__":
    sys.exit(main())
