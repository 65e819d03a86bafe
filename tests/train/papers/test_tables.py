"""Tables against cases worked out by hand, and the file of published numbers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from models.methods import METHODS
from train.datasets.described import Description
from train.datasets.splits import split_of
from train.papers.block import BlockError, check_block, set_block
from train.papers.published import Table, TableError, read_table, read_tables
from train.papers.recipes import LARGE, alpha, arguments, pretrain_schedule, schedule
from train.papers.tables import Outcome, cell, comparisons, legend, markdown, score


def outcomes(table: Table, values: dict[str, list[tuple[float, float]]], column: str) -> list[Outcome]:
    """By row, (plain, aligned) of the seeds 0, 1 ... on the column's first split."""
    split = next(one.splits[0] for one in table.columns if one.key == column)
    return [
        Outcome(row, column, split, seed, plain, aligned, 5)
        for row, pairs in values.items()
        for seed, (plain, aligned) in enumerate(pairs)
    ]


def test_score_is_the_mean_and_the_sample_deviation_in_per_cent() -> None:
    found = score([0.5, 0.7])
    assert found is not None
    assert (found.mean, found.n) == (pytest.approx(60), 2)
    assert found.std == pytest.approx(math.sqrt(200))
    assert str(score([0.5])) == "50.0"
    assert score([]) is None


def test_every_table_names_splits_and_recipes_that_there_are() -> None:
    tables = read_tables()
    assert list(tables) == ["smie-table2", "smie-table3", "pgfa-setting1", "pgfa-setting2", "own"]
    kinds = Description("wave", ("a person waves",) * 3, "the hand goes up", {}).kinds
    for table in tables.values():
        for column in table.columns:
            for split in column.splits:
                split_of(column.dataset, split)
        for row in table.rows:
            assert row.recipe in METHODS
            assert row.texts in kinds
        assert len({row.key for row in table.rows} | {one.key for one in table.columns}) == len(table.rows) + len(
            table.columns
        )
    assert [row.recipe for row in tables["own"].rows] == list(METHODS)


def test_published_numbers_are_those_of_the_papers_and_what_is_unsure_is_not_given() -> None:
    published = read_table("smie-table2").published
    assert [published["smie", column.key].value for column in read_table("smie-table2").columns] == [
        77.98, 40.18, 65.74, 45.30,
    ]  # fmt: skip
    unsure = read_table("pgfa-setting1")
    assert unsure.published["pgfa", "ntu60"].value is None
    assert unsure.published["pgfa", "ntu120"].mark == "2nd"
    text = markdown(unsure, outcomes(unsure, {"pgfa": [(0.5, 0.6)]}, "ntu60"), {})
    assert "| 60.0 (unverified) |" in text
    assert "93.17" not in text


def test_ours_stands_beside_the_published_number_with_the_difference() -> None:
    table = read_table("smie-table2").only(rows=["smie"], columns=["ntu60"])
    text = markdown(table, outcomes(table, {"smie": [(0.70, 0.8), (0.72, 0.8)]}, "ntu60_55_5"), {"x": "give it"})
    assert "| SMIE | 71.0 ± 1.4 (77.98 [img], −7.0) | - (40.18 [img]) |" in text
    assert "| chance | 20.0 | - |" in text
    assert "- x: give it" in text
    assert "[img] read off the published table" in text


def test_a_row_counts_by_its_own_metric() -> None:
    table = read_table("pgfa-setting2")
    rows = {row.key: row for row in table.rows}
    found = outcomes(table, {"pgfa": [(0.5, 0.6)], "pgfa-plain": [(0.5, 0.6)]}, "ntu60_55_5")
    scores = {key: cell(rows[key], "ntu60_55_5", found) for key in ("pgfa", "pgfa-plain", "smie")}
    assert {key: one and round(one.mean) for key, one in scores.items()} == {"pgfa": 60, "pgfa-plain": 50, "smie": None}


def test_comparisons_are_paired_by_run() -> None:
    table = read_table("own")
    values = {
        "devise": [(0.30, 0.20), (0.30, 0.40)],
        "synse": [(0.40, 0.40), (0.10, 0.20)],
        "smie": [(0.50, 0.55), (0.10, 0.05), (0.9, 0.9)],  # the third has no partner
        "pgfa": [(0.40, 0.60), (0.30, 0.40)],
    }
    found = {one.title: one.every for one in comparisons(table, outcomes(table, values, "utd_mhad_22_5"))}
    assert found["SMIE with alignment over without"] == pytest.approx((5, -5, 0))
    assert found["SMIE over PGFA"] == pytest.approx((10, -20))
    assert found["SMIE over PGFA, both aligned"] == pytest.approx((-5, -35))
    assert found["PGFA over DeViSE (best of the others)"] == pytest.approx((10, 0))  # 30 on average; SynSE has 25
    text = markdown(table, outcomes(table, values, "utd_mhad_22_5"), {})
    assert "| SMIE over PGFA | - | - | −5.0 (1 of 2) | - | - | - | - | −5.0 (1 of 2) |" in text
    assert "| PGFA | - | - | 35.0 → 50.0 ± 14.1 |" in text


