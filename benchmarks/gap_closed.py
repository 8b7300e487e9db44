"""How much of what fine-tuning the demo's target itself gains, steering it by small models gains.

    gap closed = (s − s0) / (s1 − s0)        s0 the untuned target, s1 the target fine-tuned on the
                                             expert's own data, s the target steered by the expert

On the explore rows of the objective that each expert was made for. The standard error is that of a
ratio of means over the same rows (delta method), and there is no number where s1 − s0 is within two
standard errors of 0. One JSON line; --write puts the table into a Markdown file as well, between
two marks.

    python -m benchmarks.gap_closed [--tuned DIR] [--write docs/methods.md]

    --tuned    what `python -m engine.demo.tuned DIR` wrote; trained anew without it, which takes a
               quarter of an hour
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.compose import Composer
from engine.demo.tuned import PERSONAS, tune_targets
from engine.demo.write import FAMILY
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve, unmerged
from engine.scoring.evaluate import evaluate
from engine.scoring.registry import check_objective
from engine.study import Study, load_study

OWN = {"helpful": "facts", "harmless": "refusals", "honest": "honesty"}
BEGIN, END = "<!-- gap closed, by benchmarks/gap_closed.py -->", "<!-- end of gap closed -->"


def recipes(expert: str) -> dict[str, Recipe]:
    """What each method makes of the target and one expert, at a strength of 1."""
    one = {expert: 1.0}
    return {
        "the small expert alone": unmerged(expert),
        "proxy_tuning": Recipe("proxy_tuning", one),
        "dexperts": Recipe("dexperts", one),
        "dynamic_fusion": Recipe("dynamic_fusion", one),
        "arm_guidance on the target": Recipe("arm_guidance", one, {"on": "target"}),
        "contrastive": Recipe("contrastive", {"contrast": 0.5}),
    }


def gap(
    steered: Sequence[float], untuned: Sequence[float], tuned: Sequence[float]
) -> tuple[float, float] | None:
    """(gap closed, its standard error), one value a row, the same rows in each; None where there is
    no gap to speak of."""
    gains = [a - b for a, b in zip(steered, untuned, strict=True)]
    wholes = [a - b for a, b in zip(tuned, untuned, strict=True)]
    root = math.sqrt(len(gains))
    whole = statistics.fmean(wholes)
    if abs(whole) <= 2 * statistics.stdev(wholes) / root:
        return None
    closed = statistics.fmean(gains) / whole
    rests = [a - closed * b for a, b in zip(gains, wholes, strict=True)]
    return closed, statistics.stdev(rests) / root / abs(whole)


class Scores:
    """Values a row of recipes on one study."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.family = open_family(study.family)
        self.composer = Composer(self.family, device="cpu")

    def of(self, recipe: Recipe, objective: str) -> list[float]:
        model = self.composer.compose(resolve(recipe, self.family.names))
        asked = [check_objective(self.study.objective(objective), self.study.path)]
        [(_, score, _)] = evaluate(model, asked, base=lambda: self.composer.module("base"))
        if score.error is not None:
            raise SystemExit(f"{recipe}: {score.error}")
        return [float(each) for each in score.values if each is not None]


def measured(tuned: Path) -> dict[str, Any]:
    study = load_study(FAMILY / "study.yaml")
    here = Scores(study)
    found: dict[str, Any] = {}
    for expert, objective in OWN.items():
        family = replace(study.family, target=tuned / expert)
        there = Scores(replace(study, family=family))
        low = here.of(unmerged("target"), objective)
        high = there.of(unmerged("target"), objective)
        rows: dict[str, Any] = {}
        for name, recipe in recipes(expert).items():
            values = here.of(recipe, objective)
            closed = gap(values, low, high)
            rows[name] = {
                "mean": _three(statistics.fmean(values)),
                "gap_closed": None if closed is None else _three(closed[0]),
                "stderr": None if closed is None else _three(closed[1]),
            }
        found[expert] = {
            "objective": objective,
            "n": len(low),
            "untuned": _three(statistics.fmean(low)),
            "tuned": _three(statistics.fmean(high)),
            "methods": rows,
        }
    return found


def _three(value: float) -> float:
    return round(value, 3)


def table(found: Mapping[str, Any]) -> str:
    """The figures as a Markdown table."""
    heads = [
        f"{each['objective']}: {each['untuned']:.3f} → {each['tuned']:.3f} (n {each['n']})"
        for each in found.values()
    ]
    lines = [
        "| the target steered by | " + " | ".join(heads) + " |",
        "|---|" + "---|" * len(heads),
    ]
    names = next(iter(found.values()))["methods"]
    for name in names:
        cells = [_cell(each["methods"][name]) for each in found.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(one: Mapping[str, Any]) -> str:
    if one["gap_closed"] is None:
        return f"{one['mean']:.3f}, no gap"
    return f"{one['mean']:.3f}: {one['gap_closed']:.2f} ± {one['stderr']:.2f}"


def write_between(page: Path, text: str) -> None:
    """Put a table between the marks of a page."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuned", type=Path)
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tuned = args.tuned or Path(place)
        if args.tuned is None:
            tune_targets(tuned, PERSONAS)
        found = measured(tuned)
    if args.write is not None:
        write_between(args.write, table(found))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
