"""`posewire train`, `eval zero-shot --recipe` and `reproduce` as a person runs them, on tiny data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from in_process import Run
from paper_data import LEAVE, LEFT, UNION, write_features, write_union, write_utd

from models.checkpoint import load
from stream.commands.train import embedder
from train.datasets.splits import split_of

TEXT_MODEL = "all-MiniLM-L6-v2"
BRIEF = ("--text-model", TEXT_MODEL, "--epochs", 1, "--pretrain-epochs", 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_union(tmp_path_factory.mktemp("sets"))


@pytest.fixture(scope="module", autouse=True)
def text_model() -> None:
    """Loaded once, which takes longer than any test here."""
    embedder(TEXT_MODEL)(["wave"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all experiments on the union: those of one test spare another the encoder."""
    return tmp_path_factory.mktemp("runs")


def of_union(data: Path, runs: Path, *more: object) -> tuple[object, ...]:
    return ("--data", data, "--dataset", UNION, "--split", LEAVE, "--run", runs, *BRIEF, *more)


def test_train_writes_a_checkpoint_and_pictures_and_skips_what_is_done(
    posewire: Run, data: Path, runs: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="the extra plots is not installed")
    arguments = ("train", "--recipe", "smie", *of_union(data, runs))
    out, plot = tmp_path / "model", tmp_path / "plots"
    result = posewire(*arguments, "--out", out, "--plot", plot)
    assert result.returncode == 0, result.stderr
    assert "smie, left+right leave-left, seed 0, stgcn, texts name by all-MiniLM-L6-v2: 32 clips" in result.stdout
    assert "with alignment" in result.stdout
    assert "(chance 25.0 %; held-out clips of seen classes" in result.stdout
    recogniser = load(out, "cpu")
    assert recogniser.manifest.recipe == "smie"
    assert recogniser.manifest.training["seed"] == 0
    names = {path.name for path in plot.iterdir()}
    assert names == {"curves.png", "encoder.png", "confusion.png", "embeddings.png"}
    done = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}
    again = posewire(*arguments)
    assert again.returncode == 0
    assert again.stdout == result.stdout.split("checkpoint:")[0]
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()} == done