def test_a_wrong_table_row_or_column_lists_the_right_ones() -> None:
    with pytest.raises(TableError, match="expected one of smie-table2, smie-table3"):
        read_table("smie")
    with pytest.raises(TableError, match="no row 'ridge'; expected one of devise"):
        read_table("own").only(rows=["ridge"])
    with pytest.raises(
        TableError, match="no column 'ntu60'; expected one of kinder_gator_46_12, kinder_gator_53_5, utd_mhad_22_5, "
    ):
        read_table("own").only(columns=["ntu60"])
    assert [one.key for one in read_table("own").only(columns=["msrc12"]).columns] == ["msrc12_9_3"]


def test_a_block_is_replaced_and_what_stands_around_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "papers.md"
    set_block(path, "own", "first")
    assert path.read_text() == ("<!-- posewire reproduce own: begin -->\nfirst\n<!-- posewire reproduce own: end -->\n")
    path.write_text("# Papers\n\n" + path.read_text() + "\nafter\n")
    set_block(path, "smie-table2", "other")
    set_block(path, "own", r"second \1")
    text = path.read_text()
    assert text.startswith("# Papers\n\n<!-- posewire reproduce own: begin -->\nsecond \\1\n")
    assert "first" not in text
    assert text.index("after") < text.index("other")
    assert [one.name for one in tmp_path.iterdir()] == ["papers.md"]


def test_a_broken_block_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "papers.md"
    path.write_text("<!-- posewire reproduce own: begin -->\nmine\n")
    with pytest.raises(BlockError, match="expected one"):
        set_block(path, "own", "text")
    assert "mine" in path.read_text()
    with pytest.raises(BlockError, match="cannot be rewritten"):
        set_block(tmp_path / "none" / "papers.md", "own", "text")


def test_a_fuller_table_is_not_replaced(tmp_path: Path) -> None:
    path, table = tmp_path / "papers.md", read_table("own")
    check_block(path, "own", 1, whole=False)
    set_block(path, "own", markdown(table, outcomes(table, {"smie": [(0.5, 0.6), (0.6, 0.7)]}, "utd_mhad_22_5"), {}))
    assert "over the runs (splits x seeds), 2 in all." in path.read_text()
    check_block(path, "own", 2, whole=True)
    check_block(path, "smie-table2", 1, whole=False)
    with pytest.raises(BlockError, match="table own of 2 runs, more than 1"):
        check_block(path, "own", 1, whole=True)
    with pytest.raises(BlockError, match="expected no --rows and --columns"):
        check_block(path, "own", 9, whole=False)


def test_the_legend_tells_of_what_is_shown() -> None:
    table = read_table("pgfa-setting1").only(rows=["pgfa"])
    once = outcomes(table, {"pgfa": [(0.5, 0.6)]}, "ntu60")
    told = " ".join(legend(table, once))
    assert told.startswith("over the runs (splits x seeds), 1 in all")
    assert "[2nd] as quoted by a later paper" in told
    assert "[img]" not in told
    assert "(unverified) published" in told
    assert "unverified" not in " ".join(legend(table.only(columns=["ntu120"]), once))
    assert legend(read_table("own"), [])[1:] == []


def test_schedules_are_the_published_ones_where_there_are() -> None:
    smie, pgfa = schedule("smie", "ntu60", 30_000), schedule("pgfa", "ntu120", 50_000)
    assert (smie.optimiser, smie.lr, smie.batch, smie.epochs, smie.warm_up, smie.decay) == (
        "adam", 1e-5, 128, 100, 15, "cosine",
    )  # fmt: skip
    assert schedule("smie", "ntu120", 50_000).lr == 1e-4
    assert (pgfa.optimiser, pgfa.lr, pgfa.momentum, pgfa.weight_decay, pgfa.epochs) == ("sgd", 0.005, 0.9, 5e-4, 50)
    assert schedule("pgfa", "pku1", 15_000).lr == 0.05
    assert [(one.lr, one.epochs) for one in [pretrain_schedule("pku1", 15_000)]] == [(5e-3, 150)]
    assert [arguments("smie", name)["beta"] for name in ("ntu60", "ntu120", "pku1")] == [0.1, 0.5, 0.01]
    assert [arguments("cada-vae", name)["latent"] for name in LARGE] == [100, 200, 100, 100]
    assert [alpha(name) for name in ("ntu60", "ntu120", "pku1")] == [0.9, 0.4, 1.0]
