"""The figures that `posewire eval anomaly --protocol ... --json` wrote, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from train.anomaly.protocols import FOUND
from train.anomaly.scoring import KINDS

BEGIN, END = "<!-- tables: python -m train.anomaly -->", "<!-- end of tables -->"
HEADS = {"ood": "unlike normal", "prompt": "like the prompts", "product": "product"}
TITLES = {
    "precog": "PRECOG, strikes against none",
    "msrc12": "MSRC-12, one gesture against the other eleven, mean of the twelve",
    "kinder-gator": "Kinder-Gator",
    "pairs": "Composed scenes of two people",
}


def tables(results: Sequence[Mapping[str, Any]]) -> str:
    """Tables of some protocols' results, in their order."""
    return "\n".join(_protocol(result) for result in results)


def into(text: str, made: str) -> str:
    """A page with what stands between its two marks replaced.

    Raises:
        ValueError: it lacks them.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{made}{END}{after}"


def _protocol(result: Mapping[str, Any]) -> str:
    lines = [f"### {TITLES[result['protocol']]}", ""]
    seeds = {name: len(digests) for name, digests in result["encoders"].items()}
    said = ", ".join(f"{name} ({count} seed{'s' * (count > 1)})" for name, count in seeds.items())
    lines += [f"People: {result['split']}. Encoders: {said}. AUROC in %; ± is the deviation over seeds.", ""]
    lines += [f"| condition | what | encoder | {' | '.join(HEADS.values())} | AP | equal-error accuracy |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for condition, teams in result["conditions"].items():
        for team, figures in teams.items():
            for name, row in _ranked({key: value for key, value in figures.items() if key != "by_gesture"}):
                areas = " | ".join(percent(row["auroc"][kind]) for kind in KINDS)
                rest = f"{percent(row['ap']['product'])} | {percent(row['eer_accuracy'])}"
                lines.append(f"| {condition} | {name or 'all'} | {team} | {areas} | {rest} |")
    teams = result["conditions"]["as recorded"]
    if result["protocol"] == "precog":
        lines += ["", *_alarms(teams)]
    if result["protocol"] == "msrc12":
        lines += ["", *_gestures(teams)]
    return "\n".join(lines) + "\n"


def _ranked(figures: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "auroc" in figures:
        yield name, figures
        return
    for key, value in figures.items():
        if isinstance(value, Mapping) and key != "alarms":
            yield from _ranked(value, f"{name}, {key}" if name else key)


def _alarms(teams: Mapping[str, Any]) -> list[str]:
    first = next(iter(teams.values()))["alarms"]["product"]
    hours, unseen = first["hours"]["mean"], first["hours_of_unseen_styles"]["mean"]
    lines = [
        f"False alarms an hour in {60 * hours:.0f} minutes of walking, turning and waving ({60 * unseen:.1f} of them "
        "in styles that no encoder was trained on), by the share of strikes that the threshold finds; and the median "
        f"delay from a strike's first frame at {FOUND:.0%}:",
        "",
    ]
    shares = [name for name in first if name.endswith(" found")]
    lines += [f"| encoder | score | {' | '.join(shares)} | delay, ms |", "|---" * (len(shares) + 3) + "|"]
    for team, figures in teams.items():
        for kind in KINDS:
            rows = figures["alarms"][kind]
            rates = " | ".join(f"{rows[share]['false_alarms_per_hour']['mean']:.1f}" for share in shares)
            delay = rows[f"{FOUND:.0%} found"]["delay_ms_median"]["mean"]
            lines.append(f"| {team} | {HEADS[kind]} | {rates} | {delay:.0f} |")
    return lines


def _gestures(teams: Mapping[str, Any]) -> list[str]:
    heads = [f"{team}, {what}" for team in teams for what in ("AUROC %", "false alarms/h")]
    lines = [f"| gesture | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for gesture in next(iter(teams.values()))["by_gesture"]:
        rows = [figures["by_gesture"][gesture] for figures in teams.values()]
        cells = [f"{percent(row['auroc']['product'])} | {row['false_alarms_per_hour']['mean']:.0f}" for row in rows]
        lines.append(f"| {gesture} | {' | '.join(cells)} |")
    return lines


def percent(value: Mapping[str, float]) -> str:
    """Mean and deviation over seeds, in %; no deviation where there is none."""
    std = f" ± {100 * value['std']:.1f}" if value["std"] > 0 else ""
    return f"{100 * value['mean']:.1f}{std}"