def test_eval_gives_the_figures_of_an_experiment(posewire: Run, data: Path, runs: Path, tmp_path: Path) -> None:
    arguments = ("eval", "zero-shot", "--recipe", "devise", *of_union(data, runs))
    result = posewire(*arguments, "--generalised", "--json", tmp_path / "out.json")
    assert result.returncode == 0, result.stderr
    figures: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    assert figures["confusion"]["classes"] == [f"left: {name}" for name in LEFT]
    assert set(figures["generalised"]) >= {"seen", "unseen", "harmonic", "ungated"}
    assert "seen and unseen classes together, gated: seen " in result.stdout
    plain = posewire(*arguments, "--json", "-")
    assert json.loads(plain.stdout)["top1"] == figures["top1"]
    assert "top-1" in plain.stderr
    assert "seen and unseen classes together" not in plain.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--recipe", "smie"), "--recipe: needs --dataset; expected it as posewire train has it"),
        (("--recipe", "smie", "--dataset", "ntu60"), "--recipe: needs --split"),
        (("--recipe", "smie", "--adapt"), "--adapt: judges a checkpoint; it does not fit with --recipe"),
        (("--recipe", "smie", "--model", "x"), "--model: judges a checkpoint"),
        (("--generalised",), "--generalised: is of an experiment; expected --recipe"),
        (("--pretrain-epochs", 3), "--pretrain-epochs: is of an experiment; expected --recipe"),
    ],
)
def test_eval_refuses_options_that_do_not_fit_together(posewire: Run, more: tuple[object, ...], said: str) -> None:
    result = posewire("eval", "zero-shot", "--data", "nowhere.npz", *more)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"posewire: {said}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--recipe", "smile"), "recipe 'smile': expected one of devise, relationnet"),
        (("--encoder", "resnet"), "--encoder resnet: expected one of stgcn, shiftgcn"),
        (("--texts", "poem"), "--texts poem: expected one of name, sentence, motion, parts"),
        (("--mask", "all"), "--mask all: expected one of paper, released, none"),
        (("--split", "55/5"), "left+right: no split '55/5'; expected one of leave-left, leave-right"),
        (("--dataset", "middle"), "no clips/middle.npz or untrimmed/middle.npz; datasets are ntu60"),
        (("--dataset", "ntu60", "--split", "55/5"), "has no data of ntu60; expected a tree of raw .skeleton files"),
        (("--protocol", "xsub"), "split leave-left has the protocol 'people' only"),
        (("--recipe", "pgfa", "--mask", "paper"), "--mask: means nothing to pgfa"),
        (("--recipe", "devise", "--mask", "paper"), "--mask: means nothing to devise, which has no key frames"),
        (("--recipe", "pgfa"), "--pretrain-epochs: means nothing to pgfa, which trains its encoder itself"),
        (("--out", Path(__file__).parent), "holds something else than a checkpoint; expected a new or empty folder"),
        (("--out", "/proc/none/model"), "--out /proc/none/model: cannot be written"),
        (("--plot", "a.png"), "--plot a.png: several pictures are drawn; expected the name of a folder"),
        (("--run", "/proc/none"), "--run /proc/none: cannot be written"),
        (("--text-model", "nobody-has-this"), "or give --text-model all-MiniLM-L6-v2, which needs no network"),
        (("--out", __file__), "is a file, or in one; expected a folder to write to"),
    ],
)
def test_train_refuses_what_it_cannot_use(
    posewire: Run, data: Path, runs: Path, changed: tuple[object, ...], said: str
) -> None:
    result = posewire("train", "--recipe", "smie", *of_union(data, runs, *changed))
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_other_settings_in_the_same_run_are_refused(posewire: Run, data: Path, tmp_path: Path) -> None:
    arguments = ("train", "--recipe", "devise", *of_union(data, tmp_path / "run"))
    assert posewire(*arguments).returncode == 0
    result = posewire(*arguments, "--epochs", 2)
    assert result.returncode == 2
    assert "expected the same, or another --run" in result.stderr


def test_features_cannot_be_served(posewire: Run, tmp_path: Path) -> None:
    features = write_features(tmp_path / "shift_5_r", split_of("ntu60", "55/5"), 60)
    arguments = ("--data", features, "--dataset", "ntu60", "--split", "55/5", *BRIEF[:4])
    for more, said in (
        (("--out", "model"), "has features, and nothing can be served without their encoder"),
        (("--encoder", "stgcn"), "--encoder: "),
        (("--pretrain-epochs", 1), "--pretrain-epochs: "),
    ):
        result = posewire("train", "--recipe", "devise", *arguments, *more)
        assert result.returncode == 2
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_reproduce_on_our_own_sets(posewire: Run, tmp_path: Path) -> None:
    """Only the first of the three splits has its labels here: the others say so."""
    data = write_utd(tmp_path / "sets")
    rows = ("--rows", "devise", "--rows", "smie")
    result = posewire("reproduce", "own", "--data", data, *rows, "--columns", "utd_mhad", "--seeds", 0, *BRIEF)
    assert result.returncode == 2
    assert "UTD-MHAD 22/5, split 22/5-2: utd_mhad: has no class " in " ".join(result.stdout.split())
    assert "no figures of UTD-MHAD 22/5, split 22/5-2, UTD-MHAD 22/5, split 22/5-3, though" in result.stderr
    assert result.stderr.count("\n") == 1
    done = {path.parent.name for path in (tmp_path / "runs").rglob("figures.json")}
    assert done == {"devise-all-MiniLM-L6-v2", "smie-all-MiniLM-L6-v2"}


