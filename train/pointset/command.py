"""`python -m train pointset`: from recordings to a point set, in one command."""

from __future__ import annotations

import argparse
import sys

from train.pointset.fit import FitSettings, fit
from train.pointset.people import read_people
from train.progress import Progress


def run(options: argparse.Namespace) -> None:
    """Train, judge on the validation people, and write the model; prints the figures.

    Raises:
        DataMissing: the sets are not there.
        TextModelMissing: the text model is not installed.
    """
    settings = FitSettings(
        size=options.size, epochs=options.epochs, seed=options.seed, without=tuple(options.without)
    )  # fmt: skip
    people = read_people(options.data)
    with Progress(None, "point set") as progress:

        def report(step: int, steps: int, loss: float) -> None:
            progress(step, loss, None)
            progress.shards(step, steps)

        figures = fit(people, options.out, settings, report)
    for name, value in figures.items():
        sys.stdout.write(f"{name}: {100 * value:.1f} %\n")
