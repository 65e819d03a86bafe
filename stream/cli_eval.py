"""The `posewire eval` commands; only light imports at the top, as in `stream.cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli_options import ConfigOption, leave
from stream.cli_train import (
    RECIPES,
    RUN,
    TEXT_MODEL,
    EncoderOption,
    EpochsOption,
    Fp32Option,
    MaskOption,
    PretrainEpochsOption,
    ProtocolOption,
    RunOption,
    SeedOption,
    TextKindOption,
    TextModelOption,
    ThreadsOption,
    check_together,
    resumable,
)
from stream.cli_variadic import VariadicCommand

eval_app = typer.Typer(
    help="How good the model is on labelled recordings.", no_args_is_help=True, rich_markup_mode=None
)

DataOption = Annotated[Path, typer.Option("--data", metavar="FILE.npz", help="Labelled clips or recordings.")]
TextsOption = Annotated[
    Path | None,
    typer.Option("--prompts", metavar="FILE.json", help="Text, or list of texts, of each label; else the labels."),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="OUT.json", help="Write the figures; - is standard output.")
]
PlotOption = Annotated[Path | None, typer.Option("--plot", metavar="OUT.png", help="Draw them (needs matplotlib).")]
SubjectOption = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Judge only this person's recordings; repeatable.")
]
ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="DIR", help="Checkpoint, instead of the configured one.")
]


@eval_app.command("zero-shot")
def eval_zero_shot(
    context: typer.Context,
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE.npz", help="Labelled clips or recordings; or see posewire train.")
    ],
    prompts: TextsOption = None,
    json: JsonOption = None,
    plot: PlotOption = None,
    model: ModelOption = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=100, help="How often clips are ordered (--adapt) and labels halved (abstaining)."
        ),
    ] = 3,
    adapt: Annotated[
        bool, typer.Option("--adapt/--no-adapt", help="Learn online prototypes from the clips, unlabelled.")
    ] = True,
    subject: SubjectOption = None,
    config: ConfigOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar=RECIPES, help="Judge this method of the papers instead, trained first if it is not yet."),
    ] = None,
    generalised: Annotated[
        bool, typer.Option("--generalised", help="Also tell seen and unseen classes apart together.")
    ] = False,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="This and the next: see posewire train.")] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME")] = None,
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
    threads: ThreadsOption = 1,
) -> None:
    """Name clips by text alone: by a checkpoint, or by a method of the papers (--recipe)."""
    check_together(context, recipe is not None)
    if recipe is None:
        from stream.commands.evaluate import EvalOptions
        from stream.commands.evaluate import eval_zero_shot as evaluate

        options = EvalOptions(data, json, plot, model, config, tuple(subject or ()))
        leave(evaluate(options, prompts=prompts, seeds=seeds, adapt=adapt))
        return
    from stream.commands.evaluate_recipe import evaluate_recipe
    from stream.commands.train import Experiment

    experiment = Experiment(
        recipe=recipe,
        data=data,
        dataset=dataset or "",
        split=split or "",
        protocol=protocol,
        seed=seed,
        encoder=encoder,
        texts=texts,
        text_model=text_model,
        mask=mask,
        epochs=epochs,
        pretrain_epochs=pretrain_epochs,
        fp32=fp32,
        generalised=generalised,
        run=run,
        threads=threads,
    )
    leave(resumable(lambda: evaluate_recipe(experiment, json=json, plot=plot)))


@eval_app.command("few-shot")
def eval_few_shot(
    data: DataOption,
    prompts: TextsOption = None,
    json: JsonOption = None,
    plot: PlotOption = None,
    model: ModelOption = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How often the people are divided.")] = 5,
    subject: SubjectOption = None,
    config: ConfigOption = None,
) -> None:
    """Name clips by 1, 3, 5 and 10 examples of other people."""
    from stream.commands.evaluate import EvalOptions
    from stream.commands.evaluate import eval_few_shot as evaluate

    options = EvalOptions(data, json, plot, model, config, tuple(subject or ()))
    leave(evaluate(options, prompts=prompts, seeds=seeds))


@eval_app.command("stream")
def eval_stream(
    data: DataOption,
    prompts: TextsOption = None,
    json: JsonOption = None,
    plot: PlotOption = None,
    model: ModelOption = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Resamples of the people, for the spread.")] = 100,
    most: Annotated[int | None, typer.Option(min=1, help="Judge at most so many recordings.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which these are.")] = 0,
    subject: SubjectOption = None,
    config: ConfigOption = None,
) -> None:
    """Find actions in continuous recordings."""
    from stream.commands.evaluate import EvalOptions
    from stream.commands.evaluate import eval_stream as evaluate

    leave(
        evaluate(
            EvalOptions(data, json, plot, model, config, tuple(subject or ())),
            prompts=prompts,
            seeds=seeds,
            most=most,
            seed=seed,
        )
    )


@eval_app.command("anomaly", cls=VariadicCommand)
def eval_anomaly(
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="FILE.npz|FOLDER", help="Labelled clips; a folder of poses; or the sets' (--protocol)."
        ),
    ],
    positive: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL [LABEL ...]", help="Labels (or folders, default Fight) that are anomalies."),
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(metavar="TEXT [TEXT ...]", help="Descriptions of the anomalies.")
    ] = None,
    normal_from: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL [LABEL ...]", help="Labels that teach what is normal; default: all others."),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(metavar="points|graph|both", help="What sees people: as points, one by one, both."),
    ] = "both",
    json: JsonOption = None,
    plot: PlotOption = None,
    model: ModelOption = None,
    points: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR [DIR ...]", help="Point sets, instead of the one that ships; seeds of a protocol."),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="alphapose|openpose", help="Of the poses in a folder; default: by its files."),
    ] = None,
    fps: Annotated[float, typer.Option(min=1, max=1000, help="Frames a second of these.")] = 30.0,
    protocol: Annotated[
        str | None,
        typer.Option(metavar="precog|msrc12|kinder-gator|pairs", help="On people never trained on."),
    ] = None,
    split: Annotated[str, typer.Option(metavar="test|validation", help="Which of these people.")] = "test",
    window: Annotated[float, typer.Option(min=0.1, max=10, metavar="S", help="Seconds of a window of PRECOG.")] = 0.5,
    disturbed: Annotated[
        bool, typer.Option("--disturbed/--as-recorded", help="Also with joints displaced, missing, people swapped.")
    ] = True,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep what the encoders see, to be faster next time.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Tell anomalies, described by texts, from what is normal; nobody is judged by their own clips.

    The shipped encoders were trained on people of the public sets that their model cards list, so figures on these sets
    flatter them; --protocol judges only people whom they never saw.
    """
    from stream.commands import evaluate_anomaly as evaluate

    options = evaluate.AnomalyOptions(data, encoder, json, plot, model, tuple(points or ()), config, cache)
    if protocol is not None:
        code = evaluate.eval_protocol(options, protocol=protocol, split=split, window_s=window, disturbed=disturbed)
    elif data.is_dir():
        code = evaluate.eval_folder(options, positive=positive or [], prompts=prompt or [], form=format_, fps=fps)
    else:
        code = evaluate.eval_labelled(options, positive=positive or [], prompts=prompt or [], normal=normal_from or [])
    leave(code)