def test_reproduce_shows_ours_beside_the_published(posewire: Run, tmp_path: Path) -> None:
    features = tmp_path / "features"
    for name, split in (("shift_5_r", "55/5"), ("shift_12_r", "48/12")):
        write_features(features / name, split_of("ntu60", split), 60)
    page = tmp_path / "papers.md"
    page.write_text("# Papers\n\nWhat we found.\n")
    rows = ("--rows", "revise", "--rows", "smie")
    arguments = ("reproduce", "smie-table2", "--data", f"ntu60={features}", "--seeds", 0, "--seeds", 1, *rows, *BRIEF)
    result = posewire(*arguments, "--json", tmp_path / "out.json", "--markdown", page)
    assert result.returncode == 0, result.stderr
    figures: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    assert len(figures["experiments"]) == 2 * 2 * 2
    cell = next(one for one in figures["cells"] if (one["row"], one["column"]) == ("smie", "ntu60_55_5"))
    tops = [
        one["figures"]["top1"]
        for one in figures["experiments"]
        if (one["row"], one["column"]) == ("smie", "ntu60_55_5")
    ]
    assert cell["top1"]["mean"] == pytest.approx(50 * sum(tops))
    assert (cell["n"], cell["published"], cell["published_mark"]) == (2, 77.98, "img")
    assert list(figures["lacking"]) == ["NTU-120 110/10", "NTU-120 96/24"]
    assert "no data for NTU-120 96/24: give --data ntu120=PATH" in result.stdout
    assert "(77.98 [img], " in result.stdout
    assert "SMIE over ReViSE (best of the others): " in result.stdout
    text = page.read_text()
    assert text.startswith("# Papers\n\nWhat we found.\n\n<!-- posewire reproduce smie-table2: begin -->\n")
    assert "over the runs (splits x seeds), 8 in all" in text
    again = posewire(*arguments, "--json", "-")
    assert json.loads(again.stdout) == figures
    assert "[img] read off the published table" in again.stderr
    assert "[2nd]" not in again.stderr
    refused = posewire(*arguments, "--markdown", page)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "has the table smie-table2 already; expected no --rows and --columns" in refused.stderr
    assert page.read_text() == text


@pytest.mark.slow
def test_processes_side_by_side_find_the_same(posewire: Run, tmp_path: Path) -> None:
    features = write_features(tmp_path / "shift_5_r", split_of("ntu60", "55/5"), 60)
    only = ("--rows", "smie", "--columns", "ntu60_55_5", "--seeds", 0, "--seeds", 1)
    arguments = ("reproduce", "smie-table2", "--data", f"ntu60={features}", *only, *BRIEF, "--json", "-")
    results = [posewire(*arguments, "--jobs", jobs, "--run", tmp_path / f"run{jobs}") for jobs in (1, 2)]
    one, two = ([run["figures"] for run in json.loads(result.stdout)["experiments"]] for result in results)
    assert [figures["digest"] for figures in one] == [figures["digest"] for figures in two]
    assert len({figures["digest"] for figures in one}) == 2


def test_reproduce_says_which_rows_need_clips(posewire: Run, tmp_path: Path) -> None:
    features = write_features(tmp_path / "shift_5_r", split_of("ntu60", "55/5"), 60)
    columns = ("--columns", "ntu60_55_5")
    result = posewire("reproduce", "pgfa-setting2", "--data", f"ntu60={features}", "--seeds", 0, *columns, *BRIEF)
    assert result.returncode == 0, result.stderr
    assert "no data for PGFA, NTU-60 55/5: " in result.stdout
    assert "it is trained on clips, so give the raw data" in result.stdout
    assert "- (80.26 [2nd])" in result.stdout


def test_reproduce_without_any_run_writes_nothing(posewire: Run, tmp_path: Path) -> None:
    page = tmp_path / "papers.md"
    features = write_features(tmp_path / "shift_5_r", split_of("ntu60", "55/5"), 60)
    pgfa = ("--data", f"ntu60={features}", "--rows", "pgfa", "--columns", "ntu60_55_5")
    for arguments, said in (
        (("pgfa-setting1",), "no data; expected --data NAME=PATH, for one or more of ntu60, ntu120, pku1"),
        (("own",), "no data; expected --data PATH, the folder of our sets, for one or more of kinder_gator"),
        (("pgfa-setting2", *pgfa), "it is trained on clips, so give the raw data"),
    ):
        result = posewire("reproduce", *arguments, "--markdown", page, *BRIEF)
        assert (result.returncode, result.stdout) == (2, "")
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    assert not page.exists()


