"""`posewire eval anomaly`: how well anomalies, described by texts, are told from what is normal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.console import Console

from stream.commands.anomaly_encoders import ENCODERS, Seer, load_seers
from stream.commands.evaluate_anomaly_view import show_frames, show_labelled, show_protocol
from stream.commands.evaluate_recipe import check_picture
from stream.commands.evaluate_view import bar
from stream.commands.options import OptionError
from stream.commands.outputs import STDOUT, check_outputs, replace_file, write_figures
from stream.config_file import load_config
from stream.console import make_console
from train.anomaly import plots
from train.anomaly.encoding import CLIPS, Cut, encode
from train.anomaly.folder_judging import FRAME_CUT, judge_classes, judge_frames, masked, positives
from train.anomaly.judging import NotJudgeable, Task, figures, per_label, score
from train.anomaly.plan import Plan
from train.anomaly.pose_files import FORMATS, read_videos
from train.anomaly.protocols import PROTOCOLS, run
from train.anomaly.scenes import Scene, read_scenes
from train.anomaly.scoring import Sight
from train.datasets.archive import DataError
from train.datasets.people import Split
from train.datasets.readers import DataMissing
from train.judging.plots import png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class AnomalyOptions:
    """What all evaluations are told.

    Attributes:
        data: an archive or a folder.
        encoder: one of `ENCODERS`.
        json, plot: where to write the figures and a picture of them; `json` may be "-".
        model: folder of a checkpoint, instead of the configured one.
        points: folders of point sets, instead of the one that ships.
        config: configuration file.
        cache: folder in which features are kept, or None.
    """

    data: Path
    encoder: str
    json: Path | None = None
    plot: Path | None = None
    model: Path | None = None
    points: tuple[Path, ...] = ()
    config: Path | None = None
    cache: Path | None = None


def eval_labelled(
    options: AnomalyOptions, *, positive: Sequence[str], prompts: Sequence[str], normal: Sequence[str]
) -> int:
    """Judge an archive of labelled clips; returns the exit code.

    Args:
        options: see there.
        positive: labels of the clips that are anomalies.
        prompts: texts that describe them.
        normal: labels of the clips that teach what is normal; () for all that are not positive.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    console = _begin(options, prompts)
    if not positive:
        raise OptionError("--positive: no label is given; expected those of the clips that are anomalies")
    scenes = read_scenes(options.data)
    with _judging(options.data):
        task = Task.of(scenes, positive, normal)
        sights = _see(options, scenes, prompts, CLIPS)
        scored = score(task, sights)
    found = figures(scored, task) | {
        "by_encoder": {one.encoder.name: figures(score(task, [one]), task)["by_score"] for one in sights},
        "per_label": per_label(scored, scenes, task),
        "positive": list(positive),
        "normal_from": list(normal),
        "people": scenes[0].people,
        "space": str(scenes[0].space),
    }
    show_labelled(console, found)
    _finish(options, console, found | _said(options, prompts, sights), partial(plots.labelled, scored, task.positive))
    return 0


