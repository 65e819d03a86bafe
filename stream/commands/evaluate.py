"""`posewire eval`: how good the model is on labelled archives. The one command that needs the training code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from rich.console import Console

from models.prototypes import OnlinePrototypes
from stream.commands.evaluate_recipe import check_picture
from stream.commands.evaluate_view import bar, show_few_shot, show_stream, show_zero_shot
from stream.commands.outputs import STDOUT, check_outputs, replace_file, write_figures
from stream.config import Config
from stream.config_file import load_config
from stream.console import make_console, plural
from stream.pipeline import Pipeline
from stream.prompts import Prompt
from stream.service import embed_texts, load_model, make_prompts, make_prototypes
from train.datasets.labelled import Clip, DataError, Recording, read_clips, read_recordings
from train.judging import few_shot, plots, streaming, zero_shot
from train.judging.clips import Report, encode
from train.judging.texts import is_background, read_texts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from models.recogniser import Recogniser

Item = TypeVar("Item", Clip, Recording)


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What all three evaluations are told.

    Attributes:
        data: the archive.
        json, plot: where to write the figures and a picture of them; `json` may be "-".
        model: folder of a checkpoint, instead of the configured one.
        config: configuration file.
        subjects: only their clips or recordings are judged; () for everybody's.
    """

    data: Path
    json: Path | None = None
    plot: Path | None = None
    model: Path | None = None
    config: Path | None = None
    subjects: tuple[str, ...] = ()


def eval_zero_shot(options: EvalOptions, *, prompts: Path | None, seeds: int, adapt: bool) -> int:
    """Name clips by text alone; returns the exit code.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    console = _begin(options, prompts, ", or give --recipe")
    every = read_clips(options.data)
    clips = _of_subjects(every, options)
    texts = read_texts(prompts, {clip.label for clip in clips}, {clip.label for clip in every})
    if len(texts) < 2:
        raise DataError(options.data, f"all its clips are called {next(iter(texts))!r}; expected two labels or more")
    recogniser = _model(_config(options))
    with _progress("clips") as report:
        encoded = encode(clips, recogniser, report)
    size = recogniser.embedding_dim
    figures = zero_shot.judge(
        encoded,
        recogniser,
        texts,
        lambda new: embed_texts(new, recogniser),
        seeds=seeds,
        adapter=(lambda: zero_shot.Aligned(OnlinePrototypes(len(texts), size))) if adapt else None,
    )
    show_zero_shot(console, figures)
    if recogniser.manifest.recipe:
        known = {name for action in recogniser.bank for name in (action.name, *action.texts)}
        met = sum(bool(known & {label, *given}) for label, given in texts.items())
        console.print(f"{met} of {plural(len(texts), 'label')} are classes that it was trained on", soft_wrap=True)
    _finish(options, figures, plots.zero_shot, console)
    return 0


def eval_few_shot(options: EvalOptions, *, prompts: Path | None, seeds: int) -> int:
    """Name clips by examples of other people; returns the exit code. Texts are checked, and of no use here.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    console = _begin(options, prompts)
    every = read_clips(options.data)
    clips = _of_subjects(every, options)
    read_texts(prompts, {clip.label for clip in clips}, {clip.label for clip in every})
    labels, subjects = [clip.label for clip in clips], [clip.subject for clip in clips]
    try:
        divisions = few_shot.divide(labels, subjects, seeds=seeds)
    except ValueError as error:
        raise DataError(options.data, str(error)) from error
    recogniser = _model(_config(options))
    with _progress("clips") as report:
        encoded = encode(clips, recogniser, report)
    figures = few_shot.judge(encoded.embeddings(recogniser), labels, divisions)
    show_few_shot(console, figures)
    _finish(options, figures, plots.few_shot, console)
    return 0


def eval_stream(options: EvalOptions, *, prompts: Path | None, seeds: int, most: int | None, seed: int) -> int:
    """Find actions in continuous recordings; returns the exit code.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    console = _begin(options, prompts)
    every = read_recordings(options.data)
    recordings = _of_subjects(every, options)
    texts = read_texts(prompts, {label for label in _labels(recordings) if not is_background(label)}, _labels(every))
    if not texts:
        raise DataError(options.data, "nothing in it is labelled; expected action points, or frames of actions")
    config = _config(options)
    recogniser = _model(config)
    prompts_of_labels = [Prompt(label, given[0], also=given[1:]) for label, given in texts.items()]
    watched = make_prompts(config, recogniser, prompts_of_labels)
    settings = config.pipeline(
        frames=recogniser.frames, rate_hz=recogniser.rate_hz, enter=recogniser.enter, exit=recogniser.exit
    )
    prototypes = make_prototypes(config, recogniser, len(watched.prompts))
    with _progress("recordings") as report:
        figures = streaming.judge(
            _drawn(recordings, most, seed),
            lambda: Pipeline(
                recogniser,
                watched,
                settings,
                embedding=recogniser.embedding,
                prototypes=prototypes,
                states=recogniser.track_states(settings.window.stride, settings.max_batch),
            ),
            seeds=seeds,
            report=report,
        )
    figures |= {
        "enter": settings.events.enter,
        "exit": settings.events.exit,
        "familiarity": dict(zip(texts, watched.familiarity, strict=True)),
        "prompts": {label: list(given) for label, given in texts.items()},
    }
    show_stream(console, figures)
    _finish(options, figures, plots.stream, console)
    return 0


def _labels(recordings: list[Recording]) -> set[str]:
    tagged = {tag.label for one in recordings for tag in one.tags}
    return tagged | {label for one in recordings for label in one.frame_labels or ()}


def _of_subjects(items: list[Item], options: EvalOptions) -> list[Item]:
    people = {item.subject for item in items}
    if lacking := sorted(set(options.subjects) - people):
        raise DataError(options.data, f"has no subject {lacking[0]!r}; it has {', '.join(sorted(people)[:30])}")
    return [item for item in items if not options.subjects or item.subject in options.subjects]


def _drawn(recordings: list[Recording], most: int | None, seed: int) -> list[Recording]:
    if most is None or most >= len(recordings):
        return recordings
    rows = np.random.default_rng(seed).choice(len(recordings), most, replace=False)
    return [recordings[row] for row in sorted(rows.tolist())]


def _begin(options: EvalOptions, prompts: Path | None, otherwise: str = "") -> Console:
    """Refuse before anything is computed what cannot be read or written; where to show tables."""
    if options.data.is_dir():
        raise DataError(options.data, f"is a folder; expected an .npz archive{otherwise}")
    inputs = [str(path) for path in (options.data, prompts, options.config) if path is not None]
    check_outputs({"--json": options.json, "--plot": options.plot}, inputs)
    check_picture(options.plot)
    return make_console(stderr=options.json == STDOUT)


def _config(options: EvalOptions) -> Config:
    config = load_config(options.config)
    if options.model is None:
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"path": str(options.model)})})


def _model(config: Config) -> Recogniser:
    import torch

    torch.set_num_threads(config.model.threads)
    return load_model(config)


@contextmanager
def _progress(what: str) -> Iterator[Report]:
    with bar(what) as progress:
        task = progress.add_task("", total=None)
        yield lambda total, done: progress.update(task, total=total, completed=done)


def _finish(
    options: EvalOptions,
    figures: Mapping[str, Any],
    draw: Callable[[Mapping[str, Any], str], Figure],
    console: Console,
) -> None:
    """Write the figures and the picture."""
    write_figures(console, figures, options.json)
    if options.plot is not None:
        replace_file(options.plot, plots.png(draw(figures, options.data.stem)))
        console.print(f"picture: {options.plot}", soft_wrap=True)
