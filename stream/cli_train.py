"""`posewire train` and `posewire reproduce`; only light imports at the top, as in `stream.cli`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stream.cli_options import leave

RECIPES = "smie|pgfa|devise|relationnet|revise|jpose|cada-vae|synse"
RecipeOption = Annotated[str, typer.Option(metavar=RECIPES, help="The method.")]
DatasetOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="ntu60, ntu120, pku1, pku2, a set of the data folder such as utd_mhad, or several: a+b+c."
    ),
]
SplitOption = Annotated[
    str, typer.Option(metavar="NAME", help="Which classes are unseen, such as 55/5; see posewire reproduce --list.")
]
ProtocolOption = Annotated[
    str | None,
    typer.Option(metavar="xsub|xview|xset|people", help="Who is learned from; default: xsub, people for our sets."),
]
SeedOption = Annotated[int, typer.Option(metavar="N", min=0, help="Of all that is random.")]
EncoderOption = Annotated[
    str | None, typer.Option(metavar="stgcn|shiftgcn", help="What makes features of clips; default: stgcn.")
]
TextKindOption = Annotated[
    str, typer.Option("--texts", metavar="name|sentence|motion|parts", help="What is said of each class.")
]
TextModelOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="What makes vectors of texts: a model of sentence-transformers, or a folder."),
]
MaskOption = Annotated[
    str | None,
    typer.Option(
        metavar="paper|released|none",
        help="SMIE's key frames: as in the paper, as in its code, or none; default: paper.",
    ),
]
EpochsOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Epochs of the method; default: its schedule's.")
]
PretrainEpochsOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Epochs of the encoder; default: its schedule's.")
]
Fp32Option = Annotated[
    bool, typer.Option("--fp32", help="Train encoders in float32, as the papers do, where bfloat16 is faster.")
]
RunOption = Annotated[
    Path, typer.Option("--run", metavar="DIR", help="What is kept to go on from, and to skip what is done.")
]
ThreadsOption = Annotated[int, typer.Option(metavar="N", min=1, help="Threads of torch in a process.")]
PlotFolderOption = Annotated[
    Path | None, typer.Option("--plot", metavar="DIR", help="Draw curves, confusion, embeddings (needs matplotlib).")
]
RUN = Path("runs/papers")
TEXT_MODEL = "all-mpnet-base-v2"
NEEDED = ("dataset", "split")
ONLY_RECIPES = (
    "generalised", *NEEDED, "protocol", "seed", "encoder", "texts", "text_model", "mask", "epochs", "pretrain_epochs",
    "fp32", "run", "threads",
)  # fmt: skip
ONLY_CHECKPOINTS = ("prompts", "model", "seeds", "adapt", "subject", "config")
"""Parameters of `posewire eval zero-shot` that mean something with --recipe, and without it."""


def train(
    recipe: RecipeOption,
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Our data folder, a tree of NTU or PKU-MMD, a .pkl, SynSE's features.")
    ],
    dataset: DatasetOption,
    split: SplitOption,
    protocol: ProtocolOption = None,
    seed: SeedOption = 0,
    encoder: EncoderOption = None,
    texts: TextKindOption = "name",
    text_model: TextModelOption = TEXT_MODEL,
    mask: MaskOption = None,
    epochs: EpochsOption = None,
    pretrain_epochs: PretrainEpochsOption = None,
    fp32: Fp32Option = False,
    run: RunOption = RUN,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a checkpoint that the daemon can serve.")
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.5,
            max=20,
            help="Of the checkpoint's windows: as long as a usual clip; default 2.",
        ),
    ] = None,
    plot: PlotFolderOption = None,
    threads: ThreadsOption = 1,
) -> None:
    """Train a method of the papers, and judge it on the unseen classes; the same command goes on where it was."""
    from stream.commands.train import Experiment, train_recipe

    experiment = Experiment(
        recipe=recipe,
        data=data,
        dataset=dataset,
        split=split,
        protocol=protocol,
        seed=seed,
        encoder=encoder,
        texts=texts,
        text_model=text_model,
        mask=mask,
        epochs=epochs,
        pretrain_epochs=pretrain_epochs,
        fp32=fp32,
        run=run,
        threads=threads,
    )
    leave(resumable(lambda: train_recipe(experiment, out=out, window=window, plot=plot)))


def reproduce(
    table: Annotated[str | None, typer.Argument(metavar="TABLE", help="Such as smie-table2, own; see --list.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show tables, rows, columns, datasets, splits.")] = False,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]PATH", help="ntu60=, ntu120=, pku1= PATH; or the folder of our sets; repeatable."),
    ] = None,
    seeds: Annotated[list[int] | None, typer.Option(metavar="N", min=0, help="Repeatable; default: 0, 1, 2.")] = None,
    rows: Annotated[
        list[str] | None, typer.Option(metavar="METHOD", help="Only this row or recipe; repeatable.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this column or dataset; repeatable.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="OUT.json", help="Write all figures; - is standard output.")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="OUT.md", help="Write the tables there, between two marker comments; the rest stays."),
    ] = None,
    texts: Annotated[
        str | None,
        typer.Option(
            metavar="name|sentence|motion|parts", help="What is said of each class; default: as in the table."
        ),
    ] = None,
    text_model: TextModelOption = TEXT_MODEL,
    epochs: EpochsOption = None,
    pretrain_epochs: PretrainEpochsOption = None,
    fp32: Fp32Option = False,
    run: RunOption = RUN,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Processes that train side by side.")] = 1,
    threads: ThreadsOption = 1,
) -> None:
    """Run all experiments of a table that there is data for, and show ours beside the published numbers."""
    if (table is None) != list_:
        from stream.commands.options import OptionError

        raise OptionError("reproduce: expected one of TABLE, --list")
    if table is None:
        from stream.commands.reproduce_view import list_tables

        leave(list_tables())
        return
    from stream.commands.reproduce import Plan, reproduce_table

    plan = Plan(
        table=table,
        data=tuple(data or ()),
        seeds=tuple(dict.fromkeys(seeds or (0, 1, 2))),
        rows=tuple(rows or ()),
        columns=tuple(columns or ()),
        texts=texts,
        text_model=text_model,
        epochs=epochs,
        pretrain_epochs=pretrain_epochs,
        fp32=fp32,
        run=run,
        jobs=jobs,
        threads=threads,
    )
    leave(resumable(lambda: reproduce_table(plan, json_out=json, markdown_out=markdown)))


def resumable(work: Callable[[], int]) -> int:
    """Do what Ctrl-C ends and the same command goes on with; returns the exit code."""
    try:
        return work()
    except KeyboardInterrupt:
        sys.stderr.write("posewire: stopped; the same command goes on where it was\n")
        return 130


def check_together(context: typer.Context, recipe: bool) -> None:
    """Refuse options of `posewire eval zero-shot` that do not fit together.

    Args:
        context: the call.
        recipe: whether --recipe is given.

    Raises:
        OptionError: some do not.
    """
    wrong = ONLY_CHECKPOINTS if recipe else ONLY_RECIPES
    sources = {name: context.get_parameter_source(name) for name in wrong}
    given = [name for name, source in sources.items() if source is not None and source.name != "DEFAULT"]
    lacking = [name for name in NEEDED if recipe and context.params[name] is None]
    if not given and not lacking:
        return
    from stream.commands.options import OptionError

    option = f"--{(given or lacking)[0].replace('_', '-')}"
    if lacking and not given:
        raise OptionError(f"--recipe: needs {option}; expected it as posewire train has it")
    kind = "judges a checkpoint; it does not fit with --recipe" if recipe else "is of an experiment; expected --recipe"
    raise OptionError(f"{option}: {kind}")