def eval_folder(
    options: AnomalyOptions, *, positive: Sequence[str], prompts: Sequence[str], form: str | None, fps: float
) -> int:
    """Judge a folder of other tools' poses; returns the exit code.

    Args:
        options: see there.
        positive: classes that are anomalies; () for "Fight". Of no use where frames have labels.
        prompts: texts that describe them.
        form: one of `train.anomaly.pose_files.FORMATS`, or None to tell by the files.
        fps: frames a second.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    console = _begin(options, prompts)
    if form is not None and form not in FORMATS:
        raise OptionError(f"--format {form!r}: expected {' or '.join(FORMATS)}")
    if options.plot is not None:
        raise OptionError("--plot: folders of poses have no picture; labelled clips and the protocol precog have")
    videos = read_videos(options.data, form, fps)
    scenes = [video.scene for video in videos]
    with _judging(options.data):
        if masked(videos):
            sights = _see(options, scenes, prompts, FRAME_CUT)
            found = judge_frames(videos, sights)
            show_frames(console, found)
        else:
            named = positives(videos, positive)
            sights = _see(options, scenes, prompts, CLIPS)
            found = judge_classes(videos, sights, named) | {"positive": list(named)}
            show_labelled(console, found)
    _finish(options, console, found | _said(options, prompts, sights), None)
    return 0


def eval_protocol(options: AnomalyOptions, *, protocol: str, split: str, window_s: float, disturbed: bool) -> int:
    """Run a protocol on the folder of the sets; returns the exit code.

    Args:
        options: see there; several point sets are seeds of one.
        protocol: one of `train.anomaly.protocols.PROTOCOLS`.
        split: "test" or "validation", whose recordings are judged.
        window_s: seconds of a window of PRECOG.
        disturbed: whether disturbed joints are judged as well.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    console = _begin(options, ["-"])
    if protocol not in PROTOCOLS:
        raise OptionError(f"--protocol {protocol!r}: expected one of {', '.join(PROTOCOLS)}")
    if options.plot is not None and protocol != "precog":
        raise OptionError(f"--plot: protocol {protocol} has no picture; precog has")
    if split not in ("test", "validation"):
        raise OptionError(f"--split {split!r}: expected test or validation")
    with TemporaryDirectory() as folder:
        plan = Plan(
            options.data, _seers(options), Split(split), window_s, options.cache or Path(folder), disturbed=disturbed
        )
        try:
            found = run(plan, protocol)
        except DataMissing as error:
            raise DataError(options.data, str(error)) from error
    show_protocol(console, found)
    encoders = {name: [one.encoder.digest for one in group] for name, group in plan.seers.items()}
    said = {"protocol": protocol, "split": split, "window_s": window_s, "encoders": encoders, "conditions": found}
    _finish(options, console, said, partial(plots.alarms, found) if protocol == "precog" else None)
    return 0


def _see(options: AnomalyOptions, scenes: Sequence[Scene], texts: Sequence[str], cut: Cut) -> list[Sight]:
    """What each encoder makes of scenes, with a progress bar."""
    return [_seen(one, scenes, texts, cut, options.cache) for group in _seers(options).values() for one in group]


def _seen(seer: Seer, scenes: Sequence[Scene], texts: Sequence[str], cut: Cut, cache: Path | None) -> Sight:
    prompts = seer.prompts(texts)
    with bar(f"windows, {seer.encoder.name}") as progress:
        task = progress.add_task("", total=None)

        def report(total: int, done: int) -> None:
            progress.update(task, total=total, completed=done)

        return Sight(seer.encoder, prompts, encode(scenes, seer.encoder, cut, cache=cache, report=report))


def _seers(options: AnomalyOptions) -> dict[str, list[Seer]]:
    return load_seers(options.encoder, load_config(options.config), options.model, options.points)


def _begin(options: AnomalyOptions, prompts: Sequence[str]) -> Console:
    """Refuse before anything is computed what cannot be used or written; where to show tables."""
    inputs = [str(path) for path in (options.data, options.config) if path is not None]
    check_outputs({"--json": options.json, "--plot": options.plot}, inputs)
    check_picture(options.plot)
    if options.encoder not in ENCODERS:
        raise OptionError(f"--encoder {options.encoder!r}: expected one of {', '.join(ENCODERS)}")
    if not prompts or any(not text.strip() for text in prompts):
        raise OptionError('--prompt: no text; expected a description such as "a person punches somebody"')
    return make_console(stderr=options.json == STDOUT)


@contextmanager
def _judging(data: Path) -> Iterator[None]:
    """Say of which data nothing can be judged."""
    try:
        yield
    except NotJudgeable as error:
        raise DataError(data, str(error)) from error


def _said(options: AnomalyOptions, prompts: Sequence[str], sights: Sequence[Sight]) -> dict[str, Any]:
    """What the figures are of."""
    digests = [{"name": one.encoder.name, "digest": one.encoder.digest} for one in sights]
    return {"encoder": options.encoder, "encoders": digests, "prompts": list(prompts)}


def _finish(
    options: AnomalyOptions, console: Console, found: Mapping[str, Any], draw: Callable[[str], Figure] | None
) -> None:
    """Write the figures and the picture."""
    write_figures(console, found, options.json)
    if options.plot is not None and draw is not None:
        replace_file(options.plot, png(draw(options.data.stem)))
        console.print(f"picture: {options.plot}", soft_wrap=True)