def test_what_is_given_and_of_no_use_is_told_of_each(posewire: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    features = write_features(tmp_path / "shift_5_r", split_of("ntu60", "55/5"), 60)
    given = ("--data", f"ntu60={features}", "--data", "ntu120=empty", "--data", "pku1=nowhere")
    result = posewire("reproduce", "smie-table3", *given)
    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert "has features of other splits" in next(line for line in lines if str(features) in line)
    assert any(line.startswith("posewire: nowhere: not found") for line in lines)
    assert any("empty: has no data of ntu120" in line for line in lines)


STOPPED = "posewire: stopped; the same command goes on where it was\n"
PROGRAM = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from stream.cli import main; main()"
"""A shell may start what runs in the background so that it ignores Ctrl-C; this does not."""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "eval", "reproduce"])
def test_ctrl_c_stops_all_that_trains(command: str, tmp_path: Path) -> None:
    """As a terminal has it: all processes are told at once. What waits for its turn is not begun."""
    features = write_features(tmp_path / "shift_5_r", split_of("ntu60", "55/5"), 60)
    one = ("--recipe", "smie", "--data", features, "--dataset", "ntu60", "--split", "55/5")
    seeds = [text for seed in range(4) for text in ("--seeds", seed)]
    arguments = {
        "train": ("train", *one),
        "eval": ("eval", "zero-shot", *one),
        "reproduce": (
            "reproduce", "smie-table2", "--data", f"ntu60={features}", "--rows", "smie", *seeds, "--jobs", 2,
        ),
    }[command]  # fmt: skip
    more = ("--text-model", TEXT_MODEL, "--epochs", 100_000, "--run", tmp_path / "runs")
    program = [sys.executable, "-c", PROGRAM, *map(str, (*arguments, *more))]
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        program, stdout=pipe, stderr=pipe, text=True, cwd=root, start_new_session=True, env=os.environ
    ) as process:
        begun = 2 if command == "reproduce" else 1
        deadline = time.monotonic() + 120
        while len(list(tmp_path.rglob("settings.json"))) < begun and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        try:  # its end of file says, too, that nobody else is left who could write
            out, err = process.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out, err) == (130, "", STOPPED)
    assert len(list(tmp_path.rglob("settings.json"))) == begun


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("smie-table9",), "table 'smie-table9': expected one of smie-table2"),
        (("own", "--rows", "ridge"), "own has no row 'ridge'"),
        (("own", "--texts", "poem"), "--texts poem: expected one of name"),
        (("own", "--data", "a", "--data", "b"), "--data b: expected one folder of our sets; a is given too"),
        (("smie-table2", "--data", "ntu60=a", "--data", "ntu60=b"), "--data ntu60=b: ntu60 is given twice"),
        (("own", "--data", "mtu60=a"), "--data mtu60=a: own has no dataset mtu60; it has kinder_gator"),
        (("smie-table2", "--data", "ntu60"), "--data ntu60: expected NAME=PATH with one of ntu60, ntu120"),
        (("own", "--data", "nowhere"), "nowhere: not found"),
        (("own", "--list"), "reproduce: expected one of TABLE, --list"),
        (("own", "--markdown", "/proc/papers.md"), "--markdown /proc/papers.md: "),
        (("own", "--markdown", "none/papers.md"), "its folder does not exist"),
    ],
)
def test_reproduce_refuses_what_it_cannot_use(posewire: Run, arguments: tuple[str, ...], said: str) -> None:
    result = posewire("reproduce", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_list_of_tables(posewire: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = posewire("reproduce", "--list")
    assert result.returncode == 0
    for name in ("smie-table2", "smie-table3", "pgfa-setting1", "pgfa-setting2", "own"):
        assert name in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "  rows     revise, jpose, cada-vae, synse, smie\n" in result.stdout
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    narrow = posewire("reproduce", "--list").stdout
    assert max(map(len, narrow.splitlines())) <= 60
    assert "without_msr_action3d" in narrow
    monkeypatch.undo()
    assert posewire("reproduce").returncode == 2
