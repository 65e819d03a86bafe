"""What `posewire train` and `posewire eval zero-shot --recipe` show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from stream.commands.evaluate_view import percent
from stream.commands.outputs import replace_file
from stream.console import make_console, plural

if TYPE_CHECKING:
    from train.papers.options import Embed, Options
    from train.papers.parts import Division

GENERALISED = {"seen": "seen", "unseen": "unseen", "harmonic mean": "harmonic"}


def show_experiment(console: Console, title: str, figures: Mapping[str, Any], *, generalised: bool = False) -> None:
    """Show how each unseen class fares, and all of them; with `generalised`, seen and unseen classes together too."""
    names, counts = figures["confusion"]["classes"], np.asarray(figures["confusion"]["counts"])
    table = Table("unseen class", "clips", "right %", "else most often called", box=None)
    for row, name in enumerate(names):
        wrong = np.where(np.arange(len(names)) == row, -1, counts[row])
        most = f"{names[int(wrong.argmax())]} ({wrong.max()})" if wrong.max() > 0 else ""
        table.add_row(name, str(counts[row].sum()), percent(figures["per_class"].get(name)), most)
    console.print(table)
    told = f"{title}, {figures['encoder']}, texts {figures['texts']} by {figures['text_model']}"
    console.print(f"{told}: {plural(figures['n'], 'clip')} of {len(names)} unseen classes", soft_wrap=True)
    console.print(
        f"top-1 {percent(figures['top1'])} %, with alignment {percent(figures['aligned_top1'])} % "
        f"(chance {percent(1 / len(names))} %; held-out clips of seen classes {percent(figures['validation'])} %)",
        style="bold",
        soft_wrap=True,
    )
    if found := figures.get("generalised") if generalised else None:
        for title, one in (("gated", found), ("without the gate", found["ungated"])):
            shares = ", ".join(f"{name} {percent(one[key])} %" for name, key in GENERALISED.items())
            console.print(f"seen and unseen classes together, {title}: {shares}", soft_wrap=True)


@contextmanager
def training_bar() -> Iterator[Progress]:
    """A progress bar on standard error, where that is a terminal."""
    console = make_console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    text = TextColumn("{task.description}")
    with Progress(*columns, text, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def draw(
    division: Division, options: Options, embed: Embed, figures: Mapping[str, Any], title: str, folder: Path
) -> None:
    """Write curves, confusion matrix and embedding map into a folder, made if missing."""
    import torch

    from train.judging.plots import png
    from train.papers import plots
    from train.papers.experiment import fitted
    from train.papers.objectives import encode
    from train.papers.options import folder_of

    own = folder_of(division, options)
    pictures = {"curves.png": plots.curves(own / "log.csv", title)}
    trained = fitted(division, options, embed)
    clips = division.test_unseen.inputs
    if trained.encoder is not None:
        if not trained.method.end_to_end:
            log = own.parent / f"encoder-{options.encoder}" / "log.csv"
            pictures["encoder.png"] = plots.curves(log, f"encoder of {title}")
        clips = encode(trained.encoder, clips)
    with torch.inference_mode():
        embedded = trained.method.embed(torch.from_numpy(np.asarray(clips, np.float32)))
        anchors = trained.method.anchors(trained.vectors[list(division.unseen)])
    pictures["confusion.png"] = plots.confusion(figures, title)
    pictures["embeddings.png"] = plots.embedding_map(
        embedded.numpy(),
        np.searchsorted(division.unseen, division.test_unseen.labels).tolist(),
        [division.classes[row] for row in division.unseen],
        f"unseen classes' clips: {title}",
        None if anchors is None else anchors.numpy(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        replace_file(folder / name, png(picture))
